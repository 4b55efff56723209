//! The text of a program, made fit for reading: clean lines, tracebacks,
//! progress. Output arrives as bytes of any kind; nothing here may panic or
//! take more than linear time.

mod clean;
mod faulthandler;
mod progress;
mod traceback;

pub use clean::{Line, Log, clean_lines};
pub use faulthandler::{FaultDump, fault_dumps};
pub use progress::{Progress, parse_progress};
pub use traceback::{Exception, TraceFrame, Traceback, tracebacks};
