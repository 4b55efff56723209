//! What observers report: plain data without judgement.
//!
//! A [`Look`] is one snapshot of a process tree (waits, descriptors, stacks);
//! [`Vitals`] are the cheap measures taken every second; [`Kernel`] holds what
//! only the kernel knows (out-of-memory counters, crash lines). All of it is
//! serialisable, so that a look taken by a disposable probe process and a look
//! read back from an old journal are the same thing.

mod descriptor;
mod kernel;
mod look;
mod objects;
mod python;
mod vitals;
mod wait;

pub use descriptor::{Access, Descriptor, Peer, Socket, Target};
pub use kernel::{Kernel, KernelLine, Listener, OomCounter};
pub use look::{Denied, Excerpt, Heap, LockFile, Look, Process, ProcessState, Thread, Visited};
pub use objects::{Container, Objects, TypeCount};
pub use python::{Frame, Local, PythonStack};
pub use vitals::{GpuVitals, Pressure, Vitals};
pub use wait::{Bound, PollDescriptor, Wait};
