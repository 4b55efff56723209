//! The user's limits of time, and whether a start was seen.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use defib_core::account;
use defib_core::event::Ending;
use defib_core::report::OutcomeKind;

use super::feeds::Happening;
use super::start::Seen;
use super::supervisor::{LAST_LOOK_WITHIN, Session};
use crate::archive;

impl Session<'_> {
    /// The next of the user's limits, in seconds since the start.
    pub(super) fn next_limit(&self, now: f64) -> Option<f64> {
        let limits = &self.plan.limits;
        let first = limits.first_output.filter(|_| self.output.values().all(|&bytes| bytes == 0));
        let heartbeat = limits.heartbeat.map(|limit| self.last_heartbeat_s + limit.as_secs_f64());
        let times =
            [limits.timeout.map(|limit| limit.as_secs_f64()), first.map(|limit| limit.as_secs_f64()), heartbeat];
        times.into_iter().flatten().filter(|_| self.ending.is_none()).map(|time| time.max(now)).reduce(f64::min)
    }

    pub(super) fn check_limits(&mut self, happenings: &Receiver<Happening>) {
        let Some(limit) = self.next_limit(self.now()) else { return };
        let now = self.now();
        if limit > now || self.root == 0 {
            return;
        }
        let limits = &self.plan.limits;
        let over = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64()).filter(|&limit| limit <= now);
        let silent = self.output.values().all(|&bytes| bytes == 0);
        let ending = if let Some(limit_s) = over(limits.timeout) {
            Ending::TimedOut { limit_s }
        } else if let Some(limit_s) = over(limits.first_output).filter(|_| silent) {
            Ending::NoFirstOutput { limit_s }
        } else {
            let limit_s = limits.heartbeat.map_or(0.0, |limit| limit.as_secs_f64());
            Ending::NoHeartbeat { limit_s }
        };
        self.last_look(LAST_LOOK_WITHIN, happenings);
        if !self.exited {
            self.end(ending, None);
        }
    }

    /// A sign that it starts, where that is asked.
    pub(super) fn seen(&mut self, at_s: f64, what: Seen) {
        let Some(start) = &mut self.start else { return };
        let first = start.sign().is_none();
        start.seen(at_s, what);
        // What stands after its first word is told from what works by what it waits for.
        if let (true, Some(patience)) = (first, &mut self.patience) {
            patience.look_before(start.due_s());
        }
    }

    /// It has started, or its time to do so is over.
    pub(super) fn check_start(&mut self, happenings: &Receiver<Happening>) {
        let now = self.now();
        let due = self.start.as_ref().is_some_and(|start| start.due_s() <= now);
        if !due || self.root == 0 || self.ending.is_some() {
            return;
        }
        self.last_look(LAST_LOOK_WITHIN, happenings);
        if self.exited || self.ending.is_some() {
            return;
        }
        let Some(start) = &self.start else { return };
        let ending = match start.sign() {
            None => Ending::NoFirstOutput { limit_s: start.first_sign_s() },
            // What waits at a prompt, or in a circle, has printed something and still never works.
            Some(_) if self.stands() => {
                let quiet = self.patience.as_ref().map_or(0.0, |patience| patience.quiet_s(now));
                Ending::Stalled { quiet_s: quiet }
            }
            Some((sign_s, sign)) => Ending::StartSeen { sign: sign.clone(), sign_s: *sign_s },
        };
        self.end(ending, None);
    }

    /// It cannot go on, or waits for somebody to type: the same judgement as of a report.
    fn stands(&self) -> bool {
        let Ok(entries) = defib_process::read_journal(self.folder) else { return false };
        let report = account::report(&entries, archive::output(self.folder));
        let first = report.causes.first();
        report.outcome.kind == OutcomeKind::Stalled
            && first.is_some_and(|cause| cause.proved || cause.id == "terminal-wait")
    }
}
