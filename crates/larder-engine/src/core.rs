//! The state behind the engine's one lock.

use std::collections::BTreeMap;

use ahash::RandomState;
use larder_base::{Clock, Random};

use crate::{
    client::{Client, ClientId},
    db::Db,
    evict::Pool,
    expire::Sweep,
    log::Effects,
    pubsub::PubSub,
    script::Scripts,
    settings::Settings,
    slow_log::SlowLog,
    stats::Stats,
    tracking::TrackingTable,
    transaction::Watchers,
    wait::Waits,
};

/// Everything that commands read and change.
pub(crate) struct Core {
    pub(crate) dbs: Vec<Db>,
    /// Ordered, so that a seeded run visits clients in the same order every time.
    pub(crate) clients: BTreeMap<ClientId, Client>,
    pub(crate) tracking: TrackingTable,
    pub(crate) pubsub: PubSub,
    pub(crate) scripts: Scripts,
    pub(crate) settings: Settings,
    pub(crate) random: Random,
    pub(crate) clock: Clock,
    pub(crate) identity: Identity,
    pub(crate) watchers: Watchers,
    pub(crate) waits: Waits,
    pub(crate) stats: Stats,
    pub(crate) slow_log: SlowLog,
    pub(crate) sweep: Sweep,
    pub(crate) effects: Effects,
    /// Memory is full and nothing more can be evicted: found before each command, see `make_room`.
    pub(crate) out_of_memory: bool,
    pub(crate) eviction_pool: Pool,
    /// The database that random eviction drew from last.
    pub(crate) evict_next: usize,
    next_client: u64,
}

/// What tells this engine from another, and from itself after a restart.
pub(crate) struct Identity {
    pub(crate) run_id: String,
    pub(crate) replication_id: String,
    /// Unix milliseconds.
    pub(crate) started_at: u64,
}

impl Identity {
    fn new(random: &Random, clock: &Clock) -> Self {
        /// Printed as 40 hexadecimal digits.
        const BYTES: usize = 20;
        let id = || {
            random
                .bytes::<BYTES>()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect()
        };
        Self {
            run_id: id(),
            replication_id: id(),
            started_at: clock.unix().as_millis() as u64,
        }
    }
}

impl Core {
    pub(crate) fn new(databases: usize, settings: Settings, random: Random, clock: Clock) -> Self {
        let seeds = [
            random.next_u64(),
            random.next_u64(),
            random.next_u64(),
            random.next_u64(),
        ];
        let hasher = RandomState::with_seeds(seeds[0], seeds[1], seeds[2], seeds[3]);
        let identity = Identity::new(&random, &clock);
        Self {
            dbs: (0..databases).map(|_| Db::new(&hasher)).collect(),
            clients: BTreeMap::new(),
            tracking: TrackingTable::new(&hasher),
            pubsub: PubSub::default(),
            scripts: Scripts::new(clock.clone(), random.clone()),
            settings,
            random,
            identity,
            clock,
            watchers: Watchers::new(&hasher),
            waits: Waits::default(),
            stats: Stats::default(),
            slow_log: SlowLog::default(),
            sweep: Sweep::default(),
            effects: Effects::default(),
            out_of_memory: false,
            eviction_pool: Pool::default(),
            evict_next: 0,
            next_client: 0,
        }
    }

    pub(crate) fn next_client_id(&mut self) -> ClientId {
        self.next_client += 1;
        ClientId(self.next_client)
    }

    /// Bytes held by all databases.
    pub(crate) fn used_memory(&self) -> usize {
        self.dbs.iter().map(Db::used).sum()
    }
}
