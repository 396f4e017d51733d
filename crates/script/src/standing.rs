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
         was buy(symbol, quantity, limit)",
    ),
    (
        "sell",
        3,
        "a limit order must be sell(symbol, quantity, limit, \"ioc\") until standing orders exist, \
         was sell(symbol, quantity, limit)",
    ),
    ("cancel_all", 0, "nothing must be cancelled until standing orders exist, was cancel_all()"),
];

/// Each call in the order of the text. A function of the script's own that has the same name and as many arguments is
/// another one.
pub(super) fn calls(ast: &AST, file: &str) -> Vec<ScriptFault> {
    let is_own = |name: &str, count| {
        ast.iter_functions().any(|function| function.name == name && function.params.len() == count)
    };
    let mut found = Vec::new();
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let Some((name, count, at)) = path.last().and_then(call)
            && let Some((.., said)) = STANDING.iter().find(|(kind, n, _)| *kind == name && *n == count)
            && !is_own(name, count)
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
