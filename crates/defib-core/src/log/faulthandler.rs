//! Dumps of Python's faulthandler: the stacks of all threads when native code crashed.

use std::sync::LazyLock;

use regex::Regex;

use crate::pattern::pattern;
use crate::place::{innermost_user_trace, of_trace};
use crate::report::Place;

use super::{Line, TraceFrame};

/// One dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultDump {
    /// The headline: `Segmentation fault`, `Aborted`, …
    pub fault: String,
    /// Frames of the thread that crashed, innermost first.
    pub frames: Vec<TraceFrame>,
    /// Index of the headline in the log.
    pub line: usize,
}

impl FaultDump {
    /// Where in the user's own code the thread was that crashed.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        let mut outermost_first = self.frames.clone();
        outermost_first.reverse();
        innermost_user_trace(&outermost_first).map(of_trace)
    }
}
/// Begins the headline.
pub(super) const HEADLINE: &str = "Fatal Python error: ";

static HEAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^Fatal Python error: (.+)$"));
static FRAME: LazyLock<Regex> = LazyLock::new(|| pattern(r#"^  File "([^"]+)", line (\d+) in (.+)$"#));

/// The dumps in these lines, in order.
#[must_use]
pub fn fault_dumps(lines: &[Line]) -> Vec<FaultDump> {
    let heads = lines.iter().enumerate().filter_map(|(index, line)| {
        let fault = HEAD.captures(&line.text)?[1].to_owned();
        Some(FaultDump { fault, frames: current_thread(below(lines, index)), line: index })
    });
    heads.collect()
}

/// The lines below this one, up to where some are missing.
fn below(lines: &[Line], index: usize) -> &[Line] {
    let (head, rest) = (&lines[index], &lines[index + 1..]);
    let follows = |(at, line): &(usize, &Line)| line.stream == head.stream && line.number == head.number + 1 + at;
    &rest[..rest.iter().enumerate().take(4000).take_while(follows).count()]
}

/// Frames below "Current thread", or below the first "Stack" where only one is printed.
fn current_thread(lines: &[Line]) -> Vec<TraceFrame> {
    let start = lines
        .iter()
        .position(|line| line.text.starts_with("Current thread ") || line.text.starts_with("Stack (most recent"));
    let Some(start) = start else {
        return Vec::new();
    };
    let frames = lines[start + 1..].iter().map_while(|line| {
        let found = FRAME.captures(&line.text)?;
        Some(TraceFrame {
            file: found[1].to_owned(),
            line: found[2].parse().unwrap_or(0),
            function: found[3].to_owned(),
            source: None,
        })
    });
    frames.collect()
}

#[cfg(test)]
mod tests {
    use crate::log::Log;

    #[test]
    fn the_thread_that_crashed_is_read() {
        let text = "Fatal Python error: Segmentation fault\n\nThread 0x1 (most recent call first):\n  File \"x.py\", line 1 in a\n\nCurrent thread 0x2 (most recent call first):\n  File \"lib.py\", line 9 in call\n  File \"x.py\", line 4 in <module>\n\nExtension modules: numpy\n";
        let log = Log::read([(None, text.as_bytes())]);
        let dumps = super::fault_dumps(&log.lines);
        assert_eq!(dumps[0].fault, "Segmentation fault");
        assert_eq!(dumps[0].frames.len(), 2);
        assert_eq!((dumps[0].frames[1].line, dumps[0].frames[1].function.as_str()), (4, "<module>"));
    }
}
