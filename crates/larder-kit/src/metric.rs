//! What the tools measure: the table behind the guide's page on metrics.

use larder_base::{metric::Metric, metrics_table};

metrics_table! {
    /// Every metric of the kit.
    pub METRICS {
        LOCKS = Metric::counter("larder_lock_acquires_total", &["namespace", "outcome"],
            "Attempts to take a lock by outcome: granted, busy (another holds it), failed (the store did not answer).");
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
