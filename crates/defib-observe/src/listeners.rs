//! Who listens on a port, and whether it was left over from a run.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use defib_core::facts::Listener;

use crate::files::Reader;
use crate::look::holders;
use crate::{parse, sys};

/// Longest time spent on searching the holders.
const WITHIN: Duration = Duration::from_millis(300);

/// The processes that listen on this TCP port.
#[must_use]
pub fn listeners(port: u16) -> Vec<Listener> {
    let mut wanted = HashSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        wanted.extend(
            text.lines()
                .skip(1)
                .filter_map(|line| inode_of_listener(line, port))
                .map(|inode| format!("socket:[{inode}]")),
        );
    }
    let found = holders::scan(&wanted, Instant::now() + WITHIN);
    let mut pids: Vec<i32> = found.by_link.into_values().flatten().collect();
    pids.sort_unstable();
    pids.dedup();
    pids.into_iter().filter_map(|pid| listener(port, pid)).collect()
}

/// `0: 0100007F:1F90 00000000:0000 0A … inode`.
fn inode_of_listener(line: &str, port: u16) -> Option<u64> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let listens = state == "0A" && u16::from_str_radix(local.rsplit(':').next()?, 16) == Ok(port);
    listens.then(|| fields.nth(5)?.parse().ok())?
}

fn listener(port: u16, pid: i32) -> Option<Listener> {
    let mut reader = Reader::default();
    let stat = parse::stat(reader.process(pid, "stat").ok()?)?;
    let command = reader.process(pid, "cmdline").map(parse::strings).unwrap_or_default();
    let environment = reader.process(pid, "environ").map(<[u8]>::to_vec).unwrap_or_default();
    let run = environment.split(|byte| *byte == 0).find_map(|variable| variable.strip_prefix(b"DEFIB_RUN="));
    let born = stat.start_ticks as f64 / sys::ticks_per_second() as f64;
    Some(Listener {
        port,
        pid,
        ppid: stat.ppid,
        command,
        lived_s: (sys::clock_s(libc::CLOCK_BOOTTIME) - born).max(0.0),
        run: run.map(|run| String::from_utf8_lossy(run).into_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_by_its_port() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = socket.local_addr().expect("address").port();
        let found = listeners(port);
        assert!(found.iter().any(|listener| u32::try_from(listener.pid) == Ok(std::process::id())), "{found:?}");
    }
}
