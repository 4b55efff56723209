//! One snapshot of a process tree.

use serde::{Deserialize, Serialize};

use super::{Descriptor, Frame, PythonStack, Wait};

/// Scheduler state of a process or thread (`/proc/PID/stat`, field 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessState {
    /// R
    Running,
    /// S
    Sleeping,
    /// D
    DiskSleep,
    /// T
    Stopped,
    /// t
    Traced,
    /// Z
    Zombie,
    /// X, x
    Dead,
    /// I and anything newer
    Other,
}

/// One thread of a [`Process`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// Thread id.
    pub tid: i32,
    /// Kernel name (at most 15 characters).
    pub name: String,
    /// Scheduler state.
    pub state: ProcessState,
    /// What it waits for.
    pub wait: Wait,
    /// Kernel function it sleeps in, where readable; shown, never judged by.
    pub wchan: Option<String>,
    /// CPU time used so far, in seconds (clock-tick resolution).
    pub cpu_s: f64,
    /// Voluntary and involuntary context switches so far.
    pub switches: u64,
    /// Python stack, where it has one.
    pub python: Option<PythonStack>,
}

/// Malloc's heaps of one process, without blocks that were mapped on their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Heap {
    /// All bytes.
    pub bytes: u64,
    /// Bytes in free blocks.
    pub free_bytes: u64,
}

/// One process of a look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Process id.
    pub pid: i32,
    /// Parent's process id.
    pub ppid: i32,
    /// Process group.
    pub pgid: i32,
    /// Session.
    pub sid: i32,
    /// Start time in clock ticks since boot: with the pid, its identity.
    pub start_ticks: u64,
    /// Kernel name.
    pub name: String,
    /// Command line; empty for a zombie.
    pub command: Vec<String>,
    /// Executable path, where readable.
    pub executable: Option<String>,
    /// Working directory, where readable.
    pub cwd: Option<String>,
    /// Scheduler state of its main thread.
    pub state: ProcessState,
    /// Belongs to the observed tree; false for a process that was added
    /// because it holds the other end of a pipe or socket of the tree.
    pub in_tree: bool,
    /// Threads, main thread first.
    pub threads: Vec<Thread>,
    /// Open descriptors; empty where they could not be read.
    pub descriptors: Vec<Descriptor>,
    /// Characters read and written so far (`rchar`, `wchar`), where readable.
    pub read_chars: Option<u64>,
    /// See `read_chars`.
    pub written_chars: Option<u64>,
    /// Resident set size in bytes.
    pub rss_bytes: u64,
    /// A Python interpreter, with its version (`3.11`) where known.
    pub python: Option<String>,
    /// Handles SIGTERM with a handler of its own (`SigCgt`): a daemon that
    /// waits to be told to stop.
    pub catches_sigterm: bool,
    /// Handles a signal that brings news: SIGUSR1, SIGUSR2, SIGCHLD, SIGALRM or SIGIO.
    /// Its handler may wake any thread.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub heeds_signals: bool,
    /// Handles SIGINT. Python does so by default.
    pub catches_sigint: bool,
    /// Forked and never executed another program: shares its parent's image.
    pub forked_without_exec: bool,
    /// `PYTHONUNBUFFERED` is set in its environment, or `-u` given; `None` where unreadable.
    pub unbuffered: Option<bool>,
    /// Bytes printed that the C library holds back for standard output, where that
    /// was read (in the last look before an end).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back: Option<u64>,
    /// Malloc's heaps, where they were walked (the largest process, in the last look).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heap: Option<Heap>,
    /// Process id of its tracer (a debugger), if any.
    pub tracer: Option<i32>,
    /// How a zombie ended, as `wait` would tell: signal in the low seven bits,
    /// exit code in the next byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_status: Option<i32>,
}

/// Lines of a source file around the lines that stacks point at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    /// File, named as in the frames.
    pub file: String,
    /// Number of the first line, from 1.
    pub first_line: u32,
    /// The lines.
    pub lines: Vec<String>,
}

/// A frame that was seen in a short series of reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visited {
    /// Process.
    pub pid: i32,
    /// The frame, without local variables.
    pub frame: Frame,
    /// In how many of the reads.
    pub times: u32,
}

/// A file that marks something as taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LockFile {
    /// Path as the process would write it.
    pub path: String,
    /// The process whose stack or folder it was found through.
    pub seen_by: i32,
    /// Named by a local variable or the source near a frame, not only by lying around.
    pub named: bool,
    /// Seconds since it was last written.
    pub age_s: f64,
    /// A process id that it holds, as most lock files do.
    pub owner: Option<i32>,
    /// That process lives (and is older than the file).
    pub owner_alive: bool,
    /// A live process has it open or locked.
    pub held: bool,
}

/// Something that could not be read, and what would allow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// Process.
    pub pid: i32,
    /// What is hidden: `python stacks`, `waits`, `descriptors`, …
    pub what: String,
    /// Why: the error, in words.
    pub why: String,
    /// The command that would show it, if there is one.
    pub command: Option<Vec<String>>,
}

/// One snapshot of a process tree.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Look {
    /// Seconds since the start of the run (or since `why` began).
    pub at_s: f64,
    /// System-wide monotonic clock at the look, in seconds (`CLOCK_MONOTONIC`):
    /// deadlines in Python's locals are told against it.
    pub monotonic_s: f64,
    /// How long the look took, in seconds.
    pub took_s: f64,
    /// The process the look is about.
    pub root: i32,
    /// Processes of the tree, then others that hold an other end.
    pub processes: Vec<Process>,
    /// Source around the user's frames.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Excerpt>,
    /// Lock files that a thread in a polling loop may be waiting for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lock_files: Vec<LockFile>,
    /// Functions that Python came by in a short series of further reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub visited: Vec<Visited>,
    /// What could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<Denied>,
}

impl Look {
    /// The process with this id.
    #[must_use]
    pub fn process(&self, pid: i32) -> Option<&Process> {
        self.processes.iter().find(|process| process.pid == pid)
    }

    /// The source line a frame points at.
    #[must_use]
    pub fn source_line(&self, file: &str, line: u32) -> Option<&str> {
        self.sources.iter().find_map(|excerpt| {
            let index = line.checked_sub(excerpt.first_line)? as usize;
            (excerpt.file == file).then(|| excerpt.lines.get(index).map(String::as_str))?
        })
    }
}

impl Process {
    /// The descriptor with this number.
    #[must_use]
    pub fn descriptor(&self, fd: i32) -> Option<&Descriptor> {
        self.descriptors.iter().find(|descriptor| descriptor.fd == fd)
    }

    /// The main thread.
    #[must_use]
    pub fn main_thread(&self) -> Option<&Thread> {
        self.threads.iter().find(|thread| thread.tid == self.pid)
    }
}
