//! Which part of the combinations one machine runs.

use std::fmt;
use std::str::FromStr;

/// Part `number` of `of`: every combination of those that are run whose place among them leaves `number - 1` when
/// divided by `of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    number: u64,
    of: u64,
}

/// More parts than this are a slip of the fingers.
const PARTS_MAX: u64 = 100_000;

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// Part `number`, from 1, of `of`.
    pub fn new(number: u64, of: u64) -> Option<Self> {
        (number >= 1 && number <= of && of <= PARTS_MAX).then_some(Self { number, of })
    }

    /// Which part, from 1.
    pub fn number(self) -> u64 {
        self.number
    }

    /// Of how many parts.
    pub fn of(self) -> u64 {
        self.of
    }

    /// Those of all `combinations` that are its own, in order.
    pub fn indices(self, combinations: &[u64]) -> Vec<u64> {
        let [first, step] =
            [self.number - 1, self.of].map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        combinations.iter().skip(first).step_by(step).copied().collect()
    }

    /// What its files are called without their endings.
    pub fn stem(self) -> String {
        if self == Self::WHOLE { "sweep".to_owned() } else { format!("sweep-{}-of-{}", self.number, self.of) }
    }

    /// The part whose files have this stem; none for those of a whole sweep.
    pub fn of_stem(stem: &str) -> Option<Self> {
        let (number, of) = stem.strip_prefix("sweep-")?.split_once("-of-")?;
        Self::new(number.parse().ok()?, of.parse().ok()?)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once('/')
            .and_then(|(number, of)| Self::new(number.trim().parse().ok()?, of.trim().parse().ok()?));
        parsed.ok_or_else(|| {
            format!(
                "must be I/N with I from 1 to N and N at most {PARTS_MAX}, was \"{}\"",
                text.escape_debug()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shards_part_the_combinations_exactly(count in 0u64..500, of in 1u64..40) {
            let combinations: Vec<u64> = (0..count).map(|place| place * place).collect();
            let mut all: Vec<u64> =
                (1..=of).flat_map(|number| Shard::new(number, of).unwrap().indices(&combinations)).collect();
            all.sort_unstable();
            prop_assert_eq!(all, combinations);
        }
    }

    #[test]
    fn a_part_is_read_as_it_is_written() {
        let shard: Shard = "2/3".parse().unwrap();
        assert_eq!((shard.to_string(), shard.stem()), ("2/3".to_owned(), "sweep-2-of-3".to_owned()));
        assert_eq!(Shard::of_stem(&shard.stem()), Some(shard));
        assert_eq!(Shard::of_stem("sweep"), None);
        for wrong in ["0/3", "4/3", "1", "a/b", "1/100001", "-1/2"] {
            assert!(wrong.parse::<Shard>().unwrap_err().starts_with("must be I/N"), "{wrong}");
        }
    }
}
