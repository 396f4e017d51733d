//! For how much of the time, and by how much, a position was not where its strategy wanted it. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::units::Quantity;

/// Counted from the first target on; orders under way count as filled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct OffTarget {
    /// Seconds with a target.
    watched: f64,
    /// Seconds off it.
    off: f64,
    /// Shares missing, times seconds.
    missing: f64,
    worst: Quantity,
    /// Since when shares are missing or, at 0, none are; none before the first target.
    now: Option<(Timestamp, Quantity)>,
}

/// What people and programs are told of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct OffTargetFigures {
    /// The fraction of the time with a target that was off it; none where there was no target.
    pub time: Option<f64>,
    /// Shares missing on average while it was off target; none where it never was.
    pub mean_shares: Option<f64>,
    /// The most shares that were missing.
    pub worst_shares: Quantity,
}

impl OffTargetFigures {
    /// How many shares were missing on average, for people: one decimal, below one share three digits.
    pub fn mean(&self) -> Option<String> {
        self.mean_shares.map(|shares| {
            // 0.05 has its first digit at the second place.
            let zeros = (1..9).find(|place| shares * 10_f64.powi(*place) >= 1.0).unwrap_or(9);
            let decimals = if shares >= 1.0 { 1 } else { usize::try_from(zeros).unwrap_or(1) + 2 };
            format!("{shares:.decimals$}")
        })
    }
}

impl fmt::Display for OffTargetFigures {
    /// In words, such as `off target 1.20% of the time, by 3.5 shares on average and 10 at the most`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.time, self.mean()) {
            (None, _) => f.write_str("no target"),
            (Some(_), None) => f.write_str("never off target"),
            (Some(time), Some(shares)) => write!(
                f,
                "off target {:.2}% of the time, by {shares} shares on average and {} at the most",
                100.0 * time,
                self.worst_shares
            ),
        }
    }
}

impl OffTarget {
    /// From `at` on so many shares are missing.
    pub fn note(&mut self, gap: Quantity, at: Timestamp) {
        let gap = gap.abs();
        if self.now.is_some_and(|(_, before)| before == gap) {
            return;
        }
        *self = self.until(at);
        self.now = Some((at, gap));
    }

    /// The same with what was counted until `at`.
    #[must_use]
    pub fn until(self, at: Timestamp) -> Self {
        let Some((since, gap)) = self.now else { return self };
        if at <= since {
            return self;
        }
        let span = at.since(since).as_secs_f64();
        let watched = self.watched + span;
        if gap.is_zero() {
            return Self { watched, now: Some((at, gap)), ..self };
        }
        Self {
            watched,
            off: self.off + span,
            missing: self.missing + gap.to_f64() * span,
            worst: self.worst.max(gap),
            now: Some((at, gap)),
        }
    }

    /// Of two symbols, or two strategies, together.
    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        Self {
            watched: self.watched + other.watched,
            off: self.off + other.off,
            missing: self.missing + other.missing,
            worst: self.worst.max(other.worst),
            now: None,
        }
    }

    /// What was counted, as it is told.
    pub fn figures(&self) -> OffTargetFigures {
        OffTargetFigures {
            time: (self.watched > 0.0).then(|| self.off / self.watched),
            mean_shares: (self.off > 0.0).then(|| self.missing / self.off),
            worst_shares: self.worst,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_that_is_missing_is_told_with_its_digits() {
        let text = |shares: &str| {
            let mut off = OffTarget::default();
            off.note(shares.parse().unwrap(), Timestamp::from_secs(0));
            off.until(Timestamp::from_secs(10)).figures().to_string()
        };
        assert_eq!(
            text("3.5"),
            "off target 100.00% of the time, by 3.5 shares on average and 3.5 at the most"
        );
        assert_eq!(
            text("0.05"),
            "off target 100.00% of the time, by 0.0500 shares on average and 0.05 at the most"
        );
    }
}
