//! In place of scripts where the program was built without the library that runs them.

use bot_core::strategy::params::{Param, WrittenParams};
use bot_core::strategy::{MakeError, ScriptFault, Strategy};
use bot_core::symbol::Symbol;

/// A script, of which there is none.
#[derive(Debug, Clone)]
pub enum Script {}

impl Script {
    /// # Errors
    /// Always: the program was built without scripts.
    pub fn compile(file: &str, _source: &str) -> Result<Self, ScriptFault> {
        let message = "scripts must be built in (cargo feature \"scripts\"), are not".to_owned();
        Err(ScriptFault { file: file.to_owned(), line: None, column: None, message })
    }

    /// Its file, as it was named.
    pub fn file(&self) -> &str {
        match *self {}
    }

    /// What its `params()` says.
    pub fn params(&self) -> &[Param] {
        match *self {}
    }

    /// The calls that leave an order standing.
    pub fn standing_orders(&self) -> Vec<ScriptFault> {
        match *self {}
    }

    /// # Errors
    /// None, as there is no script.
    pub fn make(
        &self,
        _written: &WrittenParams,
        _symbols: &[Symbol],
    ) -> Result<Box<dyn Strategy>, MakeError> {
        match *self {}
    }
}
