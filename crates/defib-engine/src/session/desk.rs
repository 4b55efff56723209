//! Where signals to defib go: to the run in progress, or kept until the next one.
//!
//! One thread reads them for the life of the program, for several runs may follow
//! each other and none may miss a Ctrl+C between them.

use std::os::fd::AsFd as _;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use defib_core::event::Ending;
use defib_process::signals::Signals;
use rustix::event::{PollFd, PollFlags, poll};

use super::feeds::Happening;

/// Receives signals for the runs of one defib.
#[derive(Debug, Clone)]
pub struct Desk {
    line: Arc<Mutex<Line>>,
}

#[derive(Debug, Default)]
struct Line {
    to: Option<Sender<Happening>>,
    kept: Vec<Happening>,
}

impl Desk {
    /// One that gets no signals, only orders: that of a worker.
    #[must_use]
    pub fn quiet() -> Self {
        Self { line: Arc::default() }
    }

    /// Orders the end of the run in progress, or of the next. Without a grace in seconds
    /// the run's own applies.
    pub fn order(&self, ending: Ending, grace_s: Option<f64>) {
        self.pass(Happening::Order(ending, grace_s));
    }

    /// Begins to receive.
    #[must_use]
    pub fn open(signals: Signals) -> Self {
        let desk = Self { line: Arc::default() };
        let receiver = desk.clone();
        thread::spawn(move || {
            loop {
                let mut descriptors = [PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
                let _ = poll(&mut descriptors, None);
                while let Ok(Some(received)) = signals.next_signal() {
                    receiver.pass(Happening::Signal(received));
                }
            }
        });
        desk
    }

    /// Somebody wants defib to end, and no run was there to hear it: the signal.
    #[must_use]
    pub fn cancelled(&self) -> Option<i32> {
        const ENDS: [i32; 3] = [1, 2, 15];
        let signal = |kept: &Happening| match kept {
            Happening::Signal(received) if ENDS.contains(&received.signal) => Some(received.signal),
            _ => None,
        };
        self.line().kept.iter().find_map(signal)
    }

    /// From now on signals go to this run, those that were kept first.
    pub(super) fn connect(&self, to: Sender<Happening>) {
        let mut line = self.line();
        for happening in line.kept.drain(..) {
            let _ = to.send(happening);
        }
        line.to = Some(to);
    }

    /// The run is over.
    pub(super) fn disconnect(&self) {
        self.line().to = None;
    }

    fn pass(&self, happening: Happening) {
        let mut line = self.line();
        match &line.to {
            Some(to) => drop(to.send(happening)),
            None => line.kept.push(happening),
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
