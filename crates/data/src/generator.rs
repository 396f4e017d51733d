//! A seeded random walk: the same seed gives the same rows, on every machine and for ever.
//!
//! Only sums, products, quotients and roundings are used, which IEEE 754 fixes to the bit; library functions such as
//! `ln` and `exp` differ from system to system.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::row_checker::{RowChecker, RowTable};
use super::spec::Walk;
use super::{DataError, Row, RowKind};
use bot_core::calendar::{Session, date_of, midnight, session_on};
use bot_core::clock::Timestamp;

/// A bar's path has so many steps.
const STEPS: u32 = 8;
const DAY: Duration = Duration::from_hours(24);
const SESSION: Duration = Duration::from_mins(390);
const SESSION_SECONDS_PER_YEAR: f64 = 252.0 * 390.0 * 60.0;
const SECONDS_PER_YEAR: f64 = 365.0 * 86_400.0;

/// The walk while it goes.
#[derive(Debug)]
pub(super) struct Generator {
    walk: Walk,
    random: ChaCha8Rng,
    /// Not rounded to cents.
    price: f64,
    /// Of the next row.
    at: Timestamp,
    session: Option<Session>,
    row: u64,
}

impl Generator {
    pub(super) fn new(walk: &Walk) -> Self {
        let random = ChaCha8Rng::seed_from_u64(walk.seed);
        Self { walk: *walk, random, price: walk.price, at: walk.start, session: None, row: 0 }
    }

    /// Moves the next row's time into a session; false when there is none any more.
    fn settle(&mut self, row_kind: RowKind) -> bool {
        if self.at == Timestamp::MAX {
            return false;
        }
        let is_daily = matches!(row_kind, RowKind::Bar { span } if span >= DAY);
        if !self.walk.in_sessions || self.session.is_some_and(|session| !is_daily && self.at < session.close)
        {
            return true;
        }
        let mut date = date_of(self.at);
        // The longest run of closed days is six.
        for _ in 0..15 {
            if let Some(session) = session_on(date) {
                let opens = if is_daily { midnight(date) } else { session.open };
                if self.at <= opens || !is_daily && self.at < session.close {
                    self.at = self.at.max(opens);
                    self.session = Some(session);
                    return true;
                }
            }
            let Some(next) = date.succ_opt() else { return false };
            date = next;
        }
        false
    }

    fn values(&mut self, row_kind: RowKind, step: Duration) -> [f64; 5] {
        match row_kind {
            RowKind::Bar { .. } => self.bar(self.trading_time(step)),
            RowKind::Quote => {
                let mid = self.step(step);
                let bid = cents(mid - 0.01).max(0.01);
                let ask = cents(bid + f64::from(self.random.next_u32() % 3 + 1) * 0.01);
                [bid, self.lot(), ask, self.lot(), 0.0]
            }
            RowKind::Trade => [cents(self.step(step)), self.volume(100.0), 0.0, 0.0, 0.0],
            RowKind::Number => [(self.step(step) * 10_000.0).round() / 10_000.0, 0.0, 0.0, 0.0, 0.0],
        }
    }

    /// How long the market is open in a bar's span: of a day with sessions, one of them.
    fn trading_time(&self, span: Duration) -> Duration {
        if !self.walk.in_sessions || span < DAY {
            return span;
        }
        let days = u32::try_from(span.as_secs() / DAY.as_secs()).unwrap_or(u32::MAX);
        SESSION.saturating_mul(days)
    }

    fn bar(&mut self, span: Duration) -> [f64; 5] {
        let open = cents(self.price);
        let (mut high, mut low, mut close) = (open, open, open);
        for _ in 0..STEPS {
            close = cents(self.step(span / STEPS));
            high = high.max(close);
            low = low.min(close);
        }
        [open, high, low, close, self.volume(10_000.0)]
    }

    /// One step of the walk; the price after it.
    fn step(&mut self, step: Duration) -> f64 {
        let year = if self.walk.in_sessions { SESSION_SECONDS_PER_YEAR } else { SECONDS_PER_YEAR };
        let years = step.as_secs_f64() / year;
        let change = self.walk.drift * years + self.walk.volatility * years.sqrt() * self.normal();
        self.price = (self.price * exp(change)).clamp(0.01, 1e9);
        self.price
    }

    /// Whole shares, log-normal about a median.
    fn volume(&mut self, median: f64) -> f64 {
        (median * exp(0.8 * self.normal())).round().max(1.0)
    }

    fn lot(&mut self) -> f64 {
        f64::from((self.random.next_u32() % 10 + 1) * 100)
    }

    /// Normal with mean 0 and deviation 1: the sum of twelve uniform numbers, less six. Cut off at six deviations.
    fn normal(&mut self) -> f64 {
        let sum: f64 = (0..12).map(|_| f64::from(self.random.next_u32()) + 0.5).sum();
        sum / 4_294_967_296.0 - 6.0
    }

    /// How long it is to the next row.
    fn pause(&mut self, row_kind: RowKind) -> Duration {
        match row_kind {
            RowKind::Bar { span } => span.max(Duration::from_nanos(1)),
            RowKind::Quote | RowKind::Trade => {
                Duration::from_micros(u64::from(self.random.next_u32() % 2_000_000 + 1))
            }
            RowKind::Number => Duration::from_mins(1),
        }
    }
}

impl RowTable for Generator {
    fn read(&mut self, checker: &mut RowChecker) -> Result<bool, DataError> {
        let row_kind = checker.row_kind();
        while !checker.is_full() {
            if self.row >= self.walk.rows || !self.settle(row_kind) {
                return Ok(false);
            }
            let pause = self.pause(row_kind);
            let values = self.values(row_kind, pause);
            self.row += 1;
            checker.row(self.row, Row { at: self.at, values })?;
            self.at = self.at + pause;
        }
        Ok(true)
    }
}

fn cents(price: f64) -> f64 {
    ((price * 100.0).round() / 100.0).max(0.01)
}

/// `e` to the power of `x`, by ten squarings; near enough for a walk.
fn exp(x: f64) -> f64 {
    let small = x / 1_024.0;
    let mut power = 1.0 + small + small * small / 2.0;
    for _ in 0..10 {
        power *= power;
    }
    power
}
