//! The state directory: who this instance is, and the lock that keeps a second process out.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use rand::TryRng;
use rand::rngs::SysRng;
use thiserror::Error;

/// A locked state directory; the lock goes when this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct StateDir {
    instance: String,
    seed: u64,
    _lock: File,
}

/// Why the directory cannot be used.
#[derive(Debug, Error)]
pub enum StateDirError {
    /// Another process holds it.
    #[error("state directory {} is held by another process; give this one its own with --state", .0.display())]
    Held(PathBuf),
    /// It cannot be made, read or written.
    #[error("state directory {} cannot be used", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl StateDir {
    /// Makes the directory if need be, locks it and reads (or makes) the instance's name, which stays the same over restarts:
    /// a process that comes back finds its own pending signals under it.
    ///
    /// # Errors
    /// Held by another process, or not usable.
    pub fn open(path: &Path) -> Result<Self, StateDirError> {
        let unusable = |source| StateDirError::Unusable { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(unusable)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateDirError::Held(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let instance = instance(&path.join("instance")).map_err(unusable)?;
        let seed = SysRng.try_next_u64().unwrap_or_default();
        Ok(Self { instance, seed, _lock: lock })
    }

    /// The instance's name: the consumer name in the group, and `instance` in its outcomes.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// A number that differs between processes.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

fn instance(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) if is_name(text.trim()) => return Ok(text.trim().to_owned()),
        Ok(_) => {} // A torn write of a crash: nothing can be pending under such a name.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let random = SysRng.try_next_u64().map_err(io::Error::other)?;
    let name = format!("bot-{random:016x}");
    let written = path.with_extension("new");
    fs::write(&written, &name)?;
    fs::rename(&written, path)?;
    Ok(name)
}

fn is_name(text: &str) -> bool {
    text.len() == 20
        && text.starts_with("bot-")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_keeps_its_name_over_restarts_and_keeps_others_out() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateDir::open(dir.path()).unwrap();
        assert!(matches!(StateDir::open(dir.path()), Err(StateDirError::Held(_))));
        let name = first.instance().to_owned();
        drop(first);
        assert_eq!(StateDir::open(dir.path()).unwrap().instance(), name);
    }

    #[test]
    fn a_torn_instance_file_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("instance"), "bot-12").unwrap();
        assert_eq!(StateDir::open(dir.path()).unwrap().instance().len(), 20);
    }
}
