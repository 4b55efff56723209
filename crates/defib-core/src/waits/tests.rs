//! The judgement of wait graphs, on looks made by hand and at random.

use proptest::prelude::*;

use super::*;
use crate::facts::{
    Access, Bound, Descriptor, Excerpt, Frame, Look, PollDescriptor, Process, ProcessState, PythonStack, Socket,
    Target, Thread, Wait,
};

fn thread(tid: i32, wait: Wait) -> Thread {
    let state = if wait == Wait::Running { ProcessState::Running } else { ProcessState::Sleeping };
    Thread { tid, name: "t".into(), state, wait, wchan: None, cpu_s: 0.0, switches: 5, python: None }
}

pub(crate) fn process(pid: i32, ppid: i32, waits: Vec<Wait>) -> Process {
    Process {
        pid,
        ppid,
        pgid: pid,
        sid: 1,
        start_ticks: 1,
        name: "p".into(),
        command: vec![format!("prog{pid}")],
        executable: None,
        cwd: None,
        state: ProcessState::Sleeping,
        in_tree: true,
        threads: waits.into_iter().enumerate().map(|(index, wait)| thread(pid + index as i32, wait)).collect(),
        descriptors: vec![],
        read_chars: None,
        written_chars: None,
        rss_bytes: 0,
        python: None,
        catches_sigterm: false,
        heeds_signals: false,
        held_back: None,
        heap: None,
        catches_sigint: false,
        forked_without_exec: false,
        unbuffered: None,
        tracer: None,
        wait_status: None,
    }
}

fn pipe(fd: i32, access: Access, inode: u64) -> Descriptor {
    Descriptor { fd, access, target: Target::Pipe { inode, path: None, queued: None, capacity: None } }
}

fn listening(fd: i32) -> Descriptor {
    let socket =
        Socket { protocol: "tcp".into(), state: "listen".into(), local: "127.0.0.1:80".into(), ..Socket::default() };
    Descriptor { fd, access: Access::Both, target: Target::Socket { inode: 9, socket: Some(socket) } }
}

/// The same look three times, a second apart: nothing moved.
fn looks(processes: Vec<Process>) -> Vec<Look> {
    let look = Look { root: processes[0].pid, processes, ..Look::default() };
    (0..3).map(|second| Look { at_s: f64::from(second), ..look.clone() }).collect()
}

fn grade(processes: Vec<Process>) -> Grade {
    let root = processes[0].pid;
    let looks = looks(processes);
    let graph = Graph::new(&looks, None).unwrap();
    judge(&graph, root, false).grade
}

fn futex(address: u64) -> Wait {
    Wait::Futex { address, shared: false, bound: Bound::Unlimited, owner: None }
}

#[test]
fn a_full_pipe_whose_reader_waits_for_its_writer_is_proved() {
    let mut reader = process(10, 1, vec![Wait::Child { pid: Some(20) }]);
    reader.descriptors = vec![pipe(3, Access::Read, 77)];
    let mut writer = process(20, 10, vec![Wait::Write { fd: 1 }]);
    writer.descriptors = vec![pipe(1, Access::Write, 77)];
    assert_eq!(grade(vec![reader, writer]), Grade::Proved);
}

#[test]
fn two_that_hold_the_file_lock_of_the_other_are_proved() {
    let file = |fd: i32, path: &str| {
        let target = Target::File { path: path.into(), position: 0, deleted: false };
        Descriptor { fd, access: Access::Both, target }
    };
    let holds = |pid: i32, owner: i32| {
        let mut process = process(pid, 10, vec![Wait::FileLock { fd: 4, owner: Some(owner) }]);
        process.descriptors = vec![file(3, &format!("/x/{pid}")), file(4, &format!("/x/{owner}"))];
        process
    };
    let parent = || process(10, 1, vec![Wait::Child { pid: None }]);
    assert_eq!(grade(vec![parent(), holds(20, 30), holds(30, 20)]), Grade::Proved);
    // The holder works: then the other only waits for its turn.
    let works = process(30, 10, vec![Wait::Running]);
    assert_eq!(grade(vec![parent(), holds(20, 30), works]), Grade::None);
}

/// A main thread in `queue.get()`, and a server of its own that waits for clients.
#[test]
fn a_queue_of_one_process_is_not_filled_by_an_idle_child() {
    let frame = |file: &str, function: &str, line: u32| Frame {
        function: function.into(),
        file: file.into(),
        line,
        locals: vec![],
    };
    let tree = |shared: bool| {
        let wait = Wait::Futex { address: 8, shared, bound: Bound::Unlimited, owner: None };
        let mut client = process(10, 1, vec![wait]);
        client.python = Some("3.11".into());
        client.threads[0].python = Some(PythonStack {
            frames: vec![frame("/usr/lib/python3.11/queue.py", "get", 171), frame("/home/me/crawl.py", "main", 9)],
            ..PythonStack::default()
        });
        let poll = PollDescriptor { fd: 3, read: true, write: false };
        let mut server =
            process(20, 10, vec![Wait::Poll { descriptors: vec![poll], bound: Bound::Unlimited, epoll: None }]);
        server.descriptors = vec![listening(3)];
        vec![client, server]
    };
    assert_eq!(grade(tree(false)), Grade::Probable);
    // What lies in shared memory a child may fill.
    assert_eq!(grade(tree(true)), Grade::Idle);
    let mut heeds = tree(false);
    heeds[0].heeds_signals = true;
    assert_eq!(grade(heeds), Grade::Idle);
}

#[test]
fn who_sleeps_elsewhere_may_come_to_a_barrier_in_shared_memory() {
    let waits = || Wait::Futex { address: 8, shared: true, bound: Bound::Unlimited, owner: None };
    let parent = process(10, 1, vec![Wait::Child { pid: Some(20) }]);
    let sleeps = process(30, 10, vec![Wait::Sleep { bound: Bound::Within(0.002) }]);
    assert_eq!(grade(vec![parent.clone(), process(20, 10, vec![waits()]), sleeps]), Grade::None);
    let stuck = grade(vec![parent, process(20, 10, vec![waits()]), process(30, 10, vec![waits()])]);
    assert!(stuck >= Grade::Probable);
}

#[test]
fn a_reader_that_reads_is_no_stall() {
    let mut reader = process(10, 1, vec![Wait::Read { fd: 3 }]);
    reader.descriptors = vec![pipe(3, Access::Read, 77)];
    let mut writer = process(20, 10, vec![Wait::Sleep { bound: Bound::Within(60.0) }]);
    writer.descriptors = vec![pipe(1, Access::Write, 77)];
    assert_eq!(grade(vec![reader, writer]), Grade::None);
}

#[test]
fn an_idle_server_and_a_daemon_that_waits_for_a_signal_are_idle() {
    let mut server = process(10, 1, vec![Wait::Accept { fd: 3 }]);
    server.descriptors = vec![listening(3)];
    assert_eq!(grade(vec![server]), Grade::Idle);
    assert_eq!(grade(vec![process(10, 1, vec![Wait::Signal { bound: Bound::Unlimited }])]), Grade::Idle);
    let event = |catches_sigterm| {
        let mut daemon = process(10, 1, vec![futex(5)]);
        let wait =
            Frame { function: "wait".into(), file: "/usr/lib/python3.11/threading.py".into(), line: 1, locals: vec![] };
        let user = Frame { function: "main".into(), file: "d.py".into(), line: 3, locals: vec![] };
        daemon.threads[0].python = Some(PythonStack {
            thread_name: None,
            owns_gil: false,
            frames: vec![wait, user],
            ..PythonStack::default()
        });
        daemon.python = Some("3.11".into());
        daemon.catches_sigterm = catches_sigterm;
        grade(vec![daemon])
    };
    assert_eq!(event(true), Grade::Idle);
    assert_eq!(event(false), Grade::Probable);
}

#[test]
fn owners_of_native_mutexes_close_a_cycle() {
    let owned = |address, owner| Wait::Futex { address, shared: false, bound: Bound::Unlimited, owner: Some(owner) };
    assert_eq!(grade(vec![process(10, 1, vec![owned(1, 11), owned(2, 10)])]), Grade::Proved);
}

#[test]
fn locks_taken_in_the_source_close_a_cycle() {
    let source = "def one():\n    with a:\n        with b:\n            pass\ndef two():\n    with b:\n        with a:\n            pass\n";
    let stack = |line| PythonStack {
        thread_name: None,
        owns_gil: false,
        frames: vec![Frame { function: "f".into(), file: "m.py".into(), line, locals: vec![] }],
        tasks: Vec::new(),
    };
    let mut program = process(10, 1, vec![futex(1), futex(2)]);
    program.python = Some("3.11".into());
    program.threads[0].python = Some(stack(3));
    program.threads[1].python = Some(stack(7));
    let mut looks = looks(vec![program]);
    for look in &mut looks {
        look.sources =
            vec![Excerpt { file: "m.py".into(), first_line: 1, lines: source.lines().map(str::to_owned).collect() }];
    }
    let graph = Graph::new(&looks, None).unwrap();
    assert_eq!(graph.cycles.len(), 1);
    assert_eq!(judge(&graph, 10, false).grade, Grade::Proved);
}

#[test]
fn a_bounded_sleep_and_a_debugged_program_are_no_stall() {
    assert_eq!(grade(vec![process(10, 1, vec![Wait::Sleep { bound: Bound::Within(3600.0) }])]), Grade::None);
    assert_eq!(grade(vec![process(10, 1, vec![Wait::Traced])]), Grade::None);
}

#[test]
fn a_network_wait_without_limit_is_probable_and_gets_more_patience() {
    let mut client = process(10, 1, vec![Wait::Receive { fd: 4, bound: Bound::Unlimited }]);
    let socket = Socket {
        protocol: "tcp".into(),
        state: "established".into(),
        remote: Some("10.0.0.1:80".into()),
        ..Socket::default()
    };
    client.descriptors =
        vec![Descriptor { fd: 4, access: Access::Both, target: Target::Socket { inode: 3, socket: Some(socket) } }];
    let looks = looks(vec![client]);
    let graph = Graph::new(&looks, None).unwrap();
    let verdict = judge(&graph, 10, false);
    assert_eq!(verdict.grade, Grade::Probable);
    assert!(verdict.is_patient());
}

#[test]
fn a_stuck_pair_beside_work_is_a_part() {
    let owned = |address, owner| Wait::Futex { address, shared: false, bound: Bound::Unlimited, owner: Some(owner) };
    let program = process(10, 1, vec![Wait::Running, owned(1, 12), owned(2, 11)]);
    assert_eq!(grade(vec![program]), Grade::Part);
}

fn any_wait() -> impl Strategy<Value = Wait> {
    let bound = prop_oneof![Just(Bound::Unlimited), Just(Bound::Unknown), (0.1f64..900.0).prop_map(Bound::Within)];
    prop_oneof![
        Just(Wait::Running),
        (1u64..4, bound.clone(), proptest::option::of(10i32..40)).prop_map(|(address, bound, owner)| Wait::Futex {
            address,
            shared: false,
            bound,
            owner
        }),
        (0i32..5).prop_map(|fd| Wait::Read { fd }),
        (0i32..5).prop_map(|fd| Wait::Write { fd }),
        (0i32..5, bound.clone()).prop_map(|(fd, bound)| Wait::Poll {
            descriptors: vec![PollDescriptor { fd, read: true, write: false }],
            bound,
            epoll: None
        }),
        proptest::option::of(10i32..40).prop_map(|pid| Wait::Child { pid }),
        bound.prop_map(|bound| Wait::Sleep { bound }),
        Just(Wait::Stopped),
        Just(Wait::Unreadable),
        Just(Wait::Accept { fd: 3 }),
    ]
}

fn any_tree() -> impl Strategy<Value = Vec<Process>> {
    let descriptors = proptest::collection::vec((0i32..5, any::<bool>(), 70u64..73), 0..5);
    let one = (proptest::collection::vec(any_wait(), 1..4), descriptors, any::<bool>());
    proptest::collection::vec(one, 1..4).prop_map(|list| {
        let made = list.into_iter().enumerate().map(|(index, (waits, descriptors, forked))| {
            let pid = 10 + 10 * index as i32;
            let mut made = process(pid, if index == 0 { 1 } else { 10 }, waits);
            let access = |writes| if writes { Access::Write } else { Access::Read };
            made.descriptors =
                descriptors.into_iter().map(|(fd, writes, inode)| pipe(fd, access(writes), inode)).collect();
            made.forked_without_exec = forked;
            made
        });
        made.collect()
    })
}

proptest! {
    #[test]
    fn whoever_computes_keeps_the_run_from_being_stalled(tree in any_tree()) {
        let computes = tree.iter().flat_map(|process| &process.threads).any(|thread| thread.wait == Wait::Running);
        let grade = grade(tree);
        prop_assert!(!computes || grade <= Grade::Part);
    }

    #[test]
    fn what_is_stuck_has_no_provider_that_can_go_on(tree in any_tree(), pollers in any::<bool>()) {
        let looks = looks(tree);
        let graph = Graph::new(&looks, None).unwrap();
        let status = graph.status(pollers);
        for (id, node) in graph.nodes.iter().enumerate() {
            if status[id] == Status::Stuck {
                prop_assert!(node.providers.iter().all(|&provider| status[provider] == Status::Stuck));
                prop_assert!(!node.active());
            }
        }
    }

    #[test]
    fn a_stall_always_has_an_unlimited_wait_that_did_not_move(tree in any_tree()) {
        let root = tree[0].pid;
        let looks = looks(tree);
        let graph = Graph::new(&looks, None).unwrap();
        let verdict = judge(&graph, root, false);
        if verdict.grade >= Grade::Probable {
            prop_assert!(verdict.stuck.iter().any(|&id| graph.nodes[id].unlimited()));
        }
    }
}
