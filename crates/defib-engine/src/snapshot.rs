//! Snapshots of the machine: taken, kept, read back.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use defib_core::account;
use defib_core::redact::variable;
use defib_core::run::RunId;
use defib_core::snapshot::{MOST_RUNS, Place, RunOutcome, SNAPSHOT_VERSION, Snapshot, Variable};
use defib_observe::snapshot::{Request, read};
use defib_store::{Index, RunRow, State};

use crate::archive;

/// Name of the snapshot in the folder of a run that ended badly.
pub const FILE: &str = "snapshot.json";
/// Folder of the snapshots that a person took, in the state folder.
const FOLDER: &str = "snapshots";
/// A file that is larger is no snapshot, bytes.
const MOST_BYTES: u64 = 64 << 20;

/// A snapshot cannot be read. Every text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// No file.
    #[error("cannot read the snapshot {}: {source}; `defib snapshot` takes one", path.display())]
    Unreadable {
        /// File.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A run that has none.
    #[error(
        "run {0} has no snapshot: only a run that ends badly takes one, and not with --no-snapshot; \
         `defib snapshot` takes one now"
    )]
    OfRun(RunId),
    /// Something else is in it.
    #[error("{} is no snapshot of defib: {why}", path.display())]
    NoSnapshot {
        /// File.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A later version wrote it.
    #[error("the snapshot {} has format {found}, and this defib reads up to {SNAPSHOT_VERSION}; use the defib that took it, or a newer one", path.display())]
    Newer {
        /// File.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

/// Takes a snapshot within about so long, whatever hangs. `run` is the run at whose end
/// it is taken.
#[must_use]
pub fn take(state: &State, run: Option<&RunId>, version: &str, within: Duration) -> Snapshot {
    let begun = Instant::now();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let taken_ms = u64::try_from(now.as_millis()).unwrap_or(0);
    let path = std::env::var("PATH").unwrap_or_default();
    let seen = read(&Request { places: places(state), within, now_ms: taken_ms, path });
    let mut environment: Vec<Variable> = std::env::vars_os()
        .map(|(name, value)| {
            let name = name.to_string_lossy().into_owned();
            Variable { value: variable(&name, &value.to_string_lossy()), name }
        })
        .collect();
    environment.sort_by(|one, other| one.name.cmp(&other.name));
    Snapshot {
        schema: SNAPSHOT_VERSION,
        taken: account::timestamp(taken_ms, 0.0).unwrap_or_default(),
        taken_ms,
        took_s: begun.elapsed().as_secs_f64(),
        defib: version.to_owned(),
        run: run.map(ToString::to_string),
        system: seen.system,
        limits: seen.limits,
        memory: seen.memory,
        disks: seen.disks,
        shared_memory: seen.shared_memory,
        gpus: seen.gpus,
        kernel_log: seen.kernel_log,
        processes: seen.processes,
        python: seen.python,
        runs: runs(state),
        environment,
        unanswered: seen.unanswered,
    }
}

/// Folders whose disks matter to such programs.
fn places(state: &State) -> Vec<Place> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let home = set("HOME");
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(format!("{}/.cache", home.as_ref()?)));
    let under_cache = |name: &str| Some(format!("{}/{name}", cache.as_ref()?));
    let working = std::env::current_dir().ok().map(|path| path.display().to_string());
    let all = [
        ("state folder", Some(state.root().display().to_string())),
        ("working folder", working),
        ("home", home.clone()),
        ("temporary files", Some(set("TMPDIR").unwrap_or_else(|| "/tmp".to_owned()))),
        ("Hugging Face cache", set("HF_HOME").or_else(|| under_cache("huggingface"))),
        ("torch cache", set("TORCH_HOME").or_else(|| under_cache("torch"))),
        ("root", Some("/".to_owned())),
    ];
    all.into_iter().filter_map(|(role, path)| Some(Place { role: role.to_owned(), path: path? })).collect()
}

/// The last runs that the index knows, and those that go on: a look into every folder
/// would take time that a snapshot does not have.
fn runs(state: &State) -> Vec<RunOutcome> {
    let indexed = Index::open(state.root()).and_then(|index| index.list(MOST_RUNS)).unwrap_or_default();
    let open = state.unfinished().into_iter().take(MOST_RUNS).filter_map(|(run, _)| archive::row(state, &run));
    let mut rows: Vec<RunRow> = open.chain(indexed).collect();
    let mut known = std::collections::HashSet::new();
    rows.retain(|row| known.insert(row.id.clone()));
    rows.sort_by_key(|row| std::cmp::Reverse(row.started_ms));
    let outcome = |row: RunRow| RunOutcome {
        command: defib_core::redact::redact_words(
            &serde_json::from_str::<Vec<String>>(&row.command).unwrap_or_default(),
        ),
        started_ms: u64::try_from(row.started_ms).unwrap_or(0),
        id: row.id,
        outcome: row.outcome,
        cause: row.cause,
        healthy: row.healthy,
    };
    rows.into_iter().take(MOST_RUNS).map(outcome).collect()
}

/// Where a snapshot that a person takes lies, named by its time; the folder is made.
///
/// # Errors
/// Where the folder cannot be made.
pub fn place(state: &State, snapshot: &Snapshot) -> io::Result<PathBuf> {
    let folder = state.root().join(FOLDER);
    fs::create_dir_all(&folder)?;
    // A colon in a file's name is trouble on shares of other systems.
    let name = snapshot.taken.replace(':', "-");
    Ok(folder.join(format!("{name}.json")))
}

/// Writes a snapshot: whole, or not at all.
///
/// # Errors
/// Where it cannot be written.
pub fn write(snapshot: &Snapshot, path: &Path) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let text = serde_json::to_vec_pretty(snapshot)?;
    let written = private(&beside, &text).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Writes a file that only its owner may read: command lines are nobody else's business.
///
/// # Errors
/// Where it cannot be written.
pub fn private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(bytes)
}

/// Reads a snapshot from a file, or that of a run by its id.
///
/// # Errors
/// Where there is none, or a later version wrote it.
pub fn load(state: &State, text: &str) -> Result<Snapshot, SnapshotError> {
    let given = PathBuf::from(text);
    let path = if given.exists() {
        given
    } else {
        match state.find(text) {
            Ok(run) if !state.folder(&run).join(FILE).exists() => return Err(SnapshotError::OfRun(run)),
            Ok(run) => state.folder(&run).join(FILE),
            Err(_) => given,
        }
    };
    let unreadable = |source| SnapshotError::Unreadable { path: path.clone(), source };
    let no = |why: String| SnapshotError::NoSnapshot { path: path.clone(), why };
    if fs::metadata(&path).map_err(unreadable)?.len() > MOST_BYTES {
        return Err(no("it is too large".to_owned()));
    }
    let bytes = fs::read(&path).map_err(unreadable)?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| no(error.to_string()))?;
    let schema = value.get("schema").and_then(serde_json::Value::as_u64);
    match schema.and_then(|schema| u32::try_from(schema).ok()) {
        Some(found) if found > SNAPSHOT_VERSION => Err(SnapshotError::Newer { path, found }),
        Some(_) if value.get("taken_ms").is_some() => {
            serde_json::from_value(value).map_err(|error| no(error.to_string()))
        }
        _ => Err(no("it does not say when it was taken".to_owned())),
    }
}
