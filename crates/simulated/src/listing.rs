//! One symbol at the simulated market: its asset, its prices, its matcher.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::bar_history::BarHistory;
use super::config::{MarketConfig, PriceModel};
use super::matching::{Level, Matcher};
use super::prices::{BarReplay, PriceSource, QuoteWalk, increment};
use bot_core::clock::Timestamp;
use bot_core::instrument::Instrument;
use bot_core::market::{Quote, SessionClock, Trade};
use bot_core::symbol::Symbol;
use bot_core::units::{Price, Quantity};

/// What can be traded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// The broker's name of it.
    pub id: Uuid,
    /// The ticker.
    pub symbol: Symbol,
    /// The listing exchange.
    pub exchange: &'static str,
    /// What its orders must keep to.
    pub instrument: Instrument,
}

#[derive(Debug)]
pub(super) struct Listing {
    /// Its place in the account.
    pub(super) place: usize,
    pub(super) asset: Asset,
    pub(super) matcher: Matcher,
    pub(super) quote: Quote,
    pub(super) trade: Trade,
    pub(super) bar_history: BarHistory,
    /// What a share is worth while no price makes sense.
    pub(super) fallback: Price,
    /// Shares of open buys and of open sells.
    pub(super) held_buy: Quantity,
    pub(super) held_sell: Quantity,
    pub(super) source: PriceSource,
}

impl Listing {
    /// Opens the trading of one symbol at a start price.
    pub(super) fn open(
        config: &MarketConfig,
        place: usize,
        (symbol, price): (Symbol, Price),
        now: Timestamp,
    ) -> Self {
        let seen = price.to_f64();
        let least = if seen < 1.0 { 0.000_1 } else { 0.01 };
        let (source, start) = match &config.prices {
            PriceModel::Walk => (PriceSource::Walk(QuoteWalk::new(config.seed, symbol, seen)), seen),
            PriceModel::Replay { bars, speed } => (
                PriceSource::Replay(BarReplay::new(config.seed, symbol, bars, *speed)),
                bars.first().map_or(seen, |bar| bar.open),
            ),
            PriceModel::Still => (PriceSource::Still, seen),
        };
        let mut bar_history = BarHistory::new(config.seed, symbol, start, now);
        if let PriceModel::Replay { bars, .. } = &config.prices {
            bar_history.remember(bars);
        }
        Self {
            place,
            asset: Asset {
                id: asset_id(symbol),
                symbol,
                exchange: exchange(symbol),
                instrument: config.instruments.at_broker(symbol),
            },
            matcher: Matcher::default(),
            quote: Quote {
                at: now,
                bid: increment((start - least).max(least)),
                bid_size: 1_000.0,
                ask: increment(start + least),
                ask_size: 1_000.0,
            },
            trade: Trade { at: now, price: start, size: 100.0 },
            bar_history,
            fallback: price,
            held_buy: Quantity::ZERO,
            held_sell: Quantity::ZERO,
            source,
        }
    }

    /// Whether it trades while the exchange's own session is this.
    pub(super) fn is_open(&self, session: SessionClock) -> bool {
        self.asset.instrument.session(session).is_open
    }

    /// What one share is worth: the last print, kept within bid and ask.
    pub(super) fn mark(&self) -> Price {
        let mut seen = self.trade.price;
        if self.quote.bid > 0.0 {
            seen = seen.max(self.quote.bid);
        }
        if self.quote.ask > 0.0 {
            seen = seen.min(self.quote.ask);
        }
        Price::from_f64(seen).unwrap_or(self.fallback)
    }
}

/// One side of a quote as the matcher sees it; nothing when nobody quotes it.
pub(super) fn level(price: f64, size: f64) -> Option<Level> {
    let size = Price::from_f64(size).ok()?; // The same border: finite and above 0.
    Some(Level { price: Price::from_f64(price).ok()?, size: Quantity::new(size.get()) })
}

/// The ids that Alpaca's own assets have, where they are well known; a hash of the ticker elsewhere.
fn asset_id(symbol: Symbol) -> Uuid {
    match symbol.as_str() {
        "NVDA" => Uuid::from_u128(0x4ce9_353c_66d1_46c2_898f_fce8_67ab_0247),
        "KO" => Uuid::from_u128(0x3795_cafe_fd54_4f66_a31e_6677_4be8_75ca),
        "F" => Uuid::from_u128(0x1e80_b378_a5e3_4727_96bf_9c64_fdd4_e7e2),
        "AAPL" => Uuid::from_u128(0xb0b6_dd9d_8b9b_48a9_ba46_b9d5_4906_e415),
        ticker => {
            let digest = Sha256::digest(ticker.as_bytes());
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&digest[..16]);
            Builder::from_random_bytes(bytes).into_uuid()
        }
    }
}

fn exchange(symbol: Symbol) -> &'static str {
    match symbol.as_str() {
        "NVDA" | "AAPL" | "MSFT" | "AMZN" | "GOOGL" | "META" | "TSLA" | "QQQ" => "NASDAQ",
        "SPY" => "ARCA",
        _ if symbol.is_pair() => "CRYPTO",
        _ => "NYSE",
    }
}
