//! The walk: which stage follows, what is known so far, whose report it is.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use defib_core::account::{redacted, timestamp};
use defib_core::event::Entry;
use defib_core::redact::{redact, redact_words};
use defib_core::report::{Outcome, OutcomeKind, REPORT_VERSION, Report, RunSummary};
use defib_core::stage::{ProbeReport, Stage, Verdict};
use defib_core::telling::{cut, short_command};
use defib_store::State;

use super::command::{Kind, Parts, parts};
use super::imports::Group;
use super::python::Python;
use super::ran::{GRACE, KEEP, Ran};
use super::source::Reading;
use super::{ProbePlan, Probed, Watcher, configuration, gpu, imports, partners, place, reading, starting};
use crate::session::{
    Audience, Desk, IfSupervisorDies, Limits, MemoryPlan, OnStall, Plan, SessionError, StartGoal, supervise_from,
};

/// What a stage does.
type Check = fn(&mut Walk<'_>) -> Result<Stage, SessionError>;

/// The stages in their order.
const STAGES: [(&str, Check); 10] = [
    ("interpreter", place::interpreter),
    ("script", place::script),
    ("files", place::files),
    ("reading", reading::read_sources),
    ("imports", imports::try_imports),
    ("partners", partners::compare),
    ("configuration", configuration::compose),
    ("gpu", gpu::ask),
    ("start", starting::start),
    ("work", starting::work),
];

/// Says nothing: what a stage finds is told by the walk.
struct Silent;

impl Audience for Silent {
    fn notice(&mut self, _: &str) {}
}

/// The run that the report is about.
struct Subject {
    report: Report,
    entries: Vec<Entry>,
}

/// A walk in progress.
pub(super) struct Walk<'a> {
    pub(super) plan: &'a ProbePlan,
    pub(super) parts: Parts,
    /// The interpreter, where it is Python and has answered.
    pub(super) python: Option<Python>,
    /// The file that is executed.
    pub(super) script: Option<PathBuf>,
    /// Paths that the command names and that are not there.
    pub(super) missing: Vec<String>,
    /// The user's sources that the start executes, the program itself first.
    pub(super) sources: Vec<(PathBuf, Reading)>,
    /// What they import.
    pub(super) groups: Vec<Group>,
    /// The last stage, known with the one before.
    pub(super) work: Option<Stage>,
    state: &'a State,
    desk: &'a Desk,
    watcher: &'a mut dyn Watcher,
    began: Instant,
    started_ms: u64,
    stages: Vec<Stage>,
    subject: Option<Subject>,
    failed: bool,
    cancelled: Option<i32>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(plan: &'a ProbePlan, state: &'a State, desk: &'a Desk, watcher: &'a mut dyn Watcher) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            plan,
            parts: parts(&plan.command),
            python: None,
            script: None,
            missing: Vec::new(),
            sources: Vec::new(),
            groups: Vec::new(),
            work: None,
            state,
            desk,
            watcher,
            began: Instant::now(),
            started_ms: u64::try_from(since.as_millis()).unwrap_or(0),
            stages: Vec::new(),
            subject: None,
            failed: false,
            cancelled: None,
        }
    }

    /// Walks until a stage fails, or to the end.
    pub(super) fn through(mut self) -> Result<Probed, SessionError> {
        for (name, check) in STAGES {
            self.cancelled = self.cancelled.or_else(|| self.desk.cancelled());
            if self.failed || self.cancelled.is_some() {
                self.enter(Stage::new(name, Verdict::Skipped, "not reached"));
                continue;
            }
            self.watcher.begins(name, None);
            let begun = Instant::now();
            let mut stage = check(&mut self)?;
            name.clone_into(&mut stage.name);
            if stage.took_s == 0.0 {
                stage.took_s = begun.elapsed().as_secs_f64();
            }
            self.failed |= stage.verdict == Verdict::Failed;
            self.enter(stage);
        }
        Ok(self.over())
    }

    fn enter(&mut self, mut stage: Stage) {
        clean(&mut stage);
        self.watcher.ended(&stage);
        self.stages.push(stage);
    }

    /// A check within the stage begins.
    pub(super) fn checks(&mut self, stage: &str, check: &str) {
        self.watcher.begins(stage, Some(check));
    }

    /// It is a Python program whose interpreter has answered.
    pub(super) fn is_python(&self) -> bool {
        self.parts.kind == Kind::Python && self.python.is_some()
    }

    /// Why the stages about Python do not apply.
    pub(super) fn not_python(&self) -> Stage {
        let says = match self.parts.kind {
            Kind::Python => "its interpreter does not answer as Python 3 does",
            Kind::Shell => "a shell script; what it starts is seen in the start",
            Kind::Other => "not a Python program",
        };
        Stage::new("", Verdict::Skipped, says)
    }

    /// The program's interpreter with these further options, running this code.
    pub(super) fn helper(&self, options: &[&str], code: &str, arguments: &[String]) -> Vec<String> {
        let mut words = self.parts.interpreter();
        words.extend(options.iter().map(|&option| option.to_owned()));
        words.extend(["-c".to_owned(), code.to_owned()]);
        words.extend(arguments.iter().cloned());
        words
    }

    /// Runs a helper without input to its end, or to the deadline.
    pub(super) fn run(&mut self, command: Vec<String>, within: Duration) -> Result<Ran, SessionError> {
        let plan = Plan {
            limits: Limits { timeout: Some(within), ..Limits::default() },
            no_input: true,
            set_env: Vec::new(),
            unbuffered: true,
            ..self.session(command)
        };
        self.supervised(&plan)
    }

    /// Starts the program itself, until it is seen to work.
    pub(super) fn start(&mut self) -> Result<Ran, SessionError> {
        let goal = StartGoal { first_sign: self.plan.start_within, settle: self.plan.settle };
        let plan = Plan { start: Some(goal), ..self.session(self.plan.command.clone()) };
        self.supervised(&plan)
    }

    fn session(&self, command: Vec<String>) -> Plan {
        Plan {
            before: Vec::new(),
            command,
            cwd: self.plan.cwd.clone(),
            limits: Limits::default(),
            memory: MemoryPlan::default(),
            on_stall: OnStall::Stop,
            restarts: 0,
            grace: Some(GRACE),
            keep: KEEP,
            allow_daemons: false,
            pty: false,
            unbuffered: self.plan.unbuffered,
            faulthandler: true,
            quiet: true,
            no_input: false,
            set_env: Vec::new(),
            start: None,
            if_supervisor_dies: IfSupervisorDies::End,
            version: self.plan.version.clone(),
            exe: self.plan.exe.clone(),
        }
    }

    fn supervised(&mut self, plan: &Plan) -> Result<Ran, SessionError> {
        let began_s = self.began.elapsed().as_secs_f64();
        let finished = supervise_from(self.desk, plan, self.state, &mut Silent)?;
        let ran = Ran::new(plan.command.clone(), began_s, finished);
        self.cancelled = self.cancelled.or(ran.cancelled());
        Ok(ran)
    }

    /// Takes a run's report for the probe's. The first one that fails counts.
    pub(super) fn take(&mut self, ran: &Ran) {
        let mut report = ran.judged(&self.parts.inner());
        for evidence in &mut report.evidence {
            evidence.at_s = evidence.at_s.map(|at_s| at_s + ran.began_s);
        }
        report.actions.iter_mut().for_each(|action| action.at_s += ran.began_s);
        self.subject = Some(Subject { report, entries: ran.entries.clone() });
    }

    /// The report that was taken.
    pub(super) fn report(&self) -> Option<&Report> {
        self.subject.as_ref().map(|subject| &subject.report)
    }

    /// A failed stage, by this run; the explanation of its first cause stands beside it.
    pub(super) fn blame(&mut self, ran: &Ran) -> Stage {
        self.take(ran);
        let explanation = self.report().and_then(|report| report.causes.first()).map(|cause| cause.explanation.clone());
        let says = explanation.or_else(|| ran.last_line()).unwrap_or_else(|| "it failed".to_owned());
        stage_of(ran, Verdict::Failed, says)
    }

    /// Removes what a run left on disk, unless the report is about it.
    pub(super) fn forget(&self, ran: Ran) {
        let about = self.subject.as_ref().is_some_and(|subject| subject.report.run.id == ran.run.as_str());
        if !about {
            ran.forget(self.state);
        }
    }

    /// The start showed what an earlier stage is about: that one failed, too.
    pub(super) fn blame_earlier(&mut self, name: &str, says: &str) {
        let Some(stage) = self.stages.iter_mut().find(|stage| stage.name == name) else { return };
        stage.verdict = Verdict::Failed;
        says.clone_into(&mut stage.says);
        clean(stage);
        // The list has shown what was run for it, and what was found then.
        let told = Stage::new(name, Verdict::Failed, "this is what the start fails for");
        self.watcher.ended(&told);
    }

    fn over(mut self) -> Probed {
        let failed = self.stages.iter().find(|stage| stage.verdict == Verdict::Failed).map(|stage| stage.name.clone());
        let subject = self.subject.take();
        let (mut report, entries) = match subject {
            Some(subject) => (subject.report, subject.entries),
            None => (self.empty_report(), Vec::new()),
        };
        report.run.command.clone_from(&self.plan.command);
        report.run.cwd = self.plan.cwd.display().to_string();
        let wall_s = self.began.elapsed().as_secs_f64();
        report.run.started = timestamp(self.started_ms, 0.0);
        report.run.ended = timestamp(self.started_ms, wall_s);
        report.run.wall_s = (wall_s * 1000.0).round() / 1000.0;
        report.outcome.healthy = failed.is_none() && self.cancelled.is_none();
        // Of a start that works, no stage need be named.
        if failed.is_some() || report.outcome.healthy {
            report.outcome.stage = failed;
        }
        let report = redacted(report);
        if let Ok(run) = report.run.id.parse() {
            let _ = self.state.write_report(&run, &report);
        }
        let name = short_command(&self.parts.inner());
        Probed { name, report: ProbeReport { report, stages: self.stages }, entries, cancelled: self.cancelled }
    }

    /// Nothing was run that a report could be about: it was cancelled before.
    fn empty_report(&self) -> Report {
        let outcome =
            Outcome { kind: OutcomeKind::Cancelled, exit_code: None, signal: None, healthy: false, stage: None };
        Report {
            schema: REPORT_VERSION,
            run: RunSummary {
                id: "-".to_owned(),
                command: Vec::new(),
                cwd: String::new(),
                started: None,
                ended: None,
                wall_s: 0.0,
            },
            outcome,
            causes: Vec::new(),
            evidence: Vec::new(),
            vitals: serde_json::Map::new(),
            actions: Vec::new(),
            leftovers: Vec::new(),
            remains: None,
        }
    }
}

/// A stage by one run.
pub(super) fn stage_of(ran: &Ran, verdict: Verdict, says: impl Into<String>) -> Stage {
    Stage {
        took_s: ran.took_s(),
        memory_bytes: ran.memory_bytes(),
        ran: Some(ran.command.clone()),
        ..Stage::new("", verdict, says)
    }
}

/// Takes secrets out, and keeps what is said to a readable length and precision.
fn clean(stage: &mut Stage) {
    stage.says = redact(&cut(&stage.says, 400)).into_owned();
    stage.ran = stage.ran.take().map(|words| redact_words(&words));
    stage.took_s = (stage.took_s * 1e4).round() / 1e4;
    stage.parts.iter_mut().for_each(clean);
}
