//! When has a program started, and when does it work?
//!
//! A state machine without a clock. The first sign of a start is output, a
//! heartbeat or stage it tells, or a port it listens on. It works when it then
//! shows a unit of work (progress, further output), or goes on for a while without
//! trouble. Its end is seen by the session itself.

use std::time::Duration;

/// What is asked of a start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StartGoal {
    /// Longest time until the first sign.
    pub first_sign: Duration,
    /// How long it must go on after it.
    pub settle: Duration,
}

/// Further output counts as work only so long after the first, seconds: one message
/// may come in several pieces.
const FURTHER_S: f64 = 1.0;
/// Time in which an error would follow the last output, seconds.
const AFTERMATH_S: f64 = 0.5;

/// Something that was seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    /// It printed.
    Output,
    /// It told or showed that it is there.
    Sign(String),
    /// It did a unit of work.
    Work,
}

/// The state.
#[derive(Debug)]
pub(super) struct StartWatch {
    goal: StartGoal,
    began_s: f64,
    sign: Option<(f64, String)>,
    /// When it counts as working.
    works_s: f64,
}

impl StartWatch {
    pub(super) fn new(goal: StartGoal) -> Self {
        Self { goal, began_s: 0.0, sign: None, works_s: f64::INFINITY }
    }

    /// The program runs since then.
    pub(super) fn begins(&mut self, at_s: f64) {
        self.began_s = at_s;
    }

    /// Something was seen.
    pub(super) fn seen(&mut self, at_s: f64, what: Seen) {
        let first_s = self.sign.as_ref().map(|(first_s, _)| *first_s);
        let works = match (&what, first_s) {
            (Seen::Work, _) => true,
            (Seen::Output, Some(first_s)) => at_s - first_s >= FURTHER_S,
            _ => false,
        };
        if first_s.is_none() {
            let sign = match what {
                Seen::Sign(sign) => sign,
                Seen::Output | Seen::Work => "first output".to_owned(),
            };
            self.sign = Some((at_s, sign));
            self.works_s = at_s + self.goal.settle.as_secs_f64();
        }
        if works {
            self.works_s = self.works_s.min(at_s + AFTERMATH_S);
        }
    }

    /// When there is a verdict, unless something else is seen.
    pub(super) fn due_s(&self) -> f64 {
        match self.sign {
            Some(_) => self.works_s,
            None => self.began_s + self.goal.first_sign.as_secs_f64(),
        }
    }

    /// The first sign and when it was seen, if there was one.
    pub(super) fn sign(&self) -> Option<&(f64, String)> {
        self.sign.as_ref()
    }

    /// Longest time until the first sign, in seconds.
    pub(super) fn first_sign_s(&self) -> f64 {
        self.goal.first_sign.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn watch() -> StartWatch {
        StartWatch::new(StartGoal { first_sign: Duration::from_secs(60), settle: Duration::from_secs(5) })
    }

    #[test]
    fn silence_is_due_at_the_limit_and_a_sign_settles() {
        let mut watch = watch();
        watch.begins(1.0);
        assert_eq!((watch.sign(), watch.due_s()), (None, 61.0));
        watch.seen(3.0, Seen::Sign("listens on 127.0.0.1:80".to_owned()));
        assert_eq!((watch.sign().map(|sign| sign.0), watch.due_s()), (Some(3.0), 8.0));
    }

    #[test]
    fn work_ends_the_wait_and_pieces_of_one_message_do_not() {
        let mut watch = watch();
        watch.seen(3.0, Seen::Output);
        watch.seen(3.2, Seen::Output);
        assert_eq!(watch.due_s(), 8.0);
        watch.seen(5.0, Seen::Output);
        assert_eq!(watch.due_s(), 5.5);
        let mut watch = super::tests::watch();
        watch.seen(3.0, Seen::Work);
        assert_eq!(watch.due_s(), 3.5);
    }

    proptest! {
        /// Whatever is seen, the verdict is never later than the two limits allow.
        #[test]
        fn the_verdict_comes_within_its_limits(steps in proptest::collection::vec((0.0..3.0f64, 0u8..3), 0..40)) {
            let mut watch = watch();
            let mut now = 0.0;
            for (after, kind) in steps {
                now += after;
                if now >= watch.due_s() {
                    break;
                }
                watch.seen(now, match kind { 0 => Seen::Output, 1 => Seen::Work, _ => Seen::Sign("x".to_owned()) });
                prop_assert!(watch.due_s() <= 65.0);
            }
        }
    }
}
