//! Every slot of a finite pool is held.

use std::collections::BTreeMap;

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::facts::Frame;
use crate::telling::{frame_name, node_fact, node_place, process_name, steadiness, wait_words};
use crate::waits::{Grade, Graph, NodeId, Purpose};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "slots-exhausted",
    title: "Every worker of a pool is taken",
    what: "Every slot of a finite pool is held by work that waits for another slot of it.",
    settled_by: "As many threads in the same wait as the pool has slots, while the loop itself can run.",
    taken_for: "event-loop-blocked",
    by_hand: &["py-spy dump: as many threads in one wait as the pool has"],
    remedies: &["give inner work its own pool; give back what was taken"],
    remedy: Remedy::Later,
    judge,
};

fn judge(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() || study.grade() < Grade::Part && !study.limit_fired() {
        return None;
    }
    let graph = study.graph.as_ref()?;
    by_executor(study, graph).or_else(|| by_common_wait(study, graph))
}

fn steps(finding: Finding) -> Finding {
    finding
        .step("do not wait inside a pool for work of the same pool: give the inner work a pool of its own, or hand the result on with a callback")
        .step("give back what was taken in every case: with …, or try/finally around acquire and release")
}

/// Pools of threads all of whose workers run tasks that wait without a limit.
fn full_pools(graph: &Graph<'_>) -> Vec<Vec<NodeId>> {
    let mut pools: BTreeMap<(i32, String), Vec<NodeId>> = BTreeMap::new();
    for (id, node) in graph.nodes.iter().enumerate().filter(|(_, node)| node.process.in_tree) {
        let name = node.thread.python.as_ref().and_then(|stack| stack.thread_name.clone()).unwrap_or_default();
        let frames = node.thread.python.as_ref().map_or(&[][..], |stack| &stack.frames);
        if frames.iter().any(is_pool_thread) {
            let pool = name.rsplit_once(['_', '-']).map_or(name.as_str(), |(pool, _)| pool).to_owned();
            pools.entry((node.process.pid, pool)).or_default().push(id);
        }
    }
    let waits = |id: &NodeId| {
        let node = &graph.nodes[*id];
        let kind = matches!(node.purpose, Purpose::Future | Purpose::Lock | Purpose::Notify | Purpose::Join);
        node.unlimited() && kind && node.frame.is_some()
    };
    pools.into_values().filter(|ids| ids.iter().all(waits)).collect()
}

/// Every worker of a pool stands at one line, while somebody else waits for a result.
pub(super) fn is_full_pool_awaited(graph: &Graph<'_>) -> bool {
    let awaited = |ids: &[NodeId]| {
        let pid = graph.nodes[ids[0]].process.pid;
        let waits = |id: NodeId| graph.nodes[id].purpose == Purpose::Future && graph.nodes[id].unlimited();
        graph.of_process(pid).any(|id| !ids.contains(&id) && waits(id))
    };
    full_pools(graph).iter().any(|ids| ids.len() >= 2 && same_line(graph, ids) && awaited(ids))
}

/// All threads of an executor run tasks that wait for results.
fn by_executor(study: &Study<'_>, graph: &Graph<'_>) -> Option<Finding> {
    for ids in full_pools(graph) {
        let ids = &ids;
        let futures = ids.iter().all(|&id| graph.nodes[id].purpose == Purpose::Future);
        let first = &graph.nodes[ids[0]];
        let at = first.frame.map(frame_name).unwrap_or_default();
        let mut facts: Vec<Fact> = ids.iter().take(4).map(|&id| node_fact(&graph.nodes[id])).collect();
        facts.push(Fact::new("waits", format!("these are all {} threads of the pool, none is free for another task", ids.len())).of(first.process.pid));
        facts.extend(steadiness(study, first));
        let explanation = format!("all {} workers of a thread pool of {} wait at {at}, so the work they wait for is never taken up", ids.len(), process_name(first.process));
        let finding = if futures {
            Finding::proof(explanation, facts).rank(37)
        } else if ids.len() >= 2 {
            let signs = vec![Sign::seen(Group::Waits, "every worker of a thread pool waits"), Sign::when(same_line(graph, ids), Group::Stack, "at one line")];
            Finding::signs(signs, explanation, facts)
        } else {
            continue;
        };
        return Some(steps(finding.place(node_place(first))));
    }
    None
}

fn is_pool_thread(frame: &Frame) -> bool {
    frame.file.ends_with("/concurrent/futures/thread.py") && frame.function == "_worker"
        || frame.file.ends_with("/multiprocessing/pool.py") && frame.function == "worker"
}

fn same_line(graph: &Graph<'_>, ids: &[NodeId]) -> bool {
    let place = |id: NodeId| graph.nodes[id].frame.map(|frame| (frame.file.clone(), frame.line));
    ids.iter().all(|&id| place(id) == place(ids[0]))
}

/// Threads that wait at a semaphore, or for a connection of a pool: nobody gives a slot back.
fn by_common_wait(study: &Study<'_>, graph: &Graph<'_>) -> Option<Finding> {
    if study.grade() < Grade::Probable {
        return None;
    }
    let ids: Vec<NodeId> = (0..graph.nodes.len()).filter(|&id| at_slot(graph, id)).collect();
    let first = &graph.nodes[*ids.first()?];
    let mut facts: Vec<Fact> = ids.iter().take(4).map(|&id| node_fact(&graph.nodes[id])).collect();
    facts.extend(steadiness(study, first));
    let threads = if ids.len() == 1 { "a thread".to_owned() } else { format!("{} threads", ids.len()) };
    let at = first.frame.map(frame_name).unwrap_or_default();
    let explanation = format!("{threads} of {} wait for a free slot at {at}, and nobody that holds one can give it back ({})", process_name(first.process), wait_words(first));
    let signs = vec![Sign::seen(Group::Waits, "waits for a slot"), Sign::when(ids.len() > 1, Group::Stack, "several threads at a slot")];
    Some(steps(Finding::signs(signs, explanation, facts).place(node_place(first))))
}

/// Does any thread or task wait for a slot?
pub(super) fn waits_for_slot(graph: &Graph<'_>) -> bool {
    (0..graph.nodes.len()).any(|id| at_slot(graph, id))
}

fn at_slot(graph: &Graph<'_>, id: NodeId) -> bool {
    let node = &graph.nodes[id];
    let frames = node.thread.python.as_ref().map_or(&[][..], |stack| &stack.frames);
    let tasks = node.thread.python.as_ref().map_or(&[][..], |stack| &stack.tasks);
    let line = node.frame.and_then(|frame| graph.look.source_line(&frame.file, frame.line)).unwrap_or_default();
    let slot = is_slot(frames, line) || tasks.iter().any(|task| is_slot(task, line));
    node.process.in_tree && node.unlimited() && node.frame.is_some() && slot
}

/// The wait is that of a semaphore or of a pool of connections.
fn is_slot(frames: &[Frame], line: &str) -> bool {
    let semaphore = frames.iter().any(|frame| frame.file.ends_with("/threading.py") && (frame.function == "acquire" || frame.function == "__enter__"))
        && frames.iter().any(|frame| frame.file.ends_with("/threading.py") && frame.function == "wait");
    let connection = frames.iter().any(|frame| {
        let file = frame.file.as_str();
        (file.contains("urllib3/connectionpool") && frame.function == "_get_conn")
            || (file.contains("sqlalchemy/pool") && frame.function == "_do_get")
            || (file.contains("psycopg_pool") && frame.function == "getconn")
            || (file.contains("httpcore/") && frame.function.ends_with("wait_for_connection"))
            || (file.contains("aiohttp/connector") && (frame.function.ends_with("_wait_for_available_connection") || frame.function.ends_with("BaseConnector.connect")))
            || (file.contains("asyncpg/pool") && frame.function.ends_with("_acquire"))
    });
    let text = line.to_lowercase();
    let task = frames.first().is_some_and(|frame| frame.file.ends_with("asyncio/locks.py") && frame.function.contains("Semaphore"));
    let worded = ["semaphore", "slot", "permit", "_pool.get(", "pool.get(", "connections.get(", "free.get(", "idle.get(", "available.get("].iter().any(|word| text.contains(word));
    semaphore || connection || worded || task
}
