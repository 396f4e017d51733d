//! What a script logs: `log(text)`, and `print(value)`, which does the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rhai::Engine;

use super::scope;

/// Lines of one call; further ones are counted.
const LINES_MAX: u64 = 1_000;

/// Where the lines of one script go.
#[derive(Debug, Clone)]
pub(super) struct ScriptLog {
    file: Arc<str>,
    /// Of the call that is under way.
    lines: Arc<AtomicU64>,
}

impl ScriptLog {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.into(), lines: Arc::default() }
    }

    /// A call has ended: says how many lines of it were left out, and counts anew.
    pub(super) fn end_call(&self) {
        let lines = self.lines.swap(0, Ordering::Relaxed);
        if lines > LINES_MAX {
            let left_out = lines - LINES_MAX;
            tracing::warn!(script = %self.file, left_out, "one call must log at most {LINES_MAX} lines, logged more");
        }
    }

    fn line(&self, text: &str) {
        if self.lines.fetch_add(1, Ordering::Relaxed) >= LINES_MAX {
            return;
        }
        // Before its start a script has neither a strategy's name nor a time.
        if scope::asked(|view| view.log(text)).is_none() {
            tracing::info!(script = %self.file, "{}", bot_core::strategy::log_line(text));
        }
    }
}

/// Makes both callable.
pub(super) fn register(engine: &mut Engine, log: &ScriptLog) {
    let to = log.clone();
    engine.register_fn("log", move |text: &str| to.line(text));
    let to = log.clone();
    engine.on_print(move |text| to.line(text));
}
