//! Opening a log: taking the folder, reading what is there, cutting a torn end, beginning to write.

use std::{
    io,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::Clock;
use parking_lot::Mutex;

use super::{
    Files, Log, LogConfig, LogError, RewriteStatus,
    disk::{Disk, LogFile},
    manifest::{BASE_NEW, File, Manifest, STEM, SUBFOLDER},
    queue::Queue,
    read::{Command, Commands, Flaw},
    writer::Writer,
};
use crate::{
    Reply,
    client::{Client, ClientId},
    command::{Args, Flags},
    core::Core,
    ctx::Ctx,
    dispatch,
    slow_log::SlowLog,
    stats::Stats,
};

/// The lock file, in the folder that the user names.
const LOCK: &str = "larder.lock";

/// What an RDB file begins with.
const RDB: &[u8] = b"REDIS";

impl Log {
    /// Opens the log, and puts what it holds into `core`, which is empty.
    pub(crate) fn open(core: &mut Core, clock: &Clock, config: LogConfig) -> Result<Arc<Self>, LogError> {
        let LogConfig {
            folder: home,
            fsync,
            disk,
        } = config;
        let folder = home.join(SUBFOLDER);
        disk.create_folder(&folder)
            .map_err(LogError::io("create the folder", &folder))?;
        let owner = disk.lock(&home.join(LOCK)).map_err(|error| taken(&home, error))?;
        let manifest = find_manifest(&*disk, &home, &folder)?;
        let loaded = load(core, clock, &*disk, &folder, &manifest)?;
        let files = Files {
            folder,
            clock: clock.clone(),
            manifest: Mutex::new(manifest),
            size: AtomicU64::new(loaded.size),
            base_size: AtomicU64::new(loaded.base_size),
            old_size: AtomicU64::new(0),
            rewrite: RewriteStatus::default(),
            disk,
            _owner: owner,
        };
        files.rewrite.saved_at.store(clock.unix().as_secs(), Ordering::Relaxed);
        files.remove_history();
        let file = files.begin()?;
        let log = Arc::new(Self {
            queue: Arc::new(Queue::new(fsync)),
            files: Arc::new(files),
            engine: OnceLock::new(),
            threads: Mutex::default(),
        });
        let writer = Writer::new(log.queue.clone(), log.files.clone(), file);
        log.spawn("larder-log", move || writer.run())
            .map_err(LogError::io("start a thread for the log in", &home))?;
        Ok(log)
    }
}

fn taken(home: &Path, error: io::Error) -> LogError {
    if error.kind() == io::ErrorKind::WouldBlock {
        let owner = Some(error.to_string()).filter(|owner| !owner.is_empty());
        return LogError::InUse {
            folder: home.to_owned(),
            owner,
        };
    }
    LogError::io("take the lock file", &home.join(LOCK))(error)
}

/// The manifest of the folder. One without any data gets an empty one.
fn find_manifest(disk: &dyn Disk, home: &Path, folder: &Path) -> Result<Manifest, LogError> {
    if let Some(manifest) = Manifest::load(disk, folder)? {
        return Ok(manifest);
    }
    let foreign = |path: &Path, what: &str| LogError::Foreign {
        path: path.to_owned(),
        what: what.into(),
    };
    let single = home.join(STEM);
    if disk.read(&single, 0).is_ok() {
        let what = "a log in one file, as Redis wrote them before version 7; start a redis-server 7 on the folder once, \
                    with `--appendonly yes --aof-use-rdb-preamble no`, which makes a folder of it";
        return Err(foreign(&single, what));
    }
    let names = disk.list(folder).map_err(LogError::io("list the folder", folder))?;
    for name in names.iter().filter(|name| name.starts_with(STEM)) {
        let path = folder.join(name);
        let (_, len) = disk.read(&path, 0).map_err(LogError::io("read", &path))?;
        // Of an empty one there is nothing to lose: a start that was cut short left it.
        if len > 0 {
            let what = "a file of a log without a manifest; bring the manifest back from a copy, or move the file away";
            return Err(foreign(&path, what));
        }
    }
    Ok(Manifest::default())
}

impl Files {
    /// Opens the increment to append to, creating the first one.
    fn begin(&self) -> Result<Box<dyn LogFile>, LogError> {
        // What a rewrite that was cut short left.
        let leftover = self.folder.join(BASE_NEW);
        match self.disk.remove(&leftover) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(LogError::io("remove", &leftover)(error));
            }
            _ => {}
        }
        let mut manifest = self.manifest.lock();
        if let Some(last) = manifest.increments.last() {
            let path = self.folder.join(&last.name);
            return self.disk.open(&path).map_err(LogError::io("open", &path));
        }
        let increment = manifest.next_increment();
        let path = self.folder.join(&increment.name);
        let file = self.create(&increment.name).map_err(LogError::io("create", &path))?;
        manifest.increments.push(increment);
        let path = Manifest::path(&self.folder);
        manifest
            .save(&*self.disk, &self.folder)
            .map_err(LogError::io("write the manifest", &path))?;
        Ok(file)
    }
}

struct Loaded {
    size: u64,
    base_size: u64,
}

/// Reads all files into `core`.
fn load(
    core: &mut Core,
    clock: &Clock,
    disk: &dyn Disk,
    folder: &Path,
    manifest: &Manifest,
) -> Result<Loaded, LogError> {
    let began = clock.monotonic();
    let mut loaded = Loaded { size: 0, base_size: 0 };
    let mut lens = Vec::new();
    for file in manifest.files() {
        lens.push(length(disk, folder, file)?);
    }
    let mut loader = Loader::new(core, clock.unix());
    let mut count = 0;
    for (i, file) in manifest.files().enumerate() {
        // A new increment begins when all before it is synced, but its name may come sooner.
        let is_last = lens[i + 1..].iter().all(|len| *len == 0);
        let len = load_file(&mut loader, disk, folder, file, is_last)?;
        count += loader.begin_file();
        loaded.size += len;
        if manifest.base.as_ref() == Some(file) {
            loaded.base_size = len;
        }
    }
    drop(loader);
    if loaded.base_size == 0 {
        loaded.base_size = loaded.size;
    }
    if loaded.size > 0 {
        let took = clock.monotonic().saturating_sub(began);
        tracing::info!(folder = %folder.display(), commands = count, bytes = loaded.size, ?took, "loaded the append-only log");
    }
    Ok(loaded)
}

/// A file that the manifest names must be there.
fn length(disk: &dyn Disk, folder: &Path, file: &File) -> Result<u64, LogError> {
    let path = folder.join(&file.name);
    match disk.read(&path, 0) {
        Ok((_, len)) => Ok(len),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(LogError::Foreign {
            path,
            what: "the manifest names this file and it is not there; bring it back from a copy".into(),
        }),
        Err(error) => Err(LogError::io("read", &path)(error)),
    }
}

/// Reads one file; how long it is then.
fn load_file(
    loader: &mut Loader<'_>,
    disk: &dyn Disk,
    folder: &Path,
    file: &File,
    is_last: bool,
) -> Result<u64, LogError> {
    let path = folder.join(&file.name);
    refuse_rdb(disk, &path)?;
    let (input, len) = disk.read(&path, 0).map_err(LogError::io("read", &path))?;
    let mut commands = Commands::new(input, len);
    let flaw = loop {
        match commands.next() {
            Ok(Some(command)) => loader
                .take(commands.began(), command)
                .map_err(|refused| refused.at(&path))?,
            // A transaction without an end did not happen.
            Ok(None) if loader.transaction.is_some() => break Flaw::Torn,
            Ok(None) => return Ok(len),
            Err(flaw) => break flaw,
        }
    };
    let kept = loader.transaction.take().map_or(commands.began(), |begun| begun.at);
    match flaw {
        Flaw::Torn if is_last => cut(disk, &path, kept, len),
        Flaw::Torn => Err(LogError::Damaged {
            path,
            offset: kept,
            what: "the file ends inside a command, and is not the last one".into(),
            later: true,
        }),
        Flaw::Damaged(what) => Err(LogError::Damaged {
            path,
            offset: commands.began(),
            what,
            later: !is_last,
        }),
        Flaw::Io(error) => Err(LogError::io("read", &path)(error)),
    }
}

/// Cuts a torn end off, for good: what is appended next must follow something whole.
fn cut(disk: &dyn Disk, path: &Path, kept: u64, len: u64) -> Result<u64, LogError> {
    tracing::warn!(
        file = %path.display(), bytes = len - kept, from = kept,
        "the end of the append-only log was torn by a crash and is cut off; no answer rested on it"
    );
    disk.truncate(path, kept)
        .map_err(LogError::io("cut the torn end of", path))?;
    Ok(kept)
}

fn refuse_rdb(disk: &dyn Disk, path: &Path) -> Result<(), LogError> {
    let (mut input, _) = disk.read(path, 0).map_err(LogError::io("read", path))?;
    let mut start = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(&mut input, RDB.len() as u64), &mut start)
        .map_err(LogError::io("read", path))?;
    if start == RDB {
        return Err(LogError::Rdb { path: path.to_owned() });
    }
    Ok(())
}

/// Carries out what the log says.
struct Loader<'a> {
    core: &'a mut Core,
    client: ClientId,
    now: Duration,
    /// What follows a `MULTI` waits for its `EXEC`.
    transaction: Option<Begun>,
    commands: u64,
}

struct Begun {
    at: u64,
    commands: Vec<(u64, Command)>,
}

/// A command that is not carried out, and why.
struct Refused {
    offset: u64,
    what: String,
}

impl Refused {
    fn at(self, path: &Path) -> LogError {
        LogError::Unsupported {
            path: path.to_owned(),
            offset: self.offset,
            what: self.what,
        }
    }
}

impl<'a> Loader<'a> {
    fn new(core: &'a mut Core, now: Duration) -> Self {
        let client = core.next_client_id();
        core.clients.insert(client, Client::new(client, None, now));
        core.effects.is_loading = true;
        Self {
            core,
            client,
            now,
            transaction: None,
            commands: 0,
        }
    }

    /// Every file begins in database 0; how many commands there were since the last call.
    fn begin_file(&mut self) -> u64 {
        self.context().select(0);
        std::mem::take(&mut self.commands)
    }

    fn context(&mut self) -> Ctx<'_> {
        Ctx::new(self.core, self.client, self.now)
    }

    fn take(&mut self, offset: u64, command: Command) -> Result<(), Refused> {
        let is = |name: &[u8]| command.len() == 1 && command[0].eq_ignore_ascii_case(name);
        let refuse = |what: &str| {
            Err(Refused {
                offset,
                what: what.into(),
            })
        };
        match &mut self.transaction {
            Some(_) if is(b"MULTI") => refuse("a MULTI inside a MULTI"),
            Some(begun) if !is(b"EXEC") => {
                begun.commands.push((offset, command));
                Ok(())
            }
            None if is(b"EXEC") => refuse("an EXEC without a MULTI"),
            None if is(b"MULTI") => {
                self.transaction = Some(Begun {
                    at: offset,
                    commands: Vec::new(),
                });
                Ok(())
            }
            None => self.run(offset, &command),
            Some(_) => {
                let begun = self.transaction.take().expect("it was just looked at");
                begun
                    .commands
                    .iter()
                    .try_for_each(|(offset, command)| self.run(*offset, command))
            }
        }
    }

    fn run(&mut self, offset: u64, command: &Command) -> Result<(), Refused> {
        let args: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
        let name = String::from_utf8_lossy(args[0]).to_ascii_uppercase();
        let refused = |why: &dyn std::fmt::Display| Refused {
            offset,
            what: format!("`{}` cannot be carried out: {why}", name.escape_debug()),
        };
        let found = dispatch::find(&args).map_err(|error| refused(&error))?;
        // Redis logs a PFCOUNT that found the count anew.
        if !found.flags.has(Flags::WRITE) && !["SELECT", "PFCOUNT"].contains(&found.name) {
            return Err(refused(&"it has no place in a log"));
        }
        self.commands += 1;
        match dispatch::invoke(&mut self.context(), found, &Args::new(&args)) {
            Reply::Error(error) => Err(refused(&error)),
            _ => Ok(()),
        }
    }
}

impl Drop for Loader<'_> {
    fn drop(&mut self) {
        self.core.clients.remove(&self.client);
        self.core.effects.is_loading = false;
        // What was read is not what clients did.
        self.core.stats = Stats::default();
        self.core.slow_log = SlowLog::default();
    }
}
