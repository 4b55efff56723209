//! What a thread waits for, decoded from its system call.
//!
//! `/proc/PID/task/TID/syscall` gives the number and the arguments of the call
//! a blocked thread is in. Numbers are the kernel's promise, `wchan` names are
//! not, so only the number decides; `wchan` is asked in one case, a resumed
//! call (`restart_syscall`), which carries another call's arguments.
//! Time limits, poll sets and mutex owners lie in the thread's own memory and
//! are copied from there; where that is refused the bound is unknown.
//!
//! The decoder is a pure function of the call and of [`Surroundings`], which
//! answers what else it needs to know.

use defib_core::facts::{Bound, PollDescriptor, ProcessState, Wait};

use crate::calls;
use crate::parse::Call;

/// Most entries of a poll set that are read.
const MOST_POLLED: u64 = 1024;

/// What the decoder may ask about the waiting process.
pub(crate) trait Surroundings {
    /// Copies memory of the process; false where it cannot be had in full.
    fn read(&self, address: u64, buffer: &mut [u8]) -> bool;
    /// The descriptor is a socket.
    fn is_socket(&self, fd: i32) -> bool;
    /// What an epoll descriptor watches, with event masks.
    fn watched(&self, epoll: i32) -> Vec<(i32, u32)>;
    /// The id, as seen from here, of a live thread that calls itself `tid`.
    fn thread(&self, tid: u32) -> Option<i32>;
    /// The process that holds a lock of the file behind this descriptor.
    fn lock_owner(&self, fd: i32) -> Option<i32>;
    /// A clock of the kernel in seconds.
    fn now(&self, clock: i32) -> f64;
    /// Kernel function the thread sleeps in.
    fn wchan(&self) -> Option<&str>;
}

/// Decodes a wait from the scheduler state and the system call (`None` where
/// the call could not be read).
pub(crate) fn decode(state: ProcessState, call: Option<Call>, around: &dyn Surroundings) -> Wait {
    match state {
        ProcessState::Stopped => return Wait::Stopped,
        ProcessState::Traced => return Wait::Traced,
        ProcessState::Zombie | ProcessState::Dead => return Wait::Dead,
        ProcessState::DiskSleep => {
            let call = match call {
                Some(Call::In { number, .. }) => Some(calls::name(number)),
                _ => None,
            };
            return Wait::Uninterruptible { call };
        }
        ProcessState::Running => return Wait::Running,
        ProcessState::Sleeping | ProcessState::Other => {}
    }
    match call {
        None => Wait::Unreadable,
        Some(Call::Running) => Wait::Running,
        Some(Call::None) => Wait::Other { call: "page-fault".to_owned() },
        Some(Call::In { number, arguments }) => decode_call(number, &arguments, around),
    }
}

fn decode_call(number: i64, a: &[u64; 6], around: &dyn Surroundings) -> Wait {
    let fd = a[0] as i32;
    match number {
        libc::SYS_futex => futex(a, around),
        calls::FUTEX_WAITV => futex_waitv(a, around),
        libc::SYS_read | libc::SYS_readv | libc::SYS_pread64 | libc::SYS_preadv | libc::SYS_preadv2 => {
            if around.is_socket(fd) { Wait::Receive { fd, bound: Bound::Unlimited } } else { Wait::Read { fd } }
        }
        libc::SYS_write | libc::SYS_writev | libc::SYS_pwrite64 | libc::SYS_pwritev | libc::SYS_pwritev2 => {
            if around.is_socket(fd) { Wait::Send { fd } } else { Wait::Write { fd } }
        }
        libc::SYS_recvfrom | libc::SYS_recvmsg => Wait::Receive { fd, bound: Bound::Unlimited },
        libc::SYS_recvmmsg => Wait::Receive { fd, bound: timespec(a[4], None, around) },
        libc::SYS_sendto | libc::SYS_sendmsg | libc::SYS_sendmmsg => Wait::Send { fd },
        libc::SYS_accept | libc::SYS_accept4 => Wait::Accept { fd },
        libc::SYS_connect => Wait::Connect { fd },
        libc::SYS_wait4 | libc::SYS_waitid => Wait::Child { pid: awaited_child(number, a) },
        libc::SYS_nanosleep => Wait::Sleep { bound: timespec(a[0], None, around) },
        libc::SYS_clock_nanosleep => {
            let absolute = (a[1] as i32 & libc::TIMER_ABSTIME != 0).then_some(a[0] as i32);
            Wait::Sleep { bound: timespec(a[2], absolute, around) }
        }
        libc::SYS_rt_sigsuspend => Wait::Signal { bound: Bound::Unlimited },
        libc::SYS_rt_sigtimedwait => Wait::Signal { bound: timespec(a[2], None, around) },
        libc::SYS_flock => Wait::FileLock { fd, owner: around.lock_owner(fd) },
        libc::SYS_fcntl if matches!(a[1] as i32, libc::F_SETLKW | libc::F_OFD_SETLKW) => {
            Wait::FileLock { fd, owner: around.lock_owner(fd) }
        }
        libc::SYS_ioctl => Wait::Ioctl { fd, request: a[1] },
        libc::SYS_restart_syscall => restarted(a, around),
        _ => poll_family(number, a, around).unwrap_or_else(|| Wait::Other { call: calls::name(number) }),
    }
}

fn poll_family(number: i64, a: &[u64; 6], around: &dyn Surroundings) -> Option<Wait> {
    let epoll = a[0] as i32;
    Some(match number {
        libc::SYS_ppoll => poll(a, timespec(a[2], None, around), around),
        libc::SYS_pselect6 => select(a, timespec(a[4], None, around), around),
        libc::SYS_epoll_pwait => epoll_wait(epoll, milliseconds(a[3]), around),
        calls::EPOLL_PWAIT2 => epoll_wait(epoll, timespec(a[3], None, around), around),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll => poll(a, milliseconds(a[2]), around),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_select => select(a, timeval(a[4], around), around),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait => epoll_wait(epoll, milliseconds(a[3]), around),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_pause => Wait::Signal { bound: Bound::Unlimited },
        _ => return None,
    })
}

/// The child of `wait4(pid)` or `waitid(P_PID, pid)`; a pidfd is not followed.
fn awaited_child(number: i64, a: &[u64; 6]) -> Option<i32> {
    let pid = if number == libc::SYS_wait4 {
        a[0] as i32
    } else if a[0] == u64::from(libc::P_PID) {
        a[1] as i32
    } else {
        -1
    };
    (pid > 0).then_some(pid)
}

/// A call that a signal (often SIGSTOP and SIGCONT) interrupted and the kernel
/// resumed. Only calls with a time limit are resumed this way; the arguments
/// are still those of the first call.
fn restarted(a: &[u64; 6], around: &dyn Surroundings) -> Wait {
    let wchan = around.wchan().unwrap_or_default();
    if wchan.contains("futex") {
        return futex(a, around);
    }
    #[cfg(target_arch = "x86_64")]
    if wchan.contains("poll") {
        return poll(a, milliseconds(a[2]), around);
    }
    if wchan.contains("poll") {
        return Wait::Poll { descriptors: poll_set(a, around), bound: Bound::Unknown, epoll: None };
    }
    Wait::Sleep { bound: Bound::Unknown }
}

// ---- time limits -------------------------------------------------------

fn seconds(whole: i64, fraction: f64) -> Bound {
    Bound::Within((whole as f64 + fraction).max(0.0))
}

/// The limit at a `timespec` pointer. `absolute` names the clock of a deadline,
/// which is then told in seconds from now.
fn timespec(pointer: u64, absolute: Option<i32>, around: &dyn Surroundings) -> Bound {
    let (whole, nanoseconds) = match pair(pointer, around) {
        Ok(pair) => pair,
        Err(bound) => return bound,
    };
    match (absolute, seconds(whole, nanoseconds as f64 / 1e9)) {
        (Some(clock), Bound::Within(deadline)) => Bound::Within((deadline - around.now(clock)).max(0.0)),
        (_, bound) => bound,
    }
}

#[cfg(target_arch = "x86_64")]
fn timeval(pointer: u64, around: &dyn Surroundings) -> Bound {
    match pair(pointer, around) {
        Ok((whole, microseconds)) => seconds(whole, microseconds as f64 / 1e6),
        Err(bound) => bound,
    }
}

fn pair(pointer: u64, around: &dyn Surroundings) -> Result<(i64, i64), Bound> {
    if pointer == 0 {
        return Err(Bound::Unlimited);
    }
    let mut bytes = [0; 16];
    if !around.read(pointer, &mut bytes) {
        return Err(Bound::Unknown);
    }
    let mut halves = bytes.chunks_exact(8).map(word64);
    Ok((halves.next().unwrap_or(0) as i64, halves.next().unwrap_or(0) as i64))
}

fn milliseconds(argument: u64) -> Bound {
    match argument as i32 {
        limit if limit < 0 => Bound::Unlimited,
        limit => Bound::Within(f64::from(limit) / 1e3),
    }
}

fn word64(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

fn word32(around: &dyn Surroundings, address: u64) -> Option<u32> {
    let mut bytes = [0; 4];
    around.read(address, &mut bytes).then(|| u32::from_le_bytes(bytes))
}

// ---- futexes -----------------------------------------------------------

fn futex(a: &[u64; 6], around: &dyn Surroundings) -> Wait {
    let (address, operation, timeout) = (a[0], a[1] as i32, a[3]);
    let command = operation & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
    let clock = match command {
        libc::FUTEX_WAIT => None,
        libc::FUTEX_LOCK_PI => Some(libc::CLOCK_REALTIME),
        _ if operation & libc::FUTEX_CLOCK_REALTIME != 0 => Some(libc::CLOCK_REALTIME),
        _ => Some(libc::CLOCK_MONOTONIC),
    };
    // A wake blocks on nothing, and its fourth argument is no pointer.
    let waits = matches!(
        command,
        libc::FUTEX_WAIT
            | libc::FUTEX_WAIT_BITSET
            | libc::FUTEX_LOCK_PI
            | libc::FUTEX_WAIT_REQUEUE_PI
            | libc::FUTEX_LOCK_PI2
    );
    if !waits {
        return Wait::Other { call: "futex".to_owned() };
    }
    Wait::Futex {
        address,
        shared: operation & libc::FUTEX_PRIVATE_FLAG == 0,
        bound: timespec(timeout, clock, around),
        owner: owner(address, command, a[2] as u32, around),
    }
}

/// The thread that holds the lock, where the word records it:
/// - priority-inheritance futexes hold its id in the word;
/// - a thread join waits on the word in which the kernel clears that id;
/// - a contended glibc mutex waits for the value 2 of `{lock, count, owner}`.
///   Conditions, semaphores and Python's own locks never wait that way.
fn owner(address: u64, command: i32, expected: u32, around: &dyn Surroundings) -> Option<i32> {
    let word = word32(around, address)?;
    match command {
        libc::FUTEX_LOCK_PI | libc::FUTEX_LOCK_PI2 => around.thread(word & libc::FUTEX_TID_MASK),
        libc::FUTEX_WAIT if expected == 2 && word == 2 => around.thread(word32(around, address.checked_add(8)?)?),
        _ if expected > 2 && word == expected => around.thread(word),
        _ => None,
    }
}

/// `futex_waitv(waiters, count, flags, timeout, clock)`: several words at once;
/// the first is told.
fn futex_waitv(a: &[u64; 6], around: &dyn Surroundings) -> Wait {
    let mut waiter = [0; 24];
    let known = around.read(a[0], &mut waiter);
    let flags = if known { word64(&waiter[16..20]) as i32 } else { 0 };
    Wait::Futex {
        address: if known { word64(&waiter[8..16]) } else { 0 },
        shared: flags & libc::FUTEX_PRIVATE_FLAG == 0,
        bound: timespec(a[3], Some(a[4] as i32), around),
        owner: None,
    }
}

// ---- poll sets ---------------------------------------------------------

/// A poll on nothing is a sleep: Python's `time.sleep` before 3.11 is `select`.
fn poll_or_sleep(descriptors: Vec<PollDescriptor>, nothing: bool, bound: Bound) -> Wait {
    if nothing { Wait::Sleep { bound } } else { Wait::Poll { descriptors, bound, epoll: None } }
}

fn poll(a: &[u64; 6], bound: Bound, around: &dyn Surroundings) -> Wait {
    poll_or_sleep(poll_set(a, around), a[1] == 0, bound)
}

fn poll_set(a: &[u64; 6], around: &dyn Surroundings) -> Vec<PollDescriptor> {
    let mut bytes = vec![0; (a[1].min(MOST_POLLED) * 8) as usize];
    if !around.read(a[0], &mut bytes) {
        return Vec::new();
    }
    let entry = |entry: &[u8]| {
        let fd = word64(&entry[..4]) as u32 as i32;
        (fd >= 0).then(|| polled(fd, word64(&entry[4..6]) as u32))
    };
    bytes.chunks_exact(8).filter_map(entry).collect()
}

/// `poll` and `epoll` share these bits.
fn polled(fd: i32, events: u32) -> PollDescriptor {
    const READ: i16 = libc::POLLIN | libc::POLLPRI | libc::POLLRDNORM | libc::POLLRDBAND;
    const WRITE: i16 = libc::POLLOUT | libc::POLLWRNORM;
    PollDescriptor { fd, read: events & READ as u32 != 0, write: events & WRITE as u32 != 0 }
}

fn select(a: &[u64; 6], bound: Bound, around: &dyn Surroundings) -> Wait {
    let count = a[0].min(MOST_POLLED) as usize;
    let set = |pointer: u64| {
        let mut bits = vec![0; count.div_ceil(64) * 8];
        if pointer == 0 || !around.read(pointer, &mut bits) {
            bits.fill(0);
        }
        bits
    };
    let (read, write, special) = (set(a[1]), set(a[2]), set(a[3]));
    let has = |bits: &[u8], fd: usize| bits[fd / 8] >> (fd % 8) & 1 == 1;
    let descriptors = (0..count)
        .map(|fd| PollDescriptor { fd: fd as i32, read: has(&read, fd) || has(&special, fd), write: has(&write, fd) })
        .filter(|polled| polled.read || polled.write)
        .collect();
    poll_or_sleep(descriptors, count == 0 || a[1..4] == [0; 3], bound)
}

fn epoll_wait(epoll: i32, bound: Bound, around: &dyn Surroundings) -> Wait {
    let watched = around.watched(epoll).into_iter();
    Wait::Poll { descriptors: watched.map(|(fd, events)| polled(fd, events)).collect(), bound, epoll: Some(epoll) }
}

#[cfg(test)]
#[path = "wait_tests.rs"]
mod tests;
