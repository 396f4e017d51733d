//! What holds when neither a flag, nor the environment, nor the manifest says otherwise. The one place for it.
//!
//! `docs/manifest.md` shows these in its tables; a test keeps the two equal.

use std::time::Duration;

use chrono_tz::Tz;

use super::{BrokerKind, Combine, EventKind, SizeMode, Weights};
use bot_core::portfolio::Retry;
use bot_core::sizing::SizeRule;
use bot_core::strategy::Every;
use bot_core::units::{BasisPoints, Money, Weight};

/// What is traded when nothing says what
pub const SYMBOLS: [&str; 1] = ["NVDA"];

/// `[redis] url`
pub const REDIS_URL: &str = "redis://127.0.0.1:6379";
/// `[redis] stream`
pub const STREAM: &str = "nvda";
/// `[redis] group`
pub const GROUP: &str = "bot";

/// `[pool] workers`
pub const WORKERS: usize = 4;
/// `[pool] queue`, in signals
pub const QUEUE: usize = 64;
/// `[pool] signal_age_max`
pub const SIGNAL_AGE_MAX: Duration = Duration::from_secs(5);
/// `[pool] quote_age_max`
pub const QUOTE_AGE_MAX: Duration = Duration::from_secs(5);

/// `[broker] kind`
pub const BROKER: BrokerKind = BrokerKind::Alpaca;
/// `[broker] cash`, of a simulated broker
pub const CASH: Money = Money::whole(100_000);

/// `[data.NAME] event`
pub const EVENT: EventKind = EventKind::Bar;
/// `[data.NAME] timeframe`
pub const TIMEFRAME: Duration = Duration::from_mins(1);
/// `[data.NAME] timezone`
pub const TIMEZONE: Tz = Tz::America__New_York;
/// `[data.NAME] header`
pub const HEADER: bool = true;
/// `[data.NAME] cache`, beside the manifest
pub const CACHE: &str = "data";
/// `[data.NAME] feed`
pub const HISTORY_FEED: &str = "sip";
/// `[data.NAME] adjustment`
pub const ADJUSTMENT: &str = "split";
/// `[data.NAME] rows`
pub const ROWS: u64 = 100_000;
/// `[data.NAME] start`
pub const START: &str = "2024-01-02";
/// `[data.NAME] price`
pub const PRICE: f64 = 100.0;
/// `[data.NAME] volatility`, of a year
pub const VOLATILITY: f64 = 0.3;
/// `[data.NAME] drift`, of a year
pub const DRIFT: f64 = 0.0;
/// `[data.NAME] sessions`
pub const IN_SESSIONS: bool = true;
/// `[data.NAME] seed` and `[statistics] seed`
pub const SEED: u64 = 1;

/// `[statistics] periods_per_year`
pub const PERIODS_PER_YEAR: u32 = 252;
/// `[statistics] bootstrap`
pub const BOOTSTRAP: u32 = 1_000;

/// `[portfolio] combine`
pub const COMBINE: Combine = Combine::Separate;
/// `[portfolio] weights`
pub const WEIGHTS: Weights = Weights::Equal;
/// `[portfolio] cash_buffer`
pub const CASH_BUFFER: Weight = Weight::percent(2);

/// `[risk] short`
pub const SHORT: bool = false;
/// `[risk] spread_bps_max`; the other limits are off unless set
pub const SPREAD_BPS_MAX: BasisPoints = BasisPoints::whole(100);

/// `[[strategy]] active`
pub const ACTIVE: bool = true;
/// `[[strategy]] every`
pub const EVERY: Every = Every::Event;
/// Timers follow the session of what their strategy trades.
pub const RINGS_ALWAYS: bool = false;
/// `[[strategy]] size.rule`
pub const SIZE_RULE: SizeRule = SizeRule::All;
/// `[[strategy]] size.mode`
pub const SIZE_MODE: SizeMode = SizeMode::Target;
/// `[[strategy]] retry`
pub const RETRY: Retry = Retry { after: Duration::from_secs(2), times: 3 };
