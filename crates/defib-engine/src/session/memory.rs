//! Memory while the run goes on: the policy at work, looks as it grows, counts of
//! live objects.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, SystemTime};

use defib_core::event::{Ending, Event};
use defib_core::facts::Vitals;
use defib_core::memory::{Act, Advice, Decision, Policy, Reading, Watch};
use defib_core::slope::{Point, Units, slope};
use defib_core::waits::Grade;
use defib_observe::{OBJECTS_SOURCE, count_objects, countable};
use defib_process::cgroup;
use serde::{Deserialize, Serialize};

use super::feeds::{self, Happening};
use super::patience::Patience;
use super::supervisor::{MEMORY_LOOK_WITHIN, Session};

/// What the user asked for about memory.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MemoryPlan {
    /// What is done at which threshold.
    pub policy: Policy,
    /// Memory of the machine, or of the container if that is less, bytes: shares are of this.
    pub machine_bytes: u64,
    /// A run that is to be recycled is ended after so long even if no unit of work is
    /// seen to end.
    pub recycle_within: Duration,
    /// Let a control group hold the limit too, where one can be made.
    pub group: bool,
    /// Start the program so that its Python processes count their live objects.
    pub count_objects: bool,
    /// File to which every decision is added.
    pub log: Option<PathBuf>,
}

impl MemoryPlan {
    /// The host memory at which the run is stopped, bytes.
    #[must_use]
    pub fn stop_bytes(&self) -> Option<u64> {
        self.policy.stop_bytes(self.machine_bytes)
    }
}

/// Shares of the memory limit at which a look is taken: what fills it is seen on the way.
const SHARES: [f64; 4] = [0.5, 0.65, 0.8, 0.9];
/// Growth over units of work that is worth a look of its own, bytes; doubled each time.
const WORTH_A_LOOK: f64 = 64.0 * 1_048_576.0;
/// Looks at growth, where no limit says when.
const GROWTH_LOOKS: u32 = 4;
/// The first count of objects is taken at this time, or once so many units are done.
const FIRST_COUNT_S: f64 = 5.0;
const FIRST_COUNT_UNITS: f64 = 2.0;
/// Time a count may take while the run goes on, and before it is ended.
const COUNT_WITHIN: Duration = Duration::from_secs(10);
const LAST_COUNT_WITHIN: Duration = Duration::from_secs(4);
/// Processes that are asked to count at one time.
const MOST_COUNTED: usize = 8;
/// The log of decisions is begun anew beyond this size, bytes; the old one is kept once.
const LOG_BYTES: u64 = 1 << 20;
/// The control group's limit lies above the user's by this share and at least so much,
/// so that a look can be taken before the kernel kills.
const SLACK_SHARE: u64 = 20;
const SLACK_BYTES: u64 = 64 << 20;

/// The state of it.
#[derive(Debug)]
pub(super) struct MemoryWatch {
    watch: Watch,
    units: Units,
    points: Vec<Point>,
    looks_left: u32,
    worth_a_look: f64,
    shares: &'static [f64],
    limit: Option<u64>,
    weighing: bool,
    gpus: Vec<(u64, u64)>,
    /// To be recycled: why, since when, and how many units were done then.
    recycle: Option<(Decision, f64, f64)>,
    /// A unit of work has ended since then.
    boundary: bool,
    counts: bool,
    counted: bool,
}

impl MemoryWatch {
    pub(super) fn new(plan: &MemoryPlan) -> Self {
        Self {
            watch: Watch::new(plan.policy.clone(), plan.machine_bytes),
            units: Units::default(),
            points: Vec::new(),
            looks_left: GROWTH_LOOKS,
            worth_a_look: WORTH_A_LOOK,
            shares: &SHARES,
            limit: plan.stop_bytes(),
            weighing: false,
            gpus: Vec::new(),
            recycle: None,
            boundary: false,
            counts: plan.count_objects,
            counted: false,
        }
    }

    /// Progress was read.
    pub(super) fn progress(&mut self, at_s: f64, done: f64) {
        let before = self.units.so_far().unwrap_or(0.0);
        self.units.progress(at_s, done);
        self.boundary |= self.units.so_far().is_some_and(|now| now > before);
    }

    /// A heartbeat or stage was told: the program is between two pieces of work.
    pub(super) fn told(&mut self, at_s: f64, heartbeat: bool) {
        if heartbeat {
            self.units.heartbeat(at_s);
        }
        self.boundary = true;
    }

    fn reading(&self, at_s: f64, host_bytes: u64, exact: bool) -> Reading {
        Reading { at_s, host_bytes, exact, gpus: self.gpus.clone(), units: self.units.so_far() }
    }

    /// It is time for a look, because memory fills up or grows with the work.
    fn wants_look(&mut self, resident: u64) -> bool {
        if let (Some(limit), Some((share, rest))) = (self.limit, self.shares.split_first()) {
            #[expect(clippy::cast_precision_loss, reason = "a share of a limit")]
            let reached = resident as f64 >= share * limit as f64;
            if reached {
                self.shares = rest;
            }
            return reached;
        }
        let Some(units) = self.units.so_far().filter(|_| self.limit.is_none() && self.looks_left > 0) else {
            return false;
        };
        if self.points.last().is_some_and(|last| last.units >= units) {
            return false;
        }
        self.points.push(Point { units, bytes: resident });
        let grows = slope(&self.points)
            .is_some_and(|slope| slope.goes_on() && slope.bytes_per_unit * slope.units >= self.worth_a_look);
        if grows {
            self.looks_left -= 1;
            self.worth_a_look *= 2.0;
        }
        grows
    }

    /// It is time for the first count of objects.
    fn wants_count(&mut self, at_s: f64) -> bool {
        let begun = at_s >= FIRST_COUNT_S || self.units.so_far().is_some_and(|units| units >= FIRST_COUNT_UNITS);
        let first = self.counts && begun && !self.counted;
        self.counted |= first;
        first
    }
}

impl Session<'_> {
    /// Vital signs came: what do they mean for memory?
    pub(super) fn watch_memory(&mut self, vitals: &Vitals, pids: &[i32], happenings: &Receiver<Happening>) {
        let memory = &mut self.memory;
        memory.gpus = vitals.gpus.iter().filter_map(|gpu| Some((gpu.tree_bytes?, gpu.total_bytes))).collect();
        let wants_look = memory.wants_look(vitals.rss_bytes);
        if memory.wants_count(vitals.at_s) || wants_look && memory.counts {
            self.count_in_background();
        }
        if wants_look {
            let now = self.now();
            if let Some(patience) = &mut self.patience {
                patience.look_soon(now);
            }
        }
        // Shared pages count once for every process in the resident size, so it only
        // tells when to weigh exactly.
        let reading = self.memory.reading(vitals.at_s, vitals.rss_bytes, false);
        for advice in self.memory.watch.read(&reading) {
            match advice {
                Advice::Weigh if self.memory.weighing => {}
                Advice::Weigh => {
                    self.memory.weighing = true;
                    feeds::weigh(pids.to_vec(), self.sender.clone());
                }
                Advice::Do(decision) => self.decided(&decision, happenings),
            }
        }
    }

    /// The tree was weighed exactly.
    pub(super) fn weighed(&mut self, used_bytes: u64, happenings: &Receiver<Happening>) {
        self.memory.weighing = false;
        let reading = self.memory.reading(self.now(), used_bytes, true);
        for advice in self.memory.watch.read(&reading) {
            if let Advice::Do(decision) = advice {
                self.decided(&decision, happenings);
            }
        }
    }

    fn decided(&mut self, decision: &Decision, happenings: &Receiver<Happening>) {
        if self.ending.is_some() || self.exited {
            return;
        }
        self.write(Event::Memory { decision: decision.clone() });
        self.log_decision(decision);
        match decision.act {
            Act::Warn => self.audience.notice(&format!("{}; it goes on", decision.words())),
            Act::Recycle if self.memory.recycle.is_some() => {}
            Act::Recycle => {
                let words = decision.words();
                self.audience.notice(&format!("{words}; it is started afresh as soon as its unit of work is done"));
                self.memory.boundary = false;
                let units = self.memory.units.so_far().unwrap_or(0.0);
                self.memory.recycle = Some((decision.clone(), self.now(), units));
            }
            Act::Stop => self.end_for_memory(decision, false, happenings),
        }
    }

    /// A run that is to be recycled is ended once its unit of work is done, once it is
    /// idle, or when its time for that is over.
    pub(super) fn check_recycle(&mut self, happenings: &Receiver<Happening>) {
        let Some((decision, since_s, _)) = &self.memory.recycle else { return };
        if self.duty.is_some() {
            // Between two pieces of work; one of them has a deadline of its own.
            if self.is_idle_worker() && self.seize() {
                let decision = decision.clone();
                self.memory.recycle = None;
                self.end_for_memory(&decision, true, happenings);
            }
            return;
        }
        let idle = self.patience.as_ref().and_then(Patience::verdict).is_some_and(|it| it.grade == Grade::Idle);
        let late = self.now() - since_s >= self.plan.memory.recycle_within.as_secs_f64();
        if self.memory.boundary || idle || late {
            let decision = decision.clone();
            self.memory.recycle = None;
            self.end_for_memory(&decision, true, happenings);
        }
    }

    /// When a run that is to be recycled is ended at the latest, seconds since the start.
    pub(super) fn recycle_due_s(&self) -> Option<f64> {
        let (_, since_s, _) = self.memory.recycle.as_ref()?;
        Some(since_s + self.plan.memory.recycle_within.as_secs_f64())
    }

    fn end_for_memory(&mut self, decision: &Decision, recycle: bool, happenings: &Receiver<Happening>) {
        self.last_look(MEMORY_LOOK_WITHIN, happenings);
        if self.memory.counts {
            let counted = counted(self.run.as_str(), self.now(), LAST_COUNT_WITHIN);
            counted.into_iter().for_each(|event| self.write(event));
        }
        if self.ending.is_none() && !self.exited {
            let Decision { measure, used_bytes, limit_bytes, .. } = *decision;
            self.end(Ending::OverMemory { limit_bytes, used_bytes, measure: Some(measure), recycle }, None);
        }
    }

    fn count_in_background(&self) {
        let (run, at_s, out) = (self.run.clone(), self.now(), self.sender.clone());
        thread::spawn(move || {
            for event in counted(run.as_str(), at_s, COUNT_WITHIN) {
                if out.send(Happening::Counted(Box::new(event))).is_err() {
                    return;
                }
            }
        });
    }

    /// Adds a line to the log of decisions; that it cannot be written ends no run.
    fn log_decision(&self, decision: &Decision) {
        let Some(path) = &self.plan.memory.log else { return };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let time = defib_core::account::timestamp(u64::try_from(now).unwrap_or(0), 0.0).unwrap_or_default();
        let command = defib_core::telling::one_line(&self.plan.command.join(" "), 80);
        let line = format!("{time} {} {}: {} ({command})\n", self.run, decision.act.name(), decision.words());
        let _ = append(path, &line);
    }
}

/// Appends a line; a log that has grown too long becomes `NAME.1` first.
fn append(path: &Path, line: &str) -> std::io::Result<()> {
    if path.metadata().is_ok_and(|meta| meta.len() > LOG_BYTES) {
        let mut old = path.as_os_str().to_owned();
        old.push(".1");
        std::fs::rename(path, old)?;
    }
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(line.as_bytes())
}

/// Counts of the run's Python processes that answer in time, and why others do not.
fn counted(run: &str, at_s: f64, within: Duration) -> Vec<Event> {
    let answers = countable(run).into_iter().take(MOST_COUNTED).map(|pid| {
        let run = run.to_owned();
        thread::spawn(move || count_objects(&run, pid, within))
    });
    let answers: Vec<_> = answers.collect();
    let event = |answer: Result<defib_core::facts::Objects, String>| match answer {
        Ok(objects) => Event::Objects { objects: defib_core::facts::Objects { at_s, ..objects } },
        Err(text) => Event::Trouble { text },
    };
    answers.into_iter().filter_map(|answer| answer.join().ok()).map(event).collect()
}

/// Makes the control group that holds the memory limit, if that is asked for.
///
/// Returns the folder of the group, and in words who holds the limit.
pub(super) fn hold(plan: &MemoryPlan, run: &defib_core::run::RunId) -> Option<(Option<PathBuf>, String)> {
    let limit = plan.stop_bytes()?;
    if !plan.group {
        return Some((None, "polled each 250 ms; control groups are switched off".to_owned()));
    }
    let held = limit + (limit / SLACK_SHARE).max(SLACK_BYTES);
    Some(match cgroup::memory_group(run, held) {
        Ok(group) => {
            let words = format!(
                "polled each 250 ms, and held by the kernel at {} in {}",
                defib_core::telling::size(held),
                group.display()
            );
            (Some(group), words)
        }
        Err(error) => (None, format!("polled each 250 ms; no control group can be made here ({error})")),
    })
}

/// Puts what counts objects in front of the program's Python path.
pub(super) fn prepare_counting(folder: &Path) -> std::io::Result<(String, String)> {
    let place = folder.join("python");
    std::fs::create_dir_all(&place)?;
    std::fs::write(place.join("sitecustomize.py"), OBJECTS_SOURCE)?;
    let mut path = place.display().to_string();
    if let Some(known) = std::env::var_os("PYTHONPATH").filter(|known| !known.is_empty()) {
        path.push(':');
        path.push_str(&known.to_string_lossy());
    }
    Ok(("PYTHONPATH".to_owned(), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_decisions_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.log");
        let line = "x".repeat(LOG_BYTES as usize / 2);
        for _ in 0..5 {
            append(&path, &line).unwrap();
        }
        assert!(path.metadata().unwrap().len() <= LOG_BYTES + LOG_BYTES / 2);
        assert!(folder.path().join("memory.log.1").exists());
    }

    #[test]
    fn growth_with_the_work_is_looked_at_a_few_times() {
        let mut watch = MemoryWatch::new(&MemoryPlan::default());
        let mut looks = 0;
        for unit in 0..400_u32 {
            watch.progress(f64::from(unit), f64::from(unit));
            looks += u32::from(watch.wants_look((100 + 20 * u64::from(unit)) << 20));
        }
        assert_eq!(looks, GROWTH_LOOKS);
        let mut flat = MemoryWatch::new(&MemoryPlan::default());
        for unit in 0..400_u32 {
            flat.progress(f64::from(unit), f64::from(unit));
            assert!(!flat.wants_look((100 + 5 * u64::from(unit.min(6))) << 20));
        }
    }
}
