//! Processes that look left over, of runs or of others.
//!
//! What belongs to an ended run of defib is proven by its signs and is not judged
//! here. A process that defib did not start can only *look* left over: nobody
//! answers for it any more, it has no terminal, and it holds something that others
//! need. Age, size and name are shown and are never a reason, so they are not even
//! among the facts that [`judge`] reads.

use serde::{Deserialize, Serialize};

use crate::telling::{one_line, size};

/// What a process holds that others may need.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Holdings {
    /// Memory in bytes: its proportional share where that may be read, else resident.
    pub memory_bytes: u64,
    /// `memory_bytes` is the proportional share (PSS).
    pub memory_is_share: bool,
    /// Addresses on which it waits for clients: `127.0.0.1:7860`.
    pub ports: Vec<String>,
    /// Memory on GPUs.
    pub gpus: Vec<GpuHold>,
    /// It has a GPU's device file open: `/dev/nvidia0`.
    pub device: Option<String>,
}

impl Holdings {
    /// Bytes on all GPUs together.
    #[must_use]
    pub fn gpu_bytes(&self) -> u64 {
        self.gpus.iter().filter_map(|gpu| gpu.bytes).sum()
    }

    /// It holds a port or a GPU.
    #[must_use]
    pub fn any(&self) -> bool {
        !self.ports.is_empty() || !self.gpus.is_empty() || self.device.is_some()
    }

    /// What it holds besides memory, in words; empty if nothing.
    #[must_use]
    pub fn words(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        let numbers: Vec<&str> =
            self.ports.iter().map(|address| address.rsplit(':').next().unwrap_or(address)).collect();
        match numbers.as_slice() {
            [] => {}
            [port] => parts.push(format!("port {port}")),
            ports => parts.push(format!("ports {}", ports.join(", "))),
        }
        for gpu in &self.gpus {
            let bytes = gpu.bytes.map_or_else(|| "memory".to_owned(), size);
            parts.push(format!("{bytes} of GPU {}", gpu.index));
        }
        if let (true, Some(device)) = (self.gpus.is_empty(), &self.device) {
            parts.push(format!("{device} open"));
        }
        parts.join(", ")
    }
}

/// Memory of one process on one GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuHold {
    /// Number of the GPU, in NVML's order.
    pub index: u32,
    /// Bytes; `None` where the driver does not tell.
    pub bytes: Option<u64>,
}

/// One process as it stands among the others, seen from outside.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Process id.
    pub pid: i32,
    /// Start time in clock ticks since boot: with the pid, its identity.
    pub start_ticks: u64,
    /// Seconds since its start.
    pub age_s: f64,
    /// User id.
    pub uid: u32,
    /// Arguments.
    pub command: Vec<String>,
    /// Its session's id: the pid of the session's leader.
    pub session: i32,
    /// The leader of its session lives.
    pub leader_lives: bool,
    /// It has a controlling terminal.
    pub terminal: bool,
    /// Its parent now.
    pub parent: i32,
    /// Its parent's arguments.
    pub parent_command: Vec<String>,
    /// Its parent is in its session.
    pub parent_in_session: bool,
    /// Who started it, where that one is itself left over: pid and arguments.
    pub under: Option<(i32, Vec<String>)>,
    /// It ignores SIGHUP, as `nohup` makes it.
    pub hangup_ignored: bool,
    /// The service of the service manager that it belongs to.
    pub service: Option<String>,
    /// The container it runs in, as its control group names it.
    pub container: Option<String>,
    /// A file that names it as a daemon: `/run/x.pid`.
    pub pid_file: Option<String>,
    /// Connections of clients to its ports.
    pub clients: usize,
    /// What it holds.
    pub holdings: Holdings,
}

/// A process that looks left over, with what speaks for and against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The process.
    pub standing: Standing,
    /// What speaks for it.
    #[serde(rename = "for")]
    pub reasons: Vec<String>,
    /// What speaks against it.
    pub against: Vec<String>,
}

/// What speaks for and against a process being left over; `None` unless all of these
/// hold: its session's leader is gone, its parent was re-assigned, it has no terminal,
/// it holds a port or a GPU, and no service manager or container answers for it.
#[must_use]
pub fn judge(standing: Standing) -> Option<Candidate> {
    let orphaned = !standing.leader_lives && !standing.parent_in_session;
    let owned = standing.service.is_some() || standing.container.is_some();
    // Whoever leads a session made it himself: then nobody can say who his parent was.
    let led = standing.session == standing.pid || standing.session == 0;
    if !orphaned || led || standing.terminal || owned || !standing.holdings.any() {
        return None;
    }
    let parent = one_line(&standing.parent_command.join(" "), 40);
    let mut reasons = vec![
        format!("the leader of its session (pid {}) is gone", standing.session),
        match &standing.under {
            Some((pid, command)) => format!(
                "it was started by pid {pid} ({}), whose own parent is gone: that one is now under pid {} ({parent})",
                one_line(&command.join(" "), 40),
                standing.parent
            ),
            None => format!(
                "whoever started it is gone: its parent is now pid {} ({parent}), of another session",
                standing.parent
            ),
        },
        "no terminal".to_owned(),
        format!("holds {}", standing.holdings.words()),
    ];
    if standing.clients == 0 && !standing.holdings.ports.is_empty() {
        reasons.push("no client is connected".to_owned());
    }
    let mut against = Vec::new();
    if standing.hangup_ignored {
        against.push("it ignores SIGHUP, as nohup does: somebody may have meant it to stay".to_owned());
    }
    if let Some(file) = &standing.pid_file {
        against.push(format!("{file} names it: it may be a daemon"));
    }
    match standing.clients {
        0 => {}
        1 => against.push("a client is connected to it".to_owned()),
        clients => against.push(format!("{clients} clients are connected to it")),
    }
    Some(Candidate { standing, reasons, against })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn left_over() -> Standing {
        Standing {
            pid: 40,
            start_ticks: 9,
            session: 30,
            parent: 1,
            parent_command: vec!["/sbin/init".into()],
            holdings: Holdings { ports: vec!["127.0.0.1:7860".into()], ..Holdings::default() },
            ..Standing::default()
        }
    }

    #[test]
    fn what_nobody_answers_for_is_a_candidate() {
        let candidate = judge(left_over()).unwrap();
        assert_eq!(candidate.against, Vec::<String>::new());
        insta::assert_snapshot!(candidate.reasons.join("\n"), @r"
        the leader of its session (pid 30) is gone
        whoever started it is gone: its parent is now pid 1 (/sbin/init), of another session
        no terminal
        holds port 7860
        no client is connected
        ");
    }

    #[test]
    fn what_speaks_against_it_is_said() {
        let standing =
            Standing { hangup_ignored: true, pid_file: Some("/run/webui.pid".into()), clients: 2, ..left_over() };
        assert_eq!(judge(standing).unwrap().against.len(), 3);
    }

    proptest! {
        /// Any one of these makes it an innocent, whatever its age, size, name and other marks.
        #[test]
        fn one_owner_is_enough(which in 0u8..8, age in 0.0..1e7f64, bytes: u64, clients in 0usize..9, nohup: bool) {
            let mut standing = Standing {
                age_s: age,
                command: vec!["python".into(), "launch.py".into()],
                clients,
                hangup_ignored: nohup,
                ..left_over()
            };
            standing.holdings.memory_bytes = bytes;
            match which {
                0 => standing.leader_lives = true,
                1 => standing.parent_in_session = true,
                2 => standing.terminal = true,
                3 => standing.service = Some("webui.service".into()),
                4 => standing.container = Some("docker".into()),
                5 => standing.holdings.ports.clear(),
                6 => standing.session = standing.pid,
                _ => standing.session = 0,
            }
            prop_assert_eq!(judge(standing), None);
        }
    }
}
