//! What an instrument allows: its tick, lot, smallest order, currency, shorting and hours. Pure, and cheap to copy.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::market::SessionClock;
use crate::order::{Side, TimeInForce};
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity};

/// What orders of one symbol must keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// Of what.
    pub symbol: Symbol,
    /// What limits are multiples of.
    pub tick: TickSize,
    /// What quantities are multiples of, above 0; 1 for whole shares.
    pub lot: Quantity,
    /// The least that an order may be worth; 0 for no such limit.
    pub notional_min: Money,
    /// What its prices are in.
    pub currency: Currency,
    /// Whether it can be sold short at all; `risk.short` says whether the run may.
    pub shorting: bool,
    /// When it trades.
    pub calendar: Calendar,
}

/// What limits are multiples of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TickSize {
    /// 0.01 from a dollar up, 0.0001 below it (SEC rule 612).
    UsShare,
    /// The same at every price.
    Fixed(Price),
}

/// When an instrument trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Calendar {
    /// In the regular sessions of the New York Stock Exchange, by the broker's own clock.
    Nyse,
    /// Around the clock.
    Always,
}

/// The code of a currency: 3 to 5 capital letters such as `USD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Currency(Symbol);

/// A text that is no currency.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("currency must be 3 to 5 capital letters such as USD, was \"{0}\"")]
pub struct CurrencyError(String);

/// Which rule of its instrument an order breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the text says it")]
pub enum InstrumentError {
    #[error("quantity of {symbol} must be a multiple of its lot of {lot}, was {was}")]
    Lot { symbol: Symbol, lot: Quantity, was: Quantity },
    #[error("a short position in {symbol} must be whole shares, would be {was}")]
    FractionalShort { symbol: Symbol, was: Quantity },
    #[error("order notional of {symbol} must be at least {min}, was {was}")]
    NotionalMin { symbol: Symbol, min: Money, was: Money },
}

/// The instruments of a run: those that are written, and a rule by the kind of symbol for all others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instruments(Vec<Instrument>);

/// The smallest part of a share or of a coin that is traded (Alpaca takes 9 decimals).
pub const FRACTION: Quantity = Quantity::billionths(1);
/// The tick of a pair where nobody says which: the finest price that is kept.
const TICK_OF_PAIR: TickSize = TickSize::Fixed(Price::billionths(1));

impl Instruments {
    /// Those that are written, each symbol once.
    pub fn new(written: impl IntoIterator<Item = Instrument>) -> Self {
        Self(written.into_iter().collect())
    }

    /// As written, or by its kind.
    pub fn of(&self, symbol: Symbol) -> Instrument {
        self.written(symbol).unwrap_or_else(|| Instrument::of(symbol))
    }

    /// The same at a broker that takes fractions of every share unless it is written otherwise.
    pub fn at_broker(&self, symbol: Symbol) -> Instrument {
        self.written(symbol).unwrap_or_else(|| Instrument { lot: FRACTION, ..Instrument::of(symbol) })
    }

    fn written(&self, symbol: Symbol) -> Option<Instrument> {
        self.0.iter().find(|known| known.symbol == symbol).copied()
    }
}

impl Instrument {
    /// By the kind of its symbol: a US share, or a pair such as `BTC/USD`, which is priced in what follows the slash.
    pub fn of(symbol: Symbol) -> Self {
        let Some((_, currency)) = symbol.as_str().split_once('/') else {
            return Self {
                symbol,
                tick: TickSize::UsShare,
                lot: Quantity::ONE,
                notional_min: Money::ZERO,
                currency: Currency::default(),
                shorting: true,
                calendar: Calendar::Nyse,
            };
        };
        Self {
            symbol,
            tick: TICK_OF_PAIR,
            lot: FRACTION,
            notional_min: Money::ZERO,
            currency: currency.parse().unwrap_or_default(),
            shorting: false,
            calendar: Calendar::Always,
        }
    }

    /// Whether it is a pair such as `BTC/USD` and no share.
    pub fn is_pair(&self) -> bool {
        self.symbol.is_pair()
    }

    /// Whether less than one share, or coin, can be traded.
    pub fn is_fractional(&self) -> bool {
        self.lot.whole() != self.lot
    }

    /// As many whole lots as there are in `quantity`, rounded towards zero.
    #[inline]
    #[must_use]
    pub fn floor_lot(&self, quantity: Quantity) -> Quantity {
        quantity.floor_to(self.lot)
    }

    /// The nearest position towards zero that can be held: whole lots, and no fraction of a share sold short.
    #[must_use]
    pub fn floor_position(&self, position: Quantity) -> Quantity {
        if self.lot == Quantity::ONE {
            return position.whole();
        }
        let lot = if position.is_negative() && !self.is_pair() { self.whole_lot() } else { self.lot };
        position.floor_to(lot)
    }

    /// The fewest whole shares that are whole lots too: 3 of lots of 0.6.
    fn whole_lot(&self) -> Quantity {
        let lot = self.lot.get();
        let (shares, parts) = (lot.mantissa(), 10_i128.pow(lot.scale()));
        let (mut divisor, mut rest) = (shares, parts);
        while rest != 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        Quantity::new(Decimal::from_i128_with_scale(shares / divisor.max(1), 0))
    }

    /// The nearest tick that is no worse than `limit` for the one who trades: a buy's below it, a sell's above it.
    #[must_use]
    pub fn round_limit(&self, limit: Decimal, side: Side) -> Decimal {
        let tick = self.tick.at(limit);
        let below = limit - limit.checked_rem(tick).unwrap_or_default();
        match side {
            Side::Sell if below < limit => (below + tick).normalize(),
            Side::Buy | Side::Sell => below.normalize(),
        }
    }

    /// Whether `limit` is a multiple of the tick.
    pub fn is_on_tick(&self, limit: Price) -> bool {
        limit.get().checked_rem(self.tick.at(limit.get())).is_some_and(|rest| rest.is_zero())
    }

    /// Whether an order of `quantity`, worth `notional`, may be sent.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self, quantity: Quantity, notional: Money) -> Result<(), InstrumentError> {
        self.check_lot(quantity)?;
        if notional < self.notional_min {
            let Self { symbol, notional_min: min, .. } = *self;
            return Err(InstrumentError::NotionalMin { symbol, min, was: notional });
        }
        Ok(())
    }

    /// Whether `quantity`, with or without its sign, is whole lots.
    ///
    /// # Errors
    /// It is not.
    pub fn check_lot(&self, quantity: Quantity) -> Result<(), InstrumentError> {
        if self.floor_lot(quantity) == quantity {
            return Ok(());
        }
        Err(InstrumentError::Lot { symbol: self.symbol, lot: self.lot, was: quantity })
    }

    /// Whether such a position may be held: fractions of shares cannot be borrowed.
    ///
    /// # Errors
    /// It is short of a fraction of a share.
    pub fn check_position(&self, position: Quantity) -> Result<(), InstrumentError> {
        if !position.is_negative() || self.floor_position(position) == position {
            return Ok(());
        }
        Err(InstrumentError::FractionalShort { symbol: self.symbol, was: position })
    }

    /// How long an order of `quantity` rests: fractions of shares are taken for the day only (Alpaca), and are cancelled by
    /// their order task like an immediate order's rest.
    pub fn time_in_force(&self, quantity: Quantity) -> TimeInForce {
        if quantity.whole() == quantity || self.is_pair() { TimeInForce::Ioc } else { TimeInForce::Day }
    }

    /// When it trades, where the exchange's own session is `exchange`.
    pub fn session(&self, exchange: SessionClock) -> SessionClock {
        match self.calendar {
            Calendar::Nyse => exchange,
            Calendar::Always => SessionClock::ALWAYS,
        }
    }
}

impl TickSize {
    /// At a price.
    pub fn at(self, price: Decimal) -> Decimal {
        match self {
            Self::UsShare if price >= Decimal::ONE => Decimal::from_parts(1, 0, 0, false, 2),
            Self::UsShare => Decimal::from_parts(1, 0, 0, false, 4),
            Self::Fixed(tick) => tick.get(),
        }
    }
}

impl fmt::Display for TickSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UsShare => f.write_str("0.01 from a dollar up, 0.0001 below it"),
            Self::Fixed(tick) => tick.fmt(f),
        }
    }
}

impl Calendar {
    /// The name in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nyse => "nyse",
            Self::Always => "always",
        }
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Default for Currency {
    /// US dollars.
    fn default() -> Self {
        Self(Symbol::USD)
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;
    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        let is_code = (3..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase());
        let code = text.parse().ok().filter(|_| is_code);
        code.map(Self).ok_or_else(|| CurrencyError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl InstrumentError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Lot { .. } => "fractional_quantity",
            Self::FractionalShort { .. } => "fractional_short",
            Self::NotionalMin { .. } => "notional_min",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(symbol: &str) -> Instrument {
        Instrument::of(symbol.parse().unwrap())
    }

    fn number(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn the_kind_of_a_symbol_says_what_it_allows() {
        let (share, pair) = (of("BRK.B"), of("ETH/BTC"));
        assert_eq!((share.lot, share.calendar, share.shorting), (Quantity::ONE, Calendar::Nyse, true));
        assert_eq!((pair.lot, pair.calendar, pair.shorting), (FRACTION, Calendar::Always, false));
        assert_eq!((share.currency.to_string(), pair.currency.to_string()), ("USD".into(), "BTC".into()));
        let written = Instruments::new([Instrument { lot: FRACTION, ..share }]);
        assert!(
            written.of(share.symbol).is_fractional() && !written.of("NVDA".parse().unwrap()).is_fractional()
        );
    }

    #[track_caller]
    fn check_limit(instrument: Instrument, side: Side, limit: &str, expected: &str) {
        assert_eq!(instrument.round_limit(number(limit), side).to_string(), expected, "{side} at {limit}");
    }

    #[test]
    fn a_limit_is_rounded_to_its_tick_on_the_safe_side() {
        use Side::{Buy, Sell};
        check_limit(of("NVDA"), Buy, "180.019", "180.01");
        check_limit(of("NVDA"), Sell, "180.011", "180.02");
        check_limit(of("NVDA"), Sell, "180.01", "180.01");
        check_limit(of("NVDA"), Buy, "0.12349", "0.1234");
        check_limit(of("NVDA"), Sell, "0.99999", "1");
        check_limit(of("BTC/USD"), Buy, "60000.123456789", "60000.123456789");
        let coarse = Instrument { tick: TickSize::Fixed("0.25".parse().unwrap()), ..of("BTC/USD") };
        check_limit(coarse, Buy, "60000.6", "60000.5");
        check_limit(coarse, Sell, "60000.6", "60000.75");
    }

    #[test]
    fn an_order_that_breaks_a_rule_is_told_which() {
        #[track_caller]
        fn check(found: Result<(), InstrumentError>, expected: &str) {
            assert_eq!(found.map_or_else(|error| error.code(), |()| "ok"), expected);
        }
        let quantity = |text: &str| text.parse::<Quantity>().unwrap();
        let fractional = Instrument { lot: FRACTION, notional_min: Money::whole(1), ..of("NVDA") };
        check(of("NVDA").check(quantity("0.5"), Money::whole(50)), "fractional_quantity");
        check(fractional.check(quantity("0.5"), Money::whole(50)), "ok");
        check(fractional.check(quantity("0.001"), "0.99".parse().unwrap()), "notional_min");
        check(fractional.check_position(quantity("-0.5")), "fractional_short");
        check(fractional.check_position(quantity("0.5")), "ok");
        check(of("BTC/USD").check_position(quantity("-0.5")), "ok");
        assert_eq!(
            of("NVDA").check_lot(quantity("1.5")).unwrap_err().to_string(),
            "quantity of NVDA must be a multiple of its lot of 1, was 1.5"
        );
    }

    #[test]
    fn only_a_fraction_of_a_share_rests_for_the_day() {
        let fraction = |of: Instrument, text: &str| of.time_in_force(text.parse().unwrap());
        assert_eq!(fraction(of("NVDA"), "0.25"), TimeInForce::Day);
        assert_eq!(fraction(of("NVDA"), "3"), TimeInForce::Ioc);
        assert_eq!(fraction(of("BTC/USD"), "0.05"), TimeInForce::Ioc);
    }

    #[test]
    fn a_currency_is_a_few_capital_letters() {
        for text in ["", "usd", "US", "DOLLAR", "U$D"] {
            assert!(text.parse::<Currency>().is_err(), "{text}");
        }
        assert_eq!("USDT".parse::<Currency>().unwrap().to_string(), "USDT");
    }

    proptest! {
        #[test]
        fn what_is_cut_to_lots_is_whole_lots_and_never_more(
            units in -1_000_000_000_000_000_000i128..1_000_000_000_000_000_000, scale in 0u32..=20,
            lot in 1i64..5_000, lot_scale in 0u32..=9
        ) {
            let quantity = Quantity::new(Decimal::from_i128_with_scale(units, scale));
            let lot = Quantity::new(Decimal::new(lot, lot_scale));
            let cut = Instrument { lot, ..of("NVDA") }.floor_lot(quantity);
            prop_assert!((cut.get() % lot.get()).is_zero(), "{} of lot {}", cut, lot);
            prop_assert!(cut.abs() <= quantity.abs() && quantity.abs() - cut.abs() < lot);
            prop_assert!(cut.is_zero() || cut.is_negative() == quantity.is_negative());
        }

        #[test]
        fn a_rounded_limit_is_on_its_tick_and_never_worse(
            units in 1i64..1_000_000_000, scale in 0u32..=12, tick in 1i64..5_000, is_share: bool
        ) {
            let limit = Decimal::new(units, scale);
            let tick = TickSize::Fixed(Price::new(Decimal::new(tick, 6)).unwrap());
            let instrument = Instrument { tick: if is_share { TickSize::UsShare } else { tick }, ..of("NVDA") };
            let (buy, sell) = (instrument.round_limit(limit, Side::Buy), instrument.round_limit(limit, Side::Sell));
            prop_assert!(buy <= limit && limit <= sell && sell - buy <= instrument.tick.at(limit));
            for rounded in [buy, sell].into_iter().filter(|rounded| !rounded.is_zero()) {
                prop_assert!(instrument.is_on_tick(Price::new(rounded).unwrap()), "{}", rounded);
            }
        }
    }
}
