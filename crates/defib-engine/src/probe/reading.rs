//! Static reading: which sources the start executes, and what they import.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};

use defib_core::stage::{Stage, Verdict};
use defib_core::telling::base_name;

use super::command::Target;
use super::imports::group;
use super::place::paths;
use super::python::COMPILE;
use super::resolve::{Found, Paths};
use super::source::{LONGEST, Reading, read};
use super::walk::{Walk, stage_of};
use crate::session::SessionError;

/// Most sources that are read.
const MOST: usize = 100;

/// Reads the program and its own modules, and lets its interpreter compile them.
pub(super) fn read_sources(walk: &mut Walk<'_>) -> Result<Stage, SessionError> {
    if !walk.is_python() {
        return Ok(walk.not_python());
    }
    let Some(paths) = paths(walk) else { return Ok(Stage::new("", Verdict::Skipped, "there is no source to read")) };
    let mut gathering = Gathering::default();
    match (&walk.parts.target, &walk.script) {
        (Target::Code(code), _) => gathering.enter(PathBuf::from("<string>"), read(code, true), &paths),
        (target, Some(script)) => {
            gathering.gather(script, &paths);
            if matches!(target, Target::Module(_)) {
                gathering.packages_above(script, &paths);
            }
        }
        _ => return Ok(Stage::new("", Verdict::Skipped, "there is no source to read")),
    }
    gathering.follow(&paths);
    walk.groups = group(&gathering.sources, &paths);
    walk.sources = gathering.sources;
    let files: Vec<String> = walk.sources.iter().map(|(file, _)| file.display().to_string()).collect();
    let files: Vec<String> = files.into_iter().filter(|file| !file.starts_with('<')).collect();
    let says = said(walk);
    let (verdict, says) = match gathering.hidden.as_slice() {
        [] => (Verdict::Passed, says),
        hidden => (Verdict::Warned, format!("{says}; {}", hidden.join(", "))),
    };
    if files.is_empty() {
        return Ok(Stage::new("", verdict, says));
    }
    let command = walk.helper(&[], COMPILE, &files);
    let ran = walk.run(command, walk.plan.deadline)?;
    if !ran.passed() {
        return Ok(walk.blame(&ran));
    }
    let stage = stage_of(&ran, verdict, says);
    walk.forget(ran);
    Ok(stage)
}

fn said(walk: &Walk<'_>) -> String {
    let count: usize = walk.sources.iter().map(|(_, reading)| reading.imports.len()).sum();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let name = walk.sources.first().map(|(file, _)| base_name(&file.to_string_lossy()).to_owned()).unwrap_or_default();
    let own = match walk.sources.len().saturating_sub(1) {
        0 => String::new(),
        own => format!(" and {own} module{} of its own", plural(own)),
    };
    format!("{count} import{} in {name}{own}", plural(count))
}

/// Sources as they are found.
#[derive(Default)]
struct Gathering {
    sources: Vec<(PathBuf, Reading)>,
    seen: HashSet<PathBuf>,
    queue: VecDeque<PathBuf>,
    /// Files of the user's that hide a module of the standard library.
    hidden: Vec<String>,
}

impl Gathering {
    /// Reads one file.
    fn gather(&mut self, file: &Path, paths: &Paths) {
        if self.sources.len() >= MOST || !self.seen.insert(file.to_owned()) {
            return;
        }
        let readable = file.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= LONGEST);
        let Some(bytes) = readable.then(|| std::fs::read(file).ok()).flatten() else { return };
        // An archive is no source.
        if bytes.starts_with(b"PK") {
            return;
        }
        let main = self.sources.is_empty();
        self.enter(file.to_owned(), read(&String::from_utf8_lossy(&bytes), main), paths);
    }

    fn enter(&mut self, file: PathBuf, reading: Reading, paths: &Paths) {
        for import in &reading.imports {
            if let Found::Own(files) = paths.find(import, &file) {
                if paths.hides(import) && self.hidden.len() < 3 {
                    let hides = format!("its own {0}.py hides the standard module {0}", import.package());
                    self.hidden.push(hides);
                }
                self.queue.extend(files);
            }
        }
        self.sources.push((file, reading));
    }

    /// `-m a.b.c` executes `a` and `a.b` before it.
    fn packages_above(&mut self, script: &Path, paths: &Paths) {
        let packages = script.ancestors().skip(1).map(|folder| folder.join("__init__.py"));
        for package in packages.take_while(|package| package.is_file()) {
            self.gather(&package, paths);
        }
    }

    /// Reads the user's own modules, and those that they import.
    fn follow(&mut self, paths: &Paths) {
        while let Some(file) = self.queue.pop_front() {
            self.gather(&file, paths);
        }
    }
}
