//! The shim: holds one process tree from its start to its end.
//!
//! One thread does everything but copying output: it polls the socket to the
//! supervisor, a signal descriptor (children that ended or stopped, requests to
//! end), the program's NOTIFY_SOCKET and the relays' event descriptor, and acts on
//! timers. Every event goes to the journal before it goes to the supervisor.
//!
//! ```text
//! Running ─program ended─► Settling ─100 ms─► Asked ─grace─► killed ─► Draining ─► Done
//!    │                        └──────nobody left──────────────────────►  ▲
//!    └─ told to end, supervisor gone ──────► Asked ──────────────────────┘
//!                             Settling ─daemons allowed─► Detaching ─► Behind ─► Draining
//! ```
//! Draining waits for the user's reader as long as it lives; everything else is
//! bounded.

mod ending;
mod setup;

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use defib_core::event::{Ending, Entry, Event};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read};

use crate::control::Control;
use crate::job::Job;
use crate::journal::Journal;
use crate::link::{Link, timespec};
use crate::notify::Notify;
use crate::relay::Relay;
use crate::signals::sender;
use crate::spec::{Command, ShimSpec};
use crate::sys::{self, Change};
use crate::tree::Seen;

/// Between two events of output of one stream.
const OUTPUT_EVERY: Duration = Duration::from_millis(250);

/// Longest wait for the first word of a new supervisor, which it says at once.
const FIRST_WORD: Duration = Duration::from_millis(200);

/// Longest wait for a supervisor to take the last entries; they are in the journal.
const FAREWELL: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// The program runs.
    Running,
    /// The program has ended; others may be about to.
    Settling { until: Instant },
    /// Everything was asked to end.
    Asked { until: Instant },
    /// Nobody is left that could be ended; output is on its way.
    Draining { since: Instant },
    /// Daemons stay; what the program itself printed is on its way.
    Detaching,
    /// Only daemons are left, and nobody listens.
    Behind,
    /// All is told.
    Done,
}

/// The state of a shim.
struct State {
    spec: ShimSpec,
    link: Link,
    /// Where another supervisor may take over.
    control: Option<Control>,
    journal: Journal,
    signals: OwnedFd,
    notify: Option<Notify>,
    wake: Arc<OwnedFd>,
    relays: Vec<Relay>,
    job: Job,
    job_ended: bool,
    /// There is no child left: `ECHILD` was seen.
    empty: bool,
    phase: Phase,
    /// When the ending of the tree began.
    begun: Option<Instant>,
    /// The run is ended by defib, not by itself.
    ordered: bool,
    /// What outlived the program.
    leftovers: Vec<Seen>,
    /// Who was asked to end or killed.
    touched: HashSet<(i32, u64)>,
    output_due: Option<Instant>,
    journal_broken: bool,
    /// The end of the link was seen and acted upon.
    loss_heard: bool,
    /// Locked as long as this process lives.
    _lock: Option<std::fs::File>,
}

/// Body of the shim process: the program calls this when its first argument is
/// `__shim`, before it does anything else. The exit status is 0 unless the shim
/// itself could not be set up (125).
#[must_use]
pub fn shim_main() -> ExitCode {
    match setup::set_up() {
        Ok(Some(mut state)) => {
            state.run();
            ExitCode::SUCCESS
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(125),
    }
}

impl State {
    fn emit(&mut self, event: Event) {
        let (entry, written) = self.journal.append(event);
        self.link.send(&entry);
        if let Err(error) = written
            && !self.journal_broken
        {
            self.journal_broken = true;
            let text = format!("the journal cannot be written: {error}");
            self.link.send(&Entry { at_s: entry.at_s, event: Event::Trouble { text } });
        }
    }

    fn run(&mut self) {
        self.reap_children();
        self.advance();
        while self.phase != Phase::Done {
            // A lost supervisor also shows when something is told; nobody wakes us then.
            if !self.link.closed() || self.loss_heard {
                self.wait_for_something();
            }
            self.hear_signals();
            self.hear_program();
            self.hear_relays();
            self.hear_supervisor();
            self.advance();
        }
        self.link.flush_within(FAREWELL);
    }

    /// Polls everything until the next timer.
    fn wait_for_something(&mut self) {
        let pressing = self.relays.iter().fold(false, |any, relay| relay.press() | any);
        let soon = pressing.then(|| Instant::now() + Duration::from_millis(1));
        let until = match self.phase {
            Phase::Settling { until } | Phase::Asked { until } => Some(until),
            Phase::Draining { .. } => Some(Instant::now() + Duration::from_millis(100)),
            _ => None,
        };
        let notify_due = self.notify.as_ref().and_then(Notify::due);
        let next = [soon, until, notify_due, self.output_due].into_iter().flatten().min();
        let limit = next.map(|at| timespec(at.saturating_duration_since(Instant::now())));
        let mut polled = vec![PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&self.wake, PollFlags::IN)];
        if let Some(notify) = &self.notify {
            polled.push(PollFd::new(notify, PollFlags::IN));
        }
        if !self.link.closed() {
            let out = if self.link.pending() { PollFlags::OUT } else { PollFlags::empty() };
            polled.push(PollFd::new(&self.link, PollFlags::IN | out));
        } else if let Some(control) = &self.control {
            polled.push(PollFd::new(control, PollFlags::IN));
        }
        // Whatever poll says, everything is looked at without blocking.
        let _ = poll(&mut polled, limit.as_ref());
    }

    fn hear_signals(&mut self) {
        let mut children = false;
        while let Ok(Some((signal, pid, uid))) = sys::next_signal(self.signals.as_fd()) {
            match signal {
                libc::SIGCHLD => children = true,
                libc::SIGUSR1 => self.end(Ending::StopRequested, None),
                signal => {
                    let sender = Some(sender(pid, uid));
                    self.end(Ending::Cancelled { signal, sender }, None);
                }
            }
        }
        if children {
            self.hear_stops();
            self.reap_children();
        }
    }

    fn hear_stops(&mut self) {
        if self.job_ended {
            return;
        }
        while let Ok(Some(change)) = sys::take_stop(self.job.pid) {
            match change {
                Change::Stopped(signal) => self.emit(Event::Stopped { signal }),
                Change::Continued => self.emit(Event::Continued),
                Change::Ended => return,
            }
        }
    }

    /// Reaps every child that has ended, the program among them.
    fn reap_children(&mut self) {
        loop {
            match sys::peek_child(None) {
                Ok(Some((pid, _))) => {
                    let Ok(Some(reaped)) = sys::reap(pid) else {
                        return;
                    };
                    if pid == self.job.pid && !self.job_ended {
                        self.job_ended = true;
                        self.emit(Event::Exited {
                            code: reaped.code,
                            signal: reaped.signal,
                            core: reaped.core,
                            max_rss_bytes: reaped.max_rss_bytes,
                            cpu_s: reaped.cpu_s,
                        });
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    self.empty = error.raw_os_error() == Some(libc::ECHILD);
                    return;
                }
            }
        }
    }

    fn hear_program(&mut self) {
        let Some(notify) = &mut self.notify else {
            return;
        };
        for event in notify.receive() {
            self.emit(event);
        }
    }

    fn hear_relays(&mut self) {
        let mut counter = [0; 8];
        let woken = !matches!(read(&*self.wake, &mut counter), Err(Errno::AGAIN));
        let now = Instant::now();
        let due = self.output_due.is_some_and(|at| at <= now);
        let prompt = woken && (self.output_due.is_none() || self.first_bytes());
        if !due && !prompt {
            return;
        }
        let mut news = self.tell_output();
        if !news {
            self.relays.iter().for_each(Relay::arm);
            // Bytes that came between the look and the arming.
            news = self.tell_output();
        }
        self.output_due = news.then(|| now + OUTPUT_EVERY);
    }

    fn first_bytes(&self) -> bool {
        self.relays.iter().any(Relay::first)
    }

    fn tell_output(&mut self) -> bool {
        let news: Vec<Event> = self.relays.iter_mut().filter_map(Relay::news).collect();
        let any = !news.is_empty();
        news.into_iter().for_each(|event| self.emit(event));
        any
    }

    fn hear_supervisor(&mut self) {
        self.link.flush();
        while let Some(command) = self.link.receive() {
            match command {
                Command::Signal { signal } => self.pass_on(signal),
                Command::End { ending, grace_s } => self.end(ending, grace_s),
                Command::EndNow => self.end_now(),
                // Only the first word of a new supervisor.
                Command::Adopt { .. } => {}
            }
        }
        if self.link.closed() {
            // What ends with its supervisor is told so until it has.
            if !self.loss_heard || self.control.is_none() {
                self.loss_heard = true;
                self.supervisor_gone();
            }
            self.hear_adopters();
        }
    }

    /// While there is no supervisor, the first that asks becomes it.
    fn hear_adopters(&mut self) {
        while let Some(socket) = self.control.as_ref().filter(|_| self.link.closed()).and_then(Control::accept) {
            let mut link = Link::new(socket);
            let word = link.receive_until(Some(Instant::now() + FIRST_WORD));
            // One that has given up waiting in the queue is seen by the end behind its word.
            let more: Option<Command> = link.receive();
            if let (Some(Command::Adopt { pid }), None, false) = (word, more, link.closed()) {
                self.link = link;
                self.loss_heard = false;
                self.emit(Event::Adopted { pid });
            }
        }
    }

    /// Passes a signal to the program's process group. A stop from the keyboard is
    /// turned into SIGSTOP: the program leads its own session, where the kernel
    /// would ignore SIGTSTP.
    fn pass_on(&self, signal: i32) {
        if !self.job_ended {
            let signal = if signal == libc::SIGTSTP { libc::SIGSTOP } else { signal };
            // It may have ended meanwhile; its pid is ours until it is reaped.
            let _ = sys::signal_group(self.job.pid, signal);
        }
    }
}

/// The user's descriptor with this number, which std keeps open for the whole process.
fn standard(number: usize) -> BorrowedFd<'static> {
    match number {
        0 => rustix::stdio::stdin(),
        1 => rustix::stdio::stdout(),
        _ => rustix::stdio::stderr(),
    }
}

fn other(text: impl Into<String>) -> io::Error {
    io::Error::other(text.into())
}
