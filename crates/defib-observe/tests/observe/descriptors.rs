//! Pipes, sockets and who holds their other ends; process facts.

use std::process::Command;

use defib_core::facts::{Access, Process, Socket, Target, Wait};
use defib_observe::{LookRequest, look};

use crate::support::{Program, request, root};

fn pipe(process: &Process, access: Access) -> Option<(u64, Option<u64>, Option<u64>)> {
    process.descriptors.iter().filter(|found| found.access == access).find_map(|found| match &found.target {
        Target::Pipe { inode, queued, capacity, .. } => Some((*inode, *queued, *capacity)),
        _ => None,
    })
}

fn sockets(process: &Process) -> Vec<(u64, Socket)> {
    let socket = |target: &Target| match target {
        Target::Socket { inode, socket: Some(socket) } => Some((*inode, socket.clone())),
        _ => None,
    };
    process.descriptors.iter().filter_map(|found| socket(&found.target)).collect()
}

#[test]
fn a_full_pipe_with_both_holders() {
    let code = "import subprocess,sys\n\
                p=subprocess.Popen([sys.executable,'-c','import os\\nos.write(2,b\"x\"*100000)'],stderr=subprocess.PIPE)\n\
                p.wait()";
    let program = Program::python(code);
    let found = program.look_until(false, |look| {
        look.processes.get(1).and_then(Process::main_thread).is_some_and(|thread| thread.wait == Wait::Write { fd: 2 })
    });
    let (writer, reader) = (&found.processes[1], &found.processes[0]);
    let stderr = &writer.descriptor(2).unwrap().target;
    let Target::Pipe { inode, queued, capacity, .. } = stderr else { panic!("{stderr:?}") };
    assert_eq!((*queued, *capacity), (Some(65536), Some(65536)));
    assert_eq!(pipe(reader, Access::Read), Some((*inode, *queued, *capacity)));
    assert_eq!(reader.main_thread().unwrap().wait, Wait::Child { pid: Some(writer.pid) });
}

#[test]
fn the_other_end_outside_the_tree() {
    // This test process reads the program's standard output.
    let program = Program::python("import os\nos.write(1,b'x'*100000)");
    program
        .look_until(false, |look| root(look).main_thread().is_some_and(|thread| thread.wait == Wait::Write { fd: 1 }));
    let found = look(&LookRequest { others: true, ..request(program.pid()) });
    let own = i32::try_from(std::process::id()).unwrap();
    let other = found.process(own).unwrap();
    assert!(!other.in_tree && !other.threads.is_empty());
    let Target::Pipe { inode, queued, .. } = root(&found).descriptor(1).unwrap().target else { panic!() };
    assert_eq!(queued, Some(65536));
    assert!(other.descriptors.iter().any(|descriptor| {
        descriptor.access == Access::Read
            && matches!(descriptor.target, Target::Pipe { inode: there, .. } if there == inode)
    }));
}

#[test]
fn connected_tcp_sockets_know_each_other() {
    let code = "import socket,time\ns=socket.socket()\ns.bind(('127.0.0.1',0))\ns.listen()\n\
                c=socket.create_connection(s.getsockname())\nd,_=s.accept()\nc.sendall(b'x'*1000)\n\
                e=socket.create_connection(s.getsockname())\nprint('ready',flush=True)\ntime.sleep(60)";
    let mut program = Program::python(code);
    program.line();
    let found = look(&request(program.pid()));
    let sockets = sockets(root(&found));
    let listening = sockets.iter().find(|(_, socket)| socket.state == "listen").unwrap();
    assert_eq!((listening.1.receive_queue, listening.1.remote.as_deref()), (1, None));
    let received = sockets.iter().find(|(_, socket)| socket.receive_queue == 1000).unwrap();
    assert_eq!(received.1.protocol, "tcp");
    assert_eq!(received.1.state, "established");
    assert_eq!(received.1.bytes_received, Some(1000));
    let peer = received.1.peer.clone().unwrap();
    assert_eq!(peer.pids, [program.pid()]);
    let sender = &sockets.iter().find(|(inode, _)| *inode == peer.inode).unwrap().1;
    assert_eq!(sender.remote.as_ref(), Some(&received.1.local));
    assert!(sender.bytes_acked >= Some(1000));
}

#[test]
fn unix_sockets_know_each_other() {
    let code = "import socket,time\na,b=socket.socketpair()\na.send(b'xyz')\nprint('ready',flush=True)\ntime.sleep(60)";
    let mut program = Program::python(code);
    program.line();
    let found = look(&request(program.pid()));
    let sockets = sockets(root(&found));
    let (inode, full) = sockets.iter().find(|(_, socket)| socket.receive_queue == 3).unwrap();
    assert_eq!((full.protocol.as_str(), full.state.as_str()), ("unix", "established"));
    let peer = full.peer.as_ref().unwrap();
    assert!(peer.inode != *inode && peer.pids == [program.pid()]);
}

#[test]
fn a_peer_outside_the_tree() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let code = format!("import socket\ns=socket.create_connection(('127.0.0.1',{}))\ns.recv(1)", address.port());
    let program = Program::python(&code);
    let accepted = listener.accept().unwrap();
    program.look_until(false, |look| {
        root(look).main_thread().is_some_and(|thread| matches!(thread.wait, Wait::Receive { .. }))
    });
    let found = look(&LookRequest { others: true, ..request(program.pid()) });
    let own = i32::try_from(std::process::id()).unwrap();
    assert!(found.process(own).is_some_and(|process| !process.in_tree));
    let peer = sockets(root(&found)).into_iter().find_map(|(_, socket)| socket.peer).unwrap();
    assert_eq!(peer.pids, [own]);
    drop(accepted);
}

#[test]
fn named_pipes_files_and_terminals_are_told_apart() {
    let code = "import os,tempfile,time,select,pty\nd=tempfile.mkdtemp()\nos.mkfifo(d+'/f')\n\
                f=os.open(d+'/f',os.O_RDWR)\nos.write(f,b'12345')\n\
                t=tempfile.TemporaryFile()\nt.write(b'x'*10)\nt.flush()\ne=select.epoll()\ne.register(f,1)\n\
                m,s=pty.openpty()\nos.unlink(d+'/f')\nprint('ready',flush=True)\ntime.sleep(60)";
    let mut program = Program::python(code);
    program.line();
    let found = look(&request(program.pid()));
    let has =
        |test: &dyn Fn(&Target) -> bool| root(&found).descriptors.iter().any(|descriptor| test(&descriptor.target));
    let fifo = |target: &Target| matches!(target, Target::Pipe { path: Some(_), queued: Some(5), capacity: Some(65536), inode } if *inode > 0);
    assert!(has(&fifo), "{:#?}", root(&found).descriptors);
    assert!(has(&|target| matches!(target, Target::File { position: 10, deleted: true, .. })));
    assert!(has(&|target| matches!(target, Target::Epoll { watched } if watched.len() == 1)));
    assert!(has(&|target| matches!(target, Target::Terminal { .. })));
    assert!(has(&|target| *target == Target::Null));
}

#[test]
fn forks_that_never_executed() {
    let fork = "import os,time\nos.fork()\ntime.sleep(60)";
    let multiprocessing = "import multiprocessing as m,time\nif __name__=='__main__':\n \
                           m.set_start_method('fork')\n m.Process(target=time.sleep,args=(60,)).start()\n time.sleep(60)";
    let execute = "import subprocess,sys,time\nsubprocess.Popen([sys.executable]+sys.argv+['x']) if len(sys.argv)<2 else 0\ntime.sleep(60)";
    for (code, expected) in [(fork, true), (multiprocessing, true), (execute, false)] {
        let program = Program::python(code);
        let found = program.look_until(false, |look| {
            look.processes
                .get(1)
                .and_then(Process::main_thread)
                .is_some_and(|thread| matches!(thread.wait, Wait::Sleep { .. } | Wait::Poll { .. }))
        });
        assert_eq!(found.processes[1].forked_without_exec, expected, "{code}");
        assert!(!found.processes[0].forked_without_exec);
    }
}

#[test]
fn handlers_and_buffering() {
    // Python leaves SIGINT alone where it is inherited as ignored, as under `&`.
    let code = "import signal,time\nsignal.signal(2,signal.default_int_handler)\nsignal.signal(15,lambda *a:0)\nprint('ready',flush=True)\ntime.sleep(60)";
    let mut program = Program::python(code);
    program.line();
    let found = look(&request(program.pid()));
    let process = root(&found);
    assert!(process.catches_sigterm && process.catches_sigint);
    assert_eq!(process.unbuffered, Some(false));
    assert!(process.python.as_deref().is_some_and(|version| version.starts_with("3.")));
    for (option, variable, expected) in [("-u", "", true), ("-B", "1", true), ("-Bu", "", true), ("-B", "", false)] {
        let mut command = Command::new("python3");
        command.args([option, "-c", "import time\ntime.sleep(60)"]);
        let folder = tempfile::tempdir().unwrap();
        // `start` removes an inherited variable, so it is given through env.
        let mut outer = Command::new("env");
        if !variable.is_empty() {
            outer.arg(format!("PYTHONUNBUFFERED={variable}"));
        }
        outer.arg(command.get_program()).args(command.get_args());
        let program = Program::start(outer, folder);
        program.look_until(false, |look| {
            look.processes
                .first()
                .is_some_and(|process| process.python.is_some() && process.unbuffered == Some(expected))
        });
    }
}
