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
        let group = parent.join(name_of(run));
        fs::create_dir(&group)?;
        Ok(group)
    }
}

/// A group with the memory controller, in either version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    fn limit(self) -> &'static str {
        if self == Self::One { "memory.limit_in_bytes" } else { "memory.max" }
    }

    /// The file with the line `oom_kill N`.
    fn kills(self) -> &'static str {
        if self == Self::One { "memory.oom_control" } else { "memory.events" }
    }

    fn peak(self) -> &'static str {
        if self == Self::One { "memory.max_usage_in_bytes" } else { "memory.peak" }
    }

    /// That of a group with a memory limit.
    fn of(group: &Path) -> Option<Self> {
        [Self::Two, Self::One].into_iter().find(|version| group.join(version.limit()).exists())
    }
}

/// Makes the group of a run with a limit on its memory, for [`crate::ShimSpec::cgroup`]:
/// version 2 where the memory controller is delegated to us, else version 1.
///
/// # Errors
/// `Unsupported` where neither is writable, else why the limit could not be set; then
/// nothing is left behind.
pub fn memory_group(run: &RunId, limit_bytes: u64) -> io::Result<PathBuf> {
    let mut failure = io::Error::from(io::ErrorKind::Unsupported);
    for parent in [own_group(), own_memory_group()].into_iter().flatten() {
        let group = parent.join(name_of(run));
        if let Err(error) = fs::create_dir(&group) {
            failure = error;
            continue;
        }
        match limit(&group, limit_bytes) {
            Ok(()) => return Ok(group),
            Err(error) => failure = error,
        }
        let _ = fs::remove_dir(&group);
    }
    Err(failure)
}

fn limit(group: &Path, limit_bytes: u64) -> io::Result<()> {
    let version = Version::of(group).ok_or(io::ErrorKind::Unsupported)?;
    fs::write(group.join(version.limit()), limit_bytes.to_string())?;
    if version == Version::Two {
        // One worker dead and the others waiting for it is the worst end of all.
        fs::write(group.join("memory.oom.group"), "1")?;
    }
    // Who may make a group may not always move processes into it.
    fs::OpenOptions::new().write(true).open(group.join("cgroup.procs")).map(drop)
}

/// What became of a group with a memory limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryEnded {
    /// Its limit, bytes.
    pub limit_bytes: u64,
    /// Most that was in use, bytes, where the kernel keeps that.
    pub peak_bytes: Option<u64>,
    /// How many processes the kernel killed at the limit.
    pub kills: u64,
}

/// Reads what became of a group; `None` for one without a memory limit.
#[must_use]
pub fn memory_ended(group: &Path) -> Option<MemoryEnded> {
    let version = Version::of(group)?;
    let text = |name: &str| fs::read_to_string(group.join(name)).ok();
    let number = |name: &str| text(name)?.trim().parse().ok();
    let kills = text(version.kills())?;
    let kills = kills.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
    Some(MemoryEnded {
        limit_bytes: number(version.limit())?,
        peak_bytes: number(version.peak()),
        kills: kills.unwrap_or(0),
    })
}

/// Removes the groups of a run that is over and whose shim could not do it.
pub fn remove_groups(run: &RunId) {
    for parent in [own_group(), own_memory_group()].into_iter().flatten() {
        // Somebody in it, or no group: nothing to do in either case.
        let _ = fs::remove_dir(parent.join(name_of(run)));
    }
}

fn name_of(run: &RunId) -> String {
    format!("defib-{run}")
}

/// The group of this process in the memory hierarchy of version 1.
fn own_memory_group() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let within = groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers.split(',').any(|name| name == "memory").then(|| path.trim_start_matches('/'))
    })?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mount = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let memory = after.starts_with("cgroup ") && after.rsplit(' ').next()?.split(',').any(|one| one == "memory");
        memory.then(|| before.split(' ').nth(4))?
    })?;
    Some(Path::new(mount).join(within))
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
