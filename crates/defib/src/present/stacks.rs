//! Stacks of all threads of a look, as text.

use std::fmt::Write as _;

use defib_core::facts::{Look, Thread};
use defib_core::place::is_user_file;
use defib_core::telling::{process_name, thread_name};

use super::style::{DIM, STRONG};

/// All threads of the tree.
pub(crate) fn stacks(look: &Look) -> String {
    let mut text = String::new();
    for process in look.processes.iter().filter(|process| process.in_tree) {
        let _ = writeln!(text, "\n{STRONG}{}{STRONG:#}", process_name(process));
        for thread in &process.threads {
            let _ = writeln!(text, "  {}", thread_name(thread, process));
            frames(&mut text, thread);
        }
    }
    text
}

fn frames(text: &mut String, thread: &Thread) {
    let Some(stack) = &thread.python else {
        let wchan = thread.wchan.as_deref().unwrap_or("no Python frames");
        let _ = writeln!(text, "    {DIM}{wchan}{DIM:#}");
        return;
    };
    for frame in &stack.frames {
        let style = if is_user_file(&frame.file) { STRONG } else { DIM };
        let _ = writeln!(text, "    {style}{}:{} {}{style:#}", frame.file, frame.line, frame.function);
    }
}
