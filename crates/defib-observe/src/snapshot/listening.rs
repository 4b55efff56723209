//! TCP sockets that listen, by their inode.

use std::collections::HashMap;

use crate::netlink;

/// State number of a listening socket.
const LISTEN: u8 = 10;

/// Addresses by inode, of this network namespace.
pub(super) fn sockets() -> HashMap<u64, String> {
    let all = netlink::internet(libc::IPPROTO_TCP).unwrap_or_else(|_| {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter();
        tables.flat_map(|table| netlink::text_table(&std::fs::read(table).unwrap_or_default())).collect()
    });
    let listening = all.into_iter().filter(|socket| socket.state == LISTEN);
    listening.map(|socket| (socket.inode, socket.local.0.show(socket.local.1))).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn an_own_listener_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&listener);
        let inode = std::fs::metadata(format!("/proc/self/fd/{fd}")).unwrap().ino();
        let found = super::sockets();
        assert_eq!(found.get(&inode), Some(&listener.local_addr().unwrap().to_string()));
    }
}
