//! How a program is started, and how it is told that it cannot be.

use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;

use defib_core::event::{Event, Stream};
use rustix::process::Signal;

use crate::harness::{Run, Test, run, run_with, shell, spec, supervisor, wait_until};

pub const TESTS: &[Test] = &[
    ("exit_status_is_passed_on", exit_status_is_passed_on),
    ("killed_by_signal", killed_by_signal),
    ("exec_errors_are_told_apart", exec_errors_are_told_apart),
    ("script_without_interpreter_line_runs", script_without_interpreter_line_runs),
    ("environment_and_folder", environment_and_folder),
    ("only_three_descriptors", only_three_descriptors),
    ("a_line_of_its_own", a_line_of_its_own),
    ("listening_socket_is_not_inherited", listening_socket_is_not_inherited),
    ("signals_are_reset", signals_are_reset),
    ("sd_notify", sd_notify),
    ("stop_and_continue", stop_and_continue),
    ("nested", nested),
    ("started_again_in_the_same_folder", started_again),
];

fn exit_status_is_passed_on() {
    let mut run = shell("exit 7");
    assert_eq!(run.exit(), 7);
    let events = run.events();
    assert!(matches!(events[0], Event::Run { .. }));
    assert!(matches!(events[1], Event::Shim { .. }));
    assert!(matches!(events[2], Event::Started { .. }));
    assert_eq!(run.tree_ended(), (0, 0));
}

/// It has the line and nobody else: its end is the end of the line.
fn a_line_of_its_own() {
    let script = "import os, socket, sys\nline = socket.socket(fileno=int(os.environ['DEFIB_CONTROL']))\n\
                  line.sendall(line.recv(99).upper() + b'%d' % len(os.listdir('/proc/self/fd')))\nos.kill(os.getpid(), 9)";
    let mut run = run_with(&["python3", "-c", script], |spec| spec.line = true);
    assert_eq!(run.exit(), 128 + 9);
    let said = wait_until("the end of the line", || std::fs::read_to_string(run.spec.folder.join("line.txt")).ok());
    // Standard ones, the line, and the folder that is being listed.
    assert_eq!(said, "PING\n5");
}

fn killed_by_signal() {
    let mut run = shell("kill -SEGV $$");
    assert_eq!(run.exit(), 128 + 11);
}

fn not_started(run: &Run) -> (i32, String, String) {
    run.event("the failure", |event| match event {
        Event::NotStarted { errno, step, path } => Some((*errno, step.clone(), path.clone())),
        _ => None,
    })
}

fn exec_errors_are_told_apart() {
    let missing = not_started(&run(&["no-such-program-here"]));
    assert_eq!(missing, (libc::ENOENT, "execute".into(), "no-such-program-here".into()));

    let file = |name: &'static str, content: &'static [u8], mode| {
        let command = format!("./{name}");
        not_started(&run_with(&[&command], |spec| {
            let path = spec.cwd.join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }))
    };
    let denied = file("denied", b"#!/bin/sh\n", 0o644);
    assert_eq!(denied, (libc::EACCES, "execute".into(), "./denied".into()));
    let bad = file("bad", b"#!/no/such/python -u\n", 0o755);
    assert_eq!(bad, (libc::ENOENT, "execute the interpreter".into(), "/no/such/python".into()));
    let foreign = file("foreign", b"\x7fELF\x02\x00\x00garbage", 0o755);
    assert_eq!(foreign, (libc::ENOEXEC, "execute".into(), "./foreign".into()));

    let nowhere = run_with(&["true"], |spec| spec.cwd = "/no/such/folder".into());
    let nowhere = not_started(&nowhere);
    assert_eq!(nowhere, (libc::ENOENT, "change directory".into(), "/no/such/folder".into()));
}

fn script_without_interpreter_line_runs() {
    let mut run = run_with(&["./script", "a b"], |spec| {
        let path = spec.cwd.join("script");
        std::fs::write(&path, "echo \"$0:$1\"").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    });
    assert_eq!(run.exit(), 0);
    assert_eq!(run.kept(Stream::Stdout), b"./script:a b\n");
}

fn environment_and_folder() {
    let mut run = run_with(&["sh", "-c", "echo $A-$HOME-$DEFIB_RUN-$(pwd)"], |spec| {
        spec.set_env = vec![("A".into(), "1".into())];
        spec.unset_env = vec!["HOME".into()];
    });
    assert_eq!(run.exit(), 0);
    let expected = format!("1--{}-{}\n", run.spec.run, run.spec.cwd.display());
    assert_eq!(String::from_utf8(run.kept(Stream::Stdout)).unwrap(), expected);
}

fn only_three_descriptors() {
    let mut run = run(&["python3", "-c", "import os; print(sorted(os.listdir('/proc/self/fd')))"]);
    assert_eq!(run.exit(), 0);
    // 3 is the folder that is being listed.
    assert_eq!(run.kept(Stream::Stdout), b"['0', '1', '2', '3']\n");
}

fn listening_socket_is_not_inherited() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (folder, spec) = spec(&["sleep", "60"]);
    let mut command = supervisor(&spec);
    // Inherited by the supervisor, as from a shell.
    rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty()).unwrap();
    let run = Run { folder, spec, supervisor: command.spawn().unwrap() };
    assert!(listener.as_raw_fd() > 2);
    let (job, shim) = (run.job(), run.shim().pid);
    let sockets = |pid: i32| {
        let folder = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        folder.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect::<Vec<_>>()
    };
    let listening = std::fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
    assert!(!sockets(job).contains(&listening), "{address}");
    assert!(!sockets(shim).contains(&listening), "{address}");
}

fn signals_are_reset() {
    let mut run = run(&["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]);
    assert_eq!(run.exit(), 0);
    let text = String::from_utf8(run.kept(Stream::Stdout)).unwrap();
    assert_eq!(text.matches("0000000000000000").count(), 2, "{text}");
}

fn sd_notify() {
    let script = r"
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect('\0' + os.environ['NOTIFY_SOCKET'][1:])
s.send(b'STATUS=loading\nREADY=1')
s.send(b'\xff\x00=nonsense')
s.send(b'WATCHDOG=1')
for number in range(2000):
    s.send(b'STATUS=%d' % number)
open('sent', 'w').write('x\n')
input()
";
    let mut run = run_with(&["sh", "-c", "sleep 100 | python3 -c \"$SCRIPT\""], |spec| {
        spec.set_env = vec![("SCRIPT".into(), script.into())];
    });
    run.file("sent");
    let last = Event::Stage { name: "1999".into() };
    run.event("the last stage", |event| (*event == last).then_some(()));
    run.event("the count", |event| match event {
        Event::Trouble { text } => text.contains("too fast").then_some(()),
        _ => None,
    });
    let events = run.events();
    let stages: Vec<_> =
        events.iter().filter(|event| matches!(event, Event::Stage { .. } | Event::Heartbeat)).collect();
    assert_eq!(*stages[0], Event::Stage { name: "loading".into() });
    assert_eq!(*stages[1], Event::Stage { name: "ready".into() });
    assert_eq!(*stages[2], Event::Heartbeat);
    assert!(stages.len() < 100, "{}", stages.len());
    run.signal(Signal::INT);
    run.exit();
}

fn stop_and_continue() {
    // Not a shell that starts programs: one caught in vfork(2) while its child is stopped
    // never counts as stopped.
    let mut run = run(&["sleep", "300"]);
    run.job();
    run.signal(Signal::TSTP);
    run.event("the stop", |event| matches!(event, Event::Stopped { signal: 19 }).then_some(()));
    run.signal(Signal::CONT);
    run.event("the continue", |event| matches!(event, Event::Continued).then_some(()));
    run.signal(Signal::INT);
    assert_eq!(run.exit(), 137);
}

fn nested() {
    let (_inner_folder, inner) = spec(&["sh", "-c", "echo x > up; setsid sleep 300 & wait"]);
    let me = std::env::current_exe().unwrap();
    let text = serde_json::to_string(&inner).unwrap();
    let mut run = run(&[me.to_str().unwrap(), "supervise", &text]);
    crate::harness::wait_until("the inner program", || inner.cwd.join("up").exists().then_some(()));
    run.signal(Signal::INT);
    run.exit();
    run.assert_nobody_left();
    assert!(crate::harness::members(&inner).is_empty());
}

fn started_again() {
    let mut run = shell("echo $$");
    assert_eq!(run.exit(), 0);
    let first = run.kept(Stream::Stdout);
    run.supervisor = supervisor(&run.spec).spawn().unwrap();
    assert_eq!(run.exit(), 0);
    assert_ne!(run.kept(Stream::Stdout), first);
    assert_eq!(std::fs::read(run.spec.folder.join("stdout.1.log")).unwrap(), first);
    let events = run.events();
    let runs = events.iter().filter(|event| matches!(event, Event::Run { .. })).count();
    let starts = events.iter().filter(|event| matches!(event, Event::Started { .. })).count();
    assert_eq!((runs, starts), (1, 2));
}
