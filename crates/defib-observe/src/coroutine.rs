//! Where suspended coroutines of asyncio stand.
//!
//! A loop that has nothing to run shows nothing but its own `select`; what its
//! tasks wait for lies in objects: task, coroutine, frame, and what that awaits
//! in turn. They are followed from the task that `run_until_complete` holds,
//! with plain reads of memory. The layouts are those of CPython 3.8 to 3.13;
//! every step is checked by the name of the type, so that a wrong layout ends
//! the walk instead of telling a tale. From 3.11 on all tasks are found through
//! the set that `asyncio.tasks` keeps of them.

use defib_core::facts::{Frame, PythonStack};

use crate::sys;

/// Longest chain of awaits that is followed.
const DEEPEST: usize = 30;
/// Most tasks of one `gather`.
const MOST_TASKS: usize = 24;

/// Offsets in the objects of one version, bytes.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// From a coroutine to its frame object (older) or its embedded code pointer.
    frame: Where,
    /// In a code object: first line, line table, start of the instructions.
    first_line: u64,
    line_table: u64,
    instructions: u64,
    file: u64,
    name: u64,
    /// Start of the characters in a compact ASCII string and in any other.
    text: (u64, u64),
    table: Table,
}

/// How a suspended frame is reached and read.
#[derive(Debug, Clone, Copy)]
enum Where {
    /// A frame object at +16; the last instruction as an index in bytes or units;
    /// the value stack is found by scanning.
    Object { last: u64, units: u64 },
    /// Embedded: offsets of code, last instruction, stack depth and locals.
    Embedded { code: u64, last: u64, depth: u64, locals: u64 },
}

/// Format of the line table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    /// Pairs of byte and line increments (to 3.9).
    Increments,
    /// PEP 626 (3.10).
    Ranges,
    /// Locations with columns (from 3.11).
    Locations,
}

fn layout(version: &str) -> Option<Layout> {
    let older = |last, units, table| Layout {
        frame: Where::Object { last, units },
        first_line: 40,
        line_table: 120,
        instructions: 0,
        file: 104,
        name: 112,
        text: (48, 72),
        table,
    };
    let newer = |frame, first_line, instructions, text| Layout {
        frame,
        first_line,
        line_table: 136,
        instructions,
        file: 112,
        name: 128,
        text,
        table: Table::Locations,
    };
    let embedded = Where::Embedded { code: 72, last: 128, depth: 136, locals: 144 };
    Some(match version {
        "3.8" | "3.9" => older(104, 1, Table::Increments),
        "3.10" => older(96, 2, Table::Ranges),
        "3.11" => newer(Where::Embedded { code: 112, last: 136, depth: 144, locals: 152 }, 72, 184, (48, 72)),
        "3.12" => newer(embedded, 68, 192, (40, 56)),
        "3.13" => newer(embedded, 68, 200, (40, 56)),
        _ => return None,
    })
}

/// The suspended tasks that a thread's loop runs, innermost frame first: the main
/// task, or those that its `gather` waits for.
pub(crate) fn tasks(pid: i32, version: &str, stack: &PythonStack) -> Vec<Vec<Frame>> {
    let Some(layout) = layout(version) else { return Vec::new() };
    let of_loop =
        |frame: &&Frame| frame.file.ends_with("asyncio/runners.py") || frame.file.ends_with("asyncio/base_events.py");
    let wanted = ["future", "task", "coro", "main"];
    let mut starts: Vec<(usize, u64)> = Vec::new();
    for local in stack.frames.iter().filter(of_loop).flat_map(|frame| &frame.locals) {
        if let Some(rank) = wanted.iter().position(|name| *name == local.name)
            && local.address != 0
        {
            starts.push((rank, local.address));
        }
    }
    starts.sort_unstable();
    let memory = Memory { pid, layout };
    for (_, start) in starts {
        let main = memory.walk(start, 0);
        if main.is_empty() {
            continue;
        }
        // What the others wait for is nearer to the trouble than who waits for them.
        let mut all: Vec<Vec<Frame>> =
            memory.all_tasks(start).into_iter().flat_map(|task| memory.walk(task, 1)).collect();
        all.retain(|task| !main.contains(task));
        all.truncate(MOST_TASKS);
        all.extend(main);
        return all;
    }
    Vec::new()
}

struct Memory {
    pid: i32,
    layout: Layout,
}

impl Memory {
    /// Follows what an object awaits. Several branches come only from `gather`.
    fn walk(&self, start: u64, depth: usize) -> Vec<Vec<Frame>> {
        let mut frames: Vec<Frame> = Vec::new();
        let mut object = start;
        for _ in 0..DEEPEST {
            let Some(kind) = self.type_name(object) else { break };
            let next = match kind.rsplit('.').next().unwrap_or(&kind) {
                "Task" => self.find(object, 8..32, &["coroutine", "generator"]),
                "coroutine" | "generator" | "async_generator" => {
                    let Some((frame, next)) = self.suspended(object) else { break };
                    frames.push(frame);
                    next
                }
                "FutureIter" | "coroutine_wrapper" | "async_generator_asend" | "async_generator_athrow" => {
                    self.word(object + 16)
                }
                "_GatheringFuture" if depth < 2 => {
                    let children = self.children(object);
                    let mut branches: Vec<Vec<Frame>> =
                        children.into_iter().flat_map(|child| self.walk(child, depth + 1)).take(MOST_TASKS).collect();
                    for branch in &mut branches {
                        branch.extend(frames.iter().rev().cloned());
                    }
                    if !branches.is_empty() {
                        return branches;
                    }
                    break;
                }
                _ => break,
            };
            match next {
                Some(next) => object = next,
                None => break,
            }
        }
        frames.reverse();
        if frames.is_empty() { Vec::new() } else { vec![frames] }
    }

    /// Every task of the program, where the coroutine's module has imported asyncio.
    fn all_tasks(&self, start: u64) -> Vec<u64> {
        self.find_all_tasks(start).unwrap_or_default()
    }

    fn find_all_tasks(&self, start: u64) -> Option<Vec<u64>> {
        let Where::Embedded { code, locals, .. } = self.layout.frame else { return None };
        let coroutine = match self.type_name(start)?.rsplit('.').next()? {
            "Task" => self.find(start, 8..32, &["coroutine"])?,
            _ => start,
        };
        // 3.11 has the function before the globals and the code behind them.
        let globals = if locals == 152 { code - 24 } else { code + 24 };
        let module = |dictionary: u64, name: &str| {
            let module =
                self.item(dictionary, name).filter(|module| self.type_name(*module).as_deref() == Some("module"))?;
            self.word(module + 16)
        };
        let asyncio = module(self.word(coroutine + globals)?, "asyncio")?;
        let tasks = module(asyncio, "tasks")?;
        let weak = self.item(tasks, "_scheduled_tasks").or_else(|| self.item(tasks, "_all_tasks"))?;
        let set = self.set_of(weak)?;
        let (mask, table) = (self.word(set + 32)?, self.word(set + 40)?);
        let entries = self.block(table, (mask.min(4000) + 1) * 16)?;
        let references =
            entries.chunks_exact(16).filter_map(|entry| Some(u64::from_ne_bytes(entry[..8].try_into().ok()?)));
        let live =
            references.filter(|reference| self.type_name(*reference).is_some_and(|kind| kind.starts_with("weakref")));
        Some(live.filter_map(|reference| self.word(reference + 16)).take(200).collect())
    }

    /// The set in a `WeakSet`: in its dictionary, or in values before or behind the object.
    fn set_of(&self, object: u64) -> Option<u64> {
        let is_set = |pointer: &u64| self.type_name(*pointer).as_deref() == Some("set");
        let near = [object - 32, object - 24, object + 16, object + 24, object + 32, object + 40, object + 48];
        near.into_iter()
            .filter_map(|place| self.word(place))
            .map(|pointer| pointer & !7)
            .filter(|&pointer| pointer != 0)
            .find_map(|pointer| {
                if is_set(&pointer) {
                    return Some(pointer);
                }
                if self.type_name(pointer).as_deref() == Some("dict") {
                    return self.item(pointer, "data").filter(is_set);
                }
                (0..6).filter_map(|index| self.word(pointer + index * 8)).find(is_set)
            })
    }

    /// The value of a string key in a dictionary (3.11 and newer).
    fn item(&self, dictionary: u64, wanted: &str) -> Option<u64> {
        let keys = self.word(dictionary + 32)?;
        let head: [u8; 32] = self.read(keys)?;
        let (index_bytes, kind) = (u32::from(head[9]), head[10]);
        let entries = u64::from_ne_bytes(head[24..32].try_into().ok()?).min(4000);
        let size: u64 = if kind == 0 { 24 } else { 16 };
        let block = self.block(keys + 32 + 1u64.checked_shl(index_bytes)?, entries * size)?;
        let at = |entry: &[u8], from: usize| Some(u64::from_ne_bytes(entry.get(from..from + 8)?.try_into().ok()?));
        let skip = if kind == 0 { 8 } else { 0 };
        block.chunks_exact(usize::try_from(size).ok()?).find_map(|entry| {
            let key = at(entry, skip)?;
            (key != 0 && self.is_text(key, wanted)).then(|| at(entry, skip + 8))?
        })
    }

    /// The string has this ASCII text.
    fn is_text(&self, object: u64, wanted: &str) -> bool {
        let length = u64::try_from(wanted.len()).unwrap_or(0);
        self.word(object + 16) == Some(length)
            && self.block(object + self.layout.text.0, length).as_deref() == Some(wanted.as_bytes())
    }

    /// The frame of a suspended coroutine, and what it awaits.
    fn suspended(&self, coroutine: u64) -> Option<(Frame, Option<u64>)> {
        match self.layout.frame {
            Where::Object { last, units } => {
                let frame = self.word(coroutine + 16)?;
                if self.type_name(frame)? != "frame" {
                    return None;
                }
                let code = self.word(frame + 32)?;
                let last = i64::from(self.int(frame + last)?) * i64::try_from(units).ok()?;
                let awaited = self.find_last(frame, 14..80);
                Some((self.frame(code, last)?, awaited))
            }
            Where::Embedded { code, last, depth, locals } => {
                let code = self.word(coroutine + code)?;
                let instruction = self.word(coroutine + last)?;
                let last = instruction.checked_sub(code + self.layout.instructions)?;
                let depth = u64::try_from(self.int(coroutine + depth)?).ok().filter(|depth| (1..4000).contains(depth));
                let awaited = depth.and_then(|depth| self.word(coroutine + locals + (depth - 1) * 8));
                Some((self.frame(code, i64::try_from(last).ok()?)?, awaited))
            }
        }
    }

    fn frame(&self, code: u64, last: i64) -> Option<Frame> {
        if self.type_name(code)? != "code" {
            return None;
        }
        let table = self.bytes_object(self.word(code + self.layout.line_table)?)?;
        let first = i64::from(self.int(code + self.layout.first_line)?);
        let line = line_at(self.layout.table, &table, first, last)?;
        Some(Frame {
            function: self.function(code)?,
            file: self.text(self.word(code + self.layout.file)?)?,
            line: u32::try_from(line).ok()?,
            locals: Vec::new(),
        })
    }

    /// `Semaphore.acquire`, `worker`: qualified where the version knows it.
    fn function(&self, code: u64) -> Option<String> {
        let name = self.text(self.word(code + self.layout.name)?)?;
        Some(name.rsplit("<locals>.").next().unwrap_or(&name).to_owned())
    }

    /// The tasks that a gathering future waits for: a list in its dictionary.
    fn children(&self, future: u64) -> Vec<u64> {
        // From 3.13 on the values may lie behind the object itself.
        let dictionary = self.find(future, 2..40, &["dict"]);
        let places = match dictionary {
            Some(dictionary) => vec![self.word(dictionary + 40), self.word(dictionary + 32)],
            None => vec![Some(future + 16)],
        };
        let list = places
            .into_iter()
            .flatten()
            .filter(|&place| place != 0)
            .find_map(|place| self.find(place, 0..96, &["list"]));
        let Some(list) = list else { return Vec::new() };
        let (Some(length), Some(items)) = (self.word(list + 16), self.word(list + 24)) else { return Vec::new() };
        (0..length.min(200)).filter_map(|index| self.word(items + index * 8)).collect()
    }

    /// The first pointer among these words of an object to an object of such a type.
    fn find(&self, object: u64, words: std::ops::Range<u64>, kinds: &[&str]) -> Option<u64> {
        words
            .filter_map(|index| self.word(object + index * 8))
            .find(|&pointer| self.type_name(pointer).is_some_and(|kind| kinds.contains(&kind.as_str())))
    }

    /// The last pointer to something that can be awaited: the top of the value stack.
    fn find_last(&self, object: u64, words: std::ops::Range<u64>) -> Option<u64> {
        let awaitable = |pointer: &u64| {
            let kind = self.type_name(*pointer).unwrap_or_default();
            [
                "coroutine",
                "generator",
                "async_generator",
                "coroutine_wrapper",
                "async_generator_asend",
                "_asyncio.FutureIter",
                "_asyncio.Future",
                "_asyncio.Task",
                "_GatheringFuture",
            ]
            .contains(&kind.as_str())
        };
        words.filter_map(|index| self.word(object + index * 8)).rfind(awaitable)
    }

    fn read<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        let readable = (4096..1 << 47).contains(&address);
        (readable && sys::read_remote(self.pid, address, &mut bytes).ok()? == N).then_some(bytes)
    }

    fn word(&self, address: u64) -> Option<u64> {
        self.read(address).map(u64::from_ne_bytes)
    }

    fn int(&self, address: u64) -> Option<i32> {
        self.read(address).map(i32::from_ne_bytes)
    }

    /// `tp_name` of the object's type.
    fn type_name(&self, object: u64) -> Option<String> {
        if object & 7 != 0 {
            return None;
        }
        let name = self.word(self.word(object + 8)? + 24)?;
        let bytes: [u8; 40] = self.read(name)?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        let text = std::str::from_utf8(&bytes[..end]).ok()?;
        text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.').then(|| text.to_owned())
    }

    fn block(&self, address: u64, length: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).ok().filter(|length| *length <= 1 << 16)?];
        let read = sys::read_remote(self.pid, address, &mut bytes).ok()?;
        (read == bytes.len()).then_some(bytes)
    }

    fn bytes_object(&self, object: u64) -> Option<Vec<u8>> {
        if self.type_name(object)? != "bytes" {
            return None;
        }
        self.block(object + 32, self.word(object + 16)?)
    }

    /// A `str`: compact, of one, two or four bytes a character.
    fn text(&self, object: u64) -> Option<String> {
        if self.type_name(object)? != "str" {
            return None;
        }
        let length = self.word(object + 16)?;
        // One byte of bits; what lies behind them may be anything.
        let state = u32::from(self.read::<1>(object + 32)?[0]);
        // Bits: interned (two, later more in the byte below), kind, compact, ascii.
        let (kind, ascii) = (u64::from(state >> 2 & 7), state >> 6 & 1 == 1);
        let start = if ascii { self.layout.text.0 } else { self.layout.text.1 };
        let bytes = self.block(object + start, length.checked_mul(kind.max(1))?)?;
        let point = |chunk: &[u8]| chunk.iter().rev().fold(0u32, |value, byte| value << 8 | u32::from(*byte));
        Some(
            bytes.chunks(usize::try_from(kind.max(1)).ok()?).filter_map(|chunk| char::from_u32(point(chunk))).collect(),
        )
    }
}

/// The line of an instruction, by the line table of its code.
fn line_at(table: Table, bytes: &[u8], first: i64, last: i64) -> Option<i64> {
    match table {
        Table::Increments => Some(by_increments(bytes, first, last)),
        Table::Ranges => by_ranges(bytes, first, last),
        Table::Locations => by_locations(bytes, first, last),
    }
}

fn signed(byte: u8) -> i64 {
    i64::from(i8::from_ne_bytes([byte]))
}

fn by_increments(bytes: &[u8], first: i64, last: i64) -> i64 {
    let (mut line, mut address) = (first, 0);
    for pair in bytes.chunks_exact(2) {
        address += i64::from(pair[0]);
        if address > last {
            break;
        }
        line += signed(pair[1]);
    }
    line
}

fn by_ranges(bytes: &[u8], first: i64, last: i64) -> Option<i64> {
    let (mut line, mut address) = (first, 0);
    for pair in bytes.chunks_exact(2) {
        let here = pair[1] != 0x80;
        if here {
            line += signed(pair[1]);
        }
        address += i64::from(pair[0]);
        if address > last {
            return here.then_some(line);
        }
    }
    None
}

fn by_locations(bytes: &[u8], first: i64, last: i64) -> Option<i64> {
    let (mut line, mut address, mut index) = (first, 0, 0);
    while let Some(&head) = bytes.get(index) {
        index += 1;
        let kind = head >> 3 & 15;
        let length = i64::from(head & 7) + 1;
        match kind {
            15 => {}
            13 | 14 => {
                line += zigzag(varint(bytes, &mut index)?);
                for _ in 0..if kind == 14 { 3 } else { 0 } {
                    varint(bytes, &mut index)?;
                }
            }
            10..=12 => {
                line += i64::from(kind) - 10;
                index += 2;
            }
            _ => index += 1,
        }
        address += length * 2;
        // An instruction of the compiler's own belongs to the line before it.
        if address > last {
            return Some(line);
        }
    }
    None
}

/// Six bits a byte, least significant first.
fn varint(bytes: &[u8], index: &mut usize) -> Option<u64> {
    let (mut value, mut shift) = (0u64, 0);
    loop {
        let byte = *bytes.get(*index)?;
        *index += 1;
        value |= u64::from(byte & 63).checked_shl(shift)?;
        shift += 6;
        if byte & 64 == 0 {
            return Some(value);
        }
        if shift > 60 {
            return None;
        }
    }
}

fn zigzag(value: u64) -> i64 {
    let half = i64::try_from(value >> 1).unwrap_or(0);
    if value & 1 == 1 { -half } else { half }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn increments_are_summed_up() {
        // Lines 10, 11 from byte 4 on, 9 from byte 8 on.
        let table = [0, 0, 4, 1, 4, 0xfe];
        assert_eq!([0, 4, 9].map(|last| by_increments(&table, 10, last)), [10, 11, 9]);
    }

    proptest! {
        #[test]
        fn any_table_ends(bytes in proptest::collection::vec(any::<u8>(), 0..400), last in 0i64..10_000) {
            for table in [Table::Increments, Table::Ranges, Table::Locations] {
                let _ = line_at(table, &bytes, 1, last);
            }
        }
    }
}
