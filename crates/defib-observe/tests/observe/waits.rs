//! Each kind of wait, on a real blocked process.

use defib_core::facts::{Bound, Look, Process, ProcessState, Wait};

use crate::support::{Program, main_thread, root};

fn wait(look: &Look) -> Option<&Wait> {
    main_thread(look).map(|thread| &thread.wait)
}

/// Looks at a Python program until its main thread waits as described.
fn waits(code: &str, expected: impl Fn(&Wait, &Process) -> bool) -> Look {
    let program = Program::python(code);
    program.look_until(false, |look| wait(look).is_some_and(|wait| expected(wait, root(look))))
}

fn near(bound: Bound, seconds: f64) -> bool {
    matches!(bound, Bound::Within(found) if (found - seconds).abs() < 1.0)
}

#[test]
fn a_lock_without_limit() {
    waits("import threading\nl = threading.Lock()\nl.acquire(); l.acquire()", |wait, _| {
        matches!(wait, Wait::Futex { bound: Bound::Unlimited, owner: None, shared: false, .. })
    });
}

#[test]
fn a_lock_with_a_limit() {
    let code = "import threading\nl = threading.Lock()\nl.acquire(); l.acquire(timeout=70)";
    // An absolute deadline, told in seconds from now.
    waits(code, |wait, _| matches!(wait, Wait::Futex { bound: Bound::Within(s), .. } if *s > 45.0 && *s <= 70.0));
}

#[test]
fn a_sleep() {
    waits(
        "import time\ntime.sleep(80)",
        |wait, _| matches!(wait, Wait::Sleep { bound: Bound::Within(s) } if *s > 55.0 && *s <= 80.0),
    );
    let program = Program::shell("exec sleep 77");
    program.look_until(false, |look| matches!(wait(look), Some(Wait::Sleep { bound }) if near(*bound, 77.0)));
}

#[test]
fn select_poll_and_epoll() {
    waits("import select,os\nr,w=os.pipe()\nselect.select([r],[],[],65)", |wait, _| {
        matches!(wait, Wait::Poll { descriptors, bound, epoll: None }
            if near(*bound, 65.0) && descriptors.len() == 1 && descriptors[0].read)
    });
    waits("import select,os\nr,w=os.pipe()\np=select.poll()\np.register(r,1)\np.poll()", |wait, _| {
        matches!(wait, Wait::Poll { descriptors, bound: Bound::Unlimited, epoll: None }
            if descriptors.len() == 1 && descriptors[0].read && !descriptors[0].write)
    });
    let code = "import select,os\nr,w=os.pipe()\np=select.epoll()\np.register(r,1)\np.poll(66)";
    waits(code, |wait, _| {
        matches!(wait, Wait::Poll { descriptors, bound, epoll: Some(_) }
            if near(*bound, 66.0) && descriptors.len() == 1 && descriptors[0].read)
    });
}

#[test]
fn an_idle_event_loop() {
    waits("import asyncio\nasyncio.run(asyncio.Event().wait())", |wait, process| {
        matches!(wait, Wait::Poll { descriptors, bound: Bound::Unlimited, epoll: Some(epoll) }
            if !descriptors.is_empty() && process.descriptor(*epoll).is_some())
    });
}

#[test]
fn reads_and_writes() {
    waits(
        "import os\nr,w=os.pipe()\nos.read(r,1)",
        |wait, process| matches!(wait, Wait::Read { fd } if process.descriptor(*fd).is_some()),
    );
    waits("import os\nr,w=os.pipe()\nos.write(w,b'x'*100000)", |wait, _| matches!(wait, Wait::Write { .. }));
}

#[test]
fn sockets() {
    waits("import socket\na,b=socket.socketpair()\na.recv(1)", |wait, _| {
        matches!(wait, Wait::Receive { bound: Bound::Unlimited, .. })
    });
    waits("import socket,os\na,b=socket.socketpair()\nos.read(a.fileno(),1)", |wait, _| {
        matches!(wait, Wait::Receive { .. })
    });
    waits("import socket\na,b=socket.socketpair()\na.sendall(b'x'*10000000)", |wait, _| {
        matches!(wait, Wait::Send { .. })
    });
    waits("import socket\ns=socket.socket()\ns.bind(('127.0.0.1',0))\ns.listen()\ns.accept()", |wait, _| {
        matches!(wait, Wait::Accept { .. })
    });
    // The backlog of this listener is full, so that a further connect waits.
    let code = "import socket\ns=socket.socket()\ns.bind(('127.0.0.1',0))\ns.listen(0)\nk=[]\n\
                while True:\n c=socket.socket()\n k.append(c)\n c.connect(s.getsockname())";
    waits(code, |wait, _| matches!(wait, Wait::Connect { .. }));
}

#[test]
fn children() {
    let code = "import subprocess\np=subprocess.Popen(['sleep','60'])\np.wait()";
    waits(code, |wait, _| matches!(wait, Wait::Child { pid: Some(pid) } if *pid > 1));
    waits("import os\nif os.fork()==0:\n import time\n time.sleep(60)\nos.wait()", |wait, _| {
        matches!(wait, Wait::Child { pid: None })
    });
    let code = "import os\np=os.fork()\nif p==0:\n import time\n time.sleep(60)\nos.waitid(os.P_PID,p,os.WEXITED)";
    waits(code, |wait, _| matches!(wait, Wait::Child { pid: Some(_) }));
}

#[test]
fn signals() {
    waits("import signal\nsignal.pause()", |wait, _| matches!(wait, Wait::Signal { bound: Bound::Unlimited }));
    waits(
        "import signal\nsignal.sigtimedwait([signal.SIGUSR1],64)",
        |wait, _| matches!(wait, Wait::Signal { bound } if near(*bound, 64.0)),
    );
}

#[test]
fn file_locks() {
    let flock = "import fcntl,tempfile,os\nf=tempfile.NamedTemporaryFile()\ng=open(f.name)\n\
                 fcntl.flock(f,fcntl.LOCK_EX)\nfcntl.flock(g,fcntl.LOCK_EX)";
    waits(flock, |wait, process| matches!(wait, Wait::FileLock { owner, .. } if *owner == Some(process.pid)));
    let record = "import fcntl,tempfile,os,time\nf=tempfile.NamedTemporaryFile()\nfcntl.lockf(f,fcntl.LOCK_EX)\n\
                  r,w=os.pipe()\nif os.fork()==0:\n os.read(r,1)\n\
                  \nelse:\n p=os.getpid()\n q=os.fork()\n if q==0: time.sleep(60)\n time.sleep(60)";
    // The child that waits for the parent's record lock is the second process.
    let record = record.replace(" os.read(r,1)\n", " fcntl.lockf(f,fcntl.LOCK_EX)\n");
    let program = Program::python(&record);
    program.look_until(false, |look| {
        look.processes
            .iter()
            .any(|process| process.main_thread().is_some_and(|thread| matches!(thread.wait, Wait::FileLock { .. })))
    });
}

#[test]
fn a_native_mutex_names_its_owner() {
    let code = "import ctypes,threading,time\nc=ctypes.CDLL(None)\nm=ctypes.create_string_buffer(64)\n\
                c.pthread_mutex_lock(m)\n\
                t=threading.Thread(target=lambda: c.pthread_mutex_lock(m),daemon=True)\nt.start()\ntime.sleep(60)";
    let program = Program::python(code);
    let pid = program.pid();
    program.look_until(false, |look| {
        root(look)
            .threads
            .iter()
            .any(|thread| matches!(thread.wait, Wait::Futex { owner: Some(owner), .. } if owner == pid))
    });
}

#[test]
fn running_stopped_and_dead() {
    waits("while True: pass", |wait, _| *wait == Wait::Running);
    let program = Program::shell("kill -STOP $$");
    program.look_until(false, |look| wait(look) == Some(&Wait::Stopped) && root(look).state == ProcessState::Stopped);
    let zombie = Program::python("import os,time\nif os.fork()==0: os._exit(0)\ntime.sleep(60)");
    zombie.look_until(false, |look| {
        look.processes.get(1).is_some_and(|child| {
            child.state == ProcessState::Zombie
                && child.threads.iter().all(|thread| thread.wait == Wait::Dead)
                && child.command.is_empty()
        })
    });
}

#[test]
fn a_resumed_sleep_is_still_bounded() {
    let program = Program::shell("exec sleep 70");
    program.look_until(false, |look| matches!(wait(look), Some(Wait::Sleep { .. })));
    for signal in ["-STOP", "-CONT"] {
        let pid = program.pid().to_string();
        std::process::Command::new("kill").args([signal, &pid]).status().unwrap();
        let stopped = signal == "-STOP";
        program.look_until(false, |look| (wait(look) == Some(&Wait::Stopped)) == stopped);
    }
    program.look_until(false, |look| matches!(wait(look), Some(Wait::Sleep { bound }) if *bound != Bound::Unlimited));
}

#[test]
fn a_look_does_not_wake_its_target() {
    let program = Program::shell("exec sleep 90");
    let first = program.look_until(false, |look| matches!(wait(look), Some(Wait::Sleep { .. })));
    let before = main_thread(&first).unwrap().switches;
    for _ in 0..20 {
        let again = program.look_until(false, |_| true);
        assert_eq!(main_thread(&again).unwrap().switches, before);
    }
}
