//! `[instrument.SYMBOL]`: what an instrument allows, where no broker tells it or it is to be otherwise.

use std::ops::Range;

use rust_decimal::Decimal;

use super::fault::near_or_allowed;
use super::value::{self, WrittenValue};
use super::written::Written;
use super::{BrokerKind, KeyLine, Manifest, Purpose, StrategySection, SummaryPart};
use bot_core::instrument::{Calendar, Currency, FRACTION, Instrument, TickSize};
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Price, Quantity};
use bot_simulated::Fees;

pub(super) const NAME: &str = "instrument";

const CALENDARS: [(&str, Calendar); 2] =
    [(Calendar::Nyse.name(), Calendar::Nyse), (Calendar::Always.name(), Calendar::Always)];
const DECIMALS_MAX: u32 = 9;

/// One instrument; what is not written is as the kind of its symbol says.
#[derive(Debug, Clone, PartialEq)]
pub struct InstrumentSection {
    /// Of what.
    pub symbol: Symbol,
    /// The same as it is written.
    name: String,
    /// What quantities are multiples of; `fractions = true` is the finest there is.
    pub lot: Option<Quantity>,
    /// What limits are multiples of.
    pub tick: Option<Price>,
    /// The least that an order may be worth.
    pub notional_min: Option<Money>,
    /// What its prices are in.
    pub currency: Option<Currency>,
    /// Whether it can be sold short.
    pub shorting: Option<bool>,
    /// When it trades.
    pub calendar: Option<Calendar>,
}

impl InstrumentSection {
    /// As it is written, the rest by the kind of its symbol.
    pub fn instrument(&self) -> Instrument {
        let usual = Instrument::of(self.symbol);
        Instrument {
            symbol: self.symbol,
            tick: self.tick.map_or(usual.tick, TickSize::Fixed),
            lot: self.lot.unwrap_or(usual.lot),
            notional_min: self.notional_min.unwrap_or(usual.notional_min),
            currency: self.currency.unwrap_or(usual.currency),
            shorting: self.shorting.unwrap_or(usual.shorting),
            calendar: self.calendar.unwrap_or(usual.calendar),
        }
    }

    pub(super) fn describe(&self) -> SummaryPart {
        let usual = Instrument::of(self.symbol);
        let least =
            if usual.notional_min.is_zero() { "off".to_owned() } else { usual.notional_min.to_string() };
        let lines = vec![
            KeyLine::new("lot", self.lot, usual.lot),
            KeyLine::new("tick", self.tick, usual.tick),
            KeyLine::new("notional_min", self.notional_min, least),
            KeyLine::new("currency", self.currency, usual.currency),
            KeyLine::new("shorting", self.shorting, usual.shorting),
            KeyLine::new("calendar", self.calendar, usual.calendar),
        ];
        SummaryPart { name: format!("{NAME}.{}", self.symbol).into(), lines }
    }
}

/// Reads every `[instrument.SYMBOL]`, each symbol once.
pub(super) fn read_all(root: &mut Written<'_, '_>) -> Vec<InstrumentSection> {
    let mut known: Vec<Symbol> = Vec::new();
    let sections = root.named_tables(NAME, |written, name, at| {
        let symbol = name.parse::<Symbol>();
        // Of a symbol that is none the other faults are told as well.
        let section = read(written, name, *symbol.as_ref().unwrap_or(&Symbol::USD));
        match symbol {
            Err(error) => written.fault_at(at, &[], error.to_string()),
            Ok(symbol) if known.contains(&symbol) => {
                let message = format!("symbol must be written once, was \"{symbol}\" before");
                written.fault_at(at, &[], message);
            }
            Ok(symbol) => {
                known.push(symbol);
                return Some(section);
            }
        }
        None
    });
    sections.into_iter().flatten().collect()
}

fn read(written: &mut Written<'_, '_>, name: &str, symbol: Symbol) -> InstrumentSection {
    let fractions = written.take("fractions", value::truth);
    let own = written.take("lot", lot);
    if let (Some(value), Some(_)) = (written.value("lot"), fractions) {
        written.fault_at(&value.span, &["lot"], value.breaks("must not be written beside fractions"));
    }
    InstrumentSection {
        symbol,
        name: name.to_owned(),
        lot: own.or(fractions.map(|fractions| if fractions { FRACTION } else { Quantity::ONE })),
        tick: written.take("tick", tick),
        notional_min: written.take("notional_min", value::money),
        currency: written.take("currency", currency),
        shorting: written.take("shorting", value::truth),
        calendar: written.take("calendar", |value| value::choice(&CALENDARS, value)),
    }
}

/// What no path of a command can honour is a fault, and so is an instrument that the run does not trade.
pub(super) fn check(manifest: &Manifest, purpose: Purpose<'_>, root: &mut Written<'_, '_>) {
    let traded = match purpose {
        Purpose::Any => return,
        Purpose::Run { symbols } => manifest.traded_live(symbols),
        Purpose::Backtest | Purpose::Sweep | Purpose::Trial => manifest.traded(),
    };
    let is_live = matches!(purpose, Purpose::Run { .. });
    // A recording does not say of what it is before it is read.
    let is_named = |one: &StrategySection| !one.symbols_of(manifest).is_empty();
    let is_known = is_live || !traded.is_empty() && manifest.strategies.iter().all(is_named);
    for section in &manifest.instruments {
        if is_known && !traded.contains(&section.symbol) {
            let known: Vec<&str> = traded.iter().map(Symbol::as_str).collect();
            let rule = format!("must be of a symbol that the run trades, was \"{}\"", section.symbol);
            fault(root, section, None, format!("{rule}{}", near_or_allowed(section.symbol.as_str(), &known)));
        }
        if is_live && manifest.broker.kind != Some(BrokerKind::Simulated) {
            at_alpaca(section, root);
        }
        // Over history the market is open whenever it shows a price.
        if !is_live && section.symbol.is_pair() && section.calendar == Some(Calendar::Nyse) {
            let message = "must be \"always\" for a pair in a backtest, was \"nyse\"";
            fault(root, section, Some("calendar"), message.to_owned());
        }
    }
    currencies(manifest, &traded, is_live, root);
    if let (false, Some(Fees::Alpaca)) = (is_live, manifest.broker.fees)
        && let Some(pair) = traded.iter().find(|symbol| symbol.is_pair())
    {
        let keys = ["broker", "fees"];
        let message = format!("must be \"none\" or {{ bps = 5 }} where {pair} is traded, was \"alpaca\"");
        root.fault_at(&place(root, &keys), &keys, message);
    }
}

/// What Alpaca refuses whatever a manifest says.
fn at_alpaca(section: &InstrumentSection, root: &mut Written<'_, '_>) {
    let is_pair = section.symbol.is_pair();
    if is_pair && section.shorting == Some(true) {
        let message = "must be false for a coin at Alpaca, was boolean \"true\"";
        fault(root, section, Some("shorting"), message.to_owned());
    }
    if !is_pair && section.calendar == Some(Calendar::Always) {
        let message = "must be \"nyse\" for a share at Alpaca, was \"always\"";
        fault(root, section, Some("calendar"), message.to_owned());
    }
}

/// An account's cash is of one currency; a broker's is of US dollars.
fn currencies(manifest: &Manifest, traded: &[Symbol], is_live: bool, root: &mut Written<'_, '_>) {
    let instruments = manifest.instruments();
    let mut instruments = traded.iter().map(|symbol| instruments.of(*symbol));
    let first = if is_live { None } else { instruments.next() };
    let account = first.map_or_else(Currency::default, |first| first.currency);
    let Some(stranger) = instruments.find(|one| one.currency != account) else { return };
    let keys = [NAME, stranger.symbol.as_str(), "currency"];
    let rule = format!("must be \"{account}\" like the account's cash");
    let at = place(root, &keys);
    root.fault_at(&at, &keys, format!("{rule}, was \"{}\"", stranger.currency));
}

/// At a key of the section, or at the section.
fn fault(root: &mut Written<'_, '_>, section: &InstrumentSection, key: Option<&str>, message: String) {
    let keys: Vec<&str> = [NAME, &section.name].into_iter().chain(key).collect();
    root.fault_at(&place(root, &keys), &keys, message);
}

/// Where the value of `keys` is written, or the section that it belongs to; the beginning of the text where neither is.
fn place(root: &Written<'_, '_>, keys: &[&str]) -> Range<usize> {
    let at = (2..=keys.len()).rev().find_map(|count| root.at(&keys[..count]));
    at.map_or(0..0, |value| value.span)
}

fn lot(value: &WrittenValue<'_>) -> Result<Quantity, String> {
    fine(value).map(Quantity::new)
}

fn tick(value: &WrittenValue<'_>) -> Result<Price, String> {
    Price::new(fine(value)?).map_err(|error| error.to_string())
}

/// A number above 0 that is as fine as prices and quantities are kept.
fn fine(value: &WrittenValue<'_>) -> Result<Decimal, String> {
    value
        .decimal()
        .filter(|number| number.is_sign_positive() && !number.is_zero())
        .filter(|number| number.normalize().scale() <= DECIMALS_MAX)
        .ok_or_else(|| value.breaks("must be a number above 0 with at most 9 decimals"))
}

fn currency(value: &WrittenValue<'_>) -> Result<Currency, String> {
    let code = value.str().and_then(|text| text.parse().ok());
    code.ok_or_else(|| value.breaks("must be 3 to 5 capital letters such as \"USD\""))
}
