//! A request budget as people write it: `200/60s` or `off`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::duration;

/// So many requests in a window, or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit(Option<(u32, Duration)>);

impl RateLimit {
    /// Requests and window; `None` for no limit.
    pub fn get(self) -> Option<(u32, Duration)> {
        self.0
    }
}

impl FromStr for RateLimit {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "off" {
            return Ok(Self(None));
        }
        let limit = text.split_once('/').and_then(|(requests, window)| {
            let requests = requests.trim().parse().ok().filter(|requests| *requests > 0)?;
            let window = duration::parse(window).ok().filter(|window| !window.is_zero())?;
            Some((requests, window))
        });
        limit
            .map(|limit| Self(Some(limit)))
            .ok_or_else(|| "must be requests per window such as 200/60s, or off".to_owned())
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((requests, window)) => write!(f, "{requests}/{}", duration::format(window)),
            None => f.write_str("off"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_requests_per_window_or_off() {
        let read = |text: &str| text.parse::<RateLimit>().map(RateLimit::get);
        assert_eq!(read("200/60s"), Ok(Some((200, Duration::from_mins(1)))));
        assert_eq!(read("5/1s"), Ok(Some((5, Duration::from_secs(1)))));
        assert_eq!(read("off"), Ok(None));
        for text in ["", "200", "0/60s", "-1/60s", "200/0s", "200/60", "x/60s"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
