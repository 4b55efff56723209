//! What the user asked for.

use std::path::PathBuf;
use std::time::Duration;

use defib_core::event::Event;
use defib_process::Keep;
use serde::{Deserialize, Serialize};

use super::memory::MemoryPlan;
use super::start::StartGoal;

/// Limits the user set; without one, nothing is ended for it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Patience with a stall, proved or probable; without it only a proved stall
    /// is ended, after 30 s.
    pub stall_after: Option<Duration>,
    /// Longest time until the first byte of output.
    pub first_output: Option<Duration>,
    /// Longest time in all.
    pub timeout: Option<Duration>,
    /// Longest time between two heartbeats (`sd_notify WATCHDOG=1`).
    pub heartbeat: Option<Duration>,
}

/// What to do about a stall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OnStall {
    /// End the run.
    #[default]
    Stop,
    /// Say so and let it go on.
    Report,
    /// End it and start it again.
    Restart,
}

/// What becomes of the run when its supervisor is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum IfSupervisorDies {
    /// It ends.
    #[default]
    End,
    /// Its shim keeps it, with log and journal, until it ends or is taken over.
    Keep,
}

/// One run to supervise.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Working directory of the program.
    pub cwd: PathBuf,
    /// What was done before the start and belongs into its journal.
    #[serde(skip)]
    pub before: Vec<Event>,
    /// Limits.
    pub limits: Limits,
    /// What to do about its memory.
    pub memory: MemoryPlan,
    /// What to do about a stall.
    pub on_stall: OnStall,
    /// How often a stalled run may be started again.
    pub restarts: u32,
    /// Time between the polite request to end and SIGKILL.
    pub grace: Option<Duration>,
    /// How much output is kept.
    pub keep: Keep,
    /// Leave processes alone that outlive the program.
    pub allow_daemons: bool,
    /// The program sees a terminal where defib has one.
    pub pty: bool,
    /// Make Python print at once (`PYTHONUNBUFFERED=1`).
    pub unbuffered: bool,
    /// Let Python print its stacks when native code crashes (`PYTHONFAULTHANDLER=1`).
    pub faulthandler: bool,
    /// Output is kept and not passed on.
    pub quiet: bool,
    /// The program gets no standard input.
    pub no_input: bool,
    /// Variables set for the program.
    #[serde(default)]
    pub set_env: Vec<(String, String)>,
    /// End it once it is seen to work.
    #[serde(skip)]
    pub start: Option<StartGoal>,
    /// What becomes of it when its supervisor is gone.
    pub if_supervisor_dies: IfSupervisorDies,
    /// Version of defib, for the journal.
    pub version: String,
    /// This program's own binary, which probes are started from.
    pub exe: PathBuf,
}
