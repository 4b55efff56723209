//! Programs under test: started in a group of their own, killed on drop.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use defib_core::facts::{Look, Process, Thread};
use defib_observe::{LookRequest, look};

/// Deadline of every wait.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Program {
    pub(crate) child: Child,
    _folder: tempfile::TempDir,
}

impl Program {
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Starts a Python 3 program.
    pub(crate) fn python(code: &str) -> Self {
        Self::python_at(Path::new("python3"), code)
    }

    pub(crate) fn python_at(exe: &Path, code: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("program.py");
        std::fs::write(&script, code).unwrap();
        let mut command = Command::new(exe);
        command.arg(script);
        Self::start(command, folder)
    }

    pub(crate) fn shell(code: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", code]);
        Self::start(command, tempfile::tempdir().unwrap())
    }

    pub(crate) fn start(mut command: Command, folder: tempfile::TempDir) -> Self {
        command.stdin(Stdio::null());
        Self::spawn(command, folder)
    }

    /// Its standard input stays open as long as this lives.
    pub(crate) fn start_with_input(mut command: Command, folder: tempfile::TempDir) -> Self {
        command.stdin(Stdio::piped());
        Self::spawn(command, folder)
    }

    fn spawn(mut command: Command, folder: tempfile::TempDir) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        command.env_remove("PYTHONUNBUFFERED").process_group(0);
        let child = command.spawn().unwrap();
        Self { child, _folder: folder }
    }

    /// Reads one line that the program prints.
    pub(crate) fn line(&mut self) -> String {
        let output = self.child.stdout.as_mut().unwrap();
        let mut line = Vec::new();
        let mut byte = [0];
        while output.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }

    /// Looks until the condition holds.
    pub(crate) fn look_until(&self, python: bool, holds: impl Fn(&Look) -> bool) -> Look {
        let request = LookRequest { python, ..request(self.pid()) };
        let mut last = Look::default();
        until(|| {
            last = look(&request);
            holds(&last).then_some(())
        })
        .unwrap_or_else(|| panic!("never held: {last:#?}"));
        last
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

pub(crate) fn request(root: i32) -> LookRequest {
    LookRequest { root, include_root: true, ..LookRequest::default() }
}

/// Asks until there is an answer or the deadline has passed.
pub(crate) fn until<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn main_thread(look: &Look) -> Option<&Thread> {
    look.processes.first()?.main_thread()
}

pub(crate) fn root(look: &Look) -> &Process {
    &look.processes[0]
}

/// The program that is the probe: the example, which `cargo test` builds too.
pub(crate) fn probe_exe() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let exe = own.parent().unwrap().parent().unwrap().join("examples/observe");
    assert!(exe.exists(), "build it: cargo build -p defib-observe --examples");
    exe
}
