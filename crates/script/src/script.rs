//! A script: compiled, checked, and at work as a strategy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rhai::{
    AST, Array, CallFnOptions, Dynamic, Engine, EvalAltResult, FuncArgs, Map, Scope, format_map_as_json,
};

use super::declared::Declared;
use super::engine::{self, Sink};
use super::entry_points::{ENTRIES, EntryPoint, EntryPoints};
use super::log::ScriptLog;
use super::modules::{ModuleText, Modules};
use super::{BYTES_MAX, ReadModule, looks, names, needs, scope, standing, views};
use bot_core::clock::Timestamp;
use bot_core::market::{MarketEvent, Number, Quote, Trade};
use bot_core::strategy::params::{Param, Params, Value, WrittenParams};
use bot_core::strategy::{
    BarSlice, Fill, Intents, MakeError, Needs, OrderEnd, Schedule, ScriptFault, Strategy, StrategyError, View,
};
use bot_core::symbol::Symbol;

/// The entry of `this` that outlives a restart.
const STATE: &str = "state";

/// A script that compiles and has what it must have.
#[derive(Debug, Clone)]
pub struct Script {
    file: Arc<str>,
    ast: AST,
    entries: EntryPoints,
    params: Vec<Param>,
    modules: Modules,
}

impl Script {
    /// Compiles `source`, which may import nothing; `file` is the name that faults carry.
    ///
    /// # Errors
    /// Text that is no script, a missing or misnamed function, parameters that are none.
    pub fn compile(file: &str, source: &str) -> Result<Self, ScriptFault> {
        let refuse = |name: &str| {
            Err(format!(
                "a script that imports must be a file of a folder, was a text that imports \"{name}\""
            ))
        };
        Self::compile_with(file, source, &refuse)
    }

    /// Compiles `source`, whose modules are what `read` finds.
    ///
    /// # Errors
    /// As [`Script::compile`], and the faults of its modules, each with the module's file.
    pub fn compile_with(file: &str, source: &str, read: &ReadModule<'_>) -> Result<Self, ScriptFault> {
        let whole =
            |message: String| ScriptFault { file: file.to_owned(), line: None, column: None, message };
        if source.len() > BYTES_MAX {
            return Err(whole(format!("script must have at most {BYTES_MAX} bytes, was {}", source.len())));
        }
        let mut engine = engine::new(&ScriptLog::new(file), &Sink::default(), &Arc::default());
        let ast = engine.compile(source).map_err(|error| engine::not_compiled(file, source, &error))?;
        let entries = EntryPoints::of(&ast, file, source)?;
        names::check(&ast, file, source)?;
        let modules = Modules::load(&mut engine, &ast, file, read)?;
        modules.register(&mut engine);
        let params = if entries.has(EntryPoint::Params) {
            read_params(&engine, &ast, file, &entries)?
        } else {
            Vec::new()
        };
        Ok(Self { file: file.into(), ast, entries, params, modules })
    }

    /// Its file, as it was named.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What it imports, and what that imports, as it was read.
    pub fn modules(&self) -> &[ModuleText] {
        &self.modules.texts
    }

    /// What its `params()` says, in the order of the names.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The calls that leave an order standing or need one that stands, in the order of the text; each is a fault where
    /// orders must end at once.
    pub fn standing_orders(&self) -> Vec<ScriptFault> {
        let modules = self.modules.trees.iter().flat_map(|(ast, file)| standing::calls(ast, file));
        standing::calls(&self.ast, &self.file).into_iter().chain(modules).collect()
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
        state.insert(STATE.into(), Map::new().into());
        let (steps, log) = (Arc::default(), ScriptLog::new(&self.file));
        let mut engine = engine::new(&log, &sink, &steps);
        self.modules.register(&mut engine);
        let mut running = RunningScript {
            file: self.file.clone(),
            engine,
            ast: self.ast.clone(),
            entries: self.entries,
            keeps_state: standing::keeps_state(&self.ast),
            state: state.into(),
            calls_until_weighed: 0,
            needs: Needs::default(),
            sink,
            log,
            steps,
            used: Used::default(),
        };
        if self.entries.has(EntryPoint::Init) {
            running.call(EntryPoint::Init, ()).map_err(MakeError::Script)?;
            running.sink.clear();
        }
        running.needs = self.needs(&mut running).map_err(MakeError::Script)?;
        views::register_indicators(&mut running.engine, &running.needs.indicators).map_err(|message| {
            MakeError::Script(self.entries.fault_at(EntryPoint::Indicators, &self.file, message))
        })?;
        Ok(Box::new(running))
    }

    /// What its functions without arguments ask for.
    fn needs(&self, running: &mut RunningScript) -> Result<Needs, ScriptFault> {
        let mut needs = Needs::default();
        let mut trees = self.modules.trees.iter().map(|(ast, _)| ast).chain([&self.ast]);
        if trees.any(|ast| looks::of_history().any(|look| standing::is_called_with(ast, look))) {
            needs.history = looks::HISTORY_MAX;
        }
        needs.horizon = running.ask(EntryPoint::Horizon, needs::horizon)?;
        needs.warm_up = running.ask(EntryPoint::WarmUp, needs::warm_up)?.unwrap_or_default();
        needs.indicators = running.ask(EntryPoint::Indicators, needs::indicators)?.unwrap_or_default();
        needs.schedules = running.ask(EntryPoint::Schedule, needs::schedules)?.unwrap_or_default();
        Ok(needs)
    }
}

/// A script at work.
struct RunningScript {
    file: Arc<str>,
    engine: Engine,
    ast: AST,
    entries: EntryPoints,
    /// Whether it keeps anything in `this`.
    keeps_state: bool,
    state: Dynamic,
    calls_until_weighed: usize,
    needs: Needs,
    sink: Sink,
    log: ScriptLog,
    /// Of the call that is under way.
    steps: Arc<AtomicU64>,
    used: Used,
}

/// The most that one call took.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    steps: u64,
    values: usize,
}

impl RunningScript {
    /// A call that fails changes nothing: its intents are gone, and its state is what it was before.
    fn call(&mut self, entry: EntryPoint, arguments: impl FuncArgs) -> Result<(), ScriptFault> {
        let before = self.keeps_state.then(|| self.state.clone());
        let ended = call(&self.engine, &self.ast, &mut self.state, entry, arguments)
            .map_err(|error| self.entries.fault_in(entry, &self.file, *error))
            .and_then(|_| if self.keeps_state { self.check_size(entry) } else { Ok(()) });
        self.used.steps = self.used.steps.max(self.steps.load(Ordering::Relaxed));
        self.log.end_call();
        if ended.is_err() {
            self.sink.clear();
            if let Some(before) = before {
                self.state = before;
            }
        }
        ended
    }

    /// What `entry` says, where the script has it.
    fn ask<Said>(
        &mut self,
        entry: EntryPoint,
        read: impl FnOnce(&Dynamic) -> Result<Said, String>,
    ) -> Result<Option<Said>, ScriptFault> {
        if !self.entries.has(entry) {
            return Ok(None);
        }
        let said = call(&self.engine, &self.ast, &mut self.state, entry, ())
            .map_err(|error| self.entries.fault_in(entry, &self.file, *error))?;
        self.sink.clear();
        let refuse = |message| self.entries.fault_at(entry, &self.file, message);
        read(&said).map(Some).map_err(refuse)
    }

    fn check_size(&mut self, entry: EntryPoint) -> Result<(), ScriptFault> {
        if self.calls_until_weighed > 0 {
            self.calls_until_weighed -= 1;
            return Ok(());
        }
        if let Some(weight) = engine::weight_of(&self.state) {
            self.calls_until_weighed = weight / 1_000; // A large state is weighed less often: it takes its time.
            self.used.values = self.used.values.max(weight);
            return Ok(());
        }
        let most = engine::STATE_MAX;
        let largest = engine::largest_of(&self.state).unwrap_or_default();
        let message = format!("`this` must hold at most {most} values, was more; most are in this.{largest}");
        Err(self.entries.fault_at(entry, &self.file, message))
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
        scope::at(view, || self.call(entry, arguments())).map_err(StrategyError::failed)?;
        self.sink.drain_into(intents)
    }

    /// Calls the function of the event's kind, or the one of all events.
    fn step_or_event(
        &mut self,
        entry: EntryPoint,
        event: MarketEvent,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        let entry = if self.entries.has(entry) { entry } else { EntryPoint::OnEvent };
        self.step(entry, || (views::EventView(event),), view, intents)
    }
}

impl Strategy for RunningScript {
    fn needs(&self) -> Needs {
        self.needs.clone()
    }

    fn on_event(
        &mut self,
        event: &MarketEvent,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.step(EntryPoint::OnEvent, || (views::EventView(*event),), view, intents)
    }

    fn on_bar(
        &mut self,
        bars: &BarSlice<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        if !self.entries.has(EntryPoint::OnBar) {
            return bars.events().iter().try_for_each(|event| self.on_event(event, view, intents));
        }
        let bars: Array = bars.events().iter().map(|event| Dynamic::from(views::EventView(*event))).collect();
        self.step(EntryPoint::OnBar, || (bars,), view, intents)
    }

    fn on_quote(
        &mut self,
        symbol: Symbol,
        quote: &Quote,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.step_or_event(EntryPoint::OnQuote, MarketEvent::Quote { symbol, quote: *quote }, view, intents)
    }

    fn on_trade(
        &mut self,
        symbol: Symbol,
        trade: &Trade,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.step_or_event(EntryPoint::OnTrade, MarketEvent::Trade { symbol, trade: *trade }, view, intents)
    }

    fn on_number(
        &mut self,
        symbol: Symbol,
        number: &Number,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.step_or_event(
            EntryPoint::OnNumber,
            MarketEvent::Number { symbol, number: *number },
            view,
            intents,
        )
    }

    fn on_schedule(
        &mut self,
        schedule: &Schedule,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.step(EntryPoint::OnSchedule, || (schedule.as_str().to_owned(),), view, intents)
    }

    fn state(&self) -> Option<String> {
        let state = self.state.as_map_ref().ok()?.get(STATE)?.clone();
        state.try_cast::<Map>().map(|state| format_map_as_json(&state))
    }

    fn restore_state(&mut self, state: &str) -> Result<(), StrategyError> {
        let kept = self.engine.parse_json(state, true).map_err(StrategyError::failed)?;
        if let Some(mut state) = self.state.write_lock::<Map>() {
            state.insert(STATE.into(), kept.into());
        }
        Ok(())
    }

    fn used(&self) -> Option<String> {
        let Used { steps, values } = self.used;
        let (steps_max, values_max) = (engine::STEPS_MAX, engine::STATE_MAX);
        Some(format!(
            "at most {steps} of {steps_max} steps in one call, {values} of {values_max} values in `this`"
        ))
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

    fn on_order(
        &mut self,
        end: &OrderEnd,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.step(EntryPoint::OnOrder, || (views::EndView(end.clone()),), view, intents)
    }
}

fn read_params(
    engine: &Engine,
    ast: &AST,
    file: &str,
    entries: &EntryPoints,
) -> Result<Vec<Param>, ScriptFault> {
    let refuse = |message: String| entries.fault_at(EntryPoint::Params, file, message);
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
