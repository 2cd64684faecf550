//! A map in the process in front of the store, kept true by a log of invalidations in the store.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use larder_base::Tasks;
use larder_store::Store;
use parking_lot::RwLock;
use redis::{
    AsyncCommands as _, RedisResult,
    streams::{StreamMaxlen, StreamReadOptions, StreamReadReply},
};

use super::{CacheAside, HandWritten, Load};

/// The stream of names that were forgotten.
const LOG: &str = "naive:log";

/// About how many items the stream keeps.
const KEPT: usize = 10_000;

/// How often the stream is read.
const EVERY: Duration = Duration::from_millis(50);

/// [`CacheAside`] with a map in front: who writes adds the name to a stream, and everybody reads on in it from the last item.
///
/// No message is lost while a reader is slow or away, as one would be on a channel. But the stream may be trimmed, or lost with
/// its server, and what comes after the last item that was read then comes after a gap that nothing tells of.
#[derive(Debug)]
pub struct LogTail {
    store: CacheAside<Store>,
    log: Store,
    copies: Arc<RwLock<HashMap<String, u64>>>,
    _reading: Tasks,
}

impl LogTail {
    /// Over a store.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        let (copies, reading) = (Arc::<RwLock<HashMap<String, u64>>>::default(), Tasks::new());
        reading.spawn("naive log", read_on(store.clone(), copies.clone()));
        Self {
            store: CacheAside::new(store.clone()),
            log: store.clone(),
            copies,
            _reading: reading,
        }
    }

    async fn look(&self, name: &str, load: Load<'_>) -> RedisResult<u64> {
        let copy = self.near(name);
        if let Some(copy) = copy {
            return Ok(copy);
        }
        let value = self.store.get(name, &[], load).await?;
        self.copies.write().insert(name.to_owned(), value);
        Ok(value)
    }

    async fn note(&self, name: &str) -> RedisResult<()> {
        self.copies.write().remove(name);
        self.store.invalidate(name).await?;
        let most = StreamMaxlen::Approx(KEPT);
        let mut log = self.log.clone();
        log.xadd_maxlen(LOG, most, "*", &[("name", name)]).await
    }
}

async fn read_on(mut store: Store, copies: Arc<RwLock<HashMap<String, u64>>>) {
    let clock = store.clock().clone();
    let mut last = "0".to_owned();
    loop {
        let options = StreamReadOptions::default();
        let news: RedisResult<Option<StreamReadReply>> = store.xread_options(&[LOG], &[&last], &options).await;
        let streams = news.ok().flatten().map(|news| news.keys).unwrap_or_default();
        for item in streams.into_iter().flat_map(|stream| stream.ids) {
            if let Some(name) = item.get::<String>("name") {
                copies.write().remove(&name);
            }
            last = item.id;
        }
        clock.sleep(EVERY).await;
    }
}

impl HandWritten for LogTail {
    fn read<'a>(&'a self, name: &'a str, load: Load<'a>) -> BoxFuture<'a, RedisResult<u64>> {
        Box::pin(self.look(name, load))
    }

    fn forget<'a>(&'a self, name: &'a str) -> BoxFuture<'a, RedisResult<()>> {
        Box::pin(self.note(name))
    }

    fn has_near(&self) -> bool {
        true
    }

    fn near(&self, name: &str) -> Option<u64> {
        self.copies.read().get(name).copied()
    }
}
