//! The report of a run: what happened, why, and what to do.
//!
//! The JSON form is part of the fixed interface; its schema is published by
//! `defib schema report`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::remains::Remains;

/// Version of the report's format.
pub const REPORT_VERSION: u32 = 1;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeKind {
    /// Exit status 0.
    Completed,
    /// Exit status other than 0.
    Failed,
    /// Ended by a fault of its own (SIGSEGV, SIGABRT, …).
    Crashed,
    /// Ended by a signal from elsewhere.
    Killed,
    /// Could not go on; ended by defib, or frozen where defib only looks.
    Stalled,
    /// A time limit passed.
    TimedOut,
    /// Over its memory limit.
    OverMemory,
    /// A person or a parent ended it.
    Cancelled,
    /// Could not be started.
    NotStarted,
    /// Still running.
    Running,
    /// Running, with nothing to do.
    Idle,
}

impl OutcomeKind {
    /// The name used in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Crashed => "crashed",
            Self::Killed => "killed",
            Self::Stalled => "stalled",
            Self::TimedOut => "timed-out",
            Self::OverMemory => "over-memory",
            Self::Cancelled => "cancelled",
            Self::NotStarted => "not-started",
            Self::Running => "running",
            Self::Idle => "idle",
        }
    }
}

/// Which run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunSummary {
    /// Run id; for `why`, `pid` and the process id, or `log`.
    pub id: String,
    /// Command as given.
    pub command: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// Start, RFC 3339.
    pub started: Option<String>,
    /// End, RFC 3339.
    pub ended: Option<String>,
    /// Seconds from start to end (or to the report).
    pub wall_s: f64,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// Kind.
    pub kind: OutcomeKind,
    /// The program's own exit code, if it had one.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Nothing to worry about.
    pub healthy: bool,
    /// Last stage the program reported or was seen in.
    pub stage: Option<String>,
}

/// A place in the user's own code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// File.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Function.
    pub function: Option<String>,
}

/// A next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NextStep {
    /// What to do, in words.
    pub say: String,
    /// A command to paste, or code to write.
    pub command: Option<Vec<String>>,
}

/// A ranked cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RankedCause {
    /// Id of the catalogue.
    pub id: String,
    /// Title.
    pub title: String,
    /// Probability, 0 to 1.
    pub probability: f64,
    /// Settled by a proof, not by weighing.
    pub proved: bool,
    /// Ids of the evidence for it.
    pub evidence: Vec<String>,
    /// It follows from the cause above it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub consequence: bool,
    /// One plain sentence with the figures of this run.
    pub explanation: String,
    /// Where in the user's own code.
    #[serde(rename = "where")]
    pub place: Option<Place>,
    /// What to do next.
    pub next_steps: Vec<NextStep>,
}

/// One observed fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// `e1`, `e2`, …
    pub id: String,
    /// Where it was seen: `log`, `stack`, `waits`, `descriptors`, `exit`, `kernel`, `vitals`, `signal`, `limit`.
    pub source: String,
    /// Seconds since the start of the run.
    pub at_s: Option<f64>,
    /// Process.
    pub pid: Option<i32>,
    /// Thread, by name or id.
    pub thread: Option<String>,
    /// The fact, in words.
    pub says: String,
    /// Looks like a cause and is none; `says` tells why.
    pub noise: bool,
}

/// What defib did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Action {
    /// Seconds since the start of the run.
    pub at_s: f64,
    /// What.
    pub did: String,
}

/// A process that is left, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Leftover {
    /// Process id.
    pub pid: i32,
    /// Command line.
    pub command: String,
    /// State letter.
    pub state: String,
    /// Kernel function it waits in.
    pub wchan: String,
    /// `ended`, `survives` or `allowed`.
    pub fate: String,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// [`REPORT_VERSION`].
    pub schema: u32,
    /// Which run.
    pub run: RunSummary,
    /// How it ended.
    pub outcome: Outcome,
    /// Causes, likeliest first.
    pub causes: Vec<RankedCause>,
    /// Evidence.
    pub evidence: Vec<Evidence>,
    /// Vital signs: last values, peaks and rates, by name.
    pub vitals: serde_json::Map<String, serde_json::Value>,
    /// What defib did.
    pub actions: Vec<Action>,
    /// Processes that outlived the program.
    pub leftovers: Vec<Leftover>,
    /// What else is left, and what could not be checked; for runs that are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remains: Option<Remains>,
}
