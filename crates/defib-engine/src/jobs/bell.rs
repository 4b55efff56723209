//! Wakes the seats of a backend when there is work for them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait: another process may have queued something.
const LONGEST: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct State {
    rung: u64,
    /// When a job becomes due that waits for its time.
    due: Option<Instant>,
}

/// Rings when there is work.
#[derive(Debug, Default)]
pub(super) struct Bell {
    state: Mutex<State>,
    waiting: Condvar,
}

impl Bell {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it has rung: ask before looking for work.
    pub(super) fn rung(&self) -> u64 {
        self.state().rung
    }

    /// There is a job.
    pub(super) fn ring(&self) {
        self.state().rung += 1;
        self.waiting.notify_one();
    }

    /// There will be one after this time.
    pub(super) fn ring_after(&self, pause: Duration) {
        if pause.is_zero() {
            return self.ring();
        }
        let at = Instant::now() + pause;
        let mut state = self.state();
        state.due = Some(state.due.map_or(at, |due| due.min(at)));
        drop(state);
        self.waiting.notify_one();
    }

    /// Everybody looks.
    pub(super) fn ring_all(&self) {
        self.state().rung += 1;
        self.waiting.notify_all();
    }

    /// Waits until it rings again, something becomes due, or a while has passed.
    pub(super) fn wait(&self, rung: u64) {
        let until = Instant::now() + LONGEST;
        let mut state = self.state();
        while state.rung == rung {
            let now = Instant::now();
            if state.due.is_some_and(|due| due <= now) {
                state.due = None;
                return;
            }
            let at = state.due.map_or(until, |due| due.min(until));
            if now >= until {
                return;
            }
            state = self.waiting.wait_timeout(state, at - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
