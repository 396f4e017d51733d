//! The options of what a script wants, `#{ tag: "entry" }`: the last argument of the functions that say it.

use rhai::{EvalAltResult, Map};

use bot_core::spelling::did_you_mean;
use bot_core::strategy::Tag;

/// What is honoured.
const OPTIONS: [&str; 1] = ["tag"];
/// What stands after the instant at which it was sent.
const OF_STANDING_ORDERS: [&str; 6] = ["take_profit", "stop_loss", "stop", "limit", "tif", "trail"];

/// The tag that they give, where they give one.
///
/// # Errors
/// An option that there is not, or that is none yet.
pub(super) fn tag(options: &Map) -> Result<Option<Tag>, Box<EvalAltResult>> {
    for option in options.keys() {
        if OF_STANDING_ORDERS.contains(&option.as_str()) {
            return Err(format!("option {option} comes with standing orders, is refused until then").into());
        }
        if !OPTIONS.contains(&option.as_str()) {
            let known = OPTIONS.into_iter().chain(OF_STANDING_ORDERS);
            let near = did_you_mean(option, known);
            return Err(format!("option must be tag, was \"{option}\"{near}").into());
        }
    }
    let Some(written) = options.get("tag") else { return Ok(None) };
    let text = written
        .as_immutable_string_ref()
        .map_err(|kind| Box::<EvalAltResult>::from(format!("tag must be a text, was {kind}")))?;
    Ok(Some(Tag::new(&text).map_err(|error| error.to_string())?))
}
