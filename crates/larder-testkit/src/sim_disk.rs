//! A disk in memory that keeps only what was synced, and fails when it is told to.
//!
//! It keeps apart what a running process reads back and what would be there after a loss of power. Each call that changes
//! anything is a step; a [`Trouble`] strikes at one of them.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use larder_base::Random;
use larder_engine::log::{Disk, LogFile};
use parking_lot::Mutex;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The machine stops during this step: it may be done in part, and every later one fails.
    Crash,
    /// A write finds no more room after half of its bytes (`ENOSPC`), and so does every later one, until
    /// [`mend`](SimDisk::mend).
    Full,
    /// A sync reports an error once (`EIO`). As Linux does, it then forgets the bytes: later syncs succeed without them.
    SyncFails,
}

/// The disk. A cheap clone; all clones are the same disk.
///
/// ```
/// use std::sync::Arc;
///
/// use larder_engine::{Engine, Fsync, LogConfig, Reply};
/// use larder_testkit::{Case, SimDisk, Trouble};
///
/// let disk = SimDisk::new();
/// let open = |disk: &SimDisk| {
///     let config = LogConfig::new("/data").fsync(Fsync::Always).disk(Arc::new(disk.clone()));
///     Engine::builder().open(config).expect("the log is whole")
/// };
/// let engine = open(&disk);
/// assert_eq!(engine.connect().execute(&[b"SET", b"k", b"v"]), Reply::Ok);
/// disk.strike_at(disk.steps(), Trouble::Crash);
/// assert!(engine.connect().execute(&[b"SET", b"k", b"w"]).is_error());
/// let left = disk.after_crash(&Case::each(1, 7).next().unwrap().random());
/// assert_eq!(open(&left).connect().execute(&[b"GET", b"k"]), Reply::bulk("v"));
/// ```
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What a name stands for now, and after a loss of power.
    names: BTreeMap<PathBuf, usize>,
    kept_names: BTreeMap<PathBuf, usize>,
    /// Changes of names since they were last made to last, in order.
    pending: Vec<BTreeMap<PathBuf, usize>>,
    files: Vec<Content>,
    locks: BTreeMap<PathBuf, Arc<AtomicBool>>,
    steps: u64,
    strike: Option<(u64, Trouble)>,
    is_down: bool,
    is_full: bool,
}

#[derive(Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    /// What a loss of power leaves for certain.
    kept: Vec<u8>,
    /// A sync failed and the kernel forgot.
    is_forgetful: bool,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("SimDisk")
            .field("files", &state.names.keys())
            .field("steps", &state.steps)
            .finish()
    }
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Steps made so far: appends, syncs, creations, renames and removals.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.0.lock().steps
    }

    /// Lets trouble strike at step `step`, the first being 0.
    pub fn strike_at(&self, step: u64, trouble: Trouble) {
        self.0.lock().strike = Some((step, trouble));
    }

    /// Whether the machine has stopped.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.0.lock().is_down
    }

    /// There is room again, and no trouble ahead.
    pub fn mend(&self) {
        let mut state = self.0.lock();
        (state.is_full, state.strike) = (false, None);
    }

    /// What is on the disk after a loss of power at this moment: all that was synced, and of the rest what `random` says: the
    /// beginning of each file's unsynced bytes, with zeros after it at times, and the first few changes of names.
    #[must_use]
    pub fn after_crash(&self, random: &Random) -> Self {
        let state = self.0.lock();
        let lasting = random.below(state.pending.len() as u64 + 1) as usize;
        let names = match lasting.checked_sub(1) {
            Some(last) => state.pending[last].clone(),
            None => state.kept_names.clone(),
        };
        let files: Vec<Content> = state.files.iter().map(|file| file.after_crash(random)).collect();
        Self(Arc::new(Mutex::new(State {
            kept_names: names.clone(),
            names,
            files,
            ..State::default()
        })))
    }

    /// The names of all files.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.0.lock().names.keys().cloned().collect()
    }

    /// What is in a file.
    ///
    /// # Panics
    /// If there is none of this name.
    #[must_use]
    pub fn content(&self, path: &Path) -> Vec<u8> {
        let state = self.0.lock();
        state.files[state.names[path]].bytes.clone()
    }

    /// Puts something else in a file, for good; the file is created if there is none.
    pub fn overwrite(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.0.lock();
        let content = Content {
            bytes: bytes.to_vec(),
            kept: bytes.to_vec(),
            is_forgetful: false,
        };
        if let Some(file) = state.names.get(path).copied() {
            state.files[file] = content;
            return;
        }
        state.files.push(content);
        let file = state.files.len() - 1;
        state.names.insert(path.to_owned(), file);
        state.kept_names.insert(path.to_owned(), file);
    }
}

impl Content {
    fn after_crash(&self, random: &Random) -> Self {
        let mut bytes = self.kept.clone();
        if self.bytes.starts_with(&bytes) && !self.is_forgetful {
            let unsynced = &self.bytes[bytes.len()..];
            let torn = random.below(unsynced.len() as u64 + 1) as usize;
            bytes.extend_from_slice(&unsynced[..torn]);
            // A file system may make a file longer before it writes what is to be there.
            if random.below(4) == 0 {
                let zeros = random.below((unsynced.len() - torn) as u64 + 1) as usize;
                bytes.resize(bytes.len() + zeros, 0);
            }
        }
        Self {
            kept: bytes.clone(),
            bytes,
            is_forgetful: false,
        }
    }
}

fn crashed() -> io::Error {
    io::Error::other("the machine has stopped")
}

impl State {
    /// Begins a step; the trouble that strikes at it.
    fn step(&mut self) -> io::Result<Option<Trouble>> {
        if self.is_down {
            return Err(crashed());
        }
        let number = self.steps;
        self.steps += 1;
        let trouble = self.strike.filter(|(at, _)| *at <= number).map(|(_, trouble)| trouble);
        if trouble == Some(Trouble::Crash) {
            self.is_down = true;
        }
        Ok(trouble)
    }

    /// A step that changes names: a crash comes before it or after it.
    fn change_names(&mut self, change: impl FnOnce(&mut Self)) -> io::Result<()> {
        self.step()?;
        change(self);
        let names = self.names.clone();
        self.pending.push(names);
        if self.is_down { Err(crashed()) } else { Ok(()) }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.names
            .get(path)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

struct Appending {
    disk: SimDisk,
    file: usize,
}

impl LogFile for Appending {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        let trouble = state.step()?;
        // Trouble meant for a sync lets writes pass.
        state.is_full |= trouble == Some(Trouble::Full);
        let fails = state.is_full;
        let taken = if fails { bytes.len() / 2 } else { bytes.len() };
        let file = self.file;
        state.files[file].bytes.extend_from_slice(&bytes[..taken]);
        match trouble {
            Some(Trouble::Crash) => Err(crashed()),
            _ if fails => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        let trouble = state.step()?;
        let file = self.file;
        match trouble {
            Some(Trouble::Crash) => return Err(crashed()),
            Some(Trouble::SyncFails) => {
                state.strike = None;
                state.files[file].is_forgetful = true;
                return Err(io::Error::other("input/output error"));
            }
            _ => {}
        }
        let content = &mut state.files[file];
        if !content.is_forgetful {
            content.kept = content.bytes.clone();
        }
        Ok(())
    }
}

/// Held by the owner of a lock file.
struct Owner(Arc<AtomicBool>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Disk for SimDisk {
    fn create_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        let mut state = self.0.lock();
        let held = state.locks.entry(path.to_owned()).or_default().clone();
        if held.swap(true, Ordering::AcqRel) {
            return Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                std::process::id().to_string(),
            ));
        }
        Ok(Box::new(Owner(held)))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        let inside = state.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect())
    }

    fn read(&self, path: &Path, from: u64) -> io::Result<(Box<dyn Read>, u64)> {
        let state = self.0.lock();
        let bytes = &state.files[state.find(path)?].bytes;
        let rest = bytes.get(from as usize..).unwrap_or_default().to_vec();
        Ok((Box::new(Cursor::new(rest)), bytes.len() as u64))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let mut state = self.0.lock();
        if state.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.change_names(|state| {
            state.files.push(Content::default());
            let file = state.files.len() - 1;
            state.names.insert(path.to_owned(), file);
        })?;
        let file = state.find(path)?;
        drop(state);
        Ok(Box::new(Appending {
            disk: self.clone(),
            file,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let file = self.0.lock().find(path)?;
        Ok(Box::new(Appending {
            disk: self.clone(),
            file,
        }))
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        let file = state.find(path)?;
        let content = &mut state.files[file];
        content.bytes.truncate(len as usize);
        content.kept = content.bytes.clone();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let file = state.find(from)?;
        state.change_names(|state| {
            state.names.remove(from);
            state.names.insert(to.to_owned(), file);
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.find(path)?;
        state.change_names(|state| _ = state.names.remove(path))
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        if state.step()? == Some(Trouble::Crash) {
            return Err(crashed());
        }
        state.pending.clear();
        state.kept_names = state.names.clone();
        Ok(())
    }
}
