//! Reads the kept output of one stream, also while it is still written.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use defib_core::event::Stream;

use super::Header;

/// What is kept of a stream: `0..head_end` and `tail_start..total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// End of the beginning.
    pub head_end: u64,
    /// Start of the end; equals `head_end` if everything is kept.
    pub tail_start: u64,
    /// Bytes of the stream as far as they could be kept.
    pub total: u64,
}

impl Extent {
    /// Bytes between beginning and end that are not kept.
    #[must_use]
    pub fn gap(&self) -> u64 {
        self.tail_start - self.head_end
    }
}

/// Where the bytes of a read lie in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Offset of the first; beyond the offset asked for if bytes before it are not kept.
    pub start: u64,
    /// How many there are; 0 at the end.
    pub length: usize,
}

impl Piece {
    /// Offset at which to read on.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start + self.length as u64
    }
}

/// The kept output of one stream.
#[derive(Debug)]
pub struct KeptLog {
    head: File,
    ring: Option<File>,
    ring_path: PathBuf,
}

impl KeptLog {
    /// Opens what is kept of a stream.
    ///
    /// # Errors
    /// Those of opening a file; `NotFound` if the run has no such stream.
    pub fn open(folder: &Path, stream: Stream) -> io::Result<Self> {
        let path = folder.join(format!("{}.log", stream.stem()));
        Ok(Self { head: File::open(&path)?, ring: None, ring_path: path.with_extension("tail") })
    }

    fn ring(&mut self) -> io::Result<Option<(&File, Header)>> {
        if self.ring.is_none() {
            self.ring = match File::open(&self.ring_path) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        let Some(file) = &self.ring else {
            return Ok(None);
        };
        match Header::read(file) {
            Ok(header) => Ok(Some((file, header))),
            // Created, and its header not yet written.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What there is now.
    ///
    /// # Errors
    /// Those of reading files; `InvalidData` if the ring's header is none.
    pub fn extent(&mut self) -> io::Result<Extent> {
        let header = self.ring()?.map(|(_, header)| header);
        let head_end = self.head.metadata()?.len();
        Ok(match header {
            None => Extent { head_end, tail_start: head_end, total: head_end },
            Some(header) => Extent { head_end: header.base, tail_start: header.start(), total: header.committed },
        })
    }

    /// Reads from this offset of the stream, or from the first kept byte after it.
    /// To follow a stream, read on at [`Piece::end`].
    ///
    /// # Errors
    /// Those of [`KeptLog::extent`] and of reading.
    pub fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<Piece> {
        let extent = self.extent()?;
        if offset < extent.head_end {
            let within = buffer.len().min(clamp(extent.head_end - offset));
            let length = self.head.read_at(&mut buffer[..within], offset)?;
            return Ok(Piece { start: offset, length });
        }
        let Some((file, header)) = self.ring()? else {
            return Ok(Piece { start: offset, length: 0 });
        };
        let start = offset.max(header.start());
        let length = buffer.len().min(clamp(header.committed.saturating_sub(start)));
        let mut done = 0;
        for (place, piece) in header.places(start, length) {
            file.read_exact_at(&mut buffer[done..done + piece], place)?;
            done += piece;
        }
        // The writer may have come round meanwhile: what it overtook is not ours.
        let overtaken = Header::read(file)?.start().saturating_sub(start);
        let skip = length.min(clamp(overtaken));
        buffer.copy_within(skip..length, 0);
        Ok(Piece { start: start + skip as u64, length: length - skip })
    }

    /// At most the first `length` bytes of the stream.
    ///
    /// # Errors
    /// Those of [`KeptLog::read_at`].
    pub fn read_head(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let head_end = self.extent()?.head_end;
        self.read_range(0, length.min(clamp(head_end)))
    }

    /// At most the last `length` bytes of the stream, without a gap in them.
    ///
    /// # Errors
    /// Those of [`KeptLog::read_at`].
    pub fn read_tail(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let extent = self.extent()?;
        let mut start = extent.total.saturating_sub(length as u64);
        if extent.gap() > 0 {
            start = start.max(extent.tail_start);
        }
        self.read_range(start, clamp(extent.total - start))
    }

    fn read_range(&mut self, start: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut done = 0;
        while done < length {
            let piece = self.read_at(start + done as u64, &mut bytes[done..])?;
            if piece.length == 0 || piece.start != start + done as u64 {
                break;
            }
            done += piece.length;
        }
        bytes.truncate(done);
        Ok(bytes)
    }

    /// Copies everything kept so far from `offset` on, with a line of `marker` in place of
    /// each gap, and returns the offset it reached.
    ///
    /// # Errors
    /// Those of [`KeptLog::read_at`] and of `out`.
    pub fn copy_to(
        &mut self,
        mut offset: u64,
        out: &mut impl Write,
        marker: impl Fn(u64) -> String,
    ) -> io::Result<u64> {
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let piece = self.read_at(offset, &mut buffer)?;
            if piece.start > offset {
                write!(out, "\n{}\n", marker(piece.start - offset))?;
            }
            offset = piece.end();
            if piece.length == 0 {
                return Ok(offset);
            }
            out.write_all(&buffer[..piece.length])?;
        }
    }
}

fn clamp(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::KeptWriter;
    use super::*;
    use proptest::prelude::*;

    fn bytes(total: usize) -> Vec<u8> {
        (0..total).map(|at| (at.wrapping_mul(2_654_435_761) >> 7) as u8).collect()
    }

    proptest! {
        #[test]
        fn head_gap_and_tail_are_exact(
            chunks in prop::collection::vec(0_usize..300, 0..40),
            share in 1_u64..600,
            ask in 0_usize..700,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let all = bytes(chunks.iter().sum());
            let mut writer = KeptWriter::create(folder.path(), Stream::Stdout, Some(share));
            let mut log = KeptLog::open(folder.path(), Stream::Stdout).unwrap();
            let mut done = 0;
            for chunk in chunks {
                writer.append(&all[done..done + chunk]);
                done += chunk;
                let extent = log.extent().unwrap();
                prop_assert_eq!(extent.total, done as u64);
            }
            prop_assert_eq!(writer.total(), all.len() as u64);
            let extent = log.extent().unwrap();
            let (head, tail) = (extent.head_end as usize, extent.tail_start as usize);
            prop_assert_eq!(head as u64, (share / 2).min(all.len() as u64));
            prop_assert_eq!((all.len() - tail) as u64,
                (share - share / 2).min((all.len() - head) as u64));
            prop_assert_eq!(writer.not_kept().0, extent.gap());
            prop_assert_eq!(&log.read_head(ask).unwrap()[..], &all[..head.min(ask)]);
            let last = log.read_tail(ask).unwrap();
            prop_assert!(all.ends_with(&last));
            let kept = if extent.gap() > 0 { all.len() - tail } else { all.len() };
            prop_assert_eq!(last.len(), ask.min(kept));
            let mut copy = Vec::new();
            log.copy_to(0, &mut copy, |gap| format!("[{gap}]")).unwrap();
            let mut expected = all[..head].to_vec();
            if extent.gap() > 0 {
                expected.extend(format!("\n[{}]\n", extent.gap()).bytes());
            }
            expected.extend(&all[tail..]);
            prop_assert_eq!(copy, expected);
        }
    }

    #[test]
    fn a_kill_between_two_writes_leaves_whole_bytes() {
        // A header that reserves a chunk which was only half written.
        let folder = tempfile::tempdir().unwrap();
        let all = bytes(1000);
        let mut writer = KeptWriter::create(folder.path(), Stream::Stderr, Some(200));
        writer.append(&all[..500]);
        let ring = File::options().read(true).write(true).open(folder.path().join("stderr.tail")).unwrap();
        let header = Header::read(&ring).unwrap();
        Header { reserved: header.committed + 30, ..header }.write(&ring).unwrap();
        for (place, length) in header.places(500, 30) {
            ring.write_all_at(&vec![0xee; length], place).unwrap();
        }
        let mut log = KeptLog::open(folder.path(), Stream::Stderr).unwrap();
        assert_eq!(log.extent().unwrap(), Extent { head_end: 100, tail_start: 430, total: 500 });
        assert_eq!(log.read_tail(1000).unwrap(), &all[430..500]);
    }

    #[test]
    fn everything_is_kept_without_a_budget() {
        let folder = tempfile::tempdir().unwrap();
        let all = bytes(3_000_000);
        let mut writer = KeptWriter::create(folder.path(), Stream::Terminal, None);
        all.chunks(70_001).for_each(|chunk| writer.append(chunk));
        let mut log = KeptLog::open(folder.path(), Stream::Terminal).unwrap();
        assert_eq!(log.read_head(usize::MAX).unwrap(), all);
        assert_eq!(writer.not_kept(), (0, None));
    }
}
