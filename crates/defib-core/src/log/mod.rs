//! The text of a program, made fit for reading: clean lines, tracebacks,
//! progress. Output arrives as bytes of any kind; nothing here may panic or
//! take more than linear time.
//!
//! A log may be larger than memory. `reader` keeps its beginning and its end;
//! what leaves the end goes through `middle`, which keeps the lines that a
//! judgement looks for, as told by `signatures` and `literals`.

mod clean;
mod faulthandler;
mod literals;
mod middle;
mod progress;
mod reader;
mod signatures;
mod traceback;

pub use clean::{LeftOut, Line, Log};
pub use faulthandler::{FaultDump, fault_dumps};
pub use progress::{Progress, parse_progress};
pub use reader::LogReader;
pub use signatures::{log_literals, log_patterns};
pub use traceback::{Exception, TraceFrame, Traceback, tracebacks};

#[cfg(test)]
mod fuzz_tests;
