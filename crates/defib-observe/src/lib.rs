//! Looks at a process tree from outside, without stopping or slowing it.
//!
//! - [`Sampler`] takes the cheap vital signs every second.
//! - [`look_within`] takes one thorough [`Look`](defib_core::facts::Look):
//!   waits, descriptors, other ends, Python stacks, in disposable children
//!   with a deadline ([`probe_main`] is their entry).
//! - [`survey_within`] tells what processes hold and which nobody answers for.
//! - [`remains`] tells what a run left besides processes.
//! - [`count_objects`] asks Python processes that were started for it.
//! - [`OomWatch`] gathers what only the kernel knows about an end.
//! - [`machine`] tells what this machine allows.
//! - [`snapshot`] reads the state of the whole machine, each part within a deadline.
//!
//! Nothing here attaches to a process, sends it a signal or pauses it. What
//! cannot be read is reported as such and never guessed.

mod calls;
mod coroutine;
mod excerpt;
mod files;
#[cfg(test)]
mod fuzz_tests;
mod heap;
mod listeners;
mod lockfile;
mod look;
pub mod machine;
mod netlink;
mod objects;
mod oom;
mod parse;
mod probe;
mod python;
mod remains;
mod sampler;
pub mod snapshot;
mod stdio;
mod survey;
mod sys;
mod tree;
mod wait;

pub use listeners::listeners;
pub use look::{Fault, LookRequest, look};
pub use objects::{OBJECTS_SOURCE, count_objects, countable};
pub use oom::OomWatch;
pub use probe::{PROBE_ARGUMENT, look_within, probe_main};
pub use remains::{RemainsRequest, remains};
pub use sampler::{GoneProcess, ProcessActivity, Sample, Sampler};
pub use survey::{Survey, SurveyRequest, survey_within};
