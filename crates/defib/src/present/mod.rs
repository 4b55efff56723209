//! How reports look: on a terminal, and as a page.

use std::io::Write as _;
use std::process::ExitCode;

use defib_core::report::Report;

mod checklist;
mod job;
pub(crate) mod orphans;
mod page;
mod report;
pub(crate) mod snapshot;
mod sources;
mod stacks;
pub(crate) mod style;

pub(crate) use checklist::Checklist;
pub(crate) use job::{JobBar, print_job};
pub(crate) use page::{page, snapshot_page};
pub(crate) use report::{hidden, of_probe, report, worth_showing};
pub(crate) use sources::Sources;
pub(crate) use stacks::stacks;

/// Columns of the terminal that reports go to; `None` where there is none.
pub(crate) fn width() -> Option<usize> {
    let errors = rustix::termios::tcgetwinsize(rustix::stdio::stderr());
    let size = errors.or_else(|_| rustix::termios::tcgetwinsize(rustix::stdio::stdout())).ok()?;
    Some(usize::from(size.ws_col)).filter(|&columns| columns >= 20)
}

/// Says a line of defib's own on standard error. That nobody can hear it, as with a log on
/// a full disk, is no reason to stop.
pub(crate) fn say(text: &str) {
    let _ = writeln!(anstream::stderr(), "{}defib:{:#} {text}", style::NOTE, style::NOTE);
}

/// Prints a report on standard output.
pub(crate) fn print(report: &Report, sources: &Sources, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(report)?)?;
    } else {
        write!(anstream::stdout(), "{}", self::report(report, sources))?;
    }
    Ok(ExitCode::SUCCESS)
}
