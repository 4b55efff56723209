//! The host waits for GPU work that will never be signalled.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::pattern::pattern;
use crate::telling::{cut, frame_name, node_fact, node_place, process_name, seconds, told_by_line};
use crate::waits::{Graph, Node, Purpose};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "gpu-sync-deadlock",
    title: "Waits for GPU work that never ends",
    what: "The host waits for GPU work that will never be signalled.",
    settled_by: "A native frame of waitUntilCompleted or synchronize in every sample, while the GPU is idle.",
    taken_for: "memory pressure",
    by_hand: &["native stack: waitUntilCompleted or synchronize; nvidia-smi: 0 %"],
    remedies: &["end the process; synchronise from one thread"],
    remedy: Remedy::Elsewhere,
    judge,
};

static CALL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"\.synchronize\(|\bsynchronize\(\)|waitUntilCompleted|cudaDeviceSynchronize|cuCtxSynchronize|cudaStreamSynchronize|cudaEventSynchronize|hipDeviceSynchronize|\.wait_event\(|mps\.synchronize|xpu\.synchronize")
});
static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"waitUntilCompleted|MPSStream::synchronize|at::mps::MPSStream|-\[_MTLCommandBuffer waitUntil|cu(?:da)?(?:Stream|Device|Ctx|Event)Synchronize.*(?:hang|stuck|timed? ?out)|the launch timed out and was terminated|CUDA_ERROR_LAUNCH_TIMEOUT")
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() {
        return by_log(study);
    }
    let graph = study.graph.as_ref()?;
    let node = graph.nodes.iter().find(|node| node.process.in_tree && synchronises(graph, node))?;
    let idle = study.case.vitals.last().is_some_and(|vitals| !vitals.gpus.is_empty() && vitals.gpus.iter().all(|gpu| gpu.utilization == Some(0)));
    let mut facts = vec![node_fact(node)];
    if idle {
        facts.push(Fact::new("vitals", "every GPU is idle (utilisation 0 %) meanwhile"));
    }
    let at = node.frame.map(frame_name).unwrap_or_default();
    let explanation = format!("{} waits at {at} for the GPU to finish, unchanged for {}", process_name(node.process), seconds(graph.span_s));
    let signs = vec![Sign::seen(Group::Stack, "stands in a synchronising call"), Sign::when(idle, Group::Gpu, "the GPU is idle")];
    Some(Finding::signs(signs, explanation, facts).place(node_place(node)).step("synchronise from one thread only, and end the process: only that frees the device").step("see what the driver says: nvidia-smi; dmesg | grep -i xid"))
}

/// The line or a function on the stack of this blocked thread waits for a GPU.
pub(super) fn synchronises(graph: &Graph<'_>, node: &Node<'_>) -> bool {
    let blocked = matches!(node.purpose, Purpose::Native | Purpose::Device { .. } | Purpose::Lock) && node.unlimited();
    let frames = node.thread.python.as_ref().map_or(&[][..], |stack| &stack.frames);
    let gpu = frames.iter().any(|frame| frame.file.contains("/torch/") || frame.file.contains("/cupy/") || frame.file.contains("/numba/cuda") || frame.file.contains("/jax"));
    let line = node.frame.and_then(|frame| graph.look.source_line(&frame.file, frame.line)).unwrap_or_default();
    blocked && (CALL.is_match(line) && (gpu || line.contains("cuda") || line.contains("mps") || line.contains("torch")) || gpu && frames.first().is_some_and(|frame| frame.function == "synchronize"))
}

/// A sample of stacks in the log (macOS `sample`, gdb).
fn by_log(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told_by_line(study, &SENTENCE)?;
    Some(told.proof(format!("it waited for GPU work that never ended: {}", cut(&told.text(), 160))).step("synchronise from one thread only, and restart the process"))
}
