//! What one thread waits for, as read from its system call.

use serde::{Deserialize, Serialize};

/// Whether a wait ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The call has no time limit: only somebody else can end it.
    Unlimited,
    /// The call was made with this limit, in seconds from the start of the
    /// call (not from the time of the look).
    Within(f64),
    /// There is or may be a limit and it could not be read.
    Unknown,
}

impl Bound {
    /// True where only somebody else can end the wait.
    #[must_use]
    pub fn is_unlimited(self) -> bool {
        matches!(self, Self::Unlimited)
    }
}

/// One descriptor in a `poll`, `select` or `epoll` set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollDescriptor {
    /// Descriptor number in the waiting process.
    pub fd: i32,
    /// Waits until it can be read (or accepted from, or reaches end of file).
    pub read: bool,
    /// Waits until it can be written (or is connected).
    pub write: bool,
}

/// What a thread does at the moment of a look.
///
/// Decoded from `/proc/PID/task/TID/syscall` and `stat` (system call numbers
/// and arguments, never `wchan` names, which differ between kernels).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Wait {
    /// On a CPU, ready to run, or in user space between two calls.
    Running,
    /// `futex` wait: a lock, condition, semaphore or thread join.
    Futex {
        /// Address of the futex word in the waiting process.
        address: u64,
        /// Shared between processes (no `FUTEX_PRIVATE_FLAG`).
        shared: bool,
        /// Time limit.
        bound: Bound,
        /// Thread id of the owner, where the word is a lock that records it
        /// (a pthread mutex or a priority-inheritance futex).
        owner: Option<i32>,
    },
    /// Blocking `read` and relatives on a descriptor that is not a socket.
    Read {
        /// Descriptor number.
        fd: i32,
    },
    /// Blocking `write` and relatives on a descriptor that is not a socket.
    Write {
        /// Descriptor number.
        fd: i32,
    },
    /// `poll`, `select`, `epoll_wait` and relatives.
    Poll {
        /// What is waited for; empty where the set could not be read.
        descriptors: Vec<PollDescriptor>,
        /// Time limit.
        bound: Bound,
        /// Through an epoll descriptor (event loops), with its number.
        epoll: Option<i32>,
    },
    /// `accept` on a listening socket.
    Accept {
        /// Descriptor number.
        fd: i32,
    },
    /// `connect` that has not finished.
    Connect {
        /// Descriptor number.
        fd: i32,
    },
    /// `recv` and relatives, or `read` on a socket.
    Receive {
        /// Descriptor number.
        fd: i32,
        /// Time limit (SO_RCVTIMEO is not visible from outside: `Unlimited`
        /// means that none was passed in the call).
        bound: Bound,
    },
    /// `send` and relatives, or `write` on a socket.
    Send {
        /// Descriptor number.
        fd: i32,
    },
    /// `wait4` or `waitid`.
    Child {
        /// The child waited for; `None` for any child.
        pid: Option<i32>,
    },
    /// `nanosleep` or `clock_nanosleep`.
    Sleep {
        /// Length of the sleep.
        bound: Bound,
    },
    /// `pause`, `sigsuspend`, `sigtimedwait`: waits for a signal.
    Signal {
        /// Time limit.
        bound: Bound,
    },
    /// `flock` or `fcntl(F_SETLKW)`: waits for a file lock.
    FileLock {
        /// Descriptor number.
        fd: i32,
        /// Process that took the lock, as `/proc/locks` names it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<i32>,
    },
    /// `ioctl` that blocks, as GPU and camera drivers do.
    Ioctl {
        /// Descriptor number.
        fd: i32,
        /// Request number.
        request: u64,
    },
    /// Uninterruptible sleep (state D): disk, network file system, driver.
    Uninterruptible {
        /// System call name or number as text, where readable.
        call: Option<String>,
    },
    /// Stopped by a signal (state T).
    Stopped,
    /// Stopped by a tracer (state t).
    Traced,
    /// The thread has ended (state Z or X).
    Dead,
    /// Any other blocking call.
    Other {
        /// System call name where known, else its number.
        call: String,
    },
    /// The wait could not be read.
    Unreadable,
}
