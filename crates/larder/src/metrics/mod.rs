//! What Larder measures in this process, and how to have it collected.
//!
//! Figures go to the recorder of the [`metrics`](https://docs.rs/metrics) façade, whichever the program installs. With
//! the feature `prometheus` this module brings one: [`serve`] answers scrapes.
//!
//! Another recorder (OpenTelemetry, StatsD, ..) gets everything too: call [`describe`] after installing it, so that it
//! knows units and meanings, and [`publish`] right before it is read; without that, totals are handed over once a
//! second.

pub use larder_base::metric::{Kind, Metric, publish};

#[cfg(feature = "prometheus")]
mod http;
#[cfg(feature = "prometheus")]
mod prometheus;

#[cfg(feature = "prometheus")]
pub use self::{
    http::Endpoint,
    prometheus::{MetricsError, render, serve, serve_unprotected},
};

#[cfg(feature = "embedded")]
const ENGINE: &[Metric] = larder_engine::METRICS;
#[cfg(not(feature = "embedded"))]
const ENGINE: &[Metric] = &[];

#[cfg(feature = "sql")]
const OUTBOX: &[Metric] = larder_sql::METRICS;
#[cfg(not(feature = "sql"))]
const OUTBOX: &[Metric] = &[];

/// Every metric of the crates that this one is built with.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    let cache = larder_cache::METRICS.iter().chain(larder_store::METRICS);
    cache.chain(ENGINE).chain(OUTBOX).chain(larder_kit::METRICS)
}

/// Tells the process's recorder the unit and the meaning of every metric.
pub fn describe() {
    all().for_each(Metric::describe);
}
