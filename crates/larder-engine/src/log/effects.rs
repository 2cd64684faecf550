//! What commands change, as the log is to have it.
//!
//! A command that changed something is logged as it was given, unless it says otherwise: where its effect hangs on the
//! time or on chance it tells by [`Ctx::tell`] what came of it (`SPOP` a `SREM`, `EXPIRE` a `PEXPIREAT`). Scripts and
//! transactions are logged by the commands they ran. A key that expires or is evicted is logged as a `DEL`, so that
//! whoever reads the log needs no clock.

use std::sync::Arc;

use super::{Log, format::Batch, queue::Receipt, rewrite::Walk};
use crate::{
    ErrorReply,
    command::{Args, Command, CommandResult, Flags},
    core::Core,
    ctx::Ctx,
};

/// What became of the keyspace since a moment, and the log of it if there is one.
#[derive(Default)]
pub(crate) struct Effects {
    /// Changes of keys since the engine was opened.
    changes: u64,
    /// The command that is running says by itself what it did.
    told: bool,
    /// Keys are being read from the log: nothing expires, nothing is logged.
    pub(crate) is_loading: bool,
    pub(crate) recorder: Option<Box<Recorder>>,
}

/// Where effects go.
pub(crate) struct Recorder {
    pub(crate) log: Arc<Log>,
    batch: Batch,
    /// Where the last effect is in the log.
    end: u64,
    /// Whether the commands since the last receipt changed anything.
    wrote: bool,
    /// A rewrite was asked for by the command that is running.
    pub(crate) is_rewrite_asked: bool,
    /// The rewrite that is under way.
    pub(crate) walk: Option<Walk>,
}

impl Recorder {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self {
            log,
            batch: Batch::default(),
            end: 0,
            wrote: false,
            is_rewrite_asked: false,
            walk: None,
        }
    }

    pub(super) fn add(&mut self, db: usize, args: &[&[u8]]) {
        self.batch.add(db, args);
    }

    /// Hands what was recorded to the writer.
    pub(crate) fn commit(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = &mut self.batch;
        let appended = self.log.queue.append(|out| batch.flush(out));
        self.end = appended.end;
        if appended.is_dropped {
            self.batch.forget_selected();
        }
    }

    /// Out of line, as all that only an engine with a log does: the others are not to be slowed down by its size.
    #[inline(never)]
    fn refusal(&self) -> Option<ErrorReply> {
        let reason = self.log.queue.failure()?;
        Some(super::format::refusal(&reason))
    }

    /// What comes next goes to another file.
    pub(super) fn begin_file(&mut self) {
        self.batch.forget_selected();
    }

    /// Adds what the commands since the last call rest on.
    #[inline(never)]
    pub(crate) fn sign(&mut self, receipt: &mut Receipt) {
        receipt.add(self.end, std::mem::take(&mut self.wrote));
    }
}

impl Effects {
    /// A command changed something.
    pub(crate) fn changed(&mut self) {
        self.changes += 1;
    }

    /// Changes so far.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether changes are logged.
    pub(crate) const fn is_recorded(&self) -> bool {
        self.recorder.is_some()
    }

    /// A key went by time or for want of memory.
    pub(crate) fn gone(&mut self, db: usize, key: &[u8]) {
        if let Some(recorder) = &mut self.recorder {
            recorder.add(db, &[b"DEL", key]);
        }
    }

    /// Why a command that writes is refused, if the log is broken.
    #[inline]
    pub(crate) fn refusal(&self) -> Option<ErrorReply> {
        self.recorder.as_ref().and_then(|recorder| recorder.refusal())
    }
}

/// What was recorded before someone who waited is served.
#[derive(Clone, Copy)]
pub(crate) struct Before {
    changes: u64,
    wrote: bool,
}

impl Effects {
    /// What follows is done for a client that waited, not for the one whose command runs.
    pub(crate) fn begin_late(&mut self) -> Before {
        self.told = false;
        Before {
            changes: self.changes,
            wrote: self
                .recorder
                .as_mut()
                .is_some_and(|recorder| std::mem::take(&mut recorder.wrote)),
        }
    }
}

impl Core {
    /// What was done since [`begin_late`](Effects::begin_late) goes to the log; what its answer rests on.
    pub(crate) fn end_late(&mut self, before: Before) -> Receipt {
        let mut receipt = Receipt::default();
        let changed = self.effects.changes != before.changes;
        debug_assert!(!changed || self.effects.told || self.effects.recorder.is_none());
        if self.effects.is_recorded() {
            self.commit_effects();
        }
        if let Some(recorder) = &mut self.effects.recorder {
            recorder.wrote = changed;
            recorder.sign(&mut receipt);
            recorder.wrote = before.wrote;
        }
        receipt
    }

    /// The command, the script or the transaction is over: what it did goes to the log, as one.
    #[inline(never)]
    pub(crate) fn commit_effects(&mut self) {
        let Some(recorder) = &mut self.effects.recorder else {
            return;
        };
        recorder.commit();
        if std::mem::take(&mut recorder.is_rewrite_asked) {
            self.begin_rewrite();
        }
    }
}

impl Ctx<'_> {
    /// Whether it matters what a command tells.
    #[inline]
    pub(crate) fn is_recorded(&self) -> bool {
        self.core.effects.is_recorded()
    }

    /// What the command that is running did, if another command says it better; may be called several times. Without a
    /// log it does nothing.
    #[inline]
    pub(crate) fn tell(&mut self, effect: &[&[u8]]) {
        let db = self.db;
        if let Some(recorder) = &mut self.core.effects.recorder {
            recorder.add(db, effect);
            self.core.effects.told = true;
        }
    }
}

impl Ctx<'_> {
    /// The command that is running gave `key` this deadline, in Unix milliseconds.
    pub(crate) fn tell_deadline(&mut self, key: &[u8], at: u64) {
        if self.is_recorded() {
            self.tell(&[b"PEXPIREAT", key, itoa::Buffer::new().format(at).as_bytes()]);
        }
    }

    /// The command that is running put `value` under `key`, with this deadline in Unix milliseconds.
    pub(crate) fn tell_set(&mut self, key: &[u8], value: &[u8], at: u64) {
        if self.is_recorded() {
            self.tell(&[b"SET", key, value, b"PXAT", itoa::Buffer::new().format(at).as_bytes()]);
        }
    }
}

/// Runs a command that writes, and records what it changed.
#[inline(never)]
pub(crate) fn recorded(ctx: &mut Ctx<'_>, command: Command, args: &Args<'_>) -> CommandResult {
    debug_assert!(command.flags.has(Flags::WRITE));
    let db = ctx.db;
    ctx.core.keep_before_change(db, command.keys.of(args));
    ctx.core.effects.told = false;
    let before = ctx.core.effects.changes;
    let result = (command.run)(ctx, args);
    let Effects {
        changes,
        told,
        recorder,
        ..
    } = &mut ctx.core.effects;
    if *changes != before
        && let Some(recorder) = recorder
    {
        recorder.wrote = true;
        if !*told {
            recorder.add(db, args.all());
        }
    }
    result
}
