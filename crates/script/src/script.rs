//! A script: compiled, checked, and at work as a strategy.

use std::sync::Arc;
use std::time::Duration;

use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, FuncArgs, Map, Scope};

use super::declared::Declared;
use super::engine::{self, Sink, fault};
use super::{BYTES_MAX, looks, standing, views};
use bot_core::clock::Timestamp;
use bot_core::duration;
use bot_core::market::MarketEvent;
use bot_core::spelling;
use bot_core::strategy::params::{Param, Params, Value, WrittenParams};
use bot_core::strategy::{Fill, Intents, MakeError, OrderEnd, ScriptFault, Strategy, StrategyError, View};
use bot_core::symbol::Symbol;

/// What the bot calls.
#[derive(Debug, Clone, Copy)]
enum EntryPoint {
    Params,
    Init,
    OnEvent,
    OnTimer,
    OnFill,
    OnOrderEnd,
    Horizon,
}

/// Each [`EntryPoint`] in its order: name, how many arguments, how it is written.
const ENTRIES: [(&str, usize, &str); 7] = [
    ("params", 0, "fn params()"),
    ("init", 0, "fn init()"),
    ("on_event", 1, "fn on_event(event)"),
    ("on_timer", 1, "fn on_timer(now)"),
    ("on_fill", 1, "fn on_fill(fill)"),
    ("on_order_end", 1, "fn on_order_end(end)"),
    ("horizon", 0, "fn horizon()"),
];

/// The line of each entry that a script has.
#[derive(Debug, Clone, Copy, Default)]
struct EntryPoints([Option<usize>; ENTRIES.len()]);

/// A script that compiles and has what it must have.
#[derive(Debug, Clone)]
pub struct Script {
    file: Arc<str>,
    ast: AST,
    entries: EntryPoints,
    params: Vec<Param>,
}

impl Script {
    /// Compiles `source`; `file` is the name that faults carry.
    ///
    /// # Errors
    /// Text that is no script, a missing or misnamed function, parameters that are none.
    pub fn compile(file: &str, source: &str) -> Result<Self, ScriptFault> {
        let whole =
            |message: String| ScriptFault { file: file.to_owned(), line: None, column: None, message };
        if source.len() > BYTES_MAX {
            return Err(whole(format!("script must have at most {BYTES_MAX} bytes, was {}", source.len())));
        }
        let engine = engine::new(file, &Sink::default());
        let ast = engine
            .compile(source)
            .map_err(|error| fault(file, error.position(), error.err_type().to_string()))?;
        let entries = EntryPoints::of(&ast, file, source)?;
        let params = if entries.has(EntryPoint::Params) {
            read_params(&engine, &ast, file, &entries)?
        } else {
            Vec::new()
        };
        Ok(Self { file: file.into(), ast, entries, params })
    }

    /// Its file, as it was named.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What its `params()` says, in the order of the names.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The calls that leave an order standing or need one that stands, in the order of the text; each is a fault where
    /// orders must end at once.
    pub fn standing_orders(&self) -> Vec<ScriptFault> {
        standing::calls(&self.ast, &self.file)
    }

    /// Makes one strategy of it.
    ///
    /// # Errors
    /// All faults of the parameters at once, or a failing `init()` or `horizon()`.
    pub fn make(&self, written: &WrittenParams, symbols: &[Symbol]) -> Result<Box<dyn Strategy>, MakeError> {
        let params = Params::check(&self.params, written).map_err(MakeError::Params)?;
        let sink = Sink::default();
        let params: Map = params.iter().map(|(name, value)| (name.into(), dynamic(value))).collect();
        let mut state = Map::new();
        state.insert("params".into(), params.into());
        let symbols: Vec<Dynamic> = symbols.iter().map(|symbol| symbol.as_str().to_owned().into()).collect();
        state.insert("symbols".into(), symbols.into());
        let mut running = RunningScript {
            file: self.file.clone(),
            engine: engine::new(&self.file, &sink),
            ast: self.ast.clone(),
            entries: self.entries,
            state: state.into(),
            calls_until_weighed: 0,
            horizon: None,
            sink,
        };
        if self.entries.has(EntryPoint::Init) {
            running.call(EntryPoint::Init, ()).map_err(MakeError::Script)?;
            running.sink.clear();
        }
        if self.entries.has(EntryPoint::Horizon) {
            running.horizon = Some(running.read_horizon().map_err(MakeError::Script)?);
        }
        Ok(Box::new(running))
    }
}

impl EntryPoints {
    fn of(ast: &AST, file: &str, source: &str) -> Result<Self, ScriptFault> {
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
        if entries.has(EntryPoint::OnEvent) || entries.has(EntryPoint::OnTimer) {
            Ok(entries)
        } else {
            let rule = "script must have fn on_event(event) or fn on_timer(now)";
            Err(refuse(None, format!("{rule}, was without both")))
        }
    }

    fn has(&self, entry: EntryPoint) -> bool {
        self.0[entry as usize].is_some()
    }

    /// What went wrong in `entry`; where the library knows no line, it is that of the function.
    fn fault_in(&self, entry: EntryPoint, file: &str, error: EvalAltResult) -> ScriptFault {
        let mut fault = fault_of(file, error);
        fault.line = fault.line.or(self.0[entry as usize]);
        fault
    }
}

/// A script at work.
struct RunningScript {
    file: Arc<str>,
    engine: Engine,
    ast: AST,
    entries: EntryPoints,
    state: Dynamic,
    calls_until_weighed: usize,
    horizon: Option<Duration>,
    sink: Sink,
}

impl RunningScript {
    fn call(&mut self, entry: EntryPoint, arguments: impl FuncArgs) -> Result<(), ScriptFault> {
        let ended = call(&self.engine, &self.ast, &mut self.state, entry, arguments)
            .map_err(|error| self.entries.fault_in(entry, &self.file, *error))
            .and_then(|_| self.check_size(entry));
        if ended.is_err() {
            self.sink.clear(); // What a failing call wanted is half of something.
        }
        ended
    }

    fn read_horizon(&mut self) -> Result<Duration, ScriptFault> {
        let said = call(&self.engine, &self.ast, &mut self.state, EntryPoint::Horizon, ())
            .map_err(|error| self.entries.fault_in(EntryPoint::Horizon, &self.file, *error))?;
        self.sink.clear();
        let text = said.to_string();
        duration::parse(&text).ok().filter(|horizon| !horizon.is_zero()).ok_or_else(|| ScriptFault {
            file: self.file.to_string(),
            line: self.entries.0[EntryPoint::Horizon as usize],
            column: None,
            message: format!("horizon() must return a duration above 0 such as \"1h\", was \"{text}\""),
        })
    }

    fn check_size(&mut self, entry: EntryPoint) -> Result<(), ScriptFault> {
        if self.calls_until_weighed > 0 {
            self.calls_until_weighed -= 1;
            return Ok(());
        }
        if let Some(weight) = engine::weight_of(&self.state) {
            self.calls_until_weighed = weight / 1_000; // A large state is weighed less often: it takes its time.
            return Ok(());
        }
        self.state = Map::new().into(); // The memory is given back now; without its state it fails from here on.
        let message = format!("`this` must hold at most {} values, was more", engine::STATE_MAX);
        let line = self.entries.0[entry as usize];
        Err(ScriptFault { file: self.file.to_string(), line, column: None, message })
    }

    /// Calls `entry`, where the script has it.
    fn step<A: FuncArgs>(
        &mut self,
        entry: EntryPoint,
        arguments: impl FnOnce() -> A,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        if !self.entries.has(entry) {
            return Ok(());
        }
        looks::at(view, || self.call(entry, arguments())).map_err(StrategyError::failed)?;
        self.sink.drain_into(intents);
        Ok(())
    }
}

impl Strategy for RunningScript {
    fn horizon(&self) -> Option<Duration> {
        self.horizon
    }

    fn on_event(
        &mut self,
        event: &MarketEvent,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.step(EntryPoint::OnEvent, || (views::EventView(*event),), view, intents)
    }

    fn on_timer(
        &mut self,
        now: Timestamp,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.step(EntryPoint::OnTimer, || (now.millis(),), view, intents)
    }

    fn on_fill(&mut self, fill: &Fill, view: &View<'_>, intents: &mut Intents) -> Result<(), StrategyError> {
        self.step(EntryPoint::OnFill, || (views::FillView(*fill),), view, intents)
    }

    fn on_order_end(
        &mut self,
        end: &OrderEnd,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.step(EntryPoint::OnOrderEnd, || (views::EndView(end.clone()),), view, intents)
    }
}

fn read_params(
    engine: &Engine,
    ast: &AST,
    file: &str,
    entries: &EntryPoints,
) -> Result<Vec<Param>, ScriptFault> {
    let refuse = |message: String| ScriptFault {
        file: file.to_owned(),
        line: entries.0[EntryPoint::Params as usize],
        column: None,
        message,
    };
    let said = call(engine, ast, &mut Dynamic::from(Map::new()), EntryPoint::Params, ())
        .map_err(|error| entries.fault_in(EntryPoint::Params, file, *error))?;
    let said: Map = said
        .try_cast()
        .ok_or_else(|| refuse("params() must return a map such as #{ fast: 10 }".to_owned()))?;
    let param = |name: &str, default: &Dynamic| {
        if let Some(declared) = default.clone().try_cast::<Declared>() {
            return Ok(declared.named(name));
        }
        let value = value(default).ok_or_else(|| {
            let kind = default.type_name();
            refuse(format!("parameter {name} must be true, false, a number or a string, was {kind}"))
        })?;
        Ok(Param::new(name, value, None, ""))
    };
    said.iter().map(|(name, default)| param(name, default)).collect()
}

fn call(
    engine: &Engine,
    ast: &AST,
    state: &mut Dynamic,
    entry: EntryPoint,
    arguments: impl FuncArgs,
) -> Result<Dynamic, Box<EvalAltResult>> {
    let options = CallFnOptions::new().eval_ast(false).bind_this_ptr(state);
    engine.call_fn_with_options(options, &mut Scope::new(), ast, ENTRIES[entry as usize].0, arguments)
}

/// The innermost error is the one that says what happened and where.
#[allow(clippy::wildcard_enum_match_arm, reason = "the library's text serves for all the other errors")]
fn fault_of(file: &str, mut error: EvalAltResult) -> ScriptFault {
    while let EvalAltResult::ErrorInFunctionCall(_, _, inner, _) = error {
        error = *inner;
    }
    let position = error.take_position();
    let message = match error {
        EvalAltResult::ErrorRuntime(thrown, _) => thrown.to_string(),
        EvalAltResult::ErrorTooManyOperations(_) => {
            format!("one call must take at most {} steps, took more: a loop without end?", engine::STEPS_MAX)
        }
        other => other.to_string(),
    };
    fault(file, position, message)
}

fn line_of_function(source: &str, name: &str) -> Option<usize> {
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

fn value(found: &Dynamic) -> Option<Value> {
    if let Ok(truth) = found.as_bool() {
        Some(Value::Truth(truth))
    } else if let Ok(whole) = found.as_int() {
        Some(Value::Whole(whole))
    } else if let Ok(number) = found.as_float() {
        number.is_finite().then_some(Value::Number(number))
    } else {
        found.clone().into_string().ok().map(Value::Text)
    }
}

fn dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Truth(truth) => (*truth).into(),
        Value::Whole(whole) => (*whole).into(),
        Value::Number(number) => (*number).into(),
        Value::Text(text) => text.clone().into(),
    }
}

#[cfg(test)]
mod tests;
