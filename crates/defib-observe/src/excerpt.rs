//! Source around the lines that the user's frames point at.
//!
//! Only regular files of at most 2 MiB are read, in the target's own view of
//! the file system; library files are left out.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use defib_core::facts::{Excerpt, PythonStack, Visited};

const AROUND: u32 = 40;
/// Lines of a file that comes whole.
const SHORT: usize = 500;
const MOST: usize = 20;
const LINE_LENGTH: usize = 400;
const FILE_SIZE: u64 = 2 << 20;

/// True for a file the user wrote, as far as its path tells.
pub(crate) fn is_users(file: &str) -> bool {
    if file.is_empty() || file.starts_with('<') {
        return false;
    }
    let parts: Vec<&str> = file.split('/').collect();
    let installed = parts.iter().any(|part| matches!(*part, "site-packages" | "dist-packages"));
    let library = parts.windows(2).any(|pair| {
        pair[0].starts_with("lib")
            && pair[1].strip_prefix("python").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    !installed && !library
}

/// Excerpts for all user frames of these stacks.
/// With `whole`, short files come whole: what fills the memory need not stand near.
pub(crate) fn around<'a>(
    pid: i32,
    stacks: impl Iterator<Item = &'a PythonStack>,
    visited: &'a [Visited],
    whole: bool,
) -> Vec<Excerpt> {
    let mut lines: Vec<(&str, u32)> = stacks
        .flat_map(|stack| stack.frames.iter().chain(stack.tasks.iter().flatten()))
        .chain(visited.iter().map(|visited| &visited.frame))
        .filter(|frame| frame.line > 0 && is_users(&frame.file))
        .map(|frame| (frame.file.as_str(), frame.line))
        .collect();
    lines.sort_unstable();
    lines.dedup();
    let mut found = Vec::new();
    for group in lines.chunk_by(|one, other| one.0 == other.0) {
        if found.len() >= MOST {
            break;
        }
        if let Some(text) = group.first().and_then(|(file, _)| content(pid, file)) {
            let around = if whole && text.lines().nth(SHORT).is_none() { u32::MAX / 2 } else { AROUND };
            found.extend(cut(group, &text, around));
        }
    }
    found.truncate(MOST);
    found
}

fn content(pid: i32, file: &str) -> Option<String> {
    if file.starts_with('/') {
        regular(&format!("/proc/{pid}/root{file}")).or_else(|| regular(file))
    } else {
        regular(&format!("/proc/{pid}/cwd/{file}"))
    }
}

fn regular(path: &str) -> Option<String> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
    let facts = file.metadata().ok()?;
    if !facts.is_file() || facts.len() > FILE_SIZE {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(FILE_SIZE).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Ranges around the lines (sorted, of one file), those that touch in one.
fn cut(lines: &[(&str, u32)], text: &str, around: u32) -> Vec<Excerpt> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for (_, line) in lines {
        let (first, last) = (line.saturating_sub(around).max(1), line.saturating_add(around));
        match ranges.last_mut() {
            Some(range) if first <= range.1.saturating_add(1) => range.1 = last,
            _ => ranges.push((first, last)),
        }
    }
    let file = lines.first().map_or("", |(file, _)| file);
    let excerpt = |(first, last): (u32, u32)| Excerpt {
        file: file.to_owned(),
        first_line: first,
        lines: text
            .lines()
            .skip(first as usize - 1)
            .take((last - first) as usize + 1)
            .map(|line| line.chars().take(LINE_LENGTH).collect())
            .collect(),
    };
    ranges.into_iter().map(excerpt).filter(|excerpt| !excerpt.lines.is_empty()).collect()
}

/// Excerpts of several processes without repetition.
#[derive(Debug, Default)]
pub(crate) struct Collection {
    found: Vec<Excerpt>,
}

impl Collection {
    pub(crate) fn add(&mut self, excerpts: &[Excerpt]) {
        for excerpt in excerpts {
            let known = self.found.iter().any(|known| covers(known, excerpt));
            if !known {
                self.found.retain(|known| !covers(excerpt, known));
                self.found.push(excerpt.clone());
            }
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Excerpt> {
        self.found.truncate(MOST);
        self.found
    }
}

fn covers(outer: &Excerpt, inner: &Excerpt) -> bool {
    let end = |excerpt: &Excerpt| excerpt.first_line as usize + excerpt.lines.len();
    outer.file == inner.file && outer.first_line <= inner.first_line && end(outer) >= end(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_files_are_left_out() {
        assert!(is_users("/home/me/track.py"));
        assert!(is_users("track.py"));
        assert!(is_users("/srv/pythonlib/a.py"));
        for library in [
            "<frozen importlib._bootstrap>",
            "/usr/lib/python3.11/threading.py",
            "/v/lib/python3/dist-packages/x.py",
            "/v/lib64/python3.8/asyncio/a.py",
            "<stdin>",
            "",
        ] {
            assert!(!is_users(library), "{library}");
        }
    }

    #[test]
    fn near_lines_share_an_excerpt() {
        let text: String = (1..=500).map(|n| format!("{n}\n")).collect();
        let found = cut(&[("a", 10), ("a", 70), ("a", 400)], &text, AROUND);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].first_line, found[0].lines.len()), (1, 110));
        assert_eq!((found[1].first_line, found[1].lines[0].as_str()), (360, "360"));
    }
}
