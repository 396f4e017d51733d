//! The functions of a script that the bot calls: which there are, and which a script has.

use rhai::{AST, EvalAltResult};

use super::engine::{self, fault};
use super::standing;
use bot_core::spelling;
use bot_core::strategy::ScriptFault;

/// What the bot calls.
#[derive(Debug, Clone, Copy)]
pub(super) enum EntryPoint {
    Params,
    Init,
    OnEvent,
    OnTimer,
    OnFill,
    OnOrder,
    Horizon,
    WarmUp,
    Indicators,
    Schedule,
    OnBar,
    OnQuote,
    OnTrade,
    OnNumber,
    OnSchedule,
}

/// Each [`EntryPoint`] in its order: name, how many arguments, how it is written.
pub(super) const ENTRIES: [(&str, usize, &str); 15] = [
    ("params", 0, "fn params()"),
    ("init", 0, "fn init()"),
    ("on_event", 1, "fn on_event(event)"),
    ("on_timer", 1, "fn on_timer(now)"),
    ("on_fill", 1, "fn on_fill(fill)"),
    ("on_order", 1, "fn on_order(end)"),
    ("horizon", 0, "fn horizon()"),
    ("warm_up", 0, "fn warm_up()"),
    ("indicators", 0, "fn indicators()"),
    ("schedule", 0, "fn schedule()"),
    ("on_bar", 1, "fn on_bar(bars)"),
    ("on_quote", 1, "fn on_quote(quote)"),
    ("on_trade", 1, "fn on_trade(trade)"),
    ("on_number", 1, "fn on_number(number)"),
    ("on_schedule", 1, "fn on_schedule(name)"),
];

/// Those without which a script does nothing: one of them must be there.
const HANDLERS: [EntryPoint; 7] = [
    EntryPoint::OnEvent,
    EntryPoint::OnBar,
    EntryPoint::OnQuote,
    EntryPoint::OnTrade,
    EntryPoint::OnNumber,
    EntryPoint::OnTimer,
    EntryPoint::OnSchedule,
];

/// The line of each entry that a script has.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EntryPoints([Option<usize>; ENTRIES.len()]);

impl EntryPoints {
    pub(super) fn of(ast: &AST, file: &str, source: &str) -> Result<Self, ScriptFault> {
        let refuse = |line: Option<usize>, message: String| ScriptFault {
            file: file.to_owned(),
            line,
            column: None,
            message,
        };
        if let Some((name, ..)) = ast.iter_literal_variables(true, true).next() {
            let message =
                format!("a script must be functions only, its state is `this`, was `{name}` outside of them");
            return Err(refuse(line_of(source, |line| line.contains(name)), message));
        }
        let mut entries = Self::default();
        for function in ast.iter_functions() {
            let (name, count) = (function.name, function.params.len());
            let line = line_of_function(source, name);
            let Some(place) = ENTRIES.iter().position(|(entry, ..)| *entry == name) else {
                let entries = || ENTRIES.iter().map(|(entry, ..)| *entry);
                let is_meant = name.starts_with("on_") || spelling::nearest(name, entries()).is_some();
                if is_meant && !standing::is_called(ast, name) {
                    let names = entries().collect::<Vec<_>>().join(", ");
                    let near = spelling::did_you_mean(name, entries());
                    let message =
                        format!("a function that nobody calls must be one of {names}, was {name}{near}");
                    return Err(refuse(line, message));
                }
                continue;
            };
            let (_, arguments, written) = ENTRIES[place];
            if count != arguments {
                let message = format!("{name} must be written as {written}, was with {count} arguments");
                return Err(refuse(line, message));
            }
            entries.0[place] = Some(line.unwrap_or(1));
        }
        if HANDLERS.iter().any(|handler| entries.has(*handler)) {
            return Ok(entries);
        }
        let all: Vec<&str> = HANDLERS.iter().map(|handler| ENTRIES[*handler as usize].2).collect();
        Err(refuse(None, format!("script must have one of {}, was without any", all.join(", "))))
    }

    pub(super) fn has(&self, entry: EntryPoint) -> bool {
        self.0[entry as usize].is_some()
    }

    /// What is wrong with `entry`.
    pub(super) fn fault_at(&self, entry: EntryPoint, file: &str, message: String) -> ScriptFault {
        ScriptFault { file: file.to_owned(), line: self.0[entry as usize], column: None, message }
    }

    /// What went wrong in `entry`; where the library knows no line, it is that of the function.
    pub(super) fn fault_in(&self, entry: EntryPoint, file: &str, error: EvalAltResult) -> ScriptFault {
        let mut fault = fault_of(file, error);
        if fault.file == file {
            fault.line = fault.line.or(self.0[entry as usize]);
        }
        fault
    }
}

/// The innermost error is the one that says what happened and where.
#[allow(clippy::wildcard_enum_match_arm, reason = "the library's text serves for all the other errors")]
fn fault_of(file: &str, mut error: EvalAltResult) -> ScriptFault {
    let mut file = file.to_owned();
    while let EvalAltResult::ErrorInFunctionCall(_, module, inner, _) = error {
        if !module.is_empty() {
            file = module;
        }
        error = *inner;
    }
    let position = error.take_position();
    let message = match error {
        EvalAltResult::ErrorRuntime(thrown, _) => thrown.to_string(),
        EvalAltResult::ErrorTooManyOperations(_) => {
            format!("one call must take at most {} steps, took more: a loop without end?", engine::STEPS_MAX)
        }
        EvalAltResult::ErrorStackOverflow(_) => {
            format!(
                "functions must call each other at most {} deep, was more: one that calls itself?",
                engine::CALL_DEPTH_MAX
            )
        }
        EvalAltResult::ErrorTooManyVariables(_) => {
            format!("a function must have at most {} variables at a time, had more", engine::VARIABLES_MAX)
        }
        EvalAltResult::ErrorDataTooLarge(kind, _) => engine::too_large(&kind),
        other => other.to_string(),
    };
    fault(&file, position, message)
}

pub(super) fn line_of_function(source: &str, name: &str) -> Option<usize> {
    line_of(source, |line| {
        line.trim_start()
            .trim_start_matches("private ")
            .strip_prefix("fn ")
            .and_then(|rest| rest.trim_start().strip_prefix(name))
            .is_some_and(|rest| rest.trim_start().starts_with('('))
    })
}

fn line_of(source: &str, is_it: impl Fn(&str) -> bool) -> Option<usize> {
    source.lines().position(is_it).map(|index| index + 1)
}
