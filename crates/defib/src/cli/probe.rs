//! `defib probe`: a start, walked stage by stage.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use defib_core::stage::Stage;
use defib_engine::probe::{ProbePlan, Probed, Watcher, probe};
use defib_engine::session::Desk;
use defib_process::signals::Signals;

use super::run::SIGNALS;
use super::{own_binary, state};
use crate::present;
use defib_core::units;

/// A stage failed.
const STAGE_FAILED: u8 = 1;

/// Find out why a program does not start: each stage of the start by itself
///
/// Looks for the interpreter, the script and the files it names, reads its imports,
/// tries each package alone, composes the configuration, asks for the GPU, and then
/// starts the program until it works, and ends it. Exit status: 0 it starts and
/// works, 1 a stage failed, 125 if defib itself failed.
#[derive(Debug, Args)]
pub(super) struct Probe {
    /// Print the report and the stages as JSON on standard output
    #[arg(long)]
    json: bool,
    /// Longest time for each check before the start
    #[arg(long, value_name = "DURATION", value_parser = units::duration, default_value = "60s")]
    deadline: Duration,
    /// Longest time for all imports together
    #[arg(long, value_name = "DURATION", value_parser = units::duration, default_value = "5m")]
    imports_within: Duration,
    /// Longest time from the start to its first output, heartbeat or listening port
    #[arg(long, value_name = "DURATION", value_parser = units::duration, default_value = "60s")]
    start_within: Duration,
    /// How long it must go on after that
    #[arg(long, value_name = "DURATION", value_parser = units::duration, default_value = "5s")]
    settle: Duration,
    /// Do not set PYTHONUNBUFFERED for the program
    #[arg(long)]
    no_unbuffered: bool,
    /// Print no checklist, and a report only where a stage failed
    #[arg(short, long)]
    quiet: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

/// The checklist, unless it is not wanted.
struct OnStderr {
    list: Option<present::Checklist>,
}

impl Watcher for OnStderr {
    fn begins(&mut self, stage: &str, check: Option<&str>) {
        if let Some(list) = &mut self.list {
            say(&list.begins(stage, check));
        }
    }

    fn ended(&mut self, stage: &Stage) {
        if let Some(list) = &mut self.list {
            say(&list.ended(stage));
        }
    }
}

/// A closed standard error is no reason to stop.
fn say(text: &str) {
    let mut out = anstream::stderr();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

impl Probe {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let plan = self.plan()?;
        let state = state()?;
        let signals = Signals::block(&SIGNALS).context("cannot receive signals")?;
        let list = (!self.quiet).then(present::Checklist::new);
        let mut watcher = OnStderr { list };
        let probed = probe(&plan, &state, &Desk::open(signals), &mut watcher)?;
        if let Some(list) = &mut watcher.list {
            say(&list.finish());
        }
        self.tell(&probed)?;
        let code = match (probed.works(), probed.cancelled) {
            (true, _) => 0,
            (false, Some(signal)) => u8::try_from(128 + signal).unwrap_or(STAGE_FAILED),
            (false, None) => STAGE_FAILED,
        };
        Ok(ExitCode::from(code))
    }

    fn plan(&self) -> anyhow::Result<ProbePlan> {
        let cwd = std::env::current_dir().context("the working directory is gone; change to one that exists")?;
        Ok(ProbePlan {
            command: self.command.clone(),
            cwd,
            deadline: self.deadline,
            imports_within: self.imports_within,
            start_within: self.start_within,
            settle: self.settle,
            unbuffered: !self.no_unbuffered,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            exe: own_binary()?,
        })
    }

    fn tell(&self, probed: &Probed) -> anyhow::Result<()> {
        if self.json {
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&probed.report)?)?;
        }
        if self.json || self.quiet && probed.works() {
            return Ok(());
        }
        let report = &probed.report.report;
        let sources = present::Sources::of(&probed.entries);
        say(&present::of_probe(&probed.name, report, &sources));
        Ok(())
    }
}
