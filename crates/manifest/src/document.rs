//! A manifest's text before it is checked: read once, understood as often as there are overrides to try.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::warnings::Over;
use super::written::{self, Written};
use super::{
    BYTES_MAX, DataSection, Fault, Faults, Manifest, ManifestError, StrategySource, fault, needs, overrides,
    sweep, text, warnings,
};
use bot_core::symbol::Symbol;
use bot_data::spec::Origin;

/// The text of a manifest and where it lies.
#[derive(Debug, Clone)]
pub struct Document {
    file: String,
    text: String,
    folder: PathBuf,
}

/// What a manifest is read for: the one place that decides what a command can do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// To know what it says.
    Any,
    /// For a live run, which needs a live feed for all that strategies look at.
    Run {
        /// What `--symbols` names; empty where the manifest alone says what is traded.
        symbols: &'a [Symbol],
    },
    /// For a backtest, which needs data and strategies.
    Backtest,
    /// For a sweep: what a backtest needs, and something to sweep.
    Sweep,
    /// For one combination of a sweep: a backtest without the sweep itself, whose keys were tried before.
    Trial,
}

/// What a manifest can never trade, each with its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warnings {
    /// In a live run.
    pub live: Vec<Fault>,
    /// In a backtest, with the values as they stand.
    pub history: Vec<Fault>,
}

impl Document {
    /// Reads the file at `path`; what it says is looked at later.
    ///
    /// # Errors
    /// A missing file is told apart from a wrong one.
    pub fn open(path: &Path) -> Result<Self, ManifestError> {
        let bytes = read_bytes(path).map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                ManifestError::NotFound(path.to_owned())
            } else {
                ManifestError::Unreadable { path: path.to_owned(), source }
            }
        })?;
        let file = path.display().to_string();
        let text = fault::decode(&file, &bytes)?.to_owned();
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self { file, text, folder })
    }

    /// What it says once the `overrides` are in: dotted keys, each with a value in TOML or, failing that, a bare string.
    ///
    /// # Errors
    /// All faults at once; those of an override name it instead of a line.
    pub fn read(&self, overrides: &[(String, String)], purpose: Purpose<'_>) -> Result<Manifest, Faults> {
        let edit = |root: &mut DeTable<'_>| {
            if purpose == Purpose::Trial {
                root.remove(sweep::NAME);
            }
        };
        let read = |root: &mut Written<'_, '_>| {
            let manifest = Manifest::read_from(root);
            needs::check(&manifest, purpose, root);
            manifest
        };
        written::parse(&self.file, &self.text, Some(&self.folder), overrides, edit, read)
    }

    /// What `manifest`, which was read with these `overrides`, can never trade. Files and generators are read, those that are
    /// too long are not.
    pub fn warnings(&self, overrides: &[(String, String)], manifest: &Manifest) -> Warnings {
        let data = warnings::read(manifest);
        let over = |over| {
            let read = |root: &mut Written<'_, '_>| {
                drop(root.others()); // They were checked when it was read.
                warnings::check(manifest, &data, over, root);
            };
            let said = written::parse(&self.file, &self.text, Some(&self.folder), overrides, |_| (), read);
            said.err().map_or_else(Vec::new, |said| said.as_slice().to_vec())
        };
        Warnings { live: over(Over::Live), history: over(Over::History) }
    }

    /// `message` as the one fault, at the place of `keys`: for rules that are known only to who reads the manifest.
    pub fn refuse(&self, overrides: &[(String, String)], keys: &[&str], message: &str) -> Faults {
        let read = |root: &mut Written<'_, '_>| {
            drop(root.others()); // They were checked when it was read.
            root.fault_at(&root.at(keys).map_or(0..0, |value| value.span), keys, message.to_owned());
        };
        let refused = written::parse(&self.file, &self.text, Some(&self.folder), overrides, |_| (), read);
        refused.err().unwrap_or_default()
    }

    /// The text with the `overrides` in it, to be kept in the folder `into`: it means the same there, for relative paths
    /// are written as seen from that folder. A Redis URL with a password is left out.
    ///
    /// # Errors
    /// The faults that [`Self::read`] finds.
    pub fn resolved(&self, overrides: &[(String, String)], into: &Path) -> Result<String, Faults> {
        let manifest = self.read(overrides, Purpose::Any)?;
        let mut resolved = String::new();
        let edit = |root: &mut DeTable<'_>| {
            forget_password(root);
            for source in &manifest.data {
                move_paths(root, source, into);
            }
            for strategy in &manifest.strategies {
                if let StrategySource::Script(path) = &strategy.source {
                    put(root, &format!("strategy.{}.script", strategy.name), path_value(path, into));
                }
            }
            resolved = text::document(root);
        };
        let read = |root: &mut Written<'_, '_>| drop(root.others()); // They were checked above.
        written::parse(&self.file, &self.text, Some(&self.folder), overrides, edit, read)?;
        Ok(resolved)
    }
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a manifest must be at most 1 MiB"));
    }
    Ok(bytes)
}

/// Whoever keeps a run's manifest shall not keep a password with it.
fn forget_password(root: &mut DeTable<'_>) {
    let Some(DeValue::Table(redis)) = root.get_mut("redis").map(Spanned::get_mut) else { return };
    let has_password =
        redis.get("url").is_some_and(|url| url.get_ref().as_str().is_some_and(|url| url.contains('@')));
    if has_password {
        redis.remove("url");
    }
}

fn move_paths(root: &mut DeTable<'_>, source: &DataSection, into: &Path) {
    let Some(spec) = &source.spec else { return };
    let key = |name: &str| format!("data.{}.{name}", source.name);
    match &spec.origin {
        Origin::Csv { paths, .. } | Origin::Parquet { paths, .. } => {
            let value = match paths.as_slice() {
                [path] => path_value(path, into),
                paths => DeValue::Array(paths.iter().map(|path| nowhere(path_value(path, into))).collect()),
            };
            put(root, &key("path"), value);
        }
        Origin::Recorded { path, .. } => put(root, &key("path"), path_value(path, into)),
        Origin::Alpaca { cache, .. } => put(root, &key("cache"), path_value(cache, into)),
        Origin::Generator(_) => {}
    }
    if let Some(save) = &spec.save {
        put(root, &key("save"), path_value(save, into));
    }
}

/// The key is one that was read before, so that it leads somewhere.
fn put<'i>(root: &mut DeTable<'i>, key: &str, value: DeValue<'i>) {
    let value = nowhere(value);
    let _ = overrides::set(root, key, &value.span(), value);
}

fn nowhere(value: DeValue<'_>) -> Spanned<DeValue<'_>> {
    Spanned::new(usize::MAX - 1..usize::MAX, value)
}

fn path_value(path: &Path, into: &Path) -> DeValue<'static> {
    DeValue::String(Cow::Owned(relative(path, into).display().to_string()))
}

/// `path` as seen from the folder `into`.
fn relative(path: &Path, into: &Path) -> PathBuf {
    let (Some(path), Some(into)) = (full(path), full(into)) else { return path.to_owned() };
    let (mut to, mut from) = (path.components().peekable(), into.components().peekable());
    while to.peek().is_some() && to.peek() == from.peek() {
        to.next();
        from.next();
    }
    from.map(|_| Component::ParentDir).chain(to).collect()
}

/// From the root, links followed as far as it exists.
fn full(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let there = absolute.ancestors().find_map(|there| Some((there.to_owned(), there.canonicalize().ok()?)));
    let (there, real) = there?;
    Some(real.join(absolute.strip_prefix(there).ok()?))
}
