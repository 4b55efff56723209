//! `defib snapshot`: the state of the machine, kept, and compared.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use defib_core::run::RunId;
use defib_core::snapshot::diff;
use defib_engine::snapshot;
use serde_json::json;

use super::{own_binary, state};
use crate::present;

/// Time that a snapshot may take.
const WITHIN: Duration = Duration::from_secs(5);
/// Time that the one at the end of a run may take.
const WITHIN_AT_END: Duration = Duration::from_millis(1500);
/// Time after which that one is given up altogether.
const GIVEN_UP: Duration = Duration::from_secs(2);

/// Take a snapshot of the machine, or say what changed between two
///
/// One JSON file and a page beside it: memory, limits, disks, GPUs, processes with what
/// they hold, Python environments with their packages, the last runs, the environment
/// without secrets. A run that ends badly takes one by itself.
#[derive(Debug, Args)]
pub(super) struct Snapshot {
    /// Write it to this file, and the page beside it [default: the state folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the page to this file instead
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Say what changed from A to B: snapshot files, or runs that ended badly
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "output")]
    diff: Option<Vec<String>>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
    /// Take the snapshot of the end of this run, into its folder
    #[arg(long, hide = true, conflicts_with_all = ["output", "diff", "json"])]
    at_end_of: Option<RunId>,
}

impl Snapshot {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let state = state()?;
        if let Some(both) = &self.diff {
            let (before, after) = (snapshot::load(&state, &both[0])?, snapshot::load(&state, &both[1])?);
            let changes = diff(&before, &after);
            if self.json {
                let told = json!({ "schema": 1, "from": before.taken, "to": after.taken, "changes": changes });
                writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&told)?)?;
            } else {
                write!(anstream::stdout(), "{}", present::snapshot::changes(&before, &after, &changes))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let version = env!("CARGO_PKG_VERSION");
        if let Some(run) = &self.at_end_of {
            let taken = snapshot::take(&state, Some(run), version, WITHIN_AT_END);
            snapshot::write(&taken, &state.folder(run).join(snapshot::FILE))?;
            return Ok(ExitCode::SUCCESS);
        }
        let taken = snapshot::take(&state, None, version, WITHIN);
        if self.json && self.output.is_none() && self.html.is_none() {
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&taken)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let file = match &self.output {
            Some(file) => file.clone(),
            None => snapshot::place(&state, &taken).context("cannot make the folder for snapshots")?,
        };
        snapshot::write(&taken, &file).with_context(|| format!("cannot write {}", file.display()))?;
        let page = self.html.clone().unwrap_or_else(|| file.with_extension("html"));
        snapshot::private(&page, present::snapshot_page(&taken).as_bytes())
            .with_context(|| format!("cannot write {}", page.display()))?;
        if self.json {
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&taken)?)?;
        } else {
            write!(anstream::stdout(), "{}", present::snapshot::summary(&taken, &file, &page))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A snapshot that is being taken at the end of a run, in a child: whatever hangs there,
/// this process goes on.
pub(super) struct AtEnd {
    child: Child,
    given_up: Instant,
}

impl AtEnd {
    /// Begins; the report is told meanwhile.
    pub(super) fn begin(run: &RunId) -> Option<Self> {
        let child = Command::new(own_binary().ok()?)
            .args(["snapshot", "--at-end-of", run.as_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Some(Self { child: child.ok()?, given_up: Instant::now() + GIVEN_UP })
    }

    /// Waits until it is taken, or given up.
    pub(super) fn finish(mut self) {
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() >= self.given_up {
                // Stuck in the kernel it goes when the kernel lets it; nobody waits for it.
                let _ = self.child.kill();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
