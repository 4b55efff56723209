//! A supervisor for tests, and what tests need to watch it.

use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use defib_core::event::{Ending, Entry, Event, Fate, Stream};
use defib_core::run::RunId;
use defib_process::process::Process;
use defib_process::signals::Signals;
use defib_process::{Events, KeptLog, Next, Shim, ShimSpec, read_journal};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;

pub type Test = (&'static str, fn());

/// Longest a test waits for anything.
pub const LIMIT: Duration = Duration::from_secs(20);

/// The process `supervise SPEC`: runs it, passes signals on, exits as the program did.
pub fn supervise(spec: &str) -> ExitCode {
    let spec: ShimSpec = serde_json::from_str(spec).unwrap();
    let heard = [libc::SIGTERM, libc::SIGINT, libc::SIGTSTP, libc::SIGCONT, libc::SIGUSR1];
    let signals = Signals::block(&heard).unwrap();
    let line = spec.line.then(|| talk(spec.folder.join("line.txt")));
    let (mut shim, mut events) = Shim::start(&spec, line).unwrap();
    let mut code = 125;
    loop {
        let mut polled = [PollFd::new(&events, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        poll(&mut polled, None).unwrap();
        while let Some(received) = signals.next_signal().unwrap() {
            match received.signal {
                libc::SIGTSTP | libc::SIGCONT | libc::SIGUSR1 => shim.signal(received.signal),
                libc::SIGINT => shim.end_now(),
                signal => shim.end(Ending::Cancelled { signal, sender: Some(received.sender) }),
            }
        }
        if !hear(&mut events, &mut code) {
            break;
        }
    }
    let stays = spec.allow_daemons.then(Instant::now);
    if shim.wait(stays).unwrap().is_some_and(|waited| waited.signal.is_some()) {
        shim.sweep_after_loss();
    }
    ExitCode::from(code)
}

/// The program's end of a line on which it is greeted; what it says until its end goes
/// into the file.
fn talk(file: std::path::PathBuf) -> std::os::fd::OwnedFd {
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    std::thread::spawn(move || {
        ours.write_all(b"ping\n").unwrap();
        let mut said = String::new();
        ours.read_to_string(&mut said).unwrap();
        std::fs::write(file, said).unwrap();
    });
    theirs.into()
}

fn hear(events: &mut Events, code: &mut u8) -> bool {
    loop {
        match events.next_entry(Some(Instant::now())) {
            Next::Entry(entry) => {
                if let Event::Exited { code: exited, signal, .. } = entry.event {
                    *code = exited.unwrap_or_else(|| 128 + signal.unwrap()) as u8;
                }
            }
            Next::Timeout => return true,
            Next::Closed => return false,
        }
    }
}

/// A run under a supervisor of its own.
pub struct Run {
    pub folder: tempfile::TempDir,
    pub spec: ShimSpec,
    pub supervisor: Child,
}

pub fn spec(command: &[&str]) -> (tempfile::TempDir, ShimSpec) {
    let folder = tempfile::tempdir().unwrap();
    let mut entropy = [0; 8];
    rustix::rand::getrandom(&mut entropy, rustix::rand::GetRandomFlags::empty()).unwrap();
    let id = RunId::from_entropy(u64::from_le_bytes(entropy));
    let command = command.iter().map(|&word| word.to_owned()).collect();
    let place = folder.path().join(id.as_str());
    std::fs::create_dir(&place).unwrap();
    let mut spec = ShimSpec::new(id, command, place);
    spec.cwd = folder.path().to_owned();
    (folder, spec)
}

/// The supervisor's command, for tests that want other descriptors.
pub fn supervisor(spec: &ShimSpec) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("supervise").arg(serde_json::to_string(spec).unwrap());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

pub fn run_with(command: &[&str], set: impl FnOnce(&mut ShimSpec)) -> Run {
    let (folder, mut spec) = spec(command);
    set(&mut spec);
    let supervisor = supervisor(&spec).spawn().unwrap();
    Run { folder, spec, supervisor }
}

pub fn run(command: &[&str]) -> Run {
    run_with(command, |_| {})
}

pub fn shell(script: &str) -> Run {
    run(&["sh", "-c", script])
}

pub fn python(script: &str) -> Run {
    run(&["python3", "-c", script])
}

/// Waits until `look` finds something.
pub fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

impl Run {
    pub fn entries(&self) -> Vec<Entry> {
        read_journal(&self.spec.folder).unwrap_or_default()
    }

    pub fn events(&self) -> Vec<Event> {
        self.entries().into_iter().map(|entry| entry.event).collect()
    }

    pub fn event<T>(&self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + LIMIT;
        loop {
            let events = self.events();
            if let Some(found) = events.iter().find_map(&pick) {
                return found;
            }
            assert!(Instant::now() < deadline, "waited too long for {what} in {events:#?}");
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// The first child of the shim, which may not be the program yet.
    pub fn shim_child(&self) -> Option<Process> {
        let event = |event: &Event| match event {
            Event::Shim { pid, .. } => Some(*pid),
            _ => None,
        };
        let shim = self.events().iter().find_map(event)?;
        defib_process::process::children(shim).into_iter().next()
    }

    /// Waits for a file the program writes into its folder, and reads it.
    pub fn file(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        wait_until(name, || std::fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'))).trim().to_owned()
    }

    pub fn exit(&mut self) -> i32 {
        let status = self.status();
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
    }

    fn status(&mut self) -> ExitStatus {
        let journal = self.spec.folder.clone();
        wait_until(&format!("the supervisor to end, journal: {:?}", read_journal(&journal)), || {
            self.supervisor.try_wait().unwrap()
        })
    }

    pub fn signal(&self, signal: Signal) {
        let pid = rustix::process::Pid::from_child(&self.supervisor);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub fn shim(&self) -> Process {
        let pid = self.event("the shim", |event| match event {
            Event::Shim { pid, .. } => Some(*pid),
            _ => None,
        });
        Process::look(pid).unwrap()
    }

    pub fn job(&self) -> i32 {
        self.event("the program", |event| match event {
            Event::Started { pid, .. } => Some(*pid),
            _ => None,
        })
    }

    pub fn leftovers(&self) -> Vec<(String, String, Fate)> {
        let events = self.events();
        let leftovers = events.into_iter().filter_map(|event| match event {
            Event::Leftover { command, state, fate, .. } => Some((command, state, fate)),
            _ => None,
        });
        leftovers.collect()
    }

    /// `ended` and `survivors` of the end of the tree.
    pub fn tree_ended(&self) -> (u32, u32) {
        self.event("the end of the tree", |event| match event {
            Event::TreeEnded { ended, survivors, .. } => Some((*ended, *survivors)),
            _ => None,
        })
    }

    /// `bytes`, `not_kept`, `reason`, `reader_gone` of the end of a stream.
    pub fn stream_end(&self, wanted: Stream) -> (u64, u64, Option<String>, bool) {
        self.event("the end of a stream", |event| match event {
            Event::StreamEnded { stream, bytes, not_kept, reason, reader_gone } => {
                (*stream == wanted).then(|| (*bytes, *not_kept, reason.clone(), *reader_gone))
            }
            _ => None,
        })
    }

    pub fn kept(&self, stream: Stream) -> Vec<u8> {
        KeptLog::open(&self.spec.folder, stream).unwrap().read_head(usize::MAX).unwrap()
    }

    /// Processes of this run that live.
    pub fn living(&self) -> Vec<Process> {
        members(&self.spec)
    }

    pub fn assert_nobody_left(&self) {
        wait_until(&format!("nobody to be left of {:?}", self.living()), || self.living().is_empty().then_some(()));
    }
}

/// Living processes that carry a sign of the run.
pub fn members(spec: &ShimSpec) -> Vec<Process> {
    let mark = defib_process::mark_of(&spec.run).to_string();
    let mut found = defib_process::process::all();
    found.retain(|process| {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.pid));
        let line = limits.unwrap_or_default();
        let line = line.lines().find(|line| line.starts_with("Max msgqueue size"));
        let marked = line.is_some_and(|line| line.split_whitespace().nth(3) == Some(&mark));
        process.alive() && marked
    });
    found
}

pub fn exists(folder: &Path, name: &str) -> bool {
    folder.join(name).exists()
}

impl Drop for Run {
    fn drop(&mut self) {
        // The shim ends the tree when its supervisor is gone.
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
        for process in self.living() {
            let _ = process.signal(Signal::KILL);
        }
    }
}
