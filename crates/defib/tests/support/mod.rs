//! What the end-to-end tests share: the program, a scratch state folder, waiting with a deadline.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
pub(crate) const DEFIB: &str = env!("CARGO_BIN_EXE_defib");

/// Longest time any single run of a test may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A command with a state folder of its own and an environment without surprises.
pub(crate) fn defib(state: &Path) -> Command {
    let mut command = Command::new(DEFIB);
    command
        .env("DEFIB_STATE", state)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // A shell that exports it would hide every buffering fault.
        .env_remove("PYTHONUNBUFFERED")
        .env_remove("DEFIB_STALL_AFTER")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    command
}

/// Waits for a condition; `None` at the deadline.
pub(crate) fn wait_for<T>(within: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = condition() {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A child that is killed when the test ends early.
pub(crate) struct Held(pub(crate) Child);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs to the end, within the deadline.
pub(crate) fn output(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start");
    let pid = child.id();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(DEADLINE) {
        Ok(output) => output.expect("wait"),
        Err(_) => {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            unreachable!("not over after {DEADLINE:?}")
        }
    }
}

/// Text of a stream.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Is there a live process (no zombie) whose command line contains this?
pub(crate) fn alive(marker: &str) -> bool {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    entries.flatten().any(|entry| {
        let folder: PathBuf = entry.path();
        let command = std::fs::read(folder.join("cmdline")).unwrap_or_default();
        let own = entry.file_name().to_str() == Some(&std::process::id().to_string());
        !own && text(&command).contains(marker) && !zombie(&folder)
    })
}

fn zombie(folder: &Path) -> bool {
    let stat = std::fs::read(folder.join("stat")).unwrap_or_default();
    let stat = text(&stat);
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X']))
}
