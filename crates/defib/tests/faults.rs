//! Every program of `faults/` really runs (and fails) under defib, and must get
//! the outcome, cause and place that its `fault.toml` names.

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use serde_json::Value;
use support::{DEADLINE, Held, defib, text, wait_for};

/// What must come out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    command: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
    outcome: String,
    cause: Option<String>,
    /// Text of the source line that `where` must point at.
    #[serde(rename = "where")]
    line: Option<String>,
    /// Name of the file that `where` must point into.
    where_file: Option<String>,
    /// Any line of that file will do.
    #[serde(default)]
    where_any: bool,
    exit: Option<i32>,
    #[serde(default)]
    healthy: bool,
    /// `open`: standard input that never ends.
    stdin: Option<String>,
    /// Send Ctrl+C after so many seconds; it must still run then.
    idle_s: Option<f64>,
    /// `why`: start it without defib and ask why.
    mode: Option<String>,
    /// What it has printed when it can be asked.
    settle: Option<String>,
}

fn main() {
    let mut arguments = Arguments::from_args();
    // These tests wait more than they compute.
    arguments.test_threads.get_or_insert(6);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../faults");
    let mut folders: Vec<PathBuf> = fs::read_dir(corpus)
        .expect("faults/")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    let trials = folders.into_iter().map(|folder| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Trial::test(name, move || check(&folder))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn check(folder: &Path) -> Result<(), Failed> {
    let spec = fs::read_to_string(folder.join("fault.toml"))?;
    let fault: Fault = toml::from_str(&spec)?;
    // The programs may write: each run has a copy of its own.
    let scratch = tempfile::tempdir()?;
    let home = scratch.path().join("program");
    fs::create_dir(&home)?;
    for entry in fs::read_dir(folder)?.flatten() {
        fs::copy(entry.path(), home.join(entry.file_name()))?;
    }
    let (report, code) = if fault.mode.as_deref() == Some("why") {
        why(&fault, &home, scratch.path())?
    } else {
        run(&fault, &home, scratch.path())?
    };
    compare(&fault, &home, &report, code).map_err(|wrong| {
        let causes: Vec<String> = report["causes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|cause| format!("{} {} {}", cause["id"], cause["probability"], cause["explanation"]))
            .collect();
        Failed::from(format!("{wrong}\noutcome {}\n{}", report["outcome"], causes.join("\n")))
    })
}

fn run(fault: &Fault, home: &Path, scratch: &Path) -> Result<(Value, i32), Failed> {
    let report = scratch.join("report.json");
    let mut command = defib(&scratch.join("state"));
    command.args(["run", "-q", "--report"]).arg(&report).args(&fault.flags).arg("--").args(&fault.command);
    command.current_dir(home).stdout(Stdio::null()).stderr(Stdio::piped());
    if fault.stdin.as_deref() == Some("open") {
        command.stdin(Stdio::piped());
    }
    let mut child = Held(command.spawn()?);
    if let Some(idle_s) = fault.idle_s {
        let ended = wait_for(Duration::from_secs_f64(idle_s), || child.0.try_wait().ok().flatten());
        if let Some(status) = ended {
            return Err(format!("it was ended although it was only idle: {status}").into());
        }
        Command::new("kill").args(["-INT", &child.0.id().to_string()]).status()?;
    }
    let status = wait_for(DEADLINE, || child.0.try_wait().ok().flatten()).ok_or("not over at the deadline")?;
    let written = fs::read(&report).unwrap_or_default();
    let mut errors = String::new();
    if let Some(mut stream) = child.0.stderr.take() {
        let _ = std::io::Read::read_to_string(&mut stream, &mut errors);
    }
    let report = serde_json::from_slice(&written).map_err(|error| format!("no report ({error}): {errors}"))?;
    Ok((report, status.code().unwrap_or(-1)))
}

fn why(fault: &Fault, home: &Path, scratch: &Path) -> Result<(Value, i32), Failed> {
    let mut command = Command::new(&fault.command[0]);
    command.args(&fault.command[1..]).current_dir(home).env_remove("PYTHONUNBUFFERED").stdin(Stdio::piped());
    let mut program = Held(command.stdout(Stdio::piped()).spawn()?);
    let mut lines = BufReader::new(program.0.stdout.take().ok_or("no stdout")?).lines();
    let wanted = fault.settle.clone().unwrap_or_default();
    lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(&wanted))).ok_or("it never came so far")??;
    let output = support::output(defib(&scratch.join("state")).args(["why", "--json", &program.0.id().to_string()]));
    let report =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {}", text(&output.stderr)))?;
    Ok((report, output.status.code().unwrap_or(-1)))
}

fn compare(fault: &Fault, home: &Path, report: &Value, code: i32) -> Result<(), String> {
    let equal = |what: &str, wanted: &str, found: Option<&str>| {
        if found == Some(wanted) { Ok(()) } else { Err(format!("{what}: wanted {wanted}, found {found:?}")) }
    };
    equal("outcome", &fault.outcome, report["outcome"]["kind"].as_str())?;
    let first = &report["causes"][0];
    match &fault.cause {
        Some(cause) => equal("cause", cause, first["id"].as_str())?,
        None if first.is_null() => {}
        None => return Err("a cause where there is none".to_owned()),
    }
    if fault.healthy && report["outcome"]["healthy"] != true {
        return Err("not healthy".to_owned());
    }
    if let Some(exit) = fault.exit.filter(|&exit| exit != code) {
        return Err(format!("exit: wanted {exit}, found {code}"));
    }
    if fault.line.is_some() || fault.where_file.is_some() {
        place(fault, home, &first["where"])?;
    }
    evidence(report)
}

fn place(fault: &Fault, home: &Path, place: &Value) -> Result<(), String> {
    let file = place["file"].as_str().ok_or("no place")?;
    let path = home.join(file);
    if let Some(wanted) = &fault.where_file
        && path.file_name().and_then(std::ffi::OsStr::to_str) != Some(wanted)
    {
        return Err(format!("place: wanted a line of {wanted}, found {file}"));
    }
    let source = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
    let number = usize::try_from(place["line"].as_u64().unwrap_or(0)).unwrap_or(0);
    let line = source.lines().nth(number.saturating_sub(1)).unwrap_or_default();
    match &fault.line {
        Some(wanted) if !fault.where_any && !line.contains(wanted) => {
            Err(format!("place: wanted a line with {wanted:?}, found {file}:{number} {line:?}"))
        }
        _ => Ok(()),
    }
}

/// No cause without evidence, and every id leads to a fact.
fn evidence(report: &Value) -> Result<(), String> {
    let known: Vec<&str> =
        report["evidence"].as_array().into_iter().flatten().filter_map(|fact| fact["id"].as_str()).collect();
    for cause in report["causes"].as_array().into_iter().flatten() {
        let ids: Vec<&str> = cause["evidence"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if ids.is_empty() || ids.iter().any(|id| !known.contains(id)) {
            return Err(format!("{} has no evidence", cause["id"]));
        }
    }
    Ok(())
}
