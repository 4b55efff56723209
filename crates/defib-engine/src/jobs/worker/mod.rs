//! A Python class that stays loaded: one supervised process a seat.
//!
//! ```text
//! seat ──setup, predict──► line ──► worker process (python -m defib.worker)
//!   │  ◄──done, failed, progress──    ▲ under its shim
//!   └──duty: what it is at, until when──► session: looks, ends it when that has passed
//! ```
//! A worker stays warm from job to job. It is replaced after a number of jobs, on the
//! memory policy, for another profile or model, and after anything that may have spoilt it.

mod package;
mod process;
mod protocol;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use defib_core::case::Made;
use serde_json::{Map, Value};

use self::process::Process;
use self::protocol::{Ask, PROTOCOL, Raised, Say};
use super::backend::{Backend, Condition, Done, Failed, FailedKind, MadeFile, Seat, Stop, Task};
use super::gpus;
use super::host::Host;
use super::judge::{self, Scene};
use super::settings::Profile;
use crate::session::{Plan, Work};

/// Grace for a worker that is replaced or dismissed: it has nothing to do.
const DISMISS_WITHIN: Duration = Duration::from_secs(5);
/// A worker whose journal has grown so long is replaced: it is read at the end.
const LONG_JOURNAL: u64 = 64 << 20;
/// Between two looks at its length, jobs.
const LOOK_AT_JOURNAL_EVERY: u64 = 256;

/// The backend.
pub(super) struct WorkerBackend {
    shared: Arc<Shared>,
}

struct Shared {
    host: Host,
    predictor: String,
    python: String,
    options: Map<String, Value>,
    package: PathBuf,
}

impl WorkerBackend {
    /// # Errors
    /// Where the Python package cannot be laid out in the state folder.
    pub(super) fn new(host: Host, predictor: &str, python: &str, options: &Map<String, Value>) -> io::Result<Self> {
        let package = package::lay_out(host.state.root())?;
        let shared = Shared {
            host,
            predictor: predictor.to_owned(),
            python: python.to_owned(),
            options: options.clone(),
            package,
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Backend for WorkerBackend {
    fn seat(&self, number: usize) -> Box<dyn Seat> {
        Box::new(WorkerSeat {
            shared: self.shared.clone(),
            number,
            process: None,
            setup: Setup::default(),
            last_inputs: Vec::new(),
            gpus: Vec::new(),
            spoilt: None,
            trouble: None,
        })
    }
}

/// What a process was set up with: another asks for another process.
#[derive(Debug, Clone, Default, PartialEq)]
struct Setup {
    options: Map<String, Value>,
    env: Vec<(String, String)>,
}

struct WorkerSeat {
    shared: Arc<Shared>,
    number: usize,
    process: Option<Process>,
    setup: Setup,
    /// Inputs of the last job that ask for a fresh process when they change.
    last_inputs: Vec<Option<Value>>,
    /// GPUs that the process has open.
    gpus: Vec<String>,
    /// Why the process is not to be used again.
    spoilt: Option<String>,
    /// Why there is none.
    trouble: Option<(String, String)>,
}

impl Shared {
    fn command(&self) -> Vec<String> {
        // Unbuffered output and the folder of the predictor are set by plan and host.
        vec![self.python.clone(), "-m".to_owned(), "defib.worker".to_owned()]
    }

    fn plan(&self, number: usize, setup: &Setup) -> Plan {
        let mut env = setup.env.clone();
        let all = self.host.settings.env.iter().chain(&env);
        let known = all.rev().find(|(name, _)| name == "PYTHONPATH").map(|(_, path)| path.clone());
        let known = known.or_else(|| std::env::var("PYTHONPATH").ok()).filter(|path| !path.is_empty());
        let path = self.package.display().to_string();
        env.push(("PYTHONPATH".to_owned(), known.map_or(path.clone(), |known| format!("{path}:{known}"))));
        self.host.plan(number, self.command(), env)
    }

    fn scene(&self, run: Option<String>) -> Scene {
        Scene { command: self.command(), cwd: self.host.settings.folder.display().to_string(), run }
    }
}

impl WorkerSeat {
    fn wanted(&self, profile: Option<&Profile>) -> Setup {
        let mut setup = Setup { options: self.shared.options.clone(), env: Vec::new() };
        if let Some(profile) = profile {
            setup.options.extend(profile.options.clone());
            setup.env.clone_from(&profile.env);
        }
        setup
    }

    /// Why the process at hand cannot take this task, if it cannot.
    fn unfit(&self, process: &Process, wanted: &Setup, task: Option<&Task<'_>>) -> Option<String> {
        let settings = &self.shared.host.settings;
        if let Some(why) = &self.spoilt {
            return Some(why.clone());
        }
        if !process.is_open() {
            return Some("it has ended".to_owned());
        }
        if self.setup != *wanted {
            return Some("another profile asks for another setup".to_owned());
        }
        if process.jobs == 0 {
            return None;
        }
        if settings.recycle_after.is_some_and(|most| process.jobs >= most) {
            return Some(format!("it has done {} jobs", process.jobs));
        }
        let changed = task.is_some_and(|task| self.watched(task) != self.last_inputs);
        if changed && !settings.recycle_on_change.is_empty() {
            return Some(format!("{} has changed", settings.recycle_on_change.join(" or ")));
        }
        let long = || process.place().folder.is_some_and(|it| journal_bytes(&it) > LONG_JOURNAL);
        (process.jobs.is_multiple_of(LOOK_AT_JOURNAL_EVERY) && long()).then(|| "its journal has grown long".to_owned())
    }

    fn watched(&self, task: &Task<'_>) -> Vec<Option<Value>> {
        self.shared.host.settings.recycle_on_change.iter().map(|name| task.inputs.get(name).cloned()).collect()
    }

    /// Has a process that can take this task, starting one if need be.
    fn ensure(&mut self, profile: Option<&Profile>, task: Option<&Task<'_>>, stop: &Stop) -> Result<(), Failed> {
        let wanted = self.wanted(profile);
        if let Some(process) = self.process.take() {
            match self.unfit(&process, &wanted, task) {
                None => {
                    self.process = Some(process);
                    return Ok(());
                }
                Some(why) => {
                    let ended = process.dismiss(DISMISS_WITHIN);
                    let run = ended.map_or_else(|why| why, |finished| finished.run.to_string());
                    self.shared.host.tell(&format!("a worker is replaced: {why} ({run})"));
                }
            }
        }
        self.spoilt = None;
        self.last_inputs = Vec::new();
        let started = self.start(&wanted, task, stop);
        self.setup = wanted;
        match started {
            Ok(process) => {
                self.trouble = None;
                self.gpus = opened_by(&process);
                self.process = Some(process);
                Ok(())
            }
            Err(failed) => {
                if failed.kind != FailedKind::Stopped {
                    self.trouble = Some((failed.cause.clone(), failed.explanation.clone()));
                }
                Err(failed)
            }
        }
    }

    /// Starts a process and sets it up.
    fn start(&self, setup: &Setup, task: Option<&Task<'_>>, stop: &Stop) -> Result<Process, Failed> {
        let shared = &self.shared;
        let plan = shared.plan(self.number, setup);
        let mut process = Process::start(plan, shared.host.clone())
            .map_err(|error| Failed::of_system("no worker can be started", &error))?;
        // Not the job's deadline: the next job needs the process too.
        let limit = shared.host.settings.setup_timeout;
        let begun = process.begin(Work {
            what: "setup".to_owned(),
            deadline: Instant::now() + limit,
            limit,
            heartbeat: None,
            output_from: HashMap::new(),
        });
        if let Some(task) = task {
            (task.stage)("setup");
        }
        stop.on_stop(process.ender());
        let asked = begun && process.ask(&Ask::Setup { predictor: &shared.predictor, options: &setup.options }).is_ok();
        while let Some(said) = asked.then(|| process.hear()).flatten() {
            match said {
                Say::Ready { .. } => {
                    process.done();
                    stop.clear();
                    return Ok(process);
                }
                Say::SetupFailed { error } => return Err(self.raised(process, &error, "setup")),
                Say::Hello { protocol, python } if protocol != PROTOCOL => {
                    let _ = process.dismiss(Duration::ZERO);
                    return Err(Failed::new("binary-mismatch", other_protocol(protocol, &python)));
                }
                Say::Stage { name } => task.iter().for_each(|task| (task.stage)(&name)),
                _ => {}
            }
        }
        Err(Self::lost(process, stop, "setup"))
    }

    /// The process is gone, or about to be.
    fn lost(process: Process, stop: &Stop, what: &str) -> Failed {
        stop.clear();
        if let Some(offence) = process.offence() {
            process.end(Duration::ZERO);
            let _ = process.finished();
            return Failed::new("request-rejected", offence);
        }
        let finished = process.finished();
        if stop.why().is_some() {
            return Failed::stopped();
        }
        match finished {
            Ok(finished) => judge::of_end(&finished, what),
            Err(why) => Failed::new("unknown", format!("the worker was lost during {what}: {why}")),
        }
    }

    /// `setup` has raised: nothing can be done with this process.
    fn raised(&self, process: Process, error: &Raised, what: &str) -> Failed {
        let (run, printed) = (process.place().run, process.printed(&HashMap::new()));
        let _ = process.dismiss(DISMISS_WITHIN);
        let failed = judge::of_exception(&self.shared.scene(run), printed, &headline(error), &error.traceback);
        Failed { explanation: format!("{what} failed: {}", failed.explanation), ..failed }
    }

    /// Gives the task to the process; `None` if it took no more work.
    fn predict(&mut self, task: &Task<'_>) -> Option<Result<Done, Failed>> {
        let watched = self.watched(task);
        let process = self.process.as_mut()?;
        let from = process.output_from();
        let limit = limited(task);
        if limit.is_zero() {
            let words = "its deadline passed before a worker was ready for it";
            return Some(Err(Failed { kind: FailedKind::Overdue, ..Failed::new("unknown", words) }));
        }
        let begun = process.begin(Work {
            what: format!("job {}", task.job),
            deadline: Instant::now() + limit,
            limit,
            heartbeat: self.shared.host.settings.heartbeat_timeout,
            output_from: from.clone(),
        });
        if !begun {
            return None;
        }
        self.last_inputs = watched;
        process.jobs += 1;
        task.stop.on_stop(process.ender());
        let Task { job, attempt, inputs, files, out, .. } = *task;
        let asked = process.ask(&Ask::Predict { job, attempt, inputs, files, out }).is_ok();
        let answer = asked.then(|| answer(process, task)).flatten();
        task.stop.clear();
        Some(match answer {
            Some(Ok(done)) => {
                process.done();
                // Some open theirs only with their first job.
                if process.jobs == 1 {
                    self.gpus = opened_by(process);
                }
                Ok(Done { output_from: from, ..done })
            }
            Some(Err(Refusal::Raised(error, poisoned))) => {
                process.done();
                if error.kind == "InputError" {
                    return Some(Err(Failed::new("request-rejected", error.message)));
                }
                let scene = self.shared.scene(process.place().run);
                let failed = judge::of_exception(&scene, process.printed(&from), &headline(&error), &error.traceback);
                if poisoned {
                    self.spoilt = Some(format!("after {}, its GPU context is lost", error.kind));
                } else if spoils(&failed.cause) {
                    self.spoilt = Some(format!("after {}", failed.cause));
                }
                Err(failed)
            }
            Some(Err(Refusal::Garbled(why))) => {
                process.done();
                self.spoilt = Some("its answer could not be read".to_owned());
                Err(Failed::new("unknown", format!("its answer cannot be read: {why}")))
            }
            None => {
                let process = self.process.take()?;
                Err(Self::lost(process, task.stop, "predict"))
            }
        })
    }
}

fn opened_by(process: &Process) -> Vec<String> {
    process.place().pid.map(gpus::opened_by).unwrap_or_default()
}

/// Why there is no result.
enum Refusal {
    /// `predict` has raised this; its process may be spoilt.
    Raised(Raised, bool),
    /// There is an answer that is none.
    Garbled(String),
}

/// Waits for the answer to a task; `None` if the process is gone.
fn answer(process: &mut Process, task: &Task<'_>) -> Option<Result<Done, Refusal>> {
    let ours = |job: &str, attempt: u32| job == task.job && attempt == task.attempt;
    loop {
        match process.hear()? {
            Say::Done { job, attempt, values, outputs, nonfinite } if ours(&job, attempt) => {
                let values = match values {
                    Value::Object(values) => values,
                    Value::Null => Map::new(),
                    value => Map::from_iter([("output".to_owned(), value)]),
                };
                let file =
                    |made: protocol::Made| MadeFile { name: made.name, path: made.path, media_type: made.media_type };
                let files = outputs.into_iter().map(file).collect();
                return Some(Ok(Done { values, files, nonfinite, ..Done::default() }));
            }
            Say::Failed { job, attempt, error, poisoned } if ours(&job, attempt) => {
                return Some(Err(Refusal::Raised(error, poisoned)));
            }
            Say::Garbled(why) => return Some(Err(Refusal::Garbled(why))),
            Say::Progress { done, total } => (task.progress)(done, total),
            Say::Stage { name } => (task.stage)(&name),
            _ => {}
        }
    }
}

impl Seat for WorkerSeat {
    fn warm(&mut self, stop: &Stop) {
        // What cannot be set up says so again when a job comes.
        if self.trouble.is_none()
            && let Err(failed) = self.ensure(None, None, stop)
            && failed.kind != FailedKind::Stopped
        {
            let Failed { cause, explanation, .. } = failed;
            self.shared.host.tell(&format!("no worker: {explanation} ({cause})"));
        }
    }

    fn work(&mut self, task: &Task<'_>) -> Result<Done, Failed> {
        // One that was about to be ended when it got the task is replaced, and does not count.
        for _ in 0..3 {
            self.ensure(task.profile, Some(task), task.stop)?;
            if let Some(result) = self.predict(task) {
                return result;
            }
        }
        Err(Failed::new("unknown", "three workers in a row were ended before they took the job"))
    }

    fn quarantine(&mut self, why: &str) {
        self.spoilt = Some(why.to_owned());
    }

    fn judge_output(&self, done: &Done, made: Made, words: &str) -> Failed {
        let process = self.process.as_ref();
        let run = process.and_then(|process| process.place().run);
        let printed = process.map(|process| process.printed(&done.output_from)).unwrap_or_default();
        judge::of_output(&self.shared.scene(run), printed, made, words)
    }

    fn gpus(&self) -> Vec<String> {
        self.gpus.clone()
    }

    fn condition(&self) -> Condition {
        let place = self.process.as_ref().map(Process::place).unwrap_or_default();
        Condition {
            ready: self.process.as_ref().is_some_and(Process::is_open),
            run: place.run,
            pid: place.pid,
            jobs: self.process.as_ref().map_or(0, |process| process.jobs),
            trouble: self.trouble.clone(),
        }
    }

    fn close(&mut self, within: Duration) {
        if let Some(process) = self.process.take() {
            let _ = process.dismiss(within);
        }
    }
}

/// A cause that may have spoilt the process.
fn spoils(cause: &str) -> bool {
    use defib_core::recovery::{Remedy, remedy};
    matches!(remedy(cause), Remedy::Fresh | Remedy::Precise | Remedy::Lighter | Remedy::Elsewhere)
}

/// The time for an attempt, no longer than the job has left.
fn limited(task: &Task<'_>) -> Duration {
    let left = task.deadline.map(|at| at.saturating_duration_since(Instant::now()));
    left.map_or(task.limit, |left| left.min(task.limit))
}

fn headline(error: &Raised) -> String {
    format!("{}: {}", error.kind, error.message.lines().next().unwrap_or_default())
}

fn journal_bytes(folder: &std::path::Path) -> u64 {
    folder.join(defib_process::JOURNAL_FILE).metadata().map_or(0, |meta| meta.len())
}

fn other_protocol(protocol: u32, python: &str) -> String {
    format!(
        "the worker speaks protocol {protocol}, this defib {PROTOCOL}: an installed package `defib` of another \
         version hides the one that belongs to it; update or uninstall it (Python {python})"
    )
}
