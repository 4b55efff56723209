//! What a thread means to wait for: its system call read together with its Python stack.

use crate::facts::{Bound, Frame, Look, Process, ProcessState, Target, Thread, Wait};
use crate::place::{innermost_user_frame, is_user_file, since_fork};

use super::code::enclosing_loop;

/// What a thread waits for, in the program's own terms. `fd` is the descriptor's
/// number in its process, `inode` names the pipe.
#[expect(missing_docs, reason = "the fields mean the same in every variant and are explained above")]
#[derive(Debug, Clone, PartialEq)]
pub enum Purpose {
    /// Computes.
    Active,
    /// Sleeps for a bounded time.
    Sleep,
    /// The end of a child process (`None`: any).
    Child(Option<i32>),
    /// Bytes from a pipe, or its end of file.
    PipeRead { fd: i32, inode: u64 },
    /// Room in a pipe.
    PipeWrite { fd: i32, inode: u64 },
    /// Any of several descriptors (an event loop, `communicate`).
    Any(Vec<i32>),
    /// Data from a socket.
    Receive { fd: i32 },
    /// Room in a socket.
    Send { fd: i32 },
    /// A connection to be made.
    Connect { fd: i32 },
    /// A client: `accept`, or `poll` on listening sockets.
    Clients,
    /// A lock.
    Lock,
    /// The end of a thread.
    Join,
    /// A queue, event or condition that another thread serves.
    Notify,
    /// A result of a pool.
    Future,
    /// The next job of a pool, or another helper's errand: idle by design.
    Helper,
    /// Nothing to run in an event loop, and nothing watched but its own wake-up.
    LoopIdle,
    /// Something typed.
    TerminalRead { fd: i32 },
    /// Room on a terminal.
    TerminalWrite { fd: i32 },
    /// Input from outside on standard input that is no terminal.
    Input { fd: i32 },
    /// A signal.
    Signal,
    /// A file lock.
    FileLock { fd: i32 },
    /// A lock file to go away, in a loop of short sleeps.
    LockFile { path: String },
    /// A device driver.
    Device { fd: Option<i32> },
    /// Something inside native code called from Python.
    Native,
    /// To be continued: stopped by job control.
    Stopped,
    /// The interpreter lock, whose owner sleeps.
    Interpreter,
    /// Stopped by a debugger.
    Traced,
    /// It could not be read.
    Unreadable,
    /// Another call.
    Other(String),
}

/// Time limit of a wait, as the program set it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// None.
    Unlimited,
    /// It gives up by itself; seconds left, where they could be computed.
    Bounded {
        /// Seconds left at the time of the look.
        left_s: Option<f64>,
        /// Seconds in all, where known.
        total_s: Option<f64>,
    },
}

/// What a library function means to its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Child,
    Join,
    Notify,
    Future,
    Helper,
    Lock,
    /// Decided by the system call alone.
    Call,
}

/// Waiting functions of the standard library: file suffix, function (`*` for any), meaning.
const KNOWN: &[(&str, &str, Known)] = &[
    ("/subprocess.py", "_communicate", Known::Call),
    ("/subprocess.py", "_execute_child", Known::Call),
    ("/subprocess.py", "_wait", Known::Child),
    ("/subprocess.py", "_try_wait", Known::Child),
    ("/subprocess.py", "wait", Known::Child),
    ("/multiprocessing/popen_fork.py", "*", Known::Child),
    ("/multiprocessing/popen_spawn_posix.py", "*", Known::Child),
    ("/multiprocessing/popen_forkserver.py", "*", Known::Child),
    ("/multiprocessing/process.py", "join", Known::Child),
    ("/multiprocessing/pool.py", "worker", Known::Helper),
    ("/multiprocessing/pool.py", "_handle_workers", Known::Helper),
    ("/multiprocessing/pool.py", "_handle_tasks", Known::Helper),
    ("/multiprocessing/pool.py", "_handle_results", Known::Helper),
    ("/multiprocessing/pool.py", "get", Known::Future),
    ("/multiprocessing/pool.py", "wait", Known::Future),
    ("/multiprocessing/pool.py", "next", Known::Future),
    ("/multiprocessing/pool.py", "join", Known::Join),
    ("/multiprocessing/queues.py", "_finalize_join", Known::Join),
    ("/multiprocessing/queues.py", "_feed", Known::Call),
    ("/multiprocessing/queues.py", "get", Known::Notify),
    ("/multiprocessing/queues.py", "put", Known::Notify),
    ("/multiprocessing/synchronize.py", "__enter__", Known::Lock),
    ("/multiprocessing/synchronize.py", "wait", Known::Notify),
    ("/multiprocessing/resource_tracker.py", "main", Known::Helper),
    ("/multiprocessing/forkserver.py", "main", Known::Helper),
    ("/concurrent/futures/thread.py", "_worker", Known::Helper),
    ("/concurrent/futures/thread.py", "shutdown", Known::Join),
    ("/concurrent/futures/process.py", "_process_worker", Known::Helper),
    ("/concurrent/futures/process.py", "wait_result_broken_or_wakeup", Known::Helper),
    ("/concurrent/futures/process.py", "shutdown", Known::Join),
    ("/concurrent/futures/_base.py", "*", Known::Future),
    ("/threading.py", "join", Known::Join),
    ("/threading.py", "_wait_for_tstate_lock", Known::Join),
    ("/threading.py", "_shutdown", Known::Join),
    ("/threading.py", "_join_thread", Known::Join),
    ("/threading.py", "wait", Known::Notify),
    ("/threading.py", "wait_for", Known::Notify),
    ("/threading.py", "acquire", Known::Lock),
    ("/threading.py", "__enter__", Known::Lock),
    ("/queue.py", "*", Known::Notify),
    ("/logging/__init__.py", "acquire", Known::Lock),
    ("/logging/__init__.py", "handle", Known::Lock),
    ("/logging/handlers.py", "dequeue", Known::Helper),
    ("/logging/handlers.py", "_monitor", Known::Helper),
];

fn known(frame: &Frame) -> Option<Known> {
    let file = frame.file.replace('\\', "/");
    let row = KNOWN
        .iter()
        .find(|(suffix, function, _)| file.ends_with(suffix) && (*function == "*" || *function == frame.function));
    row.map(|row| row.2)
}

/// The library's part of a stack: frames inside the innermost user frame,
/// outermost first, and that user frame.
fn library_part(frames: &[Frame]) -> (Vec<&Frame>, Option<&Frame>) {
    let user = innermost_user_frame(frames);
    let inside = frames.iter().take_while(|frame| user.is_none_or(|user| !std::ptr::eq(*frame, user)));
    let mut inside: Vec<&Frame> = inside.collect();
    inside.reverse();
    (inside, user)
}

/// What this thread waits for, and how long at most.
#[must_use]
pub fn meaning(look: &Look, process: &Process, thread: &Thread) -> (Purpose, Limit) {
    let frames = since_fork(thread.python.as_ref().map_or(&[][..], |stack| &stack.frames));
    let (inside, user) = library_part(frames);
    let limit = limit(look, thread, &inside);
    let by_call = by_call(process, thread);
    if let Some(native) = native_sleep(look, process, thread, user, inside.is_empty(), &by_call) {
        return (native, Limit::Unlimited);
    }
    if polls_for_dead_child(look, process, user, &by_call) {
        return (Purpose::Future, lock_file_limit(look, user, limit));
    }
    if matches!(by_call, Purpose::Active | Purpose::Stopped | Purpose::Traced | Purpose::Unreadable) {
        return (by_call, limit);
    }
    let known = inside.iter().find_map(|frame| known(frame));
    let main = thread.tid == process.pid;
    if let Some(path) = lock_file(look, process, thread, user) {
        return (Purpose::LockFile { path }, lock_file_limit(look, user, limit));
    }
    let purpose = match known {
        Some(Known::Helper) => Purpose::Helper,
        Some(Known::Child) => child(&by_call),
        Some(Known::Join) => Purpose::Join,
        Some(Known::Future) => Purpose::Future,
        Some(Known::Lock) if is_futex(thread) => Purpose::Lock,
        Some(Known::Notify) if is_futex(thread) || matches!(by_call, Purpose::Sleep) => Purpose::Notify,
        _ if user.is_none() && !main && !frames.is_empty() && is_futex(thread) => Purpose::Helper,
        _ => by_source(look, thread, user, inside.is_empty(), by_call),
    };
    (purpose, limit)
}

fn is_futex(thread: &Thread) -> bool {
    matches!(thread.wait, Wait::Futex { .. })
}

fn child(by_call: &Purpose) -> Purpose {
    match by_call {
        Purpose::Child(pid) => Purpose::Child(*pid),
        _ => Purpose::Child(None),
    }
}

/// Where the library does not tell, the user's own line does.
fn by_source(look: &Look, thread: &Thread, user: Option<&Frame>, direct: bool, by_call: Purpose) -> Purpose {
    let Some(user) = user else { return by_call };
    let line = look.source_line(&user.file, user.line).map_or("", str::trim);
    match by_call {
        Purpose::Sleep => polled(look, user).unwrap_or(Purpose::Sleep),
        Purpose::Other(_) if is_futex(thread) && direct => {
            // A futex word that records its owner is a mutex, whoever calls it.
            let owned = matches!(thread.wait, Wait::Futex { owner: Some(_), .. });
            if owned || line.contains(".acquire(") || line.starts_with("with ") {
                Purpose::Lock
            } else if line.contains(".join(") {
                Purpose::Join
            } else if line.contains(".result(") {
                Purpose::Future
            } else if line.contains(".get(") || line.contains(".put(") || line.contains(".wait(") {
                Purpose::Notify
            } else if line.is_empty() {
                Purpose::Lock
            } else {
                Purpose::Native
            }
        }
        Purpose::Other(_) if is_futex(thread) => Purpose::Lock,
        other => other,
    }
}

/// A thread that owns the interpreter lock while it sleeps, or sleeps at a line
/// that does not say so, is inside native code; those that want the lock meanwhile
/// wait for it.
fn native_sleep(
    look: &Look,
    process: &Process,
    thread: &Thread,
    user: Option<&Frame>,
    direct: bool,
    by_call: &Purpose,
) -> Option<Purpose> {
    let owns = |thread: &Thread| thread.python.as_ref().is_some_and(|stack| stack.owns_gil);
    let blocked = |thread: &Thread| {
        !matches!(thread.wait, Wait::Running | Wait::Stopped | Wait::Traced | Wait::Unreadable | Wait::Dead)
    };
    let short = matches!(&thread.wait, Wait::Futex { bound: Bound::Within(limit), .. } if *limit <= 0.02);
    let sleeping_owner = process.threads.iter().any(|other| other.tid != thread.tid && owns(other) && blocked(other));
    if short && sleeping_owner && thread.python.is_some() {
        return Some(Purpose::Interpreter);
    }
    let line = user.and_then(|user| look.source_line(&user.file, user.line)).unwrap_or_default().to_lowercase();
    let says = ["sleep", "wait", "poll", "select", "delay", "pause", "join", "get(", "timeout"]
        .iter()
        .any(|word| line.contains(word));
    let calls = direct && !line.trim().is_empty() && !says && line.contains('(');
    // What waits on a descriptor says more by that.
    let bare = matches!(by_call, Purpose::Sleep | Purpose::Signal | Purpose::Other(_));
    let owner = owns(thread) && blocked(thread) && bare;
    (calls && (owner || *by_call == Purpose::Sleep)).then_some(Purpose::Native)
}

/// A loop of sleeps waits for a file that a child should write, and the child is dead.
fn polls_for_dead_child(look: &Look, process: &Process, user: Option<&Frame>, by_call: &Purpose) -> bool {
    let dead = |other: &&Process| other.ppid == process.pid && other.state == ProcessState::Zombie;
    let alive = |other: &Process| other.ppid == process.pid && other.in_tree && other.state != ProcessState::Zombie;
    let condition = user.and_then(|user| enclosing_loop(look, user)).unwrap_or_default();
    let file = ["exists(", "is_file(", "isfile(", "listdir(", "glob(", "stat(", "access("]
        .iter()
        .any(|word| condition.contains(word));
    *by_call == Purpose::Sleep
        && file
        && look.processes.iter().any(|other| dead(&other))
        && !look.processes.iter().any(alive)
}

/// The lock file that a thread sleeping beside it polls for: older than the
/// process, held by nobody alive, and its loop (or a library of locks) speaks of it.
fn lock_file(look: &Look, process: &Process, thread: &Thread, user: Option<&Frame>) -> Option<String> {
    let sleeps = matches!(thread.wait, Wait::Sleep { bound: Bound::Within(limit) } if limit <= 120.0)
        || matches!(&thread.wait, Wait::Futex { bound: Bound::Within(limit), .. } if *limit <= 120.0)
        || matches!(&thread.wait, Wait::Poll { descriptors, bound: Bound::Within(_), .. } if descriptors.is_empty());
    if !sleeps {
        return None;
    }
    let frames = thread.python.as_ref().map_or(&[][..], |stack| &stack.frames);
    let library = frames.iter().any(|frame| LOCK_LIBRARIES.iter().any(|part| frame.file.contains(part)));
    let stale = look.lock_files.iter().filter(|file| file.seen_by == process.pid && !file.held && !file.owner_alive);
    let old = stale.filter(|file| file.owner.is_some() || look.at_s <= 0.0 || file.age_s > look.at_s);
    let mut candidates: Vec<_> = old.filter(|file| file.named || library).collect();
    candidates.sort_by_key(|file| (!file.named, file.owner.is_none()));
    let file = candidates.first()?;
    (library || user.is_some_and(|user| polls_for_file(look, user))).then(|| file.path.clone())
}

/// Libraries that wait for a lock file by sleeping.
const LOCK_LIBRARIES: &[&str] =
    &["/filelock/", "file_baton.py", "/portalocker/", "/fasteners/", "/lockfile/", "/zc/lockfile", "/flufl/lock"];

/// The text around the line, within its function, asks whether a file is there.
fn polls_for_file(look: &Look, user: &Frame) -> bool {
    let from = user.line.saturating_sub(14).max(1);
    let words = [
        "exists",
        "O_EXCL",
        "FileExistsError",
        "is_file()",
        "isfile(",
        "mkdir(",
        "acquire",
        "symlink(",
        "\"x\"",
        "'x'",
        "lock",
        "access(",
    ];
    (from..=user.line + 6)
        .filter_map(|line| look.source_line(&user.file, line))
        .any(|text| words.iter().any(|word| text.contains(word)))
}

/// A loop that counts its time or tries gives up by itself.
fn lock_file_limit(look: &Look, user: Option<&Frame>, limit: Limit) -> Limit {
    let condition = user.and_then(|user| enclosing_loop(look, user)).unwrap_or_default();
    let counted =
        ["time", "deadline", "range(", "tries", "attempt", "retr"].iter().any(|word| condition.contains(word));
    if counted { limit } else { Limit::Unlimited }
}

/// What a loop of short sleeps polls for, as its condition says.
fn polled(look: &Look, user: &Frame) -> Option<Purpose> {
    let condition = enclosing_loop(look, user)?;
    let any = |words: &[&str]| words.iter().any(|word| condition.contains(word));
    if any(&[".poll()", "waitpid(", ".returncode is None", ".exitcode is None"]) {
        Some(Purpose::Child(None))
    } else if any(&[".is_alive()"]) {
        Some(Purpose::Join)
    } else if any(&[".done()", ".ready()"]) {
        Some(Purpose::Future)
    } else {
        None
    }
}

/// Meaning of the system call alone.
fn by_call(process: &Process, thread: &Thread) -> Purpose {
    match &thread.wait {
        Wait::Running => Purpose::Active,
        Wait::Futex { bound: Bound::Within(limit), .. } if *limit <= 0.02 => Purpose::Active,
        Wait::Futex { .. } => futex(process, thread),
        Wait::Read { fd } => read(process, *fd),
        Wait::Write { fd } => write(process, *fd),
        Wait::Poll { descriptors, bound, .. } => poll(process, descriptors, *bound),
        Wait::Accept { .. } => Purpose::Clients,
        Wait::Connect { fd } => Purpose::Connect { fd: *fd },
        Wait::Receive { fd, .. } => Purpose::Receive { fd: *fd },
        Wait::Send { fd } => Purpose::Send { fd: *fd },
        Wait::Child { pid } => Purpose::Child(*pid),
        Wait::Sleep { .. } => Purpose::Sleep,
        Wait::Signal { .. } => Purpose::Signal,
        Wait::FileLock { fd, .. } => Purpose::FileLock { fd: *fd },
        Wait::Ioctl { fd, .. } => Purpose::Device { fd: Some(*fd) },
        Wait::Uninterruptible { .. } => Purpose::Device { fd: None },
        Wait::Stopped => Purpose::Stopped,
        Wait::Traced => Purpose::Traced,
        Wait::Dead => Purpose::Other("ended".to_owned()),
        Wait::Other { call } => Purpose::Other(call.clone()),
        Wait::Unreadable => Purpose::Unreadable,
    }
}

/// A futex of a thread without Python frames: a helper of a library where the
/// process is an interpreter, a lock of the program where it is not.
fn futex(process: &Process, thread: &Thread) -> Purpose {
    match (&thread.python, &process.python) {
        (None, Some(_)) if thread.tid != process.pid => Purpose::Helper,
        (None, None) => Purpose::Lock,
        _ => Purpose::Other("futex".to_owned()),
    }
}

fn read(process: &Process, fd: i32) -> Purpose {
    match process.descriptor(fd).map(|descriptor| &descriptor.target) {
        Some(Target::Pipe { inode, .. }) => Purpose::PipeRead { fd, inode: *inode },
        Some(Target::Terminal { .. }) => Purpose::TerminalRead { fd },
        Some(Target::Device { .. }) => Purpose::Device { fd: Some(fd) },
        Some(Target::Anonymous { name }) if name.contains("inotify") || name.contains("signalfd") => Purpose::Signal,
        Some(Target::Socket { .. }) => Purpose::Receive { fd },
        _ if fd == 0 => Purpose::Input { fd },
        _ => Purpose::Other("read".to_owned()),
    }
}

fn write(process: &Process, fd: i32) -> Purpose {
    match process.descriptor(fd).map(|descriptor| &descriptor.target) {
        Some(Target::Pipe { inode, .. }) => Purpose::PipeWrite { fd, inode: *inode },
        Some(Target::Terminal { .. }) => Purpose::TerminalWrite { fd },
        Some(Target::Device { .. }) => Purpose::Device { fd: Some(fd) },
        Some(Target::Socket { .. }) => Purpose::Send { fd },
        _ => Purpose::Other("write".to_owned()),
    }
}

fn poll(process: &Process, descriptors: &[crate::facts::PollDescriptor], bound: Bound) -> Purpose {
    let target = |fd: i32| process.descriptor(fd).map(|descriptor| &descriptor.target);
    let listens =
        |fd: i32| matches!(target(fd), Some(Target::Socket { socket: Some(socket), .. }) if socket.state == "listen");
    if descriptors.iter().any(|descriptor| listens(descriptor.fd)) {
        return Purpose::Clients;
    }
    let wakes_itself = |fd: i32| is_self_wake(process, fd);
    let watched: Vec<i32> =
        descriptors.iter().map(|descriptor| descriptor.fd).filter(|&fd| !wakes_itself(fd)).collect();
    match (watched.as_slice(), descriptors) {
        ([], []) if !bound.is_unlimited() => Purpose::Sleep,
        ([], []) => Purpose::Signal,
        ([], _) => Purpose::LoopIdle,
        ([fd], _) => one_polled(process, descriptors, *fd),
        (several, _) => Purpose::Any(several.to_vec()),
    }
}

/// `poll` on a single descriptor is a read or write with a time limit.
fn one_polled(process: &Process, descriptors: &[crate::facts::PollDescriptor], fd: i32) -> Purpose {
    let writes = descriptors.iter().any(|descriptor| descriptor.fd == fd && descriptor.write && !descriptor.read);
    match process.descriptor(fd).map(|descriptor| &descriptor.target) {
        Some(Target::Anonymous { name }) if name.starts_with("pidfd") => Purpose::Child(None),
        Some(Target::Anonymous { .. }) => Purpose::LoopIdle,
        Some(Target::Socket { socket: Some(socket), .. }) if socket.state == "syn-sent" => Purpose::Connect { fd },
        _ if writes => write(process, fd),
        _ => read(process, fd),
    }
}

/// A descriptor through which only the process itself can wake its loop: an
/// eventfd, a pipe or socket pair of which it holds both ends.
fn is_self_wake(process: &Process, fd: i32) -> bool {
    let Some(descriptor) = process.descriptor(fd) else {
        return false;
    };
    match &descriptor.target {
        Target::Anonymous { name } => name == "eventfd",
        Target::Pipe { inode, .. } => process.descriptors.iter().any(|other| {
            other.access.writes() && matches!(&other.target, Target::Pipe { inode: same, .. } if same == inode)
        }),
        Target::Socket { socket: Some(socket), .. } => socket.protocol == "unix" && own_pair(process, socket),
        _ => false,
    }
}

fn own_pair(process: &Process, socket: &crate::facts::Socket) -> bool {
    let Some(peer) = &socket.peer else {
        return false;
    };
    process
        .descriptors
        .iter()
        .any(|other| matches!(&other.target, Target::Socket { inode, .. } if *inode == peer.inode))
}

/// Time limit: of the call, or of the library loop around it, told by its locals.
fn limit(look: &Look, thread: &Thread, inside: &[&Frame]) -> Limit {
    if let Some(limit) = inside.iter().find_map(|frame| limit_of_locals(look, frame)) {
        return limit;
    }
    let bound = match &thread.wait {
        Wait::Futex { bound, .. }
        | Wait::Poll { bound, .. }
        | Wait::Receive { bound, .. }
        | Wait::Sleep { bound }
        | Wait::Signal { bound } => *bound,
        Wait::Running => {
            return Limit::Bounded { left_s: None, total_s: None };
        }
        _ => Bound::Unlimited,
    };
    match bound {
        Bound::Unlimited => Limit::Unlimited,
        Bound::Within(total) => Limit::Bounded { left_s: None, total_s: Some(total) },
        Bound::Unknown => Limit::Bounded { left_s: None, total_s: None },
    }
}

/// `endtime` and `timeout` as the standard library's loops name them, against the monotonic clock.
fn limit_of_locals(look: &Look, frame: &Frame) -> Option<Limit> {
    if is_user_file(&frame.file) {
        return None;
    }
    let number = |name: &str| frame.locals.iter().find(|local| local.name == name)?.value.parse::<f64>().ok();
    let end = number("endtime").or_else(|| number("deadline")).or_else(|| number("end_time"))?;
    let left = end - look.monotonic_s;
    let total_s = number("timeout").or_else(|| number("orig_timeout"));
    (-1.0..1e7).contains(&left).then_some(Limit::Bounded { left_s: Some(left.max(0.0)), total_s })
}
