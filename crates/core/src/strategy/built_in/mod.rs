//! The strategies that come with the bot. Each looks at [`usable_price`](super::usable_price), so that bars, trades
//! and quotes all do, and ask for a signal only when it differs from its last one.

mod breakout;
mod buy_and_hold;
mod cross;
mod naive_test;
mod random;
mod rsi_reversion;

use super::registry::Kind;

/// How long a period may be, in events.
#[allow(clippy::cast_possible_wrap, reason = "it is far below 2^63")]
const PERIOD_MAX: i64 = crate::indicators::PERIOD_MAX as i64;

/// All of them.
pub(super) fn kinds() -> Vec<Kind> {
    vec![
        cross::of_exponential(),
        cross::of_simple(),
        rsi_reversion::kind(),
        breakout::kind(),
        buy_and_hold::kind(),
        naive_test::kind(),
        random::kind(),
    ]
}

/// A signal that is wanted only when it changes.
#[derive(Debug, Clone, Copy, Default)]
struct LastLevel(Option<i8>);

impl LastLevel {
    /// The strength to ask for, when `level` is another than last time.
    #[inline]
    fn change_to(&mut self, level: i8) -> Option<f64> {
        (self.0 != Some(level)).then(|| {
            self.0 = Some(level);
            f64::from(level)
        })
    }
}
