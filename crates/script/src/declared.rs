//! What `params()` of a script says of a parameter beside its default: `int(10, 2, 200, "bars of the fast average")`.

use rhai::{Dynamic, Engine, EvalAltResult, INT};

use super::numbers::number;
use bot_core::strategy::params::{Param, Value};

/// A parameter that has no name yet.
#[derive(Debug, Clone)]
pub(super) struct Declared(Param);

type DeclareResult = Result<Declared, Box<EvalAltResult>>;

impl Declared {
    /// The parameter, under the name that stands before it.
    pub(super) fn named(self, name: &str) -> Param {
        Param { name: name.to_owned(), ..self.0 }
    }
}

/// Makes the declarations callable; what a parameter does may be left out.
pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Declared>("Parameter")
        .register_fn("int", |default: INT, from: INT, to: INT| int(default, from, to, ""))
        .register_fn("int", int)
        .register_fn("float", |default: Dynamic, from: Dynamic, to: Dynamic| float(&default, &from, &to, ""))
        .register_fn("float", |default: Dynamic, from: Dynamic, to: Dynamic, about: &str| {
            float(&default, &from, &to, about)
        })
        .register_fn("bool", |default: bool, about: &str| Declared(Param::truth("", default, about)))
        .register_fn("text", |default: &str, about: &str| {
            Declared(Param::new("", Value::Text(default.to_owned()), None, about))
        });
}

fn int(default: INT, from: INT, to: INT, about: &str) -> DeclareResult {
    if !(from..=to).contains(&default) {
        return Err(
            format!("int(default, from, to) must have a default from {from} to {to}, was {default}").into()
        );
    }
    Ok(Declared(Param::whole("", default, from, to, about)))
}

fn float(default: &Dynamic, from: &Dynamic, to: &Dynamic, about: &str) -> DeclareResult {
    let (default, from, to) = (number("default", default)?, number("from", from)?, number("to", to)?);
    if !(from..=to).contains(&default) {
        return Err(format!(
            "float(default, from, to) must have a default from {from} to {to}, was {default}"
        )
        .into());
    }
    Ok(Declared(Param::number("", default, from, to, about)))
}
