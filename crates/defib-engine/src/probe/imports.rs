//! Each package in a fresh interpreter, timed, with a deadline.
//!
//! The statements are the program's own, compiled under the name and line of the file
//! they stand in: a traceback and a look into the process point at the user's line.
//! The user's own modules are not imported; that would run them.

use std::path::PathBuf;
use std::time::Instant;

use defib_core::stage::{Stage, Verdict};
use defib_core::telling::seconds;

use super::command::Target;
use super::importtime;
use super::place::paths;
use super::ran::Ran;
use super::resolve::{Found, Paths};
use super::source::{Need, Reading};
use super::walk::{Walk, stage_of};
use crate::session::SessionError;

/// The name of the group of everything that comes with the interpreter.
const STANDARD: &str = "stdlib";
/// Modules that do something by being imported.
const PRANKS: [&str; 2] = ["antigravity", "this"];

/// Imports of one package, tried together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    /// The package.
    pub(super) name: String,
    /// File, line and statement.
    pub(super) statements: Vec<(PathBuf, u32, String)>,
    /// How much it is needed.
    pub(super) need: Need,
}

impl Group {
    /// It comes with the interpreter.
    pub(super) fn is_standard(&self) -> bool {
        self.name == STANDARD
    }
}

/// Groups imports by package, in the order of their first appearance.
pub(super) fn group(sources: &[(PathBuf, Reading)], paths: &Paths) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (file, import) in
        sources.iter().flat_map(|(file, reading)| reading.imports.iter().map(move |import| (file, import)))
    {
        let found = paths.find(import, file);
        if matches!(found, Found::Own(_)) || PRANKS.contains(&import.package()) {
            continue;
        }
        let name = if found == Found::Standard { STANDARD } else { import.package() };
        let entry = (file.clone(), import.line, import.statement.clone());
        match groups.iter_mut().find(|group| group.name == name) {
            // What is needed is tried without what need not work.
            Some(group) if import.need < group.need => {
                group.need = import.need;
                group.statements = vec![entry];
            }
            Some(group) if import.need == group.need && !group.statements.contains(&entry) => {
                group.statements.push(entry)
            }
            Some(_) => {}
            None => groups.push(Group { name: name.to_owned(), statements: vec![entry], need: import.need }),
        }
    }
    groups
}

/// Tries them all, and blames the first that is needed and fails.
pub(super) fn try_imports(walk: &mut Walk<'_>) -> Result<Stage, SessionError> {
    if !walk.is_python() {
        return Ok(walk.not_python());
    }
    if walk.groups.is_empty() {
        return Ok(Stage::new("", Verdict::Passed, "there is nothing to import"));
    }
    let begun = Instant::now();
    let mut trial = Trial::default();
    for group in walk.groups.clone() {
        if begun.elapsed() >= walk.plan.imports_within {
            trial.untried.push(group.name);
            continue;
        }
        walk.checks("imports", &group.name);
        trial.one(walk, &group)?;
        if trial.cancelled {
            break;
        }
    }
    Ok(trial.stage())
}

/// What came of the imports so far.
#[derive(Default)]
struct Trial {
    parts: Vec<Stage>,
    failed: Vec<String>,
    untried: Vec<String>,
    /// What the first failure says.
    first: Option<Stage>,
    cancelled: bool,
}

impl Trial {
    fn one(&mut self, walk: &mut Walk<'_>, group: &Group) -> Result<(), SessionError> {
        let code = code(walk, group);
        let command = walk.helper(&["-X", "importtime"], &code, &[]);
        let left = walk.plan.deadline;
        let ran = walk.run(command, left)?;
        self.cancelled |= ran.cancelled().is_some();
        let mut part = if ran.passed() {
            passed(&ran, group)
        } else if group.need == Need::Optional {
            let says = ran.last_line().unwrap_or_else(|| "it failed".to_owned());
            stage_of(&ran, Verdict::Warned, format!("not needed: {says}"))
        } else if self.first.is_none() {
            let stage = walk.blame(&ran);
            let says = ran.last_line().filter(|_| ran.exit_code().is_some()).unwrap_or_else(|| stage.says.clone());
            self.first = Some(stage);
            stage_of(&ran, Verdict::Failed, says)
        } else {
            stage_of(&ran, Verdict::Failed, ran.last_line().unwrap_or_else(|| "it failed".to_owned()))
        };
        part.name.clone_from(&group.name);
        if part.verdict == Verdict::Failed {
            self.failed.push(group.name.clone());
        }
        self.parts.push(part);
        walk.forget(ran);
        Ok(())
    }

    fn stage(mut self) -> Stage {
        self.parts.sort_by(|one, other| other.took_s.total_cmp(&one.took_s));
        let memory_bytes = self.parts.iter().filter_map(|part| part.memory_bytes).max();
        let warned = self.parts.iter().any(|part| part.verdict == Verdict::Warned) || !self.untried.is_empty();
        let (verdict, mut says) = match (&self.first, warned) {
            (Some(first), _) => (Verdict::Failed, first.says.clone()),
            (None, true) => (Verdict::Warned, self.count()),
            (None, false) => (Verdict::Passed, self.count()),
        };
        if self.failed.len() > 1 {
            says.push_str(&format!("; nor can be imported: {}", self.failed[1..].join(", ")));
        }
        if !self.untried.is_empty() {
            says.push_str(&format!("; no time was left for {}", self.untried.join(", ")));
        }
        let ran = self.first.and_then(|first| first.ran);
        Stage { parts: self.parts, memory_bytes, ran, ..Stage::new("", verdict, says) }
    }

    fn count(&self) -> String {
        let packages =
            self.parts.iter().filter(|part| part.name != STANDARD && part.verdict == Verdict::Passed).count();
        match (packages, self.parts.first()) {
            (0, _) => "nothing but the standard library".to_owned(),
            (1, Some(slowest)) => format!("1 package, {}", seconds(slowest.took_s)),
            (count, Some(slowest)) => {
                format!("{count} packages; slowest {}, {}", slowest.name, seconds(slowest.took_s))
            }
            (count, None) => format!("{count} packages"),
        }
    }
}

/// A part that passed, with the time that importing took without the interpreter's own start.
fn passed(ran: &Ran, group: &Group) -> Stage {
    let mut part = stage_of(ran, Verdict::Passed, "");
    if let Some((took_s, slowest)) = importtime::of_package(&ran.import_times(), &group.name) {
        part.took_s = took_s;
        if took_s >= 0.5 && slowest != group.name {
            part.says = format!("most of it in {slowest}");
        }
    }
    part
}

/// Imports the group's statements at their own lines.
fn code(walk: &Walk<'_>, group: &Group) -> String {
    let mut code = String::from("import sys\n");
    // As the interpreter sets it for the program; `-c` would leave it empty.
    let first = paths(walk).and_then(|paths| paths.folders.first().cloned());
    let by_script = matches!(walk.parts.target, Target::Script(_) | Target::Module(_)) && !walk.parts.safe_path();
    if let Some(folder) = first.filter(|_| by_script) {
        code.push_str(&format!("sys.path[0] = {}\n", quoted(&folder.to_string_lossy())));
    }
    let mut files: Vec<&PathBuf> = group.statements.iter().map(|(file, ..)| file).collect();
    files.dedup();
    for file in files {
        let own = group.statements.iter().filter(|(of, ..)| of == file);
        code.push_str(&format!("exec(compile({}, {}, 'exec'))\n", at_lines(own), quoted(&file.to_string_lossy())));
    }
    code
}

/// An expression for a text with each statement at its line: `'\n'*3 + 'import a' + …`.
fn at_lines<'s>(statements: impl Iterator<Item = &'s (PathBuf, u32, String)>) -> String {
    let mut statements: Vec<(u32, &str)> = statements.map(|(_, line, text)| (*line, text.as_str())).collect();
    statements.sort_by_key(|(line, _)| *line);
    let (mut at, mut parts) = (1, Vec::new());
    let mut previous: Option<u32> = None;
    for (line, text) in statements {
        let text = if previous == Some(line) { format!("; {text}") } else { text.to_owned() };
        if line > at {
            parts.push(format!("'\\n'*{}", line - at));
            at = line;
        }
        parts.push(quoted(&text));
        previous = Some(line);
    }
    parts.join(" + ")
}

/// A text as Python writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("'");
    for part in text.chars() {
        match part {
            '\'' | '\\' => quoted.extend(['\\', part]),
            part if part.is_control() => quoted.push_str(&format!("\\x{:02x}", part as u32)),
            part => quoted.push(part),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(line: u32, text: &str) -> (PathBuf, u32, String) {
        (PathBuf::from("/a.py"), line, text.to_owned())
    }

    #[test]
    fn statements_stand_at_their_lines() {
        let own = [statement(3, "import a"), statement(3, "import a.b"), statement(9, "from a import c")];
        let text = at_lines(own.iter());
        assert_eq!(text, "'\\n'*2 + 'import a' + '; import a.b' + '\\n'*6 + 'from a import c'");
        assert_eq!(quoted("it's\n\\"), "'it\\'s\\x0a\\\\'");
    }

    #[test]
    fn what_is_needed_is_tried_without_what_need_not_work() {
        let text = "try:\n    from torch import compile\nexcept ImportError: pass\nimport torch\nimport sys, os\n";
        let paths = Paths { builtin: vec!["sys".into()], standard: vec!["os".into()], folders: Vec::new() };
        let groups = group(&[(PathBuf::from("/a.py"), super::super::source::read(text, true))], &paths);
        assert_eq!(groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["torch", STANDARD]);
        assert_eq!(groups[0].statements, [statement(4, "import torch")]);
        assert_eq!(groups[0].need, Need::Required);
        assert_eq!(groups[1].statements.len(), 2);
    }
}
