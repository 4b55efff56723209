//! Counters of a tree that only grow, although processes end.
//!
//! The kernel adds an ended process's CPU time and io to the parent that waits
//! for it: CPU time to separate fields, io to the parent's own numbers.

use std::collections::HashMap;

use crate::parse::{Io, Stat};

/// A process that has ended, with the last that was seen of it.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) pid: i32,
    pub(crate) stat: Stat,
    pub(crate) io: Io,
    pub(crate) switches: u64,
    pub(crate) command: Vec<String>,
}

/// Sums over a tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) ticks: u64,
    pub(crate) io: Io,
    pub(crate) switches: u64,
}

/// Adds up a tree over time.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Last seen waited-for ticks and io of each live process and of the root.
    last: HashMap<i32, (u64, Io)>,
    started: bool,
    live: Total,
    /// CPU ticks of ended processes, and of children never seen alive.
    ended_ticks: u64,
    /// Io of ended processes that nobody in the tree took over.
    ended_io: Io,
    ended_switches: u64,
    highest: Total,
}

impl Tally {
    /// Takes in the live processes, the root where it stands outside of the
    /// tree, and those that ended since the last time.
    pub(crate) fn update<'a>(
        &mut self,
        live: impl Iterator<Item = (i32, &'a Stat, Io)>,
        root: Option<(i32, &Stat)>,
        ended: &[Ended],
    ) {
        self.live = Total::default();
        let mut now = HashMap::new();
        for (pid, stat, io) in live {
            self.live.ticks += stat.ticks;
            self.live.io = self.live.io.plus(io);
            now.insert(pid, (stat.child_ticks, io));
        }
        let tree_io = |pid: &i32| now.get(pid).map(|(_, io)| *io);
        self.ended_io = self.ended_io.plus(self.not_taken_over(&tree_io, ended));
        if let Some((pid, stat)) = root {
            now.insert(pid, (stat.child_ticks, Io::default()));
        }
        self.count_ticks(&now, ended);
        self.ended_switches += ended.iter().map(|ended| ended.switches).sum::<u64>();
        self.last = now;
        self.started = true;
    }

    /// CPU time: what ended processes were last seen with, and what their
    /// parents waited for beyond that.
    fn count_ticks(&mut self, now: &HashMap<i32, (u64, Io)>, ended: &[Ended]) {
        let mut waited_for = 0u64;
        for (pid, (ticks, _)) in now {
            match self.last.get(pid) {
                Some((before, _)) => waited_for += ticks.saturating_sub(*before),
                // What a new process has waited for was born and ended in between.
                None if self.started => waited_for += ticks,
                None => {}
            }
        }
        let own: u64 = ended.iter().map(|ended| ended.stat.ticks).sum();
        let with_children: u64 = ended.iter().map(|ended| ended.stat.child_ticks).sum();
        self.ended_ticks += own + waited_for.saturating_sub(own + with_children);
    }

    /// Io of ended processes that did not reappear in a live ancestor.
    fn not_taken_over(&self, now: &dyn Fn(&i32) -> Option<Io>, ended: &[Ended]) -> Io {
        let parents: HashMap<i32, i32> = ended.iter().map(|ended| (ended.pid, ended.stat.ppid)).collect();
        let mut heirs: HashMap<i32, Io> = HashMap::new();
        let mut lost = Io::default();
        for ended in ended {
            let mut heir = ended.stat.ppid;
            for _ in 0..parents.len() {
                heir = parents.get(&heir).copied().unwrap_or(heir);
            }
            if now(&heir).is_some() {
                let sum = heirs.entry(heir).or_default();
                *sum = sum.plus(ended.io);
            } else {
                lost = lost.plus(ended.io);
            }
        }
        for (heir, due) in heirs {
            let before = self.last.get(&heir).map_or(Io::default(), |(_, io)| *io);
            let grown = now(&heir).unwrap_or_default().minus(before);
            if !grown.covers(due) {
                lost = lost.plus(due);
            }
        }
        lost
    }

    /// The sums now; `switches` are those of the live processes.
    pub(crate) fn total(&mut self, switches: u64) -> Total {
        let now = Total {
            ticks: self.live.ticks + self.ended_ticks,
            io: self.live.io.plus(self.ended_io),
            switches: switches + self.ended_switches,
        };
        self.highest = Total {
            ticks: self.highest.ticks.max(now.ticks),
            io: self.highest.io.at_least(now.io),
            switches: self.highest.switches.max(now.switches),
        };
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(ppid: i32, ticks: u64, child_ticks: u64) -> Stat {
        Stat { ppid, ticks, child_ticks, ..Stat::default() }
    }

    fn io(read_chars: u64) -> Io {
        Io { read_chars, ..Io::default() }
    }

    #[test]
    fn a_child_that_was_waited_for_counts_once() {
        let mut tally = Tally::default();
        let (parent, child) = (stat(1, 10, 0), stat(2, 5, 0));
        tally.update([(2, &parent, io(100)), (3, &child, io(40))].into_iter(), None, &[]);
        assert_eq!((tally.total(0).ticks, tally.total(0).io.read_chars), (15, 140));
        // It used one tick and ten characters more before it ended.
        let after = stat(1, 11, 6);
        let gone = Ended { pid: 3, stat: child, io: io(40), switches: 0, command: Vec::new() };
        tally.update([(2, &after, io(150))].into_iter(), None, &[gone]);
        assert_eq!((tally.total(0).ticks, tally.total(0).io.read_chars), (17, 150));
    }

    #[test]
    fn what_the_outside_root_inherits_stays_counted() {
        let mut tally = Tally::default();
        let (shim, child) = (stat(0, 99, 0), stat(1, 5, 2));
        tally.update([(3, &child, io(40))].into_iter(), Some((1, &shim)), &[]);
        let gone = Ended { pid: 3, stat: child, io: io(40), switches: 0, command: Vec::new() };
        let shim = stat(0, 120, 8);
        tally.update(std::iter::empty(), Some((1, &shim)), &[gone]);
        // Five of its own, two of its children (from before), one unseen.
        assert_eq!((tally.total(0).ticks, tally.total(0).io.read_chars), (6, 40));
    }

    #[test]
    fn children_between_two_samples_are_found_in_their_parent() {
        let mut tally = Tally::default();
        tally.update([(2, &stat(1, 1, 0), io(0))].into_iter(), None, &[]);
        tally.update([(2, &stat(1, 1, 30), io(0))].into_iter(), None, &[]);
        assert_eq!(tally.total(0).ticks, 31);
    }
}
