//! Records made by hand, for tests.

use std::time::Duration;

use crate::record::{FillRecord, Mark, OrderSummary, Record, StrategyRecord};
use bot_core::clock::Timestamp;
use bot_core::order::Side;
use bot_core::outcome::OutcomeKind;
use bot_core::portfolio::OffTarget;
use bot_core::signal::Wanted;
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Price, Quantity};

/// Of 100 seconds the first `seconds` off target by so many shares.
pub(crate) fn off_target(shares: i64, seconds: i64) -> OffTarget {
    let mut off = OffTarget::default();
    off.note(Quantity::new(shares.into()), Timestamp::from_secs(0));
    off.note(Quantity::ZERO, Timestamp::from_secs(seconds));
    off.until(Timestamp::from_secs(100))
}

/// A record that grows fill by fill and mark by mark; a fill comes 1 second after the one before it.
pub(crate) struct SampleRun {
    record: Record,
    symbol: Symbol,
    strategy: u16,
    now: Timestamp,
}

impl Default for SampleRun {
    fn default() -> Self {
        let symbol = "A".parse().unwrap();
        let strategy = |name: &str| StrategyRecord { name: name.to_owned(), ..StrategyRecord::default() };
        Self {
            record: Record {
                name: "sample".to_owned(),
                symbols: vec![symbol],
                strategies: vec![strategy("one"), strategy("two")],
                ..Record::default()
            },
            symbol,
            strategy: 0,
            now: Timestamp::parse_rfc3339("2024-01-02T15:00:00Z").unwrap(),
        }
    }
}

impl SampleRun {
    /// The marks: New York's closes on days from the start of 2024 on, weekends included.
    pub(crate) fn equity(mut self, equity: &[f64]) -> Self {
        let first = Timestamp::parse_rfc3339("2024-01-01T21:00:00Z").unwrap();
        self.record.marks = equity
            .iter()
            .zip(0_u64..)
            .map(|(equity, days)| Mark {
                at: first + Duration::from_hours(24 * days),
                equity: *equity,
                cash: *equity,
                net: 0.0,
                gross: 0.0,
                benchmark: f64::NAN,
            })
            .collect();
        self
    }

    /// The benchmark's prices at the marks.
    pub(crate) fn benchmark(mut self, prices: &[f64]) -> Self {
        self.record.benchmark = Some("BENCH".to_owned());
        for (mark, price) in self.record.marks.iter_mut().zip(prices) {
            mark.benchmark = *price;
        }
        self
    }

    /// What fills belong to from here on.
    pub(crate) fn strategy(mut self, place: u16) -> Self {
        self.strategy = place;
        self
    }

    /// What fills are of from here on.
    pub(crate) fn symbol(mut self, symbol: &str) -> Self {
        self.symbol = symbol.parse().unwrap();
        if !self.record.symbols.contains(&self.symbol) {
            self.record.symbols.push(self.symbol);
        }
        self
    }

    /// A price for [`Record::prices`].
    pub(crate) fn last_price(mut self, symbol: &str, price: f64) -> Self {
        self = self.symbol(symbol);
        self.record.prices.resize(self.record.symbols.len(), vec![f64::NAN]);
        let place = self.record.symbols.iter().position(|known| *known == self.symbol).unwrap();
        self.record.prices[place] = vec![price];
        self
    }

    /// An order that is filled whole: `side quantity price fee`.
    pub(crate) fn fill(self, text: &str) -> Self {
        let [side, quantity, price, fee] = text.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let side = if side == "buy" { Side::Buy } else { Side::Sell };
        let quantity: Quantity = quantity.parse().unwrap();
        let price: Price = price.parse().unwrap();
        let fees: Money = fee.parse().unwrap();
        self.order(|run| {
            let fill = FillRecord {
                order: u32::try_from(run.record.orders.len()).unwrap(),
                at: run.now,
                quantity,
                price,
                fee: fees,
            };
            run.record.fills.push(fill);
            let total = price * quantity;
            let cash = if side == Side::Buy { -total } else { total } - fees;
            run.record.end.cash += cash;
            run.record.end.fees += fees;
            let held = run.record.end.positions.entry(run.symbol).or_default();
            *held += if side == Side::Buy { quantity } else { -quantity };
            OrderSummary {
                side,
                quantity,
                filled: quantity,
                total,
                fees,
                price_seen: price.to_f64(),
                ..run.blank()
            }
        })
    }

    /// Any order, a second after the one before it.
    pub(crate) fn order(mut self, make: impl FnOnce(&mut Self) -> OrderSummary) -> Self {
        self.now = self.now + Duration::from_secs(1);
        let order = make(&mut self);
        self.record.orders.push(order);
        self
    }

    /// An order of 1 share that took 1 ms and was filled whole, to be changed.
    pub(crate) fn blank(&self) -> OrderSummary {
        OrderSummary {
            strategy: self.strategy,
            by: self.strategy,
            symbol: self.symbol,
            side: Side::Buy,
            wanted: Wanted::Order { side: Side::Buy, quantity: None, strength: None },
            at: self.now - Duration::from_millis(1),
            made_at: self.now - Duration::from_millis(1),
            number: 0,
            step: 0,
            price_seen: 1.0,
            quantity: "1".parse().unwrap(),
            limit: None,
            is_order: true,
            final_at: self.now,
            filled: Quantity::ZERO,
            total: Money::ZERO,
            fees: Money::ZERO,
            outcome: OutcomeKind::Filled,
            reason: String::new(),
            tag: None,
        }
    }

    /// The record, changed at will.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Record)) -> Self {
        change(&mut self.record);
        self
    }

    /// The record, its books in order: flat positions are left out.
    pub(crate) fn done(mut self) -> Record {
        self.record.end.positions.retain(|_, quantity| !quantity.is_zero());
        self.record.end.cash += self.record.start_cash;
        self.record
    }
}
