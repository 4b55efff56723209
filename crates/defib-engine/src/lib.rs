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
//! - [`archive`]: finished runs, read back.

pub mod archive;
pub mod follow;
pub mod orphans;
pub mod probe;
pub mod session;
pub mod snapshot;
pub mod why;
