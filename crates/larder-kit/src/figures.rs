//! What a tool counts in this process, per namespace, for the process's metrics.

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use larder_base::metric::{self, Figures, Metric, Text};
use parking_lot::Mutex;

/// One counter: its metric, and the value of the label after `namespace`, where it has one.
pub(crate) type Series = (Metric, Option<&'static str>);

/// The counters of one tool in one namespace. All handles on it share them, and they outlive the handles, for a total
/// never goes back.
#[derive(Debug)]
pub(crate) struct Tally {
    namespace: Arc<str>,
    series: &'static [Series],
    counts: Vec<AtomicU64>,
}

/// By tool and namespace.
type Tallies = HashMap<(&'static str, Arc<str>), Arc<Tally>>;

/// One for each tool and namespace that this process has used, which are few.
static TALLIES: LazyLock<Mutex<Tallies>> = LazyLock::new(Mutex::default);

impl Tally {
    /// That of `tool` in `namespace`, which counts `series`.
    pub(crate) fn of(tool: &'static str, namespace: &Arc<str>, series: &'static [Series]) -> Arc<Self> {
        let mut tallies = TALLIES.lock();
        let tally = tallies.entry((tool, namespace.clone())).or_insert_with(|| {
            series.iter().for_each(|(metric, _)| metric.describe());
            let tally = Arc::new(Self {
                namespace: namespace.clone(),
                series,
                counts: series.iter().map(|_| AtomicU64::new(0)).collect(),
            });
            metric::register(&tally);
            tally
        });
        tally.clone()
    }

    /// Counts one more of the series at `at`.
    pub(crate) fn count(&self, at: usize) {
        self.add(at, 1);
    }

    /// Counts `more` of the series at `at`.
    pub(crate) fn add(&self, at: usize, more: u64) {
        self.counts[at].fetch_add(more, Relaxed);
    }
}

impl Figures for Tally {
    fn publish(&self) {
        for ((metric, label), count) in self.series.iter().zip(&self.counts) {
            let (namespace, total) = (Text::from(self.namespace.clone()), count.load(Relaxed));
            match label {
                Some(label) => metric.total([namespace, Text::from(*label)], total),
                None => metric.total([namespace], total),
            }
        }
    }
}
