//! `/dev/shm`: its size, its files, and who holds them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use defib_core::snapshot::{SharedFile, SharedMemory};

use super::processes::All;
use crate::sys;

const FOLDER: &str = "/dev/shm";
/// Most files listed, the largest.
const MOST: usize = 100;
/// Most entries looked at.
const ENTRIES: usize = 50_000;
/// Levels of folders that are entered.
const DEEP: usize = 4;

/// What lies in `/dev/shm`, before it is known who holds it.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    shared: SharedMemory,
    pub(super) files: u64,
    /// Files that only their owner may open, by path.
    private: BTreeMap<String, bool>,
}

/// `None` where there is no `/dev/shm`.
pub(super) fn files() -> Option<Files> {
    let system = sys::file_system(FOLDER.as_ref()).ok()?;
    let mut found = Files::default();
    found.shared.size_bytes = system.size_bytes;
    found.shared.free_bytes = system.free_bytes;
    let mut folders = vec![(PathBuf::from(FOLDER), 0)];
    let (mut entries, mut bytes) = (0, 0);
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            entries += 1;
            let Ok(meta) = entry.metadata() else { continue };
            if entries > ENTRIES {
                break;
            }
            if meta.is_dir() && depth < DEEP {
                folders.push((entry.path(), depth + 1));
            } else if meta.is_file() {
                bytes += meta.blocks() * 512;
                found.files += 1;
                let path = entry.path().to_string_lossy().into_owned();
                found.private.insert(path.clone(), meta.mode() & 0o077 == 0);
                let file = SharedFile { path, uid: meta.uid(), bytes: meta.blocks() * 512, ..SharedFile::default() };
                found.shared.largest.push(file);
            }
        }
    }
    let shared = &mut found.shared;
    shared.files = found.files;
    shared.deleted_bytes = (system.size_bytes - system.free_bytes.min(system.size_bytes)).saturating_sub(bytes);
    shared.largest.sort_by(|one, other| other.bytes.cmp(&one.bytes).then_with(|| one.path.cmp(&other.path)));
    shared.largest.truncate(MOST);
    Some(found)
}

/// Adds who holds the files.
pub(super) fn held(files: Files, all: &All) -> SharedMemory {
    let mut shared = files.shared;
    for file in &mut shared.largest {
        let holds = |raw: &&super::processes::Raw| raw.shared_files.contains(&file.path);
        file.holders = all.list.iter().filter(holds).map(|raw| raw.pid).collect();
        // Of a file that only its owner may open, the owner's processes tell all.
        let private = files.private.get(&file.path) == Some(&true);
        let seen = all.complete || (private && file.uid == sys::user() && all.own_complete);
        file.held = if file.holders.is_empty() { seen.then_some(false) } else { Some(true) };
    }
    shared
}
