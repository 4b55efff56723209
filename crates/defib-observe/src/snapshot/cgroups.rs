//! Limits of the own control group and of those above it, in either version.
//!
//! In version 1 each controller has a hierarchy of its own; hybrid systems
//! mount both versions, and the controllers are where their files are. The
//! tightest limit counts, with the use of the group that has it.

use std::path::{Path, PathBuf};

use defib_core::snapshot::GroupLimits;

use crate::{files, parse};

/// Version 1 shows "no limit" as a huge number.
const NO_LIMIT: u64 = 1 << 60;

/// A group's folder in the hierarchy of one controller.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Folder {
    path: PathBuf,
    version: u32,
}

pub(super) fn read() -> GroupLimits {
    let groups = files::text("/proc/self/cgroup").unwrap_or_default();
    let mounts = files::text("/proc/self/mountinfo").unwrap_or_default();
    let mut limits = GroupLimits { group: own_group(&groups), ..GroupLimits::default() };
    memory(&folders("memory", &groups, &mounts), &mut limits);
    processes(&folders("pids", &groups, &mounts), &mut limits);
    cpu(&folders("cpu", &groups, &mounts), &mut limits);
    limits
}

/// The group's path: that of version 2, or else of the memory controller.
fn own_group(groups: &str) -> String {
    let memory =
        |line: &&str| line.split(':').nth(1).is_some_and(|names| names.split(',').any(|name| name == "memory"));
    let unified = groups.lines().find_map(|line| line.strip_prefix("0::")).filter(|path| *path != "/");
    let other = groups.lines().find(memory).and_then(|line| line.splitn(3, ':').nth(2));
    unified.or(other).unwrap_or("/").to_owned()
}

/// Folders of a controller, the own group's first, up to the mount. Those of
/// version 1 come first: where it has the controller, version 2 has not.
fn folders(controller: &str, groups: &str, mounts: &str) -> Vec<Folder> {
    let mut found = Vec::new();
    for version in [1, 2] {
        let group = groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (names, path) = (parts.next()?, parts.next()?);
            let fits = if version == 2 { names.is_empty() } else { names.split(',').any(|name| name == controller) };
            fits.then_some(path)
        });
        let (Some(group), Some((root, mount))) = (group, mount_of(controller, version, mounts)) else { continue };
        let inner = group.strip_prefix(root.trim_end_matches('/')).unwrap_or(group);
        let own = Path::new(&mount).join(inner.trim_start_matches('/'));
        let up = own.ancestors().take_while(|path| path.starts_with(&mount));
        found.extend(up.map(|path| Folder { path: path.to_owned(), version }));
    }
    found
}

/// Root and mount point of a controller's hierarchy in `mountinfo`.
fn mount_of(controller: &str, version: u32, mounts: &str) -> Option<(String, String)> {
    mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let mut system = system.split(' ');
        let kind = system.next()?;
        let options = system.nth(1).unwrap_or_default();
        let fits = match version {
            2 => kind == "cgroup2",
            _ => kind == "cgroup" && options.split(',').any(|option| option == controller),
        };
        let mut words = mount.split(' ').skip(3);
        fits.then(|| Some((words.next()?.to_owned(), words.next()?.to_owned())))?
    })
}

impl Folder {
    fn text(&self, name: &str) -> Option<String> {
        files::text(self.path.join(name).to_str()?)
    }

    /// A number; `None` for `max` and for version 1's huge numbers.
    fn number(&self, one: &str, two: &str) -> Option<u64> {
        let text = self.text(if self.version == 2 { two } else { one })?;
        parse::number(text.as_bytes()).filter(|number| *number < NO_LIMIT)
    }

    /// A line `key N` of a file.
    fn keyed(&self, file: &str, key: &str) -> Option<u64> {
        let text = self.text(file)?;
        text.lines().find_map(|line| parse::number(line.strip_prefix(key)?.strip_prefix(' ')?.as_bytes()))
    }
}

/// The folder with the tightest limit and that limit.
fn tightest(folders: &[Folder], one: &str, two: &str) -> Option<(Folder, u64)> {
    let limited = folders.iter().filter_map(|folder| Some((folder.clone(), folder.number(one, two)?)));
    limited.min_by_key(|(_, limit)| *limit)
}

fn memory(folders: &[Folder], limits: &mut GroupLimits) {
    let tight = tightest(folders, "memory.limit_in_bytes", "memory.max");
    let readable = |folder: &&Folder| folder.number("memory.usage_in_bytes", "memory.current").is_some();
    let group = tight.as_ref().map(|(folder, _)| folder).or_else(|| folders.iter().find(readable));
    limits.memory_limit_bytes = tight.as_ref().map(|(_, limit)| *limit);
    let Some(group) = group else { return };
    limits.version = group.version;
    limits.memory_used_bytes = group.number("memory.usage_in_bytes", "memory.current");
    let inactive = if group.version == 2 { "inactive_file" } else { "total_inactive_file" };
    limits.memory_reclaimable_bytes = group.keyed("memory.stat", inactive);
    let events = if group.version == 2 { "memory.events" } else { "memory.oom_control" };
    limits.oom_kills = group.keyed(events, "oom_kill");
    // Version 1 counts memory and swap together.
    let swap = group.number("memory.memsw.limit_in_bytes", "memory.swap.max");
    limits.swap_limit_bytes = match (group.version, swap, limits.memory_limit_bytes) {
        (2, swap, _) => swap,
        (_, Some(both), Some(memory)) => Some(both.saturating_sub(memory)),
        _ => None,
    };
}

fn processes(folders: &[Folder], limits: &mut GroupLimits) {
    if let Some((group, limit)) = tightest(folders, "pids.max", "pids.max") {
        limits.pids_limit = Some(limit);
        limits.pids_used = group.number("pids.current", "pids.current");
    }
}

fn cpu(folders: &[Folder], limits: &mut GroupLimits) {
    let quota = |folder: &Folder| -> Option<f64> {
        let (quota, period) = if folder.version == 2 {
            let text = folder.text("cpu.max")?;
            let (quota, period) = text.split_once(' ')?;
            (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?)
        } else {
            (folder.text("cpu.cfs_quota_us")?.parse::<f64>().ok()?, folder.text("cpu.cfs_period_us")?.parse().ok()?)
        };
        (quota > 0.0 && period > 0.0).then(|| quota / period)
    };
    let limited = folders.iter().filter_map(|folder| Some((folder, quota(folder)?)));
    if let Some((folder, cores)) = limited.min_by(|one, other| one.1.total_cmp(&other.1)) {
        limits.cpu_quota = Some(cores);
        limits.cpu_throttled_periods = folder.keyed("cpu.stat", "nr_throttled");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_group_of_version_2_counts() {
        let place = tempfile::tempdir().unwrap();
        let mount = place.path().to_str().unwrap();
        let inner = place.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        let write = |path: &str, text: &str| std::fs::write(place.path().join(path), text).unwrap();
        write("a/memory.max", "1000\n");
        write("a/memory.current", "400\n");
        write("a/memory.stat", "anon 1\ninactive_file 7\n");
        write("a/memory.events", "oom 1\noom_kill 3\n");
        write("a/b/memory.max", "max\n");
        write("a/b/pids.max", "50\n");
        write("a/b/pids.current", "5\n");
        write("a/b/cpu.max", "150000 100000\n");
        write("a/b/cpu.stat", "nr_periods 9\nnr_throttled 2\n");
        let mounts = format!("1 2 0:1 / {mount} rw - cgroup2 cgroup2 rw\n");
        let mut found = GroupLimits::default();
        let all = |controller| folders(controller, "0::/a/b\n", &mounts);
        memory(&all("memory"), &mut found);
        processes(&all("pids"), &mut found);
        cpu(&all("cpu"), &mut found);
        assert_eq!((found.version, found.memory_limit_bytes, found.memory_used_bytes), (2, Some(1000), Some(400)));
        assert_eq!((found.memory_reclaimable_bytes, found.oom_kills), (Some(7), Some(3)));
        assert_eq!((found.pids_limit, found.pids_used), (Some(50), Some(5)));
        assert_eq!((found.cpu_quota, found.cpu_throttled_periods), (Some(1.5), Some(2)));
    }

    #[test]
    fn version_1_has_a_hierarchy_for_each_controller_and_a_huge_number_for_none() {
        let place = tempfile::tempdir().unwrap();
        let mount = place.path().to_str().unwrap();
        std::fs::create_dir_all(place.path().join("x")).unwrap();
        let write = |path: &str, text: &str| std::fs::write(place.path().join(path), text).unwrap();
        write("memory.limit_in_bytes", "9223372036854771712\n");
        write("x/memory.limit_in_bytes", "2048\n");
        write("x/memory.usage_in_bytes", "1024\n");
        write("x/memory.memsw.limit_in_bytes", "3072\n");
        let mounts = format!("1 2 0:1 /job {mount} rw - cgroup cgroup rw,memory\n");
        let mut found = GroupLimits::default();
        memory(&folders("memory", "4:memory:/job/x\n0::/\n", &mounts), &mut found);
        assert_eq!((found.version, found.memory_limit_bytes, found.memory_used_bytes), (1, Some(2048), Some(1024)));
        assert_eq!(found.swap_limit_bytes, Some(1024));
        assert_eq!(own_group("4:memory:/job/x\n0::/\n"), "/job/x");
    }
}
