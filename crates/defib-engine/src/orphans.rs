//! Processes that are left over: those of lost runs by proof, those of others by
//! appearance.
//!
//! A start sweeps what earlier runs left ([`sweep`]); a person lists and ends
//! ([`list`], [`end`], [`end_stranger`]). Everything that reads foreign processes has
//! a deadline.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use defib_core::event::Event;
use defib_core::orphan::{Candidate, Holdings, judge};
use defib_core::run::RunId;
use defib_observe::{SurveyRequest, survey_within};
use defib_process::process::Process;
use defib_process::sweep::{self, Orphan, Standing as RunStanding};
use defib_store::{State, StateError};

/// A run whose shim has said nothing for so long never came to start anything.
const NEVER_BEGUN: Duration = Duration::from_secs(60);
/// Time the search at a start may take before the run goes on without it.
const SWEEP_WITHIN: Duration = Duration::from_secs(10);
/// Time between the request to end and the kill of what an earlier run left.
const SWEEP_GRACE: Duration = Duration::from_secs(1);
/// Time a survey of what is held may take at a start.
const HELD_WITHIN: Duration = Duration::from_secs(1);
/// Time a survey may take when a person asks.
const SURVEY_WITHIN: Duration = Duration::from_secs(15);

/// A process that an earlier run left, and what it holds.
#[derive(Debug, Clone)]
pub struct LeftOver {
    /// The process and its run.
    pub orphan: Orphan,
    /// Seconds since its start.
    pub age_s: f64,
    /// What it holds; nothing where that could not be read in time.
    pub holdings: Holdings,
}

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Left by runs, proven.
    pub orphans: Vec<LeftOver>,
    /// Started by somebody else, and they look left over.
    pub candidates: Vec<Candidate>,
    /// Why memory on GPUs is not told.
    pub no_gpu: Option<String>,
    /// Not every process could be read in time.
    pub incomplete: bool,
}

/// Lists orphans of runs, and processes of others that look left over.
///
/// # Errors
/// Where the state folder cannot be read.
pub fn list(state: &State, exe: &Path) -> Result<Listing, StateError> {
    let ids = state.ids()?;
    let runs = state.runs();
    // Both go through all processes, at the same time.
    let strangers = SurveyRequest { unowned: true, ..SurveyRequest::default() };
    let own_binary = exe.to_owned();
    let survey = std::thread::spawn(move || survey_within(&own_binary, &strangers, SURVEY_WITHIN));
    let found = within(SURVEY_WITHIN, move || sweep::orphans_of(&runs, &ids));
    let searched = found.is_some();
    let orphans = found.unwrap_or_default();
    let held = held(exe, &orphans, SURVEY_WITHIN);
    let mut survey = survey.join().unwrap_or_default();
    let ours: Vec<i32> = orphans.iter().map(|orphan| orphan.process.pid).collect();
    let mut candidates: Vec<Candidate> = std::mem::take(&mut survey.unowned)
        .into_iter()
        .filter(|standing| !ours.contains(&standing.pid) && !held_by_a_run(state, standing.pid))
        .filter_map(judge)
        .collect();
    // The fewest doubts first; then what holds most.
    candidates.sort_by_key(|candidate| {
        let holdings = &candidate.standing.holdings;
        (candidate.against.len(), std::cmp::Reverse(holdings.gpu_bytes().max(holdings.memory_bytes)))
    });
    Ok(Listing {
        orphans: with_holdings(orphans, &held),
        candidates,
        no_gpu: survey.no_gpu,
        incomplete: survey.incomplete || !searched,
    })
}

/// It belongs to a run that is supervised, or kept, right now.
fn held_by_a_run(state: &State, pid: i32) -> bool {
    let run: Option<RunId> = Process::look(pid)
        .and_then(|process| process.variable(defib_process::RUN_VARIABLE))
        .and_then(|run| run.parse().ok());
    run.is_some_and(|run| matches!(sweep::is_held(&state.folder(&run)), Ok(true)))
}

/// What orphans hold; nothing where there is none.
fn held(exe: &Path, orphans: &[Orphan], within: Duration) -> HashMap<i32, Holdings> {
    if orphans.is_empty() {
        return HashMap::new();
    }
    let holders = orphans.iter().map(|orphan| orphan.process.pid).collect();
    survey_within(exe, &SurveyRequest { holders, ..SurveyRequest::default() }, within).holders
}

fn with_holdings(orphans: Vec<Orphan>, held: &HashMap<i32, Holdings>) -> Vec<LeftOver> {
    let with = |orphan: Orphan| LeftOver {
        age_s: orphan.process.age_s(),
        holdings: held.get(&orphan.process.pid).cloned().unwrap_or_default(),
        orphan,
    };
    orphans.into_iter().map(with).collect()
}

/// What became of orphans that were to be ended.
#[derive(Debug, Clone, Default)]
pub struct Swept {
    /// They are gone.
    pub ended: Vec<LeftOver>,
    /// They could not be ended.
    pub left: Vec<LeftOver>,
}

impl Swept {
    /// For the journal of the run whose start swept.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let event = |(one, ended): (&LeftOver, bool)| Event::Swept {
            run: one.orphan.run.clone(),
            pid: one.orphan.process.pid,
            command: one.orphan.command.clone(),
            age_s: one.age_s,
            holdings: one.holdings.clone(),
            ended,
        };
        let ended = self.ended.iter().map(|one| (one, true));
        ended.chain(self.left.iter().map(|one| (one, false))).map(event).collect()
    }
}

/// Ends what earlier runs left when their supervisors and shims were killed. Looks at
/// processes only where there is such a run: the usual start stays short, however many
/// runs and processes there are.
#[must_use]
pub fn sweep(state: &State, exe: &Path) -> Swept {
    let mut lost = Vec::new();
    for (run, begun) in state.unfinished() {
        match sweep::standing(&state.folder(&run)) {
            RunStanding::Ended => lost.push(run),
            RunStanding::Held => {}
            RunStanding::Past => state.finished(&run),
            RunStanding::NotBegun if begun.elapsed().is_ok_and(|age| age > NEVER_BEGUN) => state.finished(&run),
            RunStanding::NotBegun => {}
        }
    }
    if lost.is_empty() {
        return Swept::default();
    }
    let (runs, ids) = (state.runs(), lost.clone());
    let Some(orphans) = within(SWEEP_WITHIN, move || sweep::orphans_of(&runs, &ids)) else {
        return Swept::default();
    };
    let swept = if orphans.is_empty() {
        Swept::default()
    } else {
        let held = held(exe, &orphans, HELD_WITHIN);
        end(state, with_holdings(orphans, &held), SWEEP_GRACE)
    };
    for run in lost.iter().filter(|&run| swept.left.iter().all(|left| left.orphan.run != *run)) {
        state.finished(run);
    }
    swept
}

/// Ends orphans of runs: asks, waits for at most the grace, kills.
#[must_use]
pub fn end(state: &State, orphans: Vec<LeftOver>, grace: Duration) -> Swept {
    let targets: Vec<Orphan> = orphans.iter().map(|one| one.orphan.clone()).collect();
    let survivors = sweep::end(&targets, grace);
    let same = |one: &Orphan, other: &Orphan| {
        one.process.pid == other.process.pid && one.process.start_ticks == other.process.start_ticks
    };
    let (left, ended): (Vec<_>, Vec<_>) =
        orphans.into_iter().partition(|one| survivors.iter().any(|survivor| same(survivor, &one.orphan)));
    for one in ended.iter().filter(|one| left.iter().all(|other| other.orphan.run != one.orphan.run)) {
        state.finished(&one.orphan.run);
    }
    Swept { ended, left }
}

/// Runs `body` in a thread, and gives it up after `limit`.
fn within<T: Send + 'static>(limit: Duration, body: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(body()));
    receiver.recv_timeout(limit).ok()
}
