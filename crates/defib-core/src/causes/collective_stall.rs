//! Ranks wait for each other.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::facts::Frame;
use crate::pattern::pattern;
use crate::telling::{cut, frame_name, node_fact, node_place, quoted, seconds, steadiness, told};
use crate::waits::{Grade, Graph, Node, NodeId};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "collective-stall",
    title: "Ranks wait for each other",
    what: "Processes that compute together wait in different steps for each other: one took another path, or is late.",
    settled_by: "The last collective call differs between ranks, and all ranks are alive.",
    taken_for: "a slow network",
    by_hand: &["py-spy dump of every rank: compare the last collective call"],
    remedies: &["make all ranks take the same path; give collectives a time limit"],
    remedy: Remedy::Elsewhere,
    judge,
};

static CALL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)(?:^|[._])(?:i?barrier|all_?reduce|all_?gather\w*|all_?to_?all\w*|reduce_scatter\w*|broadcast\w*|monitored_barrier|collective\w*|sync_ranks|synchroni[sz]e_ranks|rendezvous|wait_for_everyone|gather|scatter|allreduce_|exchange)\b")
});
static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"Watchdog caught collective operation timeout|ProcessGroup(?:NCCL|Gloo|MPI).*(?:[Tt]imed? ?out|timeout)|NCCL (?:WARN )?.*(?:timeout|Timeout)|collective operation timeout",
        r"|Some NCCL operations have failed or timed out|Detected mismatch between collectives|monitoredBarrier.*(?:failed|timed out|did not)|[Rr]anks? .*(?:failed to pass|did not (?:join|call|enter))",
        r"|One or more tensors were submitted to be reduced, gathered or broadcasted by subset of ranks|Stalled (?:ops|tensors)|DistBackendError: .*(?:timeout|Timeout)|BrokenBarrierError",
        r"|wait(?:ing)? timeout after \d+\s?ms.*(?:rank|gloo)|Timed out waiting \d+ms for (?:recv|send) operation|Connection closed by peer \[.*gloo|work->wait.*timeout",
    ))
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() {
        return by_log(study);
    }
    if study.grade() < Grade::Probable && !study.limit_fired() {
        return None;
    }
    let graph = study.graph.as_ref()?;
    let ranks = ranks(graph);
    let places: BTreeSet<Option<(String, u32)>> = ranks.iter().map(|&id| graph.nodes[id].frame.map(|frame| (frame.file.clone(), frame.line))).collect();
    let inside = ranks.iter().copied().find(|&id| collective(graph, &graph.nodes[id]).is_some())?;
    let node = &graph.nodes[inside];
    let call = collective(graph, node)?;
    let mut facts: Vec<Fact> = ranks.iter().take(6).map(|&id| node_fact(&graph.nodes[id])).collect();
    facts.extend(steadiness(study, node));
    let differ = places.len() > 1;
    // A rank that stands elsewhere took the other path.
    let odd = ranks.iter().copied().find(|&id| collective(graph, &graph.nodes[id]).is_none());
    let elsewhere = odd.and_then(|id| graph.nodes[id].frame).map(|frame| format!("; one stands at {} instead", frame_name(frame))).unwrap_or_default();
    let explanation = format!("{} processes of one program wait for each other in {call} ({}), unchanged for {}{elsewhere}", ranks.len(), node.frame.map(frame_name).unwrap_or_default(), seconds(graph.span_s));
    let signs = vec![Sign::seen(Group::Stack, "several ranks, one in a collective call"), Sign::when(differ, Group::Waits, "they stand at different lines")];
    let place = odd.map(|id| &graph.nodes[id]).and_then(node_place).or_else(|| node_place(node));
    Some(
        Finding::signs(signs, explanation, facts)
            .place(place)
            .step("make every rank call the same collectives in the same order: look for a branch on the rank, a shorter data set, or an exception that one rank handled")
            .step("give the collective a time limit, so that it fails with a name"),
    )
}

/// Main threads of at least two processes of the same program and parent, all waiting.
fn ranks(graph: &Graph<'_>) -> Vec<NodeId> {
    let waits = |node: &Node<'_>| node.process.in_tree && node.is_main() && node.unlimited() && !node.active() && node.thread.python.is_some() && !node.rests();
    let all: Vec<NodeId> = (0..graph.nodes.len()).filter(|&id| waits(&graph.nodes[id])).collect();
    let parents: BTreeSet<i32> = all.iter().map(|&id| graph.nodes[id].process.ppid).collect();
    let groups = parents.into_iter().map(|parent| all.iter().copied().filter(|&id| graph.nodes[id].process.ppid == parent).collect::<Vec<_>>());
    groups.max_by_key(Vec::len).filter(|group| group.len() >= 2).unwrap_or_default()
}

/// The collective call on this stack, by its name.
fn collective(graph: &Graph<'_>, node: &Node<'_>) -> Option<String> {
    let frames: &[Frame] = node.thread.python.as_ref().map_or(&[], |stack| &stack.frames);
    let library = frames.iter().find(|frame| {
        CALL.is_match(&frame.function) || frame.file.ends_with("multiprocessing/synchronize.py") && frame.function == "wait" && frames.iter().any(|other| other.file.ends_with("/threading.py") && other.function == "wait")
    });
    if let Some(frame) = library {
        return Some(frame.function.clone());
    }
    let line = node.frame.and_then(|frame| graph.look.source_line(&frame.file, frame.line))?;
    CALL.find(line).map(|found| found.as_str().trim_start_matches(['.', '_']).to_owned())
}

/// What NCCL, gloo, Horovod and barriers with a time limit print.
fn by_log(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let mut finding = told.proof(format!("ranks waited for each other in vain: {}", cut(&told.text(), 220)));
    let lines = study.case.log.lines.iter().filter(|line| line.text.contains("last enqueued") || line.text.contains("OpType="));
    finding.facts.extend(lines.take(4).map(|line| quoted(&line.text)));
    Some(finding.step("compare the last collective of each rank: the one that is behind, or elsewhere, has the fault"))
}
