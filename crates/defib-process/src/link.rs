//! The socket between supervisor and shim: JSON lines both ways.
//!
//! The shim's end never blocks: a supervisor that is stopped or busy must not hold
//! up the ending of a tree. What it does not take waits in a bounded queue; beyond
//! that, entries are left out and counted, for the journal has them all.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes that may wait for the other side.
const QUEUE: usize = 4 << 20;

/// One end.
#[derive(Debug)]
pub(crate) struct Link {
    socket: OwnedFd,
    received: Vec<u8>,
    closed: bool,
    queue: VecDeque<u8>,
    pub(crate) left_out: u64,
}

impl Link {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, received: Vec::new(), closed: false, queue: VecDeque::new(), left_out: 0 }
    }

    /// Two connected sockets, closed on exec.
    pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
        Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
    }

    /// The other side is gone.
    pub(crate) fn closed(&self) -> bool {
        self.closed
    }

    /// Takes leave: nothing more is sent or received, and the other side sees the end.
    pub(crate) fn close(&mut self) {
        // Also fails if the other side is gone, which is as good.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        self.closed = true;
    }

    /// Something waits to be sent.
    pub(crate) fn pending(&self) -> bool {
        !self.queue.is_empty() && !self.closed
    }

    /// Sends a message, now or when there is room. Never blocks.
    pub(crate) fn send(&mut self, message: &impl Serialize) {
        if self.closed {
            return;
        }
        if self.queue.len() > QUEUE {
            self.left_out += 1;
            return;
        }
        if serde_json::to_writer(&mut self.queue, message).is_ok() {
            self.queue.push_back(b'\n');
        }
        self.flush();
    }

    /// Sends what there is room for.
    pub(crate) fn flush(&mut self) {
        while self.pending() {
            let (first, _) = self.queue.as_slices();
            match send(&self.socket, first, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(sent) => drop(self.queue.drain(..sent)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.closed = true,
            }
        }
    }

    /// Sends everything, waiting at most so long.
    pub(crate) fn flush_within(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        self.flush();
        while self.pending() && Instant::now() < deadline {
            let _ = wait_for(self.socket.as_fd(), PollFlags::OUT, Some(deadline));
            self.flush();
        }
    }

    /// Next message that is there already. Lines that are none are passed over.
    pub(crate) fn receive<T: DeserializeOwned>(&mut self) -> Option<T> {
        loop {
            while let Some(end) = self.received.iter().position(|&byte| byte == b'\n') {
                let message = serde_json::from_slice(&self.received[..end]);
                self.received.drain(..=end);
                if let Ok(message) = message {
                    return Some(message);
                }
            }
            let mut buffer = [0; 16 * 1024];
            match recv(&self.socket, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => self.closed = true,
                Ok((length, _)) => {
                    self.received.extend_from_slice(&buffer[..length]);
                    continue;
                }
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {}
                Err(_) => self.closed = true,
            }
            return None;
        }
    }

    /// Waits for a message until the deadline; `None` without one waits for ever.
    pub(crate) fn receive_until<T: DeserializeOwned>(&mut self, deadline: Option<Instant>) -> Option<T> {
        loop {
            if let Some(message) = self.receive() {
                return Some(message);
            }
            if self.closed || !wait_for(self.socket.as_fd(), PollFlags::IN, deadline) {
                return None;
            }
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Waits until the descriptor is ready; false if the deadline passed first.
pub(crate) fn wait_for(fd: BorrowedFd<'_>, flags: PollFlags, deadline: Option<Instant>) -> bool {
    loop {
        let limit = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let mut polled = [PollFd::new(&fd, flags)];
        match poll(&mut polled, limit.map(timespec).as_ref()) {
            Ok(0) => return false,
            Err(Errno::INTR) => {}
            _ => return true,
        }
    }
}

pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs() as i64, tv_nsec: i64::from(duration.subsec_nanos()) }
}
