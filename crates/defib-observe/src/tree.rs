//! Who belongs to a process tree.
//!
//! `/proc/PID/task/TID/children` lists what each thread has started (and what
//! a subreaper has inherited), so a walk from the root touches only the tree.
//! Kernels built without that file need one pass over the parents of all
//! processes instead. The list may miss a process while siblings end; callers
//! that repeat the walk keep what they saw before until it is gone.

use std::collections::{HashMap, HashSet};

use crate::files::{self, Reader};
use crate::parse;

/// All live descendants of `root`, parents before children; `root` itself is not among them.
pub(crate) fn descendants(root: i32, reader: &mut Reader) -> Vec<i32> {
    let mut found = Vec::new();
    let mut seen = HashSet::from([root]);
    let mut queue = vec![root];
    let mut children = Vec::new();
    while let Some(pid) = queue.pop() {
        children.clear();
        if !children_of(pid, &mut children, reader) {
            return by_parents(root, reader);
        }
        for child in children.drain(..) {
            if seen.insert(child) {
                found.push(child);
                queue.push(child);
            }
        }
    }
    found
}

/// Adds the children of all threads of a process. False where the kernel has no such file.
fn children_of(pid: i32, out: &mut Vec<i32>, reader: &mut Reader) -> bool {
    let single = reader.process(pid, "stat").ok().and_then(parse::stat).is_some_and(|stat| stat.threads == 1);
    if single {
        return thread_children(pid, pid, out, reader);
    }
    // A process that ends meanwhile has no threads and no children.
    let tids = files::numbers(&format!("/proc/{pid}/task")).unwrap_or_default();
    tids.into_iter().all(|tid| thread_children(pid, tid, out, reader))
}

fn thread_children(pid: i32, tid: i32, out: &mut Vec<i32>, reader: &mut Reader) -> bool {
    match reader.thread(pid, tid, "children") {
        Ok(text) => {
            parse::pids(text, out);
            true
        }
        // The thread is gone, or the kernel has no such file: its own tells.
        Err(_) => std::path::Path::new("/proc/thread-self/children").exists(),
    }
}

fn by_parents(root: i32, reader: &mut Reader) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for pid in files::numbers("/proc").unwrap_or_default() {
        if let Some(stat) = reader.process(pid, "stat").ok().and_then(parse::stat) {
            children.entry(stat.ppid).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut queue = vec![root];
    while let Some(pid) = queue.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            found.push(child);
            queue.push(child);
        }
    }
    found
}

/// True where `ancestor` started `pid`, directly or through others.
pub(crate) fn is_ancestor(ancestor: i32, pid: i32) -> bool {
    let mut reader = Reader::default();
    let mut current = pid;
    for _ in 0..1000 {
        let Some(stat) = reader.process(current, "stat").ok().and_then(parse::stat) else {
            return false;
        };
        if stat.ppid == ancestor {
            return true;
        }
        if stat.ppid <= 1 {
            return false;
        }
        current = stat.ppid;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_agree() {
        let mut child = std::process::Command::new("sh").args(["-c", "sleep 50 & wait"]).spawn().unwrap();
        let root = i32::try_from(std::process::id()).unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let mut reader = Reader::default();
        let grandchild = loop {
            if let Some(pid) = descendants(pid, &mut reader).first() {
                break *pid;
            }
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        };
        assert_eq!(by_parents(pid, &mut reader), vec![grandchild]);
        assert!(descendants(root, &mut reader).contains(&grandchild));
        assert!(is_ancestor(root, grandchild));
        assert!(!is_ancestor(grandchild, root));
        let _ = std::process::Command::new("kill").args(["-9", &grandchild.to_string()]).status();
        child.wait().unwrap();
    }
}
