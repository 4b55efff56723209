//! Signals and keys that reach defib while a run goes on.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use defib_core::event::{Ending, Event, Sender as SignalSender};
use defib_process::signals::Received;
use defib_process::{RawMode, set_window_size, window_size};

use super::feeds::Happening;
use super::plan::IfSupervisorDies;
use super::supervisor::{LAST_LOOK_WITHIN, Session};

/// A second Ctrl+C within this time ends the tree at once.
const IMPATIENCE: Duration = Duration::from_secs(10);

pub(super) const SIGHUP: i32 = 1;
pub(super) const SIGINT: i32 = 2;
pub(super) const SIGTERM: i32 = 15;
const SIGCONT: i32 = 18;
const SIGTSTP: i32 = 20;
const SIGWINCH: i32 = 28;

impl Session<'_> {
    pub(super) fn signal(&mut self, received: Received, happenings: &Receiver<Happening>) {
        let signal = received.signal;
        let sender = Some(received.sender);
        match signal {
            SIGWINCH => {
                if let (Ok(Some(master)), Ok(size)) = (self.shim.pty_master(), window_size(rustix::stdio::stdout())) {
                    let _ = set_window_size(master, size);
                }
            }
            SIGTSTP => self.suspend(),
            SIGCONT if self.raw.is_none() && self.keyboard => {
                self.raw = RawMode::enter(rustix::stdio::stdin()).ok().flatten();
            }
            SIGCONT => {}
            SIGINT => {
                self.look_before_interrupt(happenings);
                self.write(Event::Signal { signal, sender, forwarded: !self.exited });
                self.shim.signal(SIGINT);
                self.count_interrupt();
            }
            SIGHUP if self.plan.if_supervisor_dies == IfSupervisorDies::Keep => {
                let text = "the terminal is gone; the run goes on without a supervisor".to_owned();
                self.write(Event::Notice { text });
                self.detached = true;
            }
            SIGTERM | SIGHUP => {
                self.look_before_interrupt(happenings);
                self.write(Event::Signal { signal, sender: sender.clone(), forwarded: !self.exited });
                self.end(Ending::Cancelled { signal, sender }, None);
            }
            _ => {
                self.write(Event::Signal { signal, sender, forwarded: !self.exited });
                self.shim.signal(signal);
            }
        }
    }

    /// A person who gives up on a program that stands wants to know where.
    fn look_before_interrupt(&mut self, happenings: &Receiver<Happening>) {
        let now = self.now();
        let quiet = self.patience.as_ref().map_or(0.0, |patience| patience.quiet_s(now));
        if quiet > 2.0 && self.interrupted.is_none() && self.ending.is_none() && !self.exited {
            self.last_look(LAST_LOOK_WITHIN, happenings);
        }
    }

    pub(super) fn count_interrupt(&mut self) {
        let again = self.interrupted.replace(Instant::now()).is_some_and(|first| first.elapsed() < IMPATIENCE);
        if self.exited {
            // Only the reader of the output is waited for: the user does not want to.
            self.shim.end_now();
        } else if again {
            let sender = Some(SignalSender { pid: 0, uid: 0, command: None });
            if self.ending.is_none() {
                self.ending = Some(Ending::Cancelled { signal: SIGINT, sender: sender.clone() });
                self.shim.end_within(Ending::Cancelled { signal: SIGINT, sender }, 0.0);
            } else {
                self.shim.end_now();
            }
        }
    }

    /// Ctrl+Z: stops the program, gives the terminal back, and stops as well.
    pub(super) fn suspend(&mut self) {
        self.shim.signal(SIGTSTP);
        if let Some(raw) = &mut self.raw {
            let _ = raw.suspend();
        }
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
        // Goes on here after SIGCONT.
        if let Some(raw) = &mut self.raw {
            let _ = raw.resume();
        }
        self.shim.signal(SIGCONT);
        let now = self.now();
        self.moved(now);
    }
}
