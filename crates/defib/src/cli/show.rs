//! `defib show`: the report of a run, as text, JSON, page or log.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use defib_engine::archive;

use super::{logs, state};
use crate::present;

/// Show the report of a run
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Id of a run, its beginning, or `last`
    run: String,
    /// Print the report as JSON
    #[arg(long, conflicts_with = "log")]
    json: bool,
    /// Print the kept output
    #[arg(long)]
    log: bool,
    /// Show the stacks of all threads at the last look too
    #[arg(long)]
    stacks: bool,
}

impl Show {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let state = state()?;
        let run = state.find(&self.run)?;
        if self.log {
            return logs::print(&state.folder(&run));
        }
        let report = archive::report(&state, &run).with_context(|| format!("run {run} has no readable journal"))?;
        if self.json {
            return present::print(&report, &present::Sources::default(), true);
        }
        let entries = archive::journal(&state, &run)?;
        let code = present::print(&report, &present::Sources::of(&entries), false)?;
        let looks = entries.iter().rev().find_map(|entry| match &entry.event {
            defib_core::event::Event::Look { look } => Some(look),
            _ => None,
        });
        if let (true, Some(look)) = (self.stacks, looks) {
            write!(anstream::stdout(), "{}", present::stacks(look))?;
        }
        Ok(code)
    }
}
