//! Programs that see a terminal.

use std::io::{Read as _, Write as _};

use defib_core::event::Stream;
use defib_process::{Terminal, WindowSize};
use rustix::process::Signal;

use crate::harness::{Run, Test, run_with, wait_until};

pub const TESTS: &[Test] = &[
    ("program_sees_terminal_and_size", program_sees_terminal_and_size),
    ("only_errors_are_a_terminal", only_errors_are_a_terminal),
    ("interrupt_key_reaches_the_program", interrupt_key_reaches_the_program),
    ("raw_mode_comes_and_goes", raw_mode_comes_and_goes),
];

const SIZE: WindowSize = WindowSize { rows: 33, columns: 111 };

fn all() -> Terminal {
    Terminal { stdin: true, stdout: true, stderr: true, size: SIZE }
}

fn program_sees_terminal_and_size() {
    let script = "import os,sys\nprint([os.isatty(n) for n in range(3)], tuple(os.get_terminal_size()), os.tcgetpgrp(0)==os.getpid(), len(os.listdir('/proc/self/fd')))";
    let mut run = run_with(&["python3", "-c", script], |spec| spec.terminal = Some(all()));
    assert_eq!(run.exit(), 0);
    let text = String::from_utf8(run.kept(Stream::Terminal)).unwrap();
    assert_eq!(text.trim(), "[True, True, True] (111, 33) True 4");
    assert!(!run.spec.folder.join("stdout.log").exists());
}

fn only_errors_are_a_terminal() {
    let terminal = Terminal { stdin: false, stdout: false, stderr: true, size: SIZE };
    let script = "echo out; [ -t 2 ] && [ ! -t 1 ] && echo err >&2";
    let mut run = run_with(&["sh", "-c", script], |spec| spec.terminal = Some(terminal));
    assert_eq!(run.exit(), 0);
    assert_eq!(run.kept(Stream::Stdout), b"out\n");
    assert_eq!(run.kept(Stream::Terminal), b"err\r\n");
}

fn interrupt_key_reaches_the_program() {
    // The supervisor of the tests has no keyboard: its copy of the master is written to
    // through /proc, as its own pump would.
    let script = "trap 'echo heard; exit 5' INT; echo ready; while :; do sleep 0.01; done";
    let mut run = run_with(&["sh", "-c", script], |spec| spec.terminal = Some(all()));
    wait_until("the program", || run.kept_now().contains("ready").then_some(()));
    let master = wait_until("the master", || master_of(&run));
    let ours = rustix::process::pidfd_getfd(
        rustix::process::pidfd_open(
            rustix::process::Pid::from_child(&run.supervisor),
            rustix::process::PidfdFlags::empty(),
        )
        .unwrap(),
        master,
        rustix::process::PidfdGetfdFlags::empty(),
    );
    let Ok(ours) = ours else {
        run.signal(Signal::INT); // Not allowed to take it here.
        run.exit();
        return;
    };
    std::fs::File::from(ours).write_all(b"\x03").unwrap();
    assert_eq!(run.exit(), 5);
    assert!(run.kept_now().contains("heard"));
}

fn master_of(run: &Run) -> Option<i32> {
    let folder = format!("/proc/{}/fd", run.supervisor.id());
    std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let target = std::fs::read_link(entry.path()).ok()?;
        let found = target.to_str()?.ends_with("ptmx");
        found.then(|| entry.file_name().to_str()?.parse().ok()).flatten()
    })
}

impl Run {
    fn kept_now(&self) -> String {
        let mut text = String::new();
        let file = std::fs::File::open(self.spec.folder.join("terminal.log"));
        let _ = file.map(|mut file| file.read_to_string(&mut text));
        text
    }
}

fn raw_mode_comes_and_goes() {
    use rustix::termios::{LocalModes, tcgetattr};
    // A program of ours in the foreground of a terminal: python makes one and asks it.
    let script = "import os,pty,sys,time\npid,master=pty.fork()\nif pid==0:\n os.execvp(sys.argv[1],[sys.argv[1],'raw'])\nout=b''\nwhile True:\n try: piece=os.read(master,4096)\n except OSError: break\n if not piece: break\n out+=piece\nprint(out.decode().strip())\nos.waitpid(pid,0)";
    let me = std::env::current_exe().unwrap();
    let out = std::process::Command::new("python3").args(["-c", script, me.to_str().unwrap()]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "true false true false true");
    let pipe = rustix::pipe::pipe().unwrap().0;
    assert!(defib_process::RawMode::enter(&pipe).is_err());
    assert!(tcgetattr(&pipe).is_err() && LocalModes::ECHO.bits() != 0);
}

/// The process of [`raw_mode_comes_and_goes`]: whether the terminal echoes before,
/// in raw mode, suspended, resumed, after.
pub fn raw() -> std::process::ExitCode {
    use rustix::termios::{LocalModes, tcgetattr};
    let stdin = rustix::stdio::stdin();
    let echoes = || tcgetattr(stdin).unwrap().local_modes.contains(LocalModes::ECHO);
    let mut seen = vec![echoes()];
    let mut mode = defib_process::RawMode::enter(stdin).unwrap().unwrap();
    seen.push(echoes());
    mode.suspend().unwrap();
    seen.push(echoes());
    mode.resume().unwrap();
    seen.push(echoes());
    drop(mode);
    seen.push(echoes());
    let words: Vec<String> = seen.iter().map(bool::to_string).collect();
    std::io::stdout().write_all(words.join(" ").as_bytes()).unwrap();
    std::process::ExitCode::SUCCESS
}
