//! `defib causes`: what a cause means, how to find out by hand, what to do.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use defib_core::cause::Cause;
use defib_core::causes::{CATALOGUE, find};
use defib_core::causes_page::page;
use defib_core::log::{log_literals, log_patterns};
use serde_json::json;

use crate::present::style::STRONG;

/// Explain a cause, or list all that defib can name
#[derive(Debug, Args)]
pub(super) struct Causes {
    /// Id of a cause, as reports name it
    id: Option<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
    /// Print the whole page in Markdown
    #[arg(long, conflicts_with_all = ["json", "id"])]
    markdown: bool,
    /// Print what logs are searched for, one pattern a line, as `rg -f -` reads it
    #[arg(long, conflicts_with_all = ["json", "id", "markdown"])]
    patterns: bool,
    /// Print the literals behind the patterns, one a line, as `rg -iFf -` reads it
    #[arg(long, conflicts_with_all = ["json", "id", "markdown", "patterns"])]
    literals: bool,
}

impl Causes {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        if self.markdown {
            write!(std::io::stdout(), "{}", page())?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.patterns || self.literals {
            let texts = if self.patterns { log_patterns() } else { log_literals() };
            writeln!(std::io::stdout(), "{}", texts.join("\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut causes: Vec<&Cause> = match &self.id {
            Some(id) => vec![find(id).ok_or_else(|| unknown(id))?],
            None => CATALOGUE.to_vec(),
        };
        causes.sort_by_key(|cause| cause.id);
        if self.json {
            let rows: Vec<_> = causes.iter().map(|cause| as_json(cause)).collect();
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&rows)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = anstream::stdout();
        match (&self.id, causes.as_slice()) {
            (Some(_), [cause]) => explain(&mut out, cause)?,
            _ => {
                let width = causes.iter().map(|cause| cause.id.len()).max().unwrap_or(0);
                for cause in causes {
                    writeln!(out, "{STRONG}{:width$}{STRONG:#}  {}", cause.id, cause.title)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn explain(out: &mut impl std::io::Write, cause: &Cause) -> std::io::Result<()> {
    writeln!(out, "{STRONG}{}{STRONG:#}  {}\n\n{}\n", cause.id, cause.title, cause.what)?;
    writeln!(out, "settled by    {}", cause.settled_by)?;
    if cause.taken_for != "—" {
        writeln!(out, "taken for     {}", cause.taken_for)?;
    }
    for (name, lines) in [("by hand", cause.by_hand), ("what to do", cause.remedies)] {
        for (index, line) in lines.iter().enumerate() {
            writeln!(out, "{:12}  {line}", if index == 0 { name } else { "" })?;
        }
    }
    writeln!(out, "{:12}  {}", "again", cause.remedy.words())
}

fn as_json(cause: &Cause) -> serde_json::Value {
    json!({
        "id": cause.id,
        "title": cause.title,
        "what": cause.what,
        "settled_by": cause.settled_by,
        "taken_for": cause.taken_for,
        "by_hand": cause.by_hand,
        "remedies": cause.remedies,
        "again": cause.remedy.words(),
    })
}

fn unknown(id: &str) -> anyhow::Error {
    let near = CATALOGUE.iter().map(|cause| cause.id).filter(|known| known.split('-').any(|part| id.contains(part)));
    let near: Vec<&str> = near.take(4).collect();
    let hint =
        if near.is_empty() { "`defib causes` lists them".to_owned() } else { format!("perhaps {}", near.join(", ")) };
    anyhow!("there is no cause {id:?}: {hint}")
}
