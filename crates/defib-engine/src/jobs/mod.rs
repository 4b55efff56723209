//! Jobs: units of inference work that each end in exactly one result or one explained
//! failure.
//!
//! Theory of operation. A job is accepted once it is in the queue, which is on disk. Each
//! backend has seats, each seat a thread: it claims a job for its backend, lays its files
//! out in a folder of the attempt, has the work done, looks at what came out, and writes
//! the end into the queue. What failed is judged like a run; the cause chooses what is done
//! next: the same again, a lighter profile, another backend, or nothing. The queue sends
//! the job there. A keeper thread renews the claims of this process, hears of wishes to
//! cancel, and takes up what dead processes had.
//!
//! ```text
//! submit ─► queue ─claim─► seat ─► worker process or command ─► outputs checked ─► result
//!             ▲                                  │ failed: cause
//!             └──── place, pause ◄── recovery ◄──┘
//! ```
//! Nothing here waits without a bound: an attempt has a deadline, which ends its process.

mod backend;
mod bell;
mod check;
mod command;
mod files;
mod gpus;
mod host;
mod judge;
mod keeper;
mod metrics;
mod owner;
mod recover;
mod request;
mod seat;
mod service;
mod settings;
mod shared;
mod status;
mod worker;

pub use files::{digest, media_type, reference};
pub use request::{Request, ServiceError};
pub use service::{Service, queue_of};
pub use settings::{BackendSettings, Checks, Extent, FULL, Kind, ONE_BACKEND, Profile, Route, Settings};
pub use status::{BackendView, Health, SeatView};
