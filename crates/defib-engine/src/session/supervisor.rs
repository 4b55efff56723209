//! The session's main loop.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use defib_core::account;
use defib_core::event::{Ending, Entry, Event, Sender as SignalSender};
use defib_core::facts::Look;
use defib_core::report::{OutcomeKind, Report};
use defib_core::run::RunId;
use defib_observe::{LookRequest, OomWatch, Sample};
use defib_process::cgroup;
use defib_process::signals::Signals;
use defib_process::{AdoptError, Clock, RawMode, Shim, ShimSpec, StartError, Terminal, window_size};
use defib_store::{State, StateError};
use rustix::termios::isatty;

use super::adopt;
use super::desk::Desk;
use super::duty::Duty;
use super::feeds::{self, Happening};
use super::keyboard;
use super::memory::{self, MemoryWatch};
use super::patience::{Advice, Patience, Settings};
use super::plan::{IfSupervisorDies, OnStall, Plan};
use super::progress::ProgressReader;
use super::signals::SIGINT;
use super::start::{Seen, StartWatch};
use super::worker::OnDuty;
use crate::archive;

/// Time a look may take while the program runs.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// Time the last look before an ending may take: evidence first, but not for ever.
pub(super) const LAST_LOOK_WITHIN: Duration = Duration::from_millis(2500);
/// Grace for a stalled program: it was asked, and it cannot answer.
const STALLED_GRACE_S: f64 = 2.0;
/// Most ended processes that are written down: a build starts thousands.
const MOST_GONE: u32 = 100;
/// Vital signs are written down no more often than this, seconds.
const SAMPLES_APART_S: f64 = 0.15;
/// The same for a worker that is idle, or has pieces of work too short to tell of.
const IDLE_SAMPLES_APART_S: f64 = 20.0;
/// Time the last look may take while memory grows.
pub(super) const MEMORY_LOOK_WITHIN: Duration = Duration::from_millis(1500);
/// A run that is recycled sooner than this may be over its threshold from the start.
const SHORT_LIFE_S: f64 = 60.0;
/// So many short lives in a row, and it is not started again.
const MOST_SHORT_LIVES: u32 = 3;
/// Grace where the user asked for none.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// Longest time a shim takes to kill a tree, or to give up on it.
const SHIM_WITHIN: Duration = Duration::from_secs(20);

/// A run could not be supervised. Every text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The state folder.
    #[error(transparent)]
    State(#[from] StateError),
    /// Taking it over.
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    /// The terminal of a run that outlives its supervisor is gone: so is the supervisor.
    #[error("the terminal is gone and the run goes on: `defib run --adopt {0}` takes it over")]
    Detached(RunId),
    /// The shim.
    #[error("cannot start the run: {0}; `defib doctor` tells what this machine allows")]
    Start(#[from] StartError),
    /// Its journal.
    #[error("cannot read back the run's journal in {}: {source}", folder.display())]
    Journal {
        /// Folder of the run.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Who hears of the run while it goes on.
pub trait Audience {
    /// Something worth saying now, one or more lines.
    fn notice(&mut self, text: &str);

    /// The program runs: the id of its run, its folder, and its process id.
    fn started(&mut self, _run: &RunId, _folder: &Path, _pid: i32) {}
}

/// A run that is over.
#[derive(Debug)]
pub struct Finished {
    /// Its id.
    pub run: RunId,
    /// Its folder.
    pub folder: PathBuf,
    /// Its report.
    pub report: Report,
    /// Everything that is in its journal.
    pub entries: Vec<Entry>,
    /// Exit status for `defib run`.
    pub status: u8,
}

/// Supervises one run to its end and writes its report.
///
/// # Errors
/// Where it cannot be started or its folder cannot be used; the program is not
/// started then.
pub fn supervise(
    plan: &Plan,
    state: &State,
    signals: Signals,
    audience: &mut dyn Audience,
) -> Result<Finished, SessionError> {
    supervise_from(&Desk::open(signals), plan, state, audience)
}

/// The same for one run of several, which share the signals to defib.
///
/// # Errors
/// As [`supervise`].
pub fn supervise_from(
    desk: &Desk,
    plan: &Plan,
    state: &State,
    audience: &mut dyn Audience,
) -> Result<Finished, SessionError> {
    let mut lives = Lives::default();
    loop {
        let (sender, happenings) = channel();
        desk.connect(sender.clone());
        let start = Start { plan, state, restart: lives.restarts, line: None, duty: None };
        let attempted = attempt(start, &sender, &happenings, audience);
        desk.disconnect();
        let finished = attempted?;
        if !lives.again(&finished, plan, audience) {
            return Ok(finished);
        }
    }
}

/// How often a run was started again, and why.
#[derive(Debug, Default)]
pub(super) struct Lives {
    restarts: u32,
    stalls: u32,
    /// Lives in a row that were over their memory threshold at once.
    short: u32,
}

impl Lives {
    /// It shall be started again, which is said.
    pub(super) fn again(&mut self, finished: &Finished, plan: &Plan, audience: &mut dyn Audience) -> bool {
        let stalled = finished.report.outcome.kind == OutcomeKind::Stalled && plan.on_stall == OnStall::Restart;
        if stalled && self.stalls < plan.restarts {
            self.stalls += 1;
            let cause = finished.report.causes.first().map_or("unknown", |cause| cause.id.as_str());
            let (run, number, most) = (&finished.run, self.stalls, plan.restarts);
            audience.notice(&format!("{run} stalled ({cause}); starting it again ({number} of {most})"));
        } else if recycled(finished) {
            self.short = if finished.report.run.wall_s < SHORT_LIFE_S { self.short + 1 } else { 0 };
            if self.short >= MOST_SHORT_LIVES {
                audience.notice("it is over its memory threshold again at once, so it is not started again");
                return false;
            }
            audience.notice(&format!("{} has finished its unit of work; starting it afresh", finished.run));
        } else {
            return false;
        }
        self.restarts += 1;
        true
    }
}

/// It was ended for its memory, to be started afresh.
fn recycled(finished: &Finished) -> bool {
    finished.entries.iter().any(|entry| matches!(entry.event, Event::Ending(Ending::OverMemory { recycle: true, .. })))
        // A person who ended it meanwhile wants it ended.
        && !finished.entries.iter().any(|entry| matches!(entry.event, Event::Signal { .. }))
}

/// What to start.
pub(super) struct Start<'a> {
    pub(super) plan: &'a Plan,
    pub(super) state: &'a State,
    /// How often it was started before.
    pub(super) restart: u32,
    /// A worker's control descriptor, and what it has to do.
    pub(super) line: Option<OwnedFd>,
    pub(super) duty: Option<&'a Duty>,
}

pub(super) fn attempt(
    Start { plan, state, restart, line, duty }: Start<'_>,
    sender: &Sender<Happening>,
    happenings: &Receiver<Happening>,
    audience: &mut dyn Audience,
) -> Result<Finished, SessionError> {
    let run = RunId::from_entropy(crate::entropy());
    let folder = state.create(&run)?;
    let terminal = terminal(plan);
    if plan.if_supervisor_dies == IfSupervisorDies::Keep {
        adopt::keep_plan(plan, &folder).map_err(|source| StateError::Unwritable { path: folder.clone(), source })?;
    }
    let mut spec = spec(plan, &run, &folder, terminal);
    let held = memory::hold(&plan.memory, &run);
    spec.cgroup = held.as_ref().and_then(|(group, _)| group.clone());
    if plan.memory.count_objects {
        spec.set_env.extend(memory::prepare_counting(&folder));
    }
    let kernel = OomWatch::start();
    let (shim, events) = match Shim::start(&spec, line) {
        Ok(started) => started,
        Err(error) => {
            // Nothing was run: an empty folder would only confuse.
            let _ = std::fs::remove_dir_all(&folder);
            cgroup::remove_groups(&run);
            state.finished(&run);
            return Err(error.into());
        }
    };
    if restart > 0 {
        let _ = shim.journal().append(Event::Restarted { number: restart });
    }
    if let (Some((_, by)), Some(limit_bytes)) = (held, plan.memory.stop_bytes()) {
        let _ = shim.journal().append(Event::MemoryHeld { limit_bytes, by });
    }
    for event in plan.before.iter().filter(|_| restart == 0) {
        let _ = shim.journal().append(event.clone());
    }
    let lifeline = feeds::shim(events, sender.clone());
    let raw = terminal.filter(|terminal| terminal.stdin).and_then(|_| keys(&shim, sender));
    let mut session = Session::new(plan, run.clone(), &folder, shim, spec.clock, sender.clone(), audience);
    session.raw = raw;
    session.duty = duty;
    session.keyboard = terminal.is_some_and(|terminal| terminal.stdin);
    session.watch(happenings);
    if session.detached {
        return Err(SessionError::Detached(run));
    }
    let finished = session.close(&run, kernel, state);
    drop(lifeline);
    finished
}

/// Which of the three standard descriptors the program shall see as a terminal.
fn terminal(plan: &Plan) -> Option<Terminal> {
    let output = isatty(rustix::stdio::stdout());
    let errors = isatty(rustix::stdio::stderr());
    let input = isatty(rustix::stdio::stdin());
    (plan.pty && output).then(|| Terminal {
        stdin: input,
        stdout: output,
        stderr: errors,
        size: window_size(rustix::stdio::stdout()).unwrap_or_default(),
    })
}

fn spec(plan: &Plan, run: &RunId, folder: &Path, terminal: Option<Terminal>) -> ShimSpec {
    let unset = |name: &str| std::env::var_os(name).is_none();
    let mut set_env = plan.set_env.clone();
    if plan.unbuffered && unset("PYTHONUNBUFFERED") {
        set_env.push(("PYTHONUNBUFFERED".to_owned(), "1".to_owned()));
    }
    if plan.faulthandler && unset("PYTHONFAULTHANDLER") {
        set_env.push(("PYTHONFAULTHANDLER".to_owned(), "1".to_owned()));
    }
    ShimSpec {
        cwd: plan.cwd.clone(),
        set_env,
        version: plan.version.clone(),
        terminal,
        keep: plan.keep,
        grace_s: plan.grace.unwrap_or(DEFAULT_GRACE).as_secs_f64(),
        allow_daemons: plan.allow_daemons,
        outlives_supervisor: plan.if_supervisor_dies == IfSupervisorDies::Keep,
        quiet: plan.quiet,
        no_input: plan.no_input,
        ..ShimSpec::new(run.clone(), plan.command.clone(), folder.to_owned())
    }
}

/// Hands the keyboard to the program.
fn keys(shim: &Shim, sender: &Sender<Happening>) -> Option<RawMode> {
    let master = shim.pty_master().ok()??;
    let raw = RawMode::enter(rustix::stdio::stdin()).ok()?;
    keyboard::pump(master, sender.clone());
    // In the background the terminal is not ours; raw mode begins when it is.
    raw
}

/// A run in progress.
pub(super) struct Session<'a> {
    pub(super) plan: &'a Plan,
    pub(super) run: RunId,
    pub(super) folder: &'a Path,
    pub(super) shim: Shim,
    pub(super) clock: Clock,
    pub(super) sender: Sender<Happening>,
    pub(super) audience: &'a mut dyn Audience,
    pub(super) raw: Option<RawMode>,
    pub(super) keyboard: bool,
    pub(super) sampler: Option<Sender<()>>,
    /// Whether it has started, where that is asked.
    pub(super) start: Option<StartWatch>,
    pub(super) listening: Option<Sender<()>>,
    pub(super) patience: Option<Patience>,
    pub(super) progress: ProgressReader,
    pub(super) output: std::collections::HashMap<defib_core::event::Stream, u64>,
    pub(super) root: i32,
    pub(super) pids: Vec<i32>,
    /// Ended processes that were written down.
    pub(super) gone: u32,
    /// Processes that have come to the shim.
    pub(super) orphans: usize,
    /// When vital signs were last written down, seconds since the start.
    pub(super) sample_written_s: f64,
    pub(super) memory: MemoryWatch,
    pub(super) last_heartbeat_s: f64,
    pub(super) interrupted: Option<Instant>,
    pub(super) ending: Option<Ending>,
    pub(super) exited: bool,
    /// The end of the tree was told.
    pub(super) over: bool,
    /// When a shim that was told to end the run, and says nothing, counts as lost.
    pub(super) lost_at: Option<Instant>,
    pub(super) closed: bool,
    /// The terminal is gone, and the run goes on without this supervisor.
    pub(super) detached: bool,
    /// What it has to do, where it is a worker.
    pub(super) duty: Option<&'a Duty>,
    pub(super) on_duty: OnDuty,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        run: RunId,
        folder: &'a Path,
        shim: Shim,
        clock: Clock,
        sender: Sender<Happening>,
        audience: &'a mut dyn Audience,
    ) -> Self {
        Self {
            plan,
            run,
            folder,
            shim,
            clock,
            sender,
            audience,
            raw: None,
            keyboard: false,
            sampler: None,
            start: plan.start.map(StartWatch::new),
            listening: None,
            patience: None,
            progress: ProgressReader::default(),
            output: std::collections::HashMap::new(),
            root: 0,
            pids: Vec::new(),
            gone: 0,
            orphans: 0,
            sample_written_s: -1.0,
            memory: MemoryWatch::new(&plan.memory),
            last_heartbeat_s: 0.0,
            interrupted: None,
            ending: None,
            exited: false,
            over: false,
            lost_at: None,
            closed: false,
            detached: false,
            duty: None,
            on_duty: OnDuty::default(),
        }
    }

    pub(super) fn now(&self) -> f64 {
        self.clock.at_s()
    }

    pub(super) fn write(&self, event: Event) {
        // A full disk must not end a run that goes on well; the shim counts what it loses.
        let _ = self.shim.journal().append(event);
    }

    /// Waits for happenings until the shim has closed.
    pub(super) fn watch(&mut self, happenings: &Receiver<Happening>) {
        while !self.closed && !self.detached {
            let now = self.now();
            let next = self.patience.as_ref().map_or(now + 1.0, |patience| patience.next_time(now));
            let next = self.next_limit(now).map_or(next, |limit| limit.min(next));
            let next = self.start.as_ref().map_or(next, |start| start.due_s().min(next));
            let next = self.next_duty(now).map_or(next, |due| due.min(next));
            let next = self.recycle_due_s().map_or(next, |due| due.min(next));
            let wait = Duration::from_secs_f64((next - now).clamp(0.005, 1.0));
            match happenings.recv_timeout(wait) {
                Ok(happening) => self.happened(happening, happenings),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.ending.is_none() && !self.exited {
                self.check_limits(happenings);
                self.check_duty(happenings);
                self.check_start(happenings);
                self.check_recycle(happenings);
            }
            if self.ending.is_none() && !self.exited {
                self.ask_patience(happenings);
            }
            if self.shim_is_lost() {
                self.write(Event::Trouble {
                    text: "the shim did not do what it was told; it was ended, and the tree by the supervisor"
                        .to_owned(),
                });
                break;
            }
        }
    }

    /// Told to end the run, it has not done so within the grace and the longest time that
    /// takes: somebody stopped it, or it hangs.
    fn shim_is_lost(&mut self) -> bool {
        if self.over || self.ending.is_none() {
            return false;
        }
        let grace = self.plan.grace.unwrap_or(DEFAULT_GRACE);
        let lost_at = *self.lost_at.get_or_insert_with(|| Instant::now() + grace + SHIM_WITHIN);
        Instant::now() >= lost_at
    }

    pub(super) fn happened(&mut self, happening: Happening, happenings: &Receiver<Happening>) {
        match happening {
            Happening::Told(entry) => self.told(&entry),
            Happening::ShimClosed => self.closed = true,
            Happening::Signal(received) => self.signal(received, happenings),
            Happening::Sampled(sample) => self.sampled(*sample, happenings),
            Happening::Counted(event) => self.write(*event),
            Happening::Looked(look) => self.looked(*look),
            Happening::Listening(address) => {
                let now = self.now();
                self.seen(now, Seen::Sign(format!("listens on {address}")));
            }
            Happening::Weighed(bytes) => self.weighed(bytes, happenings),
            Happening::Interrupt => {
                let sender = SignalSender { pid: 0, uid: 0, command: None };
                self.write(Event::Signal { signal: SIGINT, sender: Some(sender), forwarded: true });
                self.count_interrupt();
            }
            Happening::Suspend => self.suspend(),
            Happening::Order(ending, grace_s) => self.ordered(ending, grace_s),
            Happening::NoGpu(why) => self.write(Event::Trouble { text: format!("no GPU is watched: {why}") }),
        }
    }

    pub(super) fn told(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Started { pid, .. } => self.started(*pid, entry.at_s),
            Event::Output { stream, bytes } => {
                self.output.insert(*stream, *bytes);
                self.seen(entry.at_s, Seen::Output);
                if let Some(patience) = &mut self.patience {
                    patience.output(entry.at_s);
                }
            }
            Event::Heartbeat => {
                self.last_heartbeat_s = entry.at_s;
                self.memory.told(entry.at_s, true);
                self.seen(entry.at_s, Seen::Sign("heartbeat".to_owned()));
                self.moved(entry.at_s);
            }
            Event::Stage { name } => {
                self.memory.told(entry.at_s, false);
                self.seen(entry.at_s, Seen::Sign(format!("says {name}")));
                self.moved(entry.at_s);
            }
            Event::Continued => self.moved(entry.at_s),
            Event::Exited { .. } => {
                self.exited = true;
                self.sampler = None;
                self.listening = None;
            }
            Event::TreeEnded { .. } => self.over = true,
            _ => {}
        }
    }

    pub(super) fn moved(&mut self, at_s: f64) {
        if let Some(patience) = &mut self.patience {
            patience.moved(at_s);
        }
    }

    fn started(&mut self, pid: i32, at_s: f64) {
        self.root = pid;
        self.audience.started(&self.run, self.folder, pid);
        let limits = self.plan.limits;
        let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64());
        let settings = Settings {
            stall_after_s: seconds(limits.stall_after),
            first_output_s: seconds(limits.first_output.or(self.plan.start.map(|start| start.first_sign))),
            timeout_s: seconds(limits.timeout),
        };
        self.patience = Some(Patience::new(settings, pid, self.shim.pid(), at_s));
        self.last_heartbeat_s = at_s;
        let short = limits.stall_after.is_some_and(|after| after < Duration::from_secs(4));
        let dense = !self.plan.memory.policy.rules.is_empty() || short;
        let every = if dense { 250 } else { 1000 };
        let every = Duration::from_millis(every);
        self.sampler = Some(feeds::sampler(self.shim.pid(), every, self.clock, self.sender.clone()));
        if let Some(start) = &mut self.start {
            start.begins(at_s);
            self.listening = Some(feeds::listening(self.plan.exe.clone(), self.shim.pid(), self.sender.clone()));
        }
    }

    fn sampled(&mut self, sample: Sample, happenings: &Receiver<Happening>) {
        let mut vitals = sample.vitals;
        vitals.output_bytes = self.output.values().sum();
        for process in &sample.processes {
            if !self.pids.contains(&process.pid) && self.pids.len() < 100_000 {
                self.pids.push(process.pid);
            }
        }
        if let Some(progress) = self.progress.read(self.folder, vitals.output_bytes) {
            if let Event::Progress { done, total, .. } = progress {
                self.memory.progress(vitals.at_s, done);
                if done > 0.0 && total.is_some() {
                    self.seen(vitals.at_s, Seen::Work);
                }
            }
            self.write(progress);
        }
        if let Some(patience) = &mut self.patience {
            patience.sampled(&vitals);
        }
        for gone in &sample.gone {
            if gone.pid != self.root && self.gone < MOST_GONE {
                self.gone += 1;
                let defib_observe::GoneProcess { pid, ppid, command, lived_s, wait_status } = gone.clone();
                self.write(Event::Gone { pid, ppid, command, lived_s, wait_status });
            }
        }
        // A process that outlived its parent comes to the shim: what it holds may
        // be the reason for what fails next.
        let shim = self.shim.pid();
        let orphans =
            sample.processes.iter().filter(|process| process.ppid == shim && process.pid != self.root).count();
        if orphans > std::mem::replace(&mut self.orphans, orphans) {
            let now = self.now();
            if let Some(patience) = &mut self.patience {
                patience.look_soon(now);
            }
        }
        let pids: Vec<i32> = sample.processes.iter().map(|process| process.pid).collect();
        let apart = if self.duty.is_some() && !self.on_duty.told { IDLE_SAMPLES_APART_S } else { SAMPLES_APART_S };
        if vitals.at_s - self.sample_written_s >= apart {
            self.sample_written_s = vitals.at_s;
            self.write(Event::Sample { vitals: vitals.clone() });
        }
        if self.ending.is_none() && !self.exited {
            self.watch_memory(&vitals, &pids, happenings);
        }
    }

    pub(super) fn looked(&mut self, mut look: Look) {
        if self.duty.is_some() {
            self.on_duty.leave_out_host(&mut look);
        }
        // A look that came too late saw nobody; written down it would hide those before it.
        if !look.processes.is_empty() {
            self.write(Event::Look { look: look.clone() });
        }
        if let Some(patience) = &mut self.patience {
            if look.processes.is_empty() {
                patience.look_lost();
            } else {
                patience.looked(look);
            }
        }
    }

    fn ask_patience(&mut self, happenings: &Receiver<Happening>) {
        if self.is_idle_worker() {
            return;
        }
        let now = self.now();
        let Some(patience) = &mut self.patience else { return };
        match patience.advise(now) {
            Advice::Wait => {}
            Advice::Look { stacks } => {
                let request = LookRequest { python: stacks, ..self.request(false) };
                feeds::look(self.plan.exe.clone(), request, LOOK_WITHIN, self.sender.clone());
            }
            Advice::Stalled { quiet_s } => self.stalled(quiet_s, happenings),
            Advice::Explain { .. } | Advice::PartStuck => self.explain(),
        }
    }

    pub(super) fn request(&self, locals: bool) -> LookRequest {
        LookRequest {
            root: self.shim.pid(),
            include_root: false,
            at_s: self.now(),
            python: true,
            locals,
            others: true,
            ..LookRequest::default()
        }
    }

    /// Evidence first: one more look, with local variables.
    pub(super) fn last_look(&mut self, within: Duration, happenings: &Receiver<Happening>) {
        // What fills the memory is seldom on the stack at one given moment.
        let burst = within == MEMORY_LOOK_WITHIN;
        let request = LookRequest { burst, ..self.request(true) };
        let look = defib_observe::look_within(&self.plan.exe, &request, within);
        // What happened meanwhile must not be lost.
        while let Ok(happening) = happenings.try_recv() {
            if !matches!(happening, Happening::Looked(_)) {
                self.happened(happening, happenings);
            }
        }
        if !look.processes.is_empty() {
            if let Some(patience) = &mut self.patience {
                patience.expect_stacks();
            }
            self.looked(look);
        }
    }

    fn stalled(&mut self, quiet_s: f64, happenings: &Receiver<Happening>) {
        if self.plan.on_stall == OnStall::Report {
            if let Some(patience) = &mut self.patience {
                patience.tolerate();
            }
            self.explain();
            return;
        }
        self.last_look(LAST_LOOK_WITHIN, happenings);
        // It moved in the last moment: then it was no stall.
        let still = self.patience.as_ref().and_then(Patience::verdict);
        let still = still.is_some_and(|verdict| verdict.grade >= defib_core::waits::Grade::Probable);
        if still && !self.exited && self.seize() {
            let grace = self.plan.grace.map_or(STALLED_GRACE_S, |grace| grace.as_secs_f64());
            self.end(Ending::Stalled { quiet_s }, Some(grace));
        }
    }

    /// Says what it waits for, and lets it go on.
    fn explain(&mut self) {
        let Ok(entries) = defib_process::read_journal(self.folder) else { return };
        let report = account::report(&entries, archive::output(self.folder));
        let Some(cause) = report.causes.first() else { return };
        let mut text = format!("{} ({})", cause.explanation, cause.id);
        if let Some(place) = &cause.place {
            text.push_str(&format!("\n  at {}:{}", place.file, place.line));
        }
        text.push_str(match self.plan.limits.stall_after {
            _ if self.duty.is_some() => {
                "\n  it goes on until the time of its job is over; stall_after would end it sooner"
            }
            Some(_) => "\n  it goes on; Ctrl+C ends it",
            None => "\n  it goes on; Ctrl+C ends it, and --stall-after would have",
        });
        self.audience.notice(&text);
        self.write(Event::Notice { text });
    }

    pub(super) fn end(&mut self, ending: Ending, grace_s: Option<f64>) {
        if let Some(duty) = self.duty {
            duty.close();
            if self.on_duty.ended_in.is_none() {
                self.on_duty.ended_in = duty.work();
            }
        }
        self.ending = Some(ending.clone());
        match grace_s {
            Some(grace_s) => self.shim.end_within(ending, grace_s),
            None => self.shim.end(ending),
        }
    }
}
