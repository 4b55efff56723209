//! Trees that do not want to end.

use std::time::{Duration, Instant};

use defib_core::event::{Ending, Event, Fate};
use defib_process::process::Process;
use defib_process::sweep;
use rustix::process::Signal;

use crate::harness::{Run, Test, exists, python, run_with, shell, wait_until};

pub const TESTS: &[Test] = &[
    ("natural_end_lists_and_ends_leftovers", natural_end_lists_and_ends_leftovers),
    ("helpers_that_end_by_themselves_are_no_leftovers", helpers_are_no_leftovers),
    ("double_fork_daemon", double_fork_daemon),
    ("continuous_forker", continuous_forker),
    ("stopped_child_hears_term", stopped_child_hears_term),
    ("term_is_ignored", term_is_ignored),
    ("term_is_heard_once", term_is_heard_once),
    ("three_hundred_children", three_hundred_children),
    ("wiped_environment", wiped_environment),
    ("supervisor_is_killed", supervisor_is_killed),
    ("shim_is_killed", shim_is_killed),
    ("both_are_killed_and_swept", both_are_killed_and_swept),
    ("chain_of_forks_is_swept", chain_of_forks_is_swept),
    ("stopped_before_it_executes", stopped_before_it_executes),
    ("supervisor_is_killed_before_the_start", supervisor_is_killed_before_the_start),
    ("held_run_is_not_swept", held_run_is_not_swept),
    ("daemons_allowed", daemons_allowed),
    ("daemons_can_be_stopped", daemons_can_be_stopped),
    ("zombie_is_not_alive", zombie_is_not_alive),
    ("dead_leader_thread_is_alive", dead_leader_thread_is_alive),
    ("stop_request", stop_request),
    ("cgroup", cgroup),
    ("memory_group", memory_group),
];

fn natural_end_lists_and_ends_leftovers() {
    // The escapee holds stdout, in a session of its own.
    let begun = Instant::now();
    let mut run =
        shell("setsid sleep 300 & setsid sh -c 'echo x > up; exec sleep 301' & until [ -s up ]; do :; done; exit 3");
    assert_eq!(run.exit(), 3);
    assert!(begun.elapsed() < Duration::from_secs(5));
    let mut leftovers = run.leftovers();
    leftovers.sort_by(|one, other| one.0.cmp(&other.0));
    let ended = |command: &str| (command.to_owned(), "S".to_owned(), Fate::Ended);
    assert_eq!(leftovers, [ended("sleep 300"), ended("sleep 301")]);
    assert_eq!(run.tree_ended(), (2, 0));
    run.assert_nobody_left();
}

fn helpers_are_no_leftovers() {
    let mut run = shell("sleep 0.02 & exit 0");
    assert_eq!(run.exit(), 0);
    assert_eq!(run.leftovers(), []);
    assert_eq!(run.tree_ended(), (0, 0));
}

/// Ends the run by SIGTERM to its supervisor and checks that nothing is left.
fn end(run: &mut Run) -> Duration {
    let begun = Instant::now();
    run.signal(Signal::TERM);
    run.exit();
    let took = begun.elapsed();
    assert_eq!(run.tree_ended().1, 0);
    run.assert_nobody_left();
    took
}

fn double_fork_daemon() {
    let mut run = python(
        "import os,time\nif os.fork()==0:\n os.setsid()\n if os.fork()==0:\n  open('up','w').write('x\\n'); time.sleep(300)\n os._exit(0)\ntime.sleep(300)",
    );
    run.file("up");
    assert!(end(&mut run) < Duration::from_secs(3));
    // Three where the process between them was still about to end.
    assert!(matches!(run.tree_ended(), (2 | 3, 0)));
}

fn continuous_forker() {
    let mut run = python(
        "import os,signal,time\nsignal.signal(signal.SIGTERM,signal.SIG_IGN)\nopen('up','w').write('x\\n')\nwhile True:\n if os.fork():\n  os._exit(0)\n os.setsid()",
    );
    run.file("up");
    run.signal(Signal::INT);
    run.exit();
    assert_eq!(run.tree_ended().1, 0);
    run.assert_nobody_left();
}

fn stopped_child_hears_term() {
    let mut run = python(
        "import os,signal,sys\ndef bye(*_):\n open('heard','w').write('x\\n'); sys.exit(0)\nsignal.signal(signal.SIGTERM,bye)\nopen('up','w').write('x\\n')\nos.kill(os.getpid(),signal.SIGSTOP)\nwhile True: signal.pause()",
    );
    run.event("the stop", |event| matches!(event, Event::Stopped { .. }).then_some(()));
    assert!(end(&mut run) < Duration::from_secs(3));
    assert!(exists(run.folder.path(), "heard"));
}

fn term_is_ignored() {
    let mut run = run_with(&["sh", "-c", "trap '' TERM; echo x > up; while :; do sleep 300; done"], |spec| {
        spec.grace_s = 0.2;
    });
    run.file("up");
    let took = end(&mut run);
    assert!(took > Duration::from_millis(190) && took < Duration::from_secs(3), "{took:?}");
}

fn term_is_heard_once() {
    let mut run = python(
        "import signal,time\ncount=[]\nsignal.signal(signal.SIGTERM,lambda *_:count.append(1))\nopen('up','w').write('x\\n')\nwhile not count: time.sleep(.01)\ntime.sleep(.2)\nopen('count','w').write('%d\\n'%len(count))",
    );
    run.file("up");
    end(&mut run);
    assert_eq!(run.file("count"), "1");
}

fn three_hundred_children() {
    let mut run = shell("i=0; while [ $i -lt 300 ]; do setsid sleep 300 & i=$((i+1)); done; echo x > up; wait");
    run.file("up");
    end(&mut run);
    assert!(run.tree_ended().0 >= 301);
}

fn wiped_environment() {
    let mut run = shell("setsid env -i /bin/sh -c 'echo x > up; exec /bin/sleep 300' & wait");
    run.file("up");
    let sleeper = wait_until("the sleeper", || run.living().into_iter().find(|it| it.command() == "/bin/sleep 300"));
    assert_eq!(sleeper.variable("DEFIB_RUN"), None);
    run.shim().signal(Signal::KILL).unwrap();
    run.exit();
    run.assert_nobody_left();
    assert!(sleeper.again().is_none_or(|it| !it.alive()));
}

const BRANCHED: &str = "setsid sleep 300 & setsid sh -c 'env -i /bin/sleep 301 & echo x > up; wait' & wait";

/// A run with two sleepers in other sessions, one with a wiped environment.
fn branched() -> Run {
    let run = shell(BRANCHED);
    for sleeper in ["sleep 300", "/bin/sleep 301"] {
        wait_until(sleeper, || run.living().iter().any(|it| it.command() == sleeper).then_some(()));
    }
    run
}

fn supervisor_is_killed() {
    let run = branched();
    run.signal(Signal::KILL);
    let begun = Instant::now();
    assert_eq!(run.tree_ended().1, 0);
    assert!(begun.elapsed() < Duration::from_secs(2));
    run.assert_nobody_left();
    assert!(run.events().contains(&Event::Ending(Ending::SupervisorGone)));
}

fn shim_is_killed() {
    let mut run = branched();
    run.shim().signal(Signal::KILL).unwrap();
    run.exit();
    assert_eq!(run.tree_ended().1, 0);
    assert!(run.living().is_empty());
}

fn both_are_killed_and_swept() {
    let run = branched();
    let shim = run.shim();
    assert!(sweep::is_held(&run.spec.folder).unwrap());
    // Stopped, the supervisor cannot sweep.
    run.signal(Signal::STOP);
    shim.signal(Signal::KILL).unwrap();
    run.signal(Signal::KILL);
    wait_until("the shim's end", || (!sweep::is_held(&run.spec.folder).unwrap()).then_some(()));
    let orphans = sweep::orphans(run.folder.path()).unwrap();
    let commands: Vec<&str> = orphans.iter().map(|it| it.command.as_str()).collect();
    assert!(commands.contains(&"sleep 300") && commands.contains(&"/bin/sleep 301"), "{commands:?}");
    assert!(sweep::end(&orphans, Duration::from_secs(2)).is_empty());
    assert!(run.living().is_empty());
    assert!(sweep::orphans(run.folder.path()).unwrap().is_empty());
}

/// One process at a time, and never the same for long: a child takes over and its parent exits.
const CHAIN: &str = "
import os, time
while True:
    time.sleep(0.002)
    if os.fork():
        os._exit(0)
    with open('links', 'a') as links:
        links.write(f'{os.getpid()}\\n')
";

fn chain_of_forks_is_swept() {
    let run = run_with(&["sh", "-c", "python3 -c \"$0\" & wait; sleep 300", CHAIN], |_| {});
    let links = || std::fs::read_to_string(run.folder.path().join("links")).unwrap_or_default();
    wait_until("the chain", || (links().lines().count() > 3).then_some(()));
    let shim = run.shim();
    run.signal(Signal::STOP);
    shim.signal(Signal::KILL).unwrap();
    run.signal(Signal::KILL);
    wait_until("the shim's end", || (!sweep::is_held(&run.spec.folder).unwrap()).then_some(()));
    let orphans = sweep::orphans(run.folder.path()).unwrap();
    assert!(sweep::end(&orphans, Duration::from_millis(20)).is_empty());
    let length = links().len();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(links().len(), length, "the chain goes on");
}

/// A run whose program hangs before it is executed: it enters a cgroup whose file is a
/// FIFO that nobody reads.
fn hangs_before_it_executes() -> (Run, tempfile::TempDir, Process) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cgroup.procs");
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, 0o600.into()).unwrap();
    let run = run_with(&["sleep", "300"], |spec| {
        spec.cgroup = Some(folder.path().to_owned());
    });
    let child = wait_until("the child", || run.shim_child());
    (run, folder, child)
}

fn stopped_before_it_executes() {
    for signal in [Signal::KILL, Signal::TERM] {
        let (mut run, _folder, child) = hangs_before_it_executes();
        let begun = Instant::now();
        run.signal(signal);
        run.exit();
        assert_released(&run, &child);
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

/// The supervisor is lost before the program starts: the shim learns it as it tells so.
fn supervisor_is_killed_before_the_start() {
    let (mut run, folder, child) = hangs_before_it_executes();
    run.signal(Signal::KILL);
    run.exit();
    let mut both = std::fs::OpenOptions::new();
    let fifo = folder.path().join("cgroup.procs");
    let _reader = both.read(true).write(true).open(fifo).unwrap();
    assert_released(&run, &child);
}

fn assert_released(run: &Run, child: &Process) {
    wait_until("the program's end", || child.again().is_none_or(|it| !it.alive()).then_some(()));
    wait_until("the shim's end", || (!sweep::is_held(&run.spec.folder).unwrap()).then_some(()));
}

fn held_run_is_not_swept() {
    let run = branched();
    assert!(sweep::orphans(run.folder.path()).unwrap().is_empty());
}

fn daemons_allowed() {
    let mut run = run_with(
        &[
            "sh",
            "-c",
            "echo first; setsid sh -c 'echo x > up; until [ -s go ]; do sleep 0.01; done; echo last' & until [ -s up ]; do :; done",
        ],
        |spec| spec.allow_daemons = true,
    );
    assert_eq!(run.exit(), 0);
    assert!(run.leftovers().iter().all(|(_, _, fate)| *fate == Fate::Allowed));
    assert!(!run.leftovers().is_empty() && !run.living().is_empty());
    assert!(sweep::is_held(&run.spec.folder).unwrap());
    std::fs::write(run.folder.path().join("go"), "x").unwrap();
    let end = run.stream_end(defib_core::event::Stream::Stdout);
    assert_eq!(end.0, 11);
    assert_eq!(run.kept(defib_core::event::Stream::Stdout), b"first\nlast\n");
}

fn daemons_can_be_stopped() {
    let script = "trap '' HUP; setsid sleep 300 & exit 0";
    let mut run = run_with(&["sh", "-c", script], |spec| spec.allow_daemons = true);
    assert_eq!(run.exit(), 0);
    let shim = run.shim();
    // Nothing of the user is held any more.
    for number in 0..3 {
        let target = std::fs::read_link(format!("/proc/{}/fd/{number}", shim.pid)).unwrap();
        assert_eq!(target.to_str(), Some("/dev/null"));
    }
    assert!(sweep::request_stop(&run.spec.folder).unwrap());
    run.assert_nobody_left();
    assert!(run.events().contains(&Event::Ending(Ending::StopRequested)));
}

fn zombie_is_not_alive() {
    let mut run = python(
        "import os,time\npid=os.fork()\nif pid==0: os._exit(0)\nopen('pid','w').write('%d\\n'%pid)\ntime.sleep(300)",
    );
    let pid = run.file("pid").parse().unwrap();
    let zombie = wait_until("the zombie", || Process::look(pid).filter(|it| it.state == 'Z'));
    assert!(!zombie.alive());
    end(&mut run);
    assert_eq!(run.tree_ended(), (1, 0));
}

fn dead_leader_thread_is_alive() {
    let mut run = python(
        "import ctypes,threading,time,os\nthreading.Thread(target=time.sleep,args=(300,)).start()\nopen('up','w').write('x\\n')\nctypes.CDLL(None).syscall(60,0)",
    );
    run.file("up");
    let job = run.job();
    let leader = wait_until("the dead leader", || Process::look(job).filter(|it| it.state == 'Z'));
    assert!(leader.alive());
    run.signal(Signal::INT);
    assert_eq!(run.exit(), 137);
    run.assert_nobody_left();
}

fn stop_request() {
    let mut run = shell("sleep 300");
    run.job();
    assert!(sweep::request_stop(&run.spec.folder).unwrap());
    assert_eq!(run.exit(), 143);
    assert!(run.events().contains(&Event::Ending(Ending::StopRequested)));
    assert!(!sweep::request_stop(&run.spec.folder).unwrap());
}

fn cgroup() {
    let tier = defib_process::cgroup::Tier::find();
    let mut run = run_with(&["sh", "-c", "cat /proc/self/cgroup; setsid sleep 300 & sleep 300"], |spec| {
        spec.cgroup = tier.create(&spec.run).ok();
    });
    let Some(group) = run.spec.cgroup.clone() else {
        return;
    };
    wait_until("the group", || {
        let text = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        (text.lines().count() >= 3).then_some(())
    });
    run.signal(Signal::INT);
    run.exit();
    run.assert_nobody_left();
    assert!(!group.exists());
}

/// Faster than any sampling: the kernel holds the limit, and the journal tells.
#[expect(clippy::print_stdout, reason = "a test says what it did not try")]
fn memory_group() {
    const LIMIT: u64 = 48 << 20;
    let hungry = "import sys\nkept = []\nwhile True: kept.append(bytearray(b'x' * (1 << 20)))";
    let mut refused = None;
    let mut run = run_with(&["python3", "-c", hungry], |spec| {
        let made = defib_process::cgroup::memory_group(&spec.run, LIMIT);
        spec.cgroup = made.map_err(|error| refused = Some(error)).ok();
        if spec.cgroup.is_none() {
            spec.command = vec!["true".to_owned()];
        }
    });
    let Some(group) = run.spec.cgroup.clone() else {
        println!("not tried: no memory group can be made here ({})", refused.unwrap());
        run.exit();
        return;
    };
    assert_eq!(run.exit(), 137);
    run.assert_nobody_left();
    let told = run.events().into_iter().find_map(|event| match event {
        Event::GroupEnded { limit_bytes, peak_bytes, kills } => Some((limit_bytes, peak_bytes, kills)),
        _ => None,
    });
    let (limit, peak, kills) = told.expect("the group is told of");
    assert!(limit == LIMIT && kills >= 1 && peak.is_none_or(|peak| peak > LIMIT / 2), "{told:?}");
    assert!(!group.exists());
}
