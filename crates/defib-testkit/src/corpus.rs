//! The programs of `faults/`: what each must give, and running one under defib.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

/// Longest time any single run may take.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// What one program must give: the content of `fault.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Command; run in a copy of the folder. Empty for a log.
    #[serde(default)]
    pub command: Vec<String>,
    /// Flags of `defib run`.
    #[serde(default)]
    pub flags: Vec<String>,
    /// `outcome.kind`.
    pub outcome: String,
    /// First cause; none for a healthy program.
    pub cause: Option<String>,
    /// A cause that only follows from the first: it may be named below it, never above.
    pub consequence: Option<String>,
    /// Text of the source line that `where` must point at.
    #[serde(rename = "where")]
    pub line: Option<String>,
    /// Name of the file that `where` must point into.
    pub where_file: Option<String>,
    /// Any line of that file will do.
    #[serde(default)]
    pub where_any: bool,
    /// Text that the evidence of the first cause must hold.
    pub evidence: Option<String>,
    /// Exit status of `defib run`.
    pub exit: Option<i32>,
    /// `outcome.healthy` must be true.
    #[serde(default)]
    pub healthy: bool,
    /// `open`: standard input that never ends.
    pub stdin: Option<String>,
    /// Send Ctrl+C after so many seconds; it must still run then.
    pub idle_s: Option<f64>,
    /// `why`: start it without defib and ask why. `log`: judge a log alone.
    pub mode: Option<String>,
    /// What it has printed when it can be asked.
    pub settle: Option<String>,
    /// The log, for `mode = "log"`.
    pub log: Option<String>,
    /// Exit code that goes with the log.
    pub exit_code: Option<i32>,
    /// Why the right answer is not given (yet): the test says so and does not fail;
    /// the measurement counts it as wrong all the same.
    pub missed: Option<String>,
    /// What the program needs: a Python module, or `root`, `cc`, `tool:NAME`,
    /// `memory-cgroup`, `mount`, `cpu-quota`.
    #[serde(default)]
    pub needs: Vec<String>,
}

/// A program of the corpus.
#[derive(Debug, Clone)]
pub struct Program {
    /// `stuck/two_accounts`.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// What it must give.
    pub fault: Fault,
}

/// What came out of one run.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The report.
    pub report: Value,
    /// Exit status of defib.
    pub exit: i32,
    /// From start to the written report.
    pub wall: Duration,
}

/// Why a program of the corpus could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Reading or starting something.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// `fault.toml`.
    #[error("fault.toml: {0}")]
    Spec(#[from] toml::de::Error),
    /// It did not do what it should.
    #[error("{0}")]
    Run(String),
}

/// All programs below `faults/`, by name.
///
/// # Errors
/// If a folder or a `fault.toml` cannot be read.
pub fn programs(corpus: &Path) -> Result<Vec<Program>, Trouble> {
    let mut found = Vec::new();
    for section in folders(corpus)? {
        for folder in folders(&section)? {
            let spec = fs::read_to_string(folder.join("fault.toml"))
                .map_err(|error| Trouble::Run(format!("{}: {error}", folder.display())))?;
            let name = format!("{}/{}", file_name(&section), file_name(&folder));
            let fault = toml::from_str(&spec).map_err(|error| Trouble::Run(format!("{name}: {error}")))?;
            found.push(Program { name, folder, fault });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(fs::read_dir(folder)?.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Runs programs with one defib and one Python.
#[derive(Debug, Clone)]
pub struct Runner {
    /// The defib to try.
    pub defib: PathBuf,
    /// Folder whose `python3` the programs shall get; `None` for that of `PATH`.
    pub python: Option<PathBuf>,
}

impl Runner {
    /// A runner whose programs use the environment that `./test` made in
    /// `target/faults-venv`, if it did.
    #[must_use]
    pub fn new(defib: PathBuf, target: &Path) -> Self {
        let python = target.join("faults-venv/bin");
        let python = fs::canonicalize(&python).unwrap_or(python);
        Self { defib, python: python.join("python3").exists().then_some(python) }
    }

    /// `PATH` of the programs.
    fn path(&self) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        self.python.as_ref().map_or(path.clone(), |python| format!("{}:{path}", python.display()))
    }

    fn clean(&self, command: &mut Command) {
        command
            .env("PATH", self.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NO_COLOR", "1")
            // A shell that exports these would hide the very faults.
            .env_remove("PYTHONUNBUFFERED")
            .env_remove("PYTHONFAULTHANDLER")
            .env_remove("DEFIB_STALL_AFTER")
            .stdin(Stdio::null());
    }

    /// What of the program's needs this machine lacks.
    #[must_use]
    pub fn lacks(&self, fault: &Fault) -> Option<String> {
        fault.needs.iter().find(|need| !self.has(need)).cloned()
    }

    fn has(&self, need: &str) -> bool {
        let script = match need {
            "root" => "test \"$(id -u)\" = 0".to_owned(),
            "cc" => "command -v cc".to_owned(),
            "mount" => "unshare -m sh -c 'mount -t tmpfs -o size=1m none /mnt'".to_owned(),
            "memory-cgroup" => {
                "d=/sys/fs/cgroup/memory/defib-try-$$; mkdir $d && echo 64M > $d/memory.limit_in_bytes; s=$?; rmdir $d; exit $s".to_owned()
            }
            "cpu-quota" => {
                "d=/sys/fs/cgroup/cpu/defib-try-$$; mkdir $d && echo 50000 > $d/cpu.cfs_quota_us; s=$?; rmdir $d; exit $s".to_owned()
            }
            tool if tool.starts_with("tool:") => format!("command -v {}", &tool[5..]),
            module => format!("python3 -c 'import importlib.util as u, sys; sys.exit(u.find_spec(\"{module}\") is None)'"),
        };
        let mut command = Command::new("sh");
        self.clean(&mut command);
        command.args(["-c", &script]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Runs a program in a copy of its folder, with the state below `scratch`.
    ///
    /// # Errors
    /// If it cannot be started, is not over at the deadline, or leaves no report.
    pub fn run(&self, program: &Program, scratch: &Path) -> Result<Ran, Trouble> {
        let home = scratch.join("program");
        copy(&program.folder, &home)?;
        let started = Instant::now();
        let fault = &program.fault;
        let (report, exit) = match fault.mode.as_deref() {
            Some("why") => self.why(fault, &home, scratch)?,
            Some("log") => self.log(fault, &home, scratch)?,
            _ => self.supervised(fault, &home, scratch)?,
        };
        Ok(Ran { report, exit, wall: started.elapsed() })
    }

    fn command(&self, scratch: &Path) -> Command {
        let mut command = Command::new(&self.defib);
        self.clean(&mut command);
        command.env("DEFIB_STATE", scratch.join("state"));
        command
    }

    fn supervised(&self, fault: &Fault, home: &Path, scratch: &Path) -> Result<(Value, i32), Trouble> {
        let report = scratch.join("report.json");
        let mut command = self.command(scratch);
        command.args(["run", "-q", "--report"]).arg(&report).args(&fault.flags).arg("--").args(&fault.command);
        let errors = fs::File::create(scratch.join("stderr"))?;
        command.current_dir(home).stdout(Stdio::null()).stderr(errors);
        if fault.stdin.as_deref() == Some("open") {
            command.stdin(Stdio::piped());
        }
        let mut child = Held(command.spawn()?);
        if let Some(idle_s) = fault.idle_s {
            if let Some(code) = child.ended_within(Duration::from_secs_f64(idle_s)) {
                return Err(Trouble::Run(format!("it was ended although it was only idle: {code}")));
            }
            Command::new("kill").args(["-INT", &child.0.id().to_string()]).status()?;
        }
        let exit = child.ended_within(DEADLINE).ok_or_else(|| Trouble::Run("not over at the deadline".to_owned()))?;
        let written = fs::read(&report).unwrap_or_default();
        let report = serde_json::from_slice(&written).map_err(|error| {
            let errors = fs::read_to_string(scratch.join("stderr")).unwrap_or_default();
            Trouble::Run(format!("no report ({error}): {errors}"))
        })?;
        Ok((report, exit))
    }

    fn why(&self, fault: &Fault, home: &Path, scratch: &Path) -> Result<(Value, i32), Trouble> {
        let (name, arguments) = fault.command.split_first().ok_or_else(|| Trouble::Run("no command".to_owned()))?;
        let mut command = Command::new(name);
        self.clean(&mut command);
        command.args(arguments).current_dir(home).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(fs::File::create(scratch.join("stderr"))?);
        let mut program = Held(command.spawn()?);
        let output = program.0.stdout.take().ok_or_else(|| Trouble::Run("no stdout".to_owned()))?;
        let wanted = fault.settle.clone().unwrap_or_default();
        let (sender, settled) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.contains(&wanted) {
                    let _ = sender.send(());
                }
            }
        });
        settled.recv_timeout(DEADLINE).map_err(|_| Trouble::Run("it never came so far".to_owned()))?;
        let pid = program.0.id().to_string();
        self.answer(self.command(scratch).args(["why", "--json", &pid]))
    }

    fn log(&self, fault: &Fault, home: &Path, scratch: &Path) -> Result<(Value, i32), Trouble> {
        let log = fault.log.as_deref().unwrap_or("output.log");
        let mut command = self.command(scratch);
        command.args(["why", "--json", "--log"]).arg(home.join(log));
        if let Some(code) = fault.exit_code {
            command.args(["--exit-code", &code.to_string()]);
        }
        self.answer(&mut command)
    }

    fn answer(&self, command: &mut Command) -> Result<(Value, i32), Trouble> {
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
        let report = serde_json::from_slice(&output.stdout)
            .map_err(|error| Trouble::Run(format!("{error}: {}", String::from_utf8_lossy(&output.stderr))))?;
        Ok((report, output.status.code().unwrap_or(-1)))
    }
}

/// A child that is killed when it is not wanted any more.
struct Held(Child);

impl Held {
    fn ended_within(&mut self, within: Duration) -> Option<i32> {
        let deadline = Instant::now() + within;
        loop {
            if let Ok(Some(status)) = self.0.try_wait() {
                return Some(status.code().unwrap_or(-1));
            }
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "__pycache__" {
                copy(&entry.path(), &target)?;
            }
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// What is right and wrong about a report.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    /// The outcome.
    pub outcome: bool,
    /// Rank of the right cause, from 0; `None` where it is not named. For a
    /// healthy program: `Some(0)` if no cause is named.
    pub rank: Option<usize>,
    /// The place, where one is expected.
    pub place: Option<bool>,
    /// Everything that is wrong, in words; empty if nothing.
    pub wrong: Vec<String>,
}

/// Compares a report with what was expected.
#[must_use]
pub fn marks(program: &Program, home: &Path, ran: &Ran) -> Marks {
    let fault = &program.fault;
    let mut marks = Marks::default();
    let kind = ran.report["outcome"]["kind"].as_str().unwrap_or_default();
    marks.outcome = kind == fault.outcome;
    if !marks.outcome {
        marks.wrong.push(format!("outcome: wanted {}, found {kind}", fault.outcome));
    }
    let causes = ran.report["causes"].as_array().map_or(&[][..], Vec::as_slice);
    let position = |id: &str| causes.iter().position(|cause| cause["id"] == id);
    marks.rank = match &fault.cause {
        Some(cause) => position(cause),
        None => causes.is_empty().then_some(0),
    };
    if marks.rank != Some(0) {
        let first = causes.first().map_or("none", |cause| cause["id"].as_str().unwrap_or_default());
        marks.wrong.push(format!("cause: wanted {}, found {first}", fault.cause.as_deref().unwrap_or("none")));
    }
    if let (Some(consequence), Some(rank)) = (&fault.consequence, marks.rank)
        && position(consequence).is_some_and(|found| found < rank)
    {
        marks.wrong.push(format!("the consequence {consequence} stands above its cause"));
    }
    if fault.healthy && ran.report["outcome"]["healthy"] != true {
        marks.wrong.push("not healthy".to_owned());
    }
    if let Some(exit) = fault.exit.filter(|&exit| exit != ran.exit) {
        marks.wrong.push(format!("exit: wanted {exit}, found {}", ran.exit));
    }
    let first = causes.first().unwrap_or(&Value::Null);
    if fault.line.is_some() || fault.where_file.is_some() {
        let found = place(fault, home, &first["where"]);
        marks.place = Some(found.is_ok());
        marks.wrong.extend(found.err());
    }
    marks.wrong.extend(evidence(fault, &ran.report));
    marks
}

fn place(fault: &Fault, home: &Path, place: &Value) -> Result<(), String> {
    let file = place["file"].as_str().ok_or("no place")?;
    let path = home.join(file);
    if let Some(wanted) = &fault.where_file
        && path.file_name().and_then(std::ffi::OsStr::to_str) != Some(wanted)
    {
        let found = path.strip_prefix(home).unwrap_or(&path).display();
        return Err(format!("place: wanted a line of {wanted}, found {found}"));
    }
    let Some(wanted) = fault.line.as_ref().filter(|_| !fault.where_any) else { return Ok(()) };
    let source = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
    let number = usize::try_from(place["line"].as_u64().unwrap_or(0)).unwrap_or(0);
    let line = source.lines().nth(number.saturating_sub(1)).unwrap_or_default();
    let file = path.strip_prefix(home).unwrap_or(&path).display();
    if line.contains(wanted) {
        Ok(())
    } else {
        Err(format!("place: wanted a line with {wanted:?}, found {file}:{number} {line:?}"))
    }
}

/// No cause without evidence, every id leads to a fact, and the deciding one is among them.
fn evidence(fault: &Fault, report: &Value) -> Option<String> {
    let facts = report["evidence"].as_array().map_or(&[][..], Vec::as_slice);
    let fact = |id: &Value| facts.iter().find(|fact| fact["id"] == *id);
    let causes = report["causes"].as_array().map_or(&[][..], Vec::as_slice);
    for cause in causes {
        let ids = cause["evidence"].as_array().map_or(&[][..], Vec::as_slice);
        if ids.is_empty() || ids.iter().any(|id| fact(id).is_none()) {
            return Some(format!("{} has no evidence", cause["id"]));
        }
    }
    let wanted = fault.evidence.as_ref()?;
    let ids = causes.first()?["evidence"].as_array()?;
    let shown = ids.iter().filter_map(fact).any(|fact| fact["says"].as_str().is_some_and(|says| says.contains(wanted)));
    (!shown).then(|| format!("evidence: nothing says {wanted:?}"))
}
