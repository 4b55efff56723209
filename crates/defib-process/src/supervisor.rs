//! The supervisor's side: starts a shim, hears it, tells it.
//!
//! The supervisor's end of the socket is the tree's lifeline: when the last of
//! [`Shim`] and [`Events`] is dropped, or the process dies, the shim ends the tree
//! at once.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use defib_core::event::{Ending, Entry, Event, Fate, JOURNAL_VERSION};
use rustix::event::PollFlags;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use crate::journal::Journal;
use crate::launch::{memory_file, start_shim};
use crate::link::{Link, wait_for};
use crate::process::{Process, children};
use crate::pty::open_pair;
use crate::spec::{Command, RUN_VARIABLE, ShimSpec};
use crate::tree::{self, Holder, Seen};
use crate::{sweep, sys};

/// A shim could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}: {source}")]
pub struct StartError {
    /// What was tried.
    pub step: &'static str,
    /// Why it failed.
    pub source: io::Error,
}

fn failed<E: Into<io::Error>>(step: &'static str) -> impl FnOnce(E) -> StartError {
    move |error| StartError { step, source: error.into() }
}

/// A running shim.
#[derive(Debug)]
pub struct Shim {
    spec: ShimSpec,
    process: Process,
    handle: OwnedFd,
    link: Link,
    journal: Journal,
    master: Option<OwnedFd>,
    waited: Option<Waited>,
    /// It was started by another supervisor: this process cannot reap it.
    adopted: bool,
}

/// A run cannot be taken over. Every text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// Its shim is gone, or the machine was started anew.
    #[error("the run is over; `defib show` tells how it ended")]
    Over,
    /// It ends with its supervisor.
    #[error(
        "the run cannot be taken over: it was not started with --if-supervisor-dies keep; \
         `defib stop` ends it, `defib logs -f` shows its output"
    )]
    NotKept,
    /// It has a supervisor.
    #[error("the run has a supervisor, which lives; end that one first, or watch with `defib logs -f`")]
    Held,
    /// Something else.
    #[error("cannot take the run over: {0}")]
    Failed(#[from] io::Error),
}

/// How a shim ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waited {
    /// Exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// Signal number; then [`Shim::sweep_after_loss`] is needed.
    pub signal: Option<i32>,
}

/// What the shim tells, in order. Poll its descriptor to wait together with others.
#[derive(Debug)]
pub struct Events {
    first: Option<Entry>,
    link: Link,
}

/// What came of waiting for an entry.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// An entry, which is in the journal already.
    Entry(Box<Entry>),
    /// The deadline passed.
    Timeout,
    /// The shim has told everything, or is gone.
    Closed,
}

impl Events {
    /// Waits for the next entry until the deadline; without one, for ever.
    pub fn next_entry(&mut self, deadline: Option<Instant>) -> Next {
        if let Some(first) = self.first.take() {
            return Next::Entry(Box::new(first));
        }
        match self.link.receive_until(deadline) {
            Some(entry) => Next::Entry(Box::new(entry)),
            None if self.link.closed() => Next::Closed,
            None => Next::Timeout,
        }
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}

impl Shim {
    /// Starts the program of `spec` under a shim. Writes the first line of the
    /// journal, and makes this process a subreaper, so that a tree whose shim is
    /// killed comes to it. The program inherits `line`, and nobody else keeps it: its end
    /// is seen at the other side when the program is gone.
    ///
    /// # Errors
    /// The step that failed: the journal, the pseudo-terminal, fork or exec.
    pub fn start(spec: &ShimSpec, line: Option<OwnedFd>) -> Result<(Self, Events), StartError> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(failed("become subreaper"))?;
        let journal = Journal::create(&spec.folder, spec.clock).map_err(failed("create the journal"))?;
        let first = Entry { at_s: 0.0, event: first_event(spec) };
        // A run that is started again goes on in the same journal.
        let fresh = journal.is_empty().map_err(failed("read the journal"))?;
        if fresh {
            journal.write(&first).map_err(failed("write the journal"))?;
        }
        let (ours, theirs) = Link::pair().map_err(failed("make a socket"))?;
        let spec = &ShimSpec { line: line.is_some(), ..spec.clone() };
        let text = serde_json::to_vec(spec).map_err(failed("write the spec"))?;
        let text = memory_file(&text).map_err(failed("write the spec"))?;
        let pty = match spec.terminal {
            Some(terminal) if terminal.any() => {
                let like = if terminal.stdout { rustix::stdio::stdout() } else { rustix::stdio::stdin() };
                Some(open_pair(terminal.size, like).map_err(failed("open a pseudo-terminal"))?)
            }
            _ => None,
        };
        let mut passed = vec![theirs.as_raw_fd(), text.as_raw_fd()];
        if let Some((master, slave)) = &pty {
            passed.extend([master.as_raw_fd(), slave.as_raw_fd()]);
        }
        passed.extend(line.as_ref().map(AsRawFd::as_raw_fd));
        let pid = {
            // Together, so that a sweep never sees one that it does not know.
            let mut live = live_shims();
            let pid = start_shim(&passed).map_err(failed("start the shim"))?;
            live.insert(pid);
            pid
        };
        let handle = Pid::from_raw(pid).ok_or(rustix::io::Errno::SRCH);
        let handle = handle.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let handle = handle.map_err(failed("hold the shim"))?;
        let gone = || io::Error::from_raw_os_error(libc::ESRCH);
        let process = Process::look(pid).ok_or_else(gone).map_err(failed("look at the shim"))?;
        let copy = ours.try_clone().map_err(failed("copy a descriptor"))?;
        let shim = Self {
            spec: spec.clone(),
            process,
            handle,
            link: Link::new(copy),
            journal,
            master: pty.map(|(master, _)| master),
            waited: None,
            adopted: false,
        };
        Ok((shim, Events { first: Some(first), link: Link::new(ours) }))
    }

    /// Takes over the run of `folder`, whose supervisor is gone. The entries of its
    /// journal up to the take-over come back as well; what follows comes as events.
    ///
    /// # Errors
    /// Where the run is over, has a supervisor, or was not started to be taken over.
    pub fn adopt(folder: &Path, within: Duration) -> Result<(Self, Events, Vec<Entry>), AdoptError> {
        let (spec, process) = sweep::shim_of(folder)?.ok_or(AdoptError::Over)?;
        if !sweep::is_held(folder)? {
            return Err(AdoptError::Over);
        }
        let gone = || io::Error::from_raw_os_error(libc::ESRCH);
        let handle = Pid::from_raw(process.pid).ok_or_else(gone)?;
        let handle = pidfd_open(handle, PidfdFlags::empty()).map_err(io::Error::from)?;
        // Only now is it certain that the descriptor is of this very process.
        process.again().ok_or(AdoptError::Over)?;
        let socket = crate::control::connect(folder).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => AdoptError::NotKept,
            io::ErrorKind::ConnectionRefused => AdoptError::Over,
            _ => AdoptError::Failed(error),
        })?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(io::Error::from)?;
        let copy = socket.try_clone()?;
        let mut link = Link::new(socket);
        let pid = i32::try_from(std::process::id()).unwrap_or(0);
        link.send(&Command::Adopt { pid });
        match link.receive_until::<Entry>(Some(Instant::now() + within)) {
            Some(Entry { event: Event::Adopted { pid: chosen }, .. }) if chosen == pid => {}
            // The shim takes nobody while it has a supervisor, and is gone if it closed.
            _ if link.closed() => return Err(AdoptError::Over),
            _ => return Err(AdoptError::Held),
        }
        // An entry is in the journal before it is told: up to ours is history.
        let mut entries = crate::journal::read_journal(folder)?;
        let ours = |entry: &Entry| matches!(entry.event, Event::Adopted { pid: adopted } if adopted == pid);
        if let Some(at) = entries.iter().rposition(ours) {
            entries.truncate(at + 1);
        }
        let journal = Journal::create(folder, spec.clock)?;
        let events = Events { first: None, link };
        let shim =
            Self { spec, process, handle, link: Link::new(copy), journal, master: None, waited: None, adopted: true };
        Ok((shim, events, entries))
    }

    /// Clock of the run.
    #[must_use]
    pub fn clock(&self) -> crate::clock::Clock {
        self.spec.clock
    }

    /// Process id of the shim.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid
    }

    /// The journal, for the supervisor's own entries.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// A copy of the pseudo-terminal's master, for the keyboard and the window size.
    ///
    /// # Errors
    /// Those of duplicating a descriptor.
    pub fn pty_master(&self) -> io::Result<Option<OwnedFd>> {
        self.master.as_ref().map(OwnedFd::try_clone).transpose()
    }

    fn tell(&mut self, command: &Command) {
        self.link.send(command);
        // A shim always reads; if it does not, it is gone, and that shows elsewhere.
        self.link.flush_within(Duration::from_secs(1));
    }

    /// Passes a signal to the program's process group. SIGTSTP arrives as SIGSTOP.
    pub fn signal(&mut self, signal: i32) {
        self.tell(&Command::Signal { signal });
    }

    /// Ends the run: asks everything to end, waits for the grace of the spec, kills.
    /// Called again, or once the program has ended, it means [`Shim::end_now`].
    pub fn end(&mut self, ending: Ending) {
        self.tell(&Command::End { ending, grace_s: None });
    }

    /// As [`Shim::end`], with this grace in seconds.
    pub fn end_within(&mut self, ending: Ending, grace_s: f64) {
        self.tell(&Command::End { ending, grace_s: Some(grace_s) });
    }

    /// Kills what is left now, and gives up output that nobody takes: it stays in
    /// the kept log.
    pub fn end_now(&mut self) {
        self.tell(&Command::EndNow);
    }

    /// Waits until the shim process has ended; `None` if the deadline passed first.
    /// With daemons allowed it stays as long as they do: [`Next::Closed`] is the end then.
    ///
    /// # Errors
    /// `ECHILD` if somebody else reaped it.
    pub fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Option<Waited>> {
        if self.waited.is_none() && wait_for(self.handle.as_fd(), PollFlags::IN, deadline) {
            self.waited = if self.adopted {
                // Nobody tells how it ended; one that ended by itself has told all before.
                let told = crate::journal::read_journal(&self.spec.folder).unwrap_or_default();
                let over = told.iter().any(|entry| matches!(entry.event, Event::TreeEnded { .. }));
                Some(Waited { code: over.then_some(0), signal: (!over).then_some(libc::SIGKILL) })
            } else {
                let mut live = live_shims();
                let reaped = sys::reap(self.process.pid)?;
                if reaped.is_some() {
                    live.remove(&self.process.pid);
                }
                reaped.map(|it| Waited { code: it.code, signal: it.signal })
            };
        }
        Ok(self.waited)
    }

    /// Ends what the shim held, after the shim itself was lost: everything that came
    /// to this process as its children or carries the run's signs. Other shims of this
    /// process and its probes are spared. Returns the entries it added to the journal.
    pub fn sweep_after_loss(&mut self) -> Vec<Entry> {
        let begun = Instant::now();
        let _ = self.process.signal(Signal::KILL);
        let _ = self.wait(Some(begun + Duration::from_secs(2)));
        let mut killed = HashSet::new();
        let mut heirs = Heirs { shim: self };
        let mut survivors = tree::kill(&mut heirs, &mut killed);
        let spared: Vec<i32> = survivors.iter().map(|it| it.pid).collect();
        let since = self.process.start_ticks;
        survivors.extend(sweep::end_marked(&self.spec.run, since, &spared, &mut killed));
        let mut entries = Vec::new();
        for seen in survivors.iter().cloned().map(Seen::of) {
            killed.remove(&(seen.process.pid, seen.process.start_ticks));
            let Seen { process, command, wchan } = seen;
            let (pid, state) = (process.pid, process.state.to_string());
            let event = Event::Leftover { pid, command, state, wchan, fate: Fate::Survives };
            entries.push(self.journal.append(event).0);
        }
        let event = Event::TreeEnded {
            ended: u32::try_from(killed.len()).unwrap_or(u32::MAX),
            survivors: u32::try_from(survivors.len()).unwrap_or(u32::MAX),
            took_s: begun.elapsed().as_secs_f64(),
        };
        entries.push(self.journal.append(event).0);
        entries
    }
}

fn first_event(spec: &ShimSpec) -> Event {
    Event::Run {
        schema: JOURNAL_VERSION,
        run: spec.run.clone(),
        command: spec.command.clone(),
        cwd: spec.cwd.display().to_string(),
        started_ms: spec.clock.started_ms,
        pty: spec.terminal.is_some_and(crate::spec::Terminal::any),
        version: spec.version.clone(),
    }
}

/// What came to this process when a shim died.
struct Heirs<'a> {
    shim: &'a Shim,
}

/// First argument of the disposable children that look at processes.
const PROBE_ARGUMENT: &[u8] = b"__probe";

/// The shims that this process has started and not reaped.
fn live_shims() -> MutexGuard<'static, BTreeSet<i32>> {
    static LIVE: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A probe of this process, or a copy of itself that is about to become something else.
fn is_own(child: &Process) -> bool {
    let command = |pid: &str| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let of_child = command(&child.pid.to_string());
    of_child.split(|&byte| byte == 0).nth(1) == Some(PROBE_ARGUMENT) || of_child == command("self")
}

impl Holder for Heirs<'_> {
    fn tops(&self) -> Vec<Process> {
        let run = self.shim.spec.run.as_str();
        let live = live_shims();
        let mut found = children(std::process::id() as i32);
        found.retain(|child| {
            let another = child.variable(RUN_VARIABLE).is_some_and(|named| named != run);
            let heir = child.start_ticks >= self.shim.process.start_ticks;
            heir && !another && !live.contains(&child.pid) && !is_own(child)
        });
        found
    }

    fn reap(&mut self) {
        for dead in self.tops().iter().filter(|child| !child.alive()) {
            // Gone already is as good.
            let _ = sys::reap(dead.pid);
        }
    }

    fn wait(&mut self, limit: Duration) {
        std::thread::sleep(limit);
    }
}
