//! `defib logs`: the kept output of a run, and what comes while it goes on.

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use defib_engine::archive;
use defib_engine::follow::Following;

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
        let mut following = Following::new(&folder, HashMap::new());
        loop {
            let running = archive::is_running(&folder);
            following.copy()?;
            if !running {
                return Ok(ExitCode::SUCCESS);
            }
            std::thread::sleep(POLL);
        }
    }
}

/// Prints everything kept.
pub(super) fn print(folder: &Path) -> anyhow::Result<ExitCode> {
    Following::new(folder, HashMap::new()).copy()?;
    Ok(ExitCode::SUCCESS)
}
