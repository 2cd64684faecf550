//! Where the log lies and when it is synced.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use super::disk::{Disk, OsDisk};

/// When a write is safe from a loss of power: `appendfsync`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Before it is answered. Writes of the same moment share one `fdatasync`.
    Always,
    /// Within about a second, two if the disk is slow; the default. A crash of the process loses what had not reached the kernel, most
    /// often nothing; a crash of the machine up to that second.
    #[default]
    EverySecond,
    /// When the kernel sees fit, often half a minute.
    No,
}

impl Fsync {
    const NAMES: [(&'static str, Self); 3] = [
        ("always", Self::Always),
        ("everysec", Self::EverySecond),
        ("no", Self::No),
    ];
}

impl fmt::Display for Fsync {
    /// As `appendfsync` names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Self::NAMES.iter().find(|(_, policy)| policy == self);
        f.write_str(known.expect("every policy has a name").0)
    }
}

/// A policy's name was not understood; it tells those that are.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{0}` says not when to sync; use always, everysec or no")]
pub struct UnknownFsync(String);

impl FromStr for Fsync {
    type Err = UnknownFsync;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        known
            .map(|(_, policy)| *policy)
            .ok_or_else(|| UnknownFsync(name.to_owned()))
    }
}

/// An append-only log: its folder, its policy, its disk.
///
/// ```
/// use larder_engine::log::{Fsync, LogConfig};
///
/// let config = LogConfig::new("./data").fsync(Fsync::Always);
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
pub struct LogConfig {
    pub(crate) folder: PathBuf,
    pub(crate) fsync: Fsync,
    pub(crate) disk: Arc<dyn Disk>,
}

impl LogConfig {
    /// A log in `folder`, which is created if it is missing; as `redis-server --appendonly yes --dir FOLDER`.
    #[must_use]
    pub fn new(folder: impl AsRef<Path>) -> Self {
        Self {
            folder: folder.as_ref().to_owned(),
            fsync: Fsync::default(),
            disk: Arc::new(OsDisk),
        }
    }

    /// When writes are synced; [`Fsync::EverySecond`] by default.
    #[must_use]
    pub fn fsync(mut self, policy: Fsync) -> Self {
        self.fsync = policy;
        self
    }

    /// The disk to write to; the machine's file system by default.
    #[must_use]
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }
}
