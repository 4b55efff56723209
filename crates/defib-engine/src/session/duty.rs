//! What a worker has to do at the moment.
//!
//! Who gives it work says when each piece begins and ends; its session reads that, looks
//! before the deadline and ends the process when it has passed. Both agree under one lock
//! whether the process is still to be used, so that nobody gives work to one that is about
//! to be ended, and nobody is ended for what another piece of work did.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use defib_core::event::Stream;

/// A piece of work.
#[derive(Debug, Clone)]
pub struct Work {
    /// `setup`, or the job.
    pub what: String,
    /// It must be done by then.
    pub deadline: Instant,
    /// Time it was given.
    pub limit: Duration,
    /// Longest time between two signs of life.
    pub heartbeat: Option<Duration>,
    /// Where the output of this piece of work begins, bytes.
    pub output_from: HashMap<Stream, u64>,
}

#[derive(Debug)]
struct State {
    work: Option<Work>,
    /// Pieces of work so far.
    number: u64,
    began: Instant,
    heard: Instant,
    over: bool,
}

/// Shared by a worker's session and whoever gives it work.
#[derive(Debug)]
pub struct Duty {
    state: Mutex<State>,
}

/// What the session sees.
#[derive(Debug, Clone)]
pub(super) struct Glance {
    /// Number of the piece of work; it changes when that ends.
    pub(super) number: u64,
    /// The work, and for how long it has gone on.
    pub(super) work: Option<(Work, Duration)>,
    /// Since the last sign of life.
    pub(super) silent: Duration,
}

impl Default for Duty {
    fn default() -> Self {
        let now = Instant::now();
        Self { state: Mutex::new(State { work: None, number: 0, began: now, heard: now, over: false }) }
    }
}

impl Duty {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A piece of work begins; false if the process is about to be ended: give it to
    /// another.
    #[must_use]
    pub fn begin(&self, work: Work) -> bool {
        let mut state = self.state();
        if state.over {
            return false;
        }
        state.number += 1;
        state.began = Instant::now();
        state.heard = state.began;
        state.work = Some(work);
        true
    }

    /// It is done; false if the process is about to be ended all the same.
    pub fn end(&self) -> bool {
        let mut state = self.state();
        state.number += 1;
        state.work = None;
        !state.over
    }

    /// A sign of life.
    pub fn heard(&self) {
        self.state().heard = Instant::now();
    }

    /// The process takes no more work.
    pub fn close(&self) {
        self.state().over = true;
    }

    /// Whether it takes work.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.state().over
    }

    /// The work at hand.
    pub(super) fn work(&self) -> Option<Work> {
        self.state().work.clone()
    }

    pub(super) fn glance(&self) -> Glance {
        let state = self.state();
        let work = state.work.clone().map(|work| (work, state.began.elapsed()));
        Glance { number: state.number, work, silent: state.heard.elapsed() }
    }

    /// The process is to be ended because of this piece of work; false if another has
    /// begun meanwhile.
    pub(super) fn seize(&self, number: u64) -> bool {
        let mut state = self.state();
        let same = state.number == number;
        state.over |= same;
        same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work() -> Work {
        let limit = Duration::from_secs(1);
        Work {
            what: "job".to_owned(),
            deadline: Instant::now() + limit,
            limit,
            heartbeat: None,
            output_from: HashMap::new(),
        }
    }

    #[test]
    fn nobody_is_ended_for_another_piece_of_work() {
        let duty = Duty::default();
        assert!(duty.begin(work()));
        let seen = duty.glance();
        assert!(duty.end());
        assert!(duty.begin(work()));
        assert!(!duty.seize(seen.number), "that piece is done");
        assert!(duty.seize(duty.glance().number));
        assert!(!duty.end() && !duty.begin(work()), "and now it takes no more");
    }
}
