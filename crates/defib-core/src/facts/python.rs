//! Python stacks, as read from outside.

use serde::{Deserialize, Serialize};

/// One Python frame.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Frame {
    /// Function name (`<module>` at top level).
    pub function: String,
    /// Source file as the interpreter names it.
    pub file: String,
    /// Line being executed, from 1.
    pub line: u32,
    /// Local variables with short representations, where they were read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locals: Vec<Local>,
}

/// A local variable of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Local {
    /// Name.
    pub name: String,
    /// Representation, at most about 128 characters.
    pub value: String,
    /// Address of the object, which tells two objects of the same look apart.
    pub address: u64,
}

/// The Python stack of one thread.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PythonStack {
    /// Name given to the thread by the program (`MainThread`, `Thread-1 (work)`).
    pub thread_name: Option<String>,
    /// Holds the global interpreter lock.
    pub owns_gil: bool,
    /// Frames, innermost first.
    pub frames: Vec<Frame>,
    /// Suspended tasks of an event loop that this thread runs, each innermost frame
    /// first; read only with local variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Vec<Frame>>,
}
