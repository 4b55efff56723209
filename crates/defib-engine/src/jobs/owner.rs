//! Who works on jobs, and whether it still lives.
//!
//! Each service holds a locked file under its own name for as long as its process lives.
//! So the next one knows at once which claims are of somebody who is gone, without waiting
//! for a lease to run out, and never takes those of one that lives.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use defib_core::run::RunId;
use rustix::fs::{FlockOperation, flock};

/// Folder of the locked files in the state folder.
const FOLDER: &str = "owners";

/// This process, as an owner of jobs.
#[derive(Debug)]
pub(super) struct Owner {
    name: String,
    place: PathBuf,
    _lock: File,
}

impl Owner {
    /// Takes a name that nobody else has.
    ///
    /// # Errors
    /// Where the file cannot be made or locked.
    pub(super) fn new(state: &Path, entropy: u64) -> io::Result<Self> {
        let name = RunId::from_entropy(entropy).to_string();
        fs::create_dir_all(state.join(FOLDER))?;
        let place = state.join(FOLDER).join(&name);
        // It has its name only once it is locked: one that is not counts as gone.
        let beside = state.join(FOLDER).join(format!(".{name}"));
        let lock = OpenOptions::new().write(true).create_new(true).open(&beside)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        fs::rename(&beside, &place)?;
        Ok(Self { name, place, _lock: lock })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.place);
    }
}

/// The owner of this name is gone.
pub(super) fn is_gone(state: &Path, name: &str) -> bool {
    match File::open(state.join(FOLDER).join(name)) {
        // Whoever holds it locked lives.
        Ok(file) => flock(&file, FlockOperation::NonBlockingLockShared).is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Others than this one live.
pub(super) fn others(state: &Path, name: &str) -> bool {
    let names = fs::read_dir(state.join(FOLDER)).into_iter().flatten().flatten();
    let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.any(|other| !other.starts_with('.') && other != name && !is_gone(state, &other))
}

/// Removes the files of owners that are gone.
pub(super) fn clear(state: &Path) {
    for entry in fs::read_dir(state.join(FOLDER)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let named = !name.to_string_lossy().starts_with('.');
        if named && is_gone(state, &name.to_string_lossy()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_lives_as_long_as_it_holds_its_file() {
        let state = tempfile::tempdir().unwrap();
        let owner = Owner::new(state.path(), 7).unwrap();
        let name = owner.name().to_owned();
        clear(state.path());
        assert!(!is_gone(state.path(), &name));
        // Killed, it leaves its file behind, unlocked.
        let left = state.path().join(FOLDER).join("r0dead");
        fs::write(&left, "").unwrap();
        assert!(is_gone(state.path(), "r0dead"));
        clear(state.path());
        assert!(!left.exists());
        drop(owner);
        assert!(is_gone(state.path(), &name));
    }
}
