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

use super::{seat::Seat, server::PrivateServer};
use crate::{context::Context, failure::Outcome, own_keys};

/// Who makes the faults, and knows which keys are this run's.
#[derive(Clone)]
pub(super) struct Trouble {
    /// A connection of its own: a process is not told of what it did itself, and these are not its doings.
    own: Store,
    seats: Vec<Arc<Seat>>,
    random: Random,
    prefix: Arc<str>,
    runs: Arc<AtomicU32>,
    clock: Clock,
    /// The server, where it is this run's own.
    server: Arc<Mutex<Option<PrivateServer>>>,
    /// What waits to be written is nothing that a server evicts.
    spares_writes: bool,
}

/// The longest pause of a server: beyond the near tier's bound by default, so that its copies go out of use.
const PAUSE_MAX: Duration = Duration::from_millis(1_500);

impl Trouble {
    pub(super) fn new(
        own: Store,
        seats: &[Arc<Seat>],
        server: Option<PrivateServer>,
        context: &Context,
        random: &Random,
    ) -> Self {
        // Not from the seed: two runs with one seed must not meet in one store.
        let prefix = format!("verify-{:016x}", context.random.next_u64()).into();
        Self {
            own,
            seats: seats.to_vec(),
            random: random.clone(),
            prefix,
            runs: Arc::default(),
            clock: context.clock.clone(),
            server: Arc::new(Mutex::new(server)),
            spares_writes: false,
        }
    }

    /// Whether eviction passes over what waits to be written: it is the only copy, and a policy that takes it is refused.
    pub(super) fn sparing_writes(self, spares_writes: bool) -> Self {
        Self { spares_writes, ..self }
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
            Fault::Crash => unreachable!("the run kills its own processes"),
            Fault::Failover => unreachable!("it takes two servers, and no word on the command line names it"),
        };
        if let Err(error) = made {
            tracing::debug!(%fault, %error, "a fault could not be made");
        }
    }

    /// Loses one key: a record, a marker, a hash of stamps, whatever is hit.
    async fn evict(&self) -> Outcome {
        let mut keys = own_keys::list(&self.own, &self.prefix).await?;
        keys.retain(|key| !self.spares_writes || !holds_writes(key));
        if keys.is_empty() {
            return Ok(());
        }
        let key = &keys[self.random.below(keys.len() as u64) as usize];
        Ok(self.own.clone().unlink(key).await?)
    }

    /// Cuts the connection of one process.
    async fn disconnect(&self) -> Outcome {
        let victim = self.random.below(self.seats.len() as u64) as usize;
        let id: i64 = redis::cmd("CLIENT")
            .arg("ID")
            .query_async(&mut self.seats[victim].store())
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

/// Whether a key is what waits to be written: Larder's dirty maps, with the operations that they know, or a list by hand.
fn holds_writes(key: &[u8]) -> bool {
    let name = String::from_utf8_lossy(key);
    let own = name.rsplit_once("}:").map_or("", |(_, own)| own);
    matches!(own, "d" | "n" | "x") || own.starts_with("o:") || name.ends_with(":queue")
}

#[cfg(test)]
mod tests {
    use super::holds_writes;

    #[test]
    fn only_what_waits_to_be_written_is_spared() {
        for spared in ["v-0:{v-0.7}:d", "v-0:{v-0.7}:x", "v-0:{v-0.7}:o:00ff", "v-0:queue"] {
            assert!(holds_writes(spared.as_bytes()), "{spared}");
        }
        for lost in [
            "v-0:{v-0.7}:w",
            "v-0:{v-0.7}:z",
            "v-0:{v-0.7}:m",
            "v-0:{v-0.7}:e:d",
            "v-0:3",
        ] {
            assert!(!holds_writes(lost.as_bytes()), "{lost}");
        }
    }
}
