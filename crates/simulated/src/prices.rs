//! Where the simulated market's prices come from: a seeded random walk, a replayed bar file, or somebody's hand.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use bot_core::clock::Timestamp;
use bot_core::market::{Bar, Quote, Trade};
use bot_core::symbol::Symbol;

/// How often prices move.
pub const TICK: Duration = Duration::from_millis(100);

/// A seeded stream of random numbers for one symbol and one purpose, independent of all others.
pub fn stream(seed: u64, symbol: Symbol, purpose: &str) -> ChaCha8Rng {
    let digest = Sha256::digest(format!("{symbol}\n{purpose}"));
    let mut number = [0; 8];
    number.copy_from_slice(&digest[..8]);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(u64::from_le_bytes(number));
    random
}

/// A uniform number in 0..1.
pub fn uniform(random: &mut impl Rng) -> f64 {
    f64::from(random.next_u32()) / (f64::from(u32::MAX) + 1.0)
}

/// Mean 0, deviation 1, never beyond 3.5: the sum of four uniform numbers, exact on every machine.
pub fn gauss(random: &mut impl Rng) -> f64 {
    let sum: f64 = random
        .next_u64()
        .to_le_bytes()
        .chunks_exact(2)
        .fold(0.0, |sum, pair| sum + (f64::from(pair[0]) + 256.0 * f64::from(pair[1]) + 0.5) / 65_536.0);
    (sum - 2.0) * 3.0_f64.sqrt()
}

/// Rounded to the price increment: cents from one dollar up, hundredths of a cent below.
pub fn increment(price: f64) -> f64 {
    let steps = if price < 1.0 { 10_000.0 } else { 100.0 };
    (price * steps).round().max(1.0) / steps
}

/// What the market shows at one instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DisplayedQuote {
    /// Bid and ask.
    pub quote: Quote,
    /// The print beside it.
    pub trade: Trade,
}

/// The prices of one symbol.
#[derive(Debug, Clone)]
pub enum PriceSource {
    /// A seeded random walk.
    Walk(QuoteWalk),
    /// Bars from a file.
    Replay(BarReplay),
    /// Prices change only when they are set.
    Still,
}

impl PriceSource {
    /// Moves by one tick; what is to be shown is appended to `shown`, oldest first.
    pub fn step(&mut self, at: Timestamp, shown: &mut Vec<DisplayedQuote>) {
        match self {
            PriceSource::Walk(walk) => shown.push(walk.step(at)),
            PriceSource::Replay(replay) => replay.step(at, shown),
            PriceSource::Still => {}
        }
    }
}

/// A random walk of about 40 % a year, with a spread of at least one increment and displayed sizes in round lots.
#[derive(Debug, Clone)]
pub struct QuoteWalk {
    random: ChaCha8Rng,
    mid: f64,
}

/// 40 % a year over 252 sessions of 234,000 ticks.
const STEP: f64 = 0.000_052;

impl QuoteWalk {
    /// Starts at `price`.
    pub fn new(seed: u64, symbol: Symbol, price: f64) -> Self {
        Self { random: stream(seed, symbol, "walk"), mid: price }
    }

    /// The next quote and print.
    pub fn step(&mut self, at: Timestamp) -> DisplayedQuote {
        self.mid = (self.mid * (1.0 + STEP * gauss(&mut self.random))).max(0.001);
        around(self.mid, at, &mut self.random)
    }
}

/// A quote around `mid`, about one basis point wide, with 100 to 1,000 shares on each side.
pub fn around(mid: f64, at: Timestamp, random: &mut impl Rng) -> DisplayedQuote {
    let least = if mid < 1.0 { 0.000_1 } else { 0.01 };
    let wide = if uniform(random) < 0.25 { 2.0 } else { 1.0 };
    let spread = increment((mid * 0.000_1).max(least)) * wide;
    let bid = increment((mid - spread / 2.0).max(least));
    let ask = increment(bid + spread);
    let mut lots = || 100.0 * (1.0 + (uniform(random) * 10.0).floor());
    let (bid_size, ask_size, size) = (lots(), lots(), lots());
    let price = if uniform(random) < 0.5 { bid } else { ask };
    DisplayedQuote { quote: Quote { at, bid, bid_size, ask, ask_size }, trade: Trade { at, price, size } }
}

/// A bar file played back: open, then low and high (nearer one first), then close, a quarter of a bar each.
///
/// Bars follow each other at the file's smallest interval: nights and gaps are not waited for. After the last bar the
/// price stands still.
#[derive(Debug, Clone)]
pub struct BarReplay {
    random: ChaCha8Rng,
    points: Vec<f64>,
    point_every: Duration,
    elapsed: Duration,
    next: usize,
}

impl BarReplay {
    /// `pace` is how many seconds of the file pass in one second.
    pub fn new(seed: u64, symbol: Symbol, bars: &[Bar], pace: f64) -> Self {
        let interval = bars
            .windows(2)
            .map(|pair| pair[1].at.since(pair[0].at))
            .filter(|span| !span.is_zero())
            .min()
            .unwrap_or(Duration::from_mins(1));
        let point_every =
            Duration::try_from_secs_f64(interval.as_secs_f64() / pace / 4.0).unwrap_or(interval / 4);
        Self {
            random: stream(seed, symbol, "replay"),
            points: bars.iter().flat_map(path).collect(),
            point_every: point_every.max(Duration::from_nanos(1)),
            elapsed: Duration::ZERO,
            next: 0,
        }
    }

    fn step(&mut self, at: Timestamp, shown: &mut Vec<DisplayedQuote>) {
        while self.next < self.points.len()
            && self.point_every.as_nanos().saturating_mul(self.next as u128) <= self.elapsed.as_nanos()
        {
            shown.push(around(self.points[self.next], at, &mut self.random));
            self.next += 1;
        }
        self.elapsed += TICK;
    }
}

/// The way of a bar's prices: open, low and high (the one nearer to the open first), close.
pub fn path(bar: &Bar) -> [f64; 4] {
    if bar.open - bar.low <= bar.high - bar.open {
        [bar.open, bar.low, bar.high, bar.close]
    } else {
        [bar.open, bar.high, bar.low, bar.close]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nvda() -> Symbol {
        "NVDA".parse().unwrap()
    }

    #[test]
    fn a_seed_gives_the_same_walk_and_another_seed_another() {
        let walk = |seed| {
            let mut walk = QuoteWalk::new(seed, nvda(), 180.0);
            (0..1_000).map(|tick| walk.step(Timestamp::from_millis(tick * 100))).collect::<Vec<_>>()
        };
        assert_eq!(walk(1), walk(1));
        assert_ne!(walk(1), walk(2));
    }

    #[test]
    fn a_walk_is_never_crossed_nor_at_zero_and_stays_on_the_price_increment() {
        for start in [0.05, 0.999, 1.0, 180.0, 4_000.0] {
            let mut walk = QuoteWalk::new(7, nvda(), start);
            for tick in 0..5_000 {
                let DisplayedQuote { quote, .. } = walk.step(Timestamp::from_millis(tick));
                assert!(quote.bid > 0.0 && quote.ask > quote.bid, "{quote:?}");
                assert!((quote.ask - increment(quote.ask)).abs() < 1e-9, "{quote:?}");
                assert!(quote.bid_size >= 100.0 && quote.ask_size <= 1_000.0, "{quote:?}");
            }
        }
    }

    #[test]
    fn a_replay_shows_every_point_once_at_its_speed_and_then_stands_still() {
        let bar = |minute: i64, open: f64| Bar {
            at: Timestamp::from_secs(minute * 60),
            open,
            high: open + 2.0,
            low: open - 1.0,
            close: open + 1.0,
            volume: 1_000.0,
        };
        let bars = [bar(0, 100.0), bar(1, 110.0), bar(500, 120.0)];
        let mut replay = BarReplay::new(1, nvda(), &bars, 150.0);
        let mut shown = Vec::new();
        replay.step(Timestamp::default(), &mut shown);
        assert_eq!(shown.len(), 1);
        for _ in 0..20 {
            replay.step(Timestamp::default(), &mut shown);
        }
        let mids: Vec<String> = shown.iter().map(|one| format!("{:.0}", one.quote.mid())).collect();
        assert_eq!(mids.join(" "), "100 99 102 101 110 109 112 111 120 119 122 121");
    }
}
