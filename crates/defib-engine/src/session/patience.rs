//! When to look, when to speak, when to end: a state machine over vital signs and looks.
//!
//! Vital signs decide only when to look. While anything moves (output, network,
//! storage, births, a fifth of a core), nothing is judged. When all is quiet, looks
//! are taken at growing shares of the patience, and the wait graph decides. No
//! clock in here: times come in, advice goes out.

use defib_core::account::{LOOKS, moves};
use defib_core::facts::{Look, Vitals};
use defib_core::waits::{Grade, Graph, Verdict, judge};

/// Patience without `--stall-after`, seconds.
const PROVED_S: f64 = 30.0;
/// The same for waits for the network or a terminal.
const PATIENT_S: f64 = 300.0;
/// Shares of the patience at which looks are taken.
const SHARES: [f64; 4] = [0.4, 0.7, 0.88, 1.0];
/// Above this share of one core the tree computes.
const COMPUTES: f64 = 0.2;
/// Times of the looks that are taken whatever happens, seconds after the start:
/// what a program did just before it died is often the explanation.
const ROUTINE: [f64; 6] = [1.0, 3.0, 8.0, 20.0, 60.0, 180.0];
/// Routine looks are for small trees only; they must not cost what they watch.
const SMALL_TREE: u32 = 12;
/// A gap between samples longer than this means that the machine or defib slept.
const SLEPT_S: f64 = 6.0;

/// Limits in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Settings {
    /// `--stall-after`.
    pub stall_after_s: Option<f64>,
    /// `--first-output`.
    pub first_output_s: Option<f64>,
    /// `--timeout`.
    pub timeout_s: Option<f64>,
}

/// What the session should do now.
#[derive(Debug, Clone, PartialEq)]
pub enum Advice {
    /// Nothing.
    Wait,
    /// Take a look.
    Look {
        /// With Python stacks: dear in a large tree.
        stacks: bool,
    },
    /// It is stuck: patience is over.
    Stalled {
        /// Seconds without movement.
        quiet_s: f64,
    },
    /// It looks stuck, but that cannot be proved: explain and go on.
    Explain {
        /// Seconds without movement.
        quiet_s: f64,
    },
    /// A part of it is stuck while the rest moves.
    PartStuck,
}

/// The state.
#[derive(Debug)]
pub struct Patience {
    settings: Settings,
    root: i32,
    relay: i32,
    last: Option<Vitals>,
    quiet_since: f64,
    looks: Vec<Look>,
    /// What the looks say, judged once for each new one: the graph of a large tree costs.
    verdict: Option<Verdict>,
    looking: bool,
    with_stacks: bool,
    next_share: usize,
    next_quiet_look: f64,
    routine: usize,
    limits: Vec<f64>,
    explained: bool,
    tolerated: bool,
    part_told: bool,
}

impl Patience {
    /// Starts when the program does. `relay` is the shim.
    #[must_use]
    pub fn new(settings: Settings, root: i32, relay: i32, now_s: f64) -> Self {
        let mut patience = Self {
            settings,
            root,
            relay,
            last: None,
            quiet_since: now_s,
            looks: Vec::new(),
            verdict: None,
            looking: false,
            with_stacks: false,
            next_share: 0,
            next_quiet_look: 0.0,
            routine: 0,
            limits: Vec::new(),
            explained: false,
            tolerated: false,
            part_told: false,
        };
        patience.limits = patience.looks_before_limits();
        patience
    }

    /// Looks before a limit fires, so that its report can say what it was doing.
    fn looks_before_limits(&self) -> Vec<f64> {
        let mut times: Vec<f64> = [self.settings.timeout_s, self.settings.first_output_s]
            .into_iter()
            .flatten()
            .flat_map(|limit| [limit * 0.5, limit * 0.75, limit - 1.6, limit - 0.8])
            .filter(|&time| time > 0.3)
            .collect();
        times.sort_by(f64::total_cmp);
        times
    }

    /// A look is wanted now, whatever else happens.
    pub fn look_soon(&mut self, now_s: f64) {
        self.limits.insert(0, now_s);
    }

    /// The looks that were wanted before the deadline of what is over are not.
    pub fn forget_deadlines(&mut self) {
        self.limits.clear();
    }

    /// Looks are wanted shortly before this time, close together.
    pub fn look_before(&mut self, time_s: f64) {
        self.limits.extend([time_s - 1.6, time_s - 0.8]);
        self.limits.sort_by(f64::total_cmp);
    }

    /// How long nothing has moved, seconds.
    #[must_use]
    pub fn quiet_s(&self, now_s: f64) -> f64 {
        (now_s - self.quiet_since).max(0.0)
    }

    /// Patience that is in force before a look has told more.
    fn first_patience(&self) -> f64 {
        self.settings.stall_after_s.unwrap_or(PROVED_S)
    }

    /// Looks of the quiet time, oldest first.
    #[must_use]
    pub fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// Output came: that is movement.
    pub fn output(&mut self, now_s: f64) {
        self.moved(now_s);
    }

    /// Something else that shows life: a heartbeat, a stage, going on after a stop.
    pub fn moved(&mut self, now_s: f64) {
        self.quiet_since = now_s;
        self.next_share = 0;
        self.next_quiet_look = 0.0;
        self.looks.clear();
        self.verdict = None;
        self.explained = false;
        self.tolerated = false;
    }

    /// New vital signs.
    pub fn sampled(&mut self, vitals: &Vitals) {
        if let Some(last) = &self.last {
            let span = vitals.at_s - last.at_s;
            let computes = span > 0.0 && (vitals.cpu_s - last.cpu_s) / span > COMPUTES;
            if computes || moves(last, vitals) || span > SLEPT_S {
                self.moved(vitals.at_s);
            }
        }
        self.last = Some(vitals.clone());
    }

    /// A look that was asked for has come.
    pub fn looked(&mut self, look: Look) {
        self.looking = false;
        self.looks.push(look);
        // Without stacks a look tells what moved, not what it means.
        if self.with_stacks {
            self.verdict = self.judge_looks();
        }
    }

    /// The next look was not asked for by [`Patience::advise`]; it has stacks.
    pub fn expect_stacks(&mut self) {
        self.with_stacks = true;
    }

    /// The stall has been told and is left alone, until something moves.
    pub fn tolerate(&mut self) {
        self.tolerated = true;
    }

    /// A look failed or was dropped.
    pub fn look_lost(&mut self) {
        self.looking = false;
    }

    /// What to do now.
    pub fn advise(&mut self, now_s: f64) -> Advice {
        if self.looking {
            return Advice::Wait;
        }
        let quiet = self.quiet_s(now_s);
        if let Some(advice) = self.judge(quiet) {
            return advice;
        }
        let Some(stacks) = self.due_look(now_s, quiet) else { return Advice::Wait };
        self.looking = true;
        self.with_stacks = stacks;
        Advice::Look { stacks }
    }

    /// When [`Patience::advise`] has something new to say, at the latest.
    #[must_use]
    pub fn next_time(&self, now_s: f64) -> f64 {
        let patience = self.first_patience();
        let share = SHARES.get(self.next_share).map(|share| self.quiet_since + share * patience);
        let routine = ROUTINE.get(self.routine).copied();
        let limit = self.limits.first().copied();
        let times = [share, routine, limit, Some(now_s + 1.0)];
        times.into_iter().flatten().filter(|&time| time > now_s).fold(now_s + 1.0, f64::min)
    }

    /// Is a look due, and with stacks? In a large tree only the last look of the
    /// patience reads them, and further ones come more seldom.
    fn due_look(&mut self, now_s: f64, quiet: f64) -> Option<bool> {
        let patience = self.first_patience();
        let small = self.is_small();
        if let Some(share) = SHARES.get(self.next_share) {
            if quiet >= share * patience {
                self.next_share += 1;
                let wait = patience.clamp(1.0, 30.0) * if small { 1.0 } else { 2.0 };
                self.next_quiet_look = quiet + wait;
                return Some(small || self.next_share == SHARES.len());
            }
        } else if quiet >= self.next_quiet_look {
            // It waits within its rights, or patience is longer: seldom, but go on looking.
            self.next_quiet_look = quiet * if small { 1.5 } else { 3.0 };
            return Some(true);
        }
        if self.limits.first().is_some_and(|&time| now_s >= time) {
            self.limits.remove(0);
            return Some(true);
        }
        self.routine_look(now_s).then_some(true)
    }

    fn is_small(&self) -> bool {
        self.last.as_ref().is_none_or(|vitals| vitals.processes <= SMALL_TREE)
    }

    fn routine_look(&mut self, now_s: f64) -> bool {
        let due = ROUTINE.get(self.routine).is_some_and(|&time| now_s >= time);
        self.routine += usize::from(due);
        due && self.last.is_some() && self.is_small()
    }

    /// Judges the looks of the quiet time.
    fn judge(&mut self, quiet: f64) -> Option<Advice> {
        let newest = self.looks.last()?;
        let recent = newest.at_s >= self.quiet_since;
        let verdict = self.verdict.as_ref()?;
        match verdict.grade {
            Grade::Part if !self.part_told && self.looks.len() >= 2 => {
                self.part_told = true;
                Some(Advice::PartStuck)
            }
            Grade::Proved | Grade::Probable if recent && self.looks.len() >= 2 => {
                let (grade, is_patient) = (verdict.grade, verdict.is_patient());
                self.stuck(grade, is_patient, quiet)
            }
            _ => None,
        }
    }

    fn stuck(&mut self, grade: Grade, is_patient: bool, quiet: f64) -> Option<Advice> {
        let own = self.settings.stall_after_s;
        let patience = own.unwrap_or(if is_patient { PATIENT_S } else { PROVED_S });
        // The last look must be as old as patience asks: what it saw is the reason.
        let seen_s = self.looks.last()?.at_s - self.quiet_since;
        if self.tolerated || quiet < patience || seen_s < patience * 0.85 {
            return None;
        }
        if own.is_some() || grade == Grade::Proved {
            return Some(Advice::Stalled { quiet_s: quiet });
        }
        (!std::mem::replace(&mut self.explained, true)).then_some(Advice::Explain { quiet_s: quiet })
    }

    /// Verdict on the looks of the quiet time, compared with each other.
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    fn judge_looks(&self) -> Option<Verdict> {
        let from = self.looks.len().saturating_sub(LOOKS);
        let graph = Graph::new(&self.looks[from..], Some(self.relay))?;
        Some(judge(&graph, self.root, self.looks.last()?.at_s < self.quiet_since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vitals(at_s: f64, cpu_s: f64, output: u64) -> Vitals {
        Vitals { at_s, cpu_s, output_bytes: output, processes: 1, ..Vitals::default() }
    }

    #[test]
    fn looks_come_at_growing_shares_of_the_quiet_time() {
        let settings = Settings { stall_after_s: Some(10.0), ..Settings::default() };
        let mut patience = Patience::new(settings, 1, 2, 0.0);
        let mut asked = Vec::new();
        for tenth in 0..120 {
            let now = f64::from(tenth) / 10.0;
            patience.sampled(&vitals(now, 0.0, 0));
            if matches!(patience.advise(now), Advice::Look { .. }) {
                asked.push(now);
                patience.look_lost();
            }
        }
        assert_eq!(asked, [1.0, 3.0, 4.0, 7.0, 8.0, 8.8, 10.0]);
    }

    proptest! {
        /// Whatever moves, a program that moves is never called stalled.
        #[test]
        fn a_moving_program_is_never_stalled(kinds in proptest::collection::vec(0u8..4, 10..60)) {
            let settings = Settings { stall_after_s: Some(3.0), ..Settings::default() };
            let mut patience = Patience::new(settings, 1, 2, 0.0);
            let mut now = vitals(0.0, 0.0, 0);
            for kind in kinds {
                now.at_s += 1.0;
                match kind {
                    0 => now.cpu_s += 0.5,
                    1 => now.output_bytes += 1,
                    2 => now.net_received += 1,
                    _ => now.births += 1,
                }
                patience.sampled(&now);
                let advice = patience.advise(now.at_s);
                let ends = matches!(advice, Advice::Stalled { .. });
                prop_assert!(!ends);
                if matches!(advice, Advice::Look { .. }) {
                    patience.expect_stacks();
                    patience.looked(Look { at_s: now.at_s, root: 1, ..Look::default() });
                }
            }
        }
    }
}
