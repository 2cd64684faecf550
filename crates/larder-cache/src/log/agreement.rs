//! Whether this process's invalidations are logged.
//!
//! A process that invalidates without the log would silently leave stale copies in those that read it. So the two kinds
//! tell each other, by two keys of the namespace:
//!
//! - who reads the log keeps `log` alive, and then looks for `nolog`: while that is there, it trusts no copy;
//! - who would rather not write a log looks for `log`, and writes if that is there; if not, it renews `nolog` and looks
//!   once more.
//!
//! Each writes its own key before it looks for the other's, so at least one of two that start at once sees the other. A
//! look of the second kind allows unlogged invalidations for [`LOOK_LASTS`]; `nolog` outlives them by far. Modes may
//! therefore be mixed and changed while everything runs; see `docs/decisions/0008-writers-follow-the-readers-of-the-log.md`.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::Bytes;
use larder_base::CacheKey;
use larder_store::{Generation, StoreError};
use parking_lot::Mutex;

use crate::{Coherence, core::Core, layout::Partition, script::Logged, settings::millis};

/// For how long a process may invalidate without the log after it saw that nobody reads one.
const LOOK_LASTS: Duration = Duration::from_secs(20);

/// For how long it says so: the look above, and then the attempts of an invalidation that began at its end, each of which
/// ends within the command deadline (6 s unless set).
const UNLOGGED_FOR: Duration = Duration::from_secs(60);

/// What is known of who reads the log.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    /// Somebody reads it, or nobody knows.
    logs: AtomicBool,
    last: Mutex<Look>,
    /// Whether somebody asked since the last look.
    is_used: AtomicBool,
}

/// The last look for readers.
#[derive(Debug, Default)]
struct Look {
    /// Until when what it found stands, on the boot clock: while this machine sleeps the server's clock goes on, and what was
    /// said there ends.
    until: Duration,
    /// Where it looked. Another server, or another run of it, may have lost what was said.
    generation: Option<Generation>,
}

impl Agreement {
    /// Whether the last look stands at `now`, on the boot clock, where the store is this one; while it is none, nobody
    /// looks.
    fn stands(&self, now: Duration, generation: Option<&Generation>) -> bool {
        let last = self.last.lock();
        now < last.until && generation.is_none_or(|now| last.generation.as_ref() == Some(now))
    }
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// To be called before an invalidation is sent, which is then [`logged`](Self::logged) or not.
    pub(crate) async fn agree(&self) {
        if self.settings.coherence == Coherence::Log {
            return;
        }
        self.agreement.is_used.store(true, Ordering::Relaxed);
        if !self.has_agreed_until(self.clock.boot()) {
            self.look_for_readers().await;
        }
    }

    fn has_agreed_until(&self, then: Duration) -> bool {
        self.agreement.stands(then, self.store.generation().as_ref())
    }

    /// Looks again before the last look has ended, so that no invalidation has to wait for it.
    pub(crate) async fn agree_ahead(&self) {
        let is_used = self.agreement.is_used.load(Ordering::Relaxed);
        if is_used && !self.has_agreed_until(self.clock.boot() + LOOK_LASTS / 2) {
            self.agreement.is_used.store(false, Ordering::Relaxed);
            self.look_for_readers().await;
        }
    }

    async fn look_for_readers(&self) {
        let (sent, generation) = (self.clock.boot(), self.store.generation());
        let said = self.say_unlogged().await.ok();
        let (logs, until) = match said {
            Some(logs) if self.store.generation() == generation => (logs, sent + LOOK_LASTS),
            // No answer, or some of it from elsewhere. Written for nothing, an item does no harm.
            _ => (true, Duration::ZERO),
        };
        self.agreement.logs.store(logs, Ordering::Release);
        *self.agreement.last.lock() = Look { until, generation };
    }

    /// Whether somebody reads the log; if not, everybody was told first that this process leaves it out.
    async fn say_unlogged(&self) -> Result<bool, StoreError> {
        if self.is_read().await? {
            return Ok(true);
        }
        let mut say = redis::cmd("SET");
        say.arg(self.layout.log_unwritten().as_ref())
            .arg(1)
            .arg("PX")
            .arg(millis(UNLOGGED_FOR));
        self.store.run(&say).await?;
        self.is_read().await
    }

    async fn is_read(&self) -> Result<bool, StoreError> {
        let mut look = redis::cmd("EXISTS");
        look.arg(self.layout.log_read().as_ref());
        Ok(self.store.run(&look).await? != redis::Value::Int(0))
    }

    /// Where an invalidation of the entry `e` is written; to be asked after [`agree`](Self::agree).
    pub(crate) fn logged(&self, e: &[u8]) -> Option<Logged> {
        let (partition, written) = self.layout.entry(e).filter(|_| self.logs())?;
        Some(self.log_of(self.layout.partition(partition), Bytes::copy_from_slice(written)))
    }

    /// The same of an invalidation that concerns a whole partition.
    pub(crate) fn logged_for_all(&self, partition: &Partition) -> Option<Logged> {
        self.logs().then(|| self.log_of(partition, Bytes::new()))
    }

    /// Whether what this process invalidates is written to the log.
    pub(crate) fn logs(&self) -> bool {
        self.settings.coherence == Coherence::Log || self.agreement.logs.load(Ordering::Acquire)
    }

    fn log_of(&self, partition: &Partition, key: Bytes) -> Logged {
        Logged {
            l: partition.l.clone(),
            max: self.settings.log_max as u64,
            key,
        }
    }

    /// Writes that every copy is dead: for an invalidation that cannot name all it concerns.
    pub(crate) async fn log_all_dead(&self) -> Result<(), StoreError> {
        self.agree().await;
        let mut pipeline = redis::pipe();
        for partition in self.layout.partitions() {
            let Some(log) = self.logged_for_all(partition) else {
                return Ok(());
            };
            pipeline
                .cmd("XADD")
                .arg(log.l.as_ref())
                .arg("MAXLEN")
                .arg("~")
                .arg(log.max)
                .arg("*")
                .arg("c")
                .arg(&self.random.bytes::<8>()[..])
                .ignore();
        }
        let () = pipeline.query_async(&mut self.store.clone()).await?;
        Ok(())
    }
}
