//! `[[expect]]`: what a test of a strategy must give, at which times; a file of its own beside the manifest.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use rust_decimal::Decimal;

use super::value::{self, WrittenValue};
use super::written::{self, Written};
use super::{BYTES_MAX, Fault, Faults, ManifestError, defaults, fault, moment};
use bot_core::clock::Timestamp;
use bot_core::order::Side;
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Quantity};

/// All that is expected of one test.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expectations {
    file: String,
    all: Vec<Expectation>,
}

/// One thing that is expected.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// Its line in the file, from 1.
    pub line: usize,
    /// Its column, from 1.
    pub column: usize,
    /// What must be.
    pub expected: Expected,
}

/// What must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// A signal of that instant.
    Signal {
        /// When.
        at: Timestamp,
        /// In what.
        symbol: Symbol,
        /// What it wants; none for anything.
        wanted: Option<ExpectedWanted>,
    },
    /// A position after all that happened until that instant.
    Position {
        /// When.
        at: Timestamp,
        /// In what.
        symbol: Symbol,
        /// Shares, negative for short.
        shares: Quantity,
    },
    /// Cash and positions at the last prices of that instant.
    Equity {
        /// When.
        at: Timestamp,
        /// Dollars.
        equity: Money,
        /// So far it may be off.
        tolerance: Money,
    },
    /// No signal between.
    NoSignal {
        /// The first instant.
        from: Timestamp,
        /// The first instant behind it.
        to: Timestamp,
        /// In what; none for all symbols.
        symbol: Option<Symbol>,
    },
    /// So many orders at the broker in all.
    Orders(u64),
}

/// What a signal must want.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ExpectedWanted {
    /// A strength.
    Strength(f64),
    /// A part of the equity.
    Weight(f64),
    /// An order.
    Order {
        /// Which way.
        side: Side,
        /// How many shares; none for any number.
        quantity: Option<Quantity>,
    },
}

/// What equity may be off where no tolerance is written.
pub const TOLERANCE: Money = Money::whole(1);

const SIDES: [(&str, Side); 2] = [("buy", Side::Buy), ("sell", Side::Sell)];

impl Expectations {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// A missing file is told apart from a wrong one; a wrong one comes with all of its faults.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) if bytes.len() as u64 <= BYTES_MAX => {}
            Ok(_) => {
                let source = io::Error::new(io::ErrorKind::FileTooLarge, "a file must be at most 1 MiB");
                return Err(ManifestError::Unreadable { path: path.to_owned(), source });
            }
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                return Err(ManifestError::NotFound(path.to_owned()));
            }
            Err(source) => return Err(ManifestError::Unreadable { path: path.to_owned(), source }),
        }
        let file = path.display().to_string();
        Ok(Self::parse(&file, fault::decode(&file, &bytes)?)?)
    }

    /// Checks `text`; `file` is the name that its faults carry.
    ///
    /// # Errors
    /// All faults of the text, in its order.
    pub fn parse(file: &str, text: &str) -> Result<Self, Faults> {
        let all = written::parse(
            file,
            text,
            None,
            &[],
            |_| (),
            |root| {
                let all = root.tables("expect", |written, at| read(written, at, file, text));
                if root.value("expect").is_none() {
                    let message = "there must be something to expect, was nothing".to_owned();
                    root.fault_at(&(0..0), &["expect"], message);
                }
                all.into_iter().flatten().collect()
            },
        )?;
        Ok(Self { file: file.to_owned(), all })
    }

    /// The name of its file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Each of them, in the order of the text.
    pub fn all(&self) -> &[Expectation] {
        &self.all
    }

    /// Holds them against a run `from` its first instant `to` its last over `symbols` (none: of any).
    ///
    /// # Errors
    /// Each time outside of the run and each symbol that it does not have.
    pub fn check(&self, from: Timestamp, to: Timestamp, symbols: &[Symbol]) -> Result<(), Faults> {
        let mut faults = Vec::new();
        for Expectation { line, column, expected } in &self.all {
            let mut refuse = |key: &str, message: String| {
                let (file, key) = (self.file.clone(), format!("expect.{key}"));
                faults.push(Fault { file, line: *line, column: *column, key, message });
            };
            for (key, at) in expected.times() {
                if at < from || at > to {
                    let [from, to, at] = [from, to, at].map(shown);
                    refuse(key, format!("must be within the run, {from} to {to}, was {at}"));
                }
            }
            if let Some(symbol) = expected.symbol().filter(|_| !symbols.is_empty())
                && !symbols.contains(&symbol)
            {
                let known: Vec<&str> = symbols.iter().map(Symbol::as_str).collect();
                refuse("symbol", format!("must be one of {}, was \"{symbol}\"", known.join(", ")));
            }
        }
        Faults::unless_none(&self.file, (), faults)
    }
}

impl Expected {
    fn times(&self) -> Vec<(&'static str, Timestamp)> {
        match self {
            Self::Signal { at, .. } | Self::Position { at, .. } | Self::Equity { at, .. } => {
                vec![("at", *at)]
            }
            Self::NoSignal { from, to, .. } => vec![("from", *from), ("to", *to)],
            Self::Orders(_) => Vec::new(),
        }
    }

    fn symbol(&self) -> Option<Symbol> {
        match self {
            Self::Signal { symbol, .. } | Self::Position { symbol, .. } => Some(*symbol),
            Self::NoSignal { symbol, .. } => *symbol,
            Self::Equity { .. } | Self::Orders(_) => None,
        }
    }
}

/// An instant as New York's clock shows it.
fn shown(at: Timestamp) -> String {
    at.to_new_york().to_rfc3339()
}

/// What one table says: what it expects stands at the place of its value.
fn read(written: &mut Written<'_, '_>, table: &Range<usize>, file: &str, text: &str) -> Vec<Expectation> {
    let mut all = Vec::new();
    let mut add = |at: &Range<usize>, expected: Option<Expected>| {
        let place = Fault::after(text.get(..at.start).unwrap_or(text), file, String::new(), String::new());
        let (line, column) = (place.line, place.column);
        all.extend(expected.map(|expected| Expectation { line, column, expected }));
    };
    let place = |value: Option<&WrittenValue<'_>>| value.map_or(table.clone(), |value| value.span.clone());
    let moment = |value: &WrittenValue<'_>| moment::read(value, defaults::TIMEZONE);
    let (signal, position) = (written.value("signal"), written.value("position"));
    let (equity, orders) = (written.value("equity"), written.value("orders"));
    let (none, at) = (written.value("none"), written.take("at", moment));
    if signal.is_some() {
        let read =
            written.table("signal", "a table such as { symbol = \"NVDA\", strength = 1.0 }", read_signal);
        let expected = read.flatten().zip(at);
        add(
            &place(signal.as_ref()),
            expected.map(|((symbol, wanted), at)| Expected::Signal { at, symbol, wanted }),
        );
    }
    for (symbol, shares, span) in positions(written, position.as_ref()) {
        add(&span, at.map(|at| Expected::Position { at, symbol, shares }));
    }
    let tolerance = written.take("tolerance", |value| {
        let tolerance = dollars(value).ok().filter(|tolerance| *tolerance >= Money::ZERO);
        tolerance.ok_or_else(|| value.breaks("must be a number of dollars, 0 or more"))
    });
    if equity.is_some() {
        let tolerance = tolerance.unwrap_or(TOLERANCE);
        let read = written.take("equity", dollars).zip(at);
        add(&place(equity.as_ref()), read.map(|(equity, at)| Expected::Equity { at, equity, tolerance }));
    }
    let (from, to) = (written.take("from", moment), written.take("to", moment));
    let symbol = written.take("symbol", value::symbol);
    if none.is_some() {
        written.take("none", |value| match value.kind.as_bool() {
            Some(true) => Ok(()),
            _ => Err(value.breaks("must be true")),
        });
        let span = from.zip(to);
        add(&place(none.as_ref()), span.map(|(from, to)| Expected::NoSignal { from, to, symbol }));
    }
    if orders.is_some() {
        let read = written.take("orders", value::whole(0..=u64::MAX));
        add(&place(orders.as_ref()), read.map(Expected::Orders));
    }
    let is_timed = signal.is_some() || position.is_some() || equity.is_some();
    check_keys(written, table, [is_timed, equity.is_some(), none.is_some(), orders.is_some()]);
    all
}

/// Keys that stand together, and a table that expects nothing.
fn check_keys(written: &mut Written<'_, '_>, table: &Range<usize>, has: [bool; 4]) {
    let [is_timed, has_equity, has_none, has_orders] = has;
    let rules = [
        ("at", is_timed, true, "signal, position or equity"),
        ("from", has_none, true, "none"),
        ("to", has_none, true, "none"),
        ("symbol", has_none, false, "none"),
        ("tolerance", has_equity, false, "equity"),
    ];
    for (key, may, must, others) in rules {
        match written.value(key) {
            Some(value) if !may => {
                written.fault_at(&value.span, &[key], format!("is allowed with {others} only, was without"));
            }
            None if may && must => {
                written.fault_at(table, &[key], format!("must be written with {others}, was missing"));
            }
            Some(_) | None => {}
        }
    }
    if !is_timed && !has_none && !has_orders {
        let message = "must have signal, position, equity, none or orders, had none of them".to_owned();
        written.fault_at(table, &[], message);
    }
}

fn read_signal(written: &mut Written<'_, '_>) -> Option<(Symbol, Option<ExpectedWanted>)> {
    let strength = written
        .take("strength", value::number("a number from -1 to 1", |number| (-1.0..=1.0).contains(&number)))
        .map(ExpectedWanted::Strength);
    let weight =
        written.take("weight", value::number("a number", f64::is_finite)).map(ExpectedWanted::Weight);
    let quantity = written.take("quantity", value::quantity);
    let side = written
        .take("side", |value| value::choice(&SIDES, value))
        .map(|side| ExpectedWanted::Order { side, quantity });
    let wanted: Vec<ExpectedWanted> = [strength, weight, side].into_iter().flatten().collect();
    if wanted.len() > 1
        && let Some(second) = written.value(if weight.is_some() { "weight" } else { "side" })
    {
        let message = "must be one of strength, weight and side, were several".to_owned();
        written.fault_at(&second.span, &[], message);
    }
    if let (Some(value), None) = (written.value("quantity"), side) {
        written.fault_at(&value.span, &["quantity"], "is allowed with side only, was without".to_owned());
    }
    let symbol = written.value("symbol").map(|_| ());
    let taken = written.take("symbol", value::symbol);
    if symbol.is_none() {
        let at = written.at(&["strength"]).or(written.at(&["weight"])).or(written.at(&["side"]));
        let at = at.map_or(0..0, |value| value.span);
        written.fault_at(&at, &["symbol"], "must be written, was missing".to_owned());
    }
    Some((taken?, wanted.first().copied()))
}

/// Shares by symbol, each with its place.
fn positions(
    written: &mut Written<'_, '_>,
    position: Option<&WrittenValue<'_>>,
) -> Vec<(Symbol, Quantity, Range<usize>)> {
    let Some(position) = position else { return Vec::new() };
    if !position.kind.is_table() {
        let message = position.breaks("must be a table such as { NVDA = 100 }");
        written.fault_at(&position.span, &["position"], message);
    }
    let mut all = Vec::new();
    for (name, at, value) in position.entries() {
        let Some(value) = value else { continue };
        match (name.parse::<Symbol>(), value.decimal().and_then(|number| Quantity::exact(number).ok())) {
            (Ok(symbol), Some(shares)) => all.push((symbol, shares, at)),
            (Err(error), _) => written.fault_at(&at, &["position", name], error.to_string()),
            (Ok(_), None) => {
                let message = value.breaks("must be a number of shares with at most 9 decimals");
                written.fault_at(&value.span, &["position", name], message);
            }
        }
    }
    all
}

/// Dollars as a number or a string.
fn dollars(value: &WrittenValue<'_>) -> Result<Money, String> {
    let number = value.str().map_or_else(|| value.decimal(), |text| text.parse::<Decimal>().ok());
    number.map(Money::new).ok_or_else(|| value.breaks("must be a number of dollars"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> String {
        Expectations::parse("e.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn each_expectation_knows_its_line() {
        let text = "[[expect]]\nat = \"2024-01-02 10:15\"\nsignal = { symbol = \"NVDA\", strength = 1.0 }\n\
                    position = { NVDA = 100, AAPL = -5 }\nequity = 100000\ntolerance = 0.5\n\
                    [[expect]]\nnone = true\nfrom = 2024-01-02T15:00:00Z\nto = \"2024-01-02 11:00\"\n\
                    [[expect]]\norders = 3\n";
        let read = Expectations::parse("e.toml", text).unwrap();
        let lines: Vec<usize> = read.all().iter().map(|one| one.line).collect();
        assert_eq!(lines, [3, 4, 4, 5, 8, 12]);
        let at = Timestamp::parse_rfc3339("2024-01-02T10:15:00-05:00").unwrap();
        let (symbol, wanted) = ("NVDA".parse().unwrap(), Some(ExpectedWanted::Strength(1.0)));
        assert_eq!(read.all()[0].expected, Expected::Signal { at, symbol, wanted });
        let (equity, tolerance) = (Money::whole(100_000), "0.5".parse().unwrap());
        assert_eq!(read.all()[3].expected, Expected::Equity { at, equity, tolerance });
        assert_eq!(read.all()[5].expected, Expected::Orders(3));
    }

    #[test]
    fn what_cannot_be_expected_is_told_with_its_place() {
        let all = faults(
            "[[expect]]\nat = \"noon\"\nsignal = { strength = 2 }\n[[expect]]\nposition = { NVDA = \"x\" }\n\
             [[expect]]\nat = \"2024-01-02 10:15\"\norders = -1\nordres = 1\n[[expect]]\nsymbol = \"NVDA\"\n",
        );
        for said in [
            "e.toml:2:6: expect.1.at: must be a date",
            "e.toml:3:23: expect.1.signal.strength: must be a number from -1 to 1, was integer \"2\"",
            "expect.1.signal.symbol: must be written, was missing",
            "e.toml:4:1: expect.2.at: must be written with signal, position or equity, was missing",
            "e.toml:5:21: expect.2.position.NVDA: must be a number of shares",
            "e.toml:8:10: expect.3.orders: must be a whole number",
            "expect.3.at: is allowed with signal, position or equity only, was without",
            "e.toml:9:1: expect.3.ordres: unknown key, did you mean \"orders\"?",
            "e.toml:10:1: expect.4: must have signal, position, equity, none or orders",
            "e.toml:11:10: expect.4.symbol: is allowed with none only, was without",
        ] {
            assert!(all.contains(said), "{all}\nmust contain {said}");
        }
        assert!(faults("").contains("there must be something to expect, was nothing"));
    }

    #[test]
    fn times_outside_of_the_run_and_symbols_it_does_not_have_are_faults() {
        let text = "[[expect]]\nat = \"2024-01-03 10:15\"\nposition = { AAPL = 0 }\n";
        let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
        let (from, to) = (at("2024-01-02T09:30:00-05:00"), at("2024-01-02T16:00:00-05:00"));
        let read = Expectations::parse("e.toml", text).unwrap();
        let told = read.check(from, to, &["NVDA".parse().unwrap()]).unwrap_err().to_string();
        let late = "e.toml:3:14: expect.at: must be within the run, 2024-01-02T09:30:00-05:00 to \
                    2024-01-02T16:00:00-05:00, was 2024-01-03T10:15:00-05:00";
        assert!(told.contains(late), "{told}");
        assert!(told.contains("expect.symbol: must be one of NVDA, was \"AAPL\""), "{told}");
        assert!(read.check(from, at("2024-01-04T00:00:00Z"), &[]).is_ok());
    }
}
