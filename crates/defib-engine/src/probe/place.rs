//! The first stages: is everything there that the command names?

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use defib_core::stage::{Stage, Verdict};
use defib_core::telling::base_name;

use super::command::{Kind, Target, shebang};
use super::named::named;
use super::python::{self, FACTS, Python};
use super::resolve::{Paths, module_file};
use super::walk::{Walk, stage_of};
use crate::session::SessionError;

/// Time for a command that cannot start to say so.
const REFUSAL: Duration = Duration::from_secs(10);

/// Executable and interpreter: which one, its version, its environment.
pub(super) fn interpreter(walk: &mut Walk<'_>) -> Result<Stage, SessionError> {
    let found = which(&walk.parts.program, &walk.plan.cwd);
    if let (Kind::Other, Some(file)) = (walk.parts.kind, &found) {
        by_first_line(walk, file);
    }
    if walk.parts.kind == Kind::Python {
        return python(walk);
    }
    match found {
        Some(file) => Ok(Stage::new("", Verdict::Passed, format!("{} is {}", walk.parts.program, file.display()))),
        None if !walk.parts.wrapper.is_empty() => {
            let says = format!("{} is not in PATH; its wrapper may know it", walk.parts.program);
            Ok(Stage::new("", Verdict::Warned, says))
        }
        // Starting it cannot do anything but fail, with the system's own words.
        None => refused(walk),
    }
}

/// Runs the command itself, which cannot start, for its error.
fn refused(walk: &mut Walk<'_>) -> Result<Stage, SessionError> {
    let ran = walk.run(walk.plan.command.clone(), REFUSAL)?;
    Ok(walk.blame(&ran))
}

/// A script that names its interpreter in its first line is run by it.
fn by_first_line(walk: &mut Walk<'_>, file: &Path) {
    let mut start = [0; 256];
    let read = File::open(file).and_then(|mut file| file.read(&mut start)).unwrap_or(0);
    let text = String::from_utf8_lossy(&start[..read]).into_owned();
    let Some(words) = shebang(&text).filter(|words| base_name(&words[0]).starts_with("python")) else { return };
    let parts = &mut walk.parts;
    parts.kind = Kind::Python;
    parts.program.clone_from(&words[0]);
    parts.options = words[1..].to_vec();
    parts.target = Target::Script(file.display().to_string());
}

fn python(walk: &mut Walk<'_>) -> Result<Stage, SessionError> {
    let command = walk.helper(&[], FACTS, &[]);
    let ran = walk.run(command, walk.plan.deadline)?;
    if !ran.passed() {
        return Ok(walk.blame(&ran));
    }
    let python = python::answer(&ran.stdout()).as_ref().and_then(Python::read);
    let stage = match &python {
        Some(python) => {
            let environment = match &python.environment {
                Some(prefix) => format!("virtual environment {prefix}"),
                None => "no virtual environment".to_owned(),
            };
            let says = format!("Python {}, {}, {environment}", python.version, python.executable);
            stage_of(&ran, Verdict::Passed, says)
        }
        None => stage_of(&ran, Verdict::Warned, "it runs, and does not answer as Python 3 does"),
    };
    walk.python = python;
    walk.forget(ran);
    Ok(stage)
}

/// The file that `execvp(3)` would take.
fn which(program: &str, cwd: &Path) -> Option<PathBuf> {
    let executable =
        |path: &PathBuf| path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    if program.contains('/') {
        return Some(cwd.join(program)).filter(executable);
    }
    let search = std::env::var_os("PATH")?;
    std::env::split_paths(&search).map(|folder| cwd.join(folder).join(program)).find(executable)
}

/// The script, and the folder the program runs in.
pub(super) fn script(walk: &mut Walk<'_>) -> Result<Stage, SessionError> {
    let cwd = walk.plan.cwd.display().to_string();
    match walk.parts.target.clone() {
        Target::Script(path) => {
            let file = walk.plan.cwd.join(&path);
            let main = file.join("__main__.py");
            let file = if main.is_file() { main } else { file };
            if File::open(&file).is_ok() && file.is_file() {
                walk.script = Some(file);
                return Ok(Stage::new("", Verdict::Passed, format!("{path} in {cwd}")));
            }
            refused(walk)
        }
        Target::Module(module) => module_of(walk, &module, &cwd),
        Target::Code(_) => Ok(Stage::new("", Verdict::Passed, format!("code on the command line, in {cwd}"))),
        Target::Input if walk.parts.kind == Kind::Other => {
            Ok(Stage::new("", Verdict::Passed, format!("no script; it runs in {cwd}")))
        }
        Target::Input => Ok(Stage::new("", Verdict::Passed, format!("code from standard input, in {cwd}"))),
    }
}

fn module_of(walk: &mut Walk<'_>, module: &str, cwd: &str) -> Result<Stage, SessionError> {
    let Some(paths) = paths(walk) else { return Ok(walk.not_python()) };
    walk.script = module_file(&paths, module);
    if let Some(file) = &walk.script {
        return Ok(Stage::new("", Verdict::Passed, format!("module {module} is {}, run in {cwd}", file.display())));
    }
    let package = module.split('.').next().unwrap_or(module);
    let known = paths.standard.iter().chain(&paths.builtin).any(|name| name == package)
        || paths.folders.iter().any(|folder| folder.join(package).exists());
    if known {
        return Ok(Stage::new("", Verdict::Warned, format!("no source of the module {module} was found")));
    }
    refused(walk)
}

/// Where the program's interpreter looks for modules.
pub(super) fn paths(walk: &Walk<'_>) -> Option<Paths> {
    let python = walk.python.as_ref()?;
    let own = match &walk.parts.target {
        // The interpreter follows links of the script, not of the folder named.
        Target::Script(_) => {
            let script = walk.script.as_deref()?;
            let real = script.canonicalize().unwrap_or_else(|_| script.to_owned());
            real.parent().map(Path::to_owned)
        }
        _ => Some(walk.plan.cwd.clone()),
    };
    let safe = walk.parts.safe_path() || std::env::var_os("PYTHONSAFEPATH").is_some_and(|value| !value.is_empty());
    let folders = own.filter(|_| !safe).into_iter().chain(python.path.iter().cloned()).collect();
    Some(Paths { folders, builtin: python.builtin.clone(), standard: python.standard.clone() })
}

/// Files and folders that the arguments name.
pub(super) fn files(walk: &mut Walk<'_>) -> Result<Stage, SessionError> {
    if walk.parts.kind == Kind::Shell && matches!(walk.parts.target, Target::Code(_)) {
        return Ok(Stage::new("", Verdict::Skipped, "shell code on the command line is not read"));
    }
    let (mut there, mut missing, mut odd) = (Vec::new(), Vec::new(), Vec::new());
    for named in named(&walk.parts.arguments) {
        let path = walk.plan.cwd.join(&named.path);
        match path.metadata() {
            Ok(meta) => {
                there.push(named.path.clone());
                odd.extend(looks_odd(&path, &meta).map(|why| format!("{} {why}", named.path)));
            }
            Err(_) if named.surely && !named.written => missing.push(named.path),
            Err(_) => {}
        }
    }
    let (verdict, says) = match (missing.is_empty(), odd.is_empty()) {
        (false, _) => (Verdict::Warned, format!("not there: {}", missing.join(", "))),
        (true, false) => (Verdict::Warned, odd.join(", ")),
        (true, true) if there.is_empty() => (Verdict::Passed, "the command names none".to_owned()),
        (true, true) => (Verdict::Passed, format!("there: {}", there.join(", "))),
    };
    walk.missing = missing;
    Ok(Stage::new("", verdict, says))
}

/// A file that is there and is not what it seems.
fn looks_odd(path: &Path, meta: &std::fs::Metadata) -> Option<&'static str> {
    if !meta.is_file() {
        return None;
    }
    if meta.len() == 0 {
        return Some("is empty");
    }
    let mut start = [0; 40];
    let read = match File::open(path) {
        Ok(mut file) => file.read(&mut start).unwrap_or(0),
        Err(_) => return Some("may not be read"),
    };
    start[..read].starts_with(b"version https://git-lfs").then_some("is a Git LFS pointer, not the file itself")
}
