//! `defib why`: explain a live process, a run, or a log.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use defib_engine::{archive, why};

use super::{own_binary, state};
use crate::present;

/// Explain a process that is frozen now, a run, or a log
///
/// Looks at a live process and its children without stopping or slowing them; they
/// need not have been started by defib. With --log it works from a text alone, of
/// any operating system.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// A process id, or the id of a run
    #[arg(value_name = "PID|RUN", required_unless_present = "log")]
    target: Option<String>,
    /// Explain the end that this log shows (`-` for standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    log: Option<PathBuf>,
    /// The exit code that belongs to the log (negative for a signal)
    #[arg(long, value_name = "N", requires = "log", allow_negative_numbers = true)]
    exit_code: Option<i32>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Show the stacks of all threads too
    #[arg(long)]
    stacks: bool,
}

impl Why {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        if let Some(file) = &self.log {
            let report = why::log(file, self.exit_code)?;
            return present::print(&report, &present::Sources::default(), self.json);
        }
        let target = self.target.clone().unwrap_or_default();
        let Ok(pid) = target.parse::<i32>() else { return self.of_run(&target) };
        if pid <= 0 {
            bail!("{target} is no process id");
        }
        let explained = why::process(&own_binary()?, pid)?;
        let blind = explained.looks.last().and_then(|look| look.process(pid)).is_some_and(|process| {
            process.threads.iter().all(|thread| thread.wait == defib_core::facts::Wait::Unreadable)
        });
        let sources = present::Sources::of_looks(&explained.looks);
        let code = present::print(&explained.report, &sources, self.json)?;
        if !self.json {
            let mut out = anstream::stdout();
            write!(out, "{}", present::hidden(&explained.hidden))?;
            if let (true, Some(look)) = (self.stacks, explained.looks.last()) {
                write!(out, "{}", present::stacks(look))?;
            }
        }
        // 0 if it could look, 125 if not: the fixed interface.
        Ok(if blind { ExitCode::from(crate::exit::DEFIB_FAILED) } else { code })
    }

    fn of_run(&self, text: &str) -> anyhow::Result<ExitCode> {
        let state = state()?;
        let run = state.find(text)?;
        let entries = archive::journal(&state, &run)?;
        let report = archive::report(&state, &run)?;
        present::print(&report, &present::Sources::of(&entries), self.json)
    }
}
