//! How much of malloc's heap is free: memory that the program gave back and the C
//! library keeps.
//!
//! glibc writes the size of each block in front of it, and in the same word whether the
//! block before is in use (`mchunk_size`, `PREV_INUSE`). So a heap can be walked from
//! its first block to its last by copying memory, without a symbol and without a stop.
//! The main heap is the kernel's `[heap]`; those of other arenas begin at multiples of
//! 64 MiB with a short head. Blocks in a thread's cache count as used. What another
//! allocator wrote does not look like that, and nothing is said of it.

use std::time::{Duration, Instant};

use defib_core::facts::Heap;

use crate::files::Reader;
use crate::sys;

/// Time a walk may take: it runs while a limit of memory is reached.
const WITHIN: Duration = Duration::from_millis(150);
/// Bytes copied at once.
const PIECE: usize = 256 << 10;
/// Size and alignment of the heaps of other arenas.
const ARENA: u64 = 64 << 20;
/// Length of the head of an arena's heap: glibc before 2.35, and from then on. Its first
/// word points to the arena's record, which stands behind the head of the arena's first heap.
const HEADS: [u64; 2] = [0x20, 0x30];
/// Length of that record, rounded up to where blocks may begin.
const RECORD: u64 = 0x8a0;
/// Least size and alignment of a block.
const LEAST_BLOCK: u64 = 32;

/// Walks the heaps of a process; `None` where none looks like glibc's.
pub(crate) fn usage(pid: i32) -> Option<Heap> {
    let mut reader = Reader::default();
    let maps = String::from_utf8_lossy(reader.process(pid, "maps").ok()?).into_owned();
    let until = Instant::now() + WITHIN;
    let mut found = Heap::default();
    for (start, end, main) in heaps(&maps) {
        let mut memory = Memory::new(pid, end);
        let first = if main { Some(start) } else { first_block(&mut memory, start) };
        if let Some(heap) = first.and_then(|first| walk(memory, first, end, until)) {
            found.bytes += heap.bytes;
            found.free_bytes += heap.free_bytes;
        }
        if Instant::now() >= until {
            break;
        }
    }
    (found.bytes > 0).then_some(found)
}

/// Writable mappings that may be heaps: start, end, whether it is the main one.
fn heaps(maps: &str) -> Vec<(u64, u64, bool)> {
    let heap = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (start, end) = words.first()?.split_once('-')?;
        let start = u64::from_str_radix(start, 16).ok()?;
        let end = u64::from_str_radix(end, 16).ok()?;
        let main = words.get(5) == Some(&"[heap]");
        // The kernel may show a heap and what was mapped just below it as one.
        let first = if main { start } else { start.checked_next_multiple_of(ARENA)? };
        let named = words.get(5).is_some() && !main;
        let last = if main { end } else { end.min(first.saturating_add(ARENA)) };
        (words.get(1)?.starts_with("rw") && !named && first < end).then_some((first, last, main))
    };
    maps.lines().filter_map(heap).collect()
}

/// The first block of an arena's heap at this address. Other memory does not begin with a
/// pointer to just behind such a head: whatever an array holds is not taken for blocks.
fn first_block(memory: &mut impl Words, start: u64) -> Option<u64> {
    let arena = memory.word(start)?;
    let head = arena % ARENA;
    let own = arena - head == start;
    // A later heap of the same arena points to the first, and to the one before it.
    let later =
        !own && arena > ARENA && memory.word(start + 8).is_some_and(|before| before != 0 && before % ARENA == 0);
    if !HEADS.contains(&head) || !(own || later) {
        return None;
    }
    Some(start + head + if own { RECORD } else { 0 })
}

/// Where words are read from; tests put a vector here.
trait Words {
    /// The word at this address.
    fn word(&mut self, address: u64) -> Option<u64>;
}

/// Memory of a process, copied piece by piece.
struct Memory {
    pid: i32,
    end: u64,
    start: u64,
    piece: Vec<u8>,
}

impl Memory {
    fn new(pid: i32, end: u64) -> Self {
        Self { pid, end, start: 0, piece: Vec::new() }
    }
}

impl Words for Memory {
    fn word(&mut self, address: u64) -> Option<u64> {
        let inside = address >= self.start && address + 8 <= self.start + self.piece.len() as u64;
        if !inside {
            let length = usize::try_from(self.end.checked_sub(address)?).ok()?.min(PIECE);
            self.piece.resize(length, 0);
            let read = sys::read_remote(self.pid, address, &mut self.piece).ok()?;
            self.piece.truncate(read);
            self.start = address;
        }
        let at = usize::try_from(address - self.start).ok()?;
        self.piece.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes)
    }
}

/// From block to block. Where the blocks stop making sense (it moves meanwhile) or time
/// is over, what was seen until then counts if it is something.
fn walk(mut memory: impl Words, first: u64, end: u64, until: Instant) -> Option<Heap> {
    let mut heap = Heap::default();
    let mut at = first;
    // Free blocks are told by the next one.
    let mut before = 0;
    let mut blocks = 0_u32;
    let mut whole = false;
    loop {
        let field = memory.word(at + 8).unwrap_or(0);
        let size = field & !7;
        let fits =
            size >= LEAST_BLOCK && size.is_multiple_of(16) && at.checked_add(size).is_some_and(|next| next <= end);
        if fits && field & 1 == 0 {
            heap.free_bytes += before;
        }
        if !fits || (blocks.is_multiple_of(4096) && Instant::now() >= until) {
            break;
        }
        heap.bytes += size;
        blocks += 1;
        before = size;
        at += size;
        if end - at < LEAST_BLOCK {
            // The last block is what the heap still has to give.
            heap.free_bytes += size;
            whole = true;
            break;
        }
    }
    (whole || blocks > 16).then_some(heap)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Words for &[u64] {
        fn word(&mut self, address: u64) -> Option<u64> {
            self.get(usize::try_from(address / 8).ok()?).copied()
        }
    }

    /// A heap of blocks: size, in use.
    fn made(blocks: &[(u64, bool)]) -> (Vec<u64>, u64) {
        let end = blocks.iter().map(|block| block.0).sum::<u64>();
        let mut words = vec![0; usize::try_from(end / 8).unwrap() + 2];
        let (mut at, mut used) = (0, true);
        for (size, in_use) in blocks {
            words[at / 8 + 1] = size | u64::from(used);
            used = *in_use;
            at += usize::try_from(*size).unwrap();
        }
        (words, end)
    }

    #[test]
    fn free_blocks_are_told_by_the_next_and_the_last_is_free() {
        let mut blocks = vec![(0x290, true)];
        blocks.extend((0..20).flat_map(|_| [(0x1000, false), (0x40, true)]));
        blocks.push((0x2000, true));
        let (words, end) = made(&blocks);
        let heap = walk(words.as_slice(), 0, end, Instant::now() + Duration::from_secs(60)).unwrap();
        assert_eq!(heap.bytes, end);
        assert_eq!(heap.free_bytes, 20 * 0x1000 + 0x2000);
    }

    /// The first words of a mapping at the ninth multiple of an arena's size.
    struct Mapped([u64; 2]);

    const AT: u64 = 9 * ARENA;

    impl Words for Mapped {
        fn word(&mut self, address: u64) -> Option<u64> {
            self.0.get(usize::try_from((address - AT) / 8).ok()?).copied()
        }
    }

    #[test]
    fn an_array_at_the_place_of_a_heap_is_none() {
        let first = |words: [u64; 2]| first_block(&mut Mapped(words), AT);
        // As blocks these would all be free.
        assert_eq!(first([48, 48]), None);
        assert_eq!(first([0, 0]), None);
        // An arena's first heap, before 2.35 and since.
        assert_eq!(first([AT + 0x20, 0]), Some(AT + 0x8c0));
        assert_eq!(first([AT + 0x30, 0]), Some(AT + 0x8d0));
        // A later heap names the one before it.
        assert_eq!(first([5 * ARENA + 0x30, 5 * ARENA]), Some(AT + 0x30));
        assert_eq!(first([5 * ARENA + 0x30, 7]), None);
    }

    #[test]
    fn what_is_no_heap_is_not_measured() {
        let words = vec![0x4141_4141_4141_4141_u64; 4096];
        assert_eq!(walk(words.as_slice(), 0, 4096 * 8, Instant::now() + Duration::from_secs(60)), None);
        let maps = "5000-6000 rw-p 0 0:0 0 [heap]\n4000000-4021000 rw-p 0 0:0 0\n4100000-4121000 rw-p 0 0:0 0\n\
                    8000000-8021000 r--p 0 0:0 0\n8000000-8021000 rw-p 0 0:0 9 /x\nnonsense\n\
                    bff0000-c021000 rw-p 0 0:0 0\nfffffffffffff000-ffffffffffffffff rw-p 0 0:0 0\n";
        let expected = [(0x5000, 0x6000, true), (0x400_0000, 0x402_1000, false), (0xc00_0000, 0xc02_1000, false)];
        assert_eq!(heaps(maps), expected);
    }
}
