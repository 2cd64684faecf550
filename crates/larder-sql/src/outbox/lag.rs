//! How much is left in the outbox, for those who look and for the process's metrics.

use std::{collections::BTreeMap, time::Duration};

use larder_base::{
    metric::{Figures, Metric, Text, Unit},
    metrics_table,
};
use parking_lot::Mutex;

use super::{Outbox, target::Judged};
use crate::{cell::Cell, db::Row, error::SqlError};

metrics_table! {
    /// Every metric of an outbox.
    pub METRICS {
        ROWS = Metric::gauge("larder_outbox_rows", Unit::Count, &["namespace"],
            "Outbox: invalidations that are recorded and not deleted yet, of all processes; measured every ten seconds by those \
             that relay, namespaces that they do not relay included.");
        AGE = Metric::gauge("larder_outbox_age_seconds", Unit::Seconds, &["namespace"],
            "Outbox: how long ago the oldest of them was recorded; above some seconds for long: nobody relays that namespace, or \
             its store is down.");
        REFUSED = Metric::gauge("larder_outbox_refused", Unit::Count, &["namespace"],
            "Outbox: invalidations that no cache takes, which are kept: a key of another type, an unknown kind.");
        RELAYED = Metric::counter("larder_outbox_relayed_total", &["namespace", "outcome"],
            "Outbox: rows that this process's relays took, by outcome: delivered, refused, or failed because the store did not \
             acknowledge them.");
        DATABASE_FAILURES = Metric::counter("larder_outbox_database_failures_total", &[],
            "Outbox: rounds of this process's relays that the database failed.");
    }
}

/// How often it is measured: it reads the whole table, which is short as long as all is well.
const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// Namespaces shown at most, in the order of their names: a table that others write to must not make as many metrics.
const NAMESPACES_MAX: i64 = 100;

/// How much is left of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxLag {
    /// Whose invalidations.
    pub namespace: String,
    /// How many are recorded and not deleted yet.
    pub rows: u64,
    /// How long ago the oldest of them was recorded, by the database's clock.
    pub oldest: Duration,
    /// How many of them no cache took. They are kept, and tried again within the hour.
    pub refused: u64,
}

impl Outbox {
    /// How much is left, by namespace, of 100 at most; namespaces of which nothing is left are not in it. It reads the
    /// whole table.
    ///
    /// # Errors
    /// Any [`SqlError`] of the database.
    pub async fn lag(&self) -> Result<Vec<OutboxLag>, SqlError> {
        let rows = self.run("measuring the outbox", self.table.lag(NAMESPACES_MAX)).await?;
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Measures for the metrics, if it is time to.
    pub(super) async fn measure(&self, relayed: impl Iterator<Item = &str>) -> Result<(), SqlError> {
        let now = self.deadline.clock.monotonic();
        if !self.lags.is_time(now) {
            return Ok(());
        }
        let lag = self.lag().await?;
        self.lags.note(relayed, lag);
        Ok(())
    }
}

fn read(row: &Row) -> Option<OutboxLag> {
    let number = |cell: &Cell| match cell {
        Cell::Integer(number) => u64::try_from(*number).unwrap_or(0),
        _ => 0,
    };
    let [Cell::Text(namespace), rows, oldest, refused] = row.as_slice() else {
        return None;
    };
    Some(OutboxLag {
        namespace: namespace.clone(),
        rows: number(rows),
        oldest: Duration::from_millis(number(oldest)),
        refused: number(refused),
    })
}

/// What this process's relays have measured and done.
#[derive(Debug, Default)]
pub(super) struct Lags(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next_at: Duration,
    by_namespace: BTreeMap<String, Figure>,
    database_failures: u64,
}

#[derive(Debug, Default)]
struct Figure {
    rows: u64,
    oldest: Duration,
    refused_now: u64,
    delivered: u64,
    refused: u64,
    failed: u64,
}

impl Lags {
    fn is_time(&self, now: Duration) -> bool {
        let mut state = self.0.lock();
        let is_time = now >= state.next_at;
        if is_time {
            state.next_at = now + MEASURE_EVERY;
        }
        is_time
    }

    /// What is not in `lag` is empty, and shown as such if it is ours or was shown before.
    fn note<'a>(&self, relayed: impl Iterator<Item = &'a str>, lag: Vec<OutboxLag>) {
        let mut state = self.0.lock();
        for namespace in relayed {
            state.by_namespace.entry(namespace.to_owned()).or_default();
        }
        for figure in state.by_namespace.values_mut() {
            (figure.rows, figure.oldest, figure.refused_now) = (0, Duration::ZERO, 0);
        }
        for lag in lag {
            let is_full = state.by_namespace.len() >= NAMESPACES_MAX as usize;
            if is_full && !state.by_namespace.contains_key(&lag.namespace) {
                continue;
            }
            let figure = state.by_namespace.entry(lag.namespace).or_default();
            (figure.rows, figure.oldest, figure.refused_now) = (lag.rows, lag.oldest, lag.refused);
        }
    }

    pub(super) fn count(&self, namespace: &str, judged: &Judged) {
        let mut state = self.0.lock();
        let figure = state.by_namespace.entry(namespace.to_owned()).or_default();
        figure.delivered += judged.delivered.len() as u64;
        figure.refused += judged.refused.len() as u64;
        figure.failed += judged.failed.len() as u64;
    }

    pub(super) fn count_database_failure(&self) {
        self.0.lock().database_failures += 1;
    }
}

impl Figures for Lags {
    fn publish(&self) {
        let state = self.0.lock();
        DATABASE_FAILURES.total([], state.database_failures);
        for (namespace, figure) in &state.by_namespace {
            let label = || Text::from(namespace.clone());
            ROWS.show([label()], figure.rows as f64);
            AGE.show([label()], figure.oldest.as_secs_f64());
            REFUSED.show([label()], figure.refused_now as f64);
            for (outcome, total) in [
                ("delivered", figure.delivered),
                ("refused", figure.refused),
                ("failed", figure.failed),
            ] {
                RELAYED.total([label(), Text::from(outcome)], total);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_well_formed() {
        assert_eq!(larder_base::metric::problems(METRICS), Vec::<String>::new());
    }
}
