//! The wait graph: what every thread waits for, and who could provide it.
//!
//! Flow: [`meaning`] turns a thread's system call and Python stack into a
//! [`Purpose`]; [`Graph`] links each to those who could end its wait and finds
//! who can go on; [`judge`] grades the result. CPU time alone is not progress,
//! silence alone is no stall, and an idle server is healthy: only the graph
//! decides.

mod code;
mod grade;
mod graph;
mod meaning;
mod node;
#[cfg(test)]
pub(crate) mod tests;

pub use code::{Lock, enclosing_loop, function_lines, held_locks, loop_around, loop_body, named_lock};
pub use grade::{Grade, Verdict, judge};
pub use graph::{Graph, LockCycle, NodeId, Outside, Status};
pub use meaning::{Limit, Purpose, meaning};
pub use node::Node;
