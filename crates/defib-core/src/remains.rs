//! What is left of a run after its end, besides processes.
//!
//! A process that has gone takes its ports, its memory and its GPU memory along; named
//! shared memory, semaphores and temporary files stay. Who made a file is written down
//! nowhere, so what merely appeared while the run went on is told apart from what is
//! proven to be of the run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::telling::size;

/// What is left, and what could not be checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Remains {
    /// Living processes of the run.
    pub processes: u32,
    /// Addresses on which these wait for clients.
    pub ports: Vec<String>,
    /// GPU memory that is still booked to processes of the run, bytes; `None` where no
    /// GPU could be asked.
    pub gpu_bytes: Option<u64>,
    /// Shared memory: files of `/dev/shm`, System V segments.
    pub shared_memory: Vec<Remain>,
    /// Named semaphores.
    pub semaphores: Vec<Remain>,
    /// Files and folders in the folder for temporary files.
    pub temporary: Vec<Remain>,
    /// What was not checked, and why.
    pub unchecked: Vec<String>,
}

/// One thing that is left.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Remain {
    /// Path, or `System V segment 7`.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// By what it is known to be of this run; without it, it only appeared meanwhile.
    pub proof: Option<String>,
    /// Living processes that have it open or mapped.
    pub holders: Vec<i32>,
}

impl Remains {
    /// Everything named that is left.
    pub fn all(&self) -> impl Iterator<Item = &Remain> {
        self.shared_memory.iter().chain(&self.semaphores).chain(&self.temporary)
    }

    /// Nothing of the run is left, as far as was checked: what others hold, or only
    /// appeared meanwhile, is not counted.
    #[must_use]
    pub fn nothing(&self) -> bool {
        let gpu = self.gpu_bytes.is_some_and(|bytes| bytes > 0);
        self.processes == 0 && self.ports.is_empty() && !gpu && self.proven().next().is_none()
    }

    /// What is proven to be of this run and nobody uses.
    pub fn proven(&self) -> impl Iterator<Item = &Remain> {
        self.all().filter(|remain| remain.proof.is_some() && remain.holders.is_empty())
    }

    /// Shared memory that nobody has open: it takes memory until somebody removes it.
    pub fn unused_memory(&self) -> impl Iterator<Item = &Remain> {
        self.shared_memory.iter().filter(|remain| remain.holders.is_empty())
    }

    /// One sentence about what a person should know, if there is something.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        let mut parts = Vec::new();
        let unused: Vec<&Remain> = self.unused_memory().collect();
        let bytes: u64 = unused.iter().map(|remain| remain.bytes).sum();
        if let Some(first) = unused.first().filter(|first| bytes >= WORTH_A_WORD || first.proof.is_some()) {
            let more = match unused.len() {
                1 => String::new(),
                many => format!(" and {} more", many - 1),
            };
            let sure = unused.iter().any(|remain| remain.proof.is_some());
            let how = if sure { "" } else { ", made while it ran" };
            parts.push(format!("{} of shared memory that nobody has open{how} ({}{more})", size(bytes), first.name));
        }
        if let Some(bytes) = self.gpu_bytes.filter(|&bytes| bytes > 0) {
            parts.push(format!("{} of GPU memory", size(bytes)));
        }
        let temporary: u64 = self.temporary.iter().filter(|one| one.proof.is_some()).map(|one| one.bytes).sum();
        if let Some(first) = self.temporary.iter().find(|one| one.proof.is_some()) {
            parts.push(format!("{} of temporary files ({})", size(temporary), first.name));
        }
        (!parts.is_empty()).then(|| format!("left behind: {}", parts.join("; ")))
    }
}

/// Less shared memory than this is not worth a word, unless it is proven.
const WORTH_A_WORD: u64 = 1 << 20;

/// By its name, what is of which process: libraries write the pid into the names of
/// what they make (`torch_4127_…`, `loky-4127-…`, `joblib_memmapping_folder_4127_…`).
#[must_use]
pub fn named_by(name: &str, pids: &[i32]) -> Option<i32> {
    const MAKERS: [&str; 5] = ["torch_", "loky-", "joblib_memmapping_folder_", "paddle_", "ray-"];
    let name = name.rsplit('/').next().unwrap_or(name).trim_start_matches("sem.");
    let rest = MAKERS.iter().find_map(|maker| name.strip_prefix(maker))?;
    let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|pid| pids.contains(pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_the_pid_of_a_process_are_known() {
        assert_eq!(named_by("/dev/shm/torch_4127_88_0", &[4127]), Some(4127));
        assert_eq!(named_by("/dev/shm/sem.loky-4127-abc", &[4127]), Some(4127));
        assert_eq!(named_by("/tmp/joblib_memmapping_folder_4127_x", &[4127]), Some(4127));
        assert_eq!(named_by("/dev/shm/torch_41270_88_0", &[4127]), None);
        assert_eq!(named_by("/dev/shm/psm_4127", &[4127]), None);
    }

    #[test]
    fn only_what_is_proven_or_large_gets_a_word() {
        let remain = |bytes, proof: Option<&str>| Remain {
            name: "/dev/shm/psm_1".into(),
            bytes,
            proof: proof.map(str::to_owned),
            holders: vec![],
        };
        let with = |remain: Remain| Remains { shared_memory: vec![remain], ..Remains::default() };
        assert_eq!(with(remain(4096, None)).words(), None);
        assert!(with(remain(4096, None)).nothing());
        assert!(!with(remain(4096, Some("its name"))).nothing());
        let told = with(remain(64 << 20, None)).words().unwrap();
        assert_eq!(
            told,
            "left behind: 64.0 MiB of shared memory that nobody has open, made while it ran (/dev/shm/psm_1)"
        );
        let used = Remain { holders: vec![7], ..remain(64 << 20, Some("its name")) };
        assert!(with(used).words().is_none());
    }
}
