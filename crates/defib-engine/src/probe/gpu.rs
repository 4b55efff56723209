//! Is there a GPU, where the program's packages may use one?

use std::path::PathBuf;

use defib_core::stage::{Stage, Verdict};
use defib_core::telling::size;

use super::python::{self, TORCH};
use super::ran::Ran;
use super::walk::{Walk, stage_of};
use crate::session::SessionError;

/// Packages that compute on a GPU.
const USERS: [&str; 8] = ["torch", "tensorflow", "jax", "onnxruntime", "cupy", "paddle", "mxnet", "tensorrt"];

/// Asks for a GPU.
pub(super) fn ask(walk: &mut Walk<'_>) -> Result<Stage, SessionError> {
    let uses = |name: &&str| walk.groups.iter().any(|group| group.name == *name);
    let users: Vec<&str> = USERS.into_iter().filter(uses).collect();
    if users.is_empty() {
        let says = if walk.is_python() { "none is asked for" } else { "nothing is known of what it asks for" };
        let verdict = if walk.is_python() { Verdict::Passed } else { Verdict::Skipped };
        return Ok(Stage::new("", verdict, says));
    }
    if users.contains(&"torch") {
        return by_torch(walk);
    }
    let cards = cards(walk)?;
    let says = match &cards.1 {
        Some(cards) => cards.clone(),
        None => format!("no GPU here; {} will use the CPU, if it can", users.join(", ")),
    };
    let stage = stage_of(&cards.0, Verdict::Passed, says);
    walk.forget(cards.0);
    Ok(stage)
}

/// The cards as the driver's own tool lists them.
fn cards(walk: &mut Walk<'_>) -> Result<(Ran, Option<String>), SessionError> {
    let words =
        ["nvidia-smi", "--query-gpu=name,driver_version,memory.free,memory.total", "--format=csv,noheader,nounits"];
    let ran = walk.run(words.map(str::to_owned).to_vec(), walk.plan.deadline)?;
    let listed = listed(&ran.stdout()).filter(|_| ran.passed());
    Ok((ran, listed))
}

/// `NVIDIA H200, 139 GiB of 140 GiB free, driver 550.54`, of each card.
fn listed(text: &str) -> Option<String> {
    let one = |line: &str| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [name, driver, free, total] = fields.as_slice() else { return None };
        let mebibytes = |text: &str| text.parse::<u64>().ok().map(|number| size(number << 20));
        Some(format!("{name}, {} of {} free, driver {driver}", mebibytes(free)?, mebibytes(total)?))
    };
    let cards: Vec<String> = text.lines().filter_map(one).collect();
    (!cards.is_empty()).then(|| cards.join("; "))
}

fn by_torch(walk: &mut Walk<'_>) -> Result<Stage, SessionError> {
    let command = walk.helper(&[], TORCH, &[]);
    let ran = walk.run(command, walk.plan.deadline)?;
    let answer = python::answer(&ran.stdout());
    let available = answer.as_ref().and_then(|answer| answer["available"].as_bool()).unwrap_or(false);
    if let (true, Some(answer)) = (available, &answer) {
        let bytes = |index: usize| answer["free"][index].as_u64().map(size).unwrap_or_default();
        let says = format!(
            "torch sees {} GPU{}, {} of {} free, CUDA {}",
            answer["count"],
            if answer["count"] == 1 { "" } else { "s" },
            bytes(0),
            bytes(1),
            answer["cuda"].as_str().unwrap_or("?")
        );
        let stage = stage_of(&ran, Verdict::Passed, says);
        walk.forget(ran);
        return Ok(stage);
    }
    match asked(walk) {
        Some((file, line)) => {
            walk.forget(ran);
            refused(walk, &file, line)
        }
        None => {
            let stage = stage_of(&ran, Verdict::Warned, "torch sees no GPU; it will use the CPU, if it can");
            walk.forget(ran);
            Ok(stage)
        }
    }
}

/// Where the sources ask for a CUDA device without asking first whether there is one,
/// and the command does not choose the CPU.
fn asked(walk: &Walk<'_>) -> Option<(PathBuf, u32)> {
    let cpu = |word: &String| word.rsplit(['=', ' ']).next() == Some("cpu") || word.contains("no-cuda");
    if walk.sources.iter().any(|(_, reading)| reading.asks_for_gpu) || walk.parts.arguments.iter().any(cpu) {
        return None;
    }
    walk.sources.iter().find_map(|(file, reading)| Some((file.clone(), reading.cuda?)))
}

/// Asks torch for a CUDA device in the name of the line that does, for its own sentence.
fn refused(walk: &mut Walk<'_>, file: &std::path::Path, line: u32) -> Result<Stage, SessionError> {
    let file = file.to_string_lossy().replace('\\', "\\\\").replace('\'', "\\'");
    let code = format!(
        "exec(compile('\\n'*{} + 'import torch; torch.zeros(1, device=\"cuda\")', '{file}', 'exec'))",
        line - 1
    );
    let command = walk.helper(&[], &code, &[]);
    let ran = walk.run(command, walk.plan.deadline)?;
    if ran.passed() {
        let stage = stage_of(&ran, Verdict::Passed, "torch computes on the GPU");
        walk.forget(ran);
        return Ok(stage);
    }
    Ok(walk.blame(&ran))
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn cards_are_read() {
        let text = "NVIDIA H200, 550.54.15, 142000, 143771\n";
        assert_eq!(listed(text).as_deref(), Some("NVIDIA H200, 139 GiB of 140 GiB free, driver 550.54.15"));
        assert_eq!(listed("No devices were found\n"), None);
    }
}
