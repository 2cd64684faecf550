//! Reads the log with every heartbeat and tells the near tier what it says.
//!
//! The reader remembers the last item of each partition, id and content, and reads on from it. If the answer does not
//! begin with that item, the log was trimmed beyond it, lost, or is another one: every copy is dead, and the reader begins
//! anew behind an item of its own. `last_confirmed` is the moment when the read was sent: whatever was acknowledged before
//! stands in the answer. M is read along, for its loss is no item.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use larder_base::CacheKey;
use larder_store::{Generation, Heartbeat, Invalidations as _, StoreError};
use redis::{ErrorKind, RedisError, Value};

use super::{
    LOG_KEPT,
    item::{Item, Said},
};
use crate::{
    core::Core,
    layout::PARTITIONS,
    script::{Heal, Step},
    settings::millis,
};

/// Items per partition and read, so that no answer keeps other clients waiting for long.
const BATCH: usize = 250;

/// Reads of one heartbeat at most before the reader takes another turn: a full log of the default length.
const READS: usize = 40;

/// Starts the reader of a core; it ends with it.
pub(crate) fn start<K, V>(core: &Arc<Core<K, V>>)
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    let (weak, clock) = (Arc::downgrade(core), core.clock.clone());
    let rounds = async move {
        let mut reader = Reader::default();
        loop {
            let Some(core) = Weak::upgrade(&weak) else { return };
            if let Err(error) = reader.beat(&core).await {
                // Copies are served until the bound, then no more until a read succeeds.
                tracing::debug!(%error, "the log of invalidations could not be read");
            }
            let pause = core.near.heartbeat();
            drop(core);
            clock.sleep(pause).await;
        }
    };
    drop(core.tasks.spawn("log reader", rounds));
}

#[derive(Default)]
struct Reader {
    /// Where it is in each partition; nothing before it has begun.
    at: Vec<Item>,
    /// M of each partition as it was read last.
    metas: Vec<Value>,
    /// Which run of the server this is.
    generation: Option<Generation>,
    /// Not before this moment of the monotonic clock: somebody may invalidate without the log.
    not_before: Duration,
    /// For how long the machine had been suspended when it began: copies from before it slept again are of unknown age.
    suspended: Duration,
    /// Whose log is kept alive next.
    turn: usize,
}

/// What one read found.
enum Read {
    /// Everything up to its end.
    Whole,
    /// There is more.
    Part,
    /// Not the log that was being read.
    Lost,
}

impl Reader {
    /// Begins, or reads on to the end.
    async fn beat<K: CacheKey, V: Send + Sync + 'static>(&mut self, core: &Core<K, V>) -> Result<(), StoreError> {
        if self.at.is_empty() {
            return self.begin(core).await;
        }
        if self.has_slept(core) {
            return self.begin_anew(core).await;
        }
        // What was acknowledged before this moment stands in the first read or in those that go on from it.
        let sent = core.now();
        for _ in 0..READS {
            match self.read(core).await? {
                Read::Whole if self.has_slept(core) => return self.begin_anew(core).await,
                Read::Whole => {
                    core.near.confirmed(Heartbeat::new(sent, core.now(), None));
                    return Ok(());
                }
                Read::Part => {}
                Read::Lost => return self.begin_anew(core).await,
            }
        }
        Ok(())
    }

    /// R9: the clock of every deadline stood still for a while.
    fn has_slept<K: CacheKey, V: Send + Sync + 'static>(&self, core: &Core<K, V>) -> bool {
        core.clock.slept_since(self.suspended)
    }

    /// Every copy is dead.
    async fn begin_anew<K: CacheKey, V: Send + Sync + 'static>(&mut self, core: &Core<K, V>) -> Result<(), StoreError> {
        core.near.lost();
        self.at.clear();
        self.begin(core).await
    }

    /// Begins at the end of every log, unless somebody may invalidate without it.
    async fn begin<K: CacheKey, V: Send + Sync + 'static>(&mut self, core: &Core<K, V>) -> Result<(), StoreError> {
        let mut pipeline = redis::pipe();
        let say = pipeline.cmd("SET").arg(core.layout.log_read().as_ref()).arg(1);
        say.arg("PX").arg(millis(LOG_KEPT));
        pipeline.cmd("PTTL").arg(core.layout.log_unwritten().as_ref());
        let said = answers(core, &mut pipeline).await?;
        self.note_unlogged(core, &said.into_iter().nth(1).unwrap_or_default());
        if core.now() < self.not_before {
            return Ok(());
        }
        self.suspended = core.clock.suspended();
        let sent = core.now();
        if !self.begin_all(core).await? {
            return heal(core).await;
        }
        core.near.restored();
        core.near.confirmed(Heartbeat::new(sent, core.now(), None));
        Ok(())
    }

    /// Adds an item of its own to every log, and stands behind it. `false` if some log is none.
    async fn begin_all<K: CacheKey, V: Send + Sync + 'static>(
        &mut self,
        core: &Core<K, V>,
    ) -> Result<bool, StoreError> {
        let mut pipeline = redis::pipe();
        let generation = core.store.generation();
        let starts: Vec<[u8; 8]> = (0..PARTITIONS).map(|_| core.random.bytes()).collect();
        for (partition, start) in core.layout.partitions().iter().zip(&starts) {
            let l = partition.l.as_ref();
            let add = pipeline
                .cmd("XADD")
                .arg(l)
                .arg("MAXLEN")
                .arg("~")
                .arg(core.settings.log_max);
            add.arg("*").arg("h").arg(&start[..]);
            pipeline.cmd("PEXPIRE").arg(l).arg(millis(LOG_KEPT)).ignore();
        }
        read_metas(core, &mut pipeline);
        let mut ids = answers(core, &mut pipeline).await?;
        let Some(Value::Array(metas)) = ids.pop() else {
            return Ok(false);
        };
        let item = |(id, start): (Value, &[u8; 8])| match id {
            Value::BulkString(id) => Some(Item::start(id, start)),
            _ => None,
        };
        let Some(at) = ids.into_iter().zip(&starts).map(item).collect() else {
            return Ok(false);
        };
        (self.at, self.generation) = (at, generation);
        self.metas = metas;
        Ok(true)
    }

    /// Keeps in mind for how long somebody may invalidate without the log: longer than the key that says so, for that may
    /// be evicted.
    fn note_unlogged<K: CacheKey, V: Send + Sync + 'static>(&mut self, core: &Core<K, V>, left: &Value) {
        if let Value::Int(left @ 0..) = left {
            let until = core.now() + Duration::from_millis(left.unsigned_abs());
            self.not_before = self.not_before.max(until);
        }
    }

    /// Reads on once in every partition, and applies what it reads.
    async fn read<K: CacheKey, V: Send + Sync + 'static>(&mut self, core: &Core<K, V>) -> Result<Read, StoreError> {
        let mut answers = self.ask(core).await?.into_iter();
        let (said, left) = (answers.next(), answers.next().unwrap_or_default());
        self.note_unlogged(core, &left);
        let unlogged = core.now() < self.not_before;
        // Without the key somebody may have stopped writing the log; another run of the server may lack its end.
        if unlogged || said != Some(Value::Int(1)) || core.store.generation() != self.generation {
            return Ok(Read::Lost);
        }
        let metas = answers.next().unwrap_or_default();
        let mut changed: Vec<bytes::Bytes> = Vec::new();
        let mut outcome = Read::Whole;
        for (partition, answer) in (0..PARTITIONS).zip(answers) {
            let items = Item::all(answer).unwrap_or_default();
            if items.first() != Some(&self.at[partition]) {
                return Ok(Read::Lost);
            }
            if items.len() > BATCH {
                outcome = Read::Part;
            }
            for item in &items[1..] {
                match item.said() {
                    Some(Said::Entry(written)) => changed.push(core.layout.entry_key(partition as u8, written)),
                    Some(Said::Tag) => core.near.suspect(partition as u8),
                    Some(Said::All) => core.near.kill(partition as u8),
                    Some(Said::Start) => {}
                    None => return Ok(Read::Lost),
                }
            }
            self.at[partition] = items
                .into_iter()
                .next_back()
                .unwrap_or_else(|| self.at[partition].clone());
        }
        let changed: Vec<&[u8]> = changed.iter().map(AsRef::as_ref).collect();
        core.near.invalidated(Some(&changed));
        self.compare_metas(core, metas);
        Ok(outcome)
    }

    async fn ask<K: CacheKey, V: Send + Sync + 'static>(
        &mut self,
        core: &Core<K, V>,
    ) -> Result<Vec<Value>, StoreError> {
        let mut pipeline = redis::pipe();
        let partitions = core.layout.partitions();
        self.turn = (self.turn + 1) % PARTITIONS;
        let kept = partitions[self.turn].l.as_ref();
        pipeline.cmd("PEXPIRE").arg(kept).arg(millis(LOG_KEPT)).ignore();
        // Unlike SET it is not refused when memory is full, and says whether the key was there.
        let say = pipeline.cmd("PEXPIRE").arg(core.layout.log_read().as_ref());
        say.arg(millis(LOG_KEPT));
        pipeline.cmd("PTTL").arg(core.layout.log_unwritten().as_ref());
        read_metas(core, &mut pipeline);
        for (partition, at) in partitions.iter().zip(&self.at) {
            let read = pipeline.cmd("XRANGE").arg(partition.l.as_ref());
            // One more than a batch, for the item that is known.
            read.arg(at.id()).arg("+").arg("COUNT").arg(BATCH + 1);
        }
        let answers = answers(core, &mut pipeline).await?;
        if answers.len() == PARTITIONS + 3 {
            return Ok(answers);
        }
        Err(RedisError::from((ErrorKind::UnexpectedReturnType, "a pipeline was not answered in full")).into())
    }

    /// M that changed, or went, without an item.
    fn compare_metas<K: CacheKey, V: Send + Sync + 'static>(&mut self, core: &Core<K, V>, metas: Value) {
        let Value::Array(metas) = metas else { return };
        for (partition, (before, now)) in self.metas.iter().zip(&metas).enumerate() {
            if before != now {
                core.near.suspect(partition as u8);
            }
        }
        self.metas = metas;
    }
}

/// Asks for M of every partition.
fn read_metas<K: CacheKey, V: Send + Sync + 'static>(core: &Core<K, V>, pipeline: &mut redis::Pipeline) {
    let metas = pipeline.cmd("MGET");
    for partition in core.layout.partitions() {
        metas.arg(partition.m.as_ref());
    }
}

/// The answers to a pipeline, nothing for a key of another type.
async fn answers<K: CacheKey, V: Send + Sync + 'static>(
    core: &Core<K, V>,
    pipeline: &mut redis::Pipeline,
) -> Result<Vec<Value>, StoreError> {
    let answers: Vec<redis::RedisResult<Value>> = pipeline.ignore_errors().query_async(&mut core.store.clone()).await?;
    let answer = |answer: redis::RedisResult<Value>| match answer {
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(Value::Nil),
        answer => answer.map_err(StoreError::from),
    };
    answers.into_iter().map(answer).collect()
}

/// Drops what somebody else wrote over the logs.
async fn heal<K: CacheKey, V: Send + Sync + 'static>(core: &Core<K, V>) -> Result<(), StoreError> {
    let partitions = core.layout.partitions().iter();
    let heals = partitions.map(|partition| {
        let keys = vec![(partition.l.clone(), "stream")];
        Heal { keys }.call()
    });
    for healed in core.store.call_many(&heals.collect::<Vec<_>>()).await {
        healed?;
    }
    Ok(())
}
