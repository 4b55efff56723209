//! Progress read from the kept output, each second at most.

use std::path::Path;

use defib_core::event::{Event, Stream};
use defib_core::log::{Log, parse_progress};
use defib_process::KeptLog;

/// Reads the last progress line of a run's output.
#[derive(Debug, Default)]
pub(super) struct ProgressReader {
    seen_bytes: u64,
    last: Option<(f64, Option<f64>)>,
}

impl ProgressReader {
    /// New progress since the last call, if the output grew and shows some.
    pub(super) fn read(&mut self, folder: &Path, output_bytes: u64) -> Option<Event> {
        if output_bytes == self.seen_bytes {
            return None;
        }
        self.seen_bytes = output_bytes;
        for stream in [Stream::Stderr, Stream::Terminal, Stream::Stdout] {
            let Ok(tail) = KeptLog::open(folder, stream).and_then(|mut log| log.read_tail(4096)) else { continue };
            let log = Log::read([(None, &tail[..])]);
            let found = log.lines.iter().rev().take(5).find_map(|line| Some((parse_progress(&line.text)?, line)));
            let Some((progress, line)) = found else { continue };
            let now = (progress.done, progress.total);
            if self.last.replace(now) == Some(now) {
                return None;
            }
            let text = line.text.chars().take(160).collect();
            return Some(Event::Progress { done: progress.done, total: progress.total, text });
        }
        None
    }
}
