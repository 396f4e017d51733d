//! The sandbox: what a script may call, and how much of everything it may use.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::packages::{Package, StandardPackage};
use rhai::{Dynamic, Engine, EvalAltResult, FLOAT, INT, Map, ParseError, ParseErrorType, Position};

use super::log::{self, ScriptLog};
use super::numbers::number;
use super::scope::heard;
use super::{comparisons, declared, formulas, knows, looks, options, views};
use bot_core::order::{OrderType, Side, TimeInForce};
use bot_core::sizing::{SizeRule, SizeRuleError};
use bot_core::strategy::{Intent, Intents, ScriptFault, StrategyError, Strength, Tag, TargetWeight};
use bot_core::units::{Price, Quantity};

// A year of a public strategy fits in: twenty symbols with 252 values each, and some dozens of loops over a thousand.
// The library does not weigh a list that is put into a map, so within one call the product of steps and elements bounds
// memory: each step can copy one list. What lasts longer than a call is weighed by `weight_of`.

/// Steps of one call: some hundred milliseconds at most.
pub(super) const STEPS_MAX: u64 = 1_000_000;
/// Values in `this`, all that is nested in it counted, 16 bytes of text as one.
pub(super) const STATE_MAX: usize = 100_000;
/// Functions within functions.
pub(super) const CALL_DEPTH_MAX: usize = 32;
/// Variables of functions that have called each other.
pub(super) const VARIABLES_MAX: usize = 256;
/// Expressions within expressions, outside and inside of functions.
const NESTING_MAX: usize = 64;
/// Bytes of one string.
const STRING_MAX: usize = 10_000;
/// Elements of one list, all that is nested in it counted.
const LIST_MAX: usize = 10_000;
/// Entries of one map, all that is nested in it counted.
const MAP_MAX: usize = 2_000;
/// Intents of one call, and points that it plots.
const INTENTS_MAX: usize = 1_000;

/// How a script says that what does not fill at once is cancelled.
const IMMEDIATE: &str = "ioc";

type CallResult = Result<(), Box<EvalAltResult>>;

/// Where the functions of a script put its intents and what it plots.
#[derive(Debug, Clone, Default)]
pub(super) struct Sink(Arc<Mutex<Intents>>);

impl Sink {
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    pub(super) fn drain_into(&self, intents: &mut Intents) -> Result<(), StrategyError> {
        intents.append(&mut self.lock())
    }

    fn push(&self, intent: Intent) -> CallResult {
        self.lock_for_more()?.push(intent);
        Ok(())
    }

    fn plot(&self, name: &str, value: f64) -> CallResult {
        Ok(self.lock_for_more()?.plot(name, value).map_err(|error| error.to_string())?)
    }

    fn lock_for_more(&self) -> Result<MutexGuard<'_, Intents>, Box<EvalAltResult>> {
        let intents = self.lock();
        if intents.len() >= INTENTS_MAX {
            return Err(format!("one call must want and plot at most {INTENTS_MAX} things, was more").into());
        }
        Ok(intents)
    }

    fn signal(&self, symbol: &str, strength: &Dynamic, tag: Option<Tag>) -> CallResult {
        let strength = Strength::new(number("signal", strength)?).map_err(|error| error.to_string())?;
        self.push(Intent::Signal { symbol: heard(symbol)?, strength, tag })
    }

    fn weight(&self, symbol: &str, weight: &Dynamic, tag: Option<Tag>) -> CallResult {
        let weight = TargetWeight::new(number("weight", weight)?).map_err(|error| error.to_string())?;
        self.push(Intent::Weight { symbol: heard(symbol)?, weight, tag })
    }

    fn holdings(&self, weights: &Map, tag: Option<Tag>) -> CallResult {
        let weights = weights.iter().map(|(symbol, weight)| {
            let weight = TargetWeight::new(number("weight", weight)?).map_err(|error| error.to_string())?;
            Ok::<_, Box<EvalAltResult>>((heard(symbol)?, weight))
        });
        let weights = weights.collect::<Result<_, _>>()?;
        self.push(Intent::Holdings { weights, tag })
    }

    fn order(&self, side: Side, symbol: &str, order: &Order<'_>, tag: Option<Tag>) -> CallResult {
        let order_type = match order.limit {
            None => OrderType::Market,
            Some(limit) => {
                let limit = Price::from_f64(number("limit", limit)?);
                OrderType::Limit(limit.map_err(|error| error.to_string())?)
            }
        };
        self.push(Intent::Order {
            symbol: heard(symbol)?,
            side,
            size: size_of(order.size)?,
            order_type,
            time_in_force: order.time_in_force,
            tag,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Intents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An engine for one script, whose intents go into `sink`.
pub(super) fn new(log: &ScriptLog, sink: &Sink, steps: &Arc<AtomicU64>) -> Engine {
    let mut engine = Engine::new_raw();
    StandardPackage::new().register_into_engine(&mut engine);
    limit(&mut engine);
    comparisons::register(&mut engine);
    declared::register(&mut engine);
    views::register(&mut engine);
    looks::register(&mut engine);
    knows::register(&mut engine);
    formulas::register(&mut engine);
    log::register(&mut engine, log);
    register_intents(&mut engine, sink);
    let steps = Arc::clone(steps);
    engine.on_progress(move |done| {
        steps.store(done, Ordering::Relaxed);
        None
    });
    engine
}

/// How many values there are in `state`, or none when they are more than [`STATE_MAX`].
pub(super) fn weight_of(state: &Dynamic) -> Option<usize> {
    let mut left = STATE_MAX;
    weigh(state, &mut left)?;
    Some(STATE_MAX - left)
}

/// The name of the entry of `state` that holds the most.
pub(super) fn largest_of(state: &Dynamic) -> Option<String> {
    let state = state.as_map_ref().ok()?;
    let weight = |value: &Dynamic| {
        let mut left = usize::MAX;
        weigh(value, &mut left).map_or(usize::MAX, |()| usize::MAX - left)
    };
    state.iter().max_by_key(|(_, value)| weight(value)).map(|(name, _)| name.to_string())
}

/// None when it takes more than what is `left`.
fn weigh(value: &Dynamic, left: &mut usize) -> Option<()> {
    let own = 1
        + value.as_immutable_string_ref().map_or(0, |text| text.len() / 16)
        + value.as_blob_ref().map_or(0, |bytes| bytes.len() / 16);
    *left = left.checked_sub(own)?;
    if let Ok(list) = value.as_array_ref() {
        list.iter().try_for_each(|item| weigh(item, left))?;
    }
    if let Ok(map) = value.as_map_ref() {
        map.values().try_for_each(|item| weigh(item, left))?;
    }
    Some(())
}

fn limit(engine: &mut Engine) {
    engine
        .set_max_operations(STEPS_MAX)
        .set_max_call_levels(CALL_DEPTH_MAX)
        .set_max_expr_depths(NESTING_MAX, NESTING_MAX)
        .set_max_variables(VARIABLES_MAX)
        .set_max_functions(256)
        .set_max_string_size(STRING_MAX)
        .set_max_array_size(LIST_MAX)
        .set_max_map_size(MAP_MAX)
        .set_strict_variables(true)
        .set_fail_on_invalid_map_property(true)
        .disable_symbol("eval");
    // The library's own would hold the thread up.
    engine.register_fn("sleep", |_: INT| no_sleep()).register_fn("sleep", |_: FLOAT| no_sleep());
}

fn no_sleep() -> CallResult {
    Err("a strategy must not sleep; its time is that of the events".into())
}

/// An order as a script writes it.
struct Order<'a> {
    size: &'a Dynamic,
    limit: Option<&'a Dynamic>,
    time_in_force: TimeInForce,
}

impl<'a> Order<'a> {
    const fn at_market(size: &'a Dynamic) -> Self {
        Self { size, limit: None, time_in_force: TimeInForce::Ioc }
    }

    /// At the limit or better; what does not fill at once is cancelled.
    fn at_limit(size: &'a Dynamic, limit: &'a Dynamic, until: &str) -> Result<Self, Box<EvalAltResult>> {
        if until != IMMEDIATE {
            return Err(format!("time in force must be \"{IMMEDIATE}\", was \"{until}\"").into());
        }
        Ok(Self { size, limit: Some(limit), time_in_force: TimeInForce::Ioc })
    }
}

/// Each may have a map of options as its last argument.
fn register_intents(engine: &mut Engine, sink: &Sink) {
    let to = sink.clone();
    register_of_number(engine, "signal", move |symbol, strength| to.signal(symbol, strength, None));
    let to = sink.clone();
    engine.register_fn("signal", move |symbol: &str, strength: Dynamic, options: Map| {
        to.signal(symbol, &strength, options::tag(&options)?)
    });
    let to = sink.clone();
    register_of_number(engine, "order_target_percent", move |symbol, weight| to.weight(symbol, weight, None));
    let to = sink.clone();
    engine.register_fn("order_target_percent", move |symbol: &str, weight: Dynamic, options: Map| {
        to.weight(symbol, &weight, options::tag(&options)?)
    });
    let to = sink.clone();
    engine.register_fn("set_holdings", move |weights: Map| to.holdings(&weights, None));
    let to = sink.clone();
    engine.register_fn("set_holdings", move |weights: Map, options: Map| {
        to.holdings(&weights, options::tag(&options)?)
    });
    let to = sink.clone();
    engine.register_fn("close", move |symbol: &str| to.weight(symbol, &Dynamic::FLOAT_ZERO, None));
    let to = sink.clone();
    engine.register_fn("close", move |symbol: &str, options: Map| {
        to.weight(symbol, &Dynamic::FLOAT_ZERO, options::tag(&options)?)
    });
    let to = sink.clone();
    engine.register_fn("cancel_all", move || to.push(Intent::CancelAll));
    let to = sink.clone();
    engine.register_fn("plot", move |name: &str, value: Dynamic| {
        to.plot(name, number(&format!("plot \"{name}\""), &value)?)
    });
    register_orders(engine, sink, "buy", Side::Buy);
    register_orders(engine, sink, "sell", Side::Sell);
}

/// Of a symbol and a number. The library finds what takes the types of its arguments at the first try, and what takes any
/// value at the last.
fn register_of_number(
    engine: &mut Engine,
    name: &str,
    call: impl Fn(&str, &Dynamic) -> CallResult + Clone + Send + Sync + 'static,
) {
    let (of_whole, of_fraction) = (call.clone(), call.clone());
    engine
        .register_fn(name, move |symbol: &str, number: INT| of_whole(symbol, &number.into()))
        .register_fn(name, move |symbol: &str, number: FLOAT| of_fraction(symbol, &number.into()))
        .register_fn(name, move |symbol: &str, number: Dynamic| call(symbol, &number));
}

fn register_orders(engine: &mut Engine, sink: &Sink, name: &str, side: Side) {
    let to = sink.clone();
    engine.register_fn(name, move |symbol: &str, size: Dynamic| {
        to.order(side, symbol, &Order::at_market(&size), None)
    });
    let to = sink.clone();
    engine.register_fn(name, move |symbol: &str, size: Dynamic, options: Map| {
        to.order(side, symbol, &Order::at_market(&size), options::tag(&options)?)
    });
    let to = sink.clone();
    engine.register_fn(name, move |symbol: &str, size: Dynamic, limit: Dynamic| {
        let (limit, time_in_force) = (Some(&limit), TimeInForce::Day);
        to.order(side, symbol, &Order { size: &size, limit, time_in_force }, None)
    });
    let to = sink.clone();
    engine.register_fn(name, move |symbol: &str, size: Dynamic, limit: Dynamic, until: &str| {
        to.order(side, symbol, &Order::at_limit(&size, &limit, until)?, None)
    });
    let to = sink.clone();
    engine.register_fn(
        name,
        move |symbol: &str, size: Dynamic, limit: Dynamic, until: &str, options: Map| {
            to.order(side, symbol, &Order::at_limit(&size, &limit, until)?, options::tag(&options)?)
        },
    );
}

/// A number of shares, or `"10%"` of the book's equity, `"$1000"`, `"5sh"`.
fn size_of(written: &Dynamic) -> Result<SizeRule, Box<EvalAltResult>> {
    if let Ok(text) = written.as_immutable_string_ref() {
        let size: SizeRule = text.parse().map_err(|error: SizeRuleError| error.to_string())?;
        return match size {
            SizeRule::All => {
                Err("size of an order must be shares, dollars or a percentage, was \"all\"".into())
            }
            SizeRule::Fraction(_) | SizeRule::Shares(_) | SizeRule::Notional(_) => Ok(size),
        };
    }
    let quantity = number("quantity", written)?;
    Quantity::from_f64(quantity)
        .filter(|quantity| quantity.is_positive())
        .map(SizeRule::Shares)
        .ok_or_else(|| format!("quantity must be a number of shares above 0, was {quantity}").into())
}

/// The limit that a value of this type met, in words.
pub(super) fn too_large(kind: &str) -> String {
    let kind = kind.to_lowercase();
    let (what, most, unit) = if kind.contains("string") {
        ("a text", STRING_MAX, "bytes")
    } else if kind.contains("array") {
        ("a list", LIST_MAX, "elements, those of lists in it counted")
    } else {
        ("a map", MAP_MAX, "entries, those of maps in it counted")
    };
    format!("{what} must have at most {most} {unit}, was more")
}

/// Why `source` does not compile; a word of the language where a name must be is named.
pub(super) fn not_compiled(file: &str, source: &str, error: &ParseError) -> ScriptFault {
    let (at, message) = (error.position(), error.err_type().to_string());
    let line = at.line().and_then(|line| source.lines().nth(line - 1)).unwrap_or_default();
    let rest = line.chars().skip(at.position().map_or(usize::MAX, |column| column - 1));
    let word: String = rest.take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let is_name = matches!(
        error.err_type(),
        ParseErrorType::FnMissingName | ParseErrorType::VariableExpected | ParseErrorType::FnMissingParams(_)
    );
    let was = if is_name && !word.is_empty() { format!(", was \"{word}\"") } else { String::new() };
    fault(file, at, format!("{message}{was}"))
}

/// What is wrong at a place of a script.
pub(super) fn fault(file: &str, at: Position, message: String) -> ScriptFault {
    ScriptFault { file: file.to_owned(), line: at.line(), column: at.position(), message }
}
