//! `defib show`: the report of a run, as text, JSON, page or log.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use defib_core::job::JobView;
use defib_engine::archive;
use defib_engine::jobs::queue_of;
use defib_store::State;
use defib_store::queue::{Queue as _, QueueError};

use super::{logs, state};
use crate::present::{self, style};

/// Show the report of a run, or a job
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Id of a run, its beginning, or `last`; or the id of a job
    run: String,
    /// Print the report as JSON
    #[arg(long, conflicts_with = "log")]
    json: bool,
    /// Print the kept output
    #[arg(long)]
    log: bool,
    /// Show the stacks of all threads at the last look too
    #[arg(long)]
    stacks: bool,
    /// Write the report as one page that needs nothing else (`-` for standard output)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "log", "stacks"])]
    html: Option<PathBuf>,
}

impl Show {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let state = state()?;
        let run = match state.find(&self.run) {
            Ok(run) => run,
            // Ids of jobs begin with j, ids of runs with r.
            Err(error) if self.run.starts_with('j') => return self.job(&state).unwrap_or_else(|| Err(error.into())),
            Err(error) => return Err(error.into()),
        };
        if self.log {
            return logs::print(&state.folder(&run));
        }
        let report = archive::report(&state, &run).with_context(|| format!("run {run} has no readable journal"))?;
        if self.json {
            return present::print(&report, &present::Sources::default(), true);
        }
        let entries = archive::journal(&state, &run)?;
        if let Some(file) = &self.html {
            let log = archive::output(&state.folder(&run));
            return write_page(file, &present::page(&report, &entries, &log));
        }
        let code = present::print(&report, &present::Sources::of(&entries), false)?;
        let machine = state.folder(&run).join(defib_engine::snapshot::FILE);
        if machine.exists() {
            let mut out = anstream::stdout();
            writeln!(out, "  {}the machine then  {}{:#}", style::DIM, machine.display(), style::DIM)?;
        }
        let looks = entries.iter().rev().find_map(|entry| match &entry.event {
            defib_core::event::Event::Look { look } => Some(look),
            _ => None,
        });
        if let (true, Some(look)) = (self.stacks, looks) {
            write!(anstream::stdout(), "{}", present::stacks(look))?;
        }
        Ok(code)
    }
}

impl Show {
    /// A job, if there is one of this id.
    fn job(&self, state: &State) -> Option<anyhow::Result<ExitCode>> {
        let queue = queue_of(state).ok().flatten()?;
        let job = match queue.get(&self.run) {
            Ok(job) => JobView::new(job, None, None),
            Err(QueueError::NoSuchJob(_)) => return None,
            Err(error) => return Some(Err(error.into())),
        };
        Some(present::print_job(&job, &[], self.json))
    }
}

/// Writes beside the file and renames: who reads it meanwhile sees a whole page.
fn write_page(file: &Path, page: &str) -> anyhow::Result<ExitCode> {
    if file == Path::new("-") {
        std::io::stdout().write_all(page.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let written = if std::fs::symlink_metadata(file).is_ok_and(|known| !known.is_file()) {
        // A device, a pipe or a link is written through, not replaced.
        std::fs::write(file, page)
    } else {
        let mut beside = file.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(beside);
        let whole = std::fs::write(&beside, page).and_then(|()| std::fs::rename(&beside, file));
        if whole.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        whole
    };
    written.with_context(|| format!("cannot write {}", file.display()))?;
    let size = defib_core::telling::size(page.len() as u64);
    writeln!(anstream::stderr(), "wrote {} ({size})", file.display())?;
    Ok(ExitCode::SUCCESS)
}
