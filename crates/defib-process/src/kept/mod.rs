//! The kept output of a run: the beginning, the end, and how much lies between.
//!
//! Each stream has `<stem>.log`. Without a budget it holds everything. With one,
//! the first half of the stream's share goes there, and what follows goes round
//! in a ring of fixed size, `<stem>.tail`, which always holds the last bytes.
//!
//! ```text
//! offset in the stream   0 ........ base ........ start ......... total
//!                        └ .log ────┘   └ gap ────┘└ .tail (ring) ┘
//! ```
//!
//! The ring survives a SIGKILL between any two writes. Its header holds
//! `committed` (bytes of the stream that are surely there) and `reserved` (how
//! far a write in flight may have come): a slot is lost to new bytes when it is
//! reserved, and gained when it is committed, so what lies in
//! `reserved - capacity .. committed` is whole at every moment.
//!
//! A full disk never holds up the program: keeping stops, the reason and the
//! number of bytes lost are told, and output still passes through.

mod reader;
mod writer;

pub use reader::{Extent, KeptLog, Piece};
pub(crate) use writer::KeptWriter;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Bytes before the ring in a `.tail` file, so that the ring begins on a page.
const RING_AT: u64 = 4096;
const MAGIC: &[u8; 8] = b"dfbtail1";

/// Header of a `.tail` file: five little-endian words, the first the magic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    capacity: u64,
    /// Offset in the stream where the ring takes over from the log.
    base: u64,
    committed: u64,
    reserved: u64,
}

impl Header {
    const LENGTH: usize = 40;

    fn read(file: &File) -> io::Result<Self> {
        let mut bytes = [0; Self::LENGTH];
        file.read_exact_at(&mut bytes, 0)?;
        let word = |index: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
            word
        };
        let number = |index| u64::from_le_bytes(word(index));
        let header = Self { capacity: number(1), base: number(2), committed: number(3), reserved: number(4) };
        if word(0) != *MAGIC || header.capacity == 0 || header.committed > header.reserved {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no kept output"));
        }
        Ok(header)
    }

    fn write(&self, file: &File) -> io::Result<()> {
        let mut bytes = [0; Self::LENGTH];
        bytes[..8].copy_from_slice(MAGIC);
        let words = [self.capacity, self.base, self.committed, self.reserved];
        for (place, word) in bytes[8..].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        file.write_all_at(&bytes, 0)
    }

    /// First offset of the stream that the ring surely holds.
    fn start(&self) -> u64 {
        self.base.max(self.reserved.saturating_sub(self.capacity)).min(self.committed)
    }

    /// The pieces of the file that hold `length` bytes from `offset` of the stream:
    /// place in the file and length. The second is empty unless the ring wraps.
    fn places(&self, offset: u64, length: usize) -> [(u64, usize); 2] {
        let place = (offset - self.base) % self.capacity;
        let first = length.min(usize::try_from(self.capacity - place).unwrap_or(usize::MAX));
        [(RING_AT + place, first), (RING_AT, length - first)]
    }
}
