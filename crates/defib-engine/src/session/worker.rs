//! The session of a worker: a run that gets one piece of work after the other.
//!
//! It has no keyboard and gets no signals of the terminal; whoever gives it work may order
//! its end. Patience begins anew with each piece of work, and rests between two. The
//! deadline of a piece of work is kept here, as the user's limits are.

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use defib_core::event::{Ending, Event, Stream};
use defib_core::facts::{Frame, Look, Thread};
use defib_store::State;

use super::desk::Desk;
use super::duty::{Duty, Glance};
use super::feeds::Happening;
use super::plan::Plan;
use super::supervisor::{Audience, Finished, LAST_LOOK_WITHIN, Session, SessionError, Start, attempt};

/// Work that is done sooner leaves no trace in the journal.
const WORTH_A_LINE: Duration = Duration::from_millis(300);
/// File of the Python package that hosts predictors, and what its own threads run there.
const HOST_FILE: &str = "/defib/worker.py";
const HOST_FUNCTIONS: [&str; 2] = ["watch", "beat"];
/// Grace for a process whose time is over: it had its time.
const GRACE_S: f64 = 1.0;

/// Supervises a worker until its process has ended. `line`, if any, becomes its control
/// descriptor, `duty` tells what it has to do, and orders come through `desk`.
///
/// # Errors
/// As [`super::supervise`].
pub fn supervise_worker(
    desk: &Desk,
    line: Option<OwnedFd>,
    duty: &Arc<Duty>,
    plan: &Plan,
    state: &State,
    audience: &mut dyn Audience,
) -> Result<Finished, SessionError> {
    let (sender, happenings) = channel();
    desk.connect(sender.clone());
    let start = Start { plan, state, restart: 0, line, duty: Some(duty) };
    let finished = attempt(start, &sender, &happenings, audience);
    desk.disconnect();
    duty.close();
    finished
}

/// What the session remembers of the duty.
#[derive(Debug, Default)]
pub(super) struct OnDuty {
    seen: u64,
    pub(super) told: bool,
    /// Threads of the host that wait for us and tell that it lives: not the user's work.
    host_threads: HashSet<i32>,
    /// The piece of work for which it is ended.
    pub(super) ended_in: Option<super::duty::Work>,
}

impl OnDuty {
    /// Takes the host's own threads out of a look. They are known by their stacks, and
    /// once known also where a look has none.
    pub(super) fn leave_out_host(&mut self, look: &mut Look) {
        for process in &mut look.processes {
            let hosts = process.threads.iter().filter(|thread| is_host(thread)).map(|thread| thread.tid);
            self.host_threads.extend(hosts);
            process.threads.retain(|thread| !self.host_threads.contains(&thread.tid));
        }
    }

    /// Where the output begins that has to do with its end, bytes.
    pub(super) fn output_from(&self) -> HashMap<Stream, u64> {
        self.ended_in.as_ref().map(|work| work.output_from.clone()).unwrap_or_default()
    }
}

/// Its outermost function of the package is one that only threads of the host run.
fn is_host(thread: &Thread) -> bool {
    let Some(stack) = &thread.python else { return false };
    let hosts = |frame: &Frame| frame.file.ends_with(HOST_FILE) && HOST_FUNCTIONS.contains(&frame.function.as_str());
    stack.frames.iter().any(hosts)
}

impl Session<'_> {
    fn glance(&self) -> Option<Glance> {
        self.duty.map(|duty| duty.glance())
    }

    /// Idle, where it is a worker.
    pub(super) fn is_idle_worker(&self) -> bool {
        self.glance().is_some_and(|glance| glance.work.is_none())
    }

    /// The next deadline of the work at hand, in seconds since the start.
    pub(super) fn next_duty(&self, now: f64) -> Option<f64> {
        let glance = self.glance()?;
        let (work, lasts) = glance.work.as_ref()?;
        let silence = work.heartbeat.map(|limit| limit.saturating_sub(glance.silent));
        let left = work.limit.saturating_sub(*lasts).min(silence.unwrap_or(work.limit));
        Some(now + left.as_secs_f64())
    }

    /// What has become of the work at hand?
    pub(super) fn check_duty(&mut self, happenings: &Receiver<Happening>) {
        let Some(glance) = self.glance() else { return };
        let now = self.now();
        if glance.number != self.on_duty.seen || glance.work.is_none() {
            self.on_duty.seen = glance.number;
            self.on_duty.told = false;
            if let Some(patience) = &mut self.patience {
                patience.forget_deadlines();
            }
            self.moved(now);
        }
        let Some((work, lasts)) = glance.work else { return };
        if !self.on_duty.told && (lasts >= WORTH_A_LINE || work.limit < WORTH_A_LINE * 4) {
            self.on_duty.told = true;
            self.write(Event::Stage { name: work.what.clone() });
            if let Some(patience) = &mut self.patience {
                patience.look_before(now + work.limit.saturating_sub(lasts).as_secs_f64());
            }
        }
        let limit_s = |limit: Duration| limit.as_secs_f64();
        let ending = if lasts >= work.limit {
            Ending::TimedOut { limit_s: limit_s(work.limit) }
        } else {
            match work.heartbeat.filter(|limit| glance.silent >= *limit) {
                Some(limit) => Ending::NoHeartbeat { limit_s: limit_s(limit) },
                None => return,
            }
        };
        self.last_look(LAST_LOOK_WITHIN, happenings);
        if !self.exited && self.seize() {
            self.on_duty.ended_in = Some(work);
            self.end(ending, Some(GRACE_S));
        }
    }

    /// It may be ended for what was seen of the work at hand: nothing else has begun.
    pub(super) fn seize(&self) -> bool {
        self.duty.is_none_or(|duty| duty.seize(self.on_duty.seen))
    }

    /// Whoever gives it work wants it to end.
    pub(super) fn ordered(&mut self, ending: Ending, grace_s: Option<f64>) {
        if self.ending.is_none() && !self.exited {
            self.end(ending, grace_s);
        }
    }
}
