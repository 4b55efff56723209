//! The interpreter or executable does not exist or cannot be executed.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::{End, Study};
use crate::cause::{Cause, Fact, Finding};
use crate::log::TraceFrame;
use crate::pattern::pattern;
use crate::telling::{Told, base_name, exceptions, quoted, told_by_line, trace_place};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "program-missing",
    title: "The program does not exist or cannot be executed",
    what: "The interpreter or executable does not exist or cannot be executed.",
    settled_by: "The exec error (ENOENT, EACCES, ENOEXEC) or exit status 127 or 126 within a second.",
    taken_for: "a hang at start",
    by_hand: &["type -a PROGRAM; ls -l its path; head -1 of a script (its interpreter)"],
    remedies: &["install it, correct the path, chmod +x"],
    remedy: Remedy::Never,
    judge,
};

const ENOENT: i32 = 2;

static SHELL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)(?:^|[:\s])(?P<name>[\w./+-]+): (?:command not found|not found|Permission denied|cannot execute(?: binary file)?\b.*|bad interpreter.*|No such file or directory)$",
        r"|^(?:/usr/bin/)?env: [‘'\x22]?(?P<env>[^’'\x22:]+)[’'\x22]?: (?:No such file or directory|Permission denied)",
        r"|^'(?P<win>[^']+)' is not recognized as an internal or external command",
        r"|(?P<rust>[\w./+-]+): (?:executable file not found in \$PATH)",
    ))
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    match &study.case.end {
        End::NotStarted { errno, step, path } if step != "change directory" => {
            Some(not_started(study, *errno, path))
        }
        _ => by_exception(study).or_else(|| by_shell(study)),
    }
}

fn not_started(study: &Study<'_>, errno: i32, path: &str) -> Finding {
    let program = study.case.command.first().map_or(path, String::as_str);
    let (explanation, fact) = match errno {
        ENOENT if path != program && base_name(path) != base_name(program) => (
            format!("{program} could not be started: its interpreter {path} does not exist"),
            format!("exec of {program} failed: its interpreter {path} was not found (ENOENT)"),
        ),
        ENOENT if program.contains('/') => (
            format!("{program} could not be started: there is no such file"),
            format!("exec of {path} failed: no such file (ENOENT)"),
        ),
        ENOENT => (
            format!("{program} could not be started: no folder of PATH has a program of this name"),
            format!("{program} was looked for in every folder of PATH and not found (ENOENT)"),
        ),
        13 => (
            format!("{program} could not be started: it may not be executed"),
            format!("exec of {path} failed: permission denied (EACCES)"),
        ),
        8 => (
            format!("{program} could not be started: it is no executable for this machine"),
            format!("exec of {path} failed: exec format error (ENOEXEC)"),
        ),
        other => (
            format!("{program} could not be started (error {other})"),
            format!("exec of {path} failed with errno {other}"),
        ),
    };
    let finding = Finding::proof(explanation, vec![Fact::new("exit", fact).at(0.0)]).rank(5);
    advise(finding, errno, program)
}

fn advise(finding: Finding, errno: i32, program: &str) -> Finding {
    let name = base_name(program).to_owned();
    match errno {
        13 => finding
            .step_command("make it executable", ["chmod", "+x", program])
            .step("or name its interpreter, for example python3 before a .py file"),
        8 => finding
            .step_command("see what it is", ["file", program])
            .step("a script needs a first line like #!/usr/bin/env python3"),
        _ if name == "python" => finding
            .step_command("many systems name it python3", ["python3", "--version"])
            .step("or activate the virtual environment first"),
        _ => finding
            .step_command("see whether it is installed, and where", ["sh", "-c", &format!("command -v {name}")])
            .step("check the spelling, or install it, or give its full path"),
    }
}

/// `subprocess` raises the exec error of a child in the parent.
fn by_exception(study: &Study<'_>) -> Option<Finding> {
    if study.was_standing() {
        return None;
    }
    let exception = exceptions(study).into_iter().find(|exception| {
        let started = exception.frames.iter().any(is_spawn);
        started && matches!(exception.name(), "FileNotFoundError" | "PermissionError" | "OSError")
    })?;
    let path = exception.message.rsplit('\'').nth(1)?;
    let own = crate::place::innermost_user_trace(&exception.frames);
    if names_folder(own.and_then(|frame| frame.source.as_deref()), path) {
        return None;
    }
    let errno = if exception.name() == "FileNotFoundError" { ENOENT } else { 13 };
    let explanation = format!("the program tried to start {path}, which {}", reason(errno));
    let finding =
        Finding::proof(explanation, vec![quoted(&exception.headline())]).place(trace_place(&exception.frames)).rank(8);
    Some(advise(finding, errno, path))
}

fn reason(errno: i32) -> &'static str {
    if errno == ENOENT { "does not exist here" } else { "may not be executed" }
}

fn is_spawn(frame: &TraceFrame) -> bool {
    (frame.file.ends_with("subprocess.py") && frame.function == "_execute_child")
        || (frame.file.ends_with("os.py") && frame.function.contains("exec"))
        || frame.function.contains("create_subprocess_exec")
}

/// A missing working directory gives the same error with its path.
pub(super) fn names_folder(source: Option<&str>, path: &str) -> bool {
    let after_cwd = |source: &str| source.split_once("cwd").is_some_and(|(before, after)| after.contains(path) || !before.contains(path));
    path.ends_with('/') || source.is_some_and(after_cwd)
}

fn by_shell(study: &Study<'_>) -> Option<Finding> {
    let code = match study.case.end {
        End::Exited(code @ (126 | 127)) => Some(code),
        End::Exited(_) | End::Unknown => None,
        _ => return None,
    };
    let (told, found) = told_by_line(study, &SHELL)?;
    let text = told.text();
    let sure = code.is_some() || text.contains("command not found") || text.contains("not recognized");
    if !sure || matches!(told, Told::Exception(_)) {
        return None;
    }
    let name = ["name", "env", "win", "rust"].iter().find_map(|group| found.name(group))?.as_str().to_owned();
    let errno = if code == Some(126) || text.contains("ermission denied") { 13 } else { ENOENT };
    let mut finding = told.proof(format!("a shell tried to start {name}, which {}", reason(errno)));
    if let Some(code) = code {
        finding.facts.push(Fact::new("exit", format!("exit status {code}, a shell's way of saying so")));
    }
    Some(advise(finding, errno, &name))
}
