//! Jobs end to end: a real server, real workers in Python, real HTTP.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests; clippy allows these in test functions only")]

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod crash;
mod endings;
mod harness;
mod http;
mod recovery;
mod submit;
mod workers;
