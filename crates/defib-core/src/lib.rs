//! The words and the judgement of defib: facts in, verdict out.
//!
//! This crate has no clock, reads no file and makes no system call. What it
//! needs to know arrives as plain data ([`facts`], [`event`]), what it decides
//! leaves as a [`report::Report`].

pub mod account;
pub mod case;
pub mod cause;
pub mod causes;
pub mod causes_page;
pub mod diagnose;
pub mod event;
pub mod facts;
pub mod growth;
pub mod job;
pub mod kept;
pub mod log;
pub mod memory;
pub mod orphan;
pub mod outcome;
mod pattern;
pub mod place;
pub mod recovery;
pub mod redact;
pub mod remains;
pub mod report;
pub mod run;
pub mod slope;
pub mod snapshot;
pub mod stage;
pub mod telling;
pub mod units;
pub mod waits;
pub mod weights;
