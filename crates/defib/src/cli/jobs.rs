//! `defib jobs`: list jobs, newest first.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use defib_core::job::{JobState, JobView};
use defib_core::{account, telling};
use defib_engine::jobs::queue_of;
use defib_store::queue::Queue as _;

use super::state;
use crate::present::style;

/// List jobs, newest first
///
/// Reads the queue of the state folder, whether a server runs or not. `defib show JOB`
/// tells more of one.
#[derive(Debug, Args)]
pub(super) struct Jobs {
    /// Show at most so many
    #[arg(short = 'n', long, default_value_t = 20)]
    most: usize,
    /// Only those in this state: queued, running, succeeded, failed or cancelled
    #[arg(long, value_parser = named)]
    state: Option<JobState>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

fn named(name: &str) -> Result<JobState, String> {
    let all = || JobState::ALL.map(JobState::name).join(", ");
    JobState::of(name).ok_or_else(|| format!("there is no state {name:?}; there are: {}", all()))
}

impl Jobs {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let jobs = match queue_of(&state()?) {
            Ok(None) => Vec::new(),
            Ok(Some(queue)) => queue.list(self.state, self.most)?,
            Err(error) => bail!(error),
        };
        let jobs: Vec<JobView> = jobs.into_iter().map(|job| JobView::new(job, None, None)).collect();
        if self.json {
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&jobs)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = anstream::stdout();
        if jobs.is_empty() {
            writeln!(out, "no jobs: defib submit hands one in, see docs/jobs.md")?;
        }
        for job in &jobs {
            writeln!(out, "{}", line(job))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn line(job: &JobView) -> String {
    let (mark, colour) = match job.state {
        JobState::Succeeded => ("✔", style::GOOD),
        JobState::Failed => ("✖", style::BAD),
        JobState::Running => ("▶", style::NOTE),
        JobState::Queued => ("·", style::DIM),
        JobState::Cancelled => ("–", style::WARN),
    };
    let created = u64::try_from(job.created_ms / 1000 * 1000).ok().and_then(|ms| account::timestamp(ms, 0.0));
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let took = job.finished_ms.map(|at| telling::seconds((at - job.created_ms) as f64 / 1000.0)).unwrap_or_default();
    let places: Vec<&str> = job.attempts.iter().map(|attempt| attempt.backend.as_str()).collect();
    let mut last = places.last().copied().unwrap_or_default().to_owned();
    if places.len() > 1 {
        last.push_str(&format!(" ({} attempts)", places.len()));
    }
    let room = crate::present::width().map_or(usize::MAX, |columns| columns.saturating_sub(77).max(12));
    let why = job.error.as_ref().map(|error| format!("{}: {}", error.cause, error.explanation)).unwrap_or_default();
    let why = telling::cut(&telling::one_line(&why, 400), room);
    format!(
        "{colour}{mark}{colour:#} {:<14} {:<20} {took:>11}  {:<9}  {last:<20} {why}",
        job.id,
        created.unwrap_or_default(),
        job.state.name()
    )
    .trim_end()
    .to_owned()
}
