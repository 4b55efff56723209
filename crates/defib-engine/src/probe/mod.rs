//! A start, walked stage by stage, as a person would check it by hand.
//!
//! Flow. Each stage is a function that looks at what the command names, and runs at
//! most something small and bounded for it: one session per run, so nothing outlives
//! it and its end is judged by the same diagnosis as every run. The first stage that
//! fails ends the walk; its run gives the report. The last stage starts the program
//! itself, until it is seen to work.
//!
//! ```text
//!  command ─► interpreter ─► script ─► files ─► reading ─► imports ─► partners
//!                                                              │
//!              report ◄─ work ◄─ start ◄─ gpu ◄─ configuration ┘
//! ```
//!
//! A helper runs in the program's own interpreter, with its options, folder and
//! environment. Before the start nothing of the user's is executed but what
//! `--help` or `--cfg job` execute: imports of installed packages are tried alone,
//! the user's own modules are only read.

mod command;
mod configuration;
mod gpu;
mod imports;
mod importtime;
mod named;
mod partners;
mod place;
mod python;
mod ran;
mod reading;
mod resolve;
mod source;
mod starting;
mod versions;
mod walk;

use std::path::PathBuf;
use std::time::Duration;

use defib_core::event::Entry;
use defib_core::stage::{ProbeReport, Stage};
use defib_store::State;

use crate::session::{Desk, SessionError};

/// What to probe, and how long it may take.
#[derive(Debug, Clone)]
pub struct ProbePlan {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Working directory.
    pub cwd: PathBuf,
    /// Deadline of each check before the start.
    pub deadline: Duration,
    /// Longest time for all imports together.
    pub imports_within: Duration,
    /// Longest time from the start to the first sign.
    pub start_within: Duration,
    /// How long it must go on after it.
    pub settle: Duration,
    /// Make Python print at once (`PYTHONUNBUFFERED=1`).
    pub unbuffered: bool,
    /// Version of defib, for the journals.
    pub version: String,
    /// This program's own binary.
    pub exe: PathBuf,
}

/// Who hears of the walk while it goes on.
pub trait Watcher {
    /// A stage begins, or a check within it.
    fn begins(&mut self, stage: &str, check: Option<&str>);
    /// A stage has ended.
    fn ended(&mut self, stage: &Stage);
}

/// A walk that is over.
#[derive(Debug)]
pub struct Probed {
    /// What the program is called, without its wrapper and interpreter.
    pub name: String,
    /// Report and stages.
    pub report: ProbeReport,
    /// Journal of the run that the report is about.
    pub entries: Vec<Entry>,
    /// The signal by which a person ended the walk.
    pub cancelled: Option<i32>,
}

impl Probed {
    /// It starts and works.
    #[must_use]
    pub fn works(&self) -> bool {
        self.report.report.outcome.healthy && self.cancelled.is_none()
    }
}

/// Walks the stages of a start.
///
/// # Errors
/// Where a run cannot be supervised at all.
pub fn probe(plan: &ProbePlan, state: &State, desk: &Desk, watcher: &mut dyn Watcher) -> Result<Probed, SessionError> {
    walk::Walk::new(plan, state, desk, watcher).through()
}
