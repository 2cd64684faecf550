//! Caches of values with tags, as the rows about tags need them: one row, whose value is its version.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_cache::{Cache, LoadContext};
use larder_store::Store;
use larder_testkit::{
    Topology,
    naive::{CacheAside, CreatedAtTags},
};
use tokio::sync::oneshot;

use super::row::Verdict;

/// Long against any scenario: what stays that long stays.
pub(crate) const TTL: Duration = Duration::from_secs(60);

/// The tag of the row.
pub(crate) const TAG: &str = "team";

/// The row's key.
pub(crate) const KEY: u64 = 1;

/// A cache of the row in one process.
pub(crate) trait Reads: Clone + Send + Sync + 'static {
    /// The row through the cache; `None` where there was no answer.
    fn get<F>(&self, load: impl FnOnce() -> F + Send) -> impl Future<Output = Option<u64>> + Send
    where
        F: Future<Output = u64> + Send;

    /// A read whose load answers at once.
    fn read(&self, row: &Arc<AtomicU64>) -> impl Future<Output = Option<u64>> + Send {
        let row = row.clone();
        async move { self.get(|| async move { row.load(Ordering::SeqCst) }).await }
    }
}

/// One whose loads say a tag.
pub(crate) trait Tagged: Reads {
    /// Whether the invalidation was acknowledged.
    fn invalidate_tag(&self) -> impl Future<Output = bool> + Send;
}

impl Reads for CacheAside<Store> {
    async fn get<F>(&self, load: impl FnOnce() -> F + Send) -> Option<u64>
    where
        F: Future<Output = u64> + Send,
    {
        Self::get(self, "row", &[TAG], load).await.ok()
    }
}

impl Tagged for CacheAside<Store> {
    async fn invalidate_tag(&self) -> bool {
        Self::invalidate_tag(self, TAG).await.is_ok()
    }
}

impl Reads for CreatedAtTags<Store> {
    async fn get<F>(&self, load: impl FnOnce() -> F + Send) -> Option<u64>
    where
        F: Future<Output = u64> + Send,
    {
        Self::get(self, "row", &[TAG], load).await.ok()
    }
}

impl Tagged for CreatedAtTags<Store> {
    async fn invalidate_tag(&self) -> bool {
        Self::invalidate_tag(self, TAG).await.is_ok()
    }
}

/// Larder's load says the tag when it has seen the row, as one does whose tags are columns of it.
impl Reads for Cache<u64, u64> {
    async fn get<F>(&self, load: impl FnOnce() -> F + Send) -> Option<u64>
    where
        F: Future<Output = u64> + Send,
    {
        let load = |context: LoadContext<u64>| async move {
            let value = load().await;
            context.tag(TAG);
            Ok::<_, Infallible>(value)
        };
        let found = self.get_or_load_with(&KEY, load).await.ok()?;
        found.map(|value| *value)
    }
}

impl Tagged for Cache<u64, u64> {
    async fn invalidate_tag(&self) -> bool {
        Self::invalidate_tag(self, TAG).await.is_ok()
    }
}

/// Larder as a process of its own over `store`, without jitter.
pub(crate) async fn larder(store: &Store) -> Cache<u64, u64> {
    let builder = Cache::builder("fault").store(store).ttl(TTL).jitter(0.0);
    builder.build().await.expect("the settings agree")
}

/// A load that has seen the row and waits.
pub(crate) struct Held {
    go: oneshot::Sender<()>,
    reader: tokio::task::JoinHandle<Option<u64>>,
}

impl Held {
    /// Begins a read by `cache`, and returns once its load has seen the row.
    pub(crate) async fn begin(cache: &impl Reads, row: &Arc<AtomicU64>) -> Self {
        let ((saw, seen), (go, gone)) = (oneshot::channel(), oneshot::channel());
        let (cache, row) = (cache.clone(), row.clone());
        let load = || async move {
            let value = row.load(Ordering::SeqCst);
            // Whoever began this waits for it, and lets it go.
            let _ = saw.send(());
            let _ = gone.await;
            value
        };
        let reader = tokio::spawn(async move { cache.get(load).await });
        seen.await.expect("the row is not cached, so that it is loaded");
        Self { go, reader }
    }

    /// Lets the load end, and waits for its reader.
    pub(crate) async fn end(self) -> Option<u64> {
        self.go.send(()).expect("the load waits for this");
        self.reader.await.expect("no panic")
    }
}

/// `here` loads the row; meanwhile it changes and `there` invalidates its tag. Who reads afterwards must not get the
/// row as it was.
pub(crate) async fn invalidated_during_the_load<T: Tagged>(t: &Topology, here: &T, there: &T) -> Verdict {
    let (mut verdict, row) = (Verdict::default(), Arc::new(AtomicU64::new(1)));
    let load = Held::begin(here, &row).await;
    row.store(2, Ordering::SeqCst);
    verdict.expect(there.invalidate_tag().await, "the invalidation is acknowledged");
    t.advance(1).await;
    load.end().await;
    for (who, cache) in [("who loaded", here), ("who invalidated", there)] {
        let seen = cache.read(&row).await;
        verdict.expect(
            seen == Some(2),
            format!("{who} reads version 2, not {seen:?}, after the acknowledged invalidation"),
        );
    }
    verdict
}
