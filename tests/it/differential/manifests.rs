//! What is run both ways: one manifest with books apart, one with a net, and the strategies in Rust that they name.

use std::sync::Once;

use bot::market::MarketEvent;
use bot::order::{OrderType, Side, TimeInForce};
use bot::sizing::SizeRule;
use bot::strategy::{Fill, Intent, Intents, Kind, Strategy, StrategyError, View, register};
use bot::symbol::Symbol;
use bot::units::Quantity;

use super::data::{SECTIONS, SERIES};

/// Each strategy has a book of its own.
pub const SEPARATE: &str = r#"
[[strategy]]
name = "cross"
kind = "ema_cross"
data = "aaa_1m"
size = { rule = "20%", mode = "target" }
params = { fast = 3, slow = 8, warmup = 8 }

[[strategy]]
name = "reversion"
kind = "rsi_reversion"
data = "bbb_5m"
size = { rule = "$20000", mode = "target" }
retry = { after = "1s", times = 5 }
params = { period = 3, low = 45, high = 55 }

[[strategy]]
name = "chance"
kind = "random"
data = "bbb_1m"
size = { rule = "40sh", mode = "order" }
params = { probability = 0.2, seed = 7 }

[[strategy]]
name = "mood"
script = "mood_strategy.rhai"
data = "aaa_5m"
also = ["news"]
size = { rule = "150sh", mode = "target" }

[[strategy]]
name = "ticker"
kind = "ema_cross"
data = "bbb_quotes"
size = { rule = "30sh", mode = "target" }
params = { fast = 60, slow = 240, warmup = 240 }

[[strategy]]
name = "reader"
kind = "own_reader"
data = "aaa_1m"
also = ["news"]
size = { rule = "120sh", mode = "target" }

[[strategy]]
name = "chaser"
kind = "own_chaser"
data = "bbb_1m"
size = { rule = "60sh", mode = "order" }
"#;

/// The weighted sum of what all want is traded.
pub const NET: &str = r#"
[portfolio]
combine = "net"

[[strategy]]
name = "cross"
kind = "ema_cross"
data = "aaa_1m"
weight = 0.4
size = { rule = "20%", mode = "target" }
params = { fast = 3, slow = 8, warmup = 8 }

[[strategy]]
name = "breakout"
kind = "breakout"
data = "aaa_5m"
weight = 0.3
size = { rule = "400sh", mode = "target" }
params = { period = 3 }

[[strategy]]
name = "mood"
script = "mood_strategy.rhai"
data = "aaa_5m"
also = ["news"]
weight = 0.2
size = { rule = "150sh", mode = "target" }

[[strategy]]
name = "reversion"
kind = "rsi_reversion"
data = "bbb_5m"
weight = 0.1
size = { rule = "900sh", mode = "target" }
params = { period = 3, low = 45, high = 55 }
"#;

/// The script that both name: long or short by the news of the instant, half on small ones.
pub const SCRIPT: (&str, &str) = (
    "mood_strategy.rhai",
    r#"
fn init() { this.said = 0.0; }

fn on_event(event) {
    let news = latest("NEWS");
    if news == () { return; }
    let wanted = if news.price > 0.5 { 1.0 } else if news.price > 0.0 { 0.5 } else { -1.0 };
    if wanted != this.said {
        signal(event.symbol, wanted);
        this.said = wanted;
    }
}
"#,
);

/// The whole manifest.
pub fn whole(strategies: &str) -> String {
    format!(
        "name = \"differential\"\n[broker]\nkind = \"simulated\"\ncash = \"1000000\"\nfill = \"quote\"\n\
         [risk]\nshort = true\n{SECTIONS}{strategies}"
    )
}

/// Makes the two kinds in Rust that they name known by name, as a program of one's own does.
pub fn register_kinds() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let kinds = [
            Kind::new("own_reader", "Trades by its position.", Vec::new(), |_, _| {
                Ok(Box::new(Reader::default()))
            }),
            Kind::new("own_chaser", "Trades on fills.", Vec::new(), |_, _| Ok(Box::new(Chaser::default()))),
        ];
        for kind in kinds {
            register(kind).unwrap();
        }
    });
}

/// Reads its position: flat it follows the news, else it turns round or leaves by what it holds.
#[derive(Default)]
struct Reader {
    seen: u64,
}

impl Strategy for Reader {
    fn on_event(
        &mut self,
        event: &MarketEvent,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.seen += 1;
        if !self.seen.is_multiple_of(4) {
            return Ok(());
        }
        let series: Symbol = SERIES.parse().map_err(StrategyError::failed)?;
        let news = view.latest(series).map_or(0.0, MarketEvent::price);
        let held = view.position(event.symbol());
        let strength = if held.is_positive() {
            -1.0
        } else if held.is_negative() {
            0.0
        } else if news > 0.0 {
            1.0
        } else {
            return Ok(());
        };
        intents.signal(event.symbol(), strength)
    }
}

/// Trades in `on_fill`: what it bought it sells at once.
#[derive(Default)]
struct Chaser {
    seen: u64,
}

impl Strategy for Chaser {
    fn on_event(
        &mut self,
        event: &MarketEvent,
        _: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        self.seen += 1;
        if self.seen.is_multiple_of(7) {
            intents.push(order(event.symbol(), Side::Buy, Quantity::new(90.into())));
        }
        Ok(())
    }

    fn on_fill(&mut self, fill: &Fill, _: &View<'_>, intents: &mut Intents) -> Result<(), StrategyError> {
        if fill.side == Side::Buy {
            intents.push(order(fill.symbol, Side::Sell, fill.quantity));
        }
        Ok(())
    }
}

fn order(symbol: Symbol, side: Side, quantity: Quantity) -> Intent {
    let rule = SizeRule::Shares(quantity);
    let (order_type, time_in_force) = (OrderType::Market, TimeInForce::Ioc);
    Intent::Order { symbol, side, size: rule, order_type, time_in_force, tag: None }
}
