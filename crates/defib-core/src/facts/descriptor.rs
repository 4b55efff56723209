//! Open descriptors and what is at their other end.

use serde::{Deserialize, Serialize};

/// How a descriptor was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// For reading only.
    Read,
    /// For writing only.
    Write,
    /// For both.
    Both,
}

impl Access {
    /// True where bytes can be read through it.
    #[must_use]
    pub fn reads(self) -> bool {
        self != Self::Write
    }

    /// True where bytes can be written through it.
    #[must_use]
    pub fn writes(self) -> bool {
        self != Self::Read
    }
}

/// One open descriptor of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Its number.
    pub fd: i32,
    /// How it was opened.
    pub access: Access,
    /// What it refers to.
    pub target: Target,
}

/// What a descriptor refers to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Target {
    /// A pipe or FIFO.
    Pipe {
        /// Inode: the same for both ends and for every holder.
        inode: u64,
        /// Path of a FIFO.
        path: Option<String>,
        /// Bytes waiting to be read (`FIONREAD`), where it could be asked.
        queued: Option<u64>,
        /// Size of the buffer in bytes (`F_GETPIPE_SZ`), where it could be asked.
        capacity: Option<u64>,
    },
    /// A socket.
    Socket {
        /// Inode.
        inode: u64,
        /// State and peer, where they could be read.
        socket: Option<Socket>,
    },
    /// A terminal (`/dev/pts/N`, `/dev/ttyN`).
    Terminal {
        /// Path.
        path: String,
    },
    /// A regular file or folder.
    File {
        /// Path, as the kernel shows it (" (deleted)" removed).
        path: String,
        /// Current offset in bytes.
        position: u64,
        /// The file has been unlinked.
        deleted: bool,
    },
    /// A device node that is neither terminal nor null.
    Device {
        /// Path, for example `/dev/nvidia0` or `/dev/video0`.
        path: String,
    },
    /// `/dev/null`.
    Null,
    /// An epoll descriptor with the descriptors it watches.
    Epoll {
        /// Watched descriptor numbers.
        watched: Vec<i32>,
    },
    /// Another kernel object: `eventfd`, `inotify`, `timerfd`, `signalfd`, `pidfd`, …
    Anonymous {
        /// Its name without `anon_inode:` and brackets.
        name: String,
    },
    /// The link could not be understood.
    Other {
        /// The link's text.
        link: String,
    },
}

/// A socket's state, from sock_diag or /proc/net.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Socket {
    /// `tcp`, `udp`, `unix`, `netlink`, …
    pub protocol: String,
    /// Kernel state in lower case: `established`, `listen`, `syn-sent`, `close-wait`, …
    pub state: String,
    /// Local address, `host:port` or path.
    pub local: String,
    /// Remote address; `None` where there is none.
    pub remote: Option<String>,
    /// Bytes received and not yet read; for a listening socket, connections not yet accepted.
    pub receive_queue: u64,
    /// Bytes sent and not yet acknowledged.
    pub send_queue: u64,
    /// Payload bytes received so far (TCP only).
    pub bytes_received: Option<u64>,
    /// Payload bytes sent and acknowledged so far (TCP only).
    pub bytes_acked: Option<u64>,
    /// Milliseconds since data last arrived (TCP only).
    pub last_received_ms: Option<u64>,
    /// The socket at the other end, where it is on this machine.
    pub peer: Option<Peer>,
}

/// Who holds the other end of a local socket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Peer {
    /// Inode of the other socket.
    pub inode: u64,
    /// Processes that hold it; empty where they could not be read.
    pub pids: Vec<i32>,
}
