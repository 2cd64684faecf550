//! Between those who run commands and the thread that writes: what is yet to be written, and how far it got.
//!
//! Places in the log are counted in bytes of commands since the engine was opened; they only grow. A reply rests on a
//! place ([`Receipt`]) and is given when the log got there: synced under `always`, so that nobody sees an answer that a
//! crash takes back; else as soon as no more than [`BACKLOG_MAX`] bytes wait before it, which bounds the queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::watch;

use super::{config::Fsync, disk::LogFile, format::doubt};
use crate::ErrorReply;

/// Bytes that may wait to be written before those who cause more have to wait too: about a tenth of a second of a slow
/// disk.
pub(super) const BACKLOG_MAX: u64 = 32 << 20;

/// What the replies given so far rest on: how far the log has to be before a client may see them.
///
/// Collected by [`Session::submit`](crate::Session::submit), waited for by
/// [`Session::settled`](crate::Session::settled).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a reply that is shown before its receipt is settled may be taken back by a crash"]
pub struct Receipt {
    end: u64,
    /// Whether a command of these changed anything: then it fails if the log does.
    wrote: bool,
}

impl Receipt {
    pub(crate) fn add(&mut self, end: u64, wrote: bool) {
        self.end = self.end.max(end);
        self.wrote |= wrote;
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.add(other.end, other.wrote);
    }
}

/// How far the log got.
#[derive(Clone, Debug, Default)]
struct Progress {
    written: u64,
    synced: u64,
    /// Why it goes no further.
    failure: Option<Arc<str>>,
}

impl Progress {
    /// Whether what rests on `receipt` may be told; `None` if not yet.
    fn settles(&self, receipt: Receipt, policy: Fsync) -> Option<Result<(), ErrorReply>> {
        let safe = if policy == Fsync::Always {
            self.synced
        } else {
            self.written
        };
        match &self.failure {
            _ if safe >= receipt.end => Some(Ok(())),
            Some(reason) if receipt.wrote => Some(Err(doubt(reason))),
            // It changed nothing: reads go on.
            Some(_) => Some(Ok(())),
            None => (policy != Fsync::Always && safe + BACKLOG_MAX >= receipt.end).then_some(Ok(())),
        }
    }
}

/// What the writer is asked to do beside writing.
#[derive(Default)]
pub(super) enum Turnover {
    #[default]
    None,
    /// From this place on commands go to a new increment.
    At(u64),
    /// From here on commands go to this file, which begins a log that stands for all that was before.
    To(Box<dyn LogFile>),
    /// It was done: the new increment's number, or why not.
    Done(Result<u64, String>),
}

#[derive(Default)]
pub(super) struct State {
    pub(super) waiting: Vec<u8>,
    /// Where the last byte of `waiting` is.
    pub(super) end: u64,
    /// How many appended to `waiting`.
    pub(super) appends: usize,
    pub(super) turnover: Turnover,
    /// Asked to write and sync everything.
    pub(super) flush: bool,
    pub(super) is_stopping: bool,
    has_stopped: bool,
    progress: Progress,
}

/// What became of commands that were appended.
pub(super) struct Appended {
    /// The place where they end.
    pub(super) end: u64,
    /// The log is broken: they are not in it.
    pub(super) is_dropped: bool,
}

/// The queue.
pub(crate) struct Queue {
    state: Mutex<State>,
    /// The writer waits here.
    work: Condvar,
    /// Threads wait here for progress, tasks on `watch`.
    moved: Condvar,
    watch: watch::Sender<Progress>,
    policy: AtomicU8,
}

impl Queue {
    pub(super) fn new(policy: Fsync) -> Self {
        let queue = Self {
            state: Mutex::default(),
            work: Condvar::new(),
            moved: Condvar::new(),
            watch: watch::Sender::new(Progress::default()),
            policy: AtomicU8::new(0),
        };
        queue.set_policy(policy);
        queue
    }

    pub(crate) fn policy(&self) -> Fsync {
        POLICIES[usize::from(self.policy.load(Ordering::Acquire))]
    }

    pub(crate) fn set_policy(&self, policy: Fsync) {
        let number = POLICIES.iter().position(|known| *known == policy).unwrap_or(0);
        self.policy.store(number as u8, Ordering::Release);
        // What was written under the policy before is synced by the new one's rules.
        self.lock().flush = true;
        self.work.notify_one();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Appends commands. After a failure they are dropped, and the place where they end is never reached.
    pub(super) fn append(&self, fill: impl FnOnce(&mut Vec<u8>)) -> Appended {
        let mut state = self.lock();
        let before = state.waiting.len();
        fill(&mut state.waiting);
        state.end += (state.waiting.len() - before) as u64;
        state.appends += 1;
        let is_dropped = state.progress.failure.is_some();
        if is_dropped {
            state.waiting.truncate(before);
        }
        self.work.notify_one();
        Appended {
            end: state.end,
            is_dropped,
        }
    }

    /// Why nothing can be written, if so.
    pub(crate) fn failure(&self) -> Option<Arc<str>> {
        self.watch.borrow().failure.clone()
    }

    pub(crate) fn backlog(&self) -> usize {
        self.lock().waiting.len()
    }

    // --- waiting for progress ---

    /// Whether what rests on `receipt` may be told; `None` if not yet.
    pub(crate) fn settles(&self, receipt: Receipt) -> Option<Result<(), ErrorReply>> {
        self.watch.borrow().settles(receipt, self.policy())
    }

    /// Waits until what rests on `receipt` may be told.
    pub(crate) async fn settled(&self, receipt: Receipt) -> Result<(), ErrorReply> {
        if let Some(settled) = self.settles(receipt) {
            return settled;
        }
        let mut progress = self.watch.subscribe();
        loop {
            let settled = progress.borrow_and_update().settles(receipt, self.policy());
            if let Some(settled) = settled {
                return settled;
            }
            if progress.changed().await.is_err() {
                return Err(doubt("the engine was closed"));
            }
        }
    }

    /// The same, holding up the thread.
    pub(crate) fn settle(&self, receipt: Receipt) -> Result<(), ErrorReply> {
        let mut state = self.lock();
        loop {
            if let Some(settled) = state.progress.settles(receipt, self.policy()) {
                return settled;
            }
            self.moved.wait(&mut state);
        }
    }

    /// Waits until all that was appended is synced, whatever the policy.
    pub(crate) async fn flushed(&self) -> Result<(), ErrorReply> {
        let mut progress = self.watch.subscribe();
        let end = {
            let mut state = self.lock();
            state.flush = true;
            state.end
        };
        self.work.notify_one();
        let receipt = Receipt { end, wrote: true };
        loop {
            let settled = progress.borrow_and_update().settles(receipt, Fsync::Always);
            if let Some(settled) = settled {
                return settled;
            }
            if progress.changed().await.is_err() {
                return Err(doubt("the engine was closed"));
            }
        }
    }

    // --- the writer's side ---

    /// Asks the writer to write and sync what there is, and to end.
    pub(super) fn stop(&self) {
        self.lock().is_stopping = true;
        self.work.notify_one();
    }

    /// The writer has ended.
    pub(super) fn stopped(&self) {
        self.lock().has_stopped = true;
        self.moved.notify_all();
    }

    /// Waits for something to do; whether that came before `limit`.
    pub(super) fn wait_for_work(&self, state: &mut MutexGuard<'_, State>, limit: Option<Duration>) -> bool {
        match limit {
            None => {
                self.work.wait(state);
                true
            }
            Some(limit) => !self.work.wait_for(state, limit).timed_out(),
        }
    }

    /// Says how far the log got.
    pub(super) fn advance(&self, written: u64, synced: u64) {
        let mut state = self.lock();
        (state.progress.written, state.progress.synced) = (written, synced);
        self.tell(state);
    }

    /// Says that it goes no further. What waits is dropped: nobody was told that it was done.
    pub(super) fn fail(&self, reason: &str) {
        let mut state = self.lock();
        state.waiting = Vec::new();
        state.progress.failure = Some(reason.into());
        self.tell(state);
    }

    /// Says that everything up to now is safe after all, in a new log; the place.
    pub(super) fn heal(&self) -> u64 {
        let mut state = self.lock();
        let end = state.end;
        state.progress = Progress {
            written: end,
            synced: end,
            failure: None,
        };
        self.tell(state);
        end
    }

    fn tell(&self, state: MutexGuard<'_, State>) {
        self.watch.send_replace(state.progress.clone());
        drop(state);
        self.moved.notify_all();
    }

    // --- turning over to a new increment ---

    /// Asks the writer for a new increment from here on.
    pub(super) fn ask_turnover(&self) {
        let mut state = self.lock();
        state.turnover = Turnover::At(state.end);
        drop(state);
        self.work.notify_one();
    }

    /// Asks the writer to go on in `file`.
    pub(super) fn ask_change(&self, file: Box<dyn LogFile>) {
        self.lock().turnover = Turnover::To(file);
        self.work.notify_one();
    }

    pub(super) fn turned_over(&self, result: Result<u64, String>) {
        self.lock().turnover = Turnover::Done(result);
        self.moved.notify_all();
    }

    /// Waits until that is done; the new increment's number.
    pub(super) fn await_turnover(&self) -> Result<u64, String> {
        let mut state = self.lock();
        loop {
            if let Turnover::Done(result) = &state.turnover {
                let result = result.clone();
                state.turnover = Turnover::None;
                return result;
            }
            if state.has_stopped {
                return Err("the engine was closed".into());
            }
            self.moved.wait(&mut state);
        }
    }
}

const POLICIES: [Fsync; 3] = [Fsync::Always, Fsync::EverySecond, Fsync::No];
