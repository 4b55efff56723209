//! The socket table as needed by one look: by inode, with peers.

use std::collections::{HashMap, HashSet};

use defib_core::facts::{Peer, Socket};

use crate::files::Reader;
use crate::netlink::{self, Address, InternetSocket, UnixSocket};

/// All sockets that could be asked for, by inode; peers carry no holders yet.
#[derive(Debug, Default)]
pub(crate) struct SocketTable {
    sockets: HashMap<u64, Socket>,
}

type Ends = ((Address, u16), (Address, u16));

impl SocketTable {
    /// Reads the tables until every wanted inode is found. `pid` is a process
    /// of the tree, whose text tables are the way into its network namespace.
    pub(crate) fn read(pid: i32, wanted: &HashSet<u64>) -> Self {
        let mut table = Self::default();
        if wanted.is_empty() {
            return table;
        }
        let (tcp, refused) = match netlink::internet(libc::IPPROTO_TCP) {
            Ok(tcp) if own_namespace(pid) => (tcp, false),
            _ => (text_sockets(pid, ["net/tcp", "net/tcp6"]), true),
        };
        table.add_internet("tcp", &tcp);
        if let Ok(unix) = netlink::unix() {
            table.add_unix(&unix);
        }
        if !wanted.iter().all(|inode| table.sockets.contains_key(inode)) {
            let udp = match netlink::internet(libc::IPPROTO_UDP) {
                Ok(udp) if !refused => udp,
                _ => text_sockets(pid, ["net/udp", "net/udp6"]),
            };
            table.add_internet("udp", &udp);
        }
        table
    }

    pub(crate) fn get(&self, inode: u64) -> Option<&Socket> {
        self.sockets.get(&inode)
    }

    fn add_internet(&mut self, protocol: &str, found: &[InternetSocket]) {
        let by_ends: HashMap<Ends, u64> =
            found.iter().map(|socket| ((socket.local, socket.remote), socket.inode)).collect();
        for socket in found.iter().filter(|socket| socket.inode != 0) {
            let connected = socket.remote.1 != 0;
            let peer = by_ends
                .get(&(socket.remote, socket.local))
                .filter(|inode| connected && **inode != 0 && **inode != socket.inode);
            let show = |(address, port): (Address, u16)| address.show(port);
            self.sockets.insert(
                socket.inode,
                Socket {
                    protocol: protocol.to_owned(),
                    state: netlink::state_name(socket.state).to_owned(),
                    local: show(socket.local),
                    remote: (connected || !socket.remote.0.is_unspecified()).then(|| show(socket.remote)),
                    receive_queue: socket.receive_queue,
                    send_queue: socket.send_queue,
                    bytes_received: socket.traffic.map(|traffic| traffic.received),
                    bytes_acked: socket.traffic.map(|traffic| traffic.acked),
                    last_received_ms: socket.traffic.map(|traffic| traffic.last_received_ms),
                    peer: peer.map(|inode| Peer { inode: *inode, pids: Vec::new() }),
                },
            );
        }
    }

    fn add_unix(&mut self, found: &[UnixSocket]) {
        let names: HashMap<u64, &str> = found.iter().map(|socket| (socket.inode, socket.path.as_str())).collect();
        for socket in found {
            let remote = socket.peer.and_then(|peer| names.get(&peer).copied());
            self.sockets.insert(
                socket.inode,
                Socket {
                    protocol: "unix".to_owned(),
                    state: netlink::state_name(socket.state).to_owned(),
                    local: socket.path.clone(),
                    remote: remote.filter(|path| !path.is_empty()).map(str::to_owned),
                    receive_queue: socket.receive_queue,
                    send_queue: socket.send_queue,
                    peer: socket.peer.map(|inode| Peer { inode, pids: Vec::new() }),
                    ..Socket::default()
                },
            );
        }
    }
}

fn own_namespace(pid: i32) -> bool {
    let theirs = std::fs::read_link(format!("/proc/{pid}/ns/net"));
    match (theirs, std::fs::read_link("/proc/self/ns/net")) {
        (Ok(theirs), Ok(own)) => theirs == own,
        // Not permitted to know: the same one is the usual case.
        _ => true,
    }
}

fn text_sockets(pid: i32, names: [&str; 2]) -> Vec<InternetSocket> {
    let mut reader = Reader::default();
    let mut found = Vec::new();
    for name in names {
        if let Ok(text) = reader.process(pid, name) {
            found.extend(netlink::text_table(text));
        }
    }
    found
}
