//! Parsers of `/proc` text: bytes in, numbers out, no file is opened here.
//!
//! They accept any bytes and never panic: a field that is missing or odd is
//! zero or `None`. Process names may hold spaces, brackets and newlines, so
//! `stat` is split at its last closing bracket.

use defib_core::facts::ProcessState;

/// What is used of `/proc/PID/stat` (or of a thread's).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) name: String,
    pub(crate) state: u8,
    pub(crate) ppid: i32,
    pub(crate) pgid: i32,
    pub(crate) sid: i32,
    /// It has a controlling terminal.
    pub(crate) terminal: bool,
    /// User and system time, in ticks.
    pub(crate) ticks: u64,
    /// The same of children that were waited for.
    pub(crate) child_ticks: u64,
    pub(crate) threads: u32,
    pub(crate) start_ticks: u64,
    pub(crate) rss_pages: u64,
    /// Addresses that a successful exec randomises; zeros where not permitted.
    pub(crate) image: Image,
    /// Wait status, meaningful for a zombie.
    pub(crate) exit_status: i32,
}

/// Addresses of a program image, equal in a child that never executed another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) start_code: u64,
    pub(crate) start_stack: u64,
    pub(crate) arg_start: u64,
    pub(crate) env_start: u64,
}

pub(crate) fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0u64, |sum, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

pub(crate) fn signed(text: &[u8]) -> Option<i32> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

pub(crate) fn hexadecimal(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

/// Parses `/proc/PID/stat`.
pub(crate) fn stat(text: &[u8]) -> Option<Stat> {
    let open = text.iter().position(|byte| *byte == b'(')?;
    let close = text.iter().rposition(|byte| *byte == b')')?;
    let name = text.get(open + 1..close)?;
    let mut result = Stat { name: String::from_utf8_lossy(name).into_owned(), ..Stat::default() };
    let fields = text.get(close + 1..)?.split(|byte| *byte == b' ' || *byte == b'\n');
    for (index, field) in fields.filter(|field| !field.is_empty()).enumerate() {
        let value = || number(field).unwrap_or(0);
        match index + 3 {
            3 => result.state = field[0],
            4 => result.ppid = signed(field)?,
            5 => result.pgid = signed(field).unwrap_or(0),
            6 => result.sid = signed(field).unwrap_or(0),
            7 => result.terminal = signed(field).is_some_and(|device| device != 0),
            14 | 15 => result.ticks = result.ticks.saturating_add(value()),
            16 | 17 => result.child_ticks = result.child_ticks.saturating_add(value()),
            20 => result.threads = u32::try_from(value()).unwrap_or(0),
            22 => result.start_ticks = value(),
            24 => result.rss_pages = value(),
            26 => result.image.start_code = value(),
            28 => result.image.start_stack = value(),
            48 => result.image.arg_start = value(),
            50 => result.image.env_start = value(),
            // The last but two of the fields; 0 where it may not be read.
            52 => result.exit_status = value() as i32,
            _ => {}
        }
    }
    (result.state != 0).then_some(result)
}

/// The meaning of a state letter.
pub(crate) fn state(letter: u8) -> ProcessState {
    match letter {
        b'R' => ProcessState::Running,
        b'S' => ProcessState::Sleeping,
        b'D' => ProcessState::DiskSleep,
        b'T' => ProcessState::Stopped,
        b't' => ProcessState::Traced,
        b'Z' => ProcessState::Zombie,
        b'X' | b'x' => ProcessState::Dead,
        _ => ProcessState::Other,
    }
}

/// The value of `key:` in a file of `key: value` lines.
pub(crate) fn field<'a>(text: &'a [u8], key: &str) -> Option<&'a [u8]> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let rest = line.strip_prefix(key.as_bytes())?;
        Some(rest.strip_prefix(b":")?.trim_ascii())
    })
}

/// A number of a `key: value [kB]` line; kilobytes are not converted.
pub(crate) fn field_number(text: &[u8], key: &str) -> Option<u64> {
    let value = field(text, key)?;
    number(value.split(|byte| *byte == b' ' || *byte == b'\t').next()?)
}

/// Voluntary and involuntary context switches of `/proc/PID/status`.
pub(crate) fn switches(status: &[u8]) -> u64 {
    // The two lines are the last of a long file: look from the end.
    let start = status.len().saturating_sub(120);
    let tail = status.get(start..).unwrap_or(status);
    tail.split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b':')?;
            line[..at].ends_with(b"ctxt_switches").then(|| number(&line[at + 1..]))?
        })
        .fold(0, u64::saturating_add)
}

/// `/proc/PID/io`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Io {
    pub(crate) read_chars: u64,
    pub(crate) written_chars: u64,
    pub(crate) read_bytes: u64,
    pub(crate) written_bytes: u64,
}

impl Io {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            read_chars: self.read_chars.saturating_add(other.read_chars),
            written_chars: self.written_chars.saturating_add(other.written_chars),
            read_bytes: self.read_bytes.saturating_add(other.read_bytes),
            written_bytes: self.written_bytes.saturating_add(other.written_bytes),
        }
    }

    /// The larger of each.
    pub(crate) fn at_least(self, other: Self) -> Self {
        Self {
            read_chars: self.read_chars.max(other.read_chars),
            written_chars: self.written_chars.max(other.written_chars),
            read_bytes: self.read_bytes.max(other.read_bytes),
            written_bytes: self.written_bytes.max(other.written_bytes),
        }
    }

    /// True where each of these counters is at least as large.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.at_least(other) == self
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            read_chars: self.read_chars.saturating_sub(other.read_chars),
            written_chars: self.written_chars.saturating_sub(other.written_chars),
            read_bytes: self.read_bytes.saturating_sub(other.read_bytes),
            written_bytes: self.written_bytes.saturating_sub(other.written_bytes),
        }
    }
}

/// Parses `/proc/PID/io`.
pub(crate) fn io(text: &[u8]) -> Option<Io> {
    Some(Io {
        read_chars: field_number(text, "rchar")?,
        written_chars: field_number(text, "wchar")?,
        read_bytes: field_number(text, "read_bytes").unwrap_or(0),
        written_bytes: field_number(text, "write_bytes").unwrap_or(0),
    })
}

/// Decimal numbers separated by white space (`children`).
pub(crate) fn pids(text: &[u8], out: &mut Vec<i32>) {
    let words = text.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    out.extend(words.filter_map(signed).filter(|pid| *pid > 0));
}

/// `/proc/PID/task/TID/syscall`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// On a CPU or ready to run.
    Running,
    /// Blocked, but in no system call (a page fault).
    None,
    /// In this system call with these arguments.
    In {
        /// Number.
        number: i64,
        /// Arguments.
        arguments: [u64; 6],
    },
}

/// Parses `/proc/PID/task/TID/syscall`.
pub(crate) fn call(text: &[u8]) -> Option<Call> {
    let mut words = text.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let first = words.next()?;
    if first == b"running" {
        return Some(Call::Running);
    }
    let number: i64 = std::str::from_utf8(first).ok()?.parse().ok()?;
    if number < 0 {
        return Some(Call::None);
    }
    let mut arguments = [0; 6];
    for argument in &mut arguments {
        *argument = hexadecimal(words.next()?)?;
    }
    Some(Call::In { number, arguments })
}

/// Watched descriptors and their event masks, of an epoll's fdinfo.
pub(crate) fn epoll_watched(fdinfo: &[u8]) -> Vec<(i32, u32)> {
    let line = |line: &[u8]| {
        let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|w| !w.is_empty());
        (words.next()? == b"tfd:").then_some(())?;
        let fd = signed(words.next()?)?;
        (words.next()? == b"events:").then_some(())?;
        Some((fd, hexadecimal(words.next()?)? as u32))
    };
    fdinfo.split(|byte| *byte == b'\n').filter_map(line).collect()
}

/// The number in `socket:[N]` or `pipe:[N]`.
pub(crate) fn link_inode(link: &str, kind: &str) -> Option<u64> {
    let rest = link.strip_prefix(kind)?.strip_prefix(":[")?;
    number(rest.strip_suffix(']')?.as_bytes())
}

/// "some avg10" of a pressure file, in percent.
pub(crate) fn pressure(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let line = text.lines().find(|line| line.starts_with("some "))?;
    let value = line.split(' ').find_map(|word| word.strip_prefix("avg10="))?;
    value.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Splits a NUL-separated list (`cmdline`, `environ`).
pub(crate) fn strings(text: &[u8]) -> Vec<String> {
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_may_hold_brackets_spaces_and_newlines() {
        let parsed = stat(b"7 (a) b\n(c) S 1 7 7 0 -1 0 0 0 0 0 3 4 5 6 20 0 2 0 99 0 11\n").unwrap();
        assert_eq!(parsed.name, "a) b\n(c");
        assert_eq!((parsed.ppid, parsed.ticks, parsed.child_ticks), (1, 7, 11));
        assert_eq!((parsed.threads, parsed.start_ticks, parsed.rss_pages), (2, 99, 11));
    }

    #[test]
    fn calls_are_told_apart() {
        assert_eq!(call(b"running\n"), Some(Call::Running));
        assert_eq!(call(b"-1 0x7ffe 0x7f00\n"), Some(Call::None));
        let read = call(b"0 0x3 0x7f 0x20 0x1 0xffffffff 0x0 0x7ffe 0x7f70\n");
        assert_eq!(read, Some(Call::In { number: 0, arguments: [3, 0x7f, 0x20, 1, 0xffff_ffff, 0] }));
        assert_eq!(call(b""), None);
    }

    #[test]
    fn switches_stand_at_the_end() {
        let text = b"Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(switches(text), 15);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = stat(&bytes);
            let _ = io(&bytes);
            let _ = call(&bytes);
            let _ = epoll_watched(&bytes);
            let _ = pressure(&bytes);
            let _ = strings(&bytes);
            let _ = switches(&bytes);
            let _ = field_number(&bytes, "a");
            let _ = link_inode(&String::from_utf8_lossy(&bytes), "pipe");
            pids(&bytes, &mut Vec::new());
        }

        #[test]
        fn near_misses_never_panic(name in ".{0,20}", tail in "[0-9 ()\\-SRx:\\n]{0,200}") {
            let _ = stat(format!("1 ({name}) {tail}").as_bytes());
            let _ = call(tail.as_bytes());
            let _ = epoll_watched(format!("tfd: {tail} events: {tail}").as_bytes());
            let _ = switches(format!("x_ctxt_switches: {tail}").as_bytes());
        }
    }
}
