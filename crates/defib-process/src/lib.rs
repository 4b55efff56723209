//! One process tree: start it, hold it, end it.
//!
//! A run has two processes of defib. The supervisor ([`Shim::start`]) decides;
//! the shim ([`shim_main`]), the same binary executed again, holds: it owns the
//! pipes or the pseudo-terminal, the kept output and the journal, and is the
//! subreaper of everything the program starts. So a crash of the supervisor loses
//! nothing and leaves nothing behind, and a crash of the shim leaves the tree to
//! the supervisor ([`Shim::sweep_after_loss`]). If both are killed, the sweep at
//! the next start finds what is left by proven identity ([`sweep`]).
//!
//! ```text
//!  supervisor ──socket: commands down, entries up──► shim ──fork, exec──► program
//!      │  its end closes = the supervisor is gone      │ ▲                   │
//!      │                                               │ └─ pipes or pty ────┘
//!      └───────► journal.jsonl ◄───────────────────────┘     kept log, user's stdout
//! ```
//!
//! This crate never judges: why a run is ended is told to it.

pub mod cgroup;
mod clock;
mod control;
mod job;
mod journal;
mod kept;
mod launch;
mod link;
mod mark;
mod notify;
pub mod process;
mod pty;
mod relay;
mod shim;
pub mod signals;
mod spec;
mod supervisor;
pub mod sweep;
mod sys;
mod tree;

pub use clock::Clock;
pub use journal::{JOURNAL_FILE, Journal, JournalReader, read_journal};
pub use kept::{Extent, KeptLog, Piece};
pub use mark::mark_of;
pub use pty::{RawMode, WindowSize, in_foreground, set_window_size, window_size};
pub use shim::shim_main;
pub use spec::{Keep, LINE_VARIABLE, RUN_VARIABLE, ShimSpec, Terminal};
pub use supervisor::{AdoptError, Events, Next, Shim, StartError, Waited};
