//! The thread that writes the log: groups of commands, and when they are synced.

use std::{
    mem,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use parking_lot::MutexGuard;

use super::{
    Files,
    config::Fsync,
    disk::LogFile,
    format,
    queue::{Queue, State, Turnover},
};

/// Under `always`, how long a commit waits for as many writes as the last one had: not longer than a sync takes on most
/// disks, so that waiting cannot cost more than another sync would. It is never longer than the last sync took.
const GATHER_MAX: Duration = Duration::from_millis(2);

/// Under `always`, bytes beyond which a commit does not wait for more: from here on the disk's speed decides, not the
/// number of syncs.
const GATHER_BYTES: usize = 64 << 10;

/// Between two syncs under `everysec`.
const SECOND: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    queue: Arc<Queue>,
    files: Arc<Files>,
    file: Box<dyn LogFile>,
    /// Places in the log; see [`Queue`].
    written: u64,
    synced: u64,
    /// Monotonic time of the last sync.
    synced_at: Duration,
    /// How many shared the last commit, and how long its sync took.
    shared: usize,
    took: Duration,
    /// A buffer to trade for the queue's full one.
    spare: Vec<u8>,
}

/// What there is to do.
enum Work {
    Write(Vec<u8>),
    Sync,
    TurnOver,
    ChangeTo(Box<dyn LogFile>),
    Stop,
}

impl Writer {
    pub(super) fn new(queue: Arc<Queue>, files: Arc<Files>, file: Box<dyn LogFile>) -> Self {
        let synced_at = files.clock.monotonic();
        Self {
            queue,
            files,
            file,
            written: 0,
            synced: 0,
            synced_at,
            shared: 1,
            took: Duration::ZERO,
            spare: Vec::new(),
        }
    }

    /// Writes until it is told to stop; then all that was appended is written and synced.
    pub(super) fn run(mut self) {
        loop {
            match self.next() {
                Work::Write(commands) => self.write(commands),
                Work::Sync => self.sync(),
                Work::TurnOver => self.turn_over(),
                Work::ChangeTo(file) => self.change_to(file),
                Work::Stop => {
                    self.sync();
                    return self.queue.stopped();
                }
            }
        }
    }

    fn next(&mut self) -> Work {
        let queue = self.queue.clone();
        let mut state = queue.lock();
        loop {
            let begin = state.end - state.waiting.len() as u64;
            match mem::take(&mut state.turnover) {
                Turnover::To(file) => return Work::ChangeTo(file),
                // After a failure commands are dropped and places go on.
                Turnover::At(place) if place <= begin => return Work::TurnOver,
                other => state.turnover = other,
            }
            if !state.waiting.is_empty() {
                self.gather(&queue, &mut state);
                return Work::Write(self.take(&mut state));
            }
            if mem::take(&mut state.flush) {
                return Work::Sync;
            }
            if state.is_stopping {
                return Work::Stop;
            }
            let limit = self.time_to_sync();
            if limit.is_some_and(|limit| limit.is_zero()) || !queue.wait_for_work(&mut state, limit) {
                return Work::Sync;
            }
        }
    }

    /// Until the next sync is due; `None` if none is.
    fn time_to_sync(&self) -> Option<Duration> {
        let is_open = self.written > self.synced && self.queue.policy() == Fsync::EverySecond;
        is_open.then(|| (self.synced_at + SECOND).saturating_sub(self.files.clock.monotonic()))
    }

    /// Lets those who shared the last commit come in for this one too: they are about to ask for the next write, and
    /// the first of them would else have a sync of its own, with all others waiting for the one after.
    fn gather(&self, queue: &Queue, state: &mut MutexGuard<'_, State>) {
        if queue.policy() != Fsync::Always {
            return;
        }
        let clock = &self.files.clock;
        let until = clock.monotonic() + self.took.min(GATHER_MAX);
        while state.appends < self.shared && state.waiting.len() < GATHER_BYTES {
            let left = until.saturating_sub(clock.monotonic());
            if left.is_zero() || !queue.wait_for_work(state, Some(left)) {
                return;
            }
        }
    }

    /// Takes what waits, up to the place where a new increment begins.
    fn take(&mut self, state: &mut State) -> Vec<u8> {
        self.shared = mem::take(&mut state.appends);
        let mut taken = mem::replace(&mut state.waiting, mem::take(&mut self.spare));
        if let Turnover::At(place) = state.turnover {
            let begin = state.end - taken.len() as u64;
            state.waiting.extend_from_slice(&taken[(place - begin) as usize..]);
            taken.truncate((place - begin) as usize);
        }
        taken
    }

    fn write(&mut self, mut commands: Vec<u8>) {
        /// A buffer beyond this is given back.
        const KEPT_MAX: usize = 1 << 20;
        let group = format::group(&commands);
        if let Err(error) = self.file.append(&group) {
            return self.fail("write to", &error);
        }
        self.written += commands.len() as u64;
        self.files.size.fetch_add(group.len() as u64, Ordering::Relaxed);
        commands.clear();
        commands.shrink_to(KEPT_MAX);
        self.spare = commands;
        let is_due = match self.queue.policy() {
            Fsync::Always => true,
            Fsync::EverySecond => self.time_to_sync().is_some_and(|left| left.is_zero()),
            Fsync::No => false,
        };
        if is_due {
            self.sync();
        } else {
            self.queue.advance(self.written, self.synced);
        }
    }

    fn sync(&mut self) {
        if self.written > self.synced && self.queue.failure().is_none() {
            let began = self.files.clock.monotonic();
            if let Err(error) = self.file.sync() {
                return self.fail("sync", &error);
            }
            self.synced_at = self.files.clock.monotonic();
            self.took = self.synced_at.saturating_sub(began);
            self.synced = self.written;
        }
        self.queue.advance(self.written, self.synced);
    }

    /// After an error nobody knows what is in the file, and the kernel may have forgotten what it did not write: the log
    /// ends here.
    fn fail(&mut self, doing: &str, error: &std::io::Error) {
        tracing::error!(folder = %self.files.folder.display(), %error, "could not {doing} the append-only log; writes are refused");
        self.queue.fail(&format!("could not {doing} the log: {error}"));
    }

    /// Begins a new increment. If that fails, the old one goes on.
    fn turn_over(&mut self) {
        self.sync();
        let result = match self.queue.failure() {
            Some(reason) => Err(reason.to_string()),
            None => self
                .new_increment()
                .map_err(|error| format!("could not begin a new increment: {error}")),
        };
        self.queue.turned_over(result);
    }

    fn new_increment(&mut self) -> std::io::Result<u64> {
        let mut manifest = self.files.manifest.lock();
        let increment = manifest.next_increment();
        let file = self.files.create(&increment.name)?;
        let mut longer = manifest.clone();
        let seq = increment.seq;
        longer.increments.push(increment);
        longer.save(&*self.files.disk, &self.files.folder)?;
        *manifest = longer;
        self.file = file;
        self.files
            .old_size
            .store(self.files.size.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(seq)
    }

    fn change_to(&mut self, file: Box<dyn LogFile>) {
        self.file = file;
        let place = self.queue.heal();
        (self.written, self.synced) = (place, place);
        self.queue.turned_over(Ok(0));
    }
}
