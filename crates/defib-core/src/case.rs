//! Everything known about one run (or one look at a stranger), for the judgement.

use crate::event::{Ending, Sender, Stream};
use crate::facts::{Kernel, Look, Objects, Vitals};
use crate::log::{FaultDump, Log, Traceback, fault_dumps};
use crate::waits::{Grade, Graph, Verdict, judge};

/// How the watched program ended, as far as known.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// It runs.
    Alive,
    /// It exited.
    Exited(i32),
    /// A signal ended it.
    Signaled(i32),
    /// It could not be started.
    NotStarted {
        /// `errno`.
        errno: i32,
        /// `execute`, `change directory`, …
        step: String,
        /// Path concerned.
        path: String,
    },
    /// Not known (a log without its exit code).
    Unknown,
}

/// A signal that reached defib.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalSeen {
    /// Seconds since the start.
    pub at_s: f64,
    /// Number.
    pub signal: i32,
    /// Who sent it.
    pub sender: Option<Sender>,
}

/// The facts of one case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Command as given.
    pub command: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// Root process of the work, where known.
    pub root: i32,
    /// The process that relays output (the shim), where there is one.
    pub relay: Option<i32>,
    /// How it ended.
    pub end: End,
    /// Seconds it ran.
    pub wall_s: f64,
    /// Its output.
    pub log: Log,
    /// Looks, oldest first; the last few belong together.
    pub looks: Vec<Look>,
    /// Vital signs, oldest first.
    pub vitals: Vec<Vitals>,
    /// What the kernel told.
    pub kernel: Kernel,
    /// Signals that reached defib.
    pub signals: Vec<SignalSeen>,
    /// Why defib ended it, if it did, and when.
    pub ending: Option<(f64, Ending)>,
    /// When the first and last byte of output came.
    pub output_s: Option<(f64, f64)>,
    /// Bytes of output.
    pub output_bytes: u64,
    /// Bytes, progress or processes moved during the last looks.
    pub moving: bool,
    /// The program sees a terminal.
    pub pty: bool,
    /// Last progress: done, total, and when it last changed.
    pub progress: Option<(f64, Option<f64>, f64)>,
    /// Units of work done so far, over time: progress or heartbeats, counted on over repeated bars.
    pub units: Vec<(f64, f64)>,
    /// Counts of live objects, oldest first.
    pub objects: Vec<Objects>,
    /// Last stage the program reported.
    pub stage: Option<String>,
    /// What is wrong with what a job made.
    pub made: Made,
    /// Ended processes of the tree: pid, command, seconds of life, for timeouts of others.
    pub lifetimes: Vec<Lifetime>,
}

/// What is wrong with what a job made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// Outputs that hold numbers which are none.
    pub nonfinite: Vec<String>,
    /// Images that are black all over.
    pub black: Vec<String>,
}

/// A process of the tree that is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Lifetime {
    /// Process id.
    pub pid: i32,
    /// Command line.
    pub command: String,
    /// Seconds it lived.
    pub lived_s: f64,
    /// Parent's process id.
    pub ppid: i32,
    /// When it was found to be gone, seconds since the start.
    pub gone_s: f64,
    /// Wait status, where it was seen.
    pub wait_status: Option<i32>,
}

impl Lifetime {
    /// The signal that ended it, where that was seen.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.wait_status.map(|status| status & 0x7f).filter(|&signal| signal != 0)
    }

    /// It ended badly, as far as was seen.
    #[must_use]
    pub fn failed(&self) -> Option<bool> {
        self.wait_status.map(|status| status != 0)
    }
}

impl Default for Case {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            cwd: String::new(),
            root: 0,
            relay: None,
            end: End::Unknown,
            wall_s: 0.0,
            log: Log::default(),
            looks: Vec::new(),
            vitals: Vec::new(),
            kernel: Kernel::default(),
            signals: Vec::new(),
            ending: None,
            output_s: None,
            output_bytes: 0,
            moving: false,
            pty: false,
            progress: None,
            units: Vec::new(),
            objects: Vec::new(),
            made: Made::default(),
            stage: None,
            lifetimes: Vec::new(),
        }
    }
}

/// A case with what is derived from it, computed once.
#[derive(Debug)]
pub struct Study<'a> {
    /// The facts.
    pub case: &'a Case,
    /// Wait graph of the last looks, where there are looks.
    pub graph: Option<Graph<'a>>,
    /// Its judgement.
    pub verdict: Option<Verdict>,
    /// Index of the traceback that ended the program, if one did.
    pub fatal: Option<usize>,
    /// Index of the traceback where the trouble began: a child's, where the
    /// fatal one only reports that a child failed.
    pub root_trace: Option<usize>,
    /// Dumps of crashed native code.
    pub faults: Vec<FaultDump>,
    /// For each stream, the line from which on it is near its end.
    near_end: Vec<(Option<Stream>, usize)>,
}

impl<'a> Study<'a> {
    /// Studies a case.
    #[must_use]
    pub fn new(case: &'a Case) -> Self {
        let graph = Graph::new(&case.looks, case.relay);
        let verdict = graph.as_ref().map(|graph| judge(graph, case.root, case.moving));
        let standing = case.end == End::Alive || case.ending.is_some();
        let stalled = verdict.as_ref().is_some_and(|verdict| verdict.grade >= Grade::Probable);
        let fatal = fatal_traceback(case);
        // Of a program that stands, the traceback of a child or thread that died is the root.
        let root_trace = if standing && stalled {
            dead_workers_traceback(case)
        } else {
            fatal.map(|fatal| root_traceback(&case.log, fatal))
        };
        Self {
            case,
            graph,
            verdict,
            fatal,
            root_trace,
            faults: fault_dumps(&case.log.lines),
            near_end: near_end(&case.log),
        }
    }

    /// The traceback that ended the program.
    #[must_use]
    pub fn fatal_traceback(&self) -> Option<&'a Traceback> {
        self.case.log.tracebacks.get(self.fatal?)
    }

    /// The traceback where the trouble began.
    #[must_use]
    pub fn root_traceback(&self) -> Option<&'a Traceback> {
        self.case.log.tracebacks.get(self.root_trace?)
    }

    /// The grade of the stall; `None` without looks.
    #[must_use]
    pub fn grade(&self) -> Grade {
        self.verdict.as_ref().map_or(Grade::None, |verdict| verdict.grade)
    }

    /// The signal that ended the program, also where a shell reported it as 128+n.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        match self.case.end {
            End::Signaled(signal) => Some(signal),
            End::Exited(code) if (129..=159).contains(&code) => Some(code - 128),
            _ => None,
        }
    }

    /// The program ended badly by itself (or how it ended is unknown).
    #[must_use]
    pub fn failed(&self) -> bool {
        match &self.case.end {
            End::Exited(code) => *code != 0,
            End::Signaled(_) | End::NotStarted { .. } | End::Unknown => true,
            End::Alive => false,
        }
    }

    /// defib's own limit (or a person) ended it.
    #[must_use]
    pub fn ended_by_defib(&self) -> bool {
        self.case.ending.is_some()
    }

    /// A limit of the user's (or a person) ended it, or it runs and is asked about:
    /// then slowness wants an explanation too.
    #[must_use]
    pub fn limit_fired(&self) -> bool {
        let limit = matches!(
            self.case.ending,
            Some((
                _,
                Ending::TimedOut { .. }
                    | Ending::NoFirstOutput { .. }
                    | Ending::NoHeartbeat { .. }
                    | Ending::OverMemory { .. }
                    | Ending::Cancelled { .. }
                    | Ending::StopRequested
            ))
        );
        limit || self.case.end == End::Alive && self.case.ending.is_none()
    }

    /// It was stuck or cut short: what matters is where it stood, not what it printed.
    #[must_use]
    pub fn was_standing(&self) -> bool {
        self.case.end == End::Alive || self.ended_by_defib()
    }

    /// First line of the part of the log that is about the end: the traceback
    /// where the trouble began, else the last forty lines of each stream.
    #[must_use]
    pub fn is_near_end(&self, index: usize) -> bool {
        if let Some(trace) = self.root_traceback()
            && index >= trace.first_line
        {
            return true;
        }
        let Some(line) = self.case.log.lines.get(index) else { return false };
        self.near_end.iter().any(|(stream, from)| *stream == line.stream && index >= *from)
    }
}

/// The index of the fortieth line from the end of each stream, found in one pass.
fn near_end(log: &Log) -> Vec<(Option<Stream>, usize)> {
    const NEAR: usize = 40;
    let mut ends: Vec<(Option<Stream>, usize, usize)> = Vec::new();
    for (index, line) in log.lines.iter().enumerate().rev() {
        match ends.iter_mut().find(|end| end.0 == line.stream) {
            Some((_, from, count)) if *count < NEAR => (*from, *count) = (index, *count + 1),
            Some(_) => {}
            None => ends.push((line.stream, index, 1)),
        }
    }
    ends.into_iter().map(|(stream, from, _)| (stream, from)).collect()
}

/// The traceback that the interpreter printed as it ended: the last of the
/// program's main thread with nothing but a few lines after it.
fn fatal_traceback(case: &Case) -> Option<usize> {
    if case.end == End::Exited(0) || case.end == End::Alive {
        return None;
    }
    let tracebacks = &case.log.tracebacks;
    let real = |index: &usize| !tracebacks[*index].ignored && !is_shutdown_noise(&tracebacks[*index]);
    let main = |index: &usize| real(index) && tracebacks[*index].thread.is_none();
    let candidates = 0..tracebacks.len();
    let last = candidates.clone().rev().find(main).or_else(|| candidates.clone().rev().find(real))?;
    Some(last)
}

/// Printed by a person's Ctrl+C or by a broken reader, not by a fault.
fn is_shutdown_noise(traceback: &Traceback) -> bool {
    traceback.last().kind == "KeyboardInterrupt" || traceback.last().name() == "CancelledError"
}

/// Exceptions that only report that another process failed.
pub(crate) const SECOND_HAND: &[&str] = &[
    "CalledProcessError",
    "BrokenProcessPool",
    "BrokenExecutor",
    "ChildFailedError",
    "ProcessRaisedException",
    "ProcessExitedException",
    "RemoteTraceback",
    "_RemoteTraceback",
    "TaskFailed",
    "EOFError",
    "BrokenPipeError",
    "SystemExit",
];

/// The traceback of a child process that died while the others wait.
fn dead_workers_traceback(case: &Case) -> Option<usize> {
    if case.lifetimes.is_empty() {
        return None;
    }
    let died = |index: &usize| {
        let traceback = &case.log.tracebacks[*index];
        !traceback.ignored && !is_shutdown_noise(traceback) && traceback.thread.is_none()
    };
    (0..case.log.tracebacks.len()).find(died)
}

/// The message tells that a service of this very machine did not answer.
fn is_local_connection(exception: &crate::log::Exception) -> bool {
    let text = exception.headline();
    let connection = ["Connection", "connect", "RemoteDisconnected", "URLError", "502", "refused", "reset"]
        .iter()
        .any(|word| text.contains(word));
    let local = ["127.0.0.1", "localhost", "::1", "0.0.0.0", "Errno 111", "Errno 104", "RemoteDisconnected"]
        .iter()
        .any(|word| text.contains(word));
    connection && local
}

/// Goes back from the fatal traceback to the one it only reports.
fn root_traceback(log: &crate::log::Log, fatal: usize) -> usize {
    let tracebacks = &log.tracebacks;
    let second_hand = SECOND_HAND.contains(&tracebacks[fatal].last().name())
        && tracebacks[fatal].root().name() == tracebacks[fatal].last().name();
    let local = tracebacks[fatal].chain.iter().any(is_local_connection);
    if !second_hand && !local {
        return fatal;
    }
    let first_hand = |index: &usize| {
        let traceback = &tracebacks[*index];
        !traceback.ignored && !is_shutdown_noise(traceback) && !SECOND_HAND.contains(&traceback.root().name())
    };
    let own = |index: &usize| !local || !tracebacks[*index].chain.iter().any(is_local_connection);
    (0..fatal).rev().find(|index| first_hand(index) && own(index)).unwrap_or(fatal)
}
