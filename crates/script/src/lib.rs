//! Strategies as Rhai scripts, in a sandbox: no files, no network, no clock, and limits on time and memory.
//!
//! A script is functions only: `params()` names its parameters with their defaults and, if it likes, their range and what
//! they do (`fast: int(10, 2, 200, "bars")`; `float`, `bool`, `text`), `init()` prepares its state,
//! `horizon()` says how far back it looks, `on_event(event)`, `on_timer(now)`, `on_fill(fill)` and `on_order(end)` do
//! the work. Its state is `this`, a map that lasts. `plot(name, number)` and `log(text)` show what it does. `import "name" as x;`
//! makes the functions of `name.rhai` its own as `x::f()`; they have no `this`.
//!
//! ```rust
//! use bot_core::clock::Timestamp;
//! use bot_core::market::{MarketEvent, Trade};
//! use bot_core::strategy::{Every, Intent, Runner, Strength, WrittenParams};
//! use bot_core::symbol::Symbol;
//! use bot_script::Script;
//!
//! let nvda: Symbol = "NVDA".parse()?;
//! let script = Script::compile(
//!     "cheap_strategy.rhai",
//!     "fn params() { #{ below: 180.0 } }
//!      fn on_event(event) { if event.price < this.params.below { signal(event.symbol, 1) } }",
//! )?;
//! let strategy = script.make(&WrittenParams::new(), &[nvda])?;
//! let mut runner = Runner::new("cheap", strategy, &[nvda], Every::Event);
//!
//! let trade = Trade { at: Timestamp::from_secs(1), price: 179.5, size: 100.0 };
//! let wanted: Vec<Intent> = runner.on_event(&MarketEvent::Trade { symbol: nvda, trade })?.collect();
//! assert_eq!(wanted, [Intent::Signal { symbol: nvda, strength: Strength::new(1.0)?, tag: None }]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "rhai")]
mod comparisons;
#[cfg(feature = "rhai")]
mod declared;
#[cfg(feature = "rhai")]
mod engine;
#[cfg(feature = "rhai")]
mod entry_points;
#[cfg(feature = "rhai")]
mod formulas;
#[cfg(feature = "rhai")]
mod knows;
#[cfg(feature = "rhai")]
mod log;
#[cfg(feature = "rhai")]
mod looks;
#[cfg(feature = "rhai")]
mod modules;
#[cfg(feature = "rhai")]
mod names;
#[cfg(feature = "rhai")]
mod needs;
#[cfg(feature = "rhai")]
mod numbers;
#[cfg(feature = "rhai")]
mod options;
#[cfg(feature = "rhai")]
mod scope;
#[cfg(feature = "rhai")]
mod script;
#[cfg(feature = "rhai")]
mod standing;
#[cfg(feature = "rhai")]
mod views;

#[cfg(not(feature = "rhai"))]
mod without_rhai;

#[cfg(feature = "rhai")]
pub use modules::ModuleText;
#[cfg(feature = "rhai")]
pub use script::Script;
#[cfg(not(feature = "rhai"))]
pub use without_rhai::{ModuleText, Script};

/// Reads the module of a name: its file, as faults name it, and its text; an error says what is allowed.
pub type ReadModule<'a> = dyn Fn(&str) -> Result<(String, String), String> + 'a;

/// How the file of a script ends, so that it is found.
pub const FILE_SUFFIX: &str = "_strategy.rhai";
/// What is said of a field that an event does not have: the script may be meant for other kinds of events.
pub const NO_FIELD: &str = "must be a field of the event";
/// A script above this many bytes is no script.
pub const BYTES_MAX: usize = 256 * 1024;
