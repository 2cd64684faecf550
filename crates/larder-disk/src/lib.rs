//! The seam between Larder's logs and the file system: everything that a log asks of a disk.
//!
//! The engine's log and the cache's log of pending invalidations use [`OsDisk`]. A test hands in a disk that loses what was not synced, tears a write or reports an
//! error, at any step it likes.

use std::{
    any::Any,
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek as _, SeekFrom, Write as _},
    path::Path,
};

/// A file that is being appended to.
pub trait LogFile: Send {
    /// Appends all of `bytes`. After an error an unknown part of them is in the file.
    ///
    /// # Errors
    /// What the file system says.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything appended so far would survive a loss of power (`fdatasync`).
    ///
    /// # Errors
    /// What the file system says. What was appended since the last success may then be lost, even if a later call
    /// succeeds: the kernel reports such an error once and forgets the data.
    fn sync(&mut self) -> io::Result<()>;
}

/// What the log needs of a file system.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Creates a folder and those above it, for good; one that exists is fine.
    ///
    /// # Errors
    /// What the file system says.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes this process the owner of the lock file `path`, for as long as the result lives.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another process, or another log of this one, owns it, with the owner's process id as the text, or empty if
    /// it is not known.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>>;

    /// The names of what lies in a folder.
    ///
    /// # Errors
    /// What the file system says.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Reads a file from byte `from` on, and says how long the whole file is.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is none.
    fn read(&self, path: &Path, from: u64) -> io::Result<(Box<dyn Read>, u64)>;

    /// Creates an empty file, or empties the one that is there.
    ///
    /// # Errors
    /// What the file system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>>;

    /// Opens a file to append to it.
    ///
    /// # Errors
    /// What the file system says.
    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>>;

    /// Cuts a file to `len` bytes, for good.
    ///
    /// # Errors
    /// What the file system says.
    fn truncate(&self, path: &Path, len: u64) -> io::Result<()>;

    /// Gives a file another name, in place of what has it; in one step even if the machine stops.
    ///
    /// # Errors
    /// What the file system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the file system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns when the names in a folder would survive a loss of power.
    ///
    /// # Errors
    /// What the file system says.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl LogFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

impl Disk for OsDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            self.create_folder(parent)?;
        }
        match fs::create_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            done => done?,
        }
        self.sync_folder(parent.unwrap_or(Path::new(".")))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // Without the number the error says less, and is as true.
                let _ = file.take(OWNER_MAX).read_to_string(&mut owner);
                return Err(io::Error::new(io::ErrorKind::WouldBlock, owner.trim().to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Box::new(file))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        fs::read_dir(folder)?.map(name).collect()
    }

    fn read(&self, path: &Path, from: u64) -> io::Result<(Box<dyn Read>, u64)> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        let len = file.metadata()?.len();
        Ok((Box::new(file), len))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(File::create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(OpenOptions::new().append(true).open(path)?))
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(len)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

/// More than any process id takes.
const OWNER_MAX: u64 = 32;
