//! A blocking network or camera read with no deadline.

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::event::Ending;
use crate::facts::{Socket, Target};
use crate::telling::{node_fact, node_place, process_name, seconds, socket_words, steadiness, stuck};
use crate::waits::{Grade, Node, NodeId, Outside, Purpose};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "no-io-timeout",
    title: "Waits for the network without a deadline",
    what: "A blocking network or camera read with no deadline.",
    settled_by: "A recv or poll on a socket, bytes not moving, the peer and the state of the connection.",
    taken_for: "a slow server",
    by_hand: &["ss -tnpi: the connection, its queues, the last byte", "py-spy dump: recv, read or poll"],
    remedies: &["give the call a time limit"],
    remedy: Remedy::Elsewhere,
    judge,
};

fn judge(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() {
        return None;
    }
    let graph = study.graph.as_ref()?;
    let limit = matches!(study.case.ending, Some((_, Ending::TimedOut { .. } | Ending::NoFirstOutput { .. })));
    if study.grade() < Grade::Probable && !limit {
        return None;
    }
    let mut nodes: Vec<NodeId> = (0..graph.nodes.len()).filter(|&id| waits_for_network(&graph.nodes[id])).collect();
    let inside = nodes.is_empty();
    if inside {
        nodes = stuck(study).filter(|&id| waits_inside(&graph.nodes[id])).collect();
    }
    nodes.sort_by_key(|&id| (!graph.nodes[id].is_main(), graph.nodes[id].frame.is_none()));
    let node = &graph.nodes[*nodes.first()?];
    let fd = descriptor(node)?;
    let mut facts = vec![node_fact(node)];
    facts.extend(socket_fact(node, fd));
    if node.unlimited() {
        facts.push(Fact::new("waits", "the call was made without a time limit").of(node.process.pid));
    }
    facts.extend(steadiness(study, node));
    let peer = socket_words(node.process, fd);
    let explanation = match &node.purpose {
        Purpose::Connect { .. } => format!("{} waits for {peer} to accept its connection, without a time limit of its own", process_name(node.process)),
        Purpose::Device { .. } => format!("{} waits for a device that does not answer", process_name(node.process)),
        _ => format!("{} waits for an answer from {peer}, without a time limit", process_name(node.process)),
    };
    let place = node_place(node);
    let finding = if inside {
        Finding::signs(vec![Sign::seen(Group::Waits, "waits for another process of the run, through a socket")], explanation, facts)
    } else if node.unchanged >= 2 || graph.looks == 1 {
        Finding::proof(explanation, facts).rank(46)
    } else {
        Finding::signs(vec![Sign::seen(Group::Waits, "waits for the network, not long yet")], explanation, facts)
    };
    Some(steps(finding.place(place), graph.look, node))
}

fn waits_for_network(node: &Node<'_>) -> bool {
    let network = node.outside.contains(&Outside::Network) && !node.outside.contains(&Outside::Idle);
    let camera = matches!(node.purpose, Purpose::Device { fd: Some(fd) } if is_camera(node, fd));
    node.process.in_tree && node.unlimited() && (network || camera) && descriptor(node).is_some()
}

/// A connection between two processes of the run, neither of which goes on.
fn waits_inside(node: &Node<'_>) -> bool {
    let receives = matches!(node.purpose, Purpose::Receive { .. } | Purpose::Connect { .. });
    let tcp = descriptor(node).and_then(|fd| socket(node, fd)).is_some_and(|socket| socket.protocol == "tcp");
    node.process.in_tree && receives && tcp && node.unlimited()
}

fn is_camera(node: &Node<'_>, fd: i32) -> bool {
    matches!(node.process.descriptor(fd).map(|descriptor| &descriptor.target), Some(Target::Device { path }) if path.starts_with("/dev/video"))
}

fn descriptor(node: &Node<'_>) -> Option<i32> {
    match &node.purpose {
        Purpose::Receive { fd } | Purpose::Send { fd } | Purpose::Connect { fd } | Purpose::Device { fd: Some(fd) } => Some(*fd),
        Purpose::Any(fds) => fds.iter().copied().find(|&fd| socket(node, fd).is_some_and(|socket| socket.remote.is_some())),
        _ => None,
    }
}

fn socket<'a>(node: &Node<'a>, fd: i32) -> Option<&'a Socket> {
    match &node.process.descriptor(fd)?.target {
        Target::Socket { socket, .. } => socket.as_ref(),
        _ => None,
    }
}

fn socket_fact(node: &Node<'_>, fd: i32) -> Option<Fact> {
    let socket = socket(node, fd)?;
    let mut says = format!("connection {} to {}: {}, {} bytes to read, {} bytes not acknowledged", socket.local, socket.remote.as_deref().unwrap_or("nobody"), socket.state, socket.receive_queue, socket.send_queue);
    if let Some(received) = socket.bytes_received {
        says.push_str(&format!(", {received} bytes received in all"));
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a wait, shown with two digits")]
    if let Some(idle) = socket.last_received_ms.filter(|_| socket.bytes_received.is_some_and(|bytes| bytes > 0)) {
        says.push_str(&format!(", the last {} ago", seconds(idle as f64 / 1000.0)));
    }
    if let Some(peer) = &socket.peer
        && let Some(pid) = peer.pids.first()
    {
        says.push_str(&format!("; the other end is pid {pid} on this machine"));
    }
    Some(Fact::new("waits", says).of(node.process.pid))
}

/// The parameter that the library in use would take.
fn steps(finding: Finding, look: &crate::facts::Look, node: &Node<'_>) -> Finding {
    let frames = node.thread.python.as_ref().map_or(&[][..], |stack| &stack.frames);
    let uses = |part: &str| frames.iter().any(|frame| frame.file.contains(part));
    let line = node.frame.and_then(|frame| look.source_line(&frame.file, frame.line)).unwrap_or_default();
    let finding = if uses("/requests/") {
        finding.step_command("give the request a limit", ["timeout=(5, 60)"])
    } else if uses("/httpx/") {
        finding.step_command("give the client a limit", ["timeout=httpx.Timeout(60, connect=5)"])
    } else if uses("urllib/request.py") || line.contains("urlopen") {
        finding.step_command("give the request a limit", ["urlopen(request, timeout=60)"])
    } else if uses("http/client.py") {
        finding.step_command("give the connection a limit", ["HTTPConnection(host, timeout=60)"])
    } else if uses("asyncio/") {
        finding.step_command("give the wait a limit", ["await asyncio.wait_for(…, timeout=60)"])
    } else if !frames.is_empty() {
        finding.step_command("give the socket a limit", ["sock.settimeout(60)"])
    } else {
        finding.step("give the call a time limit (most clients have an option for it)")
    };
    finding.step("ask whether the server is alive; if it is, its own log tells why it does not answer")
}
