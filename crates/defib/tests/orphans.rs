//! `defib orphans`: what lost runs leave, what looks left over, and what is innocent.

mod support;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{DEADLINE, Held, defib, output, text, wait_for};

/// Listens on a free port, writes `PID PORT` to the file that its first argument names, and waits.
const LISTENER: &str = "
import os, signal, socket, sys
listening = socket.socket()
listening.bind(('127.0.0.1', 0))
listening.listen()
with open(sys.argv[1] + '.new', 'w') as out:
    out.write(f'{os.getpid()} {listening.getsockname()[1]}')
os.rename(sys.argv[1] + '.new', sys.argv[1])
signal.pause()
";

/// Process and port that a listener wrote down.
fn told(file: &std::path::Path) -> (i32, u16) {
    let read = || {
        let text = std::fs::read_to_string(file).ok()?;
        let (pid, port) = text.split_once(' ')?;
        Some((pid.parse().ok()?, port.parse().ok()?))
    };
    wait_for(DEADLINE, read).expect("the listener starts")
}

/// Kills a process that a test left alone, whatever happens.
struct Ended(i32);

impl Drop for Ended {
    fn drop(&mut self) {
        signal("KILL", self.0);
    }
}

fn signal(name: &str, pid: i32) {
    let _ = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).stderr(Stdio::null()).status();
}

fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with(['Z', 'X']))
}

fn listing(state: &std::path::Path) -> Value {
    let listed = output(defib(state).args(["orphans", "--json"]));
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    serde_json::from_slice(&listed.stdout).expect("JSON")
}

fn entry<'a>(listing: &'a Value, list: &str, pid: i32) -> Option<&'a Value> {
    listing[list].as_array()?.iter().find(|entry| entry["pid"] == pid)
}

/// A process whose session leader ends at once, as a terminal's shell or `ssh host command` does.
fn left_over(folder: &std::path::Path) -> (i32, u16) {
    let file = folder.join("told");
    let mut command = Command::new("setsid");
    command
        .args(["sh", "-c", "python3 -c \"$0\" \"$1\" & :", LISTENER])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    assert!(command.status().expect("setsid").success());
    told(&file)
}

/// A process manager that answers for everything below this test hides candidates.
#[expect(clippy::print_stdout, reason = "a test says what it did not try")]
fn in_a_service() -> bool {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let hidden = groups.contains(".service");
    if hidden {
        println!("not tried: this test runs in a service, which answers for its processes");
    }
    hidden
}

#[test]
fn what_a_lost_run_left_is_listed_with_what_it_holds_and_ended_by_the_next_start() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("told");
    let mut command = defib(state.path());
    command.args(["run", "-q", "--", "sh", "-c", "python3 -c \"$0\" \"$1\" & wait", LISTENER]).arg(&file);
    let mut run = Held(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let (pid, port) = told(&file);
    let _end = Ended(pid);
    // While the run is supervised, nothing of it is left over.
    assert_eq!(entry(&listing(state.path()), "orphans", pid), None);
    let supervisor = i32::try_from(run.0.id()).unwrap();
    let shims = std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).unwrap();
    let shim: i32 = shims.split_whitespace().next().unwrap().parse().unwrap();
    // Stopped first, so that it cannot end the tree when the supervisor dies.
    signal("STOP", shim);
    signal("KILL", supervisor);
    run.0.wait().unwrap();
    signal("KILL", shim);
    let list = wait_for(DEADLINE, || {
        let list = listing(state.path());
        entry(&list, "orphans", pid).is_some().then_some(list)
    });
    let list = list.expect("it is listed");
    let orphan = entry(&list, "orphans", pid).unwrap();
    assert_eq!(orphan["ports"][0], format!("127.0.0.1:{port}"));
    assert!(orphan["memory_bytes"].as_u64().unwrap() > 1 << 20 && orphan["age_s"].as_f64().unwrap() >= 0.0);
    assert_eq!(orphan["proof"], "environment");
    assert_eq!(entry(&list, "candidates", pid), None, "what is proven is no candidate");

    let next =
        output(defib(state.path()).args(["run", "--report", "next.json", "--", "true"]).current_dir(state.path()));
    assert!(next.status.success() && !lives(pid));
    let said = text(&next.stderr);
    assert!(said.contains(&format!("pid {pid}")) && said.contains(&format!("port {port}")), "{said}");
    let report: Value = serde_json::from_slice(&std::fs::read(state.path().join("next.json")).unwrap()).unwrap();
    let did = report["actions"].to_string();
    assert!(did.contains(&format!("ended pid {pid}")) && did.contains(orphan["run"].as_str().unwrap()), "{did}");
    assert_eq!(listing(state.path())["orphans"], serde_json::json!([]));
}

#[test]
fn a_stranger_that_looks_left_over_is_ended_only_by_its_identity() {
    if in_a_service() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let (pid, port) = left_over(state.path());
    let _end = Ended(pid);
    let kill = |more: &[&str]| {
        let all = [&["orphans", "--kill"], more].concat();
        output(defib(state.path()).args(all))
    };
    let number = pid.to_string();
    // Never listed: the start time must be given.
    let refused = kill(&["--pid", &number]);
    assert_eq!(refused.status.code(), Some(125));
    assert!(text(&refused.stderr).contains("say --start"), "{}", text(&refused.stderr));
    let list = listing(state.path());
    let candidate = entry(&list, "candidates", pid).expect("a candidate");
    assert!(candidate["for"].to_string().contains(&format!("holds port {port}")), "{candidate}");
    // Without its pid it is left alone, and another start time names another process.
    assert!(kill(&[]).status.success());
    let wrong = kill(&["--pid", &number, "--start", "5"]);
    assert!(text(&wrong.stderr).contains("another process"), "{}", text(&wrong.stderr));
    assert!(lives(pid));
    let ended = kill(&["--pid", &number]);
    let said = text(&ended.stdout);
    assert!(ended.status.success() && said.contains("about to end") && said.contains("for "), "{said}");
    assert!(!lives(pid));
}

#[test]
fn whom_somebody_answers_for_is_innocent() {
    let state = tempfile::tempdir().unwrap();
    // It leads its own session, as a daemon does; its parent may be anybody.
    let leader = state.path().join("leader");
    let mut command = Command::new("setsid");
    command.args(["-f", "python3", "-c", LISTENER]).arg(&leader).stdin(Stdio::null()).stdout(Stdio::null());
    assert!(command.status().unwrap().success());
    let (leads, _) = told(&leader);
    let _end = Ended(leads);
    // Its parent lives, though in another process group.
    let child = state.path().join("child");
    let mut command = Command::new("python3");
    command.args(["-c", LISTENER]).arg(&child).stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    let held = Held(command.spawn().unwrap());
    let (owned, _) = told(&child);
    assert_eq!(u32::try_from(owned), Ok(held.0.id()));
    let list = listing(state.path());
    for pid in [leads, owned] {
        assert_eq!(entry(&list, "candidates", pid), None);
        let refused = output(defib(state.path()).args(["orphans", "--kill", "--pid", &pid.to_string()]));
        assert_eq!(refused.status.code(), Some(125));
        assert!(text(&refused.stderr).contains("does not look left over"), "{}", text(&refused.stderr));
        assert!(lives(pid));
    }
}

#[test]
fn an_empty_machine_says_so_and_bad_input_says_what_to_do() {
    let state = tempfile::tempdir().unwrap();
    let swept = output(defib(state.path()).args(["orphans", "--kill"]));
    assert!(swept.status.success() && text(&swept.stdout).contains("no run has left anything"));
    let alone = output(defib(state.path()).args(["orphans", "--pid", "7"]));
    assert!(text(&alone.stderr).contains("--kill"), "{}", text(&alone.stderr));
    let none = output(defib(state.path()).args(["orphans", "--kill", "--pid", "2147483647"]));
    assert!(text(&none.stderr).contains("there is no process"), "{}", text(&none.stderr));
}

/// Leaves a shared memory block, a System V segment, a semaphore and a temporary folder.
const LEAVER: &str = "
import ctypes, os, sys, tempfile
from multiprocessing import resource_tracker, shared_memory
block = shared_memory.SharedMemory(create=True, size=3 << 20)
block.buf[: 3 << 20] = bytes(3 << 20)
resource_tracker.unregister(block._name, 'shared_memory')
print(block.name)
libc = ctypes.CDLL(None, use_errno=True)
print(libc.shmget(0, ctypes.c_size_t(2 << 20), 0o1600))
folder = tempfile.mkdtemp(prefix=f'joblib_memmapping_folder_{os.getpid()}_')
open(os.path.join(folder, 'x'), 'wb').write(bytes(1 << 20))
print(folder)
";

#[test]
fn what_a_run_left_besides_processes_is_told_and_what_is_proven_stands_apart() {
    let state = tempfile::tempdir().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let mut command = defib(state.path());
    command.env("TMPDIR", temporary.path()).current_dir(state.path());
    let ran = output(command.args(["run", "--report", "r.json", "--", "python3", "-c", LEAVER]));
    let out = text(&ran.stdout);
    let made: Vec<&str> = out.lines().collect();
    let block = format!("/dev/shm/{}", made[0]);
    let _ = std::fs::remove_file(&block);
    let _ = Command::new("ipcrm").args(["-m", made[1]]).status();
    let report: Value = serde_json::from_slice(&std::fs::read(state.path().join("r.json")).unwrap()).unwrap();
    let remains = &report["remains"];
    assert_eq!((&remains["processes"], &remains["ports"]), (&Value::from(0), &serde_json::json!([])));
    let memory = remains["shared_memory"].as_array().unwrap();
    let find = |name: &str| memory.iter().find(|one| one["name"] == name).expect("it is told");
    let found = find(&block);
    assert!(found["bytes"].as_u64().unwrap() >= 3 << 20 && found["proof"].is_null(), "{found}");
    let segment = find(&format!("System V segment {}", made[1]));
    assert!(segment["proof"].as_str().unwrap().contains("the kernel says"), "{segment}");
    let folder = &remains["temporary"][0];
    assert_eq!(folder["name"], made[2]);
    assert!(folder["bytes"].as_u64().unwrap() >= 1 << 20 && !folder["proof"].is_null(), "{folder}");
    assert!(report["outcome"]["healthy"].as_bool().unwrap());
    let said = text(&ran.stderr);
    assert!(said.contains("left behind:") && said.contains("shared memory that nobody has open"), "{said}");
}

#[test]
fn a_tidy_run_leaves_nothing_and_what_others_have_open_is_theirs() {
    let state = tempfile::tempdir().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let go = state.path().join("go");
    let mut command = defib(state.path());
    command.env("TMPDIR", temporary.path()).current_dir(state.path());
    command.args(["run", "--report", "r.json", "--", "sh", "-c", "until [ -e \"$0\" ]; do sleep 0.01; done"]).arg(&go);
    let mut run = Held(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let shown = wait_for(DEADLINE, || {
        let runs = output(defib(state.path()).args(["runs", "--json"]));
        text(&runs.stdout).contains("running").then_some(())
    });
    assert!(shown.is_some());
    // Somebody else makes shared memory meanwhile, and goes on using it.
    let name = format!("/dev/shm/other-{}", std::process::id());
    let file = std::fs::File::create(&name).unwrap();
    std::fs::write(&name, vec![1; 2 << 20]).unwrap();
    std::fs::write(&go, "").unwrap();
    assert!(run.0.wait().unwrap().success());
    let _ = std::fs::remove_file(&name);
    drop(file);
    let report: Value = serde_json::from_slice(&std::fs::read(state.path().join("r.json")).unwrap()).unwrap();
    let memory = report["remains"]["shared_memory"].as_array().unwrap();
    let theirs = memory.iter().find(|one| one["name"] == *name).expect("it appeared meanwhile");
    assert_eq!(theirs["holders"], serde_json::json!([std::process::id()]));
    let mut said = String::new();
    std::io::Read::read_to_string(run.0.stderr.as_mut().unwrap(), &mut said).unwrap();
    assert!(!said.contains(&name), "{said}");
}
