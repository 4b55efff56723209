//! How the service and its backends stand, for those who ask.

use schemars::JsonSchema;
use serde::Serialize;

/// How a backend stands.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BackendView {
    /// Name.
    pub name: String,
    /// `worker` or `command`.
    pub kind: String,
    /// Its profiles.
    pub profiles: Vec<String>,
    /// Its seats.
    pub seats: Vec<SeatView>,
    /// At least one seat takes a job at once, or is at work.
    pub healthy: bool,
}

/// How a seat stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct SeatView {
    /// Its process is up.
    pub ready: bool,
    /// Job it is at.
    pub job: Option<String>,
    /// Run of its process: `defib show RUN`.
    pub run: Option<String>,
    /// Process id.
    pub pid: Option<i32>,
    /// Jobs that its process has done.
    pub jobs: u64,
    /// Why its process is not up: cause and explanation.
    pub trouble: Option<(String, String)>,
}

/// How the service stands.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Health {
    /// `ok`; `degraded` where a backend has no worker that is up; `stopping`.
    pub status: String,
    /// Backends.
    pub backends: Vec<BackendView>,
    /// Jobs that wait.
    pub queued: u64,
    /// Jobs at work.
    pub running: u64,
}
