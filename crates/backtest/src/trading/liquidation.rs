//! A margin call: what is on its way is cancelled, and all positions are closed at the next price.

use super::Trading;
use super::orders::SignalOrigin;
use bot_core::clock::Timestamp;
use bot_core::order::TimeInForce;
use bot_core::risk::Limits;
use bot_core::signal::Wanted;
use bot_core::strategy::StrategySignal;
use bot_core::symbol::Symbol;
use bot_core::units::{BasisPoints, Money, Quantity};

impl Trading {
    /// Closes the positions of all strategies, in their order and that in which their books came to them. The broker does
    /// it, so no limit of the run is asked; a liquidation that is under way already is not repeated.
    #[cold]
    pub(crate) fn liquidate(&mut self, equity: Money, required: Money, now: Timestamp) {
        self.work(now); // What follows from fills of this instant is cancelled with the rest.
        let (equity, required) = (equity.cents(), required.cents());
        self.liquidating =
            Some(format!("margin_call: equity must be {required} dollars, was {equity}").into());
        for report in self.connector.cancel_all(now) {
            self.end_order(&report, now);
        }
        let held: Vec<(usize, Symbol)> = self
            .core
            .desk()
            .portfolio()
            .members()
            .iter()
            .enumerate()
            .flat_map(|(place, member)| member.book.positions().map(move |(symbol, _)| (place, symbol)))
            .filter(|(place, symbol)| !self.core.desk().portfolio().book(*place).expected(*symbol).is_zero())
            .collect();
        if !held.is_empty() {
            self.margin_calls.push(now);
        }
        let own = self.core.desk().rules().limits.clone();
        let (signal_age_max, quote_age_max) = (own.signal_age_max, own.quote_age_max);
        let spread_max = BasisPoints::whole(u16::MAX);
        let none = Limits {
            signal_age_max,
            quote_age_max,
            spread_max,
            short: true,
            flip_in_one: true,
            ..Limits::default()
        };
        *self.core.desk_mut().limits_mut() = none;
        for (place, symbol) in held {
            let Some(id) = self.entry_id() else { break };
            let wanted = Wanted::Target(Quantity::ZERO);
            let (limit, time_in_force, tag, number) = (None, TimeInForce::Ioc, None, 0);
            let strategy_signal =
                StrategySignal { symbol, wanted, limit, time_in_force, tag, at: now, number };
            let signal = strategy_signal.signal(self.runs[place].name(), id, None, now);
            self.send(signal, SignalOrigin { place, at: now, number }, now);
        }
        *self.core.desk_mut().limits_mut() = own;
        self.liquidating = None;
        self.work(now);
    }
}
