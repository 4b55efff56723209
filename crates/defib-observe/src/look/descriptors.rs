//! The descriptors of one process.
//!
//! What a descriptor is comes from its link, how it was opened from its
//! fdinfo. A pipe's fill is asked through a duplicate of the descriptor
//! (`pidfd_getfd`): nothing is read, no flag is touched, no new end is opened,
//! and the duplicate lives for microseconds. Where that is refused the pipe's
//! own read end is opened anew, which is possible only where one exists.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;

use defib_core::facts::{Access, Descriptor, Target};

use crate::files::{self, Reader};
use crate::{parse, sys};

/// Most descriptors read of one process; servers may hold a million.
const MOST: usize = 4096;

/// Fill of pipes, asked once per inode and look: queued bytes, capacity.
pub(crate) type Fills = HashMap<u64, (Option<u64>, Option<u64>)>;

/// Reads the descriptors of a process. `wanted` limits them by link.
pub(crate) fn read(
    pid: i32,
    wanted: Option<&dyn Fn(&str) -> bool>,
    fills: &mut Fills,
    reader: &mut Reader,
) -> std::io::Result<Vec<Descriptor>> {
    let mut process = None;
    let mut found = Vec::new();
    for fd in files::numbers(&format!("/proc/{pid}/fd"))? {
        let Ok(link) = files::link(&format!("/proc/{pid}/fd/{fd}")) else {
            continue;
        };
        if wanted.is_some_and(|wanted| !wanted(&link)) {
            continue;
        }
        let Ok(info) = reader.process(pid, &format!("fdinfo/{fd}")) else {
            continue;
        };
        let access = access(info);
        let mut target = target(&link, info, &format!("/proc/{pid}/fd/{fd}"));
        if let Target::Pipe { inode, queued, capacity, .. } = &mut target {
            (*queued, *capacity) = fill(pid, fd, *inode, access, &mut process, fills);
        }
        found.push(Descriptor { fd, access, target });
        if found.len() >= MOST {
            break;
        }
    }
    Ok(found)
}

fn access(info: &[u8]) -> Access {
    let flags = parse::field(info, "flags").and_then(|text| std::str::from_utf8(text).ok());
    let flags = flags.and_then(|text| i32::from_str_radix(text, 8).ok()).unwrap_or(0);
    match flags & libc::O_ACCMODE {
        libc::O_RDONLY => Access::Read,
        libc::O_WRONLY => Access::Write,
        _ => Access::Both,
    }
}

fn target(link: &str, info: &[u8], path_here: &str) -> Target {
    if let Some(inode) = parse::link_inode(link, "pipe") {
        return Target::Pipe { inode, path: None, queued: None, capacity: None };
    }
    if let Some(inode) = parse::link_inode(link, "socket") {
        return Target::Socket { inode, socket: None };
    }
    if let Some(name) = link.strip_prefix("anon_inode:") {
        let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        return match name.as_str() {
            "eventpoll" => {
                let watched = parse::epoll_watched(info).into_iter().map(|(fd, _)| fd);
                Target::Epoll { watched: watched.collect() }
            }
            _ => Target::Anonymous { name },
        };
    }
    if !link.starts_with('/') {
        return Target::Other { link: link.to_owned() };
    }
    path_target(link, info, path_here)
}

fn path_target(link: &str, info: &[u8], path_here: &str) -> Target {
    if link == "/dev/null" {
        return Target::Null;
    }
    let terminal = link
        .strip_prefix("/dev/")
        .is_some_and(|name| name.starts_with("pts/") || name.starts_with("tty") || name == "console" || name == "ptmx");
    if terminal {
        return Target::Terminal { path: link.to_owned() };
    }
    let number = |key: &str| parse::field_number(info, key);
    match sys::file_type(path_here) {
        Some(libc::S_IFIFO) => Target::Pipe {
            inode: number("ino").unwrap_or(0),
            path: Some(link.to_owned()),
            queued: None,
            capacity: None,
        },
        Some(libc::S_IFCHR | libc::S_IFBLK) => Target::Device { path: link.to_owned() },
        _ => {
            let (path, deleted) = match link.strip_suffix(" (deleted)") {
                Some(path) => (path, true),
                None => (link, false),
            };
            Target::File { path: path.to_owned(), position: number("pos").unwrap_or(0), deleted }
        }
    }
}

fn fill(
    pid: i32,
    fd: i32,
    inode: u64,
    access: Access,
    process: &mut Option<std::io::Result<OwnedFd>>,
    fills: &mut Fills,
) -> (Option<u64>, Option<u64>) {
    if let Some(known) = fills.get(&inode) {
        return *known;
    }
    let process = process.get_or_insert_with(|| sys::pidfd_open(pid));
    let copy = process.as_ref().ok().and_then(|process| sys::pidfd_getfd(process, fd).ok());
    let pipe = copy.or_else(|| access.reads().then(|| reopened(pid, fd)).flatten());
    let Some(pipe) = pipe else {
        return (None, None);
    };
    let known = sys::pipe_fill(&pipe);
    fills.insert(inode, known);
    known
}

/// A second read end of a pipe that has one, without waiting for a writer.
fn reopened(pid: i32, fd: i32) -> Option<OwnedFd> {
    let path = format!("/proc/{pid}/fd/{fd}");
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
    Some(file.into())
}
