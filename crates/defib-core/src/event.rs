//! The journal of a run: an append-only file of events, one JSON object a line.
//!
//! The shim writes what happens to the processes, the supervisor what it saw
//! and decided; both append whole lines with one `write` each. Released forms
//! stay readable: fields are added, never changed or removed.

use serde::{Deserialize, Serialize};

use crate::facts::{Kernel, Look, Objects, Vitals};
use crate::memory::{Decision, Measure};
use crate::orphan::Holdings;
use crate::remains::Remains;
use crate::run::RunId;

/// Version of the journal's format, in its first line.
pub const JOURNAL_VERSION: u32 = 1;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Seconds since the start of the run.
    pub at_s: f64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// A stream of the program's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Both, through a pseudo-terminal.
    Terminal,
}

impl Stream {
    /// Stem of the files that keep it: `stdout.log`, `stdout.tail`.
    #[must_use]
    pub fn stem(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Terminal => "terminal",
        }
    }
}

/// Who sent a signal (`siginfo`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// Process id; 0 for the kernel, as for Ctrl+C at a terminal.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Its command, where it could still be read.
    pub command: Option<String>,
}

/// Why defib ends a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum Ending {
    /// It cannot go on, and patience is over.
    Stalled {
        /// Seconds without any movement.
        quiet_s: f64,
    },
    /// `--timeout` passed.
    TimedOut {
        /// The limit in seconds.
        limit_s: f64,
    },
    /// `--first-output` passed without a byte.
    NoFirstOutput {
        /// The limit in seconds.
        limit_s: f64,
    },
    /// No heartbeat within `--heartbeat`.
    NoHeartbeat {
        /// The limit in seconds.
        limit_s: f64,
    },
    /// `--memory` exceeded.
    OverMemory {
        /// The limit in bytes.
        limit_bytes: u64,
        /// What was in use.
        used_bytes: u64,
        /// Of what: host memory, where nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        measure: Option<Measure>,
        /// It is started afresh then.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        recycle: bool,
    },
    /// A signal to defib: a person or a parent wants it to end.
    Cancelled {
        /// Signal number.
        signal: i32,
        /// Who sent it.
        sender: Option<Sender>,
    },
    /// `defib probe` has seen that it starts and works.
    StartSeen {
        /// By what: its first output, a port, a heartbeat.
        sign: String,
        /// When, seconds since the start of the run.
        sign_s: f64,
    },
    /// `defib stop`.
    StopRequested,
    /// The supervisor is gone.
    SupervisorGone,
}

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// First line of every journal.
    Run {
        /// [`JOURNAL_VERSION`].
        schema: u32,
        /// Id.
        run: RunId,
        /// Command as given.
        command: Vec<String>,
        /// Working directory.
        cwd: String,
        /// Start, milliseconds since the Unix epoch.
        started_ms: u64,
        /// The program sees a terminal.
        pty: bool,
        /// Version of defib.
        version: String,
    },
    /// The shim runs.
    Shim {
        /// Its process id.
        pid: i32,
        /// Its start time in clock ticks since boot.
        start_ticks: u64,
        /// `/proc/sys/kernel/random/boot_id`.
        boot_id: String,
    },
    /// The program runs.
    Started {
        /// Its process id.
        pid: i32,
        /// Its start time in clock ticks since boot.
        start_ticks: u64,
    },
    /// The program could not be started.
    NotStarted {
        /// `errno` of the failing call.
        errno: i32,
        /// What was tried, in words: `execute`, `change directory`, …
        step: String,
        /// The path concerned.
        path: String,
    },
    /// Output so far.
    Output {
        /// Stream.
        stream: Stream,
        /// Bytes so far.
        bytes: u64,
    },
    /// A stream has ended.
    StreamEnded {
        /// Stream.
        stream: Stream,
        /// Bytes in all.
        bytes: u64,
        /// Bytes that are not kept (budget, full disk).
        not_kept: u64,
        /// Why they are not kept, if any are not.
        reason: Option<String>,
        /// The reader of defib's own output went away before the end.
        reader_gone: bool,
    },
    /// sd_notify: `READY=1`, `STATUS=…`, `STOPPING=1`.
    Stage {
        /// `ready`, `stopping`, or the status text.
        name: String,
    },
    /// sd_notify `WATCHDOG=1`.
    Heartbeat,
    /// Progress read from the output.
    Progress {
        /// Units done.
        done: f64,
        /// Units in all.
        total: Option<f64>,
        /// The text it was read from.
        text: String,
    },
    /// Vital signs.
    Sample {
        /// The signs.
        vitals: Vitals,
    },
    /// A process of the tree is gone; only the first hundred are told.
    Gone {
        /// Its process id.
        pid: i32,
        /// Its parent's.
        ppid: i32,
        /// Its command line.
        command: Vec<String>,
        /// Seconds it lived, at most one sample more.
        lived_s: f64,
        /// Wait status, where it was seen before its parent had waited for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait_status: Option<i32>,
    },
    /// A look at the tree.
    Look {
        /// The look.
        look: Look,
    },
    /// A signal arrived at defib.
    Signal {
        /// Number.
        signal: i32,
        /// Who sent it.
        sender: Option<Sender>,
        /// It was passed on to the program.
        forwarded: bool,
    },
    /// The program was stopped by job control.
    Stopped {
        /// Signal number.
        signal: i32,
    },
    /// The program goes on after a stop.
    Continued,
    /// defib says something while the run goes on.
    Notice {
        /// The text.
        text: String,
    },
    /// defib ends the run.
    Ending(Ending),
    /// The program itself has ended.
    Exited {
        /// Exit code, unless a signal ended it.
        code: Option<i32>,
        /// Signal number.
        signal: Option<i32>,
        /// A core was dumped.
        core: bool,
        /// Largest resident set of the program or one of its waited-for children, bytes.
        max_rss_bytes: u64,
        /// CPU seconds of the program and its waited-for children.
        cpu_s: f64,
    },
    /// A process outlived the program (or could not be ended).
    Leftover {
        /// Process id.
        pid: i32,
        /// Command line.
        command: String,
        /// State letter of /proc/PID/stat.
        state: String,
        /// Kernel function it waits in, where readable.
        wchan: String,
        /// What became of it.
        fate: Fate,
    },
    /// The tree is ended.
    TreeEnded {
        /// How many processes defib ended.
        ended: u32,
        /// How many could not be ended.
        survivors: u32,
        /// Seconds it took.
        took_s: f64,
    },
    /// What the kernel told after the end.
    Kernel(Kernel),
    /// Live objects of a Python process, counted from inside as the user asked.
    Objects {
        /// The count.
        objects: Objects,
    },
    /// The memory policy has decided.
    Memory {
        /// What, and by which figures.
        decision: Decision,
    },
    /// The memory limit of the run, and who holds it.
    MemoryHeld {
        /// The limit, bytes.
        limit_bytes: u64,
        /// In words.
        by: String,
    },
    /// The control group that held the memory limit of the run has ended.
    GroupEnded {
        /// Its limit, bytes.
        limit_bytes: u64,
        /// Most that was in use, bytes, where the kernel keeps that.
        peak_bytes: Option<u64>,
        /// How many of its processes the kernel killed at the limit.
        kills: u64,
    },
    /// What is left besides processes, after the end.
    Remains(Remains),
    /// The supervisor is gone, and the run goes on without one, as asked.
    SupervisorLost,
    /// Another supervisor has taken the run over.
    Adopted {
        /// Its process id.
        pid: i32,
    },
    /// The run was started again after a stall.
    Restarted {
        /// Number of this restart, from 1.
        number: u32,
    },
    /// At the start of this run: a process that an earlier run had left.
    Swept {
        /// The earlier run.
        run: RunId,
        /// Its process id.
        pid: i32,
        /// Its command line.
        command: String,
        /// Seconds it had lived.
        age_s: f64,
        /// What it held.
        holdings: Holdings,
        /// It was ended; otherwise it could not be.
        ended: bool,
    },
    /// defib itself had a problem that does not end the run.
    Trouble {
        /// What, in words.
        text: String,
    },
}

/// What became of a process that outlived the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// defib ended it.
    Ended,
    /// It could not be ended.
    Survives,
    /// It was left alone as asked (`--allow-daemons`).
    Allowed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Act, Measure};

    fn samples() -> Vec<Event> {
        let sender = Sender { pid: 7, uid: 1000, command: Some("bash".into()) };
        vec![
            Event::Run {
                schema: JOURNAL_VERSION,
                run: "r1".parse().unwrap(),
                command: vec!["python3".into(), "track.py".into()],
                cwd: "/home/u".into(),
                started_ms: 1_700_000_000_000,
                pty: false,
                version: "0.1.0".into(),
            },
            Event::Shim { pid: 10, start_ticks: 99, boot_id: "b".into() },
            Event::Started { pid: 11, start_ticks: 100 },
            Event::NotStarted { errno: 2, step: "execute".into(), path: "/x".into() },
            Event::Output { stream: Stream::Stderr, bytes: 12 },
            Event::StreamEnded { stream: Stream::Stdout, bytes: 9, not_kept: 1, reason: None, reader_gone: true },
            Event::Stage { name: "ready".into() },
            Event::Heartbeat,
            Event::Progress { done: 4.0, total: Some(10.0), text: "4/10".into() },
            Event::Sample { vitals: Vitals { at_s: 1.0, ..Vitals::default() } },
            Event::Look { look: Look { at_s: 2.0, ..Look::default() } },
            Event::Signal { signal: 2, sender: Some(sender.clone()), forwarded: true },
            Event::Stopped { signal: 20 },
            Event::Continued,
            Event::Notice { text: "x".into() },
            Event::Ending(Ending::Stalled { quiet_s: 5.0 }),
            Event::Ending(Ending::Cancelled { signal: 15, sender: Some(sender) }),
            Event::Exited { code: None, signal: Some(9), core: false, max_rss_bytes: 1, cpu_s: 0.5 },
            Event::Leftover { pid: 1, command: "c".into(), state: "D".into(), wchan: "w".into(), fate: Fate::Survives },
            Event::TreeEnded { ended: 1, survivors: 0, took_s: 0.01 },
            Event::Kernel(Kernel::default()),
            Event::Restarted { number: 1 },
            Event::SupervisorLost,
            Event::Adopted { pid: 8 },
            Event::Remains(Remains::default()),
            Event::Objects { objects: Objects { pid: 9, ..Objects::default() } },
            Event::Memory {
                decision: Decision { act: Act::Warn, measure: Measure::Host, used_bytes: 2, limit_bytes: 1 },
            },
            Event::MemoryHeld { limit_bytes: 5, by: "polled".into() },
            Event::GroupEnded { limit_bytes: 5, peak_bytes: Some(5), kills: 1 },
            Event::Trouble { text: "t".into() },
            Event::Swept {
                run: "r2".parse().unwrap(),
                pid: 12,
                command: "c".into(),
                age_s: 60.0,
                holdings: Holdings { ports: vec!["127.0.0.1:80".into()], ..Holdings::default() },
                ended: true,
            },
        ]
    }

    #[test]
    fn every_event_survives_the_journal() {
        for event in samples() {
            let entry = Entry { at_s: 1.5, event };
            let text = serde_json::to_string(&entry).unwrap();
            assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry, "{text}");
        }
    }

    #[test]
    fn the_journal_keeps_its_form() {
        let lines: Vec<String> =
            samples().into_iter().map(|event| serde_json::to_string(&Entry { at_s: 1.5, event }).unwrap()).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
