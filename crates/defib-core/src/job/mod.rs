//! A job: a unit of inference work that ends in exactly one result or one explained
//! failure.
//!
//! Whatever happens to a job is a [`Move`]; [`after`] says which are legal, for every
//! state. Each try of a job is an attempt, and its number is the fencing token: a worker
//! that was given up and speaks later carries an old number and is not heard.

use std::fmt;

mod view;

pub use view::{ErrorView, JobView, OutputView, Pace, ProgressView, ResultView};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Accepted, and waits for a worker or for its time.
    Queued,
    /// A worker has it.
    Running,
    /// Ended with its result.
    Succeeded,
    /// Ended with an explained failure.
    Failed,
    /// Ended because somebody wanted it to.
    Cancelled,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// Nothing happens to it any more.
    #[must_use]
    pub fn over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// As in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Something that happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Move {
    /// A worker takes it: a new attempt.
    Claim,
    /// Its attempt succeeded.
    Succeed,
    /// Its attempt failed, and no other is made.
    Fail,
    /// Its attempt failed, and another is made.
    Retry,
    /// The worker gives it back unharmed; the attempt does not count.
    Release,
    /// The worker is gone: its lease ran out.
    Expire,
    /// Its deadline has passed.
    PassDeadline,
    /// Somebody wants it to end, and nobody works on it.
    Cancel,
}

impl Move {
    /// Every move.
    pub const ALL: [Self; 8] = [
        Self::Claim,
        Self::Succeed,
        Self::Fail,
        Self::Retry,
        Self::Release,
        Self::Expire,
        Self::PassDeadline,
        Self::Cancel,
    ];
}

/// The state after a move; `None` where the move is not legal.
#[must_use]
pub fn after(state: JobState, what: Move) -> Option<JobState> {
    use JobState::{Cancelled, Failed, Queued, Running, Succeeded};
    match (state, what) {
        (Queued, Move::Claim) => Some(Running),
        (Queued, Move::PassDeadline) => Some(Failed),
        (Queued | Running, Move::Cancel) => Some(Cancelled),
        (Running, Move::Succeed) => Some(Succeeded),
        (Running, Move::Fail | Move::PassDeadline) => Some(Failed),
        (Running, Move::Retry | Move::Release | Move::Expire) => Some(Queued),
        (Queued, Move::Succeed | Move::Fail | Move::Retry | Move::Release | Move::Expire) => None,
        (Running, Move::Claim) => None,
        (Succeeded | Failed | Cancelled, _) => None,
    }
}

/// An id for a job: `j` and thirteen base-32 digits of this entropy.
#[must_use]
pub fn id(entropy: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let digits = (0..13).map(|place| DIGITS[(entropy >> (place * 5)) as usize & 31] as char);
    std::iter::once('j').chain(digits).collect()
}

/// Where an attempt goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Choice {
    /// Backend.
    pub backend: String,
    /// Profile of it.
    pub profile: String,
}

/// A job that is handed in.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NewJob {
    /// Its id: a letter, then letters and digits.
    pub id: String,
    /// Route or backend that shall do it.
    pub route: String,
    /// Where its first attempt goes.
    pub start: Choice,
    /// Inputs: names and JSON values; files as `{"sha256": …}`.
    pub inputs: serde_json::Value,
    /// Higher goes first.
    pub priority: i64,
    /// Not before this time, milliseconds since the epoch.
    pub not_before_ms: Option<i64>,
    /// It fails if it is not over by then, milliseconds since the epoch.
    pub deadline_ms: Option<i64>,
    /// Time for one attempt, milliseconds.
    pub timeout_ms: Option<i64>,
    /// Most attempts; at least 1.
    pub max_attempts: u32,
    /// Handed in again with this key, it is the same job.
    pub idempotency_key: Option<String>,
}

/// One try of a job.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// Its number, from 1: the fencing token.
    pub n: u32,
    /// Which backend.
    pub backend: String,
    /// Which profile of the backend.
    pub profile: String,
    /// `running`, `succeeded`, `failed`, `lost`, `released` or `cancelled`.
    pub outcome: String,
    /// Id of the cause, where it failed.
    pub cause: Option<String>,
    /// Start, milliseconds since the epoch.
    pub started_ms: i64,
    /// End.
    pub ended_ms: Option<i64>,
}

/// What is known of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// As it was handed in.
    pub new: NewJob,
    /// How it stands.
    pub state: JobState,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// Its result, where it succeeded.
    pub result: Option<serde_json::Value>,
    /// Its explained failure, where it failed.
    pub error: Option<serde_json::Value>,
    /// Somebody wants it to end.
    pub cancel_wanted: bool,
    /// Progress: units done, and in all where that is told.
    pub progress: Option<(f64, Option<f64>)>,
    /// When it was accepted, milliseconds since the epoch.
    pub created_ms: i64,
    /// When it was over.
    pub finished_ms: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_decided_and_what_is_over_stays_over() {
        for state in JobState::ALL {
            assert_eq!(JobState::of(state.name()), Some(state));
            for what in Move::ALL {
                let next = after(state, what);
                if state.over() {
                    assert_eq!(next, None, "{state} {what:?}");
                }
                // Only a claim leads into work, and only work into a result.
                assert_eq!(next == Some(JobState::Running), (state, what) == (JobState::Queued, Move::Claim));
                if next == Some(JobState::Succeeded) {
                    assert_eq!(state, JobState::Running);
                }
            }
        }
    }
}
