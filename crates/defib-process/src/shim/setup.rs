//! From exec to a running program.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use defib_core::event::{Event, Stream};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{FlockOperation, flock};
use rustix::pipe::{PipeFlags, pipe_with};

use super::{FAREWELL, Phase, State, other, standard};
use crate::cgroup;
use crate::control::Control;
use crate::job::{self, Job, Standard};
use crate::journal::Journal;
use crate::kept::KeptWriter;
use crate::link::Link;
use crate::notify::Notify;
use crate::process::{Process, boot_id};
use crate::relay::{Relay, enlarge};
use crate::spec::{Keep, LINE_VARIABLE, ShimSpec};
use crate::sweep::LOCK_FILE;
use crate::sys;

/// Numbers of the descriptors the supervisor passes on.
const LINK: i32 = 3;
const SPEC: i32 = 4;
const MASTER: i32 = 5;
const SLAVE: i32 = 6;

/// The signals a shim reads; all others stay blocked.
const HEARD: [i32; 6] = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1];

/// Where a stream comes from and goes to.
struct Channel {
    stream: Stream,
    source: OwnedFd,
    out: BorrowedFd<'static>,
}

/// Makes this process a shim and starts the program. `None` if the program could
/// not be started, which is told.
pub(super) fn set_up() -> io::Result<Option<State>> {
    let link = Link::new(sys::inherited(LINK)?);
    let mut text = Vec::new();
    File::from(sys::inherited(SPEC)?).read_to_end(&mut text)?;
    let spec: ShimSpec = serde_json::from_slice(&text)?;
    let pty = match spec.terminal {
        Some(terminal) if terminal.any() => Some((sys::inherited(MASTER)?, sys::inherited(SLAVE)?)),
        _ => None,
    };
    let next = if pty.is_some() { SLAVE + 1 } else { SPEC + 1 };
    let line = spec.line.then(|| sys::inherited(next)).transpose()?;
    sys::close_from(next.cast_unsigned() + u32::from(spec.line));
    for (number, away) in [(0, spec.no_input), (1, spec.quiet), (2, spec.quiet)] {
        if away {
            sys::detach_standard(number)?;
        }
    }
    become_shim()?;
    let signals = sys::signal_descriptor(&HEARD)?;
    let lock = take_lock(&spec.folder);
    let journal = Journal::create(&spec.folder, spec.clock)?;
    let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (notify, notify_error) = match Notify::open(&spec.run) {
        Ok(notify) => (Some(notify), None),
        Err(error) => (None, Some(error)),
    };
    let (lock, lock_error) = match lock {
        Ok(lock) => (Some(lock), None),
        Err(error) => (None, Some(error)),
    };
    let (control, control_error) = match spec.outlives_supervisor.then(|| Control::open(&spec.folder)) {
        Some(Err(error)) => (None, Some(error)),
        Some(Ok(control)) => (Some(control), None),
        None => (None, None),
    };
    let mut state = State {
        spec,
        link,
        control,
        journal,
        signals,
        notify,
        wake,
        relays: Vec::new(),
        job: Job { pid: 0, cgroup_error: None },
        job_ended: false,
        empty: false,
        phase: Phase::Running,
        begun: None,
        ordered: false,
        leftovers: Vec::new(),
        touched: HashSet::new(),
        output_due: None,
        journal_broken: false,
        loss_heard: false,
        _lock: lock,
    };
    state.introduce()?;
    state.trouble("no lock on the run's folder", lock_error);
    state.trouble("no NOTIFY_SOCKET", notify_error);
    state.trouble("the run cannot be taken over", control_error);
    match state.start_job(pty, line) {
        Ok(started) => Ok(started.then_some(state)),
        Err(error) => {
            let text = format!("the run could not be set up: {error}");
            state.emit(Event::Trouble { text });
            state.link.flush_within(FAREWELL);
            Err(error)
        }
    }
}

fn become_shim() -> io::Result<()> {
    sys::block_all_signals()?;
    // Fails only for the leader of a process group, which a fresh child never is.
    rustix::process::setsid()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    rustix::thread::set_name(c"defib-shim")?;
    Relay::prepare()
}

/// Locks the run for the life of this process.
fn take_lock(folder: &Path) -> io::Result<File> {
    let path = folder.join(LOCK_FILE);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    // A sweep that looks holds it shared, for a moment.
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

impl State {
    fn introduce(&mut self) -> io::Result<()> {
        let me = Process::look(std::process::id() as i32).ok_or_else(|| other("no /proc"))?;
        let boot_id = boot_id();
        self.emit(Event::Shim { pid: me.pid, start_ticks: me.start_ticks, boot_id });
        Ok(())
    }

    fn trouble(&mut self, what: &str, error: Option<io::Error>) {
        if let Some(error) = error {
            self.emit(Event::Trouble { text: format!("{what}: {error}") });
        }
    }

    /// Starts the program and the relays; false if it could not be started.
    fn start_job(&mut self, pty: Option<(OwnedFd, OwnedFd)>, line: Option<OwnedFd>) -> io::Result<bool> {
        let (channels, mut standard) = self.lay_pipes(pty)?;
        let address = self.notify.as_ref().map(|notify| ("NOTIFY_SOCKET", notify.address().to_owned()));
        let number = line.as_ref().map(|line| (LINE_VARIABLE, line.as_raw_fd().to_string()));
        standard.line = line;
        let extra: Vec<_> = address.iter().chain(&number).map(|(name, value)| (*name, value.as_str())).collect();
        match job::start(&self.spec, standard, &extra, self.link.as_fd()) {
            Ok(job) => self.job = job,
            Err(failure) => {
                let step = failure.step.to_owned();
                self.emit(Event::NotStarted { errno: failure.errno, step, path: failure.path });
                if let Some(group) = &self.spec.cgroup {
                    let _ = cgroup::remove(group);
                }
                self.link.flush_within(FAREWELL);
                return Ok(false);
            }
        }
        let pid = self.job.pid;
        let start_ticks = Process::look(pid).map_or(0, |job| job.start_ticks);
        self.emit(Event::Started { pid, start_ticks });
        let error = self.job.cgroup_error.take();
        self.trouble("the program could not be put into its cgroup", error);
        // Whoever writes to the program shall see when it closes its input.
        sys::detach_standard(0)?;
        self.start_relays(channels)?;
        Ok(true)
    }

    fn start_relays(&mut self, channels: Vec<Channel>) -> io::Result<()> {
        let share = match self.spec.keep {
            Keep::All => None,
            Keep::Budget { bytes } => Some(bytes / channels.len().max(1) as u64),
        };
        for Channel { stream, source, out } in channels {
            enlarge(out);
            let kept = KeptWriter::create(&self.spec.folder, stream, share);
            let relay = Relay::start(stream, source, out, kept, Arc::clone(&self.wake))?;
            self.relays.push(relay);
        }
        Ok(())
    }

    /// The pipes, and the program's side of them.
    fn lay_pipes(&self, pty: Option<(OwnedFd, OwnedFd)>) -> io::Result<(Vec<Channel>, Standard)> {
        let terminal = self.spec.terminal.unwrap_or_default();
        let wanted = [terminal.stdin, terminal.stdout, terminal.stderr];
        let mut channels = Vec::new();
        let mut theirs = Standard { descriptors: [None, None, None], controlling: None, line: None };
        if let Some((master, slave)) = pty {
            theirs.controlling = wanted.iter().position(|&wanted| wanted);
            for (place, _) in theirs.descriptors.iter_mut().zip(wanted).filter(|(_, wanted)| *wanted) {
                *place = Some(slave.as_fd().try_clone_to_owned()?);
            }
            let out = standard(if terminal.stdout {
                1
            } else if terminal.stderr {
                2
            } else {
                0
            });
            let out = if terminal.stdout || terminal.stderr { out } else { keep_open(out) };
            channels.push(Channel { stream: Stream::Terminal, source: master, out });
        }
        for (number, stream) in [(1, Stream::Stdout), (2, Stream::Stderr)] {
            if !wanted[number] {
                let (source, end) = pipe_with(PipeFlags::CLOEXEC)?;
                enlarge(source.as_fd());
                theirs.descriptors[number] = Some(end);
                channels.push(Channel { stream, source, out: standard(number) });
            }
        }
        Ok((channels, theirs))
    }
}

/// A copy that stays open for the life of the process: standard input is given up
/// once the program has it.
fn keep_open(fd: BorrowedFd<'static>) -> BorrowedFd<'static> {
    match fd.try_clone_to_owned() {
        Ok(copy) => {
            let kept: &'static OwnedFd = Box::leak(Box::new(copy));
            kept.as_fd()
        }
        Err(_) => fd,
    }
}
