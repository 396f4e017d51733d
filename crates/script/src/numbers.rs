//! Numbers as scripts write them, whole or not.

use rhai::{Dynamic, EvalAltResult};

/// A number, or an error that says what must be one.
#[allow(clippy::cast_precision_loss, reason = "nobody means more than 2^53 shares")]
pub(super) fn number(what: &str, value: &Dynamic) -> Result<f64, Box<EvalAltResult>> {
    let whole = || value.as_int().map(|whole| whole as f64);
    value
        .as_float()
        .or_else(|_| whole())
        .map_err(|kind| format!("{what} must be a number, was {kind}").into())
}
