//! Waiting for a lock file whose owner is dead.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::facts::{LockFile, Look};
use crate::pattern::pattern;
use crate::telling::{cut, node_fact, node_place, process_name, seconds, told};
use crate::report::Place;
use crate::waits::{Node, Purpose, enclosing_loop};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "stale-lock",
    title: "Waits for a lock file that nobody holds",
    what: "It waits for a lock file whose owner is dead.",
    settled_by: "The lock's path in an open or stat loop, no live holder, and older than every process of the run.",
    taken_for: "network",
    by_hand: &["ls -l the lock; cat it: does that pid live? fuser -v"],
    remedies: &["remove it after making sure that no copy runs"],
    remedy: Remedy::Elsewhere,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:filelock\._error\.)?Timeout: The file lock '(?P<filelock>[^']+)' could not be acquired|LockTimeout|AlreadyLocked|LockFailed|LockException",
        r"|(?i:could not get lock (?P<apt>\S+)|unable to (?:acquire|obtain|get) (?:the )?(?:\w+ )*lock|another (?:instance|process) is (?:already )?(?:running|using)|lock ?file (?:already )?exists|stale lock|waiting for (?:file )?lock|index\.lock': File exists|lock .* is held by (?:a )?dead)",
        r"|Still waiting to acquire lock on (?P<hf>\S+)|FileExistsError: \[Errno 17\] File exists: '(?P<exists>[^']*(?:lock|lck|pid)[^']*)'",
    ))
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    if study.was_standing() { by_file(study) } else { by_log(study) }
}

fn by_file(study: &Study<'_>) -> Option<Finding> {
    let graph = study.graph.as_ref()?;
    let node = graph.nodes.iter().find(|node| node.process.in_tree && matches!(node.purpose, Purpose::LockFile { .. }))?;
    let Purpose::LockFile { path } = &node.purpose else { return None };
    let file = graph.look.lock_files.iter().find(|file| &file.path == path)?;
    let text = node.frame.and_then(|frame| enclosing_loop(graph.look, frame));
    let dead = file.owner.is_some() && !file.owner_alive;
    let mut facts = vec![node_fact(node), file_fact(file)];
    facts.extend(text.map(|text| Fact::new("stack", format!("the loop around it: {text}")).of(node.process.pid)));
    let who = match file.owner {
        Some(owner) => format!("its owner, pid {owner}, is dead"),
        None => format!("it was there {} before, and no live process holds it", seconds(file.age_s - study.case.wall_s)),
    };
    let explanation = format!("{} waits for the lock file {} to go away, but {who}", process_name(node.process), file.path);
    let finding = if dead && file.named {
        Finding::proof(explanation, facts).rank(33)
    } else {
        let signs = vec![
            Sign::seen(Group::Waits, "polls beside a lock file older than the run"),
            Sign::when(dead, Group::Kernel, "the owner named in it is dead"),
            Sign::when(file.named, Group::Stack, "the source or a local names the file"),
        ];
        Finding::signs(signs, explanation, facts)
    };
    Some(
        finding
            .place(asking_line(graph.look, node).or_else(|| node_place(node)))
            .step_command("remove it, after making sure that no other copy runs", ["rm", "-r", &file.path])
            .step("let the operating system hold the lock (fcntl.flock): it ends with its owner"),
    )
}

/// The line of the loop that tries the lock, rather than its sleep.
fn asking_line(look: &Look, node: &Node<'_>) -> Option<Place> {
    let frame = node.frame?;
    let words = ["O_EXCL", "FileExistsError", ".acquire(", "exists(", "is_file(", "isfile(", "mkdir(", "symlink(", "\"x\"", "'x'"];
    let near = (frame.line.saturating_sub(10)..=frame.line + 4).filter_map(|line| Some((line, look.source_line(&frame.file, line)?)));
    let asks = near.filter(|(_, text)| words.iter().any(|word| text.contains(word)) && !text.trim_start().starts_with("except"));
    let (line, _) = asks.min_by_key(|(line, _)| line.abs_diff(frame.line))?;
    Some(Place { line, ..crate::place::of_frame(frame) })
}

fn file_fact(file: &LockFile) -> Fact {
    let owner = match (file.owner, file.owner_alive) {
        (Some(owner), false) => format!(", names pid {owner}, which is dead"),
        (Some(owner), true) => format!(", names pid {owner}, which lives"),
        (None, _) => ", names no owner".to_owned(),
    };
    let held = if file.held { "held by a live process" } else { "held by no process" };
    Fact::new("files", format!("{}: last written {} ago{owner}, {held}", file.path, seconds(file.age_s))).of(file.seen_by)
}

fn by_log(study: &Study<'_>) -> Option<Finding> {
    let (told, found) = told(study, &SENTENCE)?;
    let path = ["filelock", "apt", "hf", "exists"].iter().find_map(|name| found.name(name)).map(|path| path.as_str().to_owned());
    let explanation = format!("a lock was not free: {}", cut(&told.text(), 220));
    let finding = told.proof(explanation).rank(told.rank() + 1);
    Some(match path {
        Some(path) => finding.step_command("see who holds it", ["fuser", "-v", &path]).step(format!("if nobody does, its owner died: remove {path}")),
        None => finding.step("if no other copy runs, its owner died: remove the lock file"),
    })
}

