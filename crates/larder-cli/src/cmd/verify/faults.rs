//! Making trouble, within the prefix of this run.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use larder_base::Random;
use larder_store::Store;
use larder_testkit::verify::Fault;
use redis::{AsyncCommands as _, RedisResult};

use crate::context::Context;

/// Who makes the faults, and knows which keys are this run's.
#[derive(Clone)]
pub(super) struct Trouble {
    /// A connection of its own: a process is not told of what it did itself, and these are not its doings.
    own: Store,
    stores: Vec<Store>,
    random: Random,
    prefix: Arc<str>,
    runs: Arc<AtomicU32>,
}

impl Trouble {
    pub(super) fn new(own: Store, stores: &[Store], context: &Context, random: &Random) -> Self {
        // Not from the seed: two runs with one seed must not meet in one store.
        let prefix = format!("verify-{:016x}", context.random.next_u64()).into();
        Self {
            own,
            stores: stores.to_vec(),
            random: random.clone(),
            prefix,
            runs: Arc::default(),
        }
    }

    /// A namespace that no other run has used.
    pub(super) fn namespace(&self) -> String {
        format!("{}-{}", self.prefix, self.runs.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes one fault. What fails is not there to be lost.
    pub(super) async fn make(&self, fault: Fault) {
        let made = match fault {
            Fault::Evict => self.evict().await,
            Fault::Flush => self.clean_up().await,
            Fault::Disconnect => self.disconnect().await,
        };
        if let Err(error) = made {
            tracing::debug!(%fault, %error, "a fault could not be made");
        }
    }

    /// Loses one key: a record, a marker, a hash of stamps, whatever is hit.
    async fn evict(&self) -> RedisResult<()> {
        let keys = self.keys().await?;
        if keys.is_empty() {
            return Ok(());
        }
        let key = &keys[self.random.below(keys.len() as u64) as usize];
        self.own.clone().unlink(key).await
    }

    /// Loses, or removes, every key of this run.
    pub(super) async fn clean_up(&self) -> RedisResult<()> {
        /// What was under way when a run was interrupted may still write once.
        const ROUNDS: usize = 3;
        for _ in 0..ROUNDS {
            let keys = self.keys().await?;
            if keys.is_empty() {
                break;
            }
            let _removed: u64 = self.own.clone().unlink(keys).await?;
        }
        Ok(())
    }

    /// Cuts the connection of one process.
    async fn disconnect(&self) -> RedisResult<()> {
        let victim = self.random.below(self.stores.len() as u64) as usize;
        let id: i64 = redis::cmd("CLIENT")
            .arg("ID")
            .query_async(&mut self.stores[victim].clone())
            .await?;
        redis::cmd("CLIENT")
            .arg("KILL")
            .arg("ID")
            .arg(id)
            .query_async(&mut self.own.clone())
            .await
    }

    async fn keys(&self) -> RedisResult<Vec<String>> {
        let mut store = self.own.clone();
        let (mut cursor, mut keys) = (0u64, Vec::new());
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor)
                .arg("MATCH")
                .arg(format!("{}*", self.prefix))
                .arg("COUNT")
                .arg(1_000);
            let (next, page): (u64, Vec<String>) = scan.query_async(&mut store).await?;
            keys.extend(page);
            if next == 0 {
                return Ok(keys);
            }
            cursor = next;
        }
    }
}
