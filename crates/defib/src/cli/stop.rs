//! `defib stop`: end a run from elsewhere.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use defib_engine::archive;

use super::state;

/// How long the run may take to end: its grace and what follows.
const WITHIN: Duration = Duration::from_secs(60);

/// End a run: ask it, wait for its grace, kill what is left
#[derive(Debug, Args)]
pub(super) struct Stop {
    /// Id of a run, its beginning, or `last`
    run: String,
}

impl Stop {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let state = state()?;
        let run = state.find(&self.run)?;
        let folder = state.folder(&run);
        let asked = defib_process::sweep::request_stop(&folder).with_context(|| format!("cannot stop {run}"))?;
        if !asked {
            bail!("run {run} does not run any more; `defib show {run}` tells how it ended");
        }
        let deadline = Instant::now() + WITHIN;
        while archive::is_running(&folder) {
            if Instant::now() > deadline {
                bail!(
                    "run {run} was asked to end and has not after {} s; `defib logs {run}` may tell why",
                    WITHIN.as_secs()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        writeln!(anstream::stdout(), "ended {run}")?;
        Ok(ExitCode::SUCCESS)
    }
}
