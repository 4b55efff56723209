//! Every program of `faults/` really runs (and fails) under defib, and must get
//! the outcome, cause and place that its `fault.toml` names.
//!
//! Six programs run at a time, which makes a small machine slow and uneven. A
//! program that gets something else than expected is run once more with nothing
//! beside it, and that counts; the line that says so is there to be read, since
//! a judgement that needs a quiet machine can be made better. How often the
//! first answer is right is measured by `bench/accuracy`, which repeats nothing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

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
    let alone = Arc::new(RwLock::new(()));
    let trials = programs.into_iter().map(|program| {
        let (runner, alone) = (runner.clone(), alone.clone());
        Trial::test(program.name.clone(), move || check(&runner, &program, &alone))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// Tries `program`, and once more alone if the first answer is wrong. Every
/// first try holds `alone` for reading, so that a second one has the machine.
#[expect(clippy::print_stdout, reason = "a test says what it did not try, and what it lets pass")]
fn check(runner: &Runner, program: &Program, alone: &RwLock<()>) -> Result<(), Failed> {
    if let Some(need) = runner.lacks(&program.fault) {
        println!("{}: not tried, since this machine lacks {need}", program.name);
        return Ok(());
    }
    let first = {
        let _beside_others = alone.read().unwrap_or_else(PoisonError::into_inner);
        attempt(runner, program)?
    };
    let Some(first) = first else { return Ok(()) };
    let second = {
        let _nothing_beside = alone.write().unwrap_or_else(PoisonError::into_inner);
        attempt(runner, program)?
    };
    match second {
        None => {
            println!("{}: right only when run again alone, at first {first}", program.name);
            Ok(())
        }
        Some(second) => Err(Failed::from(format!("{second}\nat first {first}"))),
    }
}

/// What is wrong with the report on one run of `program`, or nothing.
#[expect(clippy::print_stdout, reason = "a test says what it lets pass")]
fn attempt(runner: &Runner, program: &Program) -> Result<Option<String>, Failed> {
    let scratch = tempfile::tempdir()?;
    let ran = runner.run(program, scratch.path()).map_err(|error| Failed::from(error.to_string()))?;
    let marks = marks(program, &scratch.path().join("program"), &ran);
    if marks.wrong.is_empty() {
        return Ok(None);
    }
    if let Some(why) = program.fault.missed.as_ref().filter(|_| marks.outcome) {
        println!("{}: known to be missed ({why}): {}", program.name, marks.wrong.join("; "));
        return Ok(None);
    }
    let causes: Vec<String> = ran.report["causes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|cause| format!("{} {} {}", cause["id"], cause["probability"], cause["explanation"]))
        .collect();
    Ok(Some(format!("{}\noutcome {}\n{}", marks.wrong.join("\n"), ran.report["outcome"], causes.join("\n"))))
}
