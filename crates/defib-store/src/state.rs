//! The state folder: where it is, which format it has, how a run gets its folder.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use defib_core::report::Report;
use defib_core::run::RunId;

/// Format of the state folder.
const VERSION: &str = "1";
/// File with the format.
const VERSION_FILE: &str = "version";
/// Folder with an empty file per run that may have somebody left.
const UNFINISHED: &str = "unfinished";
/// Processes of others that were last shown as left over: boot id, pid, start time.
const LISTED: &str = "listed";
/// A run's report.
pub const REPORT_FILE: &str = "report.json";

/// The state folder cannot be used. Every text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// No environment variable says where it could be.
    #[error("there is no place for run folders: set DEFIB_STATE to a folder, or HOME")]
    Nowhere,
    /// It cannot be created or written.
    #[error("cannot write the state folder {}: {source}; set DEFIB_STATE to a folder you may write", path.display())]
    Unwritable {
        /// Folder or file concerned.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another version of defib made it.
    #[error(
        "the state folder {} has format {found}, and this defib reads format {VERSION}; \
         set DEFIB_STATE to another folder, or move that one away",
        path.display()
    )]
    OtherVersion {
        /// Folder.
        path: PathBuf,
        /// Its format.
        found: String,
    },
    /// No run has this id.
    #[error("there is no run {0}; `defib runs` lists them")]
    NoSuchRun(String),
    /// Several runs begin with this text.
    #[error("{text} is the beginning of several runs: {}", found.join(", "))]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// What it could mean.
        found: Vec<String>,
    },
    /// A file in it cannot be read.
    #[error("cannot read {}: {source}; set DEFIB_STATE to a folder you may use", path.display())]
    Unreadable {
        /// File.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// An open state folder.
#[derive(Debug, Clone)]
pub struct State {
    root: PathBuf,
}

impl State {
    /// Where the state folder is: `$DEFIB_STATE`, else the XDG state folder.
    ///
    /// # Errors
    /// Where no variable tells.
    pub fn place(variable: impl Fn(&str) -> Option<String>) -> Result<PathBuf, StateError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        if let Some(place) = set("DEFIB_STATE") {
            return Ok(PathBuf::from(place));
        }
        if let Some(place) = set("XDG_STATE_HOME") {
            return Ok(Path::new(&place).join("defib"));
        }
        let home = set("HOME").ok_or(StateError::Nowhere)?;
        Ok(Path::new(&home).join(".local/state/defib"))
    }

    /// Opens the folder, making it if it is not there.
    ///
    /// # Errors
    /// Where it cannot be written or has another format.
    pub fn open(root: &Path) -> Result<Self, StateError> {
        let unwritable = |path: &Path| {
            let path = path.to_owned();
            move |source| StateError::Unwritable { path, source }
        };
        let version = root.join(VERSION_FILE);
        match fs::read_to_string(&version) {
            Ok(found) if found.trim() == VERSION => {}
            Ok(found) => {
                let found = found.trim().chars().take(40).collect();
                return Err(StateError::OtherVersion { path: root.to_owned(), found });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Command lines and output are nobody else's business.
                let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(root.join("runs"));
                made.map_err(unwritable(root))?;
                // Written whole under another name first: two first runs at once do no harm.
                let fresh = root.join(format!("{VERSION_FILE}.{}", std::process::id()));
                fs::write(&fresh, format!("{VERSION}\n")).map_err(unwritable(&fresh))?;
                fs::rename(&fresh, &version).map_err(unwritable(&version))?;
            }
            Err(source) => return Err(StateError::Unreadable { path: version, source }),
        }
        Ok(Self { root: root.to_owned() })
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of all runs.
    #[must_use]
    pub fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// The folder of a run, whether it exists or not.
    #[must_use]
    pub fn folder(&self, run: &RunId) -> PathBuf {
        self.runs().join(run.as_str())
    }

    /// Makes the folder of a new run, readable by its owner only (output may hold secrets),
    /// and notes it as [unfinished](Self::unfinished) before that.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn create(&self, run: &RunId) -> Result<PathBuf, StateError> {
        let note = self.note(run);
        let noted = fs::write(&note, "").or_else(|_| {
            fs::create_dir_all(self.root.join(UNFINISHED))?;
            fs::write(&note, "")
        });
        noted.map_err(|source| StateError::Unwritable { path: note, source })?;
        let folder = self.folder(run);
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|source| StateError::Unwritable { path: folder.clone(), source })?;
        Ok(folder)
    }

    /// Runs that were begun and are not known to have ended with nobody left, and when
    /// they were begun. There are few, however many runs there are: a start need not
    /// look at all of them to find what a lost one left.
    #[must_use]
    pub fn unfinished(&self) -> Vec<(RunId, SystemTime)> {
        let Ok(entries) = fs::read_dir(self.root.join(UNFINISHED)) else { return Vec::new() };
        let noted = entries.flatten().filter_map(|entry| {
            let run = entry.file_name().to_str()?.parse().ok()?;
            Some((run, entry.metadata().ok()?.modified().ok()?))
        });
        noted.collect()
    }

    /// Notes that nobody of this run is left.
    pub fn finished(&self, run: &RunId) {
        // If it stays, the next start looks in vain, once.
        let _ = fs::remove_file(self.note(run));
    }

    fn note(&self, run: &RunId) -> PathBuf {
        self.root.join(UNFINISHED).join(run.as_str())
    }

    /// Keeps which processes of others a person was shown last as left over: pid and start
    /// time. A pid alone then names one of them, and never a later process of that pid.
    pub fn remember_listed(&self, boot: &str, shown: &[(i32, u64)]) {
        let lines: Vec<String> = shown.iter().map(|(pid, start)| format!("{boot} {pid} {start}\n")).collect();
        // Without it the start time must be given; nothing else is lost.
        let _ = fs::write(self.root.join(LISTED), lines.concat());
    }

    /// Start time of a process as it was last [listed](Self::remember_listed).
    #[must_use]
    pub fn listed(&self, boot: &str, pid: i32) -> Option<u64> {
        let text = fs::read_to_string(self.root.join(LISTED)).ok()?;
        let start = |line: &str| {
            let mut words = line.split(' ');
            let same = words.next() == Some(boot) && words.next()?.parse() == Ok(pid);
            if same { words.next()?.parse().ok() } else { None }
        };
        text.lines().find_map(start)
    }

    /// Ids of all runs, in no order.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn ids(&self) -> Result<Vec<RunId>, StateError> {
        let runs = self.runs();
        let entries = fs::read_dir(&runs).map_err(|source| StateError::Unreadable { path: runs, source })?;
        let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        Ok(ids.collect())
    }

    /// The run that an id, its beginning, or `last` names.
    ///
    /// # Errors
    /// Where none or several fit.
    pub fn find(&self, text: &str) -> Result<RunId, StateError> {
        let ids = self.ids()?;
        if text == "last" {
            let newest = ids.into_iter().max_by_key(|id| {
                fs::metadata(self.folder(id).join("journal.jsonl"))
                    .and_then(|found| found.created().or_else(|_| found.modified()))
                    .ok()
            });
            return newest.ok_or_else(|| StateError::NoSuchRun("yet".to_owned()));
        }
        if let Some(exact) = ids.iter().find(|id| id.as_str() == text) {
            return Ok(exact.clone());
        }
        let mut fitting: Vec<RunId> =
            ids.into_iter().filter(|id| text.len() >= 2 && id.as_str().starts_with(text)).collect();
        match fitting.len() {
            0 => Err(StateError::NoSuchRun(text.to_owned())),
            1 => Ok(fitting.remove(0)),
            _ => Err(StateError::Ambiguous {
                text: text.to_owned(),
                found: fitting.iter().map(ToString::to_string).collect(),
            }),
        }
    }

    /// Writes a run's report: whole, or not at all.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write_report(&self, run: &RunId, report: &Report) -> io::Result<()> {
        let folder = self.folder(run);
        let fresh = folder.join("report.json.new");
        fs::write(&fresh, serde_json::to_vec_pretty(report)?)?;
        fs::rename(&fresh, folder.join(REPORT_FILE))
    }

    /// A run's report, if it has been written.
    #[must_use]
    pub fn report(&self, run: &RunId) -> Option<Report> {
        let text = fs::read(self.folder(run).join(REPORT_FILE)).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_format_is_refused_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(VERSION_FILE), "7\n").unwrap();
        let error = State::open(folder.path()).unwrap_err();
        assert!(matches!(error, StateError::OtherVersion { .. }));
        assert!(error.to_string().contains("set DEFIB_STATE"));
    }

    #[test]
    fn the_place_follows_the_environment() {
        let place = |set: &[(&str, &str)]| {
            let set: Vec<(String, String)> = set.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            State::place(move |name| set.iter().find(|row| row.0 == name).map(|row| row.1.clone()))
        };
        assert_eq!(place(&[("DEFIB_STATE", "/s"), ("HOME", "/h")]).unwrap(), Path::new("/s"));
        assert_eq!(place(&[("DEFIB_STATE", ""), ("XDG_STATE_HOME", "/x")]).unwrap(), Path::new("/x/defib"));
        assert_eq!(place(&[("HOME", "/h")]).unwrap(), Path::new("/h/.local/state/defib"));
        assert!(matches!(place(&[]), Err(StateError::Nowhere)));
    }

    #[test]
    fn a_run_is_unfinished_until_it_is_said_to_be_finished() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        assert_eq!(state.unfinished(), []);
        let run: RunId = "rabc1".parse().unwrap();
        state.create(&run).unwrap();
        let names: Vec<RunId> = state.unfinished().into_iter().map(|(run, _)| run).collect();
        assert_eq!(names, std::slice::from_ref(&run));
        state.finished(&run);
        assert_eq!(state.unfinished(), []);
    }

    #[test]
    fn what_was_listed_is_known_until_the_next_boot() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        assert_eq!(state.listed("b1", 7), None);
        state.remember_listed("b1", &[(7, 99), (8, 100)]);
        assert_eq!((state.listed("b1", 8), state.listed("b1", 9), state.listed("b2", 8)), (Some(100), None, None));
    }

    #[test]
    fn runs_are_found_by_the_beginning_of_their_id() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        for id in ["rabc1", "rabd2"] {
            state.create(&id.parse().unwrap()).unwrap();
        }
        assert_eq!(state.find("rabc").unwrap().as_str(), "rabc1");
        assert!(matches!(state.find("rab"), Err(StateError::Ambiguous { .. })));
        assert!(matches!(state.find("rx"), Err(StateError::NoSuchRun(_))));
    }
}
