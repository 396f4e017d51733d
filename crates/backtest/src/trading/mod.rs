//! From events to orders over history: strategies are asked, their signals become signals, the one desk decides, the
//! connector fills.
//!
//! The way of a signal is the pool's: the desk decides, an order task lives the order's life, and only its end is recorded.

mod liquidation;
mod orders;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::connector::{Connector, ExecutionReport};
use super::latest_prices::{Prices, Slot};
use super::record::{FillRecord, OrderSummary, PlotRecord, Record, StrategyRecord};
use super::setup::StrategySetup;
use bot_core::account::Holding;
use bot_core::clock::Timestamp;
use bot_core::core::{Action, Core};
use bot_core::desk::{Desk, Statement};
use bot_core::market::MarketEvent;
use bot_core::portfolio::{Combine, Member, Portfolio};
use bot_core::signal::Signal;
use bot_core::strategy::{PlotRoom, RunnerFailure, StrategyRun, StrategySignal};
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Quantity};
use bot_simulated::{Fees, SizeAt};

use orders::{OpenSignal, SignalOrigin, TIMEOUTS, size_at_fill};

pub(super) struct Trading {
    pub(super) core: Core,
    pub(super) connector: Connector,
    /// The broker's fees, where orders of a part of the equity are sized at their fill.
    sized_at_fill: Option<Fees>,
    pub(super) prices: Prices,
    /// Whose positions fills moved since somebody looked.
    pub(super) moved: Vec<Slot>,
    runs: Vec<StrategyRun>,
    /// One for each strategy; where intents are combined, one more that all orders belong to.
    records: Vec<StrategyRecord>,
    /// By the order's place in the core's table.
    open: Vec<Option<OpenSignal>>,
    /// Of the signal that has just come, which has no order yet.
    arriving: Option<(SignalOrigin, usize, Slot)>,
    /// What the core wants done; empty between two events.
    actions: Vec<Action>,
    /// What is to be done at this instant.
    due: VecDeque<Due>,
    /// Steps and signals from elsewhere that come later, by time and then in the order in which they were made.
    later: BTreeMap<(Timestamp, u64), (Signal, SignalOrigin)>,
    queued: u64,
    /// When which strategy is started (or stopped).
    switches: VecDeque<(Timestamp, usize, bool)>,
    ids: u64,
    strategy_signals: Vec<StrategySignal>,
    /// In the order of the decisions; none of those that are not over.
    orders: Vec<Option<OrderSummary>>,
    fills: Vec<FillRecord>,
    /// Why positions are liquidated now.
    liquidating: Option<Arc<str>>,
    margin_calls: Vec<Timestamp>,
    next_timer: Timestamp,
    id: String,
}

/// What is to be done at this instant.
enum Due {
    StrategySignal(usize, StrategySignal),
    Step(Box<(Signal, SignalOrigin)>),
}

/// The record of signals that are no strategy's.
pub(crate) const ELSEWHERE: &str = "signals";
/// What comes from elsewhere comes after the events of its instant.
const AFTER: Duration = Duration::from_nanos(1);
/// More orders of one instant are a strategy that never comes to rest.
const DUE_MAX: usize = 10_000;

impl Trading {
    pub(super) fn new(
        desk: Desk,
        connector: Connector,
        strategies: Vec<StrategySetup>,
        combine: Combine,
        cash: Money,
    ) -> Self {
        let (runs, members): (Vec<StrategyRun>, Vec<Member>) =
            strategies.into_iter().map(|setup| (setup.run, setup.member)).unzip();
        let record = |name: &str, capital: Money| StrategyRecord {
            name: name.to_owned(),
            capital,
            ..StrategyRecord::default()
        };
        let mut records: Vec<StrategyRecord> =
            members.iter().map(|member| record(member.book.name(), member.book.capital())).collect();
        if combine == Combine::Net {
            records.push(record("net", cash));
        }
        Self {
            core: Core::without_lanes(desk.with_portfolio(Portfolio::new(combine, members)), TIMEOUTS),
            sized_at_fill: match connector.model().size_at {
                SizeAt::Decision => None,
                SizeAt::Fill => Some(connector.model().fees),
            },
            connector,
            prices: Prices::default(),
            moved: Vec::new(),
            runs,
            records,
            open: Vec::new(),
            arriving: None,
            actions: Vec::new(),
            due: VecDeque::new(),
            later: BTreeMap::new(),
            queued: 0,
            switches: VecDeque::new(),
            ids: 0,
            strategy_signals: Vec::new(),
            orders: Vec::new(),
            fills: Vec::new(),
            liquidating: None,
            margin_calls: Vec::new(),
            next_timer: Timestamp::from_nanos(i64::MIN),
            id: String::new(),
        }
    }

    /// Queues signals that are no strategy's, each to be decided on when it was sent, after the events of that instant.
    pub(super) fn feed(&mut self, signals: Vec<Signal>) {
        if signals.is_empty() {
            return;
        }
        let place = self.records.len();
        self.records.push(StrategyRecord { name: ELSEWHERE.to_owned(), ..StrategyRecord::default() });
        for (signal, number) in signals.into_iter().zip(0..) {
            let (at, due) = (signal.sent_at, signal.sent_at + AFTER);
            self.wait(due, signal, SignalOrigin { place, at, number });
        }
    }

    /// Queues what strategies want before their first event, each to be sent after the events of its instant.
    pub(super) fn open_with(&mut self, openings: &[(Timestamp, usize, StrategySignal)]) {
        for (at, place, strategy_signal) in openings {
            self.records[*place].signals += 1;
            let Some(id) = self.entry_id() else { return };
            let signal = strategy_signal.signal(self.runs[*place].name(), id, None, *at);
            self.wait(
                *at + AFTER,
                signal,
                SignalOrigin { place: *place, at: strategy_signal.at, number: strategy_signal.number },
            );
        }
    }

    /// Strategies that are started and stopped, in order of time; each before the events of its instant.
    pub(super) fn switch(&mut self, switches: Vec<(Timestamp, usize, bool)>) {
        self.switches = switches.into();
    }

    /// Does what waits for an instant after the last event, until `at`.
    pub(super) fn finish(&mut self, at: Timestamp) {
        if self.next_timer <= at {
            self.ring(at);
        }
    }

    /// Keeps so many points of what the strategies plot.
    pub(super) fn keep_plots(&mut self, points_max: usize) {
        let room = PlotRoom::of(points_max);
        self.runs.iter_mut().for_each(|run| run.runner_mut().keep_plots(room.clone()));
    }

    /// Gives a symbol its slot.
    pub(super) fn list(&mut self, symbol: Symbol) -> Slot {
        let slots = self.prices.len();
        let slot = self.prices.list(symbol);
        if self.prices.len() > slots {
            self.connector.list(self.core.desk().rules().instruments.of(symbol));
        }
        slot
    }

    /// Puts what is held at the start into the account; no strategy's book has it.
    pub(super) fn hold(&mut self, holdings: &[Holding]) {
        for held in holdings {
            let slot = self.list(held.symbol);
            self.connector.hold(slot, held.quantity);
            self.moved.push(slot);
        }
    }

    /// The earliest instant at which an interval has passed or a step is due.
    pub(super) fn next_timer(&self) -> Timestamp {
        self.next_timer
    }

    /// Does all that is due until `at`, each at its own instant and in the order of time; steps come before timers.
    #[cold]
    pub(super) fn ring(&mut self, at: Timestamp) {
        while let Some((_, place, active)) = self.switches.pop_front_if(|(due, ..)| *due <= at) {
            let runner = self.runs[place].runner_mut();
            if active {
                let _ = runner.start(); // One that is broken stays so.
            } else {
                runner.stop();
            }
        }
        for place in 0..self.runs.len() {
            if self.runs[place].runner().next_timer().is_none() {
                self.ring_one(place, at); // It begins its interval.
            }
            if self.runs[place].runner().next_schedule().is_none() {
                self.ring_schedules(place, at);
            }
        }
        loop {
            let timer = self.first_timer().filter(|(due, _)| *due <= at);
            let step = self.later.first_key_value().map(|((due, _), _)| *due).filter(|due| *due <= at);
            match (timer, step) {
                (Some((due, place)), step) if step.is_none_or(|step| due < step) => {
                    self.ring_one(place, due);
                    self.ring_schedules(place, due);
                }
                (_, Some(due)) => {
                    if let Some((_, (signal, made))) = self.later.pop_first() {
                        let now = if signal.step.is_some() { due } else { signal.sent_at };
                        self.due.push_back(Due::Step(Box::new((signal, made))));
                        self.work(now);
                    }
                }
                (Some(_) | None, None) => break,
            }
        }
        self.set_next_timer();
    }

    fn wait(&mut self, due: Timestamp, signal: Signal, made: SignalOrigin) {
        self.queued += 1;
        self.later.insert((due, self.queued), (signal, made));
        self.next_timer = self.next_timer.min(due);
    }

    fn set_next_timer(&mut self) {
        let timer = self.first_timer().map_or(Timestamp::MAX, |(due, _)| due);
        let step = self.later.first_key_value().map_or(Timestamp::MAX, |((due, _), _)| *due);
        let switch = self.switches.front().map_or(Timestamp::MAX, |(due, ..)| *due);
        self.next_timer = timer.min(step).min(switch);
    }

    fn ring_one(&mut self, place: usize, at: Timestamp) {
        let rung = self.runs[place].ring(at, &mut self.strategy_signals);
        self.follow(place, rung, at);
    }

    fn ring_schedules(&mut self, place: usize, at: Timestamp) {
        let rung = self.runs[place].ring_schedules(at, &mut self.strategy_signals);
        self.follow(place, rung, at);
    }

    /// The next timer or schedule and whose it is; at one instant the first strategy comes first.
    fn first_timer(&self) -> Option<(Timestamp, usize)> {
        let active = self.runs.iter().enumerate().filter(|(_, run)| run.runner().is_active());
        let next = |run: &StrategyRun| {
            let runner = run.runner();
            // What was known at the instant of a schedule is shown before it.
            let schedule = runner.next_schedule().map(|due| due + AFTER);
            [runner.next_timer(), schedule].into_iter().flatten().min()
        };
        active.filter_map(|(place, run)| Some((next(run)?, place))).min()
    }

    /// Puts an event into a strategy's view; false when it is not meant for it, or shows nothing usable.
    #[inline]
    pub(super) fn show(&mut self, place: usize, event: &MarketEvent) -> bool {
        self.runs[place].show(event)
    }

    /// An event of a strategy's main source came.
    #[inline]
    pub(super) fn count(&mut self, place: usize) {
        self.records[place].events += 1;
    }

    /// Asks a strategy about events of its main sources and does what it wants.
    #[inline]
    pub(super) fn evaluate(&mut self, place: usize, events: &mut [MarketEvent], at: Timestamp) {
        let asked = self.runs[place].evaluate(events, &mut self.strategy_signals);
        if asked.is_err() || !self.strategy_signals.is_empty() {
            self.follow(place, asked, at);
        }
    }

    /// The same of one event, the only one of its instant.
    #[inline]
    pub(super) fn evaluate_one(&mut self, place: usize, event: &MarketEvent, at: Timestamp) {
        let asked = self.runs[place].ask(std::slice::from_ref(event), &mut self.strategy_signals);
        if asked.is_err() || !self.strategy_signals.is_empty() {
            self.follow(place, asked, at);
        }
    }

    /// Shows the market an event; what became of the orders that it meets is appended to `executions`.
    #[inline]
    pub(super) fn show_market(
        &mut self,
        slot: Slot,
        event: &MarketEvent,
        (price, at): (f64, Timestamp),
        executions: &mut Vec<ExecutionReport>,
    ) {
        if self.connector.awaits(slot) {
            self.arrive(slot, event, executions);
        }
        self.connector.show(slot, event, price, at);
    }

    /// Apart from what every event does.
    #[inline(never)]
    fn arrive(&mut self, slot: Slot, event: &MarketEvent, executions: &mut Vec<ExecutionReport>) {
        let Self { connector, core, open, sized_at_fill, .. } = self;
        let size_of = &mut |key, price| size_at_fill(*sized_at_fill, core, open, key, price);
        connector.arrive(slot, event, size_of, executions);
    }

    /// Takes what became of an order at the market. What follows from it is due once all prices of the instant are known.
    pub(super) fn settle(&mut self, execution: &ExecutionReport, now: Timestamp) {
        self.end_order(execution, now);
    }

    /// Whether something is to be done at this instant.
    #[inline]
    pub(super) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Money and positions at the last prices.
    pub(super) fn statement(&mut self) -> Statement {
        self.core.desk_mut().mark_all(&self.prices);
        self.core.desk().statement()
    }

    /// Notes what each book is worth now.
    pub(super) fn mark_books(&mut self) {
        let (portfolio, prices) = (self.core.desk().portfolio(), &self.prices);
        let mut sum = 0.0;
        for (member, record) in portfolio.members().iter().zip(&mut self.records) {
            let held = member.book.positions().filter(|(_, position)| !position.quantity().is_zero());
            let price = |symbol: Symbol| prices.slot(symbol).map_or(f64::NAN, |slot| prices.price(slot));
            let value: f64 =
                held.map(|(symbol, position)| position.quantity().to_f64() * price(symbol)).sum();
            let equity = member.book.cash().to_f64() + value;
            sum += equity - member.book.capital().to_f64();
            record.equity.push(equity);
        }
        if portfolio.combine() == Combine::Net
            && let Some(net) = self.records.last_mut()
        {
            net.equity.push(net.capital.to_f64() + sum);
        }
    }

    /// Where the strategies' positions do not sum to what the account holds.
    pub(super) fn unowned(&self) -> Vec<(Symbol, Quantity, Quantity)> {
        let held = |symbol: Symbol, slot: Slot| {
            (symbol, self.core.desk().portfolio().held(symbol), self.connector.shares(slot))
        };
        let all = self
            .prices
            .symbols()
            .into_iter()
            .zip(self.prices.slots())
            .map(|(symbol, slot)| held(symbol, slot));
        all.filter(|(_, books, account)| books != account).collect()
    }

    /// Hands over what was recorded until `at`.
    pub(super) fn write(mut self, record: Record, at: Timestamp) -> Record {
        for (place, run) in self.runs.iter().enumerate() {
            let record = &mut self.records[place];
            record.failures = run.runner().failures();
            record.is_stopped = run.runner().is_broken();
            record.used = run.runner().used();
            record.idle += run.repeats();
            record.signals += run.repeats();
            record.off_target = self.core.desk().portfolio().book(place).off_target(at);
        }
        for open in std::mem::take(&mut self.open).into_iter().flatten() {
            let reason = "open_at_end: the run ended before the order execution a price".to_owned();
            if let Some(order) = self.core.take_open(open.order, reason, at) {
                self.note(&open, &order);
            }
        }
        let plots: Vec<PlotRecord> =
            self.runs.iter().zip(0..).flat_map(|(run, place)| PlotRecord::all(place, run.runner())).collect();
        let kept: usize = plots.iter().map(|plot| plot.points.len()).sum();
        let plotted: u64 = self.runs.iter().map(|run| run.runner().plot_count()).sum();
        let books = self.core.desk().portfolio().members().iter().map(|member| member.book.clone()).collect();
        Record {
            symbols: self.prices.symbols(),
            strategies: self.records,
            books,
            orders: self.orders.into_iter().flatten().collect(),
            fills: self.fills,
            margin_calls: self.margin_calls,
            plots,
            plots_left_out: plotted - u64::try_from(kept).unwrap_or(plotted),
            ..record
        }
    }

    fn follow(&mut self, place: usize, asked: Result<(), RunnerFailure>, now: Timestamp) {
        if let Err(failure) = asked {
            self.strategy_signals.clear();
            self.note_failure(place, &failure, now);
            return;
        }
        self.due.extend(
            self.strategy_signals
                .drain(..)
                .map(|strategy_signal| Due::StrategySignal(place, strategy_signal)),
        );
        self.work(now);
    }

    fn note_failure(&mut self, place: usize, failure: &RunnerFailure, now: Timestamp) {
        tracing::error!(%failure, at = %now, "a strategy failed");
        self.records[place].last_failure = Some(failure.to_string());
    }

    /// Does what is to be done, and what follows from it at this instant.
    pub(super) fn work(&mut self, now: Timestamp) {
        let mut done = 0;
        while let Some(due) = self.due.pop_front() {
            done += 1;
            if done > DUE_MAX {
                self.stop_short(&due, now);
                return;
            }
            match due {
                Due::StrategySignal(place, strategy_signal) => {
                    self.records[place].signals += 1;
                    self.send_intent(place, &strategy_signal, now);
                }
                Due::Step(step) => {
                    let (signal, made) = *step;
                    self.send(signal, made, now);
                }
            }
        }
    }

    /// Drops what is still to be done at this instant.
    #[cold]
    fn stop_short(&mut self, due: &Due, now: Timestamp) {
        self.due.clear();
        let place = match due {
            Due::StrategySignal(place, _) => *place,
            Due::Step(step) => step.1.place,
        };
        let record = &mut self.records[place];
        let text = format!(
            "strategy \"{}\" asked for more than {DUE_MAX} orders at one instant: the rest is dropped",
            record.name
        );
        tracing::error!(at = %now, "{text}");
        record.last_failure = Some(text);
    }
}
