//! `defib logs`: the kept output of a run, and what comes while it goes on.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use defib_core::event::Stream;
use defib_engine::archive;
use defib_process::KeptLog;

use super::state;

/// Time between two looks for new output.
const POLL: Duration = Duration::from_millis(100);

/// Print the kept output of a run
///
/// Standard output goes to standard output and the error output to standard error,
/// as the program wrote them.
#[derive(Debug, Args)]
pub(super) struct Logs {
    /// Id of a run, its beginning, or `last`
    run: String,
    /// Go on printing what comes, until the run ends
    #[arg(short, long)]
    follow: bool,
}

impl Logs {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let state = state()?;
        let run = state.find(&self.run)?;
        let folder = state.folder(&run);
        if !self.follow {
            return print(&folder);
        }
        let mut streams = Streams::open(&folder);
        loop {
            let running = archive::is_running(&folder);
            streams.copy()?;
            if !running {
                return Ok(ExitCode::SUCCESS);
            }
            std::thread::sleep(POLL);
            streams.find(&folder);
        }
    }
}

/// Prints everything kept.
pub(super) fn print(folder: &Path) -> anyhow::Result<ExitCode> {
    Streams::open(folder).copy()?;
    Ok(ExitCode::SUCCESS)
}

/// The streams of a run, each with the offset printed so far.
#[derive(Default)]
struct Streams {
    open: Vec<(Stream, KeptLog, u64)>,
}

impl Streams {
    fn open(folder: &Path) -> Self {
        let mut streams = Self::default();
        streams.find(folder);
        streams
    }

    /// A stream's file appears when the run starts.
    fn find(&mut self, folder: &Path) {
        for stream in [Stream::Terminal, Stream::Stdout, Stream::Stderr] {
            if !self.open.iter().any(|(open, ..)| *open == stream)
                && let Ok(log) = KeptLog::open(folder, stream)
            {
                self.open.push((stream, log, 0));
            }
        }
    }

    fn copy(&mut self) -> anyhow::Result<()> {
        let gap = |bytes: u64| format!("[defib: {bytes} bytes between are not kept]");
        for (stream, log, offset) in &mut self.open {
            *offset = if *stream == Stream::Stderr {
                log.copy_to(*offset, &mut std::io::stderr().lock(), gap)?
            } else {
                let mut out = std::io::stdout().lock();
                let reached = log.copy_to(*offset, &mut out, gap)?;
                out.flush()?;
                reached
            };
        }
        Ok(())
    }
}
