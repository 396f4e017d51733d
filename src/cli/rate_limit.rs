//! Request limits as people write them: `200/60s`, `1000/1m`, `off`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use crate::duration;

/// So many requests in so long, or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimit {
    /// As many as come.
    Off,
    /// At most so many.
    Limited {
        /// How many.
        requests: NonZeroU32,
        /// In how long, above 0.
        span: Duration,
    },
}

impl RateLimit {
    /// Requests and window; `None` for no limit.
    pub fn requests(self) -> Option<(u32, Duration)> {
        match self {
            RateLimit::Off => None,
            RateLimit::Limited { requests, span } => Some((requests.get(), span)),
        }
    }
}

impl FromStr for RateLimit {
    type Err = String;

    /// Says what is allowed.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "rate limit must be off, or a number of at least 1 and a duration such as 200/60s, was \"{text}\""
            )
        };
        if text.trim() == "off" {
            return Ok(RateLimit::Off);
        }
        let (requests, span) = text.split_once('/').ok_or_else(bad)?;
        let requests = requests.trim().parse().map_err(|_| bad())?;
        let span = duration::parse(span).ok().filter(|span| !span.is_zero()).ok_or_else(bad)?;
        Ok(RateLimit::Limited { requests, span })
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RateLimit::Off => f.write_str("off"),
            RateLimit::Limited { requests, span } => write!(f, "{requests}/{}", duration::format(*span)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_limit_is_read_and_written_back() {
        for (text, written) in [("200/60s", "200/1m"), ("off", "off"), ("1/250ms", "1/250ms")] {
            assert_eq!(text.parse::<RateLimit>().unwrap().to_string(), written);
        }
        for text in ["", "200", "0/60s", "-1/60s", "200/60", "200/0s", "200/", "on"] {
            let error = text.parse::<RateLimit>().unwrap_err();
            assert!(error.ends_with(&format!("was \"{text}\"")), "{error}");
        }
    }
}
