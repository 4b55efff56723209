//! `defib run`: supervise a command.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use defib_core::event::Event;
use defib_core::remains::Remains;
use defib_core::report::{OutcomeKind, Report};
use defib_engine::session::{
    self, Audience, Finished, IfSupervisorDies, Limits, MemoryPlan, OnStall, Plan, SessionError, supervise,
};
use defib_engine::{archive, orphans};
use defib_process::signals::Signals;
use defib_process::{AdoptError, Keep};
use defib_store::{Index, Retention, State};

use super::{memory, own_binary, snapshot, state};
use crate::config::{self, Config};
use crate::present::{self, style};
use defib_core::units;

/// Signals that are forwarded or acted upon: HUP, INT, QUIT, USR1, USR2, TERM, TSTP, CONT, WINCH.
pub(super) const SIGNALS: [i32; 9] = [1, 2, 3, 10, 12, 15, 20, 18, 28];
/// Exit status of a supervisor whose terminal went, while the run goes on: 128 + SIGHUP.
const HUNG_UP: u8 = 129;
/// Longest time that `--notify` may take.
const NOTIFY_WITHIN: Duration = Duration::from_secs(30);

/// Supervise a command: hold its processes, keep its output, explain its end
///
/// The program's own output passes through untouched; the report goes to standard
/// error. Exit status: the program's own; 128+n if a signal ended it; 124 if defib
/// ended it; 130 after Ctrl+C; 125 if defib itself failed; 126/127 if the command
/// could not be executed or was not found.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print the report as JSON instead of text (on standard error)
    #[arg(long)]
    json: bool,
    /// End it when nothing has moved for so long and nothing can [default: 30s, proved stalls only]
    #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "DEFIB_STALL_AFTER")]
    stall_after: Option<Duration>,
    /// End it when it has printed nothing after so long
    #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "DEFIB_FIRST_OUTPUT")]
    first_output: Option<Duration>,
    /// End it after so long in any case
    #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "DEFIB_TIMEOUT")]
    timeout: Option<Duration>,
    /// End it when no heartbeat (sd_notify WATCHDOG=1) has come for so long
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    heartbeat: Option<Duration>,
    #[command(flatten)]
    memory: memory::MemoryFlags,
    /// Time between the request to end and the kill [default: 10s, 2s for a stalled program]
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    grace: Option<Duration>,
    /// What to do when it is stalled [default: stop]
    #[arg(long, value_enum)]
    on_stall: Option<OnStallFlag>,
    /// How often a stalled run is started again with --on-stall restart [default: 1]
    #[arg(long, value_name = "N")]
    restarts: Option<u32>,
    /// Keep at most so much output, beginning and end, or `all` [default: 256MiB]
    #[arg(long, value_name = "SIZE|all", value_parser = keep)]
    keep_output: Option<Keep>,
    /// Leave processes alone that outlive the program
    #[arg(long)]
    allow_daemons: bool,
    /// Run this shell command with the report on its standard input when the run ends badly
    #[arg(long, value_name = "CMD")]
    notify: Option<String>,
    /// Give the program pipes even on a terminal
    #[arg(long)]
    no_pty: bool,
    /// Do not set PYTHONUNBUFFERED for the program
    #[arg(long)]
    no_unbuffered: bool,
    /// Do not set PYTHONFAULTHANDLER for the program
    #[arg(long)]
    no_faulthandler: bool,
    /// Take no snapshot of the machine when the run ends badly
    #[arg(long)]
    no_snapshot: bool,
    /// Print nothing of defib's own
    #[arg(short, long)]
    quiet: bool,
    #[arg(skip)]
    memory_plan: MemoryPlan,
    /// What becomes of the run when this defib dies or its terminal goes [default: end]
    #[arg(long, value_enum, env = "DEFIB_IF_SUPERVISOR_DIES")]
    if_supervisor_dies: Option<IfSupervisorDiesFlag>,
    /// Take over a run whose defib died, started with --if-supervisor-dies keep
    #[arg(long, value_name = "RUN", conflicts_with = "command")]
    adopt: Option<String>,
    /// The command and its arguments
    #[arg(last = true, required_unless_present = "adopt", value_name = "CMD")]
    command: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnStallFlag {
    /// End the run
    Stop,
    /// Say so and let it go on
    Report,
    /// End it and start it again
    Restart,
}

impl From<OnStallFlag> for OnStall {
    fn from(flag: OnStallFlag) -> Self {
        match flag {
            OnStallFlag::Stop => Self::Stop,
            OnStallFlag::Report => Self::Report,
            OnStallFlag::Restart => Self::Restart,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum IfSupervisorDiesFlag {
    /// It is ended, with all its processes
    End,
    /// It goes on, with log and journal, until it ends or is taken over
    Keep,
}

impl From<IfSupervisorDiesFlag> for IfSupervisorDies {
    fn from(flag: IfSupervisorDiesFlag) -> Self {
        match flag {
            IfSupervisorDiesFlag::End => Self::End,
            IfSupervisorDiesFlag::Keep => Self::Keep,
        }
    }
}

fn keep(text: &str) -> Result<Keep, String> {
    if text == "all" { Ok(Keep::All) } else { units::size(text).map(|bytes| Keep::Budget { bytes }) }
}

/// Says notices on standard error.
struct OnStderr {
    quiet: bool,
}

impl Audience for OnStderr {
    fn notice(&mut self, text: &str) {
        if !self.quiet {
            // In raw mode a line end needs its carriage return; elsewhere it does no harm.
            let end = if rustix::termios::isatty(rustix::stdio::stderr()) { "\r\n" } else { "\n" };
            let text = text.replace('\n', end);
            let _ = write!(anstream::stderr(), "{}defib:{:#} {text}{end}", style::NOTE, style::NOTE);
        }
    }
}

impl Run {
    pub(super) fn execute(mut self) -> anyhow::Result<ExitCode> {
        let config = config::load()?;
        self.fill_in(&config)?;
        let report = self.report.clone();
        if let Some(file) = &report {
            // Found out before the program runs, not after hours.
            std::fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(file)
                .with_context(|| format!("cannot write the report to {}", file.display()))?;
        }
        let state = state()?;
        self.memory_plan = self.memory.plan(&config, &state)?;
        let signals = Signals::block(&SIGNALS).context("cannot receive signals")?;
        let housekeeping = Housekeeping::start(&state, &config)?;
        let mut audience = OnStderr { quiet: self.quiet };
        let finished = match &self.adopt {
            Some(run) => self.take_over(run, &state, signals, &mut audience),
            None => {
                let plan = Plan { before: housekeeping.swept.clone(), ..self.plan()? };
                supervise(&plan, &state, signals, &mut audience)
            }
        };
        let finished = match finished {
            // As if the hangup had ended it: the program goes on, and says nothing here.
            Err(error @ SessionError::Detached(_)) => {
                let _ = writeln!(std::io::stderr(), "defib: {error}");
                return Ok(ExitCode::from(HUNG_UP));
            }
            other => other?,
        };
        housekeeping.finish(&state, &finished);
        let outcome = &finished.report.outcome;
        let badly = !outcome.healthy && outcome.kind != OutcomeKind::Cancelled;
        let snapshot = (badly && !self.no_snapshot).then(|| snapshot::AtEnd::begin(&finished.run)).flatten();
        let told = self.tell(&finished);
        snapshot.into_iter().for_each(snapshot::AtEnd::finish);
        told?;
        Ok(ExitCode::from(finished.status))
    }

    /// Takes a run over. What flags say now counts; for the rest, what they said then.
    fn take_over(
        &self,
        run: &str,
        state: &State,
        signals: Signals,
        audience: &mut OnStderr,
    ) -> Result<Finished, SessionError> {
        let run = state.find(run)?;
        let own = self.limits();
        let adjust = |plan: &mut Plan| {
            let limits = &mut plan.limits;
            limits.stall_after = own.stall_after.or(limits.stall_after);
            limits.first_output = own.first_output.or(limits.first_output);
            limits.timeout = own.timeout.or(limits.timeout);
            limits.heartbeat = own.heartbeat.or(limits.heartbeat);
            plan.grace = self.grace.or(plan.grace);
            plan.on_stall = self.on_stall.map_or(plan.on_stall, OnStall::from);
            if !self.memory_plan.policy.rules.is_empty() {
                plan.memory.policy = self.memory_plan.policy.clone();
            }
            if let Some(flag) = self.if_supervisor_dies {
                plan.if_supervisor_dies = flag.into();
            }
            if let Ok(exe) = own_binary() {
                plan.exe = exe;
            }
        };
        match session::adopt(&run, state, signals, audience, adjust) {
            // It ended while nobody watched: the journal knows how.
            Err(SessionError::Adopt(AdoptError::Over)) => archive::finished(state, &run),
            other => other,
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            stall_after: self.stall_after,
            first_output: self.first_output,
            timeout: self.timeout,
            heartbeat: self.heartbeat,
        }
    }

    /// Takes from the configuration what no flag says.
    fn fill_in(&mut self, config: &Config) -> anyhow::Result<()> {
        let run = &config.run;
        let wrong = |key: &'static str| move |error: String| anyhow!("{key} in defib.toml: {error}");
        let duration = |flag: &mut Option<Duration>, key: &'static str, value: &Option<String>| {
            if let (None, Some(text)) = (&flag, value) {
                *flag = Some(units::duration(text).map_err(wrong(key))?);
            }
            anyhow::Ok(())
        };
        duration(&mut self.stall_after, "stall-after", &run.stall_after)?;
        duration(&mut self.first_output, "first-output", &run.first_output)?;
        duration(&mut self.timeout, "timeout", &run.timeout)?;
        duration(&mut self.heartbeat, "heartbeat", &run.heartbeat)?;
        duration(&mut self.grace, "grace", &run.grace)?;
        if let (None, Some(text)) = (self.keep_output, &config.keep.output) {
            self.keep_output = Some(keep(text).map_err(wrong("output"))?);
        }
        if let (None, Some(text)) = (self.on_stall, &run.on_stall) {
            self.on_stall = Some(OnStallFlag::from_str(text, true).map_err(wrong("on-stall"))?);
        }
        if let (None, Some(text)) = (self.if_supervisor_dies, &run.if_supervisor_dies) {
            let flag = IfSupervisorDiesFlag::from_str(text, true).map_err(wrong("if-supervisor-dies"))?;
            self.if_supervisor_dies = Some(flag);
        }
        self.restarts = self.restarts.or(run.restarts);
        self.no_snapshot |= run.snapshot == Some(false);
        self.notify = self.notify.take().or_else(|| run.notify.clone());
        Ok(())
    }

    fn plan(&self) -> anyhow::Result<Plan> {
        let cwd = std::env::current_dir().context("the working directory is gone; change to one that exists")?;
        Ok(Plan {
            command: self.command.clone(),
            cwd,
            before: Vec::new(),
            limits: self.limits(),
            if_supervisor_dies: self.if_supervisor_dies.map_or(IfSupervisorDies::End, IfSupervisorDies::from),
            memory: self.memory_plan.clone(),
            on_stall: self.on_stall.map_or(OnStall::Stop, OnStall::from),
            restarts: self.restarts.unwrap_or(1),
            grace: self.grace,
            keep: self.keep_output.unwrap_or_default(),
            allow_daemons: self.allow_daemons,
            pty: !self.no_pty,
            unbuffered: !self.no_unbuffered,
            faulthandler: !self.no_faulthandler,
            quiet: false,
            no_input: false,
            set_env: Vec::new(),
            start: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            exe: own_binary()?,
        })
    }

    fn tell(&self, finished: &Finished) -> anyhow::Result<()> {
        let report = &finished.report;
        if let Some(file) = &self.report {
            let text = serde_json::to_vec_pretty(report)?;
            std::fs::write(file, text).with_context(|| format!("cannot write the report to {}", file.display()))?;
        }
        if self.json {
            let _ = writeln!(std::io::stderr(), "{}", serde_json::to_string_pretty(report)?);
        } else if !self.quiet && present::worth_showing(report) {
            let _ = anstream::stderr()
                .write_all(present::report(report, &present::Sources::of(&finished.entries)).as_bytes());
        } else if let Some(words) = report.remains.as_ref().and_then(Remains::words).filter(|_| !self.quiet) {
            anstream::eprintln!("{}defib:{:#} {words}", style::NOTE, style::NOTE);
        }
        if let Some(notify) = self.notify.as_ref().filter(|_| !report.outcome.healthy) {
            call(notify, report);
        }
        Ok(())
    }
}

/// Runs the notify command with the report, for a bounded time.
fn call(notify: &str, report: &Report) {
    let started = Command::new("sh")
        .args(["-c", notify])
        .env("DEFIB_RUN_ID", &report.run.id)
        .env("DEFIB_OUTCOME", report.outcome.kind.name())
        .env("DEFIB_CAUSE", report.causes.first().map_or("", |cause| cause.id.as_str()))
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else { return };
    let text = serde_json::to_vec(report).unwrap_or_default();
    let input = child.stdin.take();
    std::thread::spawn(move || input.map(|mut input| input.write_all(&text)));
    let deadline = Instant::now() + NOTIFY_WITHIN;
    while Instant::now() < deadline {
        if let Ok(Some(_)) | Err(_) = child.try_wait() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    anstream::eprintln!("defib: --notify was ended after {} s", NOTIFY_WITHIN.as_secs());
}

/// What is done beside the run: what earlier runs left, and the budget of folders.
struct Housekeeping {
    retention: Retention,
    /// What was swept, for the journal of this run.
    swept: Vec<Event>,
}

impl Housekeeping {
    fn start(state: &State, config: &Config) -> anyhow::Result<Self> {
        Ok(Self { retention: config.keep.retention()?, swept: sweep(state)? })
    }

    /// Enters the run into the index and keeps the folders within their budget.
    fn finish(self, state: &State, finished: &Finished) {
        // The index is a cache: `defib runs` reads the folders where it lacks a row.
        if let Ok(index) = Index::open(state.root()) {
            let _ = index.put(&archive::row_of(finished));
            // Rarely, and never in the way of a short run.
            if finished.report.run.wall_s > 1.0 || finished.run.as_str().ends_with('0') {
                archive::keep_within(&self.retention, state, &index);
            }
        }
    }
}

/// Ends what an earlier run left, and says what that was and what it held.
fn sweep(state: &State) -> anyhow::Result<Vec<Event>> {
    let swept = orphans::sweep(state, &own_binary()?);
    for (text, all) in [("ended", &swept.ended), ("could not end", &swept.left)] {
        if !all.is_empty() {
            let what = present::orphans::swept_line(text, all);
            anstream::eprintln!("{}defib:{:#} {what}", style::NOTE, style::NOTE);
        }
    }
    Ok(swept.events())
}
