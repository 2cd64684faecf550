//! The append-only log: what was written is there again after a restart.
//!
//! Reference: <https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/>. The folder is laid out as
//! Redis 7 does it and holds commands in its format, so a real `redis-server --appendonly yes --dir FOLDER` loads it, and
//! this engine loads what a `redis-server` with `aof-use-rdb-preamble no` wrote. The groups of commands that reached the
//! disk together carry a checksum that Redis passes over, see [`format`](self).
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! use larder_engine::{Engine, Reply, log::{Fsync, LogConfig}};
//!
//! let engine = Engine::builder().open(LogConfig::new(folder).fsync(Fsync::Always))?;
//! assert_eq!(engine.connect().execute(&[b"SET", b"k", b"v"]), Reply::Ok); // it is on the disk
//! drop(engine);
//!
//! let again = Engine::builder().open(LogConfig::new(folder))?;
//! assert_eq!(again.connect().execute(&[b"GET", b"k"]), Reply::bulk(b"v"));
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//! - Under [`Fsync::Always`] a reply is given after everything it rests on is synced, that which it read included.
//! - After an error of the disk nothing more is written: commands that write are refused with `MISCONF`, reads go on, and
//!   those whose writes were under way are told that they failed. `BGREWRITEAOF` writes a new log from memory and ends this.
//! - At a start only the torn end of the last file is cut, which no reply rested on. Damage anywhere else refuses to
//!   open, as does anything that this engine would not understand.
//! - A folder has one owner.

mod config;
mod effects;
mod error;
mod format;
mod manifest;
mod queue;
mod read;
mod recover;
mod rewrite;
mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    any::Any,
    io,
    path::PathBuf,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64},
    },
    thread::{self, JoinHandle},
};

use larder_base::Clock;
use larder_disk as disk;
use parking_lot::Mutex;

pub use config::{Fsync, LogConfig, UnknownFsync};
pub use disk::{Disk, LogFile, OsDisk};
pub(crate) use effects::{Effects, Recorder, recorded};
pub use error::LogError;
pub use queue::Receipt;

use crate::engine::Shared;
use manifest::Manifest;
use queue::Queue;

/// An open log: its files, and the threads that write them.
pub(crate) struct Log {
    pub(crate) queue: Arc<Queue>,
    pub(crate) files: Arc<Files>,
    /// The engine whose log this is, once it is there.
    engine: OnceLock<Weak<Shared>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The files of a log.
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    /// Where the files lie.
    folder: PathBuf,
    clock: Clock,
    manifest: Mutex<Manifest>,
    /// Bytes of all files, of the base alone, and of all as the last rewrite began.
    pub(crate) size: AtomicU64,
    pub(crate) base_size: AtomicU64,
    old_size: AtomicU64,
    pub(crate) rewrite: RewriteStatus,
    /// Held for as long as this log is open.
    _owner: Box<dyn Any + Send + Sync>,
}

/// What `INFO persistence` says of rewrites.
#[derive(Debug, Default)]
pub(crate) struct RewriteStatus {
    number: AtomicU32,
    pub(crate) running: AtomicBool,
    /// Unix milliseconds of the failure, if the last one failed; else 0.
    pub(crate) failed_at: AtomicU64,
    /// Unix seconds of the last one that succeeded, or of the start.
    pub(crate) saved_at: AtomicU64,
    /// Seconds that the last one took.
    pub(crate) took: AtomicU64,
}

impl Files {
    /// Creates an empty file whose name stays.
    fn create(&self, name: &str) -> io::Result<Box<dyn LogFile>> {
        let file = self.disk.create(&self.folder.join(name))?;
        self.disk.sync_folder(&self.folder)?;
        Ok(file)
    }
}

impl Log {
    /// Tells the log whose it is.
    pub(crate) fn belongs_to(&self, engine: Weak<Shared>) {
        // It is told once, by the one who opened it.
        let _ = self.engine.set(engine);
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = thread::Builder::new().name(name.into()).spawn(work)?;
        let mut threads = self.threads.lock();
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Ok(())
    }

    /// Writes and syncs what there is, and ends the threads.
    pub(crate) fn close(&self) {
        self.queue.stop();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // The last handle to the engine may be dropped by the thread that rewrites, which ends right after.
            if thread.thread().id() != thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread of the append-only log panicked");
            }
        }
    }
}
