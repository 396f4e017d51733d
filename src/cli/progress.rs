//! One line on a terminal that is written over; nothing elsewhere.

use std::io::IsTerminal;

use super::Global;

/// How far something is, for whoever watches.
#[derive(Debug)]
pub struct ProgressLine {
    is_shown: bool,
}

impl ProgressLine {
    /// Shown when standard error is a terminal and nobody asked for quiet.
    pub fn new(global: &Global) -> Self {
        Self { is_shown: !global.quiet && std::io::stderr().is_terminal() }
    }

    /// Whether anybody sees it.
    pub fn is_shown(&self) -> bool {
        self.is_shown
    }

    /// Writes over the line.
    pub fn show(&mut self, text: &str) {
        if self.is_shown {
            eprint!("\r\x1b[K{text}");
        }
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        self.show("");
    }
}
