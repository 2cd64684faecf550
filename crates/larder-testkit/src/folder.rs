//! Temporary folders that do not stay, even if the process that made one is killed: the next one removes it.

use std::{
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Once,
};

use rustix::process::geteuid;
use tempfile::TempDir;

/// What the names begin with.
const PREFIX: &str = "larder-own-";

/// In each folder, locked by its owner as long as that lives: the kernel lets go of it at any end.
const LOCK: &str = "owner.lock";

/// Folders that one sweep removes at most, so that a start does not take for ever.
const SWEPT_MAX: usize = 1_000;

/// Between a folder and its lock somebody may sweep. That happens once at most to each who sweeps.
const MADE_MAX: u32 = 5;

/// A temporary folder of this process, removed on drop. One whose owner was killed (`kill -9`) is removed by the next process
/// of the same user that makes one.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let folder = larder_testkit::OwnFolder::new()?;
/// std::fs::write(folder.path().join("notes"), "short-lived")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct OwnFolder {
    folder: TempDir,
    _lock: File,
}

impl OwnFolder {
    /// Makes one, and the first time in a process [sweeps](Self::sweep).
    ///
    /// # Errors
    /// What the file system says.
    pub fn new() -> io::Result<Self> {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(Self::sweep);
        let mut tries = 1;
        loop {
            match Self::make() {
                Err(error) if tries == MADE_MAX || error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) => tries += 1,
                made => return made,
            }
        }
    }

    /// `NotFound` if it was swept before it was locked.
    fn make() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
        let swept = || io::Error::from(io::ErrorKind::NotFound);
        let path = folder.path().join(LOCK);
        let lock = File::create(&path)?;
        lock.try_lock().map_err(|_| swept())?;
        // Somebody may have held the lock until just now, and removed what it was in.
        if !path.exists() {
            return Err(swept());
        }
        Ok(Self { folder, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Removes the folders of this user's processes that were killed. What cannot be removed stays.
    pub fn sweep() {
        let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else {
            return;
        };
        let ours = entries.filter_map(Result::ok).filter(|entry| {
            let is_named = entry.file_name().to_string_lossy().starts_with(PREFIX);
            // Of the entry itself: a link to somewhere else is nothing of ours.
            let metadata = entry.metadata().ok();
            is_named && metadata.is_some_and(|it| it.is_dir() && it.uid() == geteuid().as_raw())
        });
        let abandoned: Vec<PathBuf> = ours.map(|entry| entry.path()).take(SWEPT_MAX).collect();
        for folder in abandoned {
            remove_if_abandoned(&folder);
        }
    }
}

/// One without a lock file is just being made, or is not ours.
fn remove_if_abandoned(folder: &Path) {
    let Ok(lock) = File::open(folder.join(LOCK)) else {
        return;
    };
    if lock.try_lock().is_ok() {
        // Held until it is gone, so that whoever is just making it does not take it for its own.
        let _ = std::fs::remove_dir_all(folder);
    }
}
