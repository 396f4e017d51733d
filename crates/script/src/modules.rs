//! `import "name" as x;`: functions of other files of a script's folder, read once and checked before the script runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{
    AST, ASTNode, Engine, EvalAltResult, Expr, Module, ModuleResolver, Position, Scope, Shared, Stmt,
};

use super::engine::{fault, not_compiled};
use super::{BYTES_MAX, ReadModule, names};
use bot_core::strategy::ScriptFault;

/// Modules of one script, those that modules import included.
const MODULES_MAX: usize = 16;
/// Characters of a module's name.
const NAME_MAX: usize = 64;
/// What a strategy's file ends in before its `.rhai`.
const STRATEGY: &str = "_strategy";

/// The text of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleText {
    /// By which it is imported.
    pub name: String,
    /// Its file, as faults name it.
    pub file: String,
    /// What stands in it.
    pub text: String,
}

/// What a script imports.
#[derive(Debug, Clone, Default)]
pub(super) struct Modules {
    /// By the name that the script gives it.
    named: Vec<(String, Shared<Module>)>,
    /// All of them, in the order in which they were imported first.
    pub(super) texts: Vec<ModuleText>,
    /// Each with its file.
    pub(super) trees: Vec<(AST, String)>,
}

impl Modules {
    /// Reads and checks what `ast` imports, and what that imports; `engine` is one that nothing runs on.
    ///
    /// # Errors
    /// An import that is none, cannot be read, or leads in a circle; a module that is not functions only.
    pub(super) fn load(
        engine: &mut Engine,
        ast: &AST,
        file: &str,
        read: &ReadModule<'_>,
    ) -> Result<Self, ScriptFault> {
        let loaded = Loaded::default();
        engine.set_module_resolver(loaded.clone());
        let mut loading =
            Loading { engine, read, loaded, texts: Vec::new(), trees: Vec::new(), way: Vec::new() };
        let named = loading.imports_of(ast, file)?;
        let Loading { texts, trees, .. } = loading;
        Ok(Self { named, texts, trees })
    }

    /// Lets the functions of a script that runs on `engine` call them.
    pub(super) fn register(&self, engine: &mut Engine) {
        for (name, module) in &self.named {
            engine.register_static_module(name, Shared::clone(module));
        }
    }
}

/// Modules that are ready, by name.
#[derive(Clone, Default)]
struct Loaded(Arc<Mutex<BTreeMap<String, Shared<Module>>>>);

impl Loaded {
    fn get(&self, name: &str) -> Option<Shared<Module>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn put(&self, name: &str, module: Shared<Module>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), module);
    }
}

impl ModuleResolver for Loaded {
    fn resolve(
        &self,
        _: &Engine,
        _: Option<&str>,
        path: &str,
        at: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        self.get(path).ok_or_else(|| EvalAltResult::ErrorModuleNotFound(path.to_owned(), at).into())
    }
}

struct Loading<'a, 'r> {
    engine: &'a Engine,
    read: &'a ReadModule<'r>,
    loaded: Loaded,
    texts: Vec<ModuleText>,
    trees: Vec<(AST, String)>,
    /// Those that are being read, each imported by the one before it.
    way: Vec<String>,
}

impl Loading<'_, '_> {
    fn imports_of(&mut self, ast: &AST, file: &str) -> Result<Vec<(String, Shared<Module>)>, ScriptFault> {
        let mut named: Vec<(String, Shared<Module>)> = Vec::new();
        for Import { name, alias, at } in imports(ast, file)? {
            if named.iter().any(|(other, _)| *other == alias) {
                let message = format!("each import must have a name of its own, was \"{alias}\" twice");
                return Err(fault(file, at, message));
            }
            let module = match self.loaded.get(&name) {
                Some(module) => module,
                None => self.module(&name, file, at)?,
            };
            named.push((alias, module));
        }
        Ok(named)
    }

    /// Reads the module that `file` imports at a place of it.
    fn module(&mut self, name: &str, file: &str, at: Position) -> Result<Shared<Module>, ScriptFault> {
        check_name(name).map_err(|message| fault(file, at, message))?;
        if self.way.iter().any(|other| other == name) {
            let way = self.way.join(" imports ");
            return Err(fault(
                file,
                at,
                format!("modules must not import each other in a circle, was {way} imports {name}"),
            ));
        }
        if self.texts.len() >= MODULES_MAX {
            let message = format!("a script must import at most {MODULES_MAX} modules, was more");
            return Err(fault(file, at, message));
        }
        let (own, text) = (self.read)(name).map_err(|message| fault(file, at, message))?;
        if text.len() > BYTES_MAX {
            let message = format!("a module must have at most {BYTES_MAX} bytes, was {}", text.len());
            return Err(fault(file, at, message));
        }
        let compiled = self.engine.compile(&text);
        let mut ast = compiled.map_err(|error| not_compiled(&own, &text, &error))?;
        check_functions(&ast, &own)?;
        names::check(&ast, &own, &text)?;
        self.texts.push(ModuleText { name: name.to_owned(), file: own.clone(), text });
        self.way.push(name.to_owned());
        self.imports_of(&ast, &own)?;
        self.way.pop();
        ast.set_source(own.as_str());
        // Nothing runs but its imports.
        let made = Module::eval_ast_as_new(Scope::new(), &ast, self.engine);
        let mut module = made.map_err(|error| fault(&own, error.position(), error.to_string()))?;
        module.build_index();
        let module = Shared::new(module);
        self.loaded.put(name, Shared::clone(&module));
        self.trees.push((ast, own));
        Ok(module)
    }
}

struct Import {
    name: String,
    alias: String,
    at: Position,
}

/// What stands outside of the functions of a file: imports and nothing else.
fn imports(ast: &AST, file: &str) -> Result<Vec<Import>, ScriptFault> {
    let mut found = Vec::new();
    for statement in ast.statements() {
        let Stmt::Import(import, at) = statement else {
            let message = "a script must be functions and imports only, was a statement outside of functions";
            return Err(fault(file, statement.position(), message.to_owned()));
        };
        let (path, alias) = &**import;
        let Expr::StringConstant(name, _) = path else {
            let message =
                "import must name a module in quotes, such as import \"name\" as x;, was an expression";
            return Err(fault(file, *at, message.to_owned()));
        };
        if alias.name.is_empty() {
            let message = format!("import must be written as import \"{name}\" as x;, was without a name");
            return Err(fault(file, *at, message));
        }
        found.push(Import { name: name.to_string(), alias: alias.name.to_string(), at: *at });
    }
    let mut inside = None;
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let Some(ASTNode::Stmt(Stmt::Import(_, at))) = path.last()
            && found.iter().all(|own: &Import| own.at != *at)
        {
            inside.get_or_insert(*at);
        }
        true
    });
    let message = "import must stand outside of functions, was within one";
    inside.map_or(Ok(found), |at| Err(fault(file, at, message.to_owned())))
}

/// A module's functions have no state: what they need is given to them.
fn check_functions(ast: &AST, file: &str) -> Result<(), ScriptFault> {
    let mut this = None;
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let Some(ASTNode::Expr(Expr::ThisPtr(at))) = path.last() {
            this.get_or_insert(*at);
        }
        true
    });
    let message = "a function of a module must not use `this`: it must take what it needs as an argument";
    this.map_or(Ok(()), |at| Err(fault(file, at, message.to_owned())))
}

fn check_name(name: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(is_allowed) {
        return Err(format!(
            "a module must be NAME of a file NAME.rhai in the script's folder, 1 to {NAME_MAX} of a-z, A-Z, 0-9, _ and -, was \"{}\"",
            name.escape_debug()
        ));
    }
    if name.ends_with(STRATEGY) {
        return Err(format!("a module must not end in {STRATEGY}, which is a strategy, was \"{name}\""));
    }
    Ok(())
}
