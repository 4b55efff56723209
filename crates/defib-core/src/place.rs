//! Which code is the user's own, and where in it something happened.

use crate::facts::Frame;
use crate::log::TraceFrame;
use crate::report::Place;

/// True for a source file that belongs to the user and not to an interpreter,
/// a standard library or an installed package.
#[must_use]
pub fn is_user_file(file: &str) -> bool {
    let file = file.replace('\\', "/");
    if file.is_empty() || file.starts_with('<') || is_standard_library(&file) {
        return false;
    }
    !["/site-packages/", "/dist-packages/", "/_internal/", "/node_modules/"].iter().any(|part| file.contains(part))
        && !is_own_package(&file)
}

/// defib's package for Python, which is laid out in the state folder for workers.
fn is_own_package(file: &str) -> bool {
    let name = file.rsplit_once("/defib/").map(|(_, name)| name);
    name.is_some_and(|name| name == "worker.py" || name.starts_with('_') && !name.contains('/'))
}

/// `…/lib/python3.11/…`, `C:/Python311/Lib/…`, zipped standard library.
fn is_standard_library(file: &str) -> bool {
    let mut parts = file.split('/').rev().skip(1);
    let versioned = |part: &str| {
        let part = part.strip_prefix("python").or_else(|| part.strip_prefix("pypy"));
        part.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    let mut previous = "";
    parts.any(|part| {
        let library = (part == "lib" || part == "lib64" || part == "Lib") && (versioned(previous) || part == "Lib");
        previous = part;
        library
    }) || file.contains(".zip/")
        || previous_is_frozen(file)
}

fn previous_is_frozen(file: &str) -> bool {
    file.contains("importlib/_bootstrap")
}

/// The place of a frame.
#[must_use]
pub fn of_frame(frame: &Frame) -> Place {
    Place { file: frame.file.clone(), line: frame.line, function: Some(frame.function.clone()) }
}

/// The place of a traceback's frame.
#[must_use]
pub fn of_trace(frame: &TraceFrame) -> Place {
    Place { file: frame.file.clone(), line: frame.line, function: Some(frame.function.clone()) }
}

/// The innermost frame in the user's own code (frames innermost first).
#[must_use]
pub fn innermost_user_frame(frames: &[Frame]) -> Option<&Frame> {
    let frames = since_fork(frames);
    frames.iter().find(|frame| is_user_file(&frame.file)).or_else(|| frames.iter().find(|frame| is_inline(&frame.file)))
}

/// The part of a stack that is the process's own: a child that multiprocessing has
/// forked carries its parent's stack below its own first function.
#[must_use]
pub fn since_fork(frames: &[Frame]) -> &[Frame] {
    let first = frames.iter().position(|frame| {
        frame.function == "_bootstrap" && frame.file.replace('\\', "/").ends_with("multiprocessing/process.py")
    });
    first.map_or(frames, |first| &frames[..=first])
}

/// The innermost user frame of a traceback (frames outermost first).
#[must_use]
pub fn innermost_user_trace(frames: &[TraceFrame]) -> Option<&TraceFrame> {
    let user = frames.iter().rev().find(|frame| is_user_file(&frame.file));
    user.or_else(|| frames.iter().rev().find(|frame| is_inline(&frame.file)))
}

/// Code given on the command line or typed in.
fn is_inline(file: &str) -> bool {
    file == "<string>" || file == "<stdin>"
}

#[cfg(test)]
mod tests {
    use super::is_user_file;

    #[test]
    fn libraries_are_not_the_users() {
        for file in [
            "/usr/lib/python3.11/threading.py",
            "/home/u/.pyenv/versions/3.11.7/lib/python3.11/json/decoder.py",
            "/home/u/venv/lib/python3.10/site-packages/torch/cuda/__init__.py",
            "C:\\Python310\\Lib\\asyncio\\runners.py",
            "<frozen importlib._bootstrap>",
            "<string>",
        ] {
            assert!(!is_user_file(file), "{file}");
        }
        for file in ["/home/u/app/track.py", "service.py", "/srv/lib/tools/x.py", "C:\\work\\app.py"] {
            assert!(is_user_file(file), "{file}");
        }
    }
}
