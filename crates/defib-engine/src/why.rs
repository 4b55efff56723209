//! The same explanation for a process that defib did not start, or for a log alone.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use defib_core::account::{log_vitals, moves, redacted};
use defib_core::case::{Case, End};
use defib_core::diagnose::{Diagnosis, diagnose};
use defib_core::facts::{Denied, Look, Vitals};
use defib_core::log::{Log, LogReader};
use defib_core::report::{REPORT_VERSION, Report, RunSummary};
use defib_observe::{LookRequest, Sampler, look_within};

/// Looks that are compared.
const LOOKS: usize = 4;
/// Time between two of them.
const BETWEEN: Duration = Duration::from_millis(700);
/// Time one may take.
const WITHIN: Duration = Duration::from_secs(4);

/// A stranger could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum WhyError {
    /// There is no such process.
    #[error("there is no process {0}; `ps aux` lists them")]
    NoProcess(i32),
    /// The log cannot be read.
    #[error("cannot read {path}: {source}")]
    Log {
        /// File.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What a look at a stranger found.
#[derive(Debug)]
pub struct Explained {
    /// The report.
    pub report: Report,
    /// The looks, for those who want all stacks.
    pub looks: Vec<Look>,
    /// What was hidden, and the command that would show it.
    pub hidden: Vec<Denied>,
}

/// Looks at a live process and its descendants without stopping or slowing it.
///
/// # Errors
/// Where there is no such process.
pub fn process(exe: &Path, pid: i32) -> Result<Explained, WhyError> {
    let start = Instant::now();
    let mut sampler = Sampler::new(pid, true);
    let mut vitals: Vec<Vitals> = vec![sampler.sample(0.0).vitals];
    let mut looks = Vec::new();
    for number in 0..LOOKS {
        if number > 0 {
            thread::sleep(BETWEEN);
        }
        let at_s = start.elapsed().as_secs_f64();
        let last = number + 1 == LOOKS;
        let request = LookRequest {
            root: pid,
            include_root: true,
            at_s,
            python: true,
            locals: last,
            others: true,
            ..LookRequest::default()
        };
        let look = look_within(exe, &request, WITHIN);
        if look.process(pid).is_none() {
            break;
        }
        looks.push(look);
        vitals.push(sampler.sample(start.elapsed().as_secs_f64()).vitals);
    }
    let Some(root) = looks.last().and_then(|look| look.process(pid)) else { return Err(WhyError::NoProcess(pid)) };
    let (command, cwd) = (root.command.clone(), root.cwd.clone().unwrap_or_default());
    let moving = vitals.windows(2).skip(1).any(|pair| moves(&pair[0], &pair[1]));
    let mut hidden: Vec<Denied> = Vec::new();
    for denied in looks.iter().flat_map(|look| &look.denied) {
        if !hidden.contains(denied) {
            hidden.push(denied.clone());
        }
    }
    let wall_s = start.elapsed().as_secs_f64();
    let case = Case { command, cwd, root: pid, end: End::Alive, wall_s, looks, vitals, moving, ..Case::default() };
    let report = report(&case, diagnose(&case), &format!("pid {pid}"));
    Ok(Explained { report, looks: case.looks, hidden })
}

/// Explains an end from a log alone.
///
/// # Errors
/// Where the log cannot be read.
pub fn log(path: &Path, exit_code: Option<i32>) -> Result<Report, WhyError> {
    let case = case_of_log(path, exit_code)?;
    Ok(report(&case, diagnose(&case), "log"))
}

/// The case that a log alone makes.
///
/// # Errors
/// Where the log cannot be read.
pub fn case_of_log(path: &Path, exit_code: Option<i32>) -> Result<Case, WhyError> {
    let unreadable = |source| WhyError::Log { path: path.display().to_string(), source };
    let mut reader = LogReader::new(None);
    let output_bytes = if path == Path::new("-") {
        read_all(std::io::stdin().lock(), &mut reader)
    } else {
        File::open(path).and_then(|file| read_all(file, &mut reader))
    };
    let output_bytes = output_bytes.map_err(unreadable)?;
    let end = match exit_code {
        // A shell and subprocess name signals differently: 139 and -11.
        Some(code) if code < 0 => End::Signaled(-code),
        Some(code) => End::Exited(code),
        None => End::Unknown,
    };
    Ok(Case { end, log: Log::of([reader]), output_bytes, ..Case::default() })
}

/// Reads to the end, however far that is, and returns how much there was.
fn read_all(mut source: impl Read, reader: &mut LogReader) -> std::io::Result<u64> {
    let mut total = 0;
    loop {
        match reader.fill(|space| source.read(space)) {
            Ok(0) => return Ok(total),
            Ok(count) => total += count as u64,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

pub(crate) fn report(case: &Case, diagnosis: Diagnosis, id: &str) -> Report {
    let mut vitals = log_vitals(&case.log);
    if let (Some(first), Some(last)) = (case.vitals.first(), case.vitals.last()) {
        let span = (last.at_s - first.at_s).max(0.001);
        vitals.insert("processes".into(), last.processes.into());
        vitals.insert("threads".into(), last.threads.into());
        vitals.insert("rss_bytes".into(), last.rss_bytes.into());
        vitals.insert("cpu_share".into(), ((last.cpu_s - first.cpu_s) / span).into());
    }
    redacted(Report {
        schema: REPORT_VERSION,
        run: RunSummary {
            id: id.to_owned(),
            command: case.command.clone(),
            cwd: case.cwd.clone(),
            started: None,
            ended: None,
            wall_s: case.wall_s,
        },
        outcome: diagnosis.outcome,
        causes: diagnosis.causes,
        evidence: diagnosis.evidence,
        vitals,
        actions: Vec::new(),
        leftovers: Vec::new(),
        remains: None,
    })
}
