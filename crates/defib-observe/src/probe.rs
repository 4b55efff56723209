//! A look in disposable children, so that it can neither hurt nor hang.
//!
//! Theory of operation. The first child reads the basics and reports each
//! process as it goes; when it falls silent it is killed, and a fresh one
//! reads the process it hung on carefully (without touching its memory). Then
//! up to four children read Python stacks, one process at a time from one
//! queue; a process on which a child hangs or dies costs only that process,
//! the next goes to a fresh child. At the deadline whatever has arrived is the
//! look, and `denied` says what is missing.
//!
//! A child that is stuck in the kernel cannot be killed at once: it is left to
//! a thread that reaps it, and nobody waits for it. A child dies with the
//! thread that started it (`PR_SET_PDEATHSIG`).
//!
//! Under Yama's ptrace scope 1 only an ancestor may look. Where a child was
//! refused and this process is an ancestor, a thread of this process looks
//! instead; if it hangs it is abandoned.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use defib_core::facts::{Denied, Look, Process};
use serde::{Deserialize, Serialize};

use crate::excerpt::Collection;
use crate::look::{Fault, LookRequest, Step, basics, look, merge_python, python_pids};
use crate::python::{self, PythonRead};
use crate::survey::{Found, SurveyRequest, survey};
use crate::{sys, tree};

/// First argument by which the program knows that it is a probe.
pub const PROBE_ARGUMENT: &str = "__probe";

/// Most children that read Python stacks at the same time.
const MOST_PROBES: usize = 4;
/// A process that keeps a probe longer than this, or than a third of the
/// deadline, is given up.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the basics are begun anew.
const BASICS_TRIES: usize = 3;

/// First line that a probe reads.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    /// The supervisor; a probe of a dead supervisor ends.
    parent: i32,
    /// Serve Python stacks: one process id per further line.
    serve_python: bool,
    request: LookRequest,
    /// Take a survey instead of a look.
    survey: Option<SurveyRequest>,
}

/// Lines that a probe writes, each when it is known.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Begin(i32),
    Process(Box<Process>),
    Basics(Box<Look>),
    Python(Box<PythonRead>),
    Found(Box<Found>),
}

/// This process is a probe, whose own descriptors are no part of any tree.
static IS_PROBE: AtomicBool = AtomicBool::new(false);

/// True where `pid` is this process and this process is a probe.
pub(crate) fn is_this(pid: i32) -> bool {
    IS_PROBE.load(Ordering::Relaxed) && u32::try_from(pid) == Ok(std::process::id())
}

// ---- in the child --------------------------------------------------------

/// The probe itself: reads its order from standard input, writes JSON lines.
/// Entered when the program's first argument is [`PROBE_ARGUMENT`].
#[must_use]
pub fn probe_main() -> ExitCode {
    IS_PROBE.store(true, Ordering::Relaxed);
    let mut input = std::io::stdin().lock();
    let mut first = String::new();
    let order: Order = match input.read_line(&mut first).map(|_| serde_json::from_str(&first)) {
        Ok(Ok(order)) => order,
        _ => return ExitCode::from(2),
    };
    if !sys::die_with_parent(order.parent) {
        return ExitCode::SUCCESS;
    }
    let done = if let Some(request) = &order.survey {
        // The pipe's other end may be gone; then nobody wants to know.
        survey(request, &mut |found| drop(emit(&Line::Found(Box::new(found)))));
        Ok(())
    } else if order.serve_python {
        serve_python(&order.request, input)
    } else {
        let look = basics(&order.request, &mut |step| {
            // A closed pipe shows at the last line; the steps are a courtesy.
            let _ = match step {
                Step::Begin(pid) => emit(&Line::Begin(pid)),
                Step::Process(process) => emit(&Line::Process(Box::new(process.clone()))),
            };
        });
        emit(&Line::Basics(Box::new(look)))
    };
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn serve_python(request: &LookRequest, input: impl BufRead) -> std::io::Result<()> {
    for line in input.lines() {
        let Ok(pid) = line?.trim().parse() else {
            continue;
        };
        Fault::act(request.fault.as_ref(), pid, true);
        emit(&Line::Python(Box::new(python::read(pid, request.locals, request.burst))))?;
    }
    Ok(())
}

fn emit(line: &Line) -> std::io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    let mut output = std::io::stdout().lock();
    output.write_all(&bytes)?;
    output.flush()
}

// ---- in the supervisor ---------------------------------------------------

/// A running probe. It is killed when dropped, and nobody waits for it.
struct Probe {
    child: Option<Child>,
    input: Option<ChildStdin>,
    lines: Receiver<Line>,
}

impl Probe {
    fn start(exe: &Path, request: &LookRequest, serve_python: bool) -> std::io::Result<Self> {
        let parent = i32::try_from(std::process::id()).unwrap_or(0);
        Self::ordered(exe, &Order { parent, serve_python, request: request.clone(), survey: None })
    }

    fn ordered(exe: &Path, order: &Order) -> std::io::Result<Self> {
        let mut child = Command::new(exe)
            .arg(PROBE_ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (sender, lines) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    // A torn last line of a killed probe is not a line.
                    let Ok(line) = serde_json::from_str(&line) else {
                        continue;
                    };
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let input = child.stdin.take();
        let mut probe = Self { child: Some(child), input, lines };
        probe.write(&serde_json::to_string(order)?)?;
        Ok(probe)
    }

    /// Orders are far smaller than a pipe, so this never waits.
    fn write(&mut self, line: &str) -> std::io::Result<()> {
        match &mut self.input {
            Some(input) => input.write_all(format!("{line}\n").as_bytes()),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let _ = child.kill();
        // Stuck in the kernel it ends only when the kernel lets it.
        if !matches!(child.try_wait(), Ok(Some(_))) {
            std::thread::spawn(move || child.wait());
        }
    }
}

/// Takes a survey in a child of `exe`, and tells each finding that comes before `end`.
pub(crate) fn survey_lines(exe: &Path, request: &SurveyRequest, end: Instant, mut tell: impl FnMut(Found)) {
    let parent = i32::try_from(std::process::id()).unwrap_or(0);
    let look = LookRequest::default();
    let order = Order { parent, serve_python: false, request: look, survey: Some(request.clone()) };
    let Ok(probe) = Probe::ordered(exe, &order) else { return };
    while let Ok(line) = probe.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
        if let Line::Found(found) = line {
            tell(*found);
        }
    }
}

/// Takes a look through disposable children of `exe` (the program that calls
/// [`probe_main`]) and returns by the deadline with what had arrived.
#[must_use]
pub fn look_within(exe: &Path, request: &LookRequest, deadline: Duration) -> Look {
    let start = Instant::now();
    let end = start + deadline;
    let mut result = if request.from_here { look_from_here(request, end) } else { through_children(exe, request, end) };
    result.took_s = start.elapsed().as_secs_f64();
    result
}

fn through_children(exe: &Path, request: &LookRequest, end: Instant) -> Look {
    let mut result = basics_within(exe, request, end);
    if refused(&result) && is_own_tree(request) {
        let here = look_from_here(request, end);
        if !refused(&here) && !here.processes.is_empty() {
            return here;
        }
    }
    if request.python {
        python_within(exe, request, end, &mut result);
    }
    result
}

/// The memory or the calls of a process were refused, as Yama does.
fn refused(look: &Look) -> bool {
    look.denied.iter().any(|denied| denied.what == "waits")
}

fn is_own_tree(request: &LookRequest) -> bool {
    i32::try_from(std::process::id()).is_ok_and(|own| tree::is_ancestor(own, request.root))
}

/// Looks from a thread of this process, which is abandoned at the deadline.
fn look_from_here(request: &LookRequest, end: Instant) -> Look {
    let (sender, receiver) = mpsc::channel();
    let order = request.clone();
    let started = std::thread::Builder::new().name("defib-look".to_owned()).spawn(move || {
        let _ = sender.send(look(&order));
    });
    let left = end.saturating_duration_since(Instant::now());
    match started.map(|_| receiver.recv_timeout(left)) {
        Ok(Ok(look)) => look,
        Ok(Err(_)) => nothing(request, "the look did not end within its deadline".to_owned()),
        Err(error) => nothing(request, error.to_string()),
    }
}

fn missing(pid: i32, what: &str, why: String) -> Denied {
    Denied { pid, what: what.to_owned(), why, command: None }
}

fn nothing(request: &LookRequest, why: String) -> Look {
    Look {
        at_s: request.at_s,
        monotonic_s: sys::clock_s(libc::CLOCK_MONOTONIC),
        root: request.root,
        denied: vec![missing(request.root, "processes", why)],
        ..Look::default()
    }
}

/// A third of what is left, at most [`PATIENCE`].
fn patience(end: Instant) -> Duration {
    (end.saturating_duration_since(Instant::now()) / 3).min(PATIENCE)
}

fn basics_within(exe: &Path, request: &LookRequest, end: Instant) -> Look {
    let mut request = LookRequest { python: false, ..request.clone() };
    let mut denied = Vec::new();
    let mut partial = nothing(&request, "no probe could be started".to_owned());
    for _ in 0..BASICS_TRIES {
        if Instant::now() >= end {
            break;
        }
        match one_basics(exe, &request, end) {
            Ok(mut look) => {
                look.denied.extend(denied);
                return look;
            }
            Err((processes, Some(pid))) => {
                let why = "a probe hung or died on its memory; it was read without".to_owned();
                denied.push(missing(pid, "command and memory", why));
                request.careful.push(pid);
                partial.processes = processes;
            }
            Err((processes, None)) => {
                // All were read; it came to a halt on what joins them.
                if request.others && !processes.is_empty() {
                    request.others = false;
                    let why = "the search did not end in time".to_owned();
                    denied.push(missing(request.root, "other ends", why));
                }
                partial.processes = processes;
            }
        }
    }
    let why = "the look did not end within its deadline".to_owned();
    partial.denied = vec![missing(request.root, "sockets, other ends, further processes", why)];
    partial.denied.extend(denied);
    partial
}

/// One try. On failure: what had arrived, and the process it came to a halt on.
fn one_basics(exe: &Path, request: &LookRequest, end: Instant) -> Result<Look, (Vec<Process>, Option<i32>)> {
    let mut processes = Vec::new();
    let mut current = None;
    let Ok(probe) = Probe::start(exe, request, false) else {
        return Err((processes, None));
    };
    loop {
        // What joins the processes comes last and without steps: it gets longer.
        let joins = current.is_none() && !processes.is_empty();
        match probe.lines.recv_timeout(patience(end) * if joins { 2 } else { 1 }) {
            Ok(Line::Begin(pid)) => current = Some(pid),
            Ok(Line::Process(process)) => {
                current = None;
                processes.push(*process);
            }
            Ok(Line::Basics(look)) => return Ok(*look),
            Ok(Line::Python(_) | Line::Found(_)) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err((processes, current));
            }
        }
    }
}

fn python_within(exe: &Path, request: &LookRequest, end: Instant, look: &mut Look) {
    let pids = python_pids(look);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = cores.min(MOST_PROBES).min(pids.len());
    let queue = Mutex::new(VecDeque::from(pids));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let (sender, reads) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let sender = sender.clone();
            scope.spawn(move || python_worker(exe, request, end, next, &sender));
        }
    });
    drop(sender);
    let mut excerpts = Collection::default();
    let mut reads: Vec<PythonRead> = reads.iter().collect();
    reads.sort_by_key(|read| read.pid);
    for read in reads {
        excerpts.add(&read.sources);
        merge_python(look, read);
    }
    look.sources = excerpts.finish();
}

fn python_worker(
    exe: &Path,
    request: &LookRequest,
    end: Instant,
    next: impl Fn() -> Option<i32>,
    sender: &mpsc::Sender<PythonRead>,
) {
    let mut probe = None;
    while let Some(pid) = next() {
        let read = python_of(exe, request, end, pid, &mut probe).unwrap_or_else(|why| {
            // Whatever state it is in, the next process gets a fresh one.
            probe = None;
            let denied = Some(missing(pid, "python stacks", why));
            PythonRead { pid, denied, ..PythonRead::default() }
        });
        let _ = sender.send(read);
    }
}

fn python_of(
    exe: &Path,
    request: &LookRequest,
    end: Instant,
    pid: i32,
    probe: &mut Option<Probe>,
) -> Result<PythonRead, String> {
    if Instant::now() >= end {
        return Err("not reached within the deadline".to_owned());
    }
    let probe = match probe {
        Some(probe) => probe,
        None => probe.insert(Probe::start(exe, request, true).map_err(|error| format!("no probe: {error}"))?),
    };
    probe.write(&pid.to_string()).map_err(|error| format!("the probe died: {error}"))?;
    match probe.lines.recv_timeout(patience(end)) {
        Ok(Line::Python(read)) if read.pid == pid => Ok(*read),
        Ok(_) => Err("the probe answered out of turn".to_owned()),
        Err(RecvTimeoutError::Timeout) => Err("the probe hung on this process".to_owned()),
        Err(RecvTimeoutError::Disconnected) => Err("the probe died on this process".to_owned()),
    }
}
