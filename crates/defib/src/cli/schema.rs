//! `defib schema`: the JSON Schema of what defib writes.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use defib_core::report::Report;
use defib_core::snapshot::Snapshot;
use defib_core::stage::ProbeReport;

/// Print the JSON Schema of a document that defib writes
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Which document
    #[arg(value_enum)]
    document: Document,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Document {
    /// The report of a run (`--report`, `why --json`, `show --json`)
    Report,
    /// The report of a probe (`probe --json`)
    Probe,
    /// A snapshot of the machine (`snapshot --json`, `snapshot -o`)
    Snapshot,
}

impl Schema {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let schema = match self.document {
            Document::Report => schemars::schema_for!(Report),
            Document::Snapshot => schemars::schema_for!(Snapshot),
            Document::Probe => schemars::schema_for!(ProbeReport),
        };
        writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&schema)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
