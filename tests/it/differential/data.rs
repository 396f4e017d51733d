//! Events made from a seed: quotes with sizes, bars of two spans and numbers, as events and as the files of a manifest.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use bot::clock::Timestamp;
use bot::market::{Bar, MarketEvent, Number, Quote};
use bot::symbol::Symbol;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The prices, and the series of numbers.
pub const SYMBOLS: [&str; 2] = ["AAA", "BBB"];
pub const START_PRICE: i64 = 100;
pub const SERIES: &str = "NEWS";

/// The first instant: a Monday's session is open, and minutes begin at it.
pub const START: &str = "2026-03-02T15:00:00Z";
/// So many minutes make more than 20,000 events.
pub const MINUTES: u32 = 400;
/// Seconds between two instants with quotes.
const QUOTE_EVERY: usize = 5;
/// Quotes of a symbol at one of them; the last one counts.
const QUOTES: usize = 2;
/// Seconds with quotes after the last bar.
const AT_LAST: u64 = 15;
const MINUTE: Duration = Duration::from_mins(1);

/// The sections of a manifest that name [`Market::write`]'s files.
pub const SECTIONS: &str = r#"
[data.aaa_quotes]
kind = "csv"
path = "aaa_quotes.csv"
symbol = "AAA"
event = "quote"

[data.bbb_quotes]
kind = "csv"
path = "bbb_quotes.csv"
symbol = "BBB"
event = "quote"

[data.news]
kind = "csv"
path = "news.csv"
symbol = "NEWS"
event = "number"

[data.aaa_1m]
kind = "csv"
path = "aaa_1m.csv"
symbol = "AAA"
timeframe = "1min"

[data.bbb_1m]
kind = "csv"
path = "bbb_1m.csv"
symbol = "BBB"
timeframe = "1min"

[data.aaa_5m]
kind = "csv"
path = "aaa_5m.csv"
symbol = "AAA"
timeframe = "5min"

[data.bbb_5m]
kind = "csv"
path = "bbb_5m.csv"
symbol = "BBB"
timeframe = "5min"
"#;

/// A time, and what a live market tells then.
pub type Instant = (Timestamp, Vec<MarketEvent>);

/// All events of a test.
pub struct Market {
    /// Each with the place of its section in [`SECTIONS`], in the order in which they are known.
    events: Vec<(usize, MarketEvent)>,
}

impl Market {
    /// The same seed makes the same events, fewer when the market is shorter.
    pub fn made(seed: u64, start: Timestamp, minutes: u32) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let symbols = SYMBOLS.map(|name| name.parse::<Symbol>().unwrap());
        let mut cents = [START_PRICE * 100; SYMBOLS.len()];
        // The mids of a bar so far, in cents: those of the minute, and those of five.
        let mut mids = [const { [const { Vec::new() }; 2] }; SYMBOLS.len()];
        let mut events = Vec::new();
        for minute in 0..=minutes {
            let at = start + MINUTE * minute;
            let number = Number { at, value: f64::from(random.random_range(-100_i32..=100)) / 100.0 };
            events.push((2, MarketEvent::Number { symbol: SERIES.parse().unwrap(), number }));
            // After the last bar there are quotes for as long as its orders may need some.
            let seconds = if minute == minutes { AT_LAST } else { 60 };
            for second in (0..seconds).step_by(QUOTE_EVERY) {
                let at = at + Duration::from_secs(second);
                for (place, symbol) in symbols.into_iter().cycle().take(QUOTES * SYMBOLS.len()).enumerate() {
                    let place = place % SYMBOLS.len();
                    cents[place] = (cents[place] + random.random_range(-4..=4)).clamp(5_000, 20_000);
                    let mid = cents[place];
                    mids[place].iter_mut().for_each(|mids| mids.push(mid));
                    let mut size = || f64::from(random.random_range(1..=40) * 10);
                    let (bid, ask) = (dollars(mid - 1), dollars(mid + 1));
                    let quote = Quote { at, bid, bid_size: size(), ask, ask_size: size() };
                    events.push((place, MarketEvent::Quote { symbol, quote }));
                }
            }
            if minute == minutes {
                break;
            }
            for (place, symbol) in symbols.into_iter().enumerate() {
                for (kind, count) in [1, 5].into_iter().enumerate() {
                    if (minute + 1).is_multiple_of(count) {
                        let span = MINUTE * count;
                        let bar = bar(at + MINUTE - span, &std::mem::take(&mut mids[place][kind]));
                        let section = 3 + 2 * kind + place;
                        events.push((section, MarketEvent::Bar { symbol, bar, span }));
                    }
                }
            }
        }
        events.sort_by_key(|(section, event)| (event.known_at(), *section));
        Self { events }
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// The events of each instant as a live market tells them: quotes, numbers, and bars of a minute alone.
    pub fn instants(&self) -> Vec<Instant> {
        let instants = self.events.chunk_by(|(_, one), (_, other)| one.known_at() == other.known_at());
        let is_told = |event: &MarketEvent| match event {
            MarketEvent::Bar { span, .. } => *span == MINUTE,
            MarketEvent::Quote { .. } | MarketEvent::Trade { .. } | MarketEvent::Number { .. } => true,
        };
        let told = |events: &[(usize, MarketEvent)]| {
            events.iter().map(|(_, event)| *event).filter(is_told).collect()
        };
        instants.map(|events| (events[0].1.known_at(), told(events))).collect()
    }

    /// Writes the files that [`SECTIONS`] names.
    pub fn write(&self, folder: &Path) {
        let mut files: BTreeMap<&str, String> = BTreeMap::new();
        for (section, event) in &self.events {
            let (name, heads) = [
                ("aaa_quotes.csv", "time,bid,bid_size,ask,ask_size\n"),
                ("bbb_quotes.csv", "time,bid,bid_size,ask,ask_size\n"),
                ("news.csv", "time,value\n"),
                ("aaa_1m.csv", "time,open,high,low,close,volume\n"),
                ("bbb_1m.csv", "time,open,high,low,close,volume\n"),
                ("aaa_5m.csv", "time,open,high,low,close,volume\n"),
                ("bbb_5m.csv", "time,open,high,low,close,volume\n"),
            ][*section];
            let text = files.entry(name).or_insert_with(|| heads.to_owned());
            match event {
                MarketEvent::Quote { quote, .. } => {
                    let Quote { at, bid, bid_size, ask, ask_size } = quote;
                    writeln!(text, "{at},{bid},{bid_size},{ask},{ask_size}").unwrap();
                }
                MarketEvent::Bar { bar, .. } => {
                    let Bar { at, open, high, low, close, volume } = bar;
                    writeln!(text, "{at},{open},{high},{low},{close},{volume}").unwrap();
                }
                MarketEvent::Number { number, .. } => {
                    writeln!(text, "{},{}", number.at, number.value).unwrap();
                }
                MarketEvent::Trade { .. } => unreachable!("none is made"),
            }
        }
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
}

/// Volumes are such that five minutes add up to those of the longer bar.
fn bar(at: Timestamp, mids: &[i64]) -> Bar {
    let volume = dollars(100 * 50 * i64::try_from(mids.len()).unwrap());
    let [open, high, low, close] =
        [mids.first(), mids.iter().max(), mids.iter().min(), mids.last()].map(|mid| dollars(*mid.unwrap()));
    Bar { at, open, high, low, close, volume }
}

#[allow(clippy::cast_precision_loss, reason = "a few thousand cents")]
fn dollars(cents: i64) -> f64 {
    cents as f64 / 100.0
}
