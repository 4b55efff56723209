//! First-run kernel compilation or tuning.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::facts::{Frame, Look};
use crate::pattern::pattern;
use crate::telling::{base_name, cut, frame_name, node_place, process_name, quoted, seconds};
use crate::waits::Grade;
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "jit-compile-wait",
    title: "Compiling at first use",
    what: "Kernels are compiled or tuned at their first use; the next run finds them in a cache.",
    settled_by: "CPU at 100 % in a compiler, a growing cache folder, and a fast second run.",
    taken_for: "a freeze",
    by_hand: &["top: cc1plus, ptxas, cicc below it; the cache folder grows", "the second run is fast"],
    remedies: &["let the first run finish; keep the cache folder"],
    remedy: Remedy::Later,
    judge,
};

/// A compiler that ended within this time belongs to what goes on.
const RECENT_S: f64 = 2.5;

/// Programs that compile.
const COMPILERS: &[&str] = &[
    "cc1", "cc1plus", "cc", "c++", "gcc", "g++", "clang", "clang++", "cudafe++", "cicc", "ptxas", "nvcc", "fatbinary", "nvlink", "hipcc", "ld", "lld", "collect2", "as", "ninja", "make",
    "cmake", "rustc", "xcrun", "metal", "llc", "opt", "icpx", "dpcpp",
];
/// Folders of Python compilers.
const LIBRARIES: &[&str] = &[
    "torch/_inductor", "torch/_dynamo", "torch/utils/cpp_extension", "triton/compiler", "triton/runtime/jit", "triton/runtime/autotuner", "numba/core", "numba/cuda/compiler", "jax/_src/compiler",
    "jax/_src/interpreters/mlir", "tensorflow/python/eager/polymorphic_function", "tensorrt", "torch_tensorrt", "setuptools/_distutils", "distutils/", "cupy/cuda/compiler", "pythran", "cffi/", "Cython/Compiler",
    "tvm/", "taichi/lang", "warp/build",
];
static LINE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\b(?:compil(?:ing|ation)|autotun(?:e|ing)|building (?:extension|engine|kernel)|jit[ -]?compil|emitting ninja build file|tuning kernels?|warming up.*compile|first run|building tensorrt)\b")
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() || study.grade() >= Grade::Probable || !study.limit_fired() {
        return None;
    }
    let graph = study.graph.as_ref()?;
    let compilers: Vec<Option<String>> = study.case.looks.iter().map(compiler).collect();
    let seen = compilers.iter().flatten().count();
    let ended: Vec<&str> = study.case.lifetimes.iter().map(|life| life.command.as_str()).filter(|command| is_compiler(command.split(' ').next().unwrap_or_default())).collect();
    let library = graph.nodes.iter().filter(|node| node.process.in_tree).find_map(|node| {
        let frames = node.thread.python.as_ref().map_or(&[][..], |stack| &stack.frames);
        frames.iter().find(|frame| compiles(frame)).map(|frame| (node, frame))
    });
    // One that was over long ago explains nothing now.
    let now = study.case.ending.as_ref().map_or(study.case.wall_s, |(at_s, _)| *at_s);
    let just = study.case.lifetimes.iter().any(|life| life.gone_s > now - RECENT_S && is_compiler(life.command.split(' ').next().unwrap_or_default()));
    let still = compilers.iter().rev().take(2).any(Option::is_some);
    if !still && !just && library.is_none() {
        return None;
    }
    let looks = study.case.looks.len();
    let waiter = library.map(|(node, _)| node).or_else(|| graph.main_of(study.case.root).map(|id| &graph.nodes[id]));
    let mut facts = Vec::new();
    if let Some(name) = compilers.iter().flatten().next_back() {
        facts.push(Fact::new("stack", format!("a compiler ({name}) runs below it in {seen} of {looks} looks")));
    }
    if !ended.is_empty() {
        facts.push(Fact::new("vitals", format!("{} compiler processes have ended before, {} of them {}", ended.len(), ended.len(), cut(base_name(ended[0].split(' ').next().unwrap_or_default()), 40))));
    }
    if let Some((node, frame)) = library {
        facts.push(Fact::new("stack", format!("{} is inside {}", process_name(node.process), frame_name(frame))).of(node.process.pid));
    }
    let line = study.case.log.last_lines(12).into_iter().rev().find(|line| LINE.is_match(&line.text));
    facts.extend(line.map(|line| quoted(&line.text)));
    let place = waiter.and_then(node_place);
    let at = place.as_ref().map(|place| format!(", started from {}:{}", base_name(&place.file), place.line)).unwrap_or_default();
    let explanation = format!("it still compiles after {}{at}; a second run finds the result in a cache", seconds(now));
    let signs = vec![
        Sign::when(seen > 0, Group::Stack, "a compiler runs in the tree"),
        Sign::when(ended.len() > 1, Group::Vitals, "compilers come and go"),
        Sign::when(line.is_some(), Group::Log, "the log speaks of compiling"),
    ];
    let signs = if library.is_some() { [signs, vec![Sign::seen(Group::Waits, "a Python compiler is on the stack")]].concat() } else { signs };
    Some(
        Finding::signs(signs, explanation, facts)
            .place(place)
            .step("let the first run finish once, without a limit on its start, and keep its cache folder (TORCHINDUCTOR_CACHE_DIR, TRITON_CACHE_DIR, TORCH_EXTENSIONS_DIR, ~/.nv/ComputeCache)")
            .step("a cache on a folder that is thrown away (a container layer, /tmp) makes every run the first one"),
    )
}

fn compiler(look: &Look) -> Option<String> {
    let found = look.processes.iter().find(|process| process.in_tree && (is_compiler(&process.name) || process.command.first().is_some_and(|command| is_compiler(command))));
    found.map(|process| process.name.clone())
}

/// `x86_64-linux-gnu-gcc-12` is one as well.
pub(super) fn is_compiler(command: &str) -> bool {
    let base = base_name(command);
    let plain = base.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    let plain = if plain.is_empty() { base } else { plain };
    let last = plain.rsplit('-').next().unwrap_or(plain);
    COMPILERS.contains(&base) || COMPILERS.contains(&plain) || (plain.contains("-linux-") && COMPILERS.contains(&last))
}

fn compiles(frame: &Frame) -> bool {
    let file = frame.file.replace('\\', "/");
    LIBRARIES.iter().any(|part| file.contains(&format!("/{part}")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn compilers_are_known_by_any_of_their_names() {
        for name in ["/usr/lib/gcc/x86_64-linux-gnu/12/cc1plus", "x86_64-linux-gnu-gcc-12", "gcc-13", "g++", "clang-17", "ptxas"] {
            assert!(super::is_compiler(name), "{name}");
        }
        for name in ["python3.11", "asset", "cat", "world", "tmake", "bash"] {
            assert!(!super::is_compiler(name), "{name}");
        }
    }
}
