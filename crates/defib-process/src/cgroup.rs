//! Control groups: what this machine allows, found out by trying.
//!
//! A group is a second net under the shim: `cgroup.kill` reaches also what no walk
//! sees. It is optional and off unless the spec names one, because the shim alone
//! left no survivor in any test, and because making a group costs a run's start
//! (`mkdir`, one write, `rmdir`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use defib_core::run::RunId;

/// What can be done with groups here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tier {
    /// A version 2 group of ours with the memory controller: limits and events.
    Delegated {
        /// The group under which runs are made.
        parent: PathBuf,
    },
    /// A unified hierarchy without controllers: kill, freeze and pressure only.
    Unified {
        /// The group under which runs are made.
        parent: PathBuf,
    },
    /// Nothing is writable.
    Nothing,
}

impl Tier {
    /// Finds out by making a group and removing it.
    #[must_use]
    pub fn find() -> Self {
        let Some(parent) = own_group() else {
            return Self::Nothing;
        };
        let trial = parent.join(format!("defib-trial-{}", std::process::id()));
        if fs::create_dir(&trial).is_err() {
            return Self::Nothing;
        }
        let kills = fs::OpenOptions::new().write(true).open(trial.join("cgroup.kill")).is_ok();
        let enters = fs::OpenOptions::new().write(true).open(trial.join("cgroup.procs")).is_ok();
        let memory = trial.join("memory.max").exists();
        let removed = fs::remove_dir(&trial).is_ok();
        match (kills && enters && removed, memory) {
            (true, true) => Self::Delegated { parent },
            (true, false) => Self::Unified { parent },
            (false, _) => Self::Nothing,
        }
    }

    /// Makes the group of a run, for [`crate::ShimSpec::cgroup`].
    ///
    /// # Errors
    /// `Unsupported` where nothing is writable, else those of making a folder.
    pub fn create(&self, run: &RunId) -> io::Result<PathBuf> {
        let (Self::Delegated { parent } | Self::Unified { parent }) = self else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let group = parent.join(format!("defib-{run}"));
        fs::create_dir(&group)?;
        Ok(group)
    }
}

/// The group of this process in the unified hierarchy.
fn own_group() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let within = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mount = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        after.starts_with("cgroup2 ").then(|| before.split(' ').nth(4))?
    })?;
    Some(Path::new(mount).join(within))
}

/// Kills everything in a group.
///
/// # Errors
/// Those of writing `cgroup.kill`.
pub fn kill(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.kill"), "1")
}

/// Removes an empty group.
///
/// # Errors
/// `EBUSY` while somebody is in it.
pub fn remove(group: &Path) -> io::Result<()> {
    fs::remove_dir(group)
}
