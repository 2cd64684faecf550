//! Making trouble, within the prefix of this run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use larder_base::{Clock, Random};
use larder_store::Store;
use larder_testkit::verify::Fault;
use redis::AsyncCommands as _;
use tokio::sync::Mutex;

use super::server::PrivateServer;
use crate::{context::Context, failure::Outcome, own_keys};

/// Who makes the faults, and knows which keys are this run's.
#[derive(Clone)]
pub(super) struct Trouble {
    /// A connection of its own: a process is not told of what it did itself, and these are not its doings.
    own: Store,
    stores: Vec<Store>,
    random: Random,
    prefix: Arc<str>,
    runs: Arc<AtomicU32>,
    clock: Clock,
    /// The server, where it is this run's own.
    server: Arc<Mutex<Option<PrivateServer>>>,
}

/// The longest pause of a server: beyond the near tier's bound by default, so that its copies go out of use.
const PAUSE_MAX: Duration = Duration::from_millis(1_500);

impl Trouble {
    pub(super) fn new(
        own: Store,
        stores: &[Store],
        server: Option<PrivateServer>,
        context: &Context,
        random: &Random,
    ) -> Self {
        // Not from the seed: two runs with one seed must not meet in one store.
        let prefix = format!("verify-{:016x}", context.random.next_u64()).into();
        Self {
            own,
            stores: stores.to_vec(),
            random: random.clone(),
            prefix,
            runs: Arc::default(),
            clock: context.clock.clone(),
            server: Arc::new(Mutex::new(server)),
        }
    }

    /// The connection of its own, and what the names of all keys of this run begin with.
    pub(super) fn own_keys(&self) -> (&Store, &str) {
        (&self.own, &self.prefix)
    }

    /// A namespace that no other run has used.
    pub(super) fn namespace(&self) -> String {
        format!("{}-{}", self.prefix, self.runs.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes one fault. What fails is not there to be lost.
    pub(super) async fn make(&self, fault: Fault) {
        let made = match fault {
            Fault::Evict => self.evict().await,
            Fault::Flush => own_keys::remove(&self.own, &self.prefix).await.map(drop),
            Fault::Disconnect => self.disconnect().await,
            Fault::Kill => self.kill().await,
            Fault::Pause => self.pause().await,
            Fault::Failover => unreachable!("it takes two servers, and no word on the command line names it"),
        };
        if let Err(error) = made {
            tracing::debug!(%fault, %error, "a fault could not be made");
        }
    }

    /// Loses one key: a record, a marker, a hash of stamps, whatever is hit.
    async fn evict(&self) -> Outcome {
        let keys = own_keys::list(&self.own, &self.prefix).await?;
        if keys.is_empty() {
            return Ok(());
        }
        let key = &keys[self.random.below(keys.len() as u64) as usize];
        Ok(self.own.clone().unlink(key).await?)
    }

    /// Cuts the connection of one process.
    async fn disconnect(&self) -> Outcome {
        let victim = self.random.below(self.stores.len() as u64) as usize;
        let id: i64 = redis::cmd("CLIENT")
            .arg("ID")
            .query_async(&mut self.stores[victim].clone())
            .await?;
        Ok(redis::cmd("CLIENT")
            .arg("KILL")
            .arg("ID")
            .arg(id)
            .query_async(&mut self.own.clone())
            .await?)
    }

    async fn kill(&self) -> Outcome {
        if let Some(server) = self.server.lock().await.as_mut() {
            server.kill().await;
        }
        Ok(())
    }

    async fn pause(&self) -> Outcome {
        if let Some(server) = self.server.lock().await.as_ref() {
            let span = PAUSE_MAX.mul_f64(self.random.unit());
            server.pause(&self.clock, span).await;
        }
        Ok(())
    }
}
