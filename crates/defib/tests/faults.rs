//! Every program of `faults/` really runs (and fails) under defib, and must get
//! the outcome, cause and place that its `fault.toml` names.

use std::path::{Path, PathBuf};

use defib_testkit::corpus::{Program, Runner, marks, programs};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let mut arguments = Arguments::from_args();
    // These tests wait more than they compute.
    arguments.test_threads.get_or_insert(6);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let runner = Runner::new(PathBuf::from(env!("CARGO_BIN_EXE_defib")), &target);
    let programs = programs(&root.join("faults")).expect("faults/");
    let trials = programs.into_iter().map(|program| {
        let runner = runner.clone();
        Trial::test(program.name.clone(), move || check(&runner, &program))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

#[expect(clippy::print_stdout, reason = "a test says what it did not try, and what it lets pass")]
fn check(runner: &Runner, program: &Program) -> Result<(), Failed> {
    if let Some(need) = runner.lacks(&program.fault) {
        println!("{}: not tried, since this machine lacks {need}", program.name);
        return Ok(());
    }
    let scratch = tempfile::tempdir()?;
    let ran = runner.run(program, scratch.path()).map_err(|error| Failed::from(error.to_string()))?;
    let marks = marks(program, &scratch.path().join("program"), &ran);
    if marks.wrong.is_empty() {
        return Ok(());
    }
    if let Some(why) = program.fault.missed.as_ref().filter(|_| marks.outcome) {
        println!("{}: known to be missed ({why}): {}", program.name, marks.wrong.join("; "));
        return Ok(());
    }
    let causes: Vec<String> = ran.report["causes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|cause| format!("{} {} {}", cause["id"], cause["probability"], cause["explanation"]))
        .collect();
    Err(Failed::from(format!("{}\noutcome {}\n{}", marks.wrong.join("\n"), ran.report["outcome"], causes.join("\n"))))
}
