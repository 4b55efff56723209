//! The stages of a start, as `defib probe` walks them.
//!
//! The JSON form is part of the fixed interface: the report of a run, and `stages`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::Report;

/// What came of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is well.
    Passed,
    /// Here the start fails.
    Failed,
    /// It does not apply, or was not reached; `says` tells which.
    Skipped,
    /// Something to know, that need not stop it.
    Warned,
}

/// One stage, or one check within a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// Name: `interpreter`, `script`, `files`, `reading`, `imports`, `partners`,
    /// `configuration`, `gpu`, `start`, `work`; of a check within `imports`, the module.
    pub name: String,
    /// What came of it.
    pub verdict: Verdict,
    /// Seconds it took.
    pub took_s: f64,
    /// Largest resident memory of what was run, bytes.
    pub memory_bytes: Option<u64>,
    /// What was found, in words.
    pub says: String,
    /// The command that was run for it, if one was.
    pub ran: Option<Vec<String>>,
    /// The checks within it, slowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Stage>,
}

impl Stage {
    /// A stage in which nothing was run.
    #[must_use]
    pub fn new(name: &str, verdict: Verdict, says: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            verdict,
            took_s: 0.0,
            memory_bytes: None,
            says: says.into(),
            ran: None,
            parts: Vec::new(),
        }
    }
}

/// The report of a probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeReport {
    /// The report, as of a run; `outcome.stage` names the stage that failed.
    #[serde(flatten)]
    pub report: Report,
    /// The stages, in the order in which they were walked.
    pub stages: Vec<Stage>,
}
