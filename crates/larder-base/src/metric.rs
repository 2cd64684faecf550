//! What is measured: each crate declares its metrics in one table, with name, kind, unit, labels and help, and nothing
//! is measured that is not in it.
//!
//! Figures go to the process's recorder of the `metrics` façade, so that Prometheus, OpenTelemetry, StatsD and others
//! can have them. Most are counted in memory of Larder's own and handed over as totals, once a second and whenever
//! [`publish`] is called (a scrape does): that costs the hit path least, and a recorder that is installed late misses
//! nothing. Labels are namespaces, tiers, outcomes, command names and addresses, never keys.

use std::{
    borrow::Cow,
    sync::{Arc, Weak},
    time::Duration,
};

use metrics::{Key, Label, Level, Metadata, SharedString};
pub use metrics::{SharedString as Text, Unit};
use parking_lot::Mutex;

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

impl Kind {
    /// `counter`, `gauge` or `histogram`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric, as a table declares it.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, with its unit: `_total` of a counter, else `_seconds`, `_bytes` or what is counted.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What its numbers are.
    pub unit: Unit,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub help: &'static str,
}

const METADATA: Metadata<'static> = Metadata::new("larder", Level::INFO, None);

impl Metric {
    /// A counter, of things.
    #[must_use]
    pub const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self::new(name, Kind::Counter, Unit::Count, labels, help)
    }

    /// A gauge.
    #[must_use]
    pub const fn gauge(name: &'static str, unit: Unit, labels: &'static [&'static str], help: &'static str) -> Self {
        Self::new(name, Kind::Gauge, unit, labels, help)
    }

    /// A histogram of spans of time, in seconds.
    #[must_use]
    pub const fn seconds(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self::new(name, Kind::Histogram, Unit::Seconds, labels, help)
    }

    const fn new(
        name: &'static str,
        kind: Kind,
        unit: Unit,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            unit,
            labels,
            help,
        }
    }

    /// Tells the process's recorder what this metric is.
    pub fn describe(&self) {
        let (name, unit, help) = (self.name.into(), Some(self.unit), Cow::Borrowed(self.help));
        metrics::with_recorder(|recorder| match self.kind {
            Kind::Counter => recorder.describe_counter(name, unit, help.into()),
            Kind::Gauge => recorder.describe_gauge(name, unit, help.into()),
            Kind::Histogram => recorder.describe_histogram(name, unit, help.into()),
        });
    }

    /// Hands over the total of a counter. `values` are those of the labels, in their order.
    pub fn total<const N: usize>(&self, values: [SharedString; N], total: u64) {
        debug_assert_eq!(self.kind, Kind::Counter, "{}", self.name);
        metrics::with_recorder(|recorder| recorder.register_counter(&self.key(values), &METADATA).absolute(total));
    }

    /// Hands over what a gauge shows. What is no number is not shown: there is nothing to say then.
    pub fn show<const N: usize>(&self, values: [SharedString; N], shown: f64) {
        debug_assert_eq!(self.kind, Kind::Gauge, "{}", self.name);
        if shown.is_finite() {
            metrics::with_recorder(|recorder| recorder.register_gauge(&self.key(values), &METADATA).set(shown));
        }
    }

    /// Adds a span to a histogram.
    pub fn record<const N: usize>(&self, values: [SharedString; N], span: Duration) {
        debug_assert_eq!(self.kind, Kind::Histogram, "{}", self.name);
        let seconds = span.as_secs_f64();
        metrics::with_recorder(|recorder| {
            recorder
                .register_histogram(&self.key(values), &METADATA)
                .record(seconds);
        });
    }

    fn key<const N: usize>(&self, values: [SharedString; N]) -> Key {
        debug_assert_eq!(N, self.labels.len(), "the labels of {}", self.name);
        let labels = self.labels.iter().zip(values);
        let labels: Vec<Label> = labels.map(|(name, value)| Label::new(*name, value)).collect();
        Key::from_parts(self.name, labels)
    }
}

/// Declares a crate's metrics: a constant each, and the table of all of them.
///
/// ```
/// use larder_base::{metric::Metric, metrics_table};
///
/// metrics_table! {
///     /// What this crate measures.
///     pub METRICS {
///         VISITS = Metric::counter("larder_visits_total", &["door"], "Visitors who came in.");
///     }
/// }
///
/// VISITS.total(["front".into()], 7);
/// assert_eq!(METRICS.len(), 1);
/// ```
#[macro_export]
macro_rules! metrics_table {
    ($(#[$about:meta])* $vis:vis $table:ident { $($name:ident = $metric:expr;)* }) => {
        $(pub(crate) const $name: $crate::metric::Metric = $metric;)*

        $(#[$about])*
        $vis const $table: &[$crate::metric::Metric] = &[$($name),*];
    };
}

/// What keeps figures of its own and hands them over when asked.
pub trait Figures: Send + Sync {
    /// Hands over every figure.
    fn publish(&self);
}

/// Everything that has figures and is still alive.
static FIGURES: Mutex<Vec<Weak<dyn Figures>>> = Mutex::new(Vec::new());

/// Adds to what [`publish`] asks, for as long as it lives elsewhere.
pub fn register<F: Figures + 'static>(figures: &Arc<F>) {
    let weak: Weak<F> = Arc::downgrade(figures);
    let mut all = FIGURES.lock();
    all.retain(|other| other.strong_count() > 0);
    all.push(weak);
}

/// Hands all figures of this process over to its recorder: before a scrape, or before a push.
pub fn publish() {
    // Collected first: a figure's owner may end here, and with it lock what it likes.
    let all: Vec<Arc<dyn Figures>> = FIGURES.lock().iter().filter_map(Weak::upgrade).collect();
    all.iter().for_each(|figures| figures.publish());
}

/// What is wrong with a table, in words: for the tests of those who declare one.
#[must_use]
pub fn problems(table: &[Metric]) -> Vec<String> {
    let mut problems = Vec::new();
    for (at, metric) in table.iter().enumerate() {
        let Metric { name, unit, .. } = *metric;
        let is_total = name.ends_with("_total");
        let fits = match (metric.kind, unit) {
            (Kind::Counter, Unit::Count) => is_total,
            (_, Unit::Seconds) => name.ends_with("_seconds"),
            (_, Unit::Bytes) => name.ends_with("_bytes"),
            _ => !is_total,
        };
        if !fits || !name.starts_with("larder_") {
            problems.push(format!("{name}: the name does not say the unit, or whose it is"));
        }
        if !metric.help.ends_with('.') {
            problems.push(format!("{name}: its help is no sentence"));
        }
        if metric.labels.iter().any(|label| label.contains("key")) {
            problems.push(format!("{name}: a key is no label"));
        }
        if table[..at].iter().any(|other| other.name == name) {
            problems.push(format!("{name}: declared twice"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_say_its_unit_is_a_problem() {
        let good = Metric::seconds("larder_wait_seconds", &["namespace"], "How long it took.");
        assert_eq!(problems(&[good]), Vec::<String>::new());
        for bad in [
            Metric::counter("larder_visits", &[], "No unit."),
            Metric::seconds("larder_wait", &[], "No unit."),
            Metric::counter("visits_total", &[], "Nobody's."),
            Metric::counter("larder_visits_total", &["key"], "Too many series."),
            Metric::counter("larder_visits_total", &[], "No sentence"),
        ] {
            assert_eq!(problems(&[bad]).len(), 1, "{bad:?}");
        }
        assert_eq!(problems(&[good, good]).len(), 1);
    }

    #[test]
    fn figures_are_asked_while_they_live() {
        struct Asked(Mutex<u32>);
        impl Figures for Asked {
            fn publish(&self) {
                *self.0.lock() += 1;
            }
        }
        let asked = Arc::new(Asked(Mutex::new(0)));
        register(&asked);
        publish();
        assert_eq!(*asked.0.lock(), 1);
        let weak = Arc::downgrade(&asked);
        drop(asked);
        assert!(weak.upgrade().is_none(), "being registered keeps nothing alive");
        publish();
    }
}
