//! sd_notify: what the program says about itself.
//!
//! An abstract datagram socket named after the run. Only messages of the same
//! user or root count. A flood is bounded: past a burst, at most ten entries a
//! second; of what comes faster, the latest stage is kept and the rest counted.

use std::io;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use defib_core::event::Event;
use defib_core::run::RunId;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, bind,
    recvmsg, socket_with, sockopt,
};

/// Longest status text that is kept, in bytes.
const LONGEST: usize = 1024;
const BURST: f64 = 20.0;
const PER_SECOND: f64 = 10.0;
/// Datagrams read in one go, so that a flood cannot hold up the main loop.
const AT_ONCE: usize = 64;

/// The socket and what has been heard.
#[derive(Debug)]
pub(crate) struct Notify {
    socket: OwnedFd,
    address: String,
    tokens: f64,
    filled: Instant,
    /// The latest stage, held back by the limit.
    held: Option<Event>,
    left_out: u64,
}

impl Notify {
    /// Opens the socket of this run.
    ///
    /// # Errors
    /// Those of making and binding a socket.
    pub(crate) fn open(run: &RunId) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        sockopt::set_socket_passcred(&socket, true)?;
        // With our pid: a run that is started again has the same id.
        let name = format!("defib/{run}/{}", std::process::id());
        bind(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
        let (tokens, filled) = (BURST, Instant::now());
        Ok(Self { socket, address: format!("@{name}"), tokens, filled, held: None, left_out: 0 })
    }

    /// Value of NOTIFY_SOCKET.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// When to call [`Notify::receive`] even if nothing arrives.
    pub(crate) fn due(&self) -> Option<Instant> {
        (self.held.is_some() || self.left_out > 0).then(|| self.filled + Duration::from_secs_f64(1.0 / PER_SECOND))
    }

    /// What has been said, as events.
    pub(crate) fn receive(&mut self) -> Vec<Event> {
        let now = Instant::now();
        let earned = now.duration_since(self.filled).as_secs_f64() * PER_SECOND;
        if earned >= 1.0 {
            self.tokens = (self.tokens + earned).min(BURST);
            self.filled = now;
        }
        let mut events = Vec::new();
        if self.tokens >= 1.0
            && let Some(held) = self.held.take()
        {
            self.admit(held, &mut events);
        }
        for _ in 0..AT_ONCE {
            let Some(message) = receive_one(self.socket.as_fd()) else {
                break;
            };
            for event in parse(&message) {
                self.admit(event, &mut events);
            }
        }
        if self.left_out > 0 && self.held.is_none() && self.tokens >= 1.0 {
            self.tokens -= 1.0;
            let count = std::mem::take(&mut self.left_out);
            let text = format!("{count} messages to NOTIFY_SOCKET came too fast and are left out");
            events.push(Event::Trouble { text });
        }
        events
    }

    fn admit(&mut self, event: Event, events: &mut Vec<Event>) {
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            events.push(event);
            return;
        }
        if matches!(event, Event::Stage { .. }) {
            self.left_out += u64::from(self.held.is_some());
            self.held = Some(event);
        } else {
            self.left_out += 1;
        }
    }
}

impl AsFd for Notify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Next datagram; empty if it is a stranger's.
fn receive_one(socket: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let mut buffer = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1), ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let received = recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC).ok()?;
    let ours = rustix::process::getuid();
    let known = control.drain().any(|message| match message {
        RecvAncillaryMessage::ScmCredentials(from) => from.uid == ours || from.uid.is_root(),
        _ => false,
    });
    Some(if known { buffer[..received.bytes].to_vec() } else { Vec::new() })
}

/// The events of one datagram; what is malformed or not for us is passed over.
fn parse(message: &[u8]) -> Vec<Event> {
    let lines = message.split(|&byte| byte == b'\n');
    lines
        .filter_map(|line| {
            let line = String::from_utf8_lossy(line);
            let (name, value) = line.split_once('=')?;
            match (name, value.trim()) {
                ("READY", "1") => Some(Event::Stage { name: "ready".into() }),
                ("STOPPING", "1") => Some(Event::Stage { name: "stopping".into() }),
                ("WATCHDOG", "1") => Some(Event::Heartbeat),
                ("STATUS", text) if !text.is_empty() => {
                    let fits = |(at, letter): &(usize, char)| at + letter.len_utf8() <= LONGEST;
                    let name = text.char_indices().take_while(fits).map(|(_, letter)| letter);
                    Some(Event::Stage { name: name.collect() })
                }
                _ => None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_messages_and_nonsense() {
        let stage = |name: &str| Event::Stage { name: name.into() };
        let heard = parse(b"READY=1\nSTATUS=loading \xff\nnonsense\n=\nREADY=yes\nWATCHDOG=1\nSTATUS=");
        assert_eq!(heard, [stage("ready"), stage("loading \u{fffd}"), Event::Heartbeat]);
        assert_eq!(parse(&[b"STATUS=".as_slice(), &[b'x'; 3000]].concat()), [stage(&"x".repeat(1024))]);
    }

    #[test]
    fn a_flood_is_bounded_and_counted() {
        let mut notify = Notify::open(&RunId::from_entropy(99)).unwrap();
        let mut events = Vec::new();
        for number in 0..500 {
            notify.admit(Event::Stage { name: number.to_string() }, &mut events);
        }
        assert_eq!(events.len(), BURST as usize);
        assert_eq!(notify.held, Some(Event::Stage { name: "499".into() }));
        assert_eq!(notify.left_out, 500 - 1 - BURST as u64);
        assert!(notify.due().is_some());
    }
}
