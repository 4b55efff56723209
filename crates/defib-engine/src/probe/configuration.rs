//! Does the program compose its configuration?
//!
//! Hydra shows the composed configuration without running the program (`--cfg job`).
//! A parser of arguments shows its help: with the given arguments before it, so that
//! those of a wrong type are refused. Unknown or missing ones only show in the start.

use defib_core::stage::{Stage, Verdict};

use super::command::Target;
use super::walk::{Walk, stage_of};
use crate::session::SessionError;

/// How a program's configuration can be asked for.
enum Way {
    Hydra,
    /// With its arguments before `--help`, or without.
    Help {
        with_arguments: bool,
    },
    None,
}

/// Lets the program compose its configuration.
pub(super) fn compose(walk: &mut Walk<'_>) -> Result<Stage, SessionError> {
    if !walk.is_python() {
        return Ok(walk.not_python());
    }
    let command = match (way(walk), &walk.parts.target) {
        (Way::None, _) | (_, Target::Code(_) | Target::Input) => {
            return Ok(Stage::new("", Verdict::Skipped, "no Hydra, argparse, click or typer in its sources"));
        }
        (Way::Hydra, _) => appended(walk, &["--cfg", "job"]),
        (Way::Help { with_arguments: true }, _) => appended(walk, &["--help"]),
        (Way::Help { with_arguments: false }, _) => {
            let given = walk.parts.arguments.len();
            let command = &walk.plan.command;
            let mut bare = command[..command.len().saturating_sub(given)].to_vec();
            bare.push("--help".to_owned());
            bare
        }
    };
    let hydra = command.ends_with(&["--cfg".to_owned(), "job".to_owned()]);
    let ran = walk.run(command, walk.plan.deadline)?;
    let stage = match (ran.passed(), ran.exit_code()) {
        (true, _) if hydra => stage_of(&ran, Verdict::Passed, "Hydra composes it"),
        (true, _) => stage_of(&ran, Verdict::Passed, "its parser answers --help; the values are tried in the start"),
        // It did not come back: perhaps it does not stop at its help. That proves nothing.
        (false, None) => stage_of(&ran, Verdict::Warned, "it did not answer in time"),
        (false, Some(_)) => return Ok(walk.blame(&ran)),
    };
    walk.forget(ran);
    Ok(stage)
}

fn appended(walk: &Walk<'_>, words: &[&str]) -> Vec<String> {
    let mut command = walk.plan.command.clone();
    command.extend(words.iter().map(|&word| word.to_owned()));
    command
}

fn way(walk: &Walk<'_>) -> Way {
    let any = |wanted: fn(&super::source::Reading) -> bool| walk.sources.iter().any(|(_, reading)| wanted(reading));
    let asks = |words: &[&str]| walk.parts.arguments.iter().any(|word| words.contains(&word.as_str()));
    // Where the user asks for the same, the start itself shows it.
    if any(|reading| reading.hydra) {
        return if asks(&["--help", "-h", "--cfg", "-c", "--multirun", "-m"]) { Way::None } else { Way::Hydra };
    }
    let asked = asks(&["--help", "-h", "--version", "--"]);
    // Only the program itself: a module of its own may build a parser for another purpose.
    let Some((_, main)) = walk.sources.first() else { return Way::None };
    let parser = main.argparse
        || main.click
        || any(|reading| reading.argparse) && main.imports.iter().any(|import| import.module.contains("arg"));
    match parser && !asked {
        true => Way::Help { with_arguments: !any(|reading| reading.passes_on) },
        false => Way::None,
    }
}
