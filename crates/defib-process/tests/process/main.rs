//! Real processes, real signals. This binary is three things: the test runner, the
//! supervisor of one run (`supervise FOLDER SPEC`), and, executed again by that, its
//! shim. So each test has a supervisor of its own that it may kill.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "tests end by panic; nothing here is published"
)]

mod endings;
mod harness;
mod output;
mod starting;
mod terminal;

use libtest_mimic::{Arguments, Trial};

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("__shim") => return defib_process::shim_main(),
        Some("supervise") => return harness::supervise(&arguments[2]),
        Some("raw") => return terminal::raw(),
        _ => {}
    }
    let mut trials = Vec::new();
    for (module, tests) in [
        ("starting", starting::TESTS),
        ("endings", endings::TESTS),
        ("output", output::TESTS),
        ("terminal", terminal::TESTS),
    ] {
        for &(name, test) in tests {
            trials.push(Trial::test(format!("{module}::{name}"), move || {
                test();
                Ok(())
            }));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
