//! Pending invalidations on disk: an option, so that a crash of this process does not forget them.
//!
//! | file | what it decides |
//! |---|---|
//! | `format` | how an invalidation is written, and what of a file can be trusted |
//! | `file` | the file: opened, appended to, written anew, emptied; blocks |
//! | `keeper` | when that is done, and who waits for it |
//!
//! A file is only ever behind in one direction: it may name what was acknowledged meanwhile, for an invalidation is as good
//! twice; it never lacks what a caller was told to be pending, unless the caller was told so as well.

mod file;
mod format;
mod keeper;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use larder_base::CacheKey;
use larder_disk::{Disk, OsDisk};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, ErrorKind, builder, core::Core, owed::Owed, registry};
use file::{File, Unusable};
pub(crate) use keeper::Keeper;

/// Bytes of a log at most, unless it is said: some hundred thousand usual keys, several times of what waits in memory
/// before it becomes one `clear`.
const LIMIT: u64 = 16 << 20;

/// The least limit that makes sense: one longest key, and room for more.
const LIMIT_LEAST: u64 = 64 << 10;

/// Where pending invalidations are kept over a crash: [`CacheBuilder::keep_pending`](crate::CacheBuilder::keep_pending).
///
/// In the folder each namespace has two files, `NAMESPACE.pending` and `NAMESPACE.lock`; one process at a time owns them.
///
/// ```
/// use larder_cache::PendingLog;
///
/// let log = PendingLog::new("/var/lib/app/larder").limit(1 << 20);
/// # let _ = log;
/// ```
#[derive(Clone, Debug)]
#[must_use = "it does nothing before it is given to a builder"]
pub struct PendingLog {
    folder: PathBuf,
    limit: u64,
    disk: Arc<dyn Disk>,
}

impl PendingLog {
    /// Keeps them in `folder`, which is created if it is missing.
    pub fn new(folder: impl AsRef<Path>) -> Self {
        Self {
            folder: folder.as_ref().to_owned(),
            limit: LIMIT,
            disk: Arc::new(OsDisk),
        }
    }

    /// Bytes that a namespace's log takes at most (default 16 MiB, at least 64 KiB). What does not fit is kept as one
    /// `clear` of the namespace, which does all of it.
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes.max(LIMIT_LEAST);
        self
    }

    /// The disk to write to (default: the machine's file system).
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }
}

/// What is compared when a cache is built twice.
impl std::fmt::Display for PendingLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {} bytes", self.folder.display(), self.limit)
    }
}

/// Builders that open logs take turns: of two that build one cache, the second finds the first one's.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A cache that was just dropped gives its log free when the runtime has ended its task: looked for so often, so long apart.
const FREED: (u32, Duration) = (50, Duration::from_millis(20));

/// The core that exists, or this one, started with what its log says is pending: in quarantine before anybody can read.
pub(crate) async fn join<K, V>(core: &Arc<Core<K, V>>, log: &PendingLog) -> Result<Arc<Core<K, V>>, Error>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let _turn = TURN.lock().await;
    if let Some(_existing) = registry::find(&**core) {
        return builder::join(core);
    }
    let (file, owed) = open(core, log).await?;
    if !owed.is_empty() {
        tracing::info!(
            namespace = %core.layout.namespace(),
            invalidations = owed.len(),
            "invalidations were pending when this cache ended last: they are sent now"
        );
        core.pending.add(owed);
    }
    let joined = builder::join(core)?;
    if let (true, Some(keeper)) = (Arc::ptr_eq(&joined, core), &core.keeper) {
        keeper::start(core, keeper.clone(), file);
    }
    Ok(joined)
}

/// Opens the log on a thread that may block.
async fn open<K, V>(core: &Core<K, V>, log: &PendingLog) -> Result<(File, Vec<Owed>), Error>
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    let (tries, pause) = FREED;
    for tried in 1.. {
        let (log, namespace) = (log.clone(), core.layout.namespace().clone());
        let opening = core.tasks.spawn_blocking(move || File::open(&log, &namespace));
        let opened = opening.await.unwrap_or_else(|panic| Err(Unusable::panicked(panic)));
        match opened {
            Ok(opened) => return Ok(opened),
            Err(unusable) if unusable.is_own() && tried < tries => core.clock.sleep(pause).await,
            Err(Unusable { path, why, source }) => {
                return Err(Error::from(ErrorKind::PendingLog {
                    path: path.display().to_string(),
                    why,
                    source: Arc::new(source),
                }));
            }
        }
    }
    unreachable!("the last try returns")
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// Waits until what is pending is kept, where that is asked for; why it is not, if so.
    pub(crate) async fn unkept(&self) -> Option<Arc<io::Error>> {
        let keeper = self.keeper.as_ref()?;
        keeper.kept(&self.clock, &self.tasks.stopping()).await.err()
    }
}
