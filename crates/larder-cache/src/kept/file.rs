//! The file of pending invalidations. Everything here blocks.

use std::{
    any::Any,
    fmt,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_disk::{Disk, LogFile};

use super::{
    PendingLog,
    format::{self, End, MAGIC},
};
use crate::{owed::Owed, pending::Pending};

/// A log is written anew if it would fill less than this part of its limit, so that the next append need not do so again.
const ROOM_AFTER: u64 = 2;

pub(super) struct File {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    path: PathBuf,
    file: Box<dyn LogFile>,
    len: u64,
    limit: u64,
    /// Whether it says everything that it should: not after a failure, until it has been written anew.
    is_whole: bool,
    _owner: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("path", &self.path)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// Why a log cannot be used.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) path: PathBuf,
    pub(super) why: String,
    pub(super) source: io::Error,
}

impl Unusable {
    fn at(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self {
            path,
            why: format!("{doing} failed"),
            source,
        }
    }

    /// Whether this very process owns the log.
    pub(super) fn is_own(&self) -> bool {
        self.source.kind() == io::ErrorKind::WouldBlock && self.source.to_string() == std::process::id().to_string()
    }

    pub(super) fn panicked(panic: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            path: PathBuf::new(),
            why: "opening it panicked".to_owned(),
            source: io::Error::other(panic),
        }
    }
}

impl File {
    /// Opens the log of `namespace`, or begins one; and what it says is pending.
    pub(super) fn open(log: &PendingLog, namespace: &str) -> Result<(Self, Vec<Owed>), Unusable> {
        let PendingLog { folder, limit, disk } = log;
        let path = folder.join(format!("{namespace}.pending"));
        disk.create_folder(folder)
            .map_err(Unusable::at(folder, "creating the folder"))?;
        let owner = lock(&**disk, &folder.join(format!("{namespace}.lock")))?;
        let (bytes, is_new) = match read(&**disk, &path) {
            Ok(bytes) => (bytes, false),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => (Vec::new(), true),
            Err(error) => return Err(Unusable::at(&path, "reading it")(error)),
        };
        let said = format::read(&bytes);
        let owed = match said.end {
            End::Foreign => return Err(foreign(&path)),
            End::Whole | End::Torn => said.owed,
            End::Damaged => {
                tracing::error!(
                    path = %path.display(), at = said.whole,
                    "the log of pending invalidations is damaged: what it said there is not known, so that the whole \
                     namespace is cleared; look after the disk"
                );
                vec![Owed::All]
            }
        };
        let opened = if is_new { disk.create(&path) } else { disk.open(&path) };
        let mut file = Self {
            file: opened.map_err(Unusable::at(&path, "opening it"))?,
            disk: disk.clone(),
            folder: folder.clone(),
            path,
            len: bytes.len() as u64,
            limit: *limit,
            is_whole: said.end == End::Whole,
            _owner: owner,
        };
        if !file.is_whole {
            // Also a new one: it is written when it is known to be writable, so that this is learnt at the start.
            file.write_anew(&owed).map_err(Unusable::at(&file.path, "writing it"))?;
        }
        Ok((file, owed))
    }

    /// Whether it names anything.
    pub(super) fn is_empty(&self) -> bool {
        self.is_whole && self.len <= MAGIC.len() as u64
    }

    /// Returns when `owed`, which is part of what is pending, would survive a loss of power.
    pub(super) fn keep(&mut self, owed: &[Owed], pending: &Pending) -> io::Result<()> {
        let record = format::record(owed);
        if !self.is_whole || self.len + record.len() as u64 > self.limit {
            return self.write_anew(&pending.snapshot().0);
        }
        self.is_whole = false;
        self.file.append(&record)?;
        self.file.sync()?;
        self.len += record.len() as u64;
        self.is_whole = true;
        Ok(())
    }

    /// Forgets everything: the store has acknowledged it.
    pub(super) fn empty(&mut self) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        if !self.is_whole {
            return self.write_anew(&[]);
        }
        self.is_whole = false;
        self.disk.truncate(&self.path, MAGIC.len() as u64)?;
        self.len = MAGIC.len() as u64;
        self.is_whole = true;
        Ok(())
    }

    /// Writes `owed` into another file, which then takes the place of this one: until then the old one stands.
    fn write_anew(&mut self, owed: &[Owed]) -> io::Result<()> {
        self.is_whole = false;
        let mut bytes = MAGIC.to_vec();
        if !owed.is_empty() {
            bytes.extend(format::record(owed));
        }
        if bytes.len() as u64 > self.limit / ROOM_AFTER {
            tracing::warn!(path = %self.path.display(), "too much is pending for its log: it keeps a clear of the whole namespace instead");
            bytes.truncate(MAGIC.len());
            bytes.extend(format::record(&[Owed::All]));
        }
        let beside = self.path.with_extension("pending-new");
        let mut file = self.disk.create(&beside)?;
        file.append(&bytes)?;
        file.sync()?;
        self.disk.rename(&beside, &self.path)?;
        self.disk.sync_folder(&self.folder)?;
        // Opened again, to append wherever its end is: it may be cut.
        self.file = self.disk.open(&self.path)?;
        (self.len, self.is_whole) = (bytes.len() as u64, true);
        Ok(())
    }
}

fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let (mut file, _) = disk.read(path, 0)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn lock(disk: &dyn Disk, path: &Path) -> Result<Box<dyn Any + Send + Sync>, Unusable> {
    disk.lock(path).map_err(|source| {
        let why = match source.kind() {
            io::ErrorKind::WouldBlock => format!(
                "the process {source} owns it: give each process a folder of its own, and the same one again after a restart"
            ),
            _ => "locking it failed".to_owned(),
        };
        let path = path.to_owned();
        Unusable { path, why, source }
    })
}

fn foreign(path: &Path) -> Unusable {
    Unusable {
        path: path.to_owned(),
        why: "it is no log of pending invalidations, or one of another version: move it away, and clear the namespace"
            .to_owned(),
        source: io::ErrorKind::InvalidData.into(),
    }
}
