//! The script path or working directory is wrong.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::{End, Study};
use crate::cause::{Cause, Fact, Finding};
use crate::pattern::pattern;
use crate::telling::{base_name, exceptions, quoted, told_by_line, trace_place};
use crate::recovery::Remedy;

use super::program_missing::names_folder;

pub(super) static CAUSE: Cause = Cause {
    id: "script-missing",
    title: "The script or working directory is not there",
    what: "The script path or the working directory is wrong.",
    settled_by: "Exit status 2 within a second, \"can't open file\", and the working directory the child really had.",
    taken_for: "a crash in import",
    by_hand: &["ls the path from the working directory that the program really had"],
    remedies: &["correct the path, or the working directory"],
    remedy: Remedy::Never,
    judge,
};

static SCRIPT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"can't open file '(?P<python>[^']+)': \[Errno (?P<errno>\d+)\]"#,
        r"|^Error: Cannot find module '(?P<node>/[^']+)'",
        r"|^(?:/bin/|/usr/bin/)?(?:ba|da|z|k)?sh: (?:\d+: )?(?:cannot open |can't open )?(?P<sh>[^:\s]+\.(?:sh|bash|py|pl|rb))(?:: .*No such file.*|: not found)?$",
        r"|^(?:/bin/|/usr/bin/)?(?:ba|da|z|k)?sh: (?:line )?\d+: cd: (?P<cd>[^:]+): No such file or directory",
        r#"|^Can't open perl script "(?P<perl>[^"]+)""#,
        r"|can't find '__main__' module in '(?P<main>[^']+)'",
        r"|^(?:ruby: )?No such file or directory -- (?P<ruby>\S+)",
    ))
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    if let End::NotStarted { step, path, .. } = &study.case.end {
        return (step == "change directory").then(|| {
            Finding::proof(
                format!("the working directory {path} is not there or may not be entered"),
                vec![Fact::new("exit", format!("changing to {path} failed before the program was started"))],
            )
            .rank(5)
            .step_command("see what is there", ["ls", "-ld", path])
        });
    }
    by_line(study).or_else(|| by_exception(study))
}

fn by_line(study: &Study<'_>) -> Option<Finding> {
    let (told, found) = told_by_line(study, &SCRIPT)?;
    let groups = ["python", "node", "sh", "cd", "perl", "main", "ruby"];
    let path = groups.iter().find_map(|group| found.name(group))?.as_str();
    let (cwd, name) = (&study.case.cwd, base_name(path));
    let denied = found.name("errno").is_some_and(|errno| errno.as_str() == "13");
    let explanation = if denied {
        format!("the script {path} is there but may not be read")
    } else if found.name("main").is_some() {
        format!("{path} is a folder without __main__.py, so there is nothing to run in it")
    } else if cwd.is_empty() {
        format!("there is no script {path}")
    } else {
        format!("there is no {path}; the program was started in {cwd}")
    };
    let mut finding = told.proof(explanation).rank(7);
    if !cwd.is_empty() {
        finding.facts.push(Fact::new("exit", format!("the working directory was {cwd}")));
    }
    let folder = if cwd.is_empty() { "." } else { cwd };
    Some(
        finding
            .step_command("look for it", ["find", folder, "-maxdepth", "4", "-name", name])
            .step("give its full path, or start from the folder it is in"),
    )
}

/// `subprocess.run(…, cwd=…)` with a folder that does not exist.
fn by_exception(study: &Study<'_>) -> Option<Finding> {
    if study.was_standing() {
        return None;
    }
    let exception = exceptions(study).into_iter().find(|exception| {
        let spawn = exception.frames.iter().any(|frame| frame.function == "_execute_child");
        let chdir = exception.frames.last().and_then(|frame| frame.source.as_deref());
        let chdir = chdir.is_some_and(|source| source.contains("chdir("));
        matches!(exception.name(), "FileNotFoundError" | "NotADirectoryError") && (spawn || chdir)
    })?;
    let path = exception.message.rsplit('\'').nth(1)?;
    let spawn = exception.frames.iter().any(|frame| frame.function == "_execute_child");
    let source = exception.frames.iter().rev().find(|frame| crate::place::is_user_file(&frame.file));
    let folder = exception.name() == "NotADirectoryError"
        || !spawn
        || names_folder(source.and_then(|frame| frame.source.as_deref()), path);
    folder.then(|| {
        Finding::proof(format!("the working directory {path} does not exist"), vec![quoted(&exception.headline())])
            .place(trace_place(&exception.frames))
            .rank(8)
            .step_command("see what is there", ["ls", "-ld", path])
    })
}
