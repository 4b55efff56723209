//! How a shim ends its tree, and then itself.

use std::time::{Duration, Instant};

use defib_core::event::{Ending, Event, Fate};
use rustix::event::PollFlags;

use super::{Phase, State};
use crate::link::wait_for;
use crate::process::{Process, children};
use crate::relay::{Order, Relay};
use crate::tree::{self, Holder, Seen};
use crate::{cgroup, sweep, sys};

/// Time for helpers to notice by themselves that the program has ended.
const SETTLE: Duration = Duration::from_millis(100);
/// Grace for what outlived the program.
const LEFTOVER_GRACE: Duration = Duration::from_millis(200);
/// Longest grace of a stalled program: it cannot go on, and few will hear.
const STALLED_GRACE_S: f64 = 1.0;
/// A relay that neither ends nor waits for the user's reader is given up after this.
const RELAY_LIMIT: Duration = Duration::from_secs(2);

impl State {
    /// Goes on to the next phase where it is time.
    pub(super) fn advance(&mut self) {
        let now = Instant::now();
        match self.phase {
            Phase::Running if self.job_ended && !self.empty => {
                self.begun.get_or_insert(now);
                self.phase = Phase::Settling { until: now + SETTLE };
            }
            Phase::Settling { until } if until <= now && !self.empty => self.find_leftovers(),
            Phase::Asked { until } if until <= now && !self.empty => self.kill(),
            Phase::Running | Phase::Settling { .. } | Phase::Asked { .. } if self.empty => {
                self.tree_ended(&[]);
            }
            Phase::Detaching if self.relays.iter().all(|relay| relay.answered(Order::Detach)) => {
                self.stay_behind();
            }
            Phase::Behind if self.empty => self.drain(),
            _ => {}
        }
        if let Phase::Draining { since } = self.phase {
            self.finish_streams(since);
        }
    }

    /// defib ends the run.
    pub(super) fn end(&mut self, ending: Ending, grace_s: Option<f64>) {
        match self.phase {
            Phase::Running => {}
            Phase::Behind => {
                self.emit(Event::Ending(ending));
                return self.kill();
            }
            // Already at it: asking again means at once.
            _ => return self.end_now(),
        }
        let mut grace_s = grace_s.unwrap_or(self.spec.grace_s).clamp(0.0, 1e6);
        if matches!(ending, Ending::Stalled { .. }) {
            grace_s = grace_s.min(STALLED_GRACE_S);
        }
        self.ordered = true;
        self.emit(Event::Ending(ending));
        self.ask(Duration::from_secs_f64(grace_s));
    }

    fn ask(&mut self, grace: Duration) {
        let now = *self.begun.get_or_insert_with(Instant::now);
        let mut asked = std::mem::take(&mut self.touched);
        tree::ask_all(self, &mut asked);
        self.touched = asked;
        self.phase = Phase::Asked { until: now.max(Instant::now()) + grace };
    }

    /// Kills what is left, and delivers no more.
    pub(super) fn end_now(&mut self) {
        match self.phase {
            Phase::Running | Phase::Settling { .. } | Phase::Asked { .. } => {
                self.ordered = true;
                self.kill();
            }
            Phase::Detaching => self.relays.iter().for_each(Relay::keep_only),
            Phase::Behind => self.kill(),
            Phase::Draining { .. } => {
                self.relays.iter().for_each(Relay::keep_only);
                self.phase = Phase::Draining { since: Instant::now() };
            }
            Phase::Done => {}
        }
    }

    pub(super) fn supervisor_gone(&mut self) {
        match self.phase {
            Phase::Running | Phase::Settling { .. } | Phase::Asked { .. } if self.control.is_some() => {
                self.emit(Event::SupervisorLost);
                self.relays.iter().for_each(Relay::keep_only);
            }
            Phase::Running | Phase::Settling { .. } | Phase::Asked { .. } => {
                self.ordered = true;
                self.emit(Event::Ending(Ending::SupervisorGone));
                self.relays.iter().for_each(Relay::keep_only);
                self.kill();
            }
            Phase::Detaching | Phase::Draining { .. } => {
                self.relays.iter().for_each(Relay::keep_only);
            }
            Phase::Behind | Phase::Done => {}
        }
    }

    /// The program has ended, and others of its tree live on.
    fn find_leftovers(&mut self) {
        let mut living = tree::living(self.tops());
        if living.is_empty() {
            // There are children: they moved during the walk.
            living = tree::living(self.tops());
        }
        self.leftovers = living.into_iter().map(Seen::of).collect();
        if self.spec.allow_daemons && !self.leftovers.is_empty() {
            self.relays.iter().for_each(|relay| relay.order(Order::Detach));
            self.phase = Phase::Detaching;
        } else {
            self.ask(LEFTOVER_GRACE);
        }
    }

    fn kill(&mut self) {
        self.begun.get_or_insert_with(Instant::now);
        let mut killed = std::mem::take(&mut self.touched);
        let survivors = tree::kill(self, &mut killed);
        self.touched = killed;
        self.tree_ended(&survivors);
    }

    /// Tells what became of the tree.
    fn tree_ended(&mut self, survivors: &[Process]) {
        let mut survivors: Vec<Seen> = survivors.iter().cloned().map(Seen::of).collect();
        if self.ordered || !self.touched.is_empty() {
            survivors.extend(self.sweep_marked());
        }
        let key = |process: &Process| (process.pid, process.start_ticks);
        let same = |one: &Seen, other: &Seen| key(&one.process) == key(&other.process);
        let ended: Vec<Seen> = std::mem::take(&mut self.leftovers)
            .into_iter()
            .filter(|seen| !survivors.iter().any(|survivor| same(survivor, seen)))
            .collect();
        ended.iter().for_each(|seen| self.leftover(seen, Fate::Ended));
        for survivor in &survivors {
            self.leftover(survivor, Fate::Survives);
            self.touched.remove(&key(&survivor.process));
        }
        self.emit(Event::TreeEnded {
            ended: u32::try_from(self.touched.len()).unwrap_or(u32::MAX),
            survivors: u32::try_from(survivors.len()).unwrap_or(u32::MAX),
            took_s: self.begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64()),
        });
        self.drain();
    }

    fn leftover(&mut self, seen: &Seen, fate: Fate) {
        self.emit(Event::Leftover {
            pid: seen.process.pid,
            command: seen.command.clone(),
            state: seen.process.state.to_string(),
            wchan: seen.wchan.clone(),
            fate,
        });
    }

    /// Ends what carries the marks of this run and is no descendant; returns what remains.
    fn sweep_marked(&mut self) -> Vec<Seen> {
        let Some(me) = Process::look(std::process::id() as i32) else {
            return Vec::new();
        };
        let spared: Vec<i32> = tree::walk(self.tops()).iter().map(|it| it.pid).collect();
        let survivors = sweep::end_marked(&self.spec.run, me.start_ticks, &spared, &mut self.touched);
        survivors.into_iter().map(Seen::of).collect()
    }

    /// Daemons stay, as asked: tell it, let go of everything of the user, and stay for the log.
    fn stay_behind(&mut self) {
        for seen in std::mem::take(&mut self.leftovers) {
            self.leftover(&seen, Fate::Allowed);
        }
        self.emit(Event::TreeEnded { ended: 0, survivors: 0, took_s: 0.0 });
        self.link.flush_within(RELAY_LIMIT);
        self.link.close();
        for number in 0..3 {
            if let Err(error) = sys::detach_standard(number) {
                self.emit(Event::Trouble { text: format!("descriptor {number} stays open: {error}") });
            }
        }
        self.phase = Phase::Behind;
    }

    fn drain(&mut self) {
        self.relays.iter().for_each(|relay| relay.order(Order::Finish));
        self.phase = Phase::Draining { since: Instant::now() };
    }

    /// Ends when every stream has, or those that have not never will.
    fn finish_streams(&mut self, since: Instant) {
        let waits = |relay: &Relay| {
            let waiting = relay.delivering() && !relay.unwanted();
            !relay.ended() && (waiting || since.elapsed() < RELAY_LIMIT)
        };
        if self.relays.iter().any(waits) {
            return;
        }
        let ends: Vec<Event> = self.relays.iter().map(Relay::end).collect();
        ends.into_iter().for_each(|end| self.emit(end));
        if self.link.left_out > 0 {
            let text = format!("{} entries are in the journal only", self.link.left_out);
            self.emit(Event::Trouble { text });
        }
        if let Some(ended) = self.spec.cgroup.as_deref().and_then(cgroup::memory_ended) {
            let cgroup::MemoryEnded { limit_bytes, peak_bytes, kills } = ended;
            self.emit(Event::GroupEnded { limit_bytes, peak_bytes, kills });
        }
        if let Some(group) = &self.spec.cgroup {
            // Left for the supervisor to remove if somebody is still in it.
            let _ = cgroup::remove(group);
        }
        self.phase = Phase::Done;
    }
}

impl Holder for State {
    fn tops(&self) -> Vec<Process> {
        children(std::process::id() as i32)
    }

    fn reap(&mut self) {
        self.reap_children();
    }

    fn wait(&mut self, limit: Duration) {
        wait_for(std::os::fd::AsFd::as_fd(&self.signals), PollFlags::IN, Some(Instant::now() + limit));
        // Whatever they ask for, we are already at it.
        while let Ok(Some(_)) = sys::next_signal(std::os::fd::AsFd::as_fd(&self.signals)) {}
    }

    /// The kernel says that this process has no child, and orphans would be its children.
    fn nobody(&mut self) -> bool {
        self.empty
    }

    fn kill_otherwise(&mut self) {
        if let Some(group) = &self.spec.cgroup {
            let _ = cgroup::kill(group);
        }
    }
}
