//! The words and the judgement of defib: facts in, verdict out.
//!
//! This crate has no clock, reads no file and makes no system call. What it
//! needs to know arrives as plain data ([`facts`], [`event`]), what it decides
//! leaves as a [`report::Report`].

pub mod event;
pub mod facts;
pub mod report;
pub mod run;
