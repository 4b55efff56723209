//! `defib worker`: do the jobs of a state folder, without an HTTP interface.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use defib_engine::jobs::Service;
use defib_engine::orphans;
use defib_process::signals::Signals;

use super::serve::configured;
use super::{own_binary, state};
use crate::present;

/// Between two looks for signals.
const LOOK: Duration = Duration::from_millis(100);
/// Time for the jobs at work when it ends.
const STOP_GRACE: Duration = Duration::from_secs(30);

/// Do the jobs of a state folder, beside a server or without one
///
/// Takes jobs from the same queue as `defib serve`, with the backends of defib.toml.
/// SIGTERM or Ctrl+C lets jobs at work finish and hands the rest back; a second one does so
/// at once.
#[derive(Debug, Args)]
pub(super) struct Worker {
    /// Configuration [default: defib.toml]
    #[arg(long, value_name = "FILE", env = "DEFIB_CONFIG")]
    config: Option<PathBuf>,
    /// End once no job waits and none is at work
    #[arg(long)]
    drain: bool,
    /// Say nothing but what is wrong at the start
    #[arg(short, long)]
    quiet: bool,
}

impl Worker {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let state = state()?;
        let (_, settings, _) = configured(self.config.as_deref(), &state)?;
        // Before any thread: those inherit what is blocked.
        let signals = Signals::block(&[1, 2, 15]).context("cannot hear signals")?;
        let _ = orphans::sweep(&state, &own_binary()?);
        let quiet = self.quiet;
        let tell = move |text: &str| {
            if !quiet {
                present::say(text);
            }
        };
        let names: Vec<String> = settings.backends.iter().map(|backend| backend.name.clone()).collect();
        let service = Service::start(settings, state, Arc::new(tell))?;
        tell(&format!("working for {}", names.join(", ")));
        let wanted = || matches!(signals.next_signal(), Ok(Some(_)));
        let mut seen = 0;
        while !wanted() {
            let health = service.health()?;
            if self.drain && health.queued == 0 && health.running == 0 {
                break;
            }
            seen = service.wait_change(seen, LOOK);
        }
        let begun = Instant::now();
        service.stop(STOP_GRACE, &wanted);
        tell(&format!("ended after {:.1} s", begun.elapsed().as_secs_f64()));
        Ok(ExitCode::SUCCESS)
    }
}
