//! What an engine measures, from the figures behind `INFO`: the table behind the guide's page on metrics.

use larder_base::{
    metric::{Figures, Metric, Unit},
    metrics_table,
};

use crate::{command, core::Core, engine::Shared};

metrics_table! {
    /// Every metric of an engine.
    pub METRICS {
        MEMORY_USED = Metric::gauge("larder_engine_memory_used_bytes", Unit::Bytes, &[],
            "Bytes held by keys and values.");
        MEMORY_PEAK = Metric::gauge("larder_engine_memory_peak_bytes", Unit::Bytes, &[],
            "The most bytes that were seen to be held at one time.");
        MEMORY_MAX = Metric::gauge("larder_engine_memory_max_bytes", Unit::Bytes, &[],
            "Bytes that keys and values may hold; 0 is no bound.");
        KEYS = Metric::gauge("larder_engine_keys", Unit::Count, &[],
            "Keys in all databases.");
        EVICTED = Metric::counter("larder_engine_evicted_keys_total", &[],
            "Keys removed for want of memory.");
        EXPIRED = Metric::counter("larder_engine_expired_keys_total", &[],
            "Keys removed because their time had come.");
        LOOKUPS = Metric::counter("larder_engine_key_reads_total", &["outcome"],
            "Keys that commands read, by outcome: hit, miss.");
        CLIENTS = Metric::gauge("larder_engine_clients", Unit::Count, &[],
            "Clients connected now, sessions in this process included.");
        CONNECTIONS = Metric::counter("larder_engine_connections_total", &[],
            "Clients that ever connected.");
        COMMANDS = Metric::counter("larder_engine_commands_total", &["command"],
            "Commands that ran, by name.");
        ERRORS = Metric::counter("larder_engine_error_replies_total", &[],
            "Errors answered.");
        TRACKED = Metric::gauge("larder_engine_tracked_keys", Unit::Count, &[],
            "Keys remembered for clients that asked to be told of changes.");
    }
}

/// Hands the figures over; a reset of the statistics does not turn counters back, they stand until passed again.
impl Figures for Shared {
    fn publish(&self) {
        let mut core = self.core();
        core.note_memory();
        publish(&core);
    }
}

fn publish(core: &Core) {
    let stats = &core.stats;
    MEMORY_USED.show([], core.used_memory() as f64);
    MEMORY_PEAK.show([], stats.memory_peak as f64);
    MEMORY_MAX.show([], core.settings.memory.max as f64);
    KEYS.show([], core.dbs.iter().map(crate::db::Db::len).sum::<usize>() as f64);
    EVICTED.total([], stats.evicted_keys);
    EXPIRED.total([], stats.expired_keys);
    LOOKUPS.total(["hit".into()], stats.hits);
    LOOKUPS.total(["miss".into()], stats.misses);
    CLIENTS.show([], core.clients.len() as f64);
    CONNECTIONS.total([], stats.connections);
    let names = command::names();
    for (number, calls) in stats.called() {
        COMMANDS.total([names[number].to_ascii_lowercase().into()], calls.calls);
    }
    ERRORS.total([], stats.error_replies);
    TRACKED.show([], core.tracking.keys() as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_well_formed() {
        assert_eq!(larder_base::metric::problems(METRICS), Vec::<String>::new());
    }
}
