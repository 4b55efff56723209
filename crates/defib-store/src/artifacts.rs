//! Files of jobs and runs, named by what is in them.
//!
//! An artifact is `artifacts/ab/cdef…`, the SHA-256 of its bytes. It is written under a
//! temporary name, synced, renamed, and its folder synced: whoever sees the name sees the
//! whole file, also after a power cut. The same bytes are kept once. What is used again
//! counts as new, and the oldest go first when the budget is spent.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

/// Folder in the state folder.
const FOLDER: &str = "artifacts";
/// Where files are written before they have their name.
const UNFINISHED: &str = "unfinished";
/// An unfinished file that nobody has touched for so long was left by a crash.
const LEFT_FOR: Duration = Duration::from_secs(3600);

/// An artifact cannot be kept or found. Every text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// It is larger than is allowed.
    #[error("the file is larger than {most} bytes; raise the limit, or hand in less")]
    TooLarge {
        /// Bytes that are allowed.
        most: u64,
    },
    /// The text names no artifact.
    #[error("{0:?} is no SHA-256 of an artifact: 64 hexadecimal digits")]
    NoDigest(String),
    /// No artifact has this digest.
    #[error("there is no artifact {0}; it may have been removed when the budget was spent")]
    Missing(String),
    /// The disk.
    #[error("cannot keep or read an artifact in {}: {source}", path.display())]
    Disk {
        /// Folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A kept artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// SHA-256, 64 hexadecimal digits.
    pub sha256: String,
    /// Bytes.
    pub bytes: u64,
}

/// What a clean-up removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The artifacts of a state folder.
#[derive(Debug, Clone)]
pub struct Artifacts {
    root: PathBuf,
}

impl Artifacts {
    /// Those of the state folder at `state`; the folder is made if it is not there.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn open(state: &Path) -> Result<Self, ArtifactError> {
        let root = state.join(FOLDER);
        let unfinished = root.join(UNFINISHED);
        fs::create_dir_all(&unfinished).map_err(|source| ArtifactError::Disk { path: unfinished, source })?;
        Ok(Self { root })
    }

    /// Keeps what `source` gives, at most `most` bytes.
    ///
    /// # Errors
    /// [`ArtifactError::TooLarge`], or the disk's; then nothing is left behind.
    pub fn keep(&self, source: &mut dyn Read, most: u64) -> Result<Artifact, ArtifactError> {
        let name = format!("{}-{:016x}", std::process::id(), unique());
        let beside = self.root.join(UNFINISHED).join(name);
        let kept = self.write(source, most, &beside);
        if kept.is_err() {
            let _ = fs::remove_file(&beside);
        }
        kept
    }

    fn write(&self, source: &mut dyn Read, most: u64, beside: &Path) -> Result<Artifact, ArtifactError> {
        let disk = |source| ArtifactError::Disk { path: beside.to_owned(), source };
        let mut file = File::create_new(beside).map_err(disk)?;
        let mut digest = Sha256::new();
        let mut bytes = 0;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let length = match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(disk(error)),
            };
            bytes += length as u64;
            if bytes > most {
                return Err(ArtifactError::TooLarge { most });
            }
            digest.update(&buffer[..length]);
            file.write_all(&buffer[..length]).map_err(disk)?;
        }
        file.sync_all().map_err(disk)?;
        let sha256 = hexadecimal(&digest.finalize());
        let place = self.place(&sha256)?;
        let folder = place.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(disk)?;
        // Over the same bytes, if they are there: that makes them new again.
        fs::rename(beside, &place).map_err(disk)?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(disk)?;
        Ok(Artifact { sha256, bytes })
    }

    /// Where an artifact lies. Only 64 hexadecimal digits name one, so no text from
    /// outside leads out of the folder.
    ///
    /// # Errors
    /// [`ArtifactError::NoDigest`].
    pub fn place(&self, sha256: &str) -> Result<PathBuf, ArtifactError> {
        let sound = sha256.len() == 64 && sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !sound {
            return Err(ArtifactError::NoDigest(sha256.chars().take(80).collect()));
        }
        Ok(self.root.join(&sha256[..2]).join(&sha256[2..]))
    }

    /// Opens an artifact.
    ///
    /// # Errors
    /// Where there is none of this digest.
    pub fn read(&self, sha256: &str) -> Result<File, ArtifactError> {
        let path = self.place(sha256)?;
        File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ArtifactError::Missing(sha256.to_owned()),
            _ => ArtifactError::Disk { path, source },
        })
    }

    /// Removes the oldest artifacts until the others fit into `most_bytes`, and those
    /// older than `age`; never one that `used` names. What a crash left unfinished goes too.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn clean(
        &self,
        most_bytes: u64,
        age: Duration,
        now: SystemTime,
        used: &HashSet<String>,
    ) -> Result<Removed, ArtifactError> {
        let mut removed = Removed::default();
        let mut remove = |path: &Path, bytes: u64| {
            if fs::remove_file(path).is_ok() {
                removed.files += 1;
                removed.bytes += bytes;
            }
        };
        for (path, bytes, touched) in files(&self.root.join(UNFINISHED))? {
            if now.duration_since(touched).is_ok_and(|idle| idle > LEFT_FOR) {
                remove(&path, bytes);
            }
        }
        let mut all = Vec::new();
        for folder in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let name = folder.file_name();
            if name.len() == 2 {
                let named = |(path, bytes, touched): (PathBuf, u64, SystemTime)| {
                    let sha256 = format!("{}{}", name.to_string_lossy(), path.file_name()?.to_string_lossy());
                    Some((touched, bytes, path, used.contains(&sha256)))
                };
                all.extend(files(&folder.path())?.into_iter().filter_map(named));
            }
        }
        all.sort();
        let mut total: u64 = all.iter().map(|(_, bytes, ..)| bytes).sum();
        for (touched, bytes, path, is_used) in all {
            let old = now.duration_since(touched).is_ok_and(|idle| idle > age);
            if !is_used && (old || total > most_bytes) {
                total = total.saturating_sub(bytes);
                remove(&path, bytes);
            }
        }
        Ok(removed)
    }
}

/// Files of a folder with their bytes and time.
fn files(folder: &Path) -> Result<Vec<(PathBuf, u64, SystemTime)>, ArtifactError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(source) => return Err(ArtifactError::Disk { path: folder.to_owned(), source }),
    };
    let file = |entry: fs::DirEntry| {
        let meta = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        Some((entry.path(), meta.len(), meta.modified().ok()?))
    };
    Ok(entries.flatten().filter_map(file).collect())
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A number that no other file of this process has.
fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// SHA-256 of `abc` (FIPS 180-2, appendix B.1).
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn scratch() -> (tempfile::TempDir, Artifacts) {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open(folder.path()).unwrap();
        (folder, artifacts)
    }

    fn unfinished(artifacts: &Artifacts) -> usize {
        files(&artifacts.root.join(UNFINISHED)).unwrap().len()
    }

    #[test]
    fn a_file_is_found_by_what_is_in_it_and_kept_once() {
        let (_folder, artifacts) = scratch();
        let kept = artifacts.keep(&mut &b"abc"[..], 3).unwrap();
        assert_eq!(kept, Artifact { sha256: ABC.into(), bytes: 3 });
        assert_eq!(artifacts.keep(&mut &b"abc"[..], 3).unwrap().sha256, ABC);
        let mut text = String::new();
        artifacts.read(ABC).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), unfinished(&artifacts)), ("abc", 0));
    }

    #[test]
    fn what_is_too_large_or_breaks_off_leaves_nothing() {
        struct Breaks;
        impl Read for Breaks {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        let (_folder, artifacts) = scratch();
        assert!(matches!(artifacts.keep(&mut &b"abcd"[..], 3), Err(ArtifactError::TooLarge { most: 3 })));
        assert!(matches!(artifacts.keep(&mut Breaks, 3), Err(ArtifactError::Disk { .. })));
        assert_eq!(unfinished(&artifacts), 0);
    }

    #[test]
    fn the_oldest_go_first_and_what_is_used_never() {
        let (_folder, artifacts) = scratch();
        let keep = |text: &str, age: u64| {
            let kept = artifacts.keep(&mut text.as_bytes(), 100).unwrap();
            let file = File::options().write(true).open(artifacts.place(&kept.sha256).unwrap()).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age)).unwrap();
            kept.sha256
        };
        let (oldest, old, new) = (keep("aaaa", 300), keep("bbbb", 200), keep("cccc", 100));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let used = HashSet::from([oldest.clone()]);
        let removed = artifacts.clean(8, Duration::from_secs(10_000), now, &used).unwrap();
        assert_eq!(removed, Removed { files: 1, bytes: 4 });
        assert!(artifacts.read(&oldest).is_ok() && artifacts.read(&new).is_ok());
        assert!(matches!(artifacts.read(&old), Err(ArtifactError::Missing(_))));
        // By age, whatever room there is.
        let removed = artifacts.clean(u64::MAX, Duration::from_secs(50), now, &used).unwrap();
        assert_eq!(removed.files, 1);
    }

    proptest! {
        #[test]
        fn no_text_leads_out_of_the_folder(text in ".{0,80}") {
            let artifacts = Artifacts { root: PathBuf::from("/state/artifacts") };
            if let Ok(place) = artifacts.place(&text) {
                prop_assert!(text.len() == 64);
                let normal = place.components().all(|part| !matches!(part, std::path::Component::ParentDir));
                prop_assert!(normal && place.starts_with("/state/artifacts"));
            }
        }
    }
}
