//! The catalogue of causes, one file each.
//!
//! A file holds everything about its cause: id, title, what settles it, the
//! texts that betray it, the judgement with its evidence and next steps. The
//! build collects the files, so adding a cause touches one file and its test.

include!(concat!(env!("OUT_DIR"), "/causes.rs"));

pub use port_in_use::ports_named;

/// The cause with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static crate::cause::Cause> {
    CATALOGUE.iter().find(|cause| cause.id == id).copied()
}
