//! Figures for Prometheus.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use defib_store::queue::Counts;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// An attempt's end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    backend: String,
    outcome: String,
    cause: String,
}

/// A backend.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BackendLabels {
    backend: String,
}

/// A state of jobs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: String,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Mutex<Registry>,
    accepted: Counter<u64, AtomicU64>,
    refused: Counter<u64, AtomicU64>,
    attempts: Family<AttemptLabels, Counter>,
    seconds: Family<BackendLabels, Histogram>,
    jobs: Family<StateLabels, Gauge>,
    ready: Family<BackendLabels, Gauge>,
    seats: Family<BackendLabels, Gauge>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("defib");
        let seconds: Family<BackendLabels, Histogram> =
            Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.005, 2.5, 14)));
        let metrics = Self {
            registry: Mutex::default(),
            accepted: Counter::default(),
            refused: Counter::default(),
            attempts: Family::default(),
            seconds,
            jobs: Family::default(),
            ready: Family::default(),
            seats: Family::default(),
        };
        registry.register("jobs_accepted", "Jobs that were accepted", metrics.accepted.clone());
        registry.register("jobs_refused", "Jobs that were refused, the queue being full", metrics.refused.clone());
        registry.register("attempts", "Attempts that ended, by outcome and cause", metrics.attempts.clone());
        let help = "Time of an attempt, without the wait in the queue";
        registry.register_with_unit("attempt_duration", help, Unit::Seconds, metrics.seconds.clone());
        registry.register("jobs", "Jobs by state", metrics.jobs.clone());
        registry.register("workers_ready", "Workers that take a job at once", metrics.ready.clone());
        registry.register("workers", "Workers that are wanted", metrics.seats.clone());
        *metrics.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = registry;
        metrics
    }

    pub(super) fn accepted(&self) {
        self.accepted.inc();
    }

    pub(super) fn refused(&self) {
        self.refused.inc();
    }

    pub(super) fn attempt(&self, backend: &str, outcome: &str, cause: &str, took: Duration) {
        let (backend, outcome, cause) = (backend.to_owned(), outcome.to_owned(), cause.to_owned());
        self.seconds.get_or_create(&BackendLabels { backend: backend.clone() }).observe(took.as_secs_f64());
        self.attempts.get_or_create(&AttemptLabels { backend, outcome, cause }).inc();
    }

    /// The text that Prometheus reads, with the figures of this moment.
    pub(super) fn text(&self, counts: Counts, seats: &[(String, usize, usize)]) -> String {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        for (state, count) in [("queued", counts.queued), ("running", counts.running), ("over", counts.over)] {
            self.jobs.get_or_create(&StateLabels { state: state.to_owned() }).set(number(count));
        }
        for (backend, ready, all) in seats {
            let labels = BackendLabels { backend: backend.clone() };
            self.ready.get_or_create(&labels).set(number(*ready as u64));
            self.seats.get_or_create(&labels).set(number(*all as u64));
        }
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut out = String::new();
        // Into a string it cannot fail.
        let _ = text::encode(&mut out, &registry);
        out
    }
}
