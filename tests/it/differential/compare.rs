//! What a run did, line by line, and how two runs differ.

use std::collections::BTreeMap;
use std::fmt;

use bot::clock::Timestamp;
use bot::order::Side;
use bot::portfolio::StrategyBook;
use bot::symbol::Symbol;
use bot::units::{Money, Price, Quantity};

/// What a line is about, in the order in which it comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    StrategySignal,
    Signal,
    Order,
    Fill,
    /// At the end: the last failure of a strategy.
    Failure,
    /// At the end: the account (no strategy), or a strategy's book.
    Book,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::StrategySignal => "intent",
            Self::Signal => "signal",
            Self::Order => "order",
            Self::Fill => "fill",
            Self::Failure => "failure",
            Self::Book => "book",
        })
    }
}

type Key = (Timestamp, What, String);

/// All that a run did.
#[derive(Debug, Default)]
pub struct Deeds {
    lines: BTreeMap<Key, Vec<String>>,
    /// What each strategy's orders made.
    made: BTreeMap<(String, Symbol), Quantity>,
    /// How often a position that a strategy's orders made changed its side.
    pub flips: u64,
    /// Orders of which a part was filled.
    pub partial_fills: u64,
    /// Signals that followed from another one.
    pub steps: u64,
    sides: BTreeMap<(String, Symbol), bool>,
}

impl Deeds {
    /// Notes one line.
    pub fn note(&mut self, at: Timestamp, strategy: &str, what: What, text: String) {
        self.lines.entry((at, what, strategy.to_owned())).or_default().push(text);
    }

    /// Notes how a strategy failed last, if it did.
    pub fn fail(&mut self, strategy: &str, failure: Option<&String>) {
        if let Some(failure) = failure {
            self.note(Timestamp::MAX, strategy, What::Failure, failure.clone());
        }
    }

    /// Notes a fill; in the order of time.
    pub fn fill(&mut self, at: Timestamp, strategy: &str, symbol: Symbol, side: Side, of: (Quantity, Price)) {
        let (quantity, price) = of;
        self.note(at, strategy, What::Fill, format!("{side} {quantity} {symbol} at {price}"));
        let key = (strategy.to_owned(), symbol);
        let held = self.made.entry(key.clone()).or_default();
        *held += if side == Side::Buy { quantity } else { -quantity };
        if !held.is_zero() {
            let is_long = held.is_positive();
            self.flips += u64::from(self.sides.insert(key, is_long).is_some_and(|was| was != is_long));
        }
    }

    /// Notes the account at the end of the run.
    pub fn end(&mut self, cash: Money, positions: impl Iterator<Item = (Symbol, Quantity)>) {
        self.note(Timestamp::MAX, "", What::Book, format!("cash {cash}"));
        for (symbol, held) in positions {
            self.note(Timestamp::MAX, "", What::Book, format!("holds {held} {symbol}"));
        }
    }

    /// Notes a strategy's book at the end of the run: its capital, cash, positions, profit and targets.
    pub fn book(&mut self, book: &StrategyBook) {
        let mut lines = vec![format!("capital {} cash {}", book.capital(), book.cash())];
        let mut positions: Vec<_> = book.positions().collect();
        positions.sort_by_key(|(symbol, _)| *symbol);
        for (symbol, position) in positions {
            let (held, cost, realised) = (position.quantity(), position.cost(), position.realised());
            let target = book.target(symbol);
            let target = target.map(|target| format!(", wants {} ({:?})", target.shares, target.strength));
            let target = target.unwrap_or_default();
            lines.push(format!("holds {held} {symbol} for {cost}, earned {realised}{target}"));
        }
        for line in lines {
            self.note(Timestamp::MAX, book.name(), What::Book, line);
        }
    }

    /// The same with times in whole minutes: live a schedule calls a second later than over history.
    pub fn by_minute(mut self) -> Self {
        let minute = 60_000_000_000;
        for ((at, what, strategy), texts) in std::mem::take(&mut self.lines) {
            let at = Timestamp::from_nanos(at.nanos() / minute * minute);
            self.lines.entry((at, what, strategy)).or_default().extend(texts);
        }
        self
    }

    /// How many lines there are of one kind.
    pub fn count(&self, what: What) -> usize {
        self.lines.iter().filter(|((_, of, _), _)| *of == what).map(|(_, texts)| texts.len()).sum()
    }
}

/// The two sides do not say the same of one strategy at one instant.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    pub at: Timestamp,
    pub strategy: String,
    pub what: What,
    pub live: Vec<String>,
    pub history: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |texts: &[String]| match texts {
            [] => "nothing".to_owned(),
            texts => texts.join(", "),
        };
        let strategy = if self.strategy.is_empty() { "the account" } else { &self.strategy };
        write!(
            f,
            "{} {strategy}: {}: live {}; history {}",
            self.at,
            self.what,
            told(&self.live),
            told(&self.history)
        )
    }
}

/// All differences, the earliest first.
pub fn differences(live: &Deeds, history: &Deeds) -> Vec<Difference> {
    let keys: std::collections::BTreeSet<&Key> = live.lines.keys().chain(history.lines.keys()).collect();
    let of = |deeds: &Deeds, key: &Key| deeds.lines.get(key).cloned().unwrap_or_default();
    keys.into_iter()
        .map(|key| Difference {
            at: key.0,
            what: key.1,
            strategy: key.2.clone(),
            live: of(live, key),
            history: of(history, key),
        })
        .filter(|difference| difference.live != difference.history)
        .collect()
}

/// The part of a reason that is for machines.
pub fn code(reason: &str) -> &str {
    reason.split(':').next().unwrap_or_default()
}

#[test]
fn a_line_that_one_side_lacks_and_one_that_is_another_are_told_in_the_order_of_time() {
    let at = Timestamp::from_secs;
    let (mut live, mut history) = (Deeds::default(), Deeds::default());
    let symbol: Symbol = "AAA".parse().unwrap();
    let fill = |quantity: i64| (Quantity::new(quantity.into()), "10.5".parse().unwrap());
    for deeds in [&mut live, &mut history] {
        deeds.note(at(1), "a", What::StrategySignal, "AAA 1".to_owned());
        deeds.fill(at(1), "a", symbol, Side::Buy, fill(3));
    }
    assert_eq!(differences(&live, &history), []);
    live.fill(at(2), "a", symbol, Side::Sell, fill(5));
    history.fill(at(2), "a", symbol, Side::Sell, fill(4));
    live.end(Money::ZERO, [(symbol, Quantity::new((-2).into()))].into_iter());
    history.end(Money::ZERO, std::iter::empty());
    assert_eq!((live.flips, history.count(What::Fill)), (1, 2));
    let told: Vec<String> = differences(&live, &history).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "1970-01-01T00:00:02Z a: fill: live sell 5 AAA at 10.5; history sell 4 AAA at 10.5",
            "2262-04-11T23:47:16.854775807Z the account: book: live cash 0, holds -2 AAA; history cash 0",
        ]
    );
}
