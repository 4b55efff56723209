//! Text that a program has printed and its C library holds back.
//!
//! Where standard output is no terminal, glibc collects what `printf` and `std::cout`
//! bring and writes it block by block. How much waits there stands in the stream's
//! own record, the exported `_IO_2_1_stdout_`, whose layout is the same in every glibc
//! since 2.1 (`struct _IO_FILE`). Other C libraries are not read.

use std::fs::File;
use std::io::Read as _;

use crate::files::Reader;
use crate::sys;

/// A C library larger than this is none.
const MOST_BYTES: u64 = 16 << 20;
/// More than this is no buffer.
const MOST_HELD: u64 = 16 << 20;
/// Length of the part of the record that is read, and where in it things stand.
const RECORD: usize = 120;
const WRITE_BASE: usize = 32;
const WRITE_POINTER: usize = 40;
const DESCRIPTOR: usize = 112;

/// Bytes that wait in the C library's buffer for standard output; `None` where that
/// cannot be told.
pub(crate) fn held_back(pid: i32) -> Option<u64> {
    let mut reader = Reader::default();
    let maps = reader.process(pid, "maps").ok()?;
    let (base, path) = library(&String::from_utf8_lossy(maps))?;
    let offset = stream_offset(&format!("/proc/{pid}/root{path}"))?;
    let mut record = [0; RECORD];
    let length = sys::read_remote(pid, base.checked_add(offset)?, &mut record).ok()?;
    held_in(&record[..length])
}

/// Where the C library begins, and its path.
fn library(maps: &str) -> Option<(u64, String)> {
    maps.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (range, offset, path) = (words.first()?, words.get(2)?, words.get(5)?);
        let name = path.rsplit('/').next()?;
        let glibc = name == "libc.so.6" || name.starts_with("libc-2.");
        let first = u64::from_str_radix(offset, 16) == Ok(0);
        let start = u64::from_str_radix(range.split('-').next()?, 16).ok()?;
        (glibc && first).then(|| (start, (*path).to_owned()))
    })
}

/// Address of the record of standard output within the library.
fn stream_offset(path: &str) -> Option<u64> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    let library = goblin::elf::Elf::parse(&bytes).ok().filter(|library| library.is_64)?;
    let named = |symbol: &goblin::elf::Sym| library.dynstrtab.get_at(symbol.st_name) == Some("_IO_2_1_stdout_");
    library.dynsyms.iter().find(named).map(|symbol| symbol.st_value)
}

fn held_in(record: &[u8]) -> Option<u64> {
    let word = |at: usize| record.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes);
    let descriptor = record.get(DESCRIPTOR..DESCRIPTOR + 4)?.try_into().ok().map(i32::from_ne_bytes)?;
    let held = word(WRITE_POINTER)?.checked_sub(word(WRITE_BASE)?)?;
    (descriptor == 1 && held <= MOST_HELD).then_some(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_among_the_maps() {
        let maps = "55d0-55d1 r--p 00000000 fd:00 1 /usr/bin/x\n\
                    7f10-7f20 r-xp 00026000 fd:00 2 /usr/lib/x86_64-linux-gnu/libc.so.6\n\
                    7f00-7f10 r--p 00000000 fd:00 2 /usr/lib/x86_64-linux-gnu/libc.so.6\n";
        assert_eq!(library(maps), Some((0x7f00, "/usr/lib/x86_64-linux-gnu/libc.so.6".to_owned())));
        assert_eq!(library("7f00-7f10 r--p 00000000 fd:00 2 /lib/ld-musl-x86_64.so.1\n"), None);
    }

    #[test]
    fn a_record_of_another_stream_tells_nothing() {
        let mut record = [0; RECORD];
        record[WRITE_BASE..WRITE_BASE + 8].copy_from_slice(&0x1000_u64.to_ne_bytes());
        record[WRITE_POINTER..WRITE_POINTER + 8].copy_from_slice(&0x1010_u64.to_ne_bytes());
        assert_eq!(held_in(&record), None);
        record[DESCRIPTOR..].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(held_in(&record), Some(16));
        record[WRITE_BASE + 7] = 1;
        assert_eq!(held_in(&record), None);
        assert_eq!(held_in(&record[..50]), None);
    }
}
