//! Asking what may hang: in a thread, which is abandoned at its deadline.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Longest time that one item of a list may take before it is passed over.
pub(super) const ONE_WITHIN: Duration = Duration::from_millis(500);

/// A question that was put to a thread.
#[derive(Debug)]
pub(super) struct Asked<T>(Receiver<T>);

/// Asks in a thread of its own.
pub(super) fn ask<T: Send + 'static>(name: &str, question: impl FnOnce() -> T + Send + 'static) -> Asked<T> {
    let (sender, receiver) = mpsc::channel();
    let body = move || {
        // Nobody may be waiting any more.
        let _ = sender.send(question());
    };
    // Without a thread the channel is closed: there is no answer.
    let _ = std::thread::Builder::new().name(format!("defib-{name}")).spawn(body);
    Asked(receiver)
}

impl<T> Asked<T> {
    /// The answer, if it comes by then.
    pub(super) fn by(self, until: Instant) -> Option<T> {
        self.0.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
    }
}

/// Asks for each item in turn. An item on which that hangs is passed over, and
/// a fresh thread goes on with those after it. Returns the answers in order,
/// and the items that gave none.
pub(super) fn each<I, T>(
    name: &str,
    items: Vec<I>,
    within: Duration,
    until: Instant,
    question: impl Fn(&I) -> T + Send + Sync + 'static,
) -> (Vec<T>, Vec<I>)
where
    I: Clone + Send + Sync + 'static,
    T: Send + 'static,
{
    let items = Arc::new(items);
    let question = Arc::new(question);
    let mut answers = Vec::with_capacity(items.len());
    let mut hung = Vec::new();
    let mut next = 0;
    while next < items.len() && Instant::now() < until {
        let (sender, receiver) = mpsc::channel();
        let (given, asked) = (Arc::clone(&items), Arc::clone(&question));
        let body = move || {
            for item in &given[next..] {
                if sender.send(asked(item)).is_err() {
                    return;
                }
            }
        };
        if std::thread::Builder::new().name(format!("defib-{name}")).spawn(body).is_err() {
            break;
        }
        while next < items.len() {
            let left = until.saturating_duration_since(Instant::now());
            match receiver.recv_timeout(left.min(within)) {
                Ok(answer) => {
                    answers.push(answer);
                    next += 1;
                }
                // Also a thread that ended at this item by a panic.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    hung.push(items[next].clone());
                    next += 1;
                    break;
                }
            }
        }
    }
    hung.extend(items[next..].iter().cloned());
    (answers, hung)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn what_hangs_is_passed_over_and_the_rest_answers() {
        static LET_GO: AtomicBool = AtomicBool::new(false);
        let until = Instant::now() + Duration::from_secs(30);
        let (answers, hung) = each("test", vec![1, 2, 3, 4], Duration::from_millis(200), until, |item| {
            while *item == 2 && !LET_GO.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            item * 10
        });
        LET_GO.store(true, Ordering::Relaxed);
        assert_eq!((answers, hung), (vec![10, 30, 40], vec![2]));
    }

    #[test]
    fn at_the_deadline_the_rest_counts_as_silent() {
        let (answers, hung) = each("test", vec![1, 2], Duration::from_secs(9), Instant::now(), |item| *item);
        assert_eq!((answers, hung), (vec![], vec![1, 2]));
    }

    #[test]
    fn an_answer_that_does_not_come_is_none() {
        let (_keep, receiver) = mpsc::channel::<()>();
        let asked = ask("test", move || receiver.recv());
        assert!(asked.by(Instant::now() + Duration::from_millis(50)).is_none());
        assert_eq!(ask("test", || 7).by(Instant::now() + Duration::from_secs(30)), Some(7));
    }
}
