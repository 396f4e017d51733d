//! Strategies by name: the built-in kinds and those that a program registers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use thiserror::Error;

use super::Strategy;
use super::built_in;
use super::params::{Param, ParamFault, Params, WrittenParams};
use crate::spelling::did_you_mean;
use crate::symbol::Symbol;

/// What a program registered beside the built-in kinds.
static REGISTERED: RwLock<Vec<Kind>> = RwLock::new(Vec::new());

type Make = dyn Fn(&Params, &[Symbol]) -> Result<Box<dyn Strategy>, ParamFault> + Send + Sync;

/// One kind of strategy: its name, its parameters, and how it is made.
#[derive(Clone)]
pub struct Kind {
    name: String,
    about: String,
    params: Vec<Param>,
    leaves_orders_standing: bool,
    make: Arc<Make>,
}

/// Why a strategy was not made.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum MakeError {
    /// There is no such kind.
    #[error("kind must be one of {}, was \"{was}\"{}", .known.join(", "), did_you_mean(.was, .known.iter().map(String::as_str)))]
    UnknownKind {
        /// As written.
        was: String,
        /// All there are.
        known: Vec<String>,
    },
    /// Its parameters are wrong; never empty.
    #[error("{}", join(.0))]
    Params(Vec<ParamFault>),
    /// Its script does not start.
    #[error(transparent)]
    Script(#[from] ScriptFault),
}

/// What is wrong with a script, and where.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ScriptFault {
    /// The file, as it was named by the caller.
    pub file: String,
    /// From 1, where one is known.
    pub line: Option<usize>,
    /// From 1, in characters, where one is known.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ScriptFault {
    /// `file:line:column: message`, as editors jump to it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ScriptFault {}

/// Why a kind was not registered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// Names are for manifests and command lines.
    #[error("kind must be 1 to 40 of a-z, 0-9 and _, starting with a letter, was \"{0}\"")]
    Name(String),
    /// Two kinds cannot share a name.
    #[error("kind must be registered once, was \"{0}\" again")]
    Taken(String),
}

/// All kinds of strategy by name.
#[derive(Debug, Clone)]
pub struct Registry(BTreeMap<String, Kind>);

impl Kind {
    /// `make` gets checked parameters and the symbols it will see (none: it learns them from the events).
    pub fn new(
        name: &str,
        about: &str,
        params: Vec<Param>,
        make: impl Fn(&Params, &[Symbol]) -> Result<Box<dyn Strategy>, ParamFault> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            about: about.to_owned(),
            params,
            leaves_orders_standing: false,
            make: Arc::new(make),
        }
    }

    /// Says that its orders stand after the instant at which they are sent, or that it cancels such orders. Until standing
    /// orders exist, a manifest with such a kind is refused before it trades.
    #[must_use]
    pub fn needs_standing_orders(self) -> Self {
        Self { leaves_orders_standing: true, ..self }
    }

    /// Its name in manifests.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does, in one sentence.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// What can be set.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Whether its orders stand after the instant at which they are sent.
    pub fn leaves_orders_standing(&self) -> bool {
        self.leaves_orders_standing
    }

    /// Makes one strategy of this kind.
    ///
    /// # Errors
    /// All faults of the parameters at once.
    pub fn make(&self, written: &WrittenParams, symbols: &[Symbol]) -> Result<Box<dyn Strategy>, MakeError> {
        let params = Params::check(&self.params, written).map_err(MakeError::Params)?;
        (self.make)(&params, symbols).map_err(|fault| MakeError::Params(vec![fault]))
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Registry {
    /// The built-in kinds.
    pub fn built_in() -> Self {
        Self(built_in::kinds().into_iter().map(|kind| (kind.name.clone(), kind)).collect())
    }

    /// Adds a kind.
    ///
    /// # Errors
    /// A name that is taken or is none.
    pub fn register(&mut self, kind: Kind) -> Result<(), RegisterError> {
        if !is_name(&kind.name) {
            return Err(RegisterError::Name(kind.name));
        }
        if self.0.contains_key(&kind.name) {
            return Err(RegisterError::Taken(kind.name));
        }
        self.0.insert(kind.name.clone(), kind);
        Ok(())
    }

    /// The kind of this name.
    ///
    /// # Errors
    /// Says which ones there are.
    pub fn kind(&self, name: &str) -> Result<&Kind, MakeError> {
        self.0.get(name).ok_or_else(|| MakeError::UnknownKind {
            was: name.chars().take(40).collect(),
            known: self.0.keys().cloned().collect(),
        })
    }

    /// All kinds in the order of their names.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.0.values()
    }

    /// Makes a strategy of the kind `name`.
    ///
    /// # Errors
    /// An unknown kind, or all faults of the parameters at once.
    pub fn make(
        &self,
        name: &str,
        written: &WrittenParams,
        symbols: &[Symbol],
    ) -> Result<Box<dyn Strategy>, MakeError> {
        self.kind(name)?.make(written, symbols)
    }
}

/// Registers a kind for the whole process: to be called before `bot::cli::main()`.
///
/// # Errors
/// As [`Registry::register`].
pub fn register(kind: Kind) -> Result<(), RegisterError> {
    registry().register(kind.clone())?;
    REGISTERED.write().unwrap_or_else(PoisonError::into_inner).push(kind);
    Ok(())
}

/// The built-in kinds and all that were registered so far.
pub fn registry() -> Registry {
    let mut registry = Registry::built_in();
    for kind in REGISTERED.read().unwrap_or_else(PoisonError::into_inner).iter() {
        registry.0.insert(kind.name.clone(), kind.clone());
    }
    registry
}

/// Whether `name` can name a kind, a strategy or a script: 1 to 40 of `a-z`, `0-9`, `_`, starting with a letter.
pub fn is_name(name: &str) -> bool {
    name.len() <= 40
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn join(faults: &[ParamFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::Value;

    #[test]
    fn an_unknown_kind_is_told_with_those_there_are() {
        let error = Registry::built_in().make("ema_corss", &WrittenParams::new(), &[]).err().unwrap();
        assert_eq!(
            error.to_string(),
            "kind must be one of breakout, buy_and_hold, ema_cross, naive_test, random, rsi_reversion, sma_cross, \
             was \"ema_corss\", did you mean \"ema_cross\"?"
        );
    }

    #[test]
    fn a_kind_is_registered_once_under_a_sound_name() {
        let kind = |name| Kind::new(name, "", Vec::new(), |_, _| Err(ParamFault::new("x", "no".into())));
        let mut registry = Registry::built_in();
        registry.register(kind("mine")).unwrap();
        assert!(registry.kind("mine").is_ok());
        let error = registry.register(kind("mine")).unwrap_err();
        assert_eq!(error.to_string(), "kind must be registered once, was \"mine\" again");
        assert!(matches!(registry.register(kind("ema_cross")), Err(RegisterError::Taken(_))));
        for name in ["", "A", "1a", "a-b", "a.b", "ü"] {
            assert!(matches!(registry.register(kind(name)), Err(RegisterError::Name(_))), "{name}");
        }
    }

    #[test]
    fn every_built_in_kind_is_made_with_its_defaults_and_says_what_it_is() {
        let registry = Registry::built_in();
        for kind in registry.kinds() {
            assert!(kind.make(&WrittenParams::new(), &[]).is_ok(), "{kind:?}");
            assert!(!kind.about().is_empty() && kind.params().iter().all(|param| !param.about.is_empty()));
            let unknown = [("no_such".to_owned(), Value::Whole(1))].into();
            assert!(matches!(kind.make(&unknown, &[]), Err(MakeError::Params(_))), "{kind:?}");
        }
    }
}
