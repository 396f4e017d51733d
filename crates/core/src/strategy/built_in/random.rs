//! Signals by chance: the same seed and the same events give the same ones.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::market::MarketEvent;
use crate::strategy::{Intents, Kind, Param, Strategy, StrategyError, View, usable_price};

pub(super) fn kind() -> Kind {
    Kind::new(
        "random",
        "Goes fully long or short by chance; the same seed and the same events give the same signals.",
        vec![
            Param::number("probability", 0.01, 0.0, 1.0, "How likely a signal is on each event."),
            Param::whole("seed", 1, 0, 1_000_000_000_000, "Another seed, other signals."),
        ],
        |params, _| {
            let seed = params.whole("seed")?.unsigned_abs();
            let probability = params.number("probability")?;
            Ok(Box::new(Random { probability, rng: ChaCha8Rng::seed_from_u64(seed) }))
        },
    )
}

struct Random {
    probability: f64,
    rng: ChaCha8Rng,
}

impl Strategy for Random {
    fn on_event(
        &mut self,
        event: &MarketEvent,
        _: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyError> {
        if usable_price(event).is_none() {
            return Ok(());
        }
        // Both are drawn on each event, so that the probability does not change which way the signals go.
        let (is_due, is_long) = (self.rng.random_bool(self.probability), self.rng.random_bool(0.5));
        if is_due {
            intents.signal(event.symbol(), if is_long { 1.0 } else { -1.0 })?;
        }
        Ok(())
    }
}
