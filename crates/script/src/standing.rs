//! Which calls of a script ask for orders that stand after the instant at which they were sent.

use rhai::{AST, ASTNode, Expr, Position, Stmt};

use super::engine::fault;
use bot_core::strategy::ScriptFault;

/// What the bot offers, with how many arguments, and what is said of a call of it.
const STANDING: [(&str, usize, &str); 3] = [
    (
        "buy",
        3,
        "a limit order must be buy(symbol, quantity, limit, \"ioc\") until standing orders exist, \
         was buy(symbol, quantity, limit); options stand in the call as #{ tag: \"entry\" }",
    ),
    (
        "sell",
        3,
        "a limit order must be sell(symbol, quantity, limit, \"ioc\") until standing orders exist, \
         was sell(symbol, quantity, limit); options stand in the call as #{ tag: \"entry\" }",
    ),
    ("cancel_all", 0, "nothing must be cancelled until standing orders exist, was cancel_all()"),
];

/// Each call in the order of the text; a script has no functions of these names of its own.
pub(super) fn calls(ast: &AST, file: &str) -> Vec<ScriptFault> {
    let mut found = Vec::new();
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let Some((name, count, at)) = path.last().and_then(call)
            && let Some((.., said)) = STANDING.iter().find(|(kind, n, _)| *kind == name && *n == count)
            && !path.last().is_some_and(ends_with_options)
        {
            found.push(fault(file, at, (*said).to_owned()));
        }
        true
    });
    found.sort_by_key(|fault| (fault.line, fault.column));
    found
}

/// Whether a function of this name is called anywhere.
pub(super) fn is_called(ast: &AST, name: &str) -> bool {
    let mut is_called = false;
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        is_called |= path.last().and_then(call).is_some_and(|(called, ..)| called == name);
        true
    });
    is_called
}

/// Whether a function of this name is called with so many arguments.
pub(super) fn is_called_with(ast: &AST, (name, count): (&str, usize)) -> bool {
    let mut is_called = false;
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        let found = path.last().and_then(call);
        is_called |= found.is_some_and(|(called, arguments, _)| called == name && arguments == count);
        true
    });
    is_called
}

/// Whether the script keeps anything in `this`, what the manifest says excepted.
pub(super) fn keeps_state(ast: &AST) -> bool {
    let mut keeps = false;
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let Some(ASTNode::Expr(Expr::ThisPtr(_))) = path.last() {
            let read = match path.len().checked_sub(2).map(|place| &path[place]) {
                Some(ASTNode::Expr(Expr::Dot(dot, ..))) => first_property(&dot.rhs),
                _ => None,
            };
            keeps |= !read.is_some_and(|name| MANIFESTS.contains(&name));
        }
        true
    });
    keeps
}

/// What the manifest says stands here in `this`.
const MANIFESTS: [&str; 2] = ["params", "symbols"];

#[allow(clippy::wildcard_enum_match_arm, reason = "all the others have no name")]
fn first_property(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Property(names, _) => Some(names.2.as_str()),
        Expr::Dot(inner, ..) | Expr::Index(inner, ..) => first_property(&inner.lhs),
        _ => None,
    }
}

/// Whether the last argument of a call is a map as it is written, `#{ tag: "entry" }`.
fn ends_with_options(node: &ASTNode<'_>) -> bool {
    let last = if let ASTNode::Stmt(Stmt::FnCall(call, _)) | ASTNode::Expr(Expr::FnCall(call, _)) = node {
        call.args.last()
    } else if let ASTNode::Expr(Expr::MethodCall(call, _)) = node {
        call.args.last()
    } else {
        None
    };
    match last {
        Some(Expr::Map(..)) => true,
        Some(Expr::DynamicConstant(value, _)) => value.is_map(),
        Some(_) | None => false,
    }
}

/// The function that a node calls, with how many arguments and where; what stands before the dot is one of them.
fn call<'a>(node: &'a ASTNode<'_>) -> Option<(&'a str, usize, Position)> {
    if let ASTNode::Stmt(Stmt::FnCall(call, at)) | ASTNode::Expr(Expr::FnCall(call, at)) = node {
        Some((call.name.as_str(), call.args.len(), *at))
    } else if let ASTNode::Expr(Expr::MethodCall(call, at)) = node {
        Some((call.name.as_str(), call.args.len() + 1, *at))
    } else {
        None
    }
}
