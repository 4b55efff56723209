//! One supervised run, from start to report.
//!
//! Theory of operation. The main thread starts the shim and then only waits for
//! [`Happening`]s, which other threads bring: what the shim tells, signals, vital
//! signs each second, finished looks, keys. It writes what it learns to the
//! journal, asks [`Patience`] what to do, and tells the shim to end the run when
//! it must. A plan may also ask to end it once it is seen to work ([`StartGoal`]).
//! Signals come through a [`Desk`], which several runs may share one after the
//! other. Nothing here waits without a bound but for the program itself.
//!
//! ```text
//!  shim ─entries─┐
//!  signals ──────┤              ┌─► journal
//!  sampler ──────┼─► Happening ─┼─► Patience ─► look / say / end
//!  looks ────────┤              └─► audience (notices)
//!  keyboard ─────┘
//! ```

mod adopt;
mod desk;
mod duty;
mod ending;
mod feeds;
mod keyboard;
mod limits;
mod memory;
mod patience;
mod plan;
mod progress;
mod remains;
mod signals;
mod start;
mod supervisor;
mod worker;

pub use adopt::adopt;
pub use desk::Desk;
pub use duty::{Duty, Work};
pub(crate) use ending::status;
pub use feeds::Happening;
pub use memory::MemoryPlan;
pub use patience::{Advice, Patience, Settings};
pub use plan::{IfSupervisorDies, Limits, OnStall, Plan};
pub use start::StartGoal;
pub use supervisor::{Audience, Finished, SessionError, supervise, supervise_from};
pub use worker::supervise_worker;
