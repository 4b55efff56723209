//! What can do a job, whatever it is.
//!
//! A backend has seats, each doing one job at a time. A seat that fails says why, with a
//! cause of the catalogue; whether the job is tried again, and where, is not its business.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use defib_core::case::Made;
use defib_core::event::Stream;
use defib_core::report::Report;
use defib_store::ArtifactError;
use serde_json::{Map, Value};

use super::settings::Profile;

/// Something that can do jobs.
pub(super) trait Backend: Send + Sync {
    /// Makes the seat of this number, from 0.
    fn seat(&self, number: usize) -> Box<dyn Seat>;
}

/// Does one job at a time.
pub(super) trait Seat: Send {
    /// Gets ready before there is a job, where that saves time later, unless it shall stop.
    fn warm(&mut self, _stop: &Stop) {}

    /// Does the job.
    ///
    /// # Errors
    /// Why it could not be done.
    fn work(&mut self, task: &Task<'_>) -> Result<Done, Failed>;

    /// What did the last job is not to be used again: `why` in words.
    fn quarantine(&mut self, why: &str);

    /// What its output, which is not what it should be, says of the cause.
    fn judge_output(&self, done: &Done, made: Made, words: &str) -> Failed;

    /// GPUs that the next job will use, as far as that is seen.
    fn gpus(&self) -> Vec<String> {
        Vec::new()
    }

    /// How it stands, for who asks the service.
    fn condition(&self) -> Condition;

    /// Ends what it holds, within this time.
    fn close(&mut self, within: Duration);
}

/// How a seat stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Condition {
    /// It is up and takes a job at once.
    pub(super) ready: bool,
    /// Run of its process.
    pub(super) run: Option<String>,
    /// Process id.
    pub(super) pid: Option<i32>,
    /// Jobs its process has done.
    pub(super) jobs: u64,
    /// Why it is not up: cause and explanation.
    pub(super) trouble: Option<(String, String)>,
}

/// One attempt of a job.
pub(super) struct Task<'a> {
    /// The job.
    pub(super) job: &'a str,
    /// Number of the attempt.
    pub(super) attempt: u32,
    /// Inputs, with those of the profile; without files.
    pub(super) inputs: &'a Map<String, Value>,
    /// Inputs that are files.
    pub(super) files: &'a BTreeMap<String, PathBuf>,
    /// Folder for what it makes.
    pub(super) out: &'a Path,
    /// Time it has.
    pub(super) limit: Duration,
    /// When the job must be over, all attempts included.
    pub(super) deadline: Option<Instant>,
    /// The profile, unless it is the full one.
    pub(super) profile: Option<&'a Profile>,
    /// Who wants it to stop says so here.
    pub(super) stop: &'a Stop,
    /// Hears of progress: done, and in all.
    pub(super) progress: &'a (dyn Fn(f64, Option<f64>) + Sync),
    /// Hears what the work is at.
    pub(super) stage: &'a (dyn Fn(&str) + Sync),
}

/// What a job made.
#[derive(Debug, Clone, Default)]
pub(super) struct Done {
    /// Values by name.
    pub(super) values: Map<String, Value>,
    /// Files.
    pub(super) files: Vec<MadeFile>,
    /// Names of values and files that hold numbers which are none.
    pub(super) nonfinite: Vec<String>,
    /// Where in the output of its process the job began, bytes.
    pub(super) output_from: HashMap<Stream, u64>,
}

/// A file that a job made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MadeFile {
    /// Name.
    pub(super) name: String,
    /// Where it lies.
    pub(super) path: PathBuf,
    /// MIME type.
    pub(super) media_type: String,
}

/// Why an attempt did not succeed.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    /// Cause of the catalogue, or `unknown`.
    pub(super) cause: String,
    /// In words.
    pub(super) explanation: String,
    /// All that is known.
    pub(super) report: Option<Box<Report>>,
    /// The backend asks for a pause.
    pub(super) retry_after: Option<Duration>,
    /// What kind of failure it is.
    pub(super) kind: FailedKind,
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailedKind {
    /// It failed.
    Failed,
    /// It stood or took too long, and was ended.
    Overdue,
    /// Somebody wanted it to stop.
    Stopped,
}

impl Failed {
    /// A failure of this cause.
    #[must_use]
    pub(super) fn new(cause: &str, explanation: impl Into<String>) -> Self {
        Self {
            cause: cause.to_owned(),
            explanation: explanation.into(),
            report: None,
            retry_after: None,
            kind: FailedKind::Failed,
        }
    }

    /// The system refused something: the cause is that of its error number, where that tells
    /// one.
    #[must_use]
    pub(super) fn of_system(what: &str, error: &io::Error) -> Self {
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        const ENOSPC: i32 = 28;
        const EDQUOT: i32 = 122;
        let cause = match error.raw_os_error() {
            Some(ENOSPC | EDQUOT) => "disk-full",
            Some(ENFILE | EMFILE) => "os-limit",
            _ => "unknown",
        };
        Self::new(cause, format!("{what}: {error}"))
    }

    /// A file of the job could not be kept or laid out.
    #[must_use]
    pub(super) fn of_file(what: &str, error: &ArtifactError) -> Self {
        match error {
            ArtifactError::Disk { source, .. } => Self::of_system(what, source),
            ArtifactError::Missing(_) => Self::new("asset-missing", format!("{what}: {error}")),
            ArtifactError::TooLarge { .. } | ArtifactError::NoDigest(_) => {
                Self::new("request-rejected", format!("{what}: {error}"))
            }
        }
    }

    /// It was stopped.
    #[must_use]
    pub(super) fn stopped() -> Self {
        Self { kind: FailedKind::Stopped, ..Self::new("interrupted", "it was stopped") }
    }
}

/// Why work shall stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopWhy {
    /// Nobody wants the job any more.
    Cancelled,
    /// The service ends; somebody else will do the job.
    Leaving,
}

type Act = Box<dyn Fn() + Send>;

/// Tells work to stop. Whoever does the work says how.
#[derive(Default)]
pub(super) struct Stop {
    state: Mutex<(Option<StopWhy>, Option<Act>)>,
}

impl Stop {
    fn state(&self) -> MutexGuard<'_, (Option<StopWhy>, Option<Act>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody wants it to stop. The first reason stays.
    pub(super) fn stop(&self, why: StopWhy) {
        let mut state = self.state();
        state.0.get_or_insert(why);
        if let Some(act) = &state.1 {
            act();
        }
    }

    /// Why it shall stop, if it shall.
    #[must_use]
    pub(super) fn why(&self) -> Option<StopWhy> {
        self.state().0
    }

    /// What ends the work; done at once if it shall stop already.
    pub(super) fn on_stop(&self, act: impl Fn() + Send + 'static) {
        let mut state = self.state();
        if state.0.is_some() {
            act();
        }
        state.1 = Some(Box::new(act));
    }

    /// The work is over: nothing is left to be ended.
    pub(super) fn clear(&self) {
        self.state().1 = None;
    }
}
