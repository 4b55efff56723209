//! Signals to the supervisor, with who sent them.
//!
//! The signals are blocked and read from a descriptor, so the receiver can be
//! polled together with everything else, and the sender is known.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use defib_core::event::Sender;

use crate::process::command_of;
use crate::sys;

/// A signal that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its number.
    pub signal: i32,
    /// Who sent it; pid 0 is the kernel, as for Ctrl+C at a terminal.
    pub sender: Sender,
}

/// Receives signals; call [`Signals::block`] before other threads start, so that
/// they inherit the mask.
#[derive(Debug)]
pub struct Signals {
    descriptor: OwnedFd,
}

impl Signals {
    /// Blocks these signals in this thread and receives them from now on. They
    /// stay blocked when the receiver is dropped.
    ///
    /// # Errors
    /// Those of `pthread_sigmask(3)` and `signalfd(2)`.
    pub fn block(signals: &[i32]) -> io::Result<Self> {
        sys::block_signals(signals)?;
        Ok(Self { descriptor: sys::signal_descriptor(signals)? })
    }

    /// Next signal that has arrived, without waiting. Poll the descriptor to wait.
    ///
    /// # Errors
    /// Those of reading a signal descriptor.
    pub fn next_signal(&self) -> io::Result<Option<Received>> {
        let next = sys::next_signal(self.descriptor.as_fd())?;
        Ok(next.map(|(signal, pid, uid)| Received { signal, sender: sender(pid, uid) }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Who sent a signal, with the command where it can still be read.
pub(crate) fn sender(pid: i32, uid: u32) -> Sender {
    let command = (pid > 0).then(|| command_of(pid)).flatten();
    Sender { pid, uid, command }
}
