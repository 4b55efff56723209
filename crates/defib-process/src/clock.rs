//! The clock of a run: seconds since its start, the same in every process.
//!
//! Supervisor and shim share the start on the monotonic clock, so their entries
//! can be compared; a process that comes later (`defib stop`) only knows the
//! start as wall time and uses that.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Start of a run, from which every `at_s` is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Start, milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// Start on the monotonic clock, nanoseconds; `None` if only wall time is known.
    pub monotonic_ns: Option<u64>,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { started_ms: wall_ms(), monotonic_ns: Some(monotonic_ns()) }
    }

    /// The clock of a run that was started by another process.
    #[must_use]
    pub fn of_journal(started_ms: u64) -> Self {
        Self { started_ms, monotonic_ns: None }
    }

    /// Seconds since the start, to the microsecond.
    #[must_use]
    pub fn at_s(&self) -> f64 {
        match self.monotonic_ns {
            Some(start) => (monotonic_ns().saturating_sub(start) / 1000) as f64 / 1e6,
            None => wall_ms().saturating_sub(self.started_ms) as f64 / 1e3,
        }
    }
}

fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
