//! The tree at the last look: who waits for what, at which line.

use std::collections::HashSet;

use defib_core::case::Study;
use defib_core::facts::{Access, Descriptor, Look, Process, ProcessState, Target, Thread};
use defib_core::place::is_user_file;
use defib_core::telling::{grouped, process_name, size, socket_words, stream_words, thread_name, wait_words};
use defib_core::waits::{Graph, Node};
use maud::{Markup, html};

use super::{clock, count, pasteable, shown, tell, tell_within};

/// Bounds of what is shown: processes, threads of one, frames of one, frames in all.
const PROCESSES: usize = 60;
/// See [`PROCESSES`].
const THREADS: usize = 40;
/// See [`PROCESSES`].
const FRAMES: usize = 80;
/// See [`PROCESSES`].
const ALL_FRAMES: usize = 2500;
/// Deepest nesting of processes.
const DEEPEST: usize = 12;
/// Descriptors named of one process.
const ENDS: usize = 24;

/// The section.
pub(super) fn stacks(study: &Study<'_>) -> Markup {
    let look = study.case.looks.last();
    html! {
        section #stacks aria-labelledby="stacks-title" {
            h2 #stacks-title { "Inside, at the last look" }
            @match (look, &study.graph) {
                (Some(look), Some(graph)) => (tree(study, look, graph)),
                _ => p.quiet { "Nobody looked inside: it was over too soon, or nothing called for a look." },
            }
        }
    }
}

/// What is needed everywhere, and what has been shown so far.
struct View<'a, 's> {
    look: &'a Look,
    graph: &'a Graph<'a>,
    stuck: HashSet<i32>,
    relay: Option<i32>,
    cwd: &'s str,
    frames_left: usize,
    processes_left: usize,
}

fn tree(study: &Study<'_>, look: &Look, graph: &Graph<'_>) -> Markup {
    let stuck = study
        .verdict
        .iter()
        .flat_map(|verdict| &verdict.stuck)
        .filter_map(|id| graph.nodes.get(*id))
        .map(|node| node.thread.tid);
    let mut view = View {
        look,
        graph,
        stuck: stuck.collect(),
        relay: study.case.relay,
        cwd: &study.case.cwd,
        frames_left: ALL_FRAMES,
        processes_left: PROCESSES,
    };
    let tree: Vec<&Process> = look.processes.iter().filter(|process| process.in_tree).collect();
    let roots: Vec<&Process> = tree
        .iter()
        .copied()
        .filter(|process| !tree.iter().any(|other| other.pid == process.ppid && other.pid != process.pid))
        .collect();
    let branches: Vec<Markup> = roots.iter().map(|root| branch(&mut view, root, 0)).collect();
    let shown = PROCESSES - view.processes_left;
    let looks = study.case.looks.len();
    html! {
        p.quiet {
            "Seen " (clock(look.at_s)) " after the start, without stopping anything"
            @if looks > 1 { "; compared with " (count(looks - 1, "earlier look", "earlier looks")) " over " (defib_core::telling::seconds(graph.span_s)) }
            ". Newest call first; your own code stands out, libraries are dimmed."
        }
        ul.tree { @for branch in &branches { (branch) } }
        @if shown < tree.len() { p.quiet { (count(tree.len() - shown, "process is", "processes are")) " not shown here." } }
        (denied(look))
    }
}

fn branch(view: &mut View<'_, '_>, process: &Process, depth: usize) -> Markup {
    if view.processes_left == 0 || depth > DEEPEST {
        return html! {};
    }
    view.processes_left -= 1;
    let look = view.look;
    let stuck = process.threads.iter().any(|thread| view.stuck.contains(&thread.tid));
    let threads: Vec<Markup> = process.threads.iter().take(THREADS).map(|one| thread(view, process, one)).collect();
    let children: Vec<&Process> = look
        .processes
        .iter()
        .filter(|other| other.in_tree && other.ppid == process.pid && other.pid != process.pid)
        .collect();
    let children: Vec<Markup> = children.into_iter().map(|child| branch(view, child, depth + 1)).collect();
    html! {
        li {
            details.process open {
                summary {
                    b { (tell_within(&process_name(process), 200)) }
                    @if stuck { " " span.tag.bad { "stuck" } }
                    " " span.quiet { (state_words(process.state)) " · " (count(process.threads.len(), "thread", "threads")) " · " (size(process.rss_bytes)) }
                }
                @if !process.command.is_empty() { p.command { code { (tell_within(&pasteable(&process.command), 600)) } } }
                @for thread in &threads { (thread) }
                @if process.threads.len() > THREADS { p.quiet { (process.threads.len() - THREADS) " more threads are not shown here." } }
                (ends(view, process))
            }
            @if !children.is_empty() { ul.tree { @for child in &children { (child) } } }
        }
    }
}

fn state_words(state: ProcessState) -> &'static str {
    match state {
        ProcessState::Running => "runs",
        ProcessState::Sleeping => "sleeps",
        ProcessState::DiskSleep => "cannot be interrupted (state D)",
        ProcessState::Stopped => "stopped",
        ProcessState::Traced => "held by a debugger",
        ProcessState::Zombie => "ended, not yet waited for",
        ProcessState::Dead => "ended",
        ProcessState::Other => "at rest",
    }
}

fn thread(view: &mut View<'_, '_>, process: &Process, thread: &Thread) -> Markup {
    let node = view.graph.nodes.iter().find(|node| node.thread.tid == thread.tid && node.process.pid == process.pid);
    let stuck = view.stuck.contains(&thread.tid);
    let frames = thread.python.as_ref().map_or(&[][..], |stack| &stack.frames);
    let own = frames.iter().any(|frame| is_user_file(&frame.file));
    let room = frames.len().min(FRAMES).min(view.frames_left);
    view.frames_left -= room;
    html! {
        details.thread open[own || stuck] {
            summary {
                (tell_within(&thread_name(thread, process), 120)) " "
                @if stuck { span.tag.bad { "stuck" } " " }
                @if thread.python.as_ref().is_some_and(|stack| stack.owns_gil) { span.tag { "holds the GIL" } " " }
                @if let Some(node) = node { span.wait { (wait(node, view.graph.looks)) } }
            }
            @if frames.is_empty() {
                p.quiet { "no Python frames" @if let Some(wchan) = &thread.wchan { "; in the kernel: " code { (tell_within(wchan, 80)) } } }
            } @else {
                ol.frames {
                    @for frame in &frames[..room] {
                        li.own[is_user_file(&frame.file)] {
                            code title=[library(&frame.file).map(|_| tell_within(&frame.file, 200))] { (tell_within(&file_words(view.cwd, &frame.file), 200)) ":" (frame.line) " " b { (tell_within(&frame.function, 120)) } }
                            @if is_user_file(&frame.file) && let Some(line) = view.look.source_line(&frame.file, frame.line) {
                                code.source { (tell_within(line.trim(), 200)) }
                            }
                        }
                    }
                }
                @if frames.len() > room { p.quiet { (count(frames.len() - room, "older frame is", "older frames are")) " not shown here." } }
            }
        }
    }
}

/// A library's file without the place of its installation.
fn file_words(cwd: &str, file: &str) -> String {
    library(file).map_or_else(|| shown(cwd, file).to_owned(), |inside| format!("…/{inside}"))
}

/// The part of a path inside the standard library or an installed package.
fn library(file: &str) -> Option<&str> {
    let installed = ["/site-packages/", "/dist-packages/"].iter().find_map(|mark| Some(file.rsplit_once(mark)?.1));
    installed.or_else(|| {
        let (_, rest) = file.rsplit_once("/lib/python")?;
        rest.split_once('/').map(|(_, inside)| inside)
    })
}

fn wait(node: &Node<'_>, looks: usize) -> String {
    let words = tell_within(&wait_words(node), 300);
    if looks > 1 && node.unchanged == looks && !node.active() {
        format!("{words} · the same in all {looks} looks")
    } else {
        words
    }
}

/// Pipes and sockets, and who holds their other ends.
fn ends(view: &View<'_, '_>, process: &Process) -> Markup {
    let told: Vec<Markup> =
        process.descriptors.iter().filter_map(|descriptor| end(view, process, descriptor)).collect();
    html! {
        @if !told.is_empty() {
            details.ends {
                summary { (count(told.len(), "pipe or socket", "pipes and sockets")) " and their other ends" }
                ul { @for one in told.iter().take(ENDS) { (one) } }
                @if told.len() > ENDS { p.quiet { (told.len() - ENDS) " more are not shown here." } }
            }
        }
    }
}

fn end(view: &View<'_, '_>, process: &Process, descriptor: &Descriptor) -> Option<Markup> {
    let fd = descriptor.fd;
    match &descriptor.target {
        Target::Pipe { inode, queued, capacity, path } => {
            let writes = descriptor.access == Access::Write;
            let holders = view.graph.holders(*inode, !writes);
            let name = if fd <= 2 { stream_words(fd) } else { "a pipe".to_owned() };
            let fill = queued.zip(*capacity);
            Some(html! {
                li {
                    span.fd { (fd) } " " (name)
                    @if let Some(path) = path { " " code { (tell_within(path, 200)) } }
                    @if writes { " → " span.visually { "read by " } } @else { " ← " span.visually { "written by " } }
                    (people(view, process, &holders))
                    @if let Some((queued, capacity)) = fill && queued > 0 {
                        " · " span.bad[queued + 4096 > capacity] { (grouped(queued)) " of " (grouped(capacity)) " bytes wait in it" @if queued + 4096 > capacity { " (full)" } }
                    }
                }
            })
        }
        Target::Socket { socket, .. } => {
            let peers = socket.as_ref().and_then(|socket| socket.peer.as_ref()).map_or(&[][..], |peer| &peer.pids);
            Some(html! {
                li {
                    span.fd { (fd) } " " (tell(&socket_words(process, fd)))
                    @if let Some(socket) = socket {
                        @if socket.remote.is_none() && !socket.state.is_empty() { " · " (tell_within(&socket.state, 40)) }
                        @if socket.receive_queue > 0 { " · " (grouped(socket.receive_queue)) " waiting to be taken" }
                        @if socket.send_queue > 0 { " · " (grouped(socket.send_queue)) " bytes not acknowledged" }
                    }
                    @if !peers.is_empty() { " ↔ " (people(view, process, peers)) }
                }
            })
        }
        _ => None,
    }
}

/// Processes by name; defib's own relay as what it is.
fn people(view: &View<'_, '_>, own: &Process, pids: &[i32]) -> String {
    if pids.is_empty() {
        return "nobody that could be seen".to_owned();
    }
    let name = |pid: &i32| match view.look.process(*pid) {
        _ if Some(*pid) == view.relay => "defib, which reads all of it".to_owned(),
        _ if *pid == own.pid => "itself".to_owned(),
        Some(process) => tell_within(&process_name(process), 120),
        None => format!("pid {pid}"),
    };
    let mut names: Vec<String> = pids.iter().take(6).map(name).collect();
    if pids.len() > 6 {
        names.push(format!("{} more", pids.len() - 6));
    }
    names.join(", ")
}

fn denied(look: &Look) -> Markup {
    html! {
        @if !look.denied.is_empty() {
            h3 { "Hidden from defib" }
            ul {
                @for denied in look.denied.iter().take(12) {
                    li {
                        (tell_within(&denied.what, 80)) " of pid " (denied.pid) ": " (tell_within(&denied.why, 200))
                        @if let Some(command) = &denied.command { pre.copy tabindex="0" { code { (tell(&pasteable(command))) } } }
                    }
                }
            }
        }
    }
}
