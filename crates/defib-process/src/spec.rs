//! What a shim is told, and the words supervisor and shim exchange.
//!
//! The spec travels as JSON in an anonymous memory file, not in the arguments,
//! where `ps` would show it. After that both sides send JSON lines over one
//! socket pair: [`Command`] down, `Entry` up.

use std::path::PathBuf;

use defib_core::event::{Ending, Stream};
use defib_core::run::RunId;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::pty::WindowSize;

/// Name of the environment variable that says to which run a process belongs.
pub const RUN_VARIABLE: &str = "DEFIB_RUN";

/// Name of the environment variable that gives the number of the line's descriptor.
pub const LINE_VARIABLE: &str = "DEFIB_CONTROL";

/// What to run and how to hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShimSpec {
    /// Id of the run.
    pub run: RunId,
    /// Start of the run.
    pub clock: Clock,
    /// Program and arguments; never empty.
    pub command: Vec<String>,
    /// Working directory of the program.
    pub cwd: PathBuf,
    /// Variables set for the program, over the inherited environment.
    pub set_env: Vec<(String, String)>,
    /// Variables taken away from the program.
    pub unset_env: Vec<String>,
    /// Folder of the run, which exists: journal, lock and kept output.
    pub folder: PathBuf,
    /// Version of defib, for the journal.
    pub version: String,
    /// The pseudo-terminal the program sees, if any.
    pub terminal: Option<Terminal>,
    /// How much of the output is kept.
    pub keep: Keep,
    /// Seconds between the request to end (SIGTERM) and SIGKILL.
    pub grace_s: f64,
    /// Processes that outlive the program are left alone.
    pub allow_daemons: bool,
    /// Mark the program with a soft RLIMIT_MSGQUEUE, which survives a wiped environment.
    pub mark: bool,
    /// cgroup (folder) the program is put into.
    pub cgroup: Option<PathBuf>,
    /// The run goes on when its supervisor is gone, and waits for another.
    #[serde(default)]
    pub outlives_supervisor: bool,
    /// Output is kept and not passed on.
    #[serde(default)]
    pub quiet: bool,
    /// The program gets no standard input.
    #[serde(default)]
    pub no_input: bool,
    /// The program has a socket to whoever started it, apart from its output.
    #[serde(default)]
    pub line: bool,
}

impl ShimSpec {
    /// A run of `command` with the usual settings: in the current folder,
    /// over pipes, 256 MiB of output kept, ten seconds of grace.
    #[must_use]
    pub fn new(run: RunId, command: Vec<String>, folder: PathBuf) -> Self {
        Self {
            run,
            clock: Clock::start(),
            command,
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            set_env: Vec::new(),
            unset_env: Vec::new(),
            folder,
            version: String::new(),
            terminal: None,
            keep: Keep::default(),
            grace_s: 10.0,
            allow_daemons: false,
            mark: true,
            cgroup: None,
            outlives_supervisor: false,
            quiet: false,
            no_input: false,
            line: false,
        }
    }

    /// The streams of output this run has.
    #[must_use]
    pub fn streams(&self) -> Vec<Stream> {
        let terminal = self.terminal.unwrap_or_default();
        let mut streams = Vec::new();
        if terminal.any() {
            streams.push(Stream::Terminal);
        }
        if !terminal.stdout {
            streams.push(Stream::Stdout);
        }
        if !terminal.stderr {
            streams.push(Stream::Stderr);
        }
        streams
    }
}

/// Which standard descriptors of the program are the pseudo-terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Size of its window at the start.
    pub size: WindowSize,
}

impl Terminal {
    /// Any of the three is.
    #[must_use]
    pub fn any(self) -> bool {
        self.stdin || self.stdout || self.stderr
    }
}

/// How much of the output is kept in the folder of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Everything.
    All,
    /// At most so much over all streams: the beginning and the end.
    Budget {
        /// Bytes.
        bytes: u64,
    },
}

impl Default for Keep {
    fn default() -> Self {
        Self::Budget { bytes: 256 << 20 }
    }
}

/// What the supervisor tells its shim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Command {
    /// Pass a signal on to the program's process group.
    Signal { signal: i32 },
    /// End the run: ask, wait for the grace, kill.
    End { ending: Ending, grace_s: Option<f64> },
    /// Take the run over from a supervisor that is gone.
    Adopt { pid: i32 },
    /// Kill now what is left, and deliver no more output.
    EndNow,
}
