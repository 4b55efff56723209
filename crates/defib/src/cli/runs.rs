//! `defib runs`: list runs, newest first.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use defib_core::account;
use defib_core::telling;
use defib_engine::archive;
use defib_store::RunRow;
use serde_json::json;

use super::state;
use crate::present::style;

/// List runs, newest first
///
/// A run that is `unwatched` outlived its defib: defib run --adopt takes it over, defib
/// stop ends it.
#[derive(Debug, Args)]
pub(super) struct Runs {
    /// Show at most so many
    #[arg(short = 'n', long, default_value_t = 20)]
    most: usize,
    /// Only those that did not end well
    #[arg(long)]
    failed: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Runs {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let state = state()?;
        let mut rows = archive::rows(&state)?;
        rows.retain(|row| !self.failed || !row.healthy);
        rows.truncate(self.most);
        if self.json {
            let rows: Vec<_> = rows.iter().map(as_json).collect();
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&rows)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = anstream::stdout();
        if rows.is_empty() {
            writeln!(out, "no runs yet: defib run -- COMMAND starts one")?;
        }
        for row in &rows {
            writeln!(out, "{}", line(row))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn command(row: &RunRow) -> Vec<String> {
    serde_json::from_str(&row.command).unwrap_or_default()
}

fn as_json(row: &RunRow) -> serde_json::Value {
    let started = u64::try_from(row.started_ms).ok().and_then(|ms| account::timestamp(ms, 0.0));
    let ended = row.ended_ms.and_then(|ms| u64::try_from(ms).ok()).and_then(|ms| account::timestamp(ms, 0.0));
    json!({
        "id": row.id, "command": command(row), "cwd": row.cwd, "started": started, "ended": ended,
        "outcome": row.outcome, "cause": row.cause, "healthy": row.healthy,
    })
}

fn line(row: &RunRow) -> String {
    let mark = match (row.outcome.as_str(), row.healthy) {
        ("running" | archive::UNWATCHED, _) => format!("{}▶{:#}", style::NOTE, style::NOTE),
        (_, true) => format!("{}✔{:#}", style::GOOD, style::GOOD),
        (_, false) => format!("{}✖{:#}", style::BAD, style::BAD),
    };
    let started =
        u64::try_from(row.started_ms).ok().and_then(|ms| account::timestamp(ms / 1000 * 1000, 0.0)).unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let lasted =
        row.ended_ms.map_or_else(String::new, |ended| telling::seconds((ended - row.started_ms) as f64 / 1000.0));
    let cause = row.cause.as_ref().map(|cause| format!(" {cause}")).unwrap_or_default();
    // Everything before the command takes 74 columns.
    let room = crate::present::width().map_or(usize::MAX, |columns| columns.saturating_sub(75).max(12));
    let what = telling::cut(&command(row).join(" "), room);
    format!("{mark} {:<9} {started:<20} {lasted:>11}  {:<11}{cause:<25} {what}", row.id, row.outcome)
}
