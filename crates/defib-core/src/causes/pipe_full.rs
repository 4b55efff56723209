//! A child writes a pipe that its reader does not drain.

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::facts::{Process, Target};
use crate::telling::{frame_name, grouped, node_fact, node_place, process_name, short_command, steadiness, stream_words, thread_name, wait_words};
use crate::waits::{Grade, Graph, Limit, Node, NodeId, Purpose};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "pipe-full",
    title: "A pipe is full and nobody reads it",
    what: "A process writes a pipe that its reader does not drain.",
    settled_by: "A blocked write(2) on a pipe and the reader's own wait; holders of the inode; queued bytes support it.",
    taken_for: "a GPU hang",
    by_hand: &["py-spy dump or /proc/PID/syscall: write (1) on a pipe; ls -l /proc/*/fd | grep the inode: who reads?"],
    remedies: &["read while waiting (communicate), or send the output to a file"],
    remedy: Remedy::Elsewhere,
    judge,
};

fn judge(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() {
        return None;
    }
    let graph = study.graph.as_ref()?;
    let blocked = (0..graph.nodes.len()).filter(|&id| is_blocked(graph, id));
    // Where both ends write and neither reads, the parent is the one to mend.
    let writer = blocked.min_by_key(|&id| !by_parent(graph, id))?;
    let node = &graph.nodes[writer];
    let (fd, inode) = pipe_of(node)?;
    let reader = reader_of(graph, node, inode);
    // A reader that computes comes back to its pipe: then the writer is only ahead of it.
    if study.grade() < Grade::Probable && reader.is_some_and(|id| graph.nodes[id].active()) {
        return None;
    }
    let mut facts = vec![write_fact(node, fd, inode)];
    facts.push(reader_fact(graph, node, fd, inode, reader));
    if let Some(frame) = node.frame {
        facts.push(Fact::new("stack", format!("it writes at {}", frame_name(frame))).of(node.process.pid));
    }
    facts.extend(steadiness(study, node));
    let place = reader.and_then(|id| node_place(&graph.nodes[id])).or_else(|| node_place(node));
    let explanation = explain(node, fd, reader.map(|id| &graph.nodes[id]));
    let steady = node.unchanged >= 2 || graph.looks == 1;
    let finding = if steady {
        Finding::proof(explanation, facts).rank(40)
    } else {
        Finding::signs(vec![Sign::seen(Group::Waits, "a write waits, its reader is not seen")], explanation, facts)
    };
    Some(steps(finding.place(place), graph, reader, fd))
}

/// The reader that does not read is an ancestor of the writer.
fn by_parent(graph: &Graph<'_>, id: NodeId) -> bool {
    let node = &graph.nodes[id];
    let reader = pipe_of(node).and_then(|(_, inode)| reader_of(graph, node, inode));
    reader.is_some_and(|reader| graph.is_ancestor(graph.nodes[reader].process.pid, node.process.pid))
}

/// In a blocked write to a pipe that somebody holds and nobody is reading.
fn is_blocked(graph: &Graph<'_>, id: NodeId) -> bool {
    let node = &graph.nodes[id];
    let Some((_, inode)) = pipe_of(node) else { return false };
    let readers = graph.holders(inode, false);
    let relayed = readers.iter().any(|&pid| Some(pid) == graph.relay);
    let being_read = graph.nodes.iter().any(|other| match &other.purpose {
        Purpose::PipeRead { inode: read, .. } => *read == inode,
        Purpose::Receive { fd } => reads(other.process, *fd, inode),
        Purpose::Any(fds) => fds.iter().any(|&fd| reads(other.process, fd, inode)),
        _ => false,
    });
    node.process.in_tree && node.unlimited() && !relayed && !being_read
}

fn reads(process: &Process, fd: i32, inode: u64) -> bool {
    process.descriptor(fd).is_some_and(|descriptor| {
        let same = match descriptor.target {
            Target::Pipe { inode: other, .. } | Target::Socket { inode: other, .. } => other == inode,
            _ => false,
        };
        descriptor.access.reads() && same
    })
}

fn pipe_of(node: &Node<'_>) -> Option<(i32, u64)> {
    match node.purpose {
        Purpose::PipeWrite { fd, inode } => Some((fd, inode)),
        // multiprocessing's two-way pipes are pairs of sockets.
        Purpose::Send { fd } => match &node.process.descriptor(fd)?.target {
            Target::Socket { socket: Some(socket), .. } if socket.protocol == "unix" => Some((fd, socket.peer.as_ref()?.inode)),
            _ => None,
        },
        _ => None,
    }
}

/// The thread that should read: of the holders' main threads, one that waits
/// for the writer before any other.
fn reader_of(graph: &Graph<'_>, writer: &Node<'_>, inode: u64) -> Option<NodeId> {
    let holders: Vec<i32> = graph.holders(inode, false);
    let candidates = (0..graph.nodes.len()).filter(|&id| {
        let node = &graph.nodes[id];
        holders.contains(&node.process.pid)
            && !std::ptr::eq(node.thread, writer.thread)
            && (node.process.pid != writer.process.pid || holders.len() == 1)
            && node.purpose != Purpose::Helper
    });
    // A helper that was forked with the descriptor is no reader: the parent is.
    candidates.min_by_key(|&id| {
        let node = &graph.nodes[id];
        let parent = graph.is_ancestor(node.process.pid, writer.process.pid);
        let waits = matches!(node.purpose, Purpose::Child(_) | Purpose::Join | Purpose::Future | Purpose::Sleep);
        (!parent, !waits, !node.is_main())
    })
}

fn write_fact(node: &Node<'_>, fd: i32, inode: u64) -> Fact {
    let queued = node.process.descriptors.iter().find_map(|descriptor| match descriptor.target {
        Target::Pipe { inode: other, queued, capacity, .. } if other == inode => Some((queued?, capacity?)),
        _ => None,
    });
    let filled = queued.map_or_else(String::new, |(queued, capacity)| {
        format!(": {} of {} bytes are queued there", grouped(queued), grouped(capacity))
    });
    let says = format!("{} waits in write(2) to {}{filled}", process_name(node.process), stream_words(fd));
    Fact::new("descriptors", says).of(node.process.pid).thread(thread_name(node.thread, node.process))
}

fn reader_fact(graph: &Graph<'_>, writer: &Node<'_>, fd: i32, inode: u64, reader: Option<NodeId>) -> Fact {
    let holders = graph.holders(inode, false);
    let own = holders.iter().all(|&pid| pid == writer.process.pid);
    match reader {
        Some(id) if !own => {
            let node = &graph.nodes[id];
            let only = if holders.len() == 1 { "the only reader is" } else { "the reader is" };
            let says = format!("{only} {}, and it {}", process_name(node.process), reader_words(writer, node));
            Fact::new("waits", says).of(node.process.pid)
        }
        Some(id) => node_fact(&graph.nodes[id]),
        None if own && !holders.is_empty() => Fact::new("descriptors", format!("only {} itself holds the reading end", process_name(writer.process))),
        None if holders.is_empty() => Fact::new("descriptors", format!("the holder of the reading end of {} could not be seen", stream_words(fd))),
        None => Fact::new("descriptors", format!("the reading end is held by pid {}", holders[0])),
    }
}

/// The reader's wait; a child that is waited for is the writer itself, as a rule.
fn reader_words(writer: &Node<'_>, reader: &Node<'_>) -> String {
    let words = wait_words(reader);
    if writer.process.ppid == reader.process.pid {
        words.replace("a child process", &short_command(&writer.process.command))
    } else {
        words
    }
}

fn explain(writer: &Node<'_>, fd: i32, reader: Option<&Node<'_>>) -> String {
    let name = short_command(&writer.process.command);
    let stream = stream_words(fd);
    match reader {
        Some(reader) if reader.process.pid != writer.process.pid => format!(
            "{name} cannot go on: {stream} is full and {} does not read it while it {}",
            short_command(&reader.process.command),
            reader_words(writer, reader)
        ),
        _ => format!("{name} cannot go on: {stream} is full and nobody reads it"),
    }
}

/// What to change, by the reader's own line.
fn steps(finding: Finding, graph: &Graph<'_>, reader: Option<NodeId>, fd: i32) -> Finding {
    let stream = if fd == 2 { "stderr" } else { "stdout" };
    let line = reader.and_then(|id| graph.nodes[id].frame).and_then(|frame| graph.look.source_line(&frame.file, frame.line));
    let line = line.unwrap_or_default();
    let timeout = reader.and_then(|id| match graph.nodes[id].limit {
        Limit::Bounded { total_s: Some(total), .. } if graph.nodes[id].purpose != Purpose::Sleep => {
            Some(format!("timeout={:.0}", total.ceil()))
        }
        _ => None,
    });
    let variable = line.trim().split(".wait(").next().filter(|name| line.contains(".wait(") && !name.contains(' ')).unwrap_or("child");
    if reader.is_some_and(|id| matches!(graph.nodes[id].purpose, Purpose::Join)) && line.contains("join") {
        return finding
            .step("take everything out of the queue before joining the process that fills it")
            .step("or call queue.cancel_join_thread() if its contents may be lost");
    }
    finding
        .step_command("read while waiting", [format!("{variable}.communicate({})", timeout.unwrap_or_default())])
        .step_command("or keep it in a file", [format!("{stream}=open(\"child.log\", \"wb\")")])
}
