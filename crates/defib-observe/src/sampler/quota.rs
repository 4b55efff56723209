//! How many CPUs a tree may use, and how often it was made to wait for that.
//!
//! The number is that of its affinity or the quota of its control group or one
//! above it, whichever is less. The paths are found once: a tree seldom moves.

use crate::files::Reader;
use crate::parse;

/// CPU limits of one process's control groups.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    /// Process the paths were found through, and the folders, innermost first.
    found: Option<(i32, Vec<Folder>)>,
}

#[derive(Debug)]
struct Folder {
    path: String,
    unified: bool,
}

impl Quota {
    /// CPUs that the tree of `pid` may use, and throttled periods so far, where
    /// a quota is set.
    pub(crate) fn measure(&mut self, pid: i32, reader: &mut Reader) -> (Option<f64>, Option<u64>) {
        let status = reader.process(pid, "status").map(<[u8]>::to_vec).unwrap_or_default();
        let allowed = parse::field(&status, "Cpus_allowed").map(bits).filter(|&bits| bits > 0);
        if self.found.as_ref().is_none_or(|(known, _)| *known != pid) {
            self.found = Some((pid, folders(pid, reader)));
        }
        let folders = self.found.as_ref().map_or(&[][..], |(_, folders)| folders.as_slice());
        let quota = folders.iter().filter_map(|folder| limit(folder, reader)).reduce(f64::min);
        let throttled = folders.first().filter(|_| quota.is_some()).and_then(|folder| {
            let text = reader.file(&format!("{}/cpu.stat", folder.path)).ok()?.to_vec();
            let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"nr_throttled "))?;
            parse::number(line)
        });
        let cpus = [allowed.map(f64::from), quota].into_iter().flatten().reduce(f64::min);
        (cpus, throttled)
    }
}

/// Set bits of a mask like `ff,ffffffff`.
fn bits(mask: &[u8]) -> u32 {
    mask.iter().filter_map(|byte| (*byte as char).to_digit(16)).map(u32::count_ones).sum()
}

/// The group's folder and those above it, below the root.
fn folders(pid: i32, reader: &mut Reader) -> Vec<Folder> {
    let text = reader.process(pid, "cgroup").map(String::from_utf8_lossy).map(String::from).unwrap_or_default();
    let mut found = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let unified = controllers.is_empty();
        let mount = match controllers {
            "" => "/sys/fs/cgroup".to_owned(),
            names if names.split(',').any(|name| name == "cpu") => format!("/sys/fs/cgroup/{names}"),
            _ => continue,
        };
        let mut path = path.trim_end_matches('/');
        loop {
            found.push(Folder { path: format!("{mount}{path}"), unified });
            match path.rfind('/') {
                Some(at) => path = &path[..at],
                None => break,
            }
        }
    }
    found
}

fn limit(folder: &Folder, reader: &mut Reader) -> Option<f64> {
    let mut read = |name: &str| -> Option<String> {
        let text = reader.file(&format!("{}/{name}", folder.path)).ok()?;
        Some(String::from_utf8_lossy(text).trim().to_owned())
    };
    let (quota, period) = if folder.unified {
        let text = read("cpu.max")?;
        let (quota, period) = text.split_once(' ')?;
        (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?)
    } else {
        (read("cpu.cfs_quota_us")?.parse::<f64>().ok()?, read("cpu.cfs_period_us")?.parse::<f64>().ok()?)
    };
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_counted() {
        assert_eq!(bits(b"ff,ffffffff"), 40);
        assert_eq!(bits(b"3"), 2);
    }

    #[test]
    fn this_process_may_use_a_cpu() {
        let own = i32::try_from(std::process::id()).expect("pid");
        let (cpus, _) = Quota::default().measure(own, &mut Reader::default());
        let allowed = std::thread::available_parallelism().expect("cpus").get() as f64;
        assert!(cpus.expect("cpus") >= 0.1 && cpus.expect("cpus") <= allowed.max(1.0) + 0.01);
    }
}
