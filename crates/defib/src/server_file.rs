//! Where the server of a state folder listens, for other commands of this machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use defib_process::process::Process;
use serde::{Deserialize, Serialize};

const FILE: &str = "server.json";

/// A server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Server {
    /// Its address, `http://…`.
    pub(crate) url: String,
    /// Its process.
    pub(crate) pid: i32,
    start_ticks: u64,
}

/// The file of a server that runs in this process; removed when dropped.
#[derive(Debug)]
pub(crate) struct ServerFile {
    place: PathBuf,
}

impl ServerFile {
    /// Says that this process listens there.
    pub(crate) fn write(state: &Path, address: &SocketAddr) -> anyhow::Result<Self> {
        let pid = std::process::id().cast_signed();
        let start_ticks = Process::look(pid).map_or(0, |process| process.start_ticks);
        // One that listens everywhere is asked here.
        let host = match address.ip() {
            ip if ip.is_unspecified() && ip.is_ipv6() => "[::1]".to_owned(),
            ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
            ip => ip.to_string(),
        };
        let server = Server { url: format!("http://{host}:{}", address.port()), pid, start_ticks };
        let place = state.join(FILE);
        let beside = state.join(format!("{FILE}.{pid}"));
        std::fs::write(&beside, serde_json::to_vec(&server)?)
            .and_then(|()| std::fs::rename(&beside, &place))
            .with_context(|| format!("cannot write {}", place.display()))?;
        Ok(Self { place })
    }

    /// The server that works in this state folder, if it lives.
    pub(crate) fn live(state: &Path) -> Option<Server> {
        let server: Server = serde_json::from_slice(&std::fs::read(state.join(FILE)).ok()?).ok()?;
        let process = Process::look(server.pid)?;
        (process.start_ticks == server.start_ticks && process.alive()).then_some(server)
    }
}

impl Drop for ServerFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.place);
    }
}
