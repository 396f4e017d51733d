//! How many shares: target weights per symbol, and the rules that turn a signal and the books into a quantity. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use thiserror::Error;

use crate::market::Bar;
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity, Weight};

/// How much of what could be traded one signal trades.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SizeRule {
    /// All of it: up to the target weight as far as cash goes, or the whole position.
    #[default]
    All,
    /// This fraction of it.
    Fraction(Weight),
    /// This many shares.
    Shares(Quantity),
    /// Shares worth this much.
    Notional(Money),
}

/// A text that is no size rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "size must be all, a percentage such as 10%, shares such as 5sh or dollars such as $1000, was \"{0}\""
)]
pub struct SizeRuleError(String);

impl FromStr for SizeRule {
    type Err = SizeRuleError;
    fn from_str(text: &str) -> Result<Self, SizeRuleError> {
        let bad = || SizeRuleError(text.to_owned());
        let trimmed = text.trim();
        if trimmed == "all" {
            return Ok(SizeRule::All);
        }
        if trimmed.ends_with('%') {
            let weight: Weight = trimmed.parse().map_err(|_| bad())?;
            return if weight > Weight::ZERO { Ok(SizeRule::Fraction(weight)) } else { Err(bad()) };
        }
        if let Some(shares) = trimmed.strip_suffix("sh") {
            let shares: Quantity = shares.parse().map_err(|_| bad())?;
            return if shares.is_positive() { Ok(SizeRule::Shares(shares)) } else { Err(bad()) };
        }
        let dollars: Money = trimmed.strip_prefix('$').ok_or_else(bad)?.parse().map_err(|_| bad())?;
        if dollars.is_positive() { Ok(SizeRule::Notional(dollars)) } else { Err(bad()) }
    }
}

impl SizeRule {
    /// Shares that one order of this size is at `price`, not rounded, for a book that is worth `equity` dollars; none where no
    /// price is known, and of `all`, which no order is.
    pub fn buys(self, equity: f64, price: Option<Price>) -> Quantity {
        let buys = |money: Money| price.map_or(Quantity::ZERO, |price| money.buys(price));
        match self {
            SizeRule::Shares(shares) => shares,
            SizeRule::Notional(money) => buys(money),
            SizeRule::Fraction(part) => {
                buys(Money::new(Decimal::from_f64(equity).unwrap_or_default()) * part)
            }
            SizeRule::All => Quantity::ZERO,
        }
    }
}

impl fmt::Display for SizeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SizeRule::All => f.write_str("all"),
            SizeRule::Fraction(weight) => write!(f, "{}%", (weight.get() * Decimal::ONE_HUNDRED).normalize()),
            SizeRule::Shares(shares) => write!(f, "{shares}sh"),
            SizeRule::Notional(dollars) => write!(f, "${dollars}"),
        }
    }
}

/// When a sell signal is followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SellRule {
    /// On every sell signal.
    #[default]
    Always,
    /// Only above the mean entry price.
    InProfit,
}

/// How the equity is spread over the symbols.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WeightRule {
    /// The same for each.
    #[default]
    Equal,
    /// As written; what is left of 1 stays cash.
    Fixed(BTreeMap<Symbol, Weight>),
    /// In proportion to 1 / the standard deviation of daily log returns.
    InverseVolatility,
}

impl fmt::Display for WeightRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |fraction: Decimal| (fraction * Decimal::ONE_HUNDRED).normalize();
        match self {
            WeightRule::Equal => f.write_str("equal"),
            WeightRule::InverseVolatility => f.write_str("inverse_volatility"),
            WeightRule::Fixed(weights) => {
                for (symbol, weight) in weights {
                    write!(f, "{symbol} {}%, ", percent(weight.get()))?;
                }
                let sum: Decimal = weights.values().map(|weight| weight.get()).sum();
                write!(f, "cash {}%", percent(Decimal::ONE - sum))
            }
        }
    }
}

/// Why weights cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WeightError {
    /// A symbol has no weight of its own.
    #[error("weights must name every traded symbol, {0} is missing")]
    Missing(Symbol),
    /// A weight speaks of a symbol that is not traded.
    #[error("weights must name traded symbols only, {0} is not traded")]
    NotTraded(Symbol),
    /// More than the whole.
    #[error("weights must sum to 1 at the most, sum was {0}")]
    SumAboveOne(Decimal),
    /// Nothing to measure.
    #[error("inverse_volatility needs at least 3 daily bars with moving prices, {symbol} has {bars}")]
    NoVolatility {
        /// Which symbol.
        symbol: Symbol,
        /// How many bars it has.
        bars: usize,
    },
}

/// The target weight of each symbol in `daily_bars`; they sum to 1 at the most.
///
/// # Errors
/// Weights that do not fit the symbols, or bars that show no volatility.
pub fn target_weights(
    rule: &WeightRule,
    daily_bars: &[(Symbol, Vec<Bar>)],
) -> Result<Vec<(Symbol, Weight)>, WeightError> {
    match rule {
        WeightRule::Equal => Ok(in_proportion(daily_bars.iter().map(|(symbol, _)| (*symbol, 1.0)).collect())),
        WeightRule::Fixed(weights) => fixed(weights, daily_bars),
        WeightRule::InverseVolatility => {
            let inverse = daily_bars.iter().map(|(symbol, bars)| match volatility(bars) {
                Some(volatility) => Ok((*symbol, 1.0 / volatility)),
                None => Err(WeightError::NoVolatility { symbol: *symbol, bars: bars.len() }),
            });
            Ok(in_proportion(inverse.collect::<Result<_, _>>()?))
        }
    }
}

fn fixed(
    weights: &BTreeMap<Symbol, Weight>,
    traded: &[(Symbol, Vec<Bar>)],
) -> Result<Vec<(Symbol, Weight)>, WeightError> {
    if let Some(symbol) = weights.keys().find(|symbol| traded.iter().all(|(other, _)| other != *symbol)) {
        return Err(WeightError::NotTraded(*symbol));
    }
    let sum: Decimal = weights.values().map(|weight| weight.get()).sum();
    if sum > Decimal::ONE {
        return Err(WeightError::SumAboveOne(sum.normalize()));
    }
    let weight_of =
        |symbol| weights.get(&symbol).map(|weight| (symbol, *weight)).ok_or(WeightError::Missing(symbol));
    traded.iter().map(|(symbol, _)| weight_of(*symbol)).collect()
}

/// Rounded down to 9 decimals, so that the sum is never above 1.
fn in_proportion(parts: Vec<(Symbol, f64)>) -> Vec<(Symbol, Weight)> {
    let sum: f64 = parts.iter().map(|(_, part)| part).sum();
    let weight = |part: f64| {
        let exact = Decimal::from_f64(part / sum).unwrap_or_default();
        Weight::new(exact.trunc_with_scale(9)).unwrap_or(Weight::ZERO)
    };
    match parts.as_slice() {
        [(only, _)] => vec![(*only, Weight::ONE)],
        _ => parts.into_iter().map(|(symbol, part)| (symbol, weight(part))).collect(),
    }
}

/// Sample standard deviation of daily log returns of the close; `None` for fewer than two returns or no movement.
fn volatility(bars: &[Bar]) -> Option<f64> {
    let returns: Vec<f64> = bars.windows(2).map(|pair| (pair[1].close / pair[0].close).ln()).collect();
    if returns.len() < 2 {
        return None;
    }
    #[allow(clippy::cast_precision_loss, reason = "a count of days is small")]
    let count = returns.len() as f64;
    let mean = returns.iter().sum::<f64>() / count;
    let variance = returns.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Some(variance.sqrt()).filter(|deviation| deviation.is_finite() && *deviation > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn size_rules_are_read_and_written() {
        for text in ["all", "10%", "5sh", "$1000"] {
            assert_eq!(text.parse::<SizeRule>().unwrap().to_string(), text);
        }
        for text in ["", "0%", "101%", "-5sh", "$0", "5", "sh", "everything"] {
            assert!(text.parse::<SizeRule>().is_err(), "{text}");
        }
    }

    fn bars(closes: &[f64]) -> Vec<Bar> {
        let bar = |close: &f64| Bar {
            at: Timestamp::default(),
            open: *close,
            high: *close,
            low: *close,
            close: *close,
            volume: 1.0,
        };
        closes.iter().map(bar).collect()
    }

    fn traded(closes: [&[f64]; 2]) -> Vec<(Symbol, Vec<Bar>)> {
        vec![("NVDA".parse().unwrap(), bars(closes[0])), ("SPY".parse().unwrap(), bars(closes[1]))]
    }

    #[test]
    fn weights_follow_their_rule_and_never_exceed_one() {
        let calm_and_wild = traded([&[100.0, 104.0, 100.0, 104.0], &[100.0, 101.0, 100.0, 101.0]]);
        let equal = target_weights(&WeightRule::Equal, &calm_and_wild).unwrap();
        assert_eq!(equal[0].1.to_string(), "0.5");
        let inverse = target_weights(&WeightRule::InverseVolatility, &calm_and_wild).unwrap();
        assert!(inverse[1].1.get() > inverse[0].1.get() * Decimal::from(3));
        assert!(inverse.iter().map(|(_, weight)| weight.get()).sum::<Decimal>() <= Decimal::ONE);
    }

    #[test]
    fn weights_that_cannot_be_are_named() {
        let flat = traded([&[100.0, 100.0, 100.0], &[100.0, 101.0]]);
        let error = |rule: &WeightRule| target_weights(rule, &flat).unwrap_err().to_string();
        assert_eq!(
            error(&WeightRule::InverseVolatility),
            "inverse_volatility needs at least 3 daily bars with moving prices, NVDA has 3"
        );
        let fixed = |pairs: &[(&str, &str)]| {
            WeightRule::Fixed(pairs.iter().map(|(s, w)| (s.parse().unwrap(), w.parse().unwrap())).collect())
        };
        assert_eq!(
            error(&fixed(&[("NVDA", "0.5")])),
            "weights must name every traded symbol, SPY is missing"
        );
        assert_eq!(
            error(&fixed(&[("NVDA", "0.6"), ("SPY", "0.6")])),
            "weights must sum to 1 at the most, sum was 1.2"
        );
        assert_eq!(
            error(&fixed(&[("TSLA", "0.5")])),
            "weights must name traded symbols only, TSLA is not traded"
        );
    }
}
