//! What a run leaves behind: signals, orders, fills, marks. Statistics and reports are made of this alone.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use bot_core::clock::Timestamp;
use bot_core::order::Side;
use bot_core::outcome::OutcomeKind;
use bot_core::portfolio::{OffTarget, StrategyBook};
use bot_core::signal::{Tag, Wanted};
use bot_core::strategy::Runner;
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Price, Quantity};

/// All that happened in one run, in order.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// What people call the run.
    pub name: String,
    /// What it started with; there are no positions then.
    pub start_cash: Money,
    /// Traded symbols, in order.
    pub symbols: Vec<Symbol>,
    /// The strategies, in the order of the manifest.
    pub strategies: Vec<StrategyRecord>,
    /// Their books at the end, in the same order; where intents are combined, the last of `strategies` has none.
    pub books: Vec<StrategyBook>,
    /// Every signal that asked for an order, in the order of the decisions.
    pub orders: Vec<OrderSummary>,
    /// Every fill, in order; an order may have several.
    pub fills: Vec<FillRecord>,
    /// The account at the end of each period, the run's end included; the first mark is the start.
    pub marks: Vec<Mark>,
    /// Last known price of each traded symbol at the same instants as `marks` (NaN before the first), one list for each of `symbols`.
    pub prices: Vec<Vec<f64>>,
    /// What the strategies plotted, those of a strategy in the order of their first points.
    pub plots: Vec<PlotRecord>,
    /// Points of plots for which there was no room.
    pub plots_left_out: u64,
    /// The data sources by name, in order.
    pub sources: Vec<(String, bot_data::ReadReport)>,
    /// The account at the end.
    pub end: FinalAccount,
    /// Highest and lowest equity at any event, and the deepest fall between two events, as a fraction (0.1 is 10 %).
    pub extremes: Extremes,
    /// The connector in words: how orders fill, what they cost.
    pub connector: Vec<String>,
    /// The benchmark's name, where there is one.
    pub benchmark: Option<String>,
    /// True when the run was interrupted before the end of the data.
    pub interrupted: bool,
    /// When all positions were liquidated because the equity was below the maintenance margin.
    pub margin_calls: Vec<Timestamp>,
    /// When the equity was 0 or less: the run ended there.
    pub ruined_at: Option<Timestamp>,
}

impl Record {
    /// SHA-256 of all orders and fills in order, in 64 hexadecimal digits: equal runs have equal ones.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for order in self.orders.iter().filter(|order| order.is_order) {
            hash.update(order.symbol.as_str());
            hash.update([0, u8::from(order.side == Side::Buy)]);
            hash.update(order.at.nanos().to_le_bytes());
            hash.update(order.quantity.get().serialize());
            hash.update(order.limit.map_or([0; 16], |limit| limit.get().serialize()));
        }
        for fill in &self.fills {
            hash.update(fill.order.to_le_bytes());
            hash.update(fill.at.nanos().to_le_bytes());
            hash.update(fill.quantity.get().serialize());
            hash.update(fill.price.get().serialize());
        }
        HEXLOWER.encode(&hash.finalize())
    }
}

/// One strategy's part in it.
#[derive(Debug, Clone, Default)]
pub struct StrategyRecord {
    /// Its name in the manifest.
    pub name: String,
    /// What its book started with.
    pub capital: Money,
    /// Its book's equity at the same instants as [`Record::marks`].
    pub equity: Vec<f64>,
    /// Events that it was shown.
    pub events: u64,
    /// Signals that it gave.
    pub signals: u64,
    /// Signals that changed nothing: it had said the same before.
    pub idle: u64,
    /// For how much of the time, and by how much, its positions were off their targets.
    pub off_target: OffTarget,
    /// How often it failed.
    pub failures: u32,
    /// Its last failure.
    pub last_failure: Option<String>,
    /// Whether it was stopped for its failures, so that it was not asked any more.
    pub is_stopped: bool,
    /// What the most expensive of its calls took of what it may take, in words; none where nothing is counted.
    pub used: Option<String>,
}

/// One signal on its way: what was wanted, what was decided, what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderSummary {
    /// Place in [`Record::strategies`] of whose order it is; where intents are combined, all orders are of the last one.
    pub strategy: u16,
    /// Place in [`Record::strategies`] of the strategy whose signal it was.
    pub by: u16,
    /// What.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// What the strategy wanted.
    pub wanted: Wanted,
    /// When the signal was made; a step's, when it was due.
    pub at: Timestamp,
    /// The time of the event that the first signal came of.
    pub made_at: Timestamp,
    /// Its number among its strategy's signals of that time, from 0.
    pub number: u32,
    /// Which step it is of that signal, 0 for itself.
    pub step: u32,
    /// What one share cost then (ask for a buy, bid for a sell, the close of a bar).
    pub price_seen: f64,
    /// Shares asked for; 0 when the desk decided before it came to a number.
    pub quantity: Quantity,
    /// The limit, where there was one.
    pub limit: Option<Price>,
    /// True when it became an order at the broker.
    pub is_order: bool,
    /// When it was final.
    pub final_at: Timestamp,
    /// Shares filled.
    pub filled: Quantity,
    /// Money that changed hands for them, without fees.
    pub total: Money,
    /// Fees paid.
    pub fees: Money,
    /// How it ended; [`OutcomeKind::Unfilled`] also for an order still open at the end of the data.
    pub outcome: OutcomeKind,
    /// Why, `code: text`; empty where the outcome says all.
    pub reason: String,
    /// What the signal's producer called it.
    pub tag: Option<Tag>,
}

/// Shares that changed hands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FillRecord {
    /// Place in [`Record::orders`].
    pub order: u32,
    /// When.
    pub at: Timestamp,
    /// Shares, above 0.
    pub quantity: Quantity,
    /// Per share, slippage included.
    pub price: Price,
    /// Fee of this fill.
    pub fee: Money,
}

/// What one strategy plotted under one name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlotRecord {
    /// Place in [`Record::strategies`].
    pub strategy: u16,
    /// As the strategy says it.
    pub name: String,
    /// In the order in which they were plotted; an instant may have several. Values are finite.
    pub points: Vec<(Timestamp, f64)>,
}

impl PlotRecord {
    /// What the strategy at `place` plotted; names without a point that was kept are left out.
    pub(crate) fn all(place: u16, runner: &Runner) -> Vec<Self> {
        let (names, points) = runner.plotted();
        let mut plots: Vec<Self> = names
            .iter()
            .map(|name| Self { strategy: place, name: name.clone(), points: Vec::new() })
            .collect();
        for point in points {
            if let Some(plot) = plots.get_mut(usize::from(point.name)) {
                plot.points.push((point.at, point.value));
            }
        }
        plots.retain(|plot| !plot.points.is_empty());
        plots
    }
}

/// The account at one instant; US dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// Cash plus positions at the last known prices.
    pub equity: f64,
    /// Cash.
    pub cash: f64,
    /// Worth of long positions less worth of short ones.
    pub net: f64,
    /// Worth of long positions plus worth of short ones.
    pub gross: f64,
    /// The benchmark's last price; NaN before the first.
    pub benchmark: f64,
}

/// The account at the end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FinalAccount {
    /// Cash.
    pub cash: Money,
    /// Cash plus positions at the last known prices.
    pub equity: Money,
    /// Fees paid in all.
    pub fees: Money,
    /// Positions that are not flat.
    pub positions: BTreeMap<Symbol, Quantity>,
    /// Events of all sources that the run saw.
    pub events: u64,
    /// Marks at which equity was not cash plus positions, in words; empty when all is well.
    pub breaches: Vec<String>,
}

/// What the marks at the ends of periods do not show.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Extremes {
    /// Highest equity at any event, US dollars.
    pub equity_high: f64,
    /// Lowest equity at any event, US dollars.
    pub equity_low: f64,
    /// Deepest fall from a high before it, as a negative fraction of that high; 0 when there was none.
    pub drawdown: f64,
}
