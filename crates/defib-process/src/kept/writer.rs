//! Writes the kept output of one stream.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use defib_core::event::Stream;

use super::Header;

/// Keeps what one stream brings.
#[derive(Debug)]
pub(crate) struct KeptWriter {
    head: Option<File>,
    /// Bytes that still fit into the log; `None` without a budget.
    head_left: Option<u64>,
    ring: Option<(File, Header)>,
    ring_path: PathBuf,
    ring_capacity: u64,
    /// Bytes of the stream so far, kept or not.
    total: u64,
    /// Bytes lost to an error, which are in addition to the gap.
    lost: u64,
    trouble: Option<String>,
}

impl KeptWriter {
    /// Starts keeping a stream; with a budget, at most `share` bytes of it. If the
    /// log cannot be created, nothing is kept and the reason is told. What an earlier
    /// start of the same run kept is set aside as `<stem>.1.log`, `<stem>.2.log`, …
    pub(crate) fn create(folder: &Path, stream: Stream, share: Option<u64>) -> Self {
        let path = folder.join(format!("{}.log", stream.stem()));
        set_aside(folder, stream.stem());
        let (head, trouble) = match OpenOptions::new().write(true).create(true).truncate(true).open(&path) {
            Ok(file) => (Some(file), None),
            Err(error) => (None, Some(format!("{}: {error}", path.display()))),
        };
        let head_left = share.map(|share| share / 2);
        Self {
            head,
            head_left,
            ring: None,
            ring_path: path.with_extension("tail"),
            ring_capacity: share.map_or(0, |share| share - share / 2),
            total: 0,
            lost: 0,
            trouble,
        }
    }

    /// Keeps these bytes, as far as budget and disk allow.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        if self.trouble.is_some() {
            self.lost += bytes.len() as u64;
            return;
        }
        let fits =
            self.head_left.map_or(bytes.len(), |left| bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        let (head, rest) = bytes.split_at(fits);
        let kept = self.append_head(head).and_then(|()| self.append_ring(rest));
        if let Err((error, lost)) = kept {
            self.lost += lost as u64 + if lost <= head.len() { rest.len() as u64 } else { 0 };
            self.trouble = Some(error.to_string());
        }
    }

    /// On error, how many of the bytes were not written.
    fn append_head(&mut self, mut bytes: &[u8]) -> Result<(), (io::Error, usize)> {
        while !bytes.is_empty() {
            let Some(file) = &mut self.head else {
                return Ok(());
            };
            match file.write(bytes) {
                Ok(0) => return Err((io::ErrorKind::WriteZero.into(), bytes.len())),
                Ok(written) => {
                    bytes = &bytes[written..];
                    if let Some(left) = &mut self.head_left {
                        *left -= written as u64;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((error, bytes.len())),
            }
        }
        Ok(())
    }

    fn append_ring(&mut self, bytes: &[u8]) -> Result<(), (io::Error, usize)> {
        if bytes.is_empty() {
            return Ok(());
        }
        let failed = |error| (error, bytes.len());
        if self.ring.is_none() {
            let base = self.total - bytes.len() as u64;
            self.ring = Some(self.create_ring(base).map_err(failed)?);
        }
        if let Some((file, header)) = &mut self.ring {
            write_ring(file, header, bytes).map_err(failed)?;
        }
        Ok(())
    }

    fn create_ring(&self, base: u64) -> io::Result<(File, Header)> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).open(&self.ring_path)?;
        let capacity = self.ring_capacity.max(1);
        let header = Header { capacity, base, committed: base, reserved: base };
        header.write(&file)?;
        Ok((file, header))
    }

    /// Bytes so far, kept or not.
    #[cfg(test)]
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Bytes so far that are not kept, and why.
    pub(crate) fn not_kept(&self) -> (u64, Option<String>) {
        let gap = self.ring.as_ref().map_or(0, |(_, header)| header.start() - header.base);
        let reason = match &self.trouble {
            Some(trouble) => Some(trouble.clone()),
            None if gap > 0 => Some("the budget for kept output is used up".to_owned()),
            None => None,
        };
        (gap + self.lost, reason)
    }
}

/// Renames what is already kept under this stem, log and ring, to the first free number.
fn set_aside(folder: &Path, stem: &str) {
    let name = |number: u32, kind: &str| folder.join(format!("{stem}.{number}.{kind}"));
    if !folder.join(format!("{stem}.log")).exists() {
        return;
    }
    let Some(number) = (1..1000).find(|&number| !name(number, "log").exists()) else {
        return;
    };
    for kind in ["log", "tail"] {
        // There need not be a ring; what cannot be renamed is overwritten.
        let _ = std::fs::rename(folder.join(format!("{stem}.{kind}")), name(number, kind));
    }
}

fn write_ring(file: &File, header: &mut Header, bytes: &[u8]) -> io::Result<()> {
    header.reserved = header.committed + bytes.len() as u64;
    header.write(file)?;
    // Of more than a whole round only the end would be left.
    let skip = bytes.len().saturating_sub(usize::try_from(header.capacity).unwrap_or(usize::MAX));
    let bytes = &bytes[skip..];
    let mut done = 0;
    for (place, length) in header.places(header.committed + skip as u64, bytes.len()) {
        file.write_all_at(&bytes[done..done + length], place)?;
        done += length;
    }
    header.committed = header.reserved;
    header.write(file)
}
