//! The state behind the engine's one lock.

use std::collections::BTreeMap;

use ahash::RandomState;
use larder_base::{Clock, Random};

use crate::{
    client::{Client, ClientId},
    db::Db,
    engine::Limits,
    pubsub::PubSub,
    script::Scripts,
    settings::Settings,
    tracking::TrackingTable,
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
    pub(crate) limits: Limits,
    pub(crate) random: Random,
    next_client: u64,
}

impl Core {
    pub(crate) fn new(databases: usize, limits: Limits, random: Random, clock: Clock) -> Self {
        let seeds = [
            random.next_u64(),
            random.next_u64(),
            random.next_u64(),
            random.next_u64(),
        ];
        let hasher = RandomState::with_seeds(seeds[0], seeds[1], seeds[2], seeds[3]);
        Self {
            dbs: (0..databases).map(|_| Db::new(&hasher)).collect(),
            clients: BTreeMap::new(),
            tracking: TrackingTable::default(),
            pubsub: PubSub::default(),
            scripts: Scripts::new(clock, random.clone()),
            settings: Settings::default(),
            limits,
            random,
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
