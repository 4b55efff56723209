//! The queue of jobs: accepted only once it is on disk, each ending in exactly one way.
//!
//! [`Queue`] is what the engine knows; [`SqliteQueue`] is the embedded one. Another
//! database is another implementation, held to the same contract
//! (`tests/queue/contract.rs`). Times come in as numbers, so that a test has its own.

use std::collections::{HashMap, HashSet};

use defib_core::job::{Choice, Job, JobState, NewJob};
use serde_json::Value;

mod schema;
mod sqlite;
mod writer;

pub use sqlite::SqliteQueue;

/// The queue cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// It holds as many jobs as it may.
    #[error("the queue is full ({queued} jobs wait); try again in {retry_after_s} s")]
    Full {
        /// Jobs that wait.
        queued: u64,
        /// Seconds after which it may be worth another try.
        retry_after_s: u64,
    },
    /// The idempotency key was used for another job.
    #[error("the idempotency key {0:?} was used for a job with other inputs; use another key for another job")]
    KeyUsed(String),
    /// No such job.
    #[error("there is no job {0}")]
    NoSuchJob(String),
    /// The attempt is not the one that has the job now: whoever says this was given up.
    #[error("attempt {attempt} of job {job} is over: what it says now is not heard")]
    Stale {
        /// The job.
        job: String,
        /// The attempt that spoke.
        attempt: u32,
    },
    /// The database.
    #[error("the queue's database failed: {0}; it is queue.sqlite in the state folder")]
    Database(String),
    /// Something in it cannot be read.
    #[error("the queue's database holds something that cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// A later version made it.
    #[error(
        "the queue has format {found}, and this defib reads up to {known}; use the newer defib, or another state folder"
    )]
    Newer {
        /// Its format.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// Its thread is gone.
    #[error("the queue is closed")]
    Closed,
}

impl From<rusqlite::Error> for QueueError {
    fn from(error: rusqlite::Error) -> Self {
        // As text: the error says nothing of which database is behind the queue.
        Self::Database(error.to_string())
    }
}

/// A job that was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// It is on disk now.
    New,
    /// It was there already, by its idempotency key: the id of that job.
    Known(String),
}

/// A job that was claimed.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The job.
    pub job: NewJob,
    /// Number of the attempt: say it with everything that is said of the job.
    pub attempt: u32,
    /// Backend and profile of this attempt.
    pub choice: Choice,
}

/// Who claims, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimant<'a> {
    /// Jobs for this backend.
    pub backend: &'a str,
    /// This job only.
    pub only: Option<&'a str>,
    /// Who claims.
    pub owner: &'a str,
    /// How long the claim holds without a heartbeat, milliseconds.
    pub lease_ms: i64,
}

/// What comes after a failed attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// The job fails, for this reason, which goes into its history.
    Final(Value),
    /// Another attempt, not before that time.
    Retry {
        /// Milliseconds since the epoch.
        not_before_ms: i64,
        /// Where it goes.
        choice: Choice,
        /// What was decided and why, for the history of the job.
        decision: Value,
    },
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Id of the cause.
    pub cause: String,
    /// `{"cause", "explanation", "report"}`, kept if the job fails with it.
    pub error: Value,
}

/// What a heartbeat learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Somebody wants the job to end.
    pub cancel_wanted: bool,
}

/// What became of a wish to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelling {
    /// It waited, and is cancelled.
    Done,
    /// A worker has it, and will hear of the wish.
    Wanted,
    /// It was over already.
    Over(JobState),
}

/// What [`Queue::expire`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expired {
    /// Jobs whose worker is gone and that are queued again, with the lost attempt.
    pub requeued: Vec<(String, u32)>,
    /// Jobs that failed: no attempt was left, or their deadline passed.
    pub failed: Vec<String>,
}

/// Who is known to be at work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spared {
    /// Owners that live.
    pub owners: HashSet<String>,
    /// Attempts of the caller himself.
    pub attempts: HashSet<(String, u32)>,
}

impl Spared {
    /// This attempt is at work.
    #[must_use]
    pub fn holds(&self, job: &str, attempt: u32, owner: &str) -> bool {
        self.owners.contains(owner) || self.attempts.contains(&(job.to_owned(), attempt))
    }
}

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEvent {
    /// Its number in the history of its job, from 1.
    pub id: i64,
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
    /// `accepted`, `claimed`, `succeeded`, `failed`, `retry`, `released`, `lost`, `deadline`, `cancel-wanted`, `cancelled`.
    pub kind: String,
    /// What else is to be said.
    pub data: Value,
}

/// Hears how something ended.
pub type Then = Box<dyn FnOnce(Result<(), QueueError>) + Send>;

/// Jobs by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Waiting.
    pub queued: u64,
    /// At work.
    pub running: u64,
    /// Over.
    pub over: u64,
}

/// A queue of jobs. Every call that changes something returns once that is on disk.
pub trait Queue: Send + Sync {
    /// Accepts a job.
    ///
    /// # Errors
    /// [`QueueError::Full`], [`QueueError::KeyUsed`], or the database's.
    fn submit(&self, job: &NewJob, now_ms: i64) -> Result<Submitted, QueueError>;

    /// Takes the job that is due first, highest priority first. The lease runs out at
    /// `now_ms + lease_ms` unless a heartbeat renews it. A power cut may lose the claim,
    /// never the job.
    ///
    /// # Errors
    /// The database's.
    fn claim(&self, claimant: &Claimant<'_>, now_ms: i64) -> Result<Option<Claimed>, QueueError>;

    /// Renews the lease.
    ///
    /// # Errors
    /// [`QueueError::Stale`] where the attempt was given up: stop working.
    fn heartbeat(&self, job: &str, attempt: u32, lease_ms: i64, now_ms: i64) -> Result<Beat, QueueError>;

    /// Notes progress. Not on disk at once: a crash may lose the last of it.
    ///
    /// # Errors
    /// [`QueueError::Stale`], or the database's.
    fn progress(&self, job: &str, attempt: u32, done: f64, total: Option<f64>) -> Result<(), QueueError>;

    /// The attempt, and with it the job, succeeded.
    ///
    /// # Errors
    /// [`QueueError::Stale`], or the database's.
    fn succeed(&self, job: &str, attempt: u32, result: &Value, now_ms: i64) -> Result<(), QueueError>;

    /// The same, without a wait: `then` hears of it once it is on disk. It is called from
    /// another thread and must be short.
    fn succeed_then(&self, job: &str, attempt: u32, result: &Value, now_ms: i64, then: Then) {
        then(self.succeed(job, attempt, result, now_ms));
    }

    /// The attempt failed. A retry beyond the job's last attempt or deadline is final.
    /// Returns the state of the job then.
    ///
    /// # Errors
    /// [`QueueError::Stale`], or the database's.
    fn fail(
        &self,
        job: &str,
        attempt: u32,
        failure: &Failure,
        next: &Next,
        now_ms: i64,
    ) -> Result<JobState, QueueError>;

    /// Gives the job back unharmed, as a server does that stops: the attempt does not count.
    /// One that was to be cancelled is. Returns the state of the job then.
    ///
    /// # Errors
    /// [`QueueError::Stale`], or the database's.
    fn release(&self, job: &str, attempt: u32, now_ms: i64) -> Result<JobState, QueueError>;

    /// Somebody wants the job to end.
    ///
    /// # Errors
    /// [`QueueError::NoSuchJob`], or the database's.
    fn cancel(&self, job: &str, now_ms: i64) -> Result<Cancelling, QueueError>;

    /// The worker has ended the work on a job that was to be cancelled.
    ///
    /// # Errors
    /// [`QueueError::Stale`], or the database's.
    fn cancelled(&self, job: &str, attempt: u32, now_ms: i64) -> Result<(), QueueError>;

    /// Queues again what lost workers had, and fails what is beyond its last attempt or
    /// waits beyond its deadline; `waits` says for each backend why (`{"cause", "explanation"}`).
    /// What is `spared` is known to be at work, whatever its lease says: clocks jump, and a
    /// machine may sleep.
    ///
    /// # Errors
    /// The database's.
    fn expire(&self, waits: &HashMap<String, Value>, spared: &Spared, now_ms: i64) -> Result<Expired, QueueError>;

    /// Those that have jobs at work now.
    ///
    /// # Errors
    /// The database's.
    fn owners(&self) -> Result<Vec<String>, QueueError>;

    /// Queues again what this owner had, who is known to be gone, without waiting for the
    /// lease.
    ///
    /// # Errors
    /// The database's.
    fn expire_owner(&self, owner: &str, now_ms: i64) -> Result<Expired, QueueError>;

    /// Sends a waiting job elsewhere: its backend is no longer there.
    ///
    /// # Errors
    /// [`QueueError::NoSuchJob`] where it does not wait, or the database's.
    fn redirect(&self, job: &str, choice: &Choice, now_ms: i64) -> Result<(), QueueError>;

    /// Fails a waiting job that nobody can do.
    ///
    /// # Errors
    /// [`QueueError::NoSuchJob`] where it does not wait, or the database's.
    fn reject(&self, job: &str, error: &Value, now_ms: i64) -> Result<(), QueueError>;

    /// Waiting jobs whose backend is none of these: id, route and backend.
    ///
    /// # Errors
    /// The database's.
    fn strays(&self, known: &[String]) -> Result<Vec<(String, String, String)>, QueueError>;

    /// Forgets jobs that were over before this time, at most so many; how many it were.
    ///
    /// # Errors
    /// The database's.
    fn forget(&self, before_ms: i64, most: usize) -> Result<u64, QueueError>;

    /// SHA-256 of every file among the inputs of jobs that are not over, or failed.
    ///
    /// # Errors
    /// The database's.
    fn inputs_in_use(&self) -> Result<HashSet<String>, QueueError>;

    /// One job.
    ///
    /// # Errors
    /// [`QueueError::NoSuchJob`], or the database's.
    fn get(&self, job: &str) -> Result<Job, QueueError>;

    /// Jobs, newest first, of one state or all; without their inputs.
    ///
    /// # Errors
    /// The database's.
    fn list(&self, state: Option<JobState>, most: usize) -> Result<Vec<Job>, QueueError>;

    /// What happened to a job after the event of this number; 0 for everything.
    ///
    /// # Errors
    /// The database's.
    fn events(&self, job: &str, after: i64) -> Result<Vec<JobEvent>, QueueError>;

    /// How many there are.
    ///
    /// # Errors
    /// The database's.
    fn counts(&self) -> Result<Counts, QueueError>;
}
