//! What a run is made of: money, strategies, data, terms.

use std::time::Duration;

use bot_core::account::Holding;
use bot_core::clock::Timestamp;
use bot_core::desk::Rules;
use bot_core::portfolio::Member;
use bot_core::series::SeriesFeed;
use bot_core::signal::Signal;
use bot_core::strategy::{StrategyRun, StrategySignal};
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Weight};
use bot_data::Source;
use bot_manifest::{Combine, Period};
use bot_simulated::ExecutionModel;

/// Waits that never end: over history a working order is told of when it meets the market.
pub(super) const FOR_EVER: Duration = Duration::from_hours(24 * 365 * 200);

/// All that a run is made of.
pub struct Setup {
    /// What people call it.
    pub name: String,
    /// What the account starts with.
    pub cash: Money,
    /// What it holds at the start, known before the first event.
    pub holdings: Vec<Holding>,
    /// Fill price, fees, slippage, latency and margin of the simulated broker.
    pub model: ExecutionModel,
    /// How the desk sizes, and what it refuses.
    pub rules: Rules,
    /// Target weights, for strategies that leave the size to the desk.
    pub weights: Vec<(Symbol, Weight)>,
    /// How strategies are combined.
    pub combine: Combine,
    /// The strategies, in their order.
    pub strategies: Vec<StrategySetup>,
    /// Signals that are no strategy's, in the order in which they were sent.
    pub signals: Vec<Signal>,
    /// What strategies, by their place, want before their first event, and when that is sent.
    pub openings: Vec<(Timestamp, usize, StrategySignal)>,
    /// When which strategy, by its place, is started (or stopped), in order of time.
    pub switches: Vec<(Timestamp, usize, bool)>,
    /// The data sources by name; at one instant the first comes first.
    pub sources: Vec<(String, Box<dyn Source>)>,
    /// The place of the source whose price is the benchmark.
    pub benchmark: Option<usize>,
    /// How often the account is marked.
    pub period: Period,
    /// How many points of what its strategies plot are kept.
    pub plot_points_max: usize,
}

/// One strategy of a run.
pub struct StrategySetup {
    /// What is asked about events, and turns intents into signals.
    pub run: StrategyRun,
    /// Its sizing and its book.
    pub member: Member,
    /// Which events reach it, and on which of them it is asked.
    pub hears: Hears,
}

/// What a strategy hears of the sources.
pub enum Hears {
    /// It is asked on the events of some, and may look at others.
    Sources {
        /// The places of the sources that it is asked on.
        main: Vec<usize>,
        /// The places of the sources that it may look at.
        also: Vec<usize>,
    },
    /// Its own series, made of the events of one: a session as it was recorded.
    Feed {
        /// The place of the source.
        source: usize,
        /// What it makes of its events.
        feed: SeriesFeed,
    },
}
