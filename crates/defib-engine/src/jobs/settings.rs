//! What the user asked for: backends, their profiles, routes over them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use defib_core::recovery::{Aim, Place, Remedy};
use defib_store::Retention;
use serde_json::{Map, Value};

use crate::session::MemoryPlan;

/// Profile that every backend has: the job as it was asked for.
pub const FULL: &str = "full";

/// Everything that jobs need.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What can do a job.
    pub backends: Vec<BackendSettings>,
    /// In which order they are asked.
    pub routes: Vec<Route>,
    /// Remedies that differ from the catalogue's, by cause.
    pub remedies: HashMap<String, Remedy>,
    /// Jobs that may wait; more are refused.
    pub most_queued: u64,
    /// Attempts of a job that asks for no number.
    pub max_attempts: u32,
    /// Longest life of a job that asks for no deadline.
    pub deadline: Duration,
    /// How long jobs that are over are remembered.
    pub keep_jobs: Duration,
    /// How long artifacts are kept that no job needs.
    pub keep_artifacts: Duration,
    /// What is kept of the runs of workers and commands.
    pub retention: Retention,
    /// How many bytes of artifacts are kept, beside those that jobs need.
    pub artifact_bytes: u64,
    /// Largest file that goes in or comes out, bytes.
    pub largest_file: u64,
    /// This job and no other: that of a program which waits for it.
    pub only: Option<String>,
    /// Workers are started before the first job comes.
    pub warm: bool,
    /// Version of defib, for journals.
    pub version: String,
    /// This program's own binary.
    pub exe: PathBuf,
}

impl Settings {
    /// Where a job of this route may go, in order: each backend with its profiles, that
    /// is, the profiles of the first backend before the second.
    #[must_use]
    pub fn places(&self, route: &str) -> Option<Vec<Place>> {
        let names: Vec<&str> = match route.strip_prefix(ONE_BACKEND) {
            Some(backend) => vec![backend],
            None => {
                let route = self.routes.iter().find(|known| known.name == route)?;
                route.backends.iter().map(String::as_str).collect()
            }
        };
        let backends = names.iter().map(|name| self.backend(name)).collect::<Option<Vec<_>>>()?;
        Some(backends.into_iter().flat_map(BackendSettings::places).collect())
    }

    /// The backend of this name.
    #[must_use]
    pub fn backend(&self, name: &str) -> Option<&BackendSettings> {
        self.backends.iter().find(|backend| backend.name == name)
    }
}

/// Prefix of the route of a job that asks for one backend.
pub const ONE_BACKEND: &str = "backend/";

/// An ordered list of backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Name.
    pub name: String,
    /// Names of backends, in this order.
    pub backends: Vec<String>,
}

/// One backend.
#[derive(Debug, Clone)]
pub struct BackendSettings {
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Jobs at the same time.
    pub workers: usize,
    /// Longest time to get ready.
    pub setup_timeout: Duration,
    /// Longest time for an attempt.
    pub predict_timeout: Duration,
    /// Longest time without a sign of life during an attempt.
    pub heartbeat_timeout: Option<Duration>,
    /// Patience with a standstill; without it only proved ones are ended.
    pub stall_after: Option<Duration>,
    /// Profiles beside [`FULL`].
    pub profiles: Vec<Profile>,
    /// What outputs must be.
    pub checks: Checks,
    /// A worker is replaced after so many jobs.
    pub recycle_after: Option<u64>,
    /// A worker is replaced when one of these inputs differs from that of its last job.
    pub recycle_on_change: Vec<String>,
    /// What is done about memory.
    pub memory: MemoryPlan,
    /// GPUs that its workers use, by number or UUID; several are shared out.
    pub gpus: Vec<String>,
    /// Jobs at the same time on one GPU.
    pub jobs_per_gpu: usize,
    /// Variables set for its processes.
    pub env: Vec<(String, String)>,
    /// Folder in which it runs.
    pub folder: PathBuf,
}

impl BackendSettings {
    /// The full profile and the others.
    fn places(&self) -> Vec<Place> {
        let full = Place { backend: self.name.clone(), profile: FULL.to_owned(), aim: Aim::Full };
        let others = self.profiles.iter().map(|profile| Place {
            backend: self.name.clone(),
            profile: profile.name.clone(),
            aim: profile.aim,
        });
        std::iter::once(full).chain(others).collect()
    }

    /// A profile by name.
    #[must_use]
    pub fn profile(&self, name: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.name == name)
    }
}

/// What a backend is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A Python class that stays loaded.
    Worker {
        /// `predict.py:Predictor`.
        predictor: String,
        /// Interpreter.
        python: String,
        /// Keywords for its `setup`.
        options: Map<String, Value>,
    },
    /// A program that is started for each job.
    Command {
        /// Program and arguments, with `{input}` and `{out}` in them.
        command: Vec<String>,
    },
}

impl Kind {
    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Worker { .. } => "worker",
            Self::Command { .. } => "command",
        }
    }
}

/// A variation of a backend.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Name.
    pub name: String,
    /// What it is for.
    pub aim: Aim,
    /// Inputs that are set, over those of the job.
    pub inputs: Map<String, Value>,
    /// Options of `setup` that are set; a worker with others is replaced.
    pub options: Map<String, Value>,
    /// Variables that are set.
    pub env: Vec<(String, String)>,
}

/// What outputs must be, before a job counts as done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checks {
    /// Images decode, and are not of one colour.
    pub images: bool,
    /// An image of one colour is an error.
    pub flat: bool,
    /// Numbers are finite.
    pub nonfinite: bool,
    /// Expected width and height of images: numbers, or names of inputs.
    pub size: Option<(Extent, Extent)>,
}

impl Default for Checks {
    fn default() -> Self {
        Self { images: true, flat: true, nonfinite: true, size: None }
    }
}

/// One side of an expected size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// So many pixels.
    Pixels(u32),
    /// As many as this input says.
    Input(String),
}

impl Extent {
    /// In pixels, with the inputs of an attempt.
    pub(crate) fn pixels(&self, inputs: &Map<String, Value>) -> Option<u32> {
        match self {
            Self::Pixels(pixels) => Some(*pixels),
            Self::Input(name) => u32::try_from(inputs.get(name)?.as_u64()?).ok(),
        }
    }
}
