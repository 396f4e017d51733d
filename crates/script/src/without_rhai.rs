//! In place of scripts where the program was built without the library that runs them.

use bot_core::strategy::params::{Param, WrittenParams};
use bot_core::strategy::{MakeError, ScriptFault, Strategy};
use bot_core::symbol::Symbol;

/// The text of a module, of which there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleText {
    /// By which it is imported.
    pub name: String,
    /// Its file.
    pub file: String,
    /// What stands in it.
    pub text: String,
}

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

    /// # Errors
    /// Always: the program was built without scripts.
    pub fn compile_with(
        file: &str,
        source: &str,
        _read: &super::ReadModule<'_>,
    ) -> Result<Self, ScriptFault> {
        Self::compile(file, source)
    }

    /// What it imports.
    pub fn modules(&self) -> &[ModuleText] {
        match *self {}
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
