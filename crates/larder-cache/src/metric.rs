//! What a cache measures: the table behind the guide's page on metrics.

use larder_base::{
    metric::{Metric, Unit},
    metrics_table,
};

metrics_table! {
    /// Every metric of a cache.
    pub METRICS {
        READS = Metric::counter("larder_reads_total", &["namespace", "tier", "outcome"],
            "Reads by tier (near, store, behind: written and not flushed yet) and outcome: hit, negative (known not to exist), stale (past its TTL), miss.");
        FAST_HITS = Metric::counter("larder_fast_hits_total", &["namespace"],
            "Of the store's hits, those that took no script.");
        SHARED = Metric::counter("larder_shared_reads_total", &["namespace"],
            "Reads that shared another caller's read or load in this process.");
        WAITS = Metric::counter("larder_waits_total", &["namespace", "outcome"],
            "Reads that waited for a load elsewhere: begun, and of those given_up, which loaded without filling.");
        BYPASSES = Metric::counter("larder_bypasses_total", &["namespace"],
            "Reads that went past an unreachable store.");
        READS_IN_FLIGHT = Metric::gauge("larder_reads_in_flight", Unit::Count, &["namespace"],
            "Keys that are being read or loaded now.");
        LOADS = Metric::counter("larder_loads_total", &["namespace"],
            "Values that were asked of the source or a loader.");
        LOAD_FAILURES = Metric::counter("larder_load_failures_total", &["namespace", "kind"],
            "Calls of the source or a loader that failed: error, timeout, panic; or were not begun: overloaded.");
        LOADS_PACED = Metric::counter("larder_loads_paced_total", &["namespace"],
            "Loads put off by min_refill_interval.");
        SOFT_DEADLINES = Metric::counter("larder_soft_deadlines_total", &["namespace"],
            "Reads answered with an older value, because the load took longer than soft_deadline.");
        LOAD_SECONDS = Metric::seconds("larder_load_duration_seconds", &["namespace"],
            "How long the source or a loader took, failures included.");
        LOADS_RUNNING = Metric::gauge("larder_loads_running", Unit::Count, &["namespace"],
            "Calls of the source or a loader under way.");
        LOADS_WAITING = Metric::gauge("larder_loads_waiting", Unit::Count, &["namespace"],
            "Loads that wait for others to end, because max_loads run or the store is down.");
        REFRESHES = Metric::counter("larder_refreshes_total", &["namespace"],
            "Loads begun while the value was still usable.");
        FILLS = Metric::counter("larder_fills_total", &["namespace", "outcome"],
            "Loaded values by what became of them: stored; refused as gone (invalidated meanwhile), superseded (another \
             had taken the lease), cleared, tag, older; or failed for want of memory or of an answer.");
        STALE_AGE = Metric::seconds("larder_stale_age_seconds", &["namespace"],
            "How far past its TTL a stale answer was.");
        PUTS = Metric::counter("larder_puts_total", &["namespace"],
            "Values put.");
        WRITES = Metric::counter("larder_source_writes_total", &["namespace", "outcome"],
            "Writes to the source by outcome: committed, failed, or in_doubt, of which nobody knows whether they were committed.");
        BEHIND = Metric::counter("larder_behind_changes_total", &["namespace", "outcome"],
            "Write-behind: changes accepted by the store, flushed to the source (of a key only the last), retried because the source \
             failed, or dead because it refused them for good.");
        BEHIND_ENTRIES = Metric::gauge("larder_behind_entries", Unit::Count, &["namespace"],
            "Write-behind: keys whose last change the source does not have, of all processes; measured every five seconds by those that flush.");
        BEHIND_BYTES = Metric::gauge("larder_behind_bytes", Unit::Bytes, &["namespace"],
            "Write-behind: bytes that wait to be flushed, of all processes.");
        BEHIND_AGE = Metric::gauge("larder_behind_age_seconds", Unit::Seconds, &["namespace"],
            "Write-behind: how long the oldest change has been waiting.");
        DEAD_LETTERS = Metric::gauge("larder_dead_letters", Unit::Count, &["namespace"],
            "Write-behind: changes that the source refused for good and nobody has tended yet.");
        INVALIDATIONS = Metric::counter("larder_invalidations_total", &["namespace", "outcome"],
            "Invalidations by outcome: acknowledged by the store, or pending because it did not answer.");
        PENDING = Metric::gauge("larder_pending_invalidations", Unit::Count, &["namespace"],
            "Invalidations that wait to be acknowledged by the store.");
        KEEP_FAILURES = Metric::counter("larder_pending_log_failures_total", &["namespace"],
            "Attempts to keep pending invalidations on disk that failed: a crash of the process after one would forget them.");
        QUARANTINED = Metric::counter("larder_quarantined_reads_total", &["namespace"],
            "Reads that took nothing cached, because an invalidation of their key was pending.");
        GENERATIONS = Metric::counter("larder_generations_total", &["namespace"],
            "How often the store came back as another run or another server, and was repaired.");
        STREAM_AGE = Metric::gauge("larder_invalidation_stream_age_seconds", Unit::Seconds, &["namespace"],
            "Time since the stream of invalidations was last proven live; it grows while the stream is down, and is not shown where \
             there is none.");
        NEAR_STALENESS = Metric::seconds("larder_near_staleness_seconds", &["namespace"],
            "How far behind near copies may have been served at most: from one proof of the stream of invalidations to the next, \
             and no longer than max_staleness, past which none is served.");
        NEAR_ENTRIES = Metric::gauge("larder_near_entries", Unit::Count, &["namespace"],
            "Entries in the near tier.");
        NEAR_CAPACITY = Metric::gauge("larder_near_capacity_entries", Unit::Count, &["namespace"],
            "Entries that fit into the near tier.");
        NEAR_EVICTIONS = Metric::counter("larder_near_evictions_total", &["namespace"],
            "Entries that left the near tier to make room.");
        REVALIDATED = Metric::counter("larder_revalidated_total", &["namespace"],
            "Near copies found still valid without sending the value again.");
        DAMAGED = Metric::counter("larder_damaged_records_total", &["namespace", "kind"],
            "Records that could not be used: undecodable, of another schema, or a key of a wrong_type, which was dropped.");
        STORE_FAILURES = Metric::counter("larder_store_failures_total", &["namespace"],
            "Requests of this cache to the store that failed.");
        CHANNEL_MESSAGES = Metric::counter("larder_channel_messages_total", &["namespace", "outcome"],
            "What came in on the channel: applied, pending (not acknowledged at once), known (Larder's own), other (another \
             namespace), malformed, oversized.");
        CHANNEL_GAPS = Metric::counter("larder_channel_gaps_total", &["namespace"],
            "Times that messages on the channel may have been missed.");
        ANNOUNCEMENTS = Metric::counter("larder_announcements_total", &["namespace", "outcome"],
            "Invalidations announced on the channel: sent, or dropped.");
        HOLDS_LOST = Metric::counter("larder_holds_lost_total", &["namespace"],
            "Writers' holds that were lost before their commit was reported.");
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
