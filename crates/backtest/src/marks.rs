//! The account at the ends of periods, and its highs and lows in between. What the books say is held against what the broker says.

use std::time::Duration;

use super::latest_prices::Slot;
use super::record::{Extremes, Mark, Record};
use super::trading::Trading;
use bot_core::calendar::{date_of, midnight_after};
use bot_core::clock::Timestamp;
use bot_core::margin::Margin;
use bot_core::units::{Money, Price};
use bot_manifest::Period;

#[derive(Debug)]
pub(super) struct Marks {
    period: Period,
    /// An event later than this is of the next period; the first event's period is not known yet.
    boundary: Option<Timestamp>,
    last_at: Timestamp,
    start_cash: Money,
    benchmark: Option<usize>,
    benchmark_price: f64,
    live: RunningAccount,
    taken: Vec<Mark>,
    /// By slot.
    prices: Vec<Vec<f64>>,
    breaches: Vec<String>,
    /// Whether others than the strategies hold a part of the account.
    is_shared: bool,
}

/// The account from event to event, in `f64`: for extremes only.
#[derive(Debug)]
struct RunningAccount {
    cash: f64,
    /// Worth of all positions.
    value: f64,
    /// What they require of the equity at any time.
    required: f64,
    /// The part of the exposure that is required.
    maintenance: f64,
    /// By slot: shares and last price.
    held: Vec<(f64, f64)>,
    high: f64,
    extremes: Extremes,
}

/// So many breaches are told in words; one is too many already.
const BREACHES_MAX: usize = 20;
/// A mark at midnight belongs to the day before, also for those who read its date only.
const BEFORE_MIDNIGHT: Duration = Duration::from_secs(1);

impl Marks {
    pub(super) fn new(period: Period, start_cash: Money, benchmark: Option<usize>, margin: Margin) -> Self {
        let cash = start_cash.to_f64();
        let extremes = Extremes { equity_high: cash, equity_low: cash, drawdown: 0.0 };
        Self {
            period,
            boundary: None,
            last_at: Timestamp::default(),
            start_cash,
            benchmark,
            benchmark_price: f64::NAN,
            live: RunningAccount {
                cash,
                value: 0.0,
                required: 0.0,
                maintenance: margin.maintenance_f64(),
                held: Vec::new(),
                high: cash,
                extremes,
            },
            taken: Vec::new(),
            prices: Vec::new(),
            breaches: Vec::new(),
            is_shared: false,
        }
    }

    /// Others than the strategies hold a part of the account.
    pub(super) fn share(&mut self) {
        self.is_shared = true;
    }

    /// Makes room for so many symbols.
    pub(super) fn list(&mut self, slots: usize) {
        self.live.held.resize(slots, (0.0, f64::NAN));
        self.prices.resize(slots, vec![f64::NAN; self.taken.len()]);
    }

    /// The last event's time.
    pub(super) fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// An event at `at` is about to happen.
    #[inline]
    pub(super) fn begin(&mut self, at: Timestamp, trading: &mut Trading) {
        if self.boundary.is_none_or(|boundary| at > boundary) {
            self.cross(at, trading);
        }
        self.last_at = at;
    }

    /// A price moved.
    #[inline]
    pub(super) fn moved(&mut self, slot: Slot, price: f64, source: usize) {
        let (shares, last) = &mut self.live.held[slot.0];
        if *shares != 0.0 {
            // What is held at the start may have no price yet.
            let change = if last.is_nan() { price } else { price - *last };
            self.live.value += *shares * change;
            self.live.required += self.live.maintenance * shares.abs() * change;
        }
        *last = price;
        if self.benchmark == Some(source) {
            self.benchmark_price = price;
        }
    }

    /// The event's fills are booked. False where the equity may be less than the positions require, or nothing.
    #[inline]
    pub(super) fn end(&mut self, trading: &mut Trading) -> bool {
        let live = &mut self.live;
        if !trading.moved.is_empty() {
            live.follow(trading);
        }
        let equity = live.cash + live.value;
        if equity > live.high {
            live.high = equity;
        } else if equity < live.extremes.equity_low {
            live.extremes.equity_low = equity;
        }
        // The deepest fall so far, without a division for every event.
        if equity - live.high < live.extremes.drawdown * live.high {
            live.extremes.drawdown = equity / live.high - 1.0;
        }
        equity > live.required
    }

    /// Whether others than the strategies hold a part of the account.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// The data have ended.
    pub(super) fn finish(&mut self, trading: &mut Trading) {
        if let Some(boundary) = self.boundary {
            self.mark(self.stamp(self.last_at, boundary), trading);
        }
        self.live.extremes.equity_high = self.live.high;
    }

    pub(super) fn take_breaches(&mut self) -> Vec<String> {
        std::mem::take(&mut self.breaches)
    }

    pub(super) fn write(self, record: Record) -> Record {
        Record { marks: self.taken, prices: self.prices, extremes: self.live.extremes, ..record }
    }

    #[cold]
    fn cross(&mut self, at: Timestamp, trading: &mut Trading) {
        let next = end_of(self.period, at);
        let stamp = match self.boundary.replace(next) {
            None => self.stamp(at, next),
            Some(boundary) => self.stamp(self.last_at, boundary),
        };
        self.mark(stamp, trading);
    }

    /// What a mark at `at` is dated, in the period that ends with `boundary`.
    fn stamp(&self, at: Timestamp, boundary: Timestamp) -> Timestamp {
        match self.period {
            Period::Day => at.min(boundary - BEFORE_MIDNIGHT),
            Period::Span(_) => at,
        }
    }

    fn mark(&mut self, at: Timestamp, trading: &mut Trading) {
        self.end(trading); // What was filled at the last event's close is not counted yet.
        self.live.add_up();
        let statement = trading.statement();
        let (mut net, mut gross) = (0.0, 0.0);
        for (symbol, position) in &statement.positions {
            let price = trading.prices.slot(*symbol).map_or(f64::NAN, |slot| trading.prices.price(slot));
            let value = position.quantity().to_f64() * price;
            net += value;
            gross += value.abs();
        }
        let (equity, cash) = (statement.equity.to_f64(), statement.cash.to_f64());
        self.taken.push(Mark { at, equity, cash, net, gross, benchmark: self.benchmark_price });
        for (list, (_, price)) in self.prices.iter_mut().zip(&self.live.held) {
            list.push(*price);
        }
        trading.mark_books();
        if self.breaches.len() < BREACHES_MAX {
            self.check(at, statement.equity, trading);
        }
    }

    /// Equity must be cash plus positions, and what was earned: by the desk's books and by the broker's.
    fn check(&mut self, at: Timestamp, equity: Money, trading: &mut Trading) {
        let account = trading.connector.account();
        self.breaches.extend(
            trading.core.desk().differences(&account).into_iter().map(|text| format!("{at}: {text}")),
        );
        let is_shared = self.is_shared;
        self.breaches.extend(trading.unowned().into_iter().filter(|_| !is_shared).map(
            |(symbol, books, account)| {
                format!("{at}: {symbol}: the strategies' books hold {books} shares, the account {account}")
            },
        ));
        let earned = self.start_cash + trading.core.desk().profit() - trading.connector.fees();
        let mut worth = trading.connector.cash();
        for slot in trading.prices.slots() {
            let shares = trading.connector.shares(slot);
            if !shares.is_zero()
                && let Ok(price) = Price::from_f64(trading.prices.price(slot))
            {
                worth += price * shares;
            }
        }
        for (what, sum) in
            [("cash plus positions", worth), ("cash at the start plus profit less fees", earned)]
        {
            // A mean price has endless decimals, so what is half a cent may be a hair more or less than that.
            if !(sum - equity).cents().is_zero() {
                self.breaches.push(format!("{at}: equity is {}, {what} {}", equity.cents(), sum.cents()));
            }
        }
    }
}

impl RunningAccount {
    /// Takes over what fills changed.
    fn follow(&mut self, trading: &mut Trading) {
        self.cash = trading.connector.cash().to_f64();
        for slot in trading.moved.drain(..) {
            let (shares, last) = &mut self.held[slot.0];
            let now = trading.connector.shares(slot).to_f64();
            if !last.is_nan() {
                self.value += (now - *shares) * *last;
                self.required += self.maintenance * (now.abs() - shares.abs()) * *last;
            }
            *shares = now;
        }
    }

    /// Adds up again, so that rounding does not add up.
    fn add_up(&mut self) {
        let held = || self.held.iter().filter(|(shares, last)| *shares != 0.0 && !last.is_nan());
        self.value = held().map(|(shares, last)| shares * last).sum();
        self.required = held().map(|(shares, last)| self.maintenance * shares.abs() * last).sum();
    }
}

/// The last instant of the period that `at` belongs to: an event at midnight belongs to the day before.
fn end_of(period: Period, at: Timestamp) -> Timestamp {
    match period {
        Period::Day => midnight_after(date_of(at - Duration::from_nanos(1))),
        Period::Span(span) => {
            let span = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX).max(1);
            let into = (at.nanos() - 1).rem_euclid(span);
            Timestamp::from_nanos((at.nanos() - 1 - into).saturating_add(span))
        }
    }
}
