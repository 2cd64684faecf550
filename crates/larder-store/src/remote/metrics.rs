//! What the store tells through the `metrics` façade. Names carry their unit.

use std::time::Duration;

/// `larder_store_command_duration_seconds`: from handing a command to the connection to its answer; sampled, one
/// command in up to 32 when many are in flight.
pub(super) fn latency(took: Duration) {
    metrics::histogram!("larder_store_command_duration_seconds").record(took);
}

/// `larder_store_connects_total`: connections established, the first ones included.
pub(super) fn connected() {
    metrics::counter!("larder_store_connects_total").increment(1);
}

/// `larder_store_connect_failures_total`: attempts to connect that failed.
pub(super) fn connect_failed() {
    metrics::counter!("larder_store_connect_failures_total").increment(1);
}

/// `larder_store_disconnects_total`: established connections that ended, by `cause`.
pub(super) fn disconnected(overdue: bool) {
    let cause = if overdue { "deadline" } else { "lost" };
    metrics::counter!("larder_store_disconnects_total", "cause" => cause).increment(1);
}

/// `larder_store_retries_total`: commands sent again.
pub(super) fn retried() {
    metrics::counter!("larder_store_retries_total").increment(1);
}

/// `larder_store_errors_total`: commands that failed for want of a connection or an answer, by `kind`.
pub(super) fn failed(kind: &'static str) {
    metrics::counter!("larder_store_errors_total", "kind" => kind).increment(1);
}

/// `larder_store_breaker_state`: 0 closed, 1 half open, 2 open; by `address`.
pub(super) fn breaker(address: &std::sync::Arc<str>, state: super::BreakerState) {
    let level = match state {
        super::BreakerState::Closed => 0.0,
        super::BreakerState::HalfOpen => 1.0,
        super::BreakerState::Open => 2.0,
    };
    metrics::gauge!("larder_store_breaker_state", "address" => address.clone()).set(level);
}

/// `larder_store_resubscribes_total`: subscriptions set up again on a new connection.
pub(super) fn resubscribed() {
    metrics::counter!("larder_store_resubscribes_total").increment(1);
}
