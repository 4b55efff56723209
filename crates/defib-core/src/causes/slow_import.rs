//! Imports are progressing, only slowly.

use crate::case::{End, Study};
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::facts::{Frame, Thread};
use crate::place::{is_user_file, of_frame};
use crate::telling::{frame_name, process_name, seconds};
use crate::waits::Grade;
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "slow-import",
    title: "Still importing",
    what: "Imports are progressing, only slowly: a cold disk, first compilation, a network file system, heavy packages.",
    settled_by: "_find_and_load frames that change between samples, with io or CPU moving.",
    taken_for: "a hang before the first print",
    by_hand: &["python -X importtime: which module takes long", "py-spy dump twice: different files being imported"],
    remedies: &["give the start more time; import late what is heavy"],
    remedy: Remedy::Later,
    judge,
};

fn judge(study: &Study<'_>) -> Option<Finding> {
    let standing = study.case.end == End::Alive || study.ended_by_defib();
    if !standing || study.grade() >= Grade::Probable {
        return None;
    }
    let graph = study.graph.as_ref()?;
    let node = graph.nodes.iter().find(|node| node.process.in_tree && node.is_main() && importing(node.thread))?;
    let frames = &node.thread.python.as_ref()?.frames;
    let of_look = |look: &crate::facts::Look| {
        let thread = look.process(node.process.pid).and_then(|process| process.main_thread().cloned());
        thread.filter(importing).map(|thread| thread.python.map(|stack| stack.frames).unwrap_or_default())
    };
    let stacks: Vec<Vec<Frame>> = study.case.looks.iter().filter_map(of_look).collect();
    let looks = study.case.looks.len();
    let changed = stacks.windows(2).filter(|pair| innermost(&pair[0]) != innermost(&pair[1])).count();
    let statement = import_statement(frames);
    let module = frames.iter().find(|frame| frame.function == "<module>").map(|frame| frame.file.clone());
    let name = process_name(node.process);
    let since = study.case.ending.as_ref().map_or(study.case.wall_s, |(at_s, _)| *at_s);
    let mut facts = vec![
        Fact::new("stack", format!("the main thread of {name} is importing in {} of {looks} looks", stacks.len())).of(node.process.pid),
        Fact::new("stack", format!("its innermost frame changed {changed} times: {}", frames.first().map(frame_name).unwrap_or_default())).of(node.process.pid),
    ];
    facts.extend(module.as_ref().map(|module| Fact::new("stack", format!("module being imported: {module}"))));
    let everywhere = stacks.len() == looks;
    let stack = match (everywhere, changed) {
        (true, 1..) => "importing in every look, and it goes on",
        (true, 0) => "importing in every look, at one place",
        (false, _) => "importing in some looks",
    };
    let at = statement.map(|frame| format!(", started by {}", frame_name(frame))).unwrap_or_default();
    let explanation = format!("{name} is still importing after {}{at}", seconds(since));
    let python = node.process.executable.clone().unwrap_or_else(|| "python3".to_owned());
    Some(
        Finding::signs(vec![Sign::seen(Group::Stack, stack)], explanation, facts)
            .place(statement.map(of_frame))
            .step_command("see which import takes how long", importtime(study, &python))
            .step("give the start more time, or import heavy packages inside the function that needs them"),
    )
}

fn importtime(study: &Study<'_>, python: &str) -> Vec<String> {
    let mut command = vec![python.to_owned(), "-X".to_owned(), "importtime".to_owned()];
    command.extend(study.case.command.iter().skip(1).cloned());
    command
}

/// Is this thread inside the import machinery?
pub(super) fn importing(thread: &Thread) -> bool {
    let frames = thread.python.as_ref().map_or(&[][..], |stack| &stack.frames);
    frames.iter().any(is_import_machinery)
}

fn is_import_machinery(frame: &Frame) -> bool {
    frame.function == "_find_and_load" || (frame.file.contains("importlib._bootstrap") && frame.function.starts_with("_find_and_load"))
}

/// What tells two moments of an import apart: the modules being run.
fn innermost(frames: &[Frame]) -> Vec<(&str, u32)> {
    frames.iter().filter(|frame| frame.function == "<module>").map(|frame| (frame.file.as_str(), frame.line)).collect()
}

/// The user's deepest line that imports something.
fn import_statement(frames: &[Frame]) -> Option<&Frame> {
    let pairs = frames.windows(2);
    let inner = pairs.filter(|pair| pair[0].file.contains("importlib") && is_user_file(&pair[1].file)).map(|pair| &pair[1]).next();
    inner.or_else(|| frames.iter().rev().find(|frame| is_user_file(&frame.file)))
}
