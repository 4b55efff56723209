//! The few kernel calls for which no safe wrapper is at hand.
//!
//! Everything here is a thin, safe function over one call of libc: signals and
//! signal descriptors, waiting for children, signalling one thread. Policy is
//! elsewhere.
#![allow(unsafe_code, reason = "signal masks, signalfd, waitid and tgkill have no safe wrapper in rustix")]

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// What a wait for a child tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It has ended; still a zombie until reaped.
    Ended,
    /// Stopped by this signal.
    Stopped(i32),
    /// Goes on.
    Continued,
}

/// How a reaped child ended, and what it used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reaped {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) core: bool,
    pub(crate) max_rss_bytes: u64,
    pub(crate) cpu_s: f64,
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Blocks every signal in this thread; threads started later inherit it.
pub(crate) fn block_all_signals() -> io::Result<()> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set that sigprocmask then reads.
    check(unsafe {
        libc::sigfillset(set.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut())
    })
    .map(drop)
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the whole set before it is used.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Blocks these signals in this thread.
pub(crate) fn block_signals(signals: &[i32]) -> io::Result<()> {
    let set = set_of(signals);
    // SAFETY: `set` is initialised and outlives the call.
    check(unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) }).map(drop)
}

/// Lets this one signal through in this thread.
pub(crate) fn unblock_signal(signal: i32) -> io::Result<()> {
    let set = set_of(&[signal]);
    // SAFETY: `set` is initialised and outlives the call.
    check(unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut()) }).map(drop)
}

/// A descriptor from which these (blocked) signals are read; it never blocks.
pub(crate) fn signal_descriptor(signals: &[i32]) -> io::Result<OwnedFd> {
    let set = set_of(signals);
    // SAFETY: `set` is initialised; a non-negative result is a new descriptor that we own.
    unsafe {
        let fd = check(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Next signal waiting in a signal descriptor: number, sender's pid and uid.
pub(crate) fn next_signal(fd: BorrowedFd<'_>) -> io::Result<Option<(i32, i32, u32)>> {
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: the buffer is `size` bytes, and any bytes are a valid signalfd_siginfo.
    let (read, info) = unsafe {
        let read = libc::read(fd.as_raw_fd(), info.as_mut_ptr().cast(), size);
        (read, info.assume_init())
    };
    if read == size as isize {
        return Ok(Some((info.ssi_signo as i32, info.ssi_pid as i32, info.ssi_uid)));
    }
    let error = io::Error::last_os_error();
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
        _ => Err(error),
    }
}

extern "C" fn interrupt_only(_: libc::c_int) {}

/// Installs a handler that does nothing but make a blocking call return EINTR.
pub(crate) fn interrupt_calls_on(signal: i32) -> io::Result<()> {
    // SAFETY: an all-zero sigaction is valid; the handler touches nothing, so it is
    // async-signal-safe; SA_RESTART is left out on purpose.
    check(unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = interrupt_only as *const () as libc::sighandler_t;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut())
    })
    .map(drop)
}

/// Id of the calling thread.
pub(crate) fn thread_id() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Sends a signal to one thread of this process.
pub(crate) fn signal_thread(thread: i32, signal: i32) {
    // SAFETY: tgkill takes three integers. A thread of our own process id at worst no
    // longer exists, which is ESRCH.
    unsafe {
        libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal);
    }
}

/// Looks for a change of one child (`Some`) or of any, without waiting and
/// without reaping: its pid and the change.
///
/// # Errors
/// `ECHILD` when there is no child at all: the proof that a tree is empty.
pub(crate) fn peek_child(child: Option<i32>) -> io::Result<Option<(i32, Change)>> {
    wait_id(child, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)
}

/// Takes a stop or continue of this child, if there is one.
pub(crate) fn take_stop(child: i32) -> io::Result<Option<Change>> {
    let flags = libc::WSTOPPED | libc::WCONTINUED | libc::WNOHANG;
    Ok(wait_id(Some(child), flags)?.map(|(_, change)| change))
}

fn wait_id(child: Option<i32>, flags: libc::c_int) -> io::Result<Option<(i32, Change)>> {
    let (kind, id) = child.map_or((libc::P_ALL, 0), |pid| (libc::P_PID, pid as libc::id_t));
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` is zeroed, hence valid, and lives through the call; with WNOHANG and
    // nothing to tell the kernel leaves si_pid 0.
    let (pid, status, code) = unsafe {
        check(libc::waitid(kind, id, info.as_mut_ptr(), flags))?;
        let info = info.assume_init();
        (info.si_pid(), info.si_status(), info.si_code)
    };
    let change = match code {
        _ if pid == 0 => return Ok(None),
        libc::CLD_STOPPED | libc::CLD_TRAPPED => Change::Stopped(status),
        libc::CLD_CONTINUED => Change::Continued,
        _ => Change::Ended,
    };
    Ok(Some((pid, change)))
}

/// Reaps an ended child; `None` if it has not ended.
pub(crate) fn reap(child: i32) -> io::Result<Option<Reaped>> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both out-pointers are valid for the call; a zeroed rusage is valid.
    let (pid, usage) = unsafe {
        let pid = check(libc::wait4(child, &raw mut status, libc::WNOHANG, usage.as_mut_ptr()))?;
        (pid, usage.assume_init())
    };
    if pid == 0 {
        return Ok(None);
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Ok(Some(Reaped {
        code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
        core: libc::WIFSIGNALED(status) && libc::WCOREDUMP(status),
        max_rss_bytes: usage.ru_maxrss as u64 * 1024,
        cpu_s: seconds(usage.ru_utime) + seconds(usage.ru_stime),
    }))
}

/// Sends a signal to a process group, which must be one of our own making.
pub(crate) fn signal_group(group: i32, signal: i32) -> io::Result<()> {
    debug_assert!(group > 1, "a group of 0 or 1 would be our own or everybody");
    if group <= 1 {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    // SAFETY: kill takes two integers.
    check(unsafe { libc::kill(-group, signal) }).map(drop)
}

/// Takes ownership of a descriptor that was passed through exec by number.
///
/// # Errors
/// `EBADF` when nothing is open there.
pub(crate) fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_SETFD on a number that is not open fails with EBADF; otherwise the
    // descriptor was opened for us by the process that executed us, and nobody else
    // in this process knows of it.
    unsafe {
        check(libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Closes every descriptor from `first` on.
pub(crate) fn close_from(first: u32) {
    // SAFETY: called before this process has opened anything of its own above `first`.
    unsafe {
        libc::syscall(libc::SYS_close_range, first, u32::MAX, 0);
    }
}

/// Makes this standard descriptor lead to nowhere, so that its old file is closed.
pub(crate) fn detach_standard(fd: RawFd) -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    // SAFETY: dup2 onto a standard descriptor replaces what it leads to, atomically;
    // std never owns 0, 1 or 2.
    check(unsafe { libc::dup2(null.as_raw_fd(), fd) }).map(drop)
}

/// Waits for a child that is known to be ending, and reaps it.
pub(crate) fn reap_blocking(child: i32) -> io::Result<()> {
    // SAFETY: a null status pointer is allowed.
    check(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }).map(drop)
}
