//! Pauses between tries: doubling, bounded, with jitter so that many instances do not come back at once.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Doubles from `first` to `longest`; each pause is 50 to 100 % of that.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
    random: ChaCha8Rng,
}

impl Backoff {
    /// Starts at `first`; `seed` makes the jitter differ between instances.
    pub(super) fn new(first: Duration, longest: Duration, seed: u64) -> Self {
        Self { first, longest, next: first, random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// The next pause.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(self.random.random_range(0.5..=1.0));
        self.next = (self.next * 2).min(self.longest);
        pause
    }

    /// Starts over after a success.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(400), 7);
        for top in [100, 200, 400, 400] {
            let pause = backoff.pause();
            assert!(
                pause >= Duration::from_millis(top / 2) && pause <= Duration::from_millis(top),
                "{pause:?}"
            );
        }
        backoff.reset();
        assert!(backoff.pause() <= Duration::from_millis(100));
    }
}
