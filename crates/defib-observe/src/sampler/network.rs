//! Descriptor counts, and bytes over TCP by the tree's sockets.
//!
//! `rchar` does not count socket reads, so bytes come from the kernel's socket
//! table (`tcp_info`), matched by inode. Which sockets the tree holds is read
//! from its descriptors, again only when their number changed or after a few
//! seconds; without any TCP socket the table is not asked for.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use crate::{netlink, parse};

/// Sockets are searched anew at least this often.
const SEARCH_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Held {
    count: u32,
    sockets: Vec<u64>,
    read: Instant,
}

/// Counters of the tree's sockets.
#[derive(Debug, Default)]
pub(crate) struct Network {
    held: HashMap<i32, Held>,
    /// Received and acknowledged bytes of live connections.
    live: HashMap<u64, (u64, u64)>,
    closed: (u64, u64),
    /// Sockets that were not in the TCP table, and when that was found.
    others: HashSet<u64>,
    others_since: Option<Instant>,
}

impl Network {
    /// Open descriptors, bytes received and bytes sent so far.
    pub(crate) fn measure(&mut self, pids: &[i32]) -> (Option<u32>, u64, u64) {
        self.held.retain(|pid, _| pids.binary_search(pid).is_ok());
        let mut readable = false;
        for pid in pids {
            readable |= self.refresh(*pid);
        }
        self.traffic();
        let sum = self.live.values().fold(self.closed, |sum, (received, sent)| (sum.0 + received, sum.1 + sent));
        let count = self.held.values().map(|held| held.count).sum();
        (readable.then_some(count), sum.0, sum.1)
    }

    fn refresh(&mut self, pid: i32) -> bool {
        let folder = format!("/proc/{pid}/fd");
        // Since Linux 6.2 the folder's size is the number of descriptors.
        let size = std::fs::metadata(&folder).map_or(0, |facts| facts.size());
        let known = self
            .held
            .get(&pid)
            .is_some_and(|held| held.read.elapsed() < SEARCH_EVERY && (size == 0 || size == u64::from(held.count)));
        if known {
            return true;
        }
        let Ok(entries) = std::fs::read_dir(&folder) else {
            self.held.remove(&pid);
            return false;
        };
        let mut held = Held { count: 0, sockets: Vec::new(), read: Instant::now() };
        for entry in entries.flatten() {
            held.count += 1;
            let link = std::fs::read_link(entry.path()).ok();
            let inode = link.as_deref().and_then(std::path::Path::to_str);
            held.sockets.extend(inode.and_then(|link| parse::link_inode(link, "socket")));
        }
        self.held.insert(pid, held);
        true
    }

    fn traffic(&mut self) {
        let sockets: HashSet<u64> = self.held.values().flat_map(|held| held.sockets.iter().copied()).collect();
        if self.others_since.is_none_or(|since| since.elapsed() >= SEARCH_EVERY) {
            self.others.clear();
        }
        let gone: Vec<u64> = self.live.keys().filter(|inode| !sockets.contains(inode)).copied().collect();
        for inode in gone {
            self.close(inode);
        }
        if sockets.iter().all(|inode| self.others.contains(inode)) {
            return;
        }
        let Ok(table) = netlink::internet(libc::IPPROTO_TCP) else {
            return;
        };
        let mut found = HashSet::new();
        for socket in table.iter().filter(|socket| sockets.contains(&socket.inode)) {
            found.insert(socket.inode);
            if let Some(traffic) = socket.traffic {
                let now = (traffic.received, traffic.acked);
                let before = self.live.get(&socket.inode).copied().unwrap_or_default();
                if now.0 < before.0 || now.1 < before.1 {
                    // The number was given to another socket.
                    self.close(socket.inode);
                }
                self.live.insert(socket.inode, now);
            }
        }
        let others = sockets.difference(&found).copied().collect::<HashSet<u64>>();
        if self.others.is_empty() {
            self.others_since = Some(Instant::now());
        }
        self.others.extend(others);
    }

    fn close(&mut self, inode: u64) {
        if let Some((received, sent)) = self.live.remove(&inode) {
            self.closed.0 += received;
            self.closed.1 += sent;
        }
    }
}
