//! What must survive: the state folder with its runs, and the index over them.
//!
//! ```text
//! $DEFIB_STATE/
//!   version            format of this folder
//!   index.sqlite       one row a run, for `defib runs`; rebuilt from the folders when lost
//!   queue.sqlite       jobs: the truth, not a cache
//!   artifacts/ab/cd…   files of jobs, by their SHA-256
//!   runs/r7f3a…/       journal.jsonl, stdout.log, …, report.json
//! ```
//!
//! The folders are the truth; the index is a cache that makes listing fast.

mod artifacts;
mod index;
pub mod queue;
mod retention;
mod state;

pub use artifacts::{Artifact, ArtifactError, Artifacts, Removed};
pub use index::{Index, RunRow};
pub use retention::{Retention, Swept};
pub use state::{REPORT_FILE, State, StateError};
