//! The engine: everything between the command line and the crates that hold,
//! observe and store.
//!
//! - [`session`]: one supervised run, from start to report. `run` and later every
//!   worker go through it: supervise, observe, diagnose, recover exists once.
//! - [`why`]: the same explanation for a process that defib did not start, or for a log.
//! - [`probe`]: a start walked stage by stage, each check a session of its own.
//! - [`orphans`]: what earlier runs left behind, and what looks left over.
//! - [`follow`]: kept output, printed as it comes.
//! - [`snapshot`]: the state of the machine, taken and read back.
//! - [`jobs`]: units of work that end in exactly one result: queue, workers, recovery.
//! - [`archive`]: finished runs, read back.

pub mod archive;
pub mod follow;
pub mod jobs;
pub mod orphans;
pub mod probe;
pub mod session;
pub mod snapshot;
pub mod why;

/// 64 bits that nobody guesses.
pub(crate) fn entropy() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    // The standard library seeds its hashers from the system's entropy.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
