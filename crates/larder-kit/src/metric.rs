//! What the tools measure: the table behind the guide's page on metrics.

use larder_base::{metric::Metric, metrics_table};

use crate::figures::Series;

metrics_table! {
    /// Every metric of the kit.
    pub METRICS {
        LOCKS = Metric::counter("larder_lock_acquires_total", &["namespace", "outcome"],
            "Attempts to take a lock by outcome: granted, busy (another holds it), failed (the store did not answer).");
        LOCKS_LOST = Metric::counter("larder_locks_lost_total", &["namespace", "how"],
            "Locks that were lost while they were held: taken (the store says that another has it, or nobody), expired (it could not \
             be renewed in time).");
        LIMIT_CHECKS = Metric::counter("larder_limit_checks_total", &["namespace", "outcome"],
            "Calls that asked a rate limiter by outcome: allowed, denied; and failed of these, for which the store was away.");
        LIMIT_LOCAL = Metric::counter("larder_limit_local_total", &["namespace"],
            "Calls that a rate limiter decided without the store, from borrowed permits or remembered denials.");
        LIMIT_UNREADABLE = Metric::counter("larder_limit_unreadable_total", &["namespace"],
            "Looks at the limits in the store that found what cannot be read; the limits stay as they are then.");
        LIMIT_PERMITS = Metric::counter("larder_limit_permits_total", &["namespace", "outcome"],
            "What became of those who asked a concurrency limit: granted, full, failed (the store was away); and of granted places that \
             were lost: taken (the store says that it is another's, or nobody's), expired (it could not be renewed in time).");
        SESSION_LOADS = Metric::counter("larder_session_loads_total", &["namespace", "outcome"],
            "Sessions asked for by outcome: found, absent (ended, or never there), failed (the store did not answer).");
        SESSION_SAVES = Metric::counter("larder_session_saves_total", &["namespace", "outcome"],
            "Changes of sessions by outcome: saved, refused (too large, changed by another request, no counter), gone (the session \
             had ended), failed (the store did not answer).");
        SESSION_TURNS = Metric::counter("larder_session_turns_total", &["namespace", "turn"],
            "Sessions created, signed_in (a login, under a new id), rotated, deleted, revoked (ended with all others of their user).");
        TRANSACTIONS = Metric::counter("larder_transactions_total", &["namespace", "outcome"],
            "Optimistic transactions by outcome: committed, left (decided against), contended (given up after all attempts), failed.");
        TRANSACTION_CONFLICTS = Metric::counter("larder_transaction_conflicts_total", &["namespace"],
            "Attempts of optimistic transactions that others came before.");
        BOARD_WRITES = Metric::counter("larder_leaderboard_writes_total", &["namespace", "outcome"],
            "Scores written to leaderboards by outcome: changed (removals included), kept (no better, or the same), failed (calls that the store did not answer).");
        BOARD_READS = Metric::counter("larder_leaderboard_reads_total", &["namespace"], "Reads of leaderboards.");
        QUEUE_PUSHES = Metric::counter("larder_queue_pushes_total", &["namespace", "outcome"],
            "Jobs pushed by outcome: new, known (one of that id is there), full (no room), failed (the store did not answer).");
        QUEUE_JOBS = Metric::counter("larder_queue_jobs_total", &["namespace", "outcome"],
            "Attempts by how they ended: done, retried, dead, given_back (the worker stopped), stalled (the worker was silent and the \
             job was taken from it, by this process), overtaken (a result that came after that and was refused).");
        QUEUE_TICKS = Metric::counter("larder_queue_ticks_total", &["namespace", "outcome"],
            "Ticks of schedules by outcome: made (this process made the job), skipped (the queue was full).");
        QUEUE_WAIT = Metric::seconds("larder_queue_wait_seconds", &["namespace"],
            "How long jobs waited from when they could run until a worker of this process took them.");
        QUEUE_RUN = Metric::seconds("larder_queue_run_seconds", &["namespace"],
            "How long attempts ran in this process, however they ended.");
        TIMELINE_WRITES = Metric::counter("larder_timeline_writes_total", &["namespace", "outcome"],
            "Items written to timelines by outcome: changed (added, moved or removed), kept (there already, removed before, too old), failed (the store did not answer).");
        TIMELINE_READS = Metric::counter("larder_timeline_reads_total", &["namespace"], "Pages of timelines read, and counts.");
    }
}

/// What a rate limiter counts, by the places in [`LIMIT_SERIES`].
pub(crate) mod limit_series {
    pub(crate) const ALLOWED: usize = 0;
    pub(crate) const DENIED: usize = 1;
    pub(crate) const FAILED: usize = 2;
    pub(crate) const LOCAL: usize = 3;
    pub(crate) const UNREADABLE: usize = 4;
}

pub(crate) const LIMIT_SERIES: &[Series] = &[
    (LIMIT_CHECKS, Some("allowed")),
    (LIMIT_CHECKS, Some("denied")),
    (LIMIT_CHECKS, Some("failed")),
    (LIMIT_LOCAL, None),
    (LIMIT_UNREADABLE, None),
];

/// What a concurrency limit counts: its keeper's figures, in the order of all leases ([`crate::lock`]).
pub(crate) const PERMIT_SERIES: &[Series] = &[
    (LIMIT_PERMITS, Some("granted")),
    (LIMIT_PERMITS, Some("full")),
    (LIMIT_PERMITS, Some("failed")),
    (LIMIT_PERMITS, Some("taken")),
    (LIMIT_PERMITS, Some("expired")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_well_formed() {
        assert_eq!(larder_base::metric::problems(METRICS), Vec::<String>::new());
    }
}
