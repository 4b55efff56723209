//! One job at a time on a GPU, whichever backend it is of.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Jobs at work, by GPU.
#[derive(Debug, Default)]
pub(super) struct Gpus {
    busy: Mutex<HashMap<String, usize>>,
    freed: Condvar,
}

/// The right to use some GPUs; given back when dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    gpus: &'a Gpus,
    names: Vec<String>,
}

impl Gpus {
    fn busy(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all of these together, or none within this time.
    pub(super) fn take(&self, names: &[String], most: usize, within: Duration) -> Option<Held<'_>> {
        let until = Instant::now() + within;
        let mut busy = self.busy();
        while names.iter().any(|name| busy.get(name).is_some_and(|&count| count >= most)) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            busy = self.freed.wait_timeout(busy, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        for name in names {
            *busy.entry(name.clone()).or_default() += 1;
        }
        Some(Held { gpus: self, names: names.to_vec() })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut busy = self.gpus.busy();
        for name in &self.names {
            if let Some(count) = busy.get_mut(name) {
                *count = count.saturating_sub(1);
            }
        }
        drop(busy);
        self.gpus.freed.notify_all();
    }
}

/// NVIDIA GPUs that a process has opened, by the number of their device file.
pub(super) fn opened_by(pid: i32) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let targets = links.filter_map(|link| fs::read_link(link.path()).ok());
    let number = |target: std::path::PathBuf| {
        let number = target.to_str()?.strip_prefix("/dev/nvidia")?.to_owned();
        number.bytes().all(|byte| byte.is_ascii_digit()).then_some(number).filter(|number| !number.is_empty())
    };
    targets.filter_map(number).collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_has_one_job_at_a_time() {
        let gpus = Gpus::default();
        let (one, both) = (["0".to_owned()], ["0".to_owned(), "1".to_owned()]);
        let moment = Duration::from_millis(20);
        let held = gpus.take(&one, 1, moment).unwrap();
        assert!(gpus.take(&both, 1, moment).is_none());
        assert!(gpus.take(&one, 2, moment).is_some(), "two were asked for");
        drop(held);
        assert!(gpus.take(&both, 1, moment).is_some());
        assert!(gpus.take(&[], 1, moment).is_some(), "no GPU, no wait");
        assert!(opened_by(std::process::id().cast_signed()).is_empty());
    }
}
