//! `defib`: supervise any program and explain its end.
//!
//! One binary with three faces: the command line, the shim that holds a run's
//! processes (`__shim`), and the disposable probe that looks inside them
//! (`__probe`). The latter two are entered before anything else is set up.

use std::process::ExitCode;

mod cli;
mod client;
mod config;
mod exit;
mod present;
mod server_file;
mod web;

fn main() -> ExitCode {
    match std::env::args_os().nth(1).as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("__shim") => defib_process::shim_main(),
        Some(defib_observe::PROBE_ARGUMENT) => defib_observe::probe_main(),
        _ => cli::main(),
    }
}
