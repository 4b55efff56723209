//! Reading small files of `/proc` with reused buffers.
//!
//! The `procfs` crate parses every field into owned types, which is too much
//! for the sampler's budget; these readers cost four system calls and no
//! allocation once their buffers have grown.

use std::fs::File;
use std::io::{self, Read};

/// A path and a content buffer that are reused from file to file.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    path: String,
    content: Vec<u8>,
}

impl Reader {
    /// Reads `/proc/PID/NAME`.
    pub(crate) fn process(&mut self, pid: i32, name: &str) -> io::Result<&[u8]> {
        use std::fmt::Write as _;
        self.path.clear();
        let _ = write!(self.path, "/proc/{pid}/{name}");
        self.fill()
    }

    /// Reads `/proc/PID/task/TID/NAME`.
    pub(crate) fn thread(&mut self, pid: i32, tid: i32, name: &str) -> io::Result<&[u8]> {
        use std::fmt::Write as _;
        self.path.clear();
        let _ = write!(self.path, "/proc/{pid}/task/{tid}/{name}");
        self.fill()
    }

    /// Reads any file.
    pub(crate) fn file(&mut self, path: &str) -> io::Result<&[u8]> {
        self.path.clear();
        self.path.push_str(path);
        self.fill()
    }

    fn fill(&mut self) -> io::Result<&[u8]> {
        let mut file = File::open(&self.path)?;
        if self.content.len() < 4096 {
            self.content.resize(4096, 0);
        }
        let mut length = 0;
        loop {
            match file.read(&mut self.content[length..]) {
                Ok(0) => break,
                Ok(count) => {
                    length += count;
                    if length >= 4 << 20 {
                        break;
                    }
                    if length == self.content.len() {
                        self.content.resize(length * 2, 0);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.content[..length])
    }
}

/// A small text file in one piece, trimmed; `None` where it cannot be read.
pub(crate) fn text(path: &str) -> Option<String> {
    let content = Reader::default().file(path).ok()?.to_vec();
    Some(String::from_utf8_lossy(&content).trim().to_owned())
}

/// The target of a link in `/proc`.
pub(crate) fn link(path: &str) -> io::Result<String> {
    Ok(std::fs::read_link(path)?.to_string_lossy().into_owned())
}

/// Numbers that name the entries of a folder (`/proc`, `task`, `fd`), sorted.
pub(crate) fn numbers(path: &str) -> io::Result<Vec<i32>> {
    let mut result: Vec<i32> =
        std::fs::read_dir(path)?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    result.sort_unstable();
    Ok(result)
}
