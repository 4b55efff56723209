//! What lies in the memory of real processes: malloc's heap, and text held back.

use defib_core::facts::{Heap, Process};
use defib_observe::{LookRequest, look};

use crate::support::{Program, request, root, until};

/// Looks closely until there is something to tell.
fn closely<T>(program: &Program, tell: impl Fn(&Process) -> Option<T>) -> Option<T> {
    let request = LookRequest { locals: true, ..request(program.pid()) };
    until(|| tell(root(&look(&request))))
}

/// Other C libraries keep other records: then nothing may be told.
fn is_glibc(program: &Program) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", program.pid())).unwrap();
    let known = maps.contains("/libc.so.6") || maps.contains("/libc-2.");
    if !known {
        eprintln!("not tried: the C library of this machine is not glibc");
    }
    known
}

#[test]
fn freed_blocks_between_used_ones_are_counted() {
    let code = "import time\nblocks=[bytearray(20000) for _ in range(8000)]\nprint('made',flush=True)\n\
                del blocks[::2]\nprint('freed',flush=True)\ntime.sleep(60)";
    let mut program = Program::python(code);
    assert_eq!(program.line(), "made");
    assert_eq!(program.line(), "freed");
    if !is_glibc(&program) {
        return;
    }
    let heap: Heap = closely(&program, |process| process.heap).expect("a heap");
    // 160 MB were taken and every second block given back; none can be merged or trimmed.
    assert!(heap.bytes > 150_000_000, "{heap:?}");
    assert!((70_000_000..100_000_000).contains(&heap.free_bytes), "{heap:?}");
}

#[test]
fn text_that_the_c_library_holds_back_is_counted() {
    let code = "import ctypes,time\nc=ctypes.CDLL(None)\nprint('ready',flush=True)\n\
                c.printf(b'step 1 of 9')\ntime.sleep(60)";
    let mut program = Program::python(code);
    assert_eq!(program.line(), "ready");
    if is_glibc(&program) {
        assert_eq!(closely(&program, |process| process.held_back.filter(|&held| held > 0)), Some(11));
    }
}
