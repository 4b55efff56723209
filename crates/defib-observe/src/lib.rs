//! Looks at a process tree from outside, without stopping or slowing it.
//!
//! - [`Sampler`] takes the cheap vital signs every second.
//! - [`look_within`] takes one thorough [`Look`](defib_core::facts::Look):
//!   waits, descriptors, other ends, Python stacks, in disposable children
//!   with a deadline ([`probe_main`] is their entry).
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
mod oom;
mod parse;
mod probe;
mod python;
mod sampler;
pub mod snapshot;
mod stdio;
mod sys;
mod tree;
mod wait;

pub use listeners::listeners;
pub use look::{Fault, LookRequest, look};
pub use oom::OomWatch;
pub use probe::{PROBE_ARGUMENT, look_within, probe_main};
pub use sampler::{GoneProcess, ProcessActivity, Sample, Sampler};
