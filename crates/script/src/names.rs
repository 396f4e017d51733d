//! The names of the bot's functions that a script must not take for its own: what it wants, knows and looks at.

use rhai::AST;

use super::entry_points::line_of_function;
use super::looks;
use bot_core::strategy::ScriptFault;

/// Each with how many arguments.
const NAMES: [(&str, usize); 29] = [
    ("signal", 2),
    ("order_target_percent", 2),
    ("set_holdings", 1),
    ("close", 1),
    ("buy", 2),
    ("buy", 3),
    ("buy", 4),
    ("sell", 2),
    ("sell", 3),
    ("sell", 4),
    ("cancel_all", 0),
    ("position", 1),
    ("open_orders", 1),
    ("average_price", 1),
    ("profit", 1),
    ("bars_held", 1),
    ("cash", 0),
    ("equity", 0),
    ("buying_power", 0),
    ("holdings", 0),
    ("now", 0),
    ("session", 0),
    ("indicator", 2),
    ("indicator", 3),
    ("latest", 1),
    ("latest", 2),
    ("bar_index", 1),
    ("time_of", 1),
    ("is_warming_up", 0),
];

/// A function of the same name and as many arguments would be called in the place of the bot's.
pub(super) fn check(ast: &AST, file: &str, source: &str) -> Result<(), ScriptFault> {
    let is_taken = |own: (&str, usize)| NAMES.into_iter().chain(looks::of_history()).any(|name| name == own);
    let taken = ast.iter_functions().find(|function| is_taken((function.name, function.params.len())));
    let Some(function) = taken else { return Ok(()) };
    let (name, arguments) = (function.name, function.params.join(", "));
    let message =
        format!("a function must not take the place of the bot's own {name}, was fn {name}({arguments})");
    Err(ScriptFault { file: file.to_owned(), line: line_of_function(source, name), column: None, message })
}

#[cfg(test)]
mod tests {
    use super::super::log::ScriptLog;
    use std::sync::Arc;

    use rhai::{Dynamic, Map, Scope};

    use super::*;
    use crate::engine::{self, Sink};

    #[test]
    fn each_name_is_one_of_the_bots_functions() {
        let engine = engine::new(&ScriptLog::new("x"), &Sink::default(), &Arc::default());
        for (name, count) in NAMES.into_iter().chain(looks::of_history()) {
            let values = || {
                ["A".into(), Dynamic::from(1_i64), Dynamic::from(Map::new()), Dynamic::from("ioc")]
                    .into_iter()
            };
            let mut calls = vec![Vec::new()];
            for _ in 0..count {
                let longer = |call: &Vec<Dynamic>| {
                    let call = call.clone();
                    values().map(move |value| [&call[..], &[value]].concat())
                };
                calls = calls.iter().flat_map(longer).collect();
            }
            let letters = ["a", "b", "c", "d"][..count].join(", ");
            let ast = engine.compile(format!("fn calls({letters}) {{ {name}({letters}) }}")).unwrap();
            let is_there = calls.into_iter().any(|arguments| {
                let called = engine.call_fn::<Dynamic>(&mut Scope::new(), &ast, "calls", arguments);
                called.map_or_else(|error| !error.to_string().contains("Function not found"), |_| true)
            });
            assert!(is_there, "{name} with {count} arguments");
        }
    }
}
