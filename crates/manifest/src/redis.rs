//! `[redis]`: where signals come from.

use std::fmt;

use url::Url;

use super::value::WrittenValue;
use super::written::Written;
use super::{KeyLine, Section, defaults};

const SCHEMES: [&str; 2] = ["redis", "rediss"];
const KEY_LEN_MAX: usize = 200;

/// Where signals come from.
#[derive(Clone, Default, PartialEq)]
pub struct RedisSection {
    /// `redis://` or `rediss://`; may hold a password, see [`without_password`].
    pub url: Option<String>,
    /// The stream of signals.
    pub stream: Option<String>,
    /// The consumer group.
    pub group: Option<String>,
}

/// `url` as it may be shown: its password is three stars.
pub fn without_password(url: &str) -> String {
    const UNREADABLE: &str = "(unreadable url)";
    let Ok(mut url) = Url::parse(url) else { return UNREADABLE.to_owned() };
    if url.password().is_some() && url.set_password(Some("***")).is_err() {
        return UNREADABLE.to_owned();
    }
    url.into()
}

/// Checks a Redis URL.
///
/// # Errors
/// Says what is allowed; the URL is not repeated, since it may hold a password.
pub fn check_url(text: &str) -> Result<String, String> {
    match Url::parse(text) {
        Ok(url) if SCHEMES.contains(&url.scheme()) && url.has_host() => Ok(text.to_owned()),
        _ => Err("redis url must be redis://HOST:PORT or rediss://HOST:PORT, \
                  with or without USER:PASSWORD@ and /DATABASE, was something else"
            .to_owned()),
    }
}

/// Checks the name of a stream or group. Braces are refused since `{stream}:outcomes` is made from it.
///
/// # Errors
/// Says what is allowed and what was given.
pub fn check_key(text: &str) -> Result<String, String> {
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '{' | '}');
    if !text.is_empty() && text.len() <= KEY_LEN_MAX && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        let shown: String = text.chars().take(40).collect();
        Err(format!(
            "name must be 1 to 200 bytes without spaces and braces, was \"{}\"",
            shown.escape_debug()
        ))
    }
}

impl Section for RedisSection {
    const NAME: &'static str = "redis";

    fn read(written: &mut Written<'_, '_>) -> Self {
        Self {
            url: written.take("url", |value| check_url(string(value)?)),
            stream: written.take("stream", |value| check_key(string(value)?)),
            group: written.take("group", |value| check_key(string(value)?)),
        }
    }

    fn describe(&self) -> Vec<KeyLine> {
        vec![
            KeyLine::new("url", self.url.as_deref().map(without_password), defaults::REDIS_URL),
            KeyLine::new("stream", self.stream.as_ref(), defaults::STREAM),
            KeyLine::new("group", self.group.as_ref(), defaults::GROUP),
        ]
    }
}

impl fmt::Debug for RedisSection {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSection")
            .field("url", &self.url.as_deref().map(without_password))
            .field("stream", &self.stream)
            .field("group", &self.group)
            .finish()
    }
}

pub(super) fn string<'s>(value: &WrittenValue<'s>) -> Result<&'s str, String> {
    value.str().ok_or_else(|| value.breaks("must be a string"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let url = check_url("rediss://me:hunter2@redis.example:6380/1").unwrap();
        let section = RedisSection { url: Some(url), ..RedisSection::default() };
        for shown in [
            format!("{section:?}"),
            format!("{:?}", section.describe()),
            check_url("http://me:hunter2@x").unwrap_err(),
            check_url("redis://me:hunter2@:x").unwrap_err(),
            without_password("redis://me:hunter2@:x"),
        ] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert_eq!(without_password("redis://:pw@h:1"), "redis://:***@h:1");
    }

    #[test]
    fn a_stream_name_leaves_room_for_the_names_made_from_it() {
        assert!(check_key("signals:nvda").is_ok());
        for bad in ["", " ", "a b", "{nvda}", "n\nvda", &"x".repeat(201)] {
            assert!(check_key(bad).is_err(), "{bad}");
        }
    }
}
