//! Disposable probes: deadlines, faults, refusals.

use std::path::Path;
use std::time::{Duration, Instant};

use defib_core::facts::{Look, Process, Wait};
use defib_observe::{Fault, LookRequest, look_within};

use crate::support::{Program, probe_exe, request, until};

const THREE: &str = "import os,time\nfor i in range(2):\n if os.fork()==0: break\ntime.sleep(60)";
const DEADLINE: Duration = Duration::from_secs(6);

fn asleep(process: &Process) -> bool {
    process.main_thread().is_some_and(|thread| matches!(thread.wait, Wait::Sleep { .. } | Wait::Poll { .. }))
}

/// Three Python processes, all asleep.
fn three() -> (Program, Vec<i32>) {
    let program = Program::python(THREE);
    let found = program.look_until(false, |look| look.processes.len() == 3 && look.processes.iter().all(asleep));
    let pids = found.processes.iter().map(|process| process.pid).collect();
    (program, pids)
}

fn with_stacks(look: &Look) -> Vec<i32> {
    let has = |process: &&Process| process.threads.iter().any(|thread| thread.python.is_some());
    look.processes.iter().filter(has).map(|process| process.pid).collect()
}

fn python(root: i32) -> LookRequest {
    LookRequest { python: true, others: true, ..request(root) }
}

#[test]
fn probes_bring_the_whole_look() {
    let (program, pids) = three();
    let found = look_within(&probe_exe(), &python(program.pid()), DEADLINE);
    assert_eq!(with_stacks(&found), pids, "{:#?}", found.denied);
    assert_eq!(found.sources.len(), 1);
    assert!(found.denied.is_empty());
}

#[test]
fn a_python_probe_that_hangs_or_dies_costs_only_its_process() {
    for die in [false, true] {
        let (program, pids) = three();
        let fault = Some(Fault { pid: pids[1], python: true, die });
        let order = LookRequest { fault, ..python(program.pid()) };
        let found = look_within(&probe_exe(), &order, DEADLINE);
        assert_eq!(with_stacks(&found), [pids[0], pids[2]]);
        assert_eq!(found.processes.iter().filter(|process| process.in_tree).count(), 3);
        let denied: Vec<_> = found.denied.iter().map(|d| (d.pid, d.what.as_str())).collect();
        assert_eq!(denied, [(pids[1], "python stacks")]);
        assert!(found.took_s < DEADLINE.as_secs_f64());
    }
}

#[test]
fn a_basic_probe_that_hangs_or_dies_reads_its_process_carefully() {
    for die in [false, true] {
        let (program, pids) = three();
        let fault = Some(Fault { pid: pids[1], python: false, die });
        let order = LookRequest { fault, ..python(program.pid()) };
        let found = look_within(&probe_exe(), &order, DEADLINE);
        let careful = found.process(pids[1]).unwrap();
        assert!(careful.command.is_empty() && !careful.threads.is_empty());
        assert!(found.processes.iter().filter(|process| process.in_tree).count() == 3);
        assert!(found.denied.iter().any(|d| d.pid == pids[1] && d.what == "command and memory"));
    }
}

#[test]
fn the_deadline_holds_and_says_what_is_missing() {
    let (program, pids) = three();
    let fault = Some(Fault { pid: pids[2], python: true, die: false });
    let order = LookRequest { fault, ..python(program.pid()) };
    let start = Instant::now();
    let found = look_within(&probe_exe(), &order, Duration::from_millis(600));
    assert!(start.elapsed() < Duration::from_millis(1200));
    assert!(!found.denied.is_empty());
    let absent = look_within(Path::new("/nonexistent"), &order, Duration::from_millis(300));
    assert!(absent.processes.is_empty() && !absent.denied.is_empty());
}

#[test]
fn a_target_that_ends_in_mid_look_is_no_error() {
    let (mut program, _) = three();
    let order = python(program.pid());
    let exe = probe_exe();
    let looking = std::thread::spawn(move || look_within(&exe, &order, DEADLINE));
    program.child.kill().unwrap();
    program.child.wait().unwrap();
    assert!(looking.join().unwrap().took_s < DEADLINE.as_secs_f64());
}

#[test]
fn a_thread_of_this_process_can_look_instead() {
    let (program, pids) = three();
    let order = LookRequest { from_here: true, ..python(program.pid()) };
    let found = look_within(Path::new("/nonexistent"), &order, DEADLINE);
    assert_eq!(with_stacks(&found), pids);
}

#[test]
fn no_probe_is_left_behind() {
    let (program, pids) = three();
    let fault = Some(Fault { pid: pids[0], python: true, die: false });
    let order = LookRequest { fault, ..python(program.pid()) };
    let _ = look_within(&probe_exe(), &order, Duration::from_millis(600));
    // Probes of other tests may live; one that sleeps out its fault may not.
    let own = std::process::id().to_string();
    let left = until(|| {
        let listed = std::process::Command::new("ps").args(["--ppid", &own, "-o", "stat=,args="]).output().unwrap();
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        (!text.lines().any(|line| line.starts_with('Z') && line.contains("observe"))).then_some(())
    });
    assert!(left.is_some());
}

#[test]
fn another_users_process_is_refused_with_a_command() {
    let is_root = std::process::Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !is_root {
        eprintln!("needs root to have a process of another user: skipped");
        return;
    }
    // The target belongs to root, the looker runs as nobody.
    let target = Program::python("import time\ntime.sleep(60)");
    target.look_until(false, |look| look.processes.first().is_some_and(asleep));
    let folder = tempfile::tempdir().unwrap();
    let exe = folder.path().join("observe");
    std::fs::copy(probe_exe(), &exe).unwrap();
    for path in [folder.path(), &exe] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    use std::os::unix::process::CommandExt;
    let output = std::process::Command::new(&exe).arg(target.pid().to_string()).uid(65534).gid(65534).output().unwrap();
    let found: Look = serde_json::from_slice(&output.stdout).unwrap();
    let waits = found.denied.iter().find(|denied| denied.what == "waits").unwrap();
    let expected = ["sudo", "defib", "why", &target.pid().to_string()].map(str::to_owned);
    assert_eq!(waits.command.as_deref(), Some(expected.as_slice()));
    assert_eq!(found.processes[0].main_thread().unwrap().wait, Wait::Unreadable);
}
