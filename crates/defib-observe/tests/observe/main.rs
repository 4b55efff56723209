//! Looks at real processes. Each test waits on a condition with a deadline and
//! ends what it started.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod descriptors;
mod memory;
mod objects;
mod probes;
mod python;
mod sampler;
mod support;
mod waits;
