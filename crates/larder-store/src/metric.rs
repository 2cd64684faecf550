//! What a store measures: the table behind the guide's page on metrics.

use larder_base::{
    metric::{Metric, Unit},
    metrics_table,
};

metrics_table! {
    /// Every metric of a store.
    pub METRICS {
        COMMAND_SECONDS = Metric::seconds("larder_store_command_duration_seconds", &["command"],
            "From handing a command to the connection to its answer, by command, or `script:` and its name; one command in \
             16 is timed.");
        COMMANDS = Metric::counter("larder_store_commands_total", &["address"],
            "Commands and pipelines sent, the store's own heartbeats included.");
        IN_FLIGHT = Metric::gauge("larder_store_commands_in_flight", Unit::Count, &["address"],
            "Commands that wait for their answer on a shared connection.");
        CONNECTIONS = Metric::gauge("larder_store_connections", Unit::Count, &["address", "kind"],
            "Open connections: shared, or own (of a dedicated handle or a subscription).");
        CONNECTS = Metric::counter("larder_store_connects_total", &["address", "kind"],
            "Shared connections established: first, or again after one was lost.");
        CONNECT_FAILURES = Metric::counter("larder_store_connect_failures_total", &["address"],
            "Attempts to connect that failed.");
        DISCONNECTS = Metric::counter("larder_store_disconnects_total", &["address", "cause"],
            "Shared connections that ended: lost, or given up because a command was past its deadline.");
        RETRIES = Metric::counter("larder_store_retries_total", &["address"],
            "Commands sent again.");
        ERRORS = Metric::counter("larder_store_errors_total", &["address", "kind"],
            "Commands that failed for want of a connection or an answer: timeout (past the command deadline), lost, connect, \
             or breaker (not sent at all).");
        BREAKER = Metric::gauge("larder_store_breaker_state", Unit::Count, &["address"],
            "What the breaker lets pass: 0 everything (closed), 1 a probe (half open), 2 nothing (open).");
        RESUBSCRIBES = Metric::counter("larder_store_resubscribes_total", &["address"],
            "Subscriptions set up again on a new connection.");
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
