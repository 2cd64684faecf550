//! Writing the log anew: a base of what is there in place of the history of how it came.
//!
//! The base holds every key as it was at one moment P, at which a new increment begins. Nothing stands still meanwhile:
//! a thread walks the keys a little at a time, and a command that is about to change a key that was not visited first
//! has it written as it is ([`Core::keep_before_change`]). Each entry knows the last rewrite that has it
//! (`Db::mark`), so this takes no memory, and a key that came after P belongs to no base.
//!
//! A crash at any point leaves a manifest whose files are whole: first the old base with all increments, then, after
//! one rename, the new base with the increments since P.

use std::{
    io,
    sync::{Weak, atomic::Ordering},
};

use super::{
    Files, Log,
    format::{self, put_command},
    manifest::{BASE_NEW, Manifest},
    snapshot,
};
use crate::core::Core;

/// Bytes of keys that are written between two moments in which commands may run: well under a millisecond of work.
const STEP: usize = 64 << 10;

/// Bytes of keys that commands may have kept before their changes, and that are not on the disk yet. Commands that
/// change so much so fast leave the disk behind: the rewrite is given up.
const KEPT_MAX: usize = 64 << 20;

/// A rewrite that failed by itself is not tried again before, in milliseconds: as Redis, which also waits a minute.
const PAUSE_AFTER_FAILURE: u64 = 60_000;

/// A rewrite under way, as the engine's core sees it.
pub(crate) struct Walk {
    /// Entries that the base has carry this number.
    number: u32,
    /// What is to be written to the base next.
    bytes: Vec<u8>,
    /// The database of the last command in `bytes` or before.
    selected: Option<usize>,
    /// Where the walk is: the database, and the position that was visited last, from the end down.
    db: usize,
    position: usize,
    given_up: Option<&'static str>,
}

/// What a step of the walk gave.
enum Step {
    More(Vec<u8>),
    Last(Vec<u8>),
}

impl Walk {
    fn keep(&mut self, db: usize, key: &[u8], entry: &crate::db::Entry) {
        if self.selected != Some(db) {
            self.selected = Some(db);
            put_command(&mut self.bytes, &[b"SELECT", itoa::Buffer::new().format(db).as_bytes()]);
        }
        snapshot::commands(key, entry, &mut |args| put_command(&mut self.bytes, args));
    }
}

impl Core {
    /// Before a command that writes: the keys it names go to the base that is being written, as they are now.
    pub(crate) fn keep_before_change<'k>(&mut self, db: usize, keys: impl Iterator<Item = &'k [u8]>) {
        let Some(walk) = self
            .effects
            .recorder
            .as_mut()
            .and_then(|recorder| recorder.walk.as_mut())
        else {
            return;
        };
        for key in keys {
            if walk.bytes.len() > KEPT_MAX {
                walk.given_up = Some("commands changed more than the disk could take meanwhile");
            }
            if walk.given_up.is_some() {
                return;
            }
            if let Some((position, _)) = self.dbs[db].find(key)
                && self.dbs[db].mark(position, walk.number)
                && let Some((key, entry)) = self.dbs[db].at(position)
            {
                walk.keep(db, key, entry);
            }
        }
    }

    /// Databases changed places: what was walked is no longer where it was.
    pub(crate) fn give_up_rewrite(&mut self, why: &'static str) {
        if let Some(walk) = self
            .effects
            .recorder
            .as_mut()
            .and_then(|recorder| recorder.walk.as_mut())
        {
            walk.given_up = Some(why);
        }
    }

    /// Begins a rewrite of the log as it is now, unless one is under way.
    pub(crate) fn begin_rewrite(&mut self) {
        let Some(recorder) = &mut self.effects.recorder else {
            return;
        };
        recorder.commit();
        let status = &recorder.log.files.rewrite;
        if recorder.walk.is_some() || status.running.swap(true, Ordering::AcqRel) {
            return;
        }
        let number = status.number.fetch_add(1, Ordering::Relaxed) + 1;
        self.dbs.iter_mut().for_each(|db| db.begin_marks(number));
        recorder.walk = Some(Walk {
            number,
            bytes: Vec::new(),
            selected: None,
            db: 0,
            position: usize::MAX,
            given_up: None,
        });
        let heals = recorder.log.queue.failure().is_some();
        if !heals {
            recorder.log.queue.ask_turnover();
        }
        recorder.begin_file();
        let log = recorder.log.clone();
        if let Err(error) = log.clone().spawn("larder-rewrite", move || log.rewrite(heals)) {
            tracing::warn!(%error, "could not start a thread to rewrite the append-only log");
            recorder.walk = None;
            recorder.log.files.rewrite.running.store(false, Ordering::Release);
        }
    }

    /// Begins a rewrite if the log has grown enough since the last one.
    pub(crate) fn rewrite_if_grown(&mut self, now: u64) {
        let Some(recorder) = &self.effects.recorder else { return };
        let files = &recorder.log.files;
        let limits = self.settings.rewrite;
        let (size, base) = (
            files.size.load(Ordering::Relaxed),
            files.base_size.load(Ordering::Relaxed).max(1),
        );
        let is_grown = limits.percentage > 0
            && size >= limits.min_size
            && size.saturating_sub(base).saturating_mul(100) / base >= limits.percentage;
        if !is_grown || recorder.walk.is_some() || recorder.log.queue.failure().is_some() {
            return;
        }
        let failed_at = files.rewrite.failed_at.load(Ordering::Relaxed);
        if failed_at == 0 || now.abs_diff(failed_at) > PAUSE_AFTER_FAILURE {
            self.begin_rewrite();
        }
    }

    /// Walks on for a moment.
    fn walk(&mut self) -> Result<Step, String> {
        let Self { effects, dbs, .. } = self;
        let recorder = effects.recorder.as_mut().ok_or("the engine was closed")?;
        let walk = recorder.walk.as_mut().ok_or("the engine was closed")?;
        if let Some(why) = walk.given_up {
            return Err(why.into());
        }
        while walk.bytes.len() < STEP {
            let Some(db) = dbs.get_mut(walk.db) else {
                let last = std::mem::take(&mut walk.bytes);
                recorder.walk = None;
                return Ok(Step::Last(last));
            };
            // Keys may have gone since the last step; those that moved went down, to where the walk is yet to come.
            let Some(position) = walk.position.min(db.len()).checked_sub(1) else {
                (walk.db, walk.position) = (walk.db + 1, usize::MAX);
                continue;
            };
            walk.position = position;
            if db.mark(position, walk.number)
                && let Some((key, entry)) = db.at(position)
            {
                walk.keep(walk.db, key, entry);
            }
        }
        Ok(Step::More(std::mem::take(&mut walk.bytes)))
    }
}

impl Log {
    /// Writes the base and puts it in force; runs on a thread of its own.
    fn rewrite(&self, heals: bool) {
        let began = self.files.clock.monotonic();
        let done = self.try_rewrite(heals);
        if let Some(engine) = self.engine.get().and_then(Weak::upgrade)
            && let Some(recorder) = &mut engine.core().effects.recorder
        {
            recorder.walk = None;
        }
        let status = &self.files.rewrite;
        let now = self.files.clock.unix().as_millis() as u64;
        match done {
            Ok(()) => {
                status.failed_at.store(0, Ordering::Relaxed);
                status.saved_at.store(now / 1_000, Ordering::Relaxed);
                tracing::info!(folder = %self.files.folder.display(), "the append-only log was rewritten");
            }
            Err(why) => {
                status.failed_at.store(now.max(1), Ordering::Relaxed);
                tracing::warn!(folder = %self.files.folder.display(), %why, "the append-only log was not rewritten; it is whole, and longer than it need be");
            }
        }
        let took = self.files.clock.monotonic().saturating_sub(began);
        status.took.store(took.as_secs(), Ordering::Relaxed);
        status.running.store(false, Ordering::Release);
    }

    fn try_rewrite(&self, heals: bool) -> Result<(), String> {
        let turned = if heals { Ok(0) } else { self.queue.await_turnover() };
        let increment = turned?;
        let base = self.write_base()?;
        let files = &self.files;
        let put = if heals {
            self.begin_anew()
        } else {
            files.put_base_in_force(increment)
        };
        put.map_err(|error| format!("could not put the new base in force: {error}"))?;
        let before = if heals {
            files.size.load(Ordering::Relaxed)
        } else {
            files.old_size.load(Ordering::Relaxed)
        };
        files.base_size.store(base, Ordering::Relaxed);
        files.size.fetch_add(base, Ordering::Relaxed);
        files.size.fetch_sub(before, Ordering::Relaxed);
        files.remove_history();
        Ok(())
    }

    /// Writes the base to its temporary file; its length.
    fn write_base(&self) -> Result<u64, String> {
        let told = |error: io::Error| format!("could not write the new base: {error}");
        let path = self.files.folder.join(BASE_NEW);
        let mut file = self.files.disk.create(&path).map_err(told)?;
        let mut len = 0;
        loop {
            let step = {
                let engine = self
                    .engine
                    .get()
                    .and_then(Weak::upgrade)
                    .ok_or("the engine was closed")?;
                let mut core = engine.core();
                core.walk()?
            };
            let (Step::More(bytes) | Step::Last(bytes)) = &step;
            if !bytes.is_empty() {
                let group = format::group(bytes);
                file.append(&group).map_err(told)?;
                len += group.len() as u64;
            }
            if matches!(step, Step::Last(_)) {
                break;
            }
        }
        file.sync().map_err(told)?;
        Ok(len)
    }

    /// After an error: the new base and an empty increment are the whole log, and writes are taken again.
    fn begin_anew(&self) -> io::Result<()> {
        let files = &self.files;
        let mut manifest = files.manifest.lock();
        let increment = manifest.next_increment();
        let file = files.create(&increment.name)?;
        let mut longer = manifest.clone();
        let first = increment.seq;
        longer.increments.push(increment);
        files.replace(&mut manifest, &longer, first)?;
        drop(manifest);
        self.queue.ask_change(file);
        self.queue.await_turnover().map_err(io::Error::other)?;
        tracing::info!(folder = %files.folder.display(), "the append-only log was begun anew; writes are taken again");
        Ok(())
    }
}

impl Files {
    /// The base that was written stands for everything before the increment `first`.
    fn put_base_in_force(&self, first: u64) -> io::Result<()> {
        let mut manifest = self.manifest.lock();
        let now = manifest.clone();
        self.replace(&mut manifest, &now, first)
    }

    fn replace(&self, manifest: &mut Manifest, now: &Manifest, first: u64) -> io::Result<()> {
        let base = now.next_base();
        self.disk
            .rename(&self.folder.join(BASE_NEW), &self.folder.join(&base.name))?;
        self.disk.sync_folder(&self.folder)?;
        let new = now.rewritten(base, first);
        new.save(&*self.disk, &self.folder)?;
        *manifest = new;
        Ok(())
    }

    /// Removes the files that the last rewrite made needless. What cannot be removed is tried again at the next start.
    pub(super) fn remove_history(&self) {
        let mut manifest = self.manifest.lock();
        if manifest.history.is_empty() {
            return;
        }
        let mut shorter = manifest.clone();
        shorter
            .history
            .retain(|file| match self.disk.remove(&self.folder.join(&file.name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(file = file.name, %error, "could not remove a file that the log no longer needs");
                    true
                }
                _ => false,
            });
        match shorter.save(&*self.disk, &self.folder) {
            Ok(()) => *manifest = shorter,
            Err(error) => tracing::warn!(%error, "could not take removed files out of the manifest"),
        }
    }
}
