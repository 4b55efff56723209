//! sock_diag: the kernel's own table of sockets, asked through netlink.
//!
//! Two fixed requests and two flat replies are all that is needed, so the
//! messages are built and read here by offset instead of through a netlink
//! crate. Replies are untrusted bytes: every access is checked. The table is
//! that of this process's own network namespace.

use std::io;
use std::os::fd::OwnedFd;

use crate::sys;

const DUMP_BY_FAMILY: u16 = 20;
const DONE: u16 = 3;
const ERROR: u16 = 2;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const REQUEST_DUMP: u16 = 0x301;
const HEADER: usize = 16;

/// One internet socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct InternetSocket {
    pub(crate) inode: u64,
    pub(crate) state: u8,
    pub(crate) local: (Address, u16),
    pub(crate) remote: (Address, u16),
    pub(crate) receive_queue: u64,
    pub(crate) send_queue: u64,
    /// TCP counters; `None` for UDP, for listening sockets and from the text tables.
    pub(crate) traffic: Option<Traffic>,
}

/// An address of either family; IPv4 in its IPv6 form is kept as IPv4, so that
/// both ends of a connection compare equal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Address(pub(crate) [u8; 16]);

impl Address {
    pub(crate) fn v4(bytes: [u8; 4]) -> Self {
        Self(std::net::Ipv4Addr::from(bytes).to_ipv6_mapped().octets())
    }

    pub(crate) fn show(self, port: u16) -> String {
        let address = std::net::Ipv6Addr::from(self.0);
        match address.to_ipv4_mapped() {
            Some(v4) => format!("{v4}:{port}"),
            None => format!("[{address}]:{port}"),
        }
    }

    pub(crate) fn is_unspecified(self) -> bool {
        let address = std::net::Ipv6Addr::from(self.0);
        address.is_unspecified() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_unspecified())
    }
}

/// Counters of a TCP connection (`tcp_info`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) received: u64,
    pub(crate) acked: u64,
    pub(crate) last_received_ms: u64,
}

/// One unix socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UnixSocket {
    pub(crate) inode: u64,
    pub(crate) state: u8,
    pub(crate) path: String,
    pub(crate) peer: Option<u64>,
    pub(crate) receive_queue: u64,
    pub(crate) send_queue: u64,
}

/// All sockets of a protocol, IPv4 and IPv6.
pub(crate) fn internet(protocol: i32) -> io::Result<Vec<InternetSocket>> {
    let mut found = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        let mut body = vec![0; 56];
        body[0] = family as u8;
        body[1] = protocol as u8;
        // Ask for tcp_info.
        body[2] = 1 << 1;
        body[4..8].fill(0xff);
        match dump(&body, |message| found.extend(internet_message(message))) {
            // A kernel without IPv6, or without this protocol's table.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            other => other?,
        }
    }
    Ok(found)
}

/// All unix sockets.
pub(crate) fn unix() -> io::Result<Vec<UnixSocket>> {
    let mut body = vec![0; 24];
    body[0] = libc::AF_UNIX as u8;
    body[4..8].fill(0xff);
    // Name, peer and queue lengths.
    body[12..16].copy_from_slice(&(0x01u32 | 0x04 | 0x10).to_ne_bytes());
    let mut found = Vec::new();
    dump(&body, |message| found.extend(unix_message(message)))?;
    Ok(found)
}

fn dump(body: &[u8], mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let socket: OwnedFd = sys::socket_diagnosis()?;
    let length = u32::try_from(HEADER + body.len()).unwrap_or(0);
    let mut request = Vec::with_capacity(length as usize);
    request.extend_from_slice(&length.to_ne_bytes());
    request.extend_from_slice(&DUMP_BY_FAMILY.to_ne_bytes());
    request.extend_from_slice(&REQUEST_DUMP.to_ne_bytes());
    request.extend_from_slice(&[0; 8]);
    request.extend_from_slice(body);
    sys::send(&socket, &request)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = sys::receive(&socket, &mut buffer)?;
        if count == 0 || !messages(&buffer[..count], &mut each)? {
            return Ok(());
        }
    }
}

/// Walks the messages of one datagram. False after the last of a dump.
fn messages(mut bytes: &[u8], each: &mut impl FnMut(&[u8])) -> io::Result<bool> {
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let Some(body) = bytes.get(HEADER..length as usize) else {
            break;
        };
        match kind {
            DONE => return Ok(false),
            ERROR => {
                let code = u32_at(body, 0).unwrap_or(0) as i32;
                return Err(io::Error::from_raw_os_error(code.saturating_neg()));
            }
            _ => each(body),
        }
        let next = (length as usize).next_multiple_of(4);
        bytes = bytes.get(next..).unwrap_or_default();
    }
    Ok(true)
}

/// Reads the messages of a datagram as both kinds of socket, as the fuzz target does.
#[cfg(test)]
pub(crate) fn each_socket(bytes: &[u8], each: &mut impl FnMut(&[u8])) -> io::Result<bool> {
    messages(bytes, &mut |body: &[u8]| {
        each(body);
        if let Some(socket) = internet_message(body) {
            assert!(socket.state != LISTEN || socket.send_queue == 0 && socket.traffic.is_none());
        }
        if let Some(socket) = unix_message(body) {
            assert!(socket.peer != Some(0) && socket.path.len() <= body.len() * 3);
        }
    })
}

fn attributes(mut bytes: &[u8], mut each: impl FnMut(u16, &[u8])) {
    while let (Some(length), Some(kind)) = (u16_at(bytes, 0), u16_at(bytes, 2)) {
        let Some(value) = bytes.get(4..usize::from(length)) else {
            break;
        };
        each(kind, value);
        bytes = bytes.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
    }
}

fn internet_message(message: &[u8]) -> Option<InternetSocket> {
    let v6 = i32::from(*message.first()?) == libc::AF_INET6;
    let address = |at: usize| {
        let bytes = message.get(at..at + 16)?;
        Some(if v6 { Address(bytes.try_into().ok()?) } else { Address::v4(bytes[..4].try_into().ok()?) })
    };
    let port = |at: usize| Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?));
    let mut socket = InternetSocket {
        state: *message.get(1)?,
        local: (address(8)?, port(4)?),
        remote: (address(24)?, port(6)?),
        receive_queue: u32_at(message, 56)?.into(),
        send_queue: u32_at(message, 60)?.into(),
        inode: u32_at(message, 68)?.into(),
        traffic: None,
    };
    let listening = socket.state == LISTEN;
    attributes(message.get(72..)?, |kind, info| {
        if kind == 2 && !listening {
            socket.traffic = traffic(info);
        }
    });
    if listening {
        // For a listening socket the kernel puts the backlog's limit here.
        socket.send_queue = 0;
    }
    Some(socket)
}

fn traffic(info: &[u8]) -> Option<Traffic> {
    // A received FIN counts as a byte; these states come after one. (The SYN of
    // a connecting side likewise stays in `acked`: one byte, once.)
    let finished = matches!(info.first()?, 6 | 8 | 9 | 11);
    Some(Traffic {
        acked: u64_at(info, 120)?,
        received: u64_at(info, 128)?.saturating_sub(finished.into()),
        last_received_ms: u32_at(info, 52)?.into(),
    })
}

fn unix_message(message: &[u8]) -> Option<UnixSocket> {
    let mut socket = UnixSocket { state: *message.get(2)?, inode: u32_at(message, 4)?.into(), ..UnixSocket::default() };
    attributes(message.get(16..)?, |kind, value| match kind {
        0 => socket.path = unix_name(value),
        2 => socket.peer = u32_at(value, 0).map(u64::from).filter(|inode| *inode != 0),
        4 => {
            socket.receive_queue = u32_at(value, 0).unwrap_or(0).into();
            socket.send_queue = u32_at(value, 4).unwrap_or(0).into();
        }
        _ => {}
    });
    if socket.state == LISTEN {
        socket.send_queue = 0;
    }
    Some(socket)
}

/// Abstract names start with a zero byte, shown as `@` like everywhere else.
fn unix_name(value: &[u8]) -> String {
    let value = value.strip_suffix(b"\0").unwrap_or(value);
    String::from_utf8_lossy(value).replace('\0', "@")
}

const LISTEN: u8 = 10;

/// The kernel's word for a TCP state number (unix and UDP sockets use them too).
pub(crate) fn state_name(state: u8) -> &'static str {
    match state {
        1 => "established",
        2 => "syn-sent",
        3 | 12 => "syn-received",
        4 => "fin-wait-1",
        5 => "fin-wait-2",
        6 => "time-wait",
        7 => "close",
        8 => "close-wait",
        9 => "last-ack",
        LISTEN => "listen",
        11 => "closing",
        _ => "unknown",
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// Parses `/proc/PID/net/tcp` and relatives: what remains where netlink is
/// refused or the process lives in another network namespace.
pub(crate) fn text_table(text: &[u8]) -> Vec<InternetSocket> {
    let Ok(text) = std::str::from_utf8(text) else {
        return Vec::new();
    };
    text.lines().skip(1).filter_map(text_line).collect()
}

fn text_line(line: &str) -> Option<InternetSocket> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (send, receive) = words.get(4)?.split_once(':')?;
    let state = u8::from_str_radix(words.get(3)?, 16).ok()?;
    let send_queue = u64::from_str_radix(send, 16).ok()?;
    Some(InternetSocket {
        inode: words.get(9)?.parse().ok()?,
        state,
        local: text_address(words.get(1)?)?,
        remote: text_address(words.get(2)?)?,
        receive_queue: u64::from_str_radix(receive, 16).ok()?,
        send_queue: if state == LISTEN { 0 } else { send_queue },
        traffic: None,
    })
}

fn text_address(word: &str) -> Option<(Address, u16)> {
    let (address, port) = word.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for at in (0..address.len()).step_by(8) {
        let word = u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    let address = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(v4) => Address::v4(v4),
        Err(_) => Address(bytes.try_into().ok()?),
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_of_the_text_table() {
        let text = b"  sl  local_address rem_address st tx_queue:rx_queue\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000002 00:00000000 00000000  0 0 4242 1\n";
        let found = &text_table(text)[0];
        assert_eq!((found.inode, found.receive_queue, found.state), (4242, 2, 10));
        assert_eq!(found.local.0.show(found.local.1), "127.0.0.1:8080");
        assert!(found.remote.0.is_unspecified());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = messages(&bytes, &mut |_: &[u8]| {});
            let _ = internet_message(&bytes);
            let _ = unix_message(&bytes);
            let _ = text_table(&bytes);
            attributes(&bytes, |_, _| {});
        }

        #[test]
        fn near_misses_of_the_text_table(line in "[0-9A-F: é]{0,120}") {
            let _ = text_line(&line);
            let _ = text_address(&line);
        }
    }
}
