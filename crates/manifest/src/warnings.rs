//! What is right as it is written, and yet can never trade: limits below one order, symbols without data, data that end
//! before a strategy begins.

use std::ops::Range;
use std::time::Duration;

use super::strategy::read_script;
use super::written::Written;
use super::{BrokerKind, DataSection, Manifest, StrategySection, StrategySource, defaults};
use bot_core::clock::Timestamp;
use bot_core::duration;
use bot_core::instrument::Instrument;
use bot_core::market::Row;
use bot_core::sizing::SizeRule;
use bot_core::strategy::{self, Every, Runner, Value};
use bot_core::units::{Money, Price, Quantity};
use bot_data::{Chunk, DataError, Origin, RowKind, Spec};
use bot_script::NO_FIELD;

/// More than this is not read for a warning: bytes of files, rows of a generator.
const READ_BYTES_MAX: u64 = 256 << 20;
const READ_ROWS_MAX: u64 = 1_000_000;

/// What is known of a source once it was read.
struct Facts {
    rows: u64,
    span: Duration,
    /// What one share costs at the end; none for numbers.
    price: Option<Price>,
}

/// What was read of each data section, in order.
pub(super) struct ReadData(Vec<Option<Result<Facts, DataError>>>);

/// Where orders are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// To a broker, now.
    Live,
    /// To a simulated broker, over history.
    History,
}

/// Reads the files and generators of `manifest`, as far as they are not too long.
pub(super) fn read(manifest: &Manifest) -> ReadData {
    ReadData(manifest.data.iter().map(|section| section.spec.as_ref().and_then(facts)).collect())
}

/// Each warning, as a fault at its place.
pub(super) fn check(manifest: &Manifest, read: &ReadData, over: Over, root: &mut Written<'_, '_>) {
    let manifest = ReadManifest { manifest, read, over };
    for (section, facts) in manifest.manifest.data.iter().zip(&read.0) {
        if let (Some(Err(error)), Over::History) = (facts, over) {
            warn(root, &["data", &section.name], format!("cannot be read to its end: {error}"));
        }
    }
    if over == Over::Live && manifest.manifest.strategies.is_empty() {
        manifest.plain_signals(root);
    }
    for section in &manifest.manifest.strategies {
        let name = section.name.as_str();
        if !section.active.unwrap_or(defaults::ACTIVE) {
            let text = match over {
                Over::Live => "trades only once it is started by name, was false",
                Over::History => "can never trade: is not started, was false",
            };
            warn(root, &["strategy", name, "active"], text.to_owned());
            continue;
        }
        if over == Over::Live {
            manifest.symbols(section, root); // Over history it is a fault.
        }
        manifest.fields(section, root);
        manifest.limits(section, root);
        if over == Over::History {
            manifest.warm_up(section, root);
        }
    }
}

/// The manifest with what was read.
struct ReadManifest<'a> {
    manifest: &'a Manifest,
    read: &'a ReadData,
    over: Over,
}

impl ReadManifest<'_> {
    /// What was read of the source that a strategy trades on.
    fn main(&self, section: &StrategySection) -> Option<(&DataSection, &Facts)> {
        let main = *self.manifest.sources_of(section).first()?;
        let place = self.manifest.data.iter().position(|data| data.name == main.name)?;
        Some((main, self.read.0.get(place)?.as_ref()?.as_ref().ok()?))
    }

    /// What one share costs; a generator's price is that of no market.
    fn price(&self, section: &StrategySection) -> Option<Price> {
        let (main, facts) = self.main(section)?;
        let is_made_up = main.spec.as_ref().is_some_and(|spec| matches!(spec.origin, Origin::Generator(_)));
        facts.price.filter(|_| self.over == Over::History || !is_made_up)
    }

    /// What its orders are multiples of, by the first symbol that it trades.
    fn instrument(&self, section: &StrategySection) -> Option<Instrument> {
        let symbol = *section.symbols_of(self.manifest).first()?;
        Some(self.manifest.instruments().of(symbol))
    }

    /// What its book has, and the keys that say so; none where only the broker knows.
    fn capital<'k>(&self, section: &'k StrategySection) -> Option<(Money, Vec<&'k str>)> {
        let name = section.name.as_str();
        let broker = &self.manifest.broker;
        let is_known = self.over == Over::History || broker.kind == Some(BrokerKind::Simulated);
        let buffer = self.manifest.portfolio.cash_buffer.unwrap_or(defaults::CASH_BUFFER);
        let cash = is_known.then(|| (broker.cash() * buffer.rest(), vec!["broker", "cash"]));
        let own = section.capital.map(|capital| (capital, vec!["strategy", name, "capital"])).or(cash);
        let most =
            section.risk.position_max.map(|most| (most, vec!["strategy", name, "risk", "position_max"]));
        own.into_iter().chain(most).min_by_key(|(money, _)| *money)
    }

    /// Symbols of which no data section tells.
    fn symbols(&self, section: &StrategySection, root: &mut Written<'_, '_>) {
        for symbol in self.manifest.unseen(section) {
            let message =
                format!("may never trade: none of its data sections has the symbol, was \"{symbol}\"");
            warn(root, &["strategy", &section.name, "symbols"], message);
        }
    }

    /// Fields that a script reads of its events and that they do not have.
    fn fields(&self, section: &StrategySection, root: &mut Written<'_, '_>) {
        let sources = self.manifest.sources_of(section);
        let symbols = section.symbols_of(self.manifest);
        let (Some(main), Some(symbol)) = (sources.first(), symbols.first()) else { return };
        let StrategySource::Script(_) = section.source else { return };
        let Ok(strategy) = section.make(&[*symbol]) else { return };
        let mut runner = Runner::new(&section.name, strategy, &symbols, Every::Event).with_failures_max(0);
        // What a script does on its first event may differ from what it does on all others.
        let fault = [1.0, 2.0, 1.0].into_iter().zip(0..).find_map(|(price, second)| {
            let row = Row { at: Timestamp::from_secs(second), values: [price; 5] };
            let failed = runner.on_event(&row.event(*symbol, main.row_kind)).err()?.error.to_string();
            failed.contains(NO_FIELD).then_some(failed)
        });
        if let Some(fault) = fault {
            let message = format!("fails on events of data.{}: {fault}", main.name);
            warn(root, &["strategy", &section.name, "script"], message);
        }
    }

    /// Limits that refuse an order at full strength, and books that cannot pay one share.
    fn limits(&self, section: &StrategySection, root: &mut Written<'_, '_>) {
        let price = self.price(section);
        let lot = self.instrument(section).map_or(Quantity::ONE, |instrument| instrument.lot);
        let lots = |dollars: Money, price: Price| dollars.buys(price).floor_to(lot);
        let capital = self.capital(section);
        let has = capital.as_ref().map(|(has, _)| *has);
        let rule = section.size_rule.unwrap_or(defaults::SIZE_RULE);
        let sized = match rule {
            SizeRule::Shares(shares) => price.map(|price| price * shares.floor_to(lot)),
            SizeRule::Notional(dollars) => Some(dollars),
            SizeRule::All => has,
            SizeRule::Fraction(part) => has.map(|has| has * part),
        };
        let sized = sized.map(|dollars| has.map_or(dollars, |has| dollars.min(has)));
        if let (Some(price), Some(dollars)) = (price, sized)
            && lots(dollars, price).is_zero()
        {
            let poor = capital.filter(|(has, _)| lots(*has, price).is_zero());
            let (was, keys) = poor.map_or_else(
                || (rule.to_string(), vec!["strategy", section.name.as_str(), "size", "rule"]),
                |(has, keys)| (has.to_string(), keys),
            );
            let least = if lot == Quantity::ONE { "one share".to_owned() } else { format!("a lot of {lot}") };
            let message =
                format!("can never trade: must be at least {least} at {price} dollars, was \"{was}\"");
            warn(root, &keys, message);
            return;
        }
        let one = price.map(|price| price * lot);
        let whole = |dollars: Money| price.map_or(dollars, |price| price * lots(dollars, price));
        let dollars = sized.map(whole).or(one);
        let limits = &self.manifest.risk;
        let name = &section.name;
        for (key, most) in [
            ("order_notional_max", limits.order_notional_max),
            ("position_notional_max", limits.position_notional_max),
        ] {
            if let (Some(most), Some(dollars)) = (most, dollars)
                && dollars > most
            {
                let order = format!("an order of strategy \"{name}\" at full strength, {dollars} dollars");
                warn(
                    root,
                    &["risk", key],
                    format!("can never trade: must be at least {order}, was \"{most}\""),
                );
            }
        }
        let known = dollars.zip(price).map(|(dollars, price)| lots(dollars, price));
        let written = if let SizeRule::Shares(shares) = rule { Some(shares.floor_to(lot)) } else { None };
        let shares = known.or(written).unwrap_or(lot);
        if let Some(most) = limits.order_qty_max.filter(|most| *most < shares) {
            let order = format!("an order of strategy \"{name}\" at full strength, {shares} shares");
            let message = format!("can never trade: must be at least {order}, was \"{most}\"");
            warn(root, &["risk", "order_qty_max"], message);
        }
    }

    /// A plain signal buys for all of the cash, and what is above a limit is refused, not cut.
    fn plain_signals(&self, root: &mut Written<'_, '_>) {
        let limits = &self.manifest.risk;
        let instruments = self.manifest.instruments();
        let lots = self.manifest.traded_live(&[]).into_iter().map(|symbol| instruments.of(symbol).lot);
        let lot = lots.min().unwrap_or(Quantity::ONE);
        if let Some(most) = limits.order_qty_max.filter(|most| *most < lot) {
            let message = format!("can never trade: must be at least a lot of {lot}, was \"{most}\"");
            warn(root, &["risk", "order_qty_max"], message);
        }
        let is_simulated = self.manifest.broker.kind == Some(BrokerKind::Simulated);
        for (key, most) in [
            ("order_notional_max", limits.order_notional_max),
            ("position_notional_max", limits.position_notional_max),
        ] {
            let Some(most) = most else { continue };
            if !is_simulated || self.manifest.broker.cash() > most {
                let rule = "refuses each buy of an account with more cash, unless --size says less";
                warn(root, &["risk", key], format!("{rule}, was \"{most}\""));
            }
        }
    }

    /// Data that end before a strategy begins.
    fn warm_up(&self, section: &StrategySection, root: &mut Written<'_, '_>) {
        let Some((main, facts)) = self.main(section) else { return };
        if let Some(warmup) = warmup_of(section).filter(|warmup| *warmup >= facts.rows) {
            let rule = format!("must be below the {} rows of data.{}", facts.rows, main.name);
            let message = format!("can never trade: {rule}, was \"{warmup}\"");
            warn(root, &["strategy", &section.name, "params", "warmup"], message);
        }
        let horizon = section.make(&[]).ok().and_then(|strategy| strategy.needs().horizon);
        if let Some(horizon) = horizon.filter(|horizon| *horizon > facts.span) {
            let (span, horizon) = (duration::format(facts.span), duration::format(horizon));
            let message = format!("may never trade: data.{} must last {horizon}, was \"{span}\"", main.name);
            warn(root, &["strategy", &section.name, "data"], message);
        }
    }
}

/// The warm-up that is written, or what its kind or script says without.
fn warmup_of(section: &StrategySection) -> Option<u64> {
    const NAME: &str = "warmup";
    let params = match &section.source {
        StrategySource::Kind(kind) => strategy::registry().kind(kind).ok()?.params().to_vec(),
        StrategySource::Script(path) => read_script(path).ok()?.params().to_vec(),
    };
    let usual = params.into_iter().find(|param| param.name == NAME).map(|param| param.default);
    match section.params.get(NAME).cloned().or(usual)? {
        Value::Whole(whole) => u64::try_from(whole).ok(),
        Value::Truth(_) | Value::Number(_) | Value::Text(_) => None,
    }
}

/// None for what is not there, has no end here, or is too long to be read for a warning.
fn facts(spec: &Spec) -> Option<Result<Facts, DataError>> {
    match &spec.origin {
        Origin::Csv { paths, .. } | Origin::Parquet { paths, .. } => {
            let is_there = paths.iter().all(|path| path.is_file());
            (is_there && bot_data::size(spec) <= READ_BYTES_MAX).then(|| read_through(spec))
        }
        Origin::Generator(walk) => (walk.rows <= READ_ROWS_MAX).then(|| read_through(spec)),
        Origin::Recorded { .. } | Origin::Alpaca { .. } => None,
    }
}

fn read_through(spec: &Spec) -> Result<Facts, DataError> {
    let mut source = bot_data::open(&Spec { save: None, ..spec.clone() })?;
    let mut last = None;
    while let Some(chunk) = source.next_chunk()? {
        if let Chunk::Rows { rows, .. } = &*chunk {
            last = rows.last().copied().or(last);
        }
    }
    let read = source.report();
    let price = last.and_then(|row| match spec.row_kind {
        RowKind::Bar { .. } => Some(row.values[3]),
        RowKind::Quote => Some(row.values[2]),
        RowKind::Trade => Some(row.values[0]),
        RowKind::Number => None,
    });
    Ok(Facts {
        rows: read.events,
        span: read.first.zip(read.last).map_or(Duration::ZERO, |(first, last)| last.since(first)),
        price: price.and_then(|price| Price::from_f64(price).ok()),
    })
}

/// At the value of `keys`, or at what is written of the way to it.
fn warn(root: &mut Written<'_, '_>, keys: &[&str], message: String) {
    let at = (1..=keys.len()).rev().find_map(|count| root.at(&keys[..count]));
    let at: Range<usize> = at.map_or(0..0, |value| value.span);
    root.fault_at(&at, keys, message);
}
