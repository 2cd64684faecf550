//! A script that is running: what it may do, and how its commands reach the engine.

use std::time::Duration;

use larder_base::Clock;
use smallvec::SmallVec;

use super::{
    convert,
    native::{Call, Raise},
    number,
    shebang::Promises,
    stack::{Kind, Stack},
};
use crate::{
    ErrorReply, Reply,
    client::Resp,
    command::{Args, Flags},
    ctx::Ctx,
    dispatch,
};

/// A running script, as its native functions see it.
pub(super) struct Run<'r, 'c> {
    ctx: &'r mut Ctx<'c>,
    /// The keys that the caller declared.
    keys: &'r [&'r [u8]],
    rules: Rules,
    /// Whether a command that writes has run: the script cannot be undone any more.
    wrote: bool,
    /// What the script reads replies as; `redis.setresp` changes it.
    resp: Resp,
    /// The state of the tracking table when this script's keys were last entered there.
    remembered: Option<u64>,
    watch: Watch,
}

/// What a script may do.
#[derive(Clone, Copy, Debug)]
struct Rules {
    read_only: bool,
    allow_oom: bool,
    /// Memory was full when the script began.
    out_of_memory: bool,
}

impl<'r, 'c> Run<'r, 'c> {
    /// Prepares a run, or says why the script may not.
    pub(super) fn new(
        ctx: &'r mut Ctx<'c>,
        keys: &'r [&'r [u8]],
        promises: Promises,
        read_only: bool,
        watch: Watch,
    ) -> Result<Self, ErrorReply> {
        let out_of_memory = ctx.core.out_of_memory;
        if promises.stated && out_of_memory && !promises.allow_oom && !promises.no_writes {
            return Err(ErrorReply::OUT_OF_MEMORY);
        }
        if promises.stated && read_only && !promises.no_writes {
            return Err(ErrorReply::SCRIPT_NOT_READ_ONLY);
        }
        Ok(Self {
            ctx,
            keys,
            rules: Rules {
                read_only: read_only || promises.no_writes,
                allow_oom: promises.allow_oom,
                out_of_memory,
            },
            wrote: false,
            resp: Resp::V2,
            remembered: None,
            watch,
        })
    }

    pub(super) const fn resp(&self) -> Resp {
        self.resp
    }

    pub(super) const fn set_resp(&mut self, resp: Resp) {
        self.resp = resp;
    }

    /// Runs a command for the script.
    fn command(&mut self, args: &[&[u8]]) -> Reply {
        let spec = match dispatch::find(args) {
            Ok(spec) => spec,
            Err(error) if error.as_str().starts_with("ERR wrong number") => {
                return Reply::Error(ErrorReply::SCRIPT_WRONG_ARITY);
            }
            Err(_) => return Reply::Error(ErrorReply::SCRIPT_UNKNOWN_COMMAND),
        };
        if let Err(refusal) = self.admit(spec.flags) {
            return Reply::Error(refusal);
        }
        self.wrote |= spec.flags.has(Flags::WRITE);
        self.ctx.in_script = true;
        let reply = dispatch::invoke(self.ctx, spec, &Args::new(args));
        self.ctx.in_script = false;
        if spec.flags.has(Flags::READONLY) {
            self.remember_keys();
        }
        reply
    }

    fn admit(&self, flags: Flags) -> Result<(), ErrorReply> {
        if flags.has(Flags::NOSCRIPT) {
            return Err(ErrorReply::SCRIPT_NOT_ALLOWED);
        }
        if flags.has(Flags::WRITE) && self.rules.read_only {
            return Err(ErrorReply::SCRIPT_READ_ONLY);
        }
        if flags.has(Flags::WRITE)
            && let Some(refusal) = self.ctx.core.effects.refusal()
        {
            return Err(refusal);
        }
        let full = self.rules.out_of_memory && !self.rules.allow_oom;
        // A script that has written goes on: stopping it in the middle would leave half of it done.
        if flags.has(Flags::DENYOOM) && full && !self.wrote {
            return Err(ErrorReply::OUT_OF_MEMORY);
        }
        Ok(())
    }

    /// After a reading command, Redis 7.0 tracks all keys that the caller declared, for the calling client.
    fn remember_keys(&mut self) {
        if self.ctx.client().tracking.is_none() {
            return;
        }
        let state = self.ctx.core.tracking.state();
        if self.remembered == Some(state) {
            return;
        }
        let keys = self.keys.iter().copied();
        self.ctx.core.remember_reads(self.ctx.client, keys);
        self.remembered = Some(state);
    }

    /// Called every [`TICK`] instructions; an error ends the script.
    pub(super) fn tick(&mut self) -> Result<(), Raise> {
        self.watch.ticks += 1;
        self.look()
    }

    /// Counts work that takes as long as so many instructions, and a call that may take longer.
    pub(super) fn spend(&mut self, work: usize) -> Result<(), Raise> {
        self.watch.calls += 1;
        self.watch.work += work as u64;
        let ticks = self.watch.work / TICK as u64;
        self.watch.work %= TICK as u64;
        self.watch.ticks += ticks;
        if ticks > 0 || self.watch.over || self.watch.calls.is_multiple_of(CALLS_PER_LOOK) {
            return self.look();
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), Raise> {
        let limit = if self.wrote {
            self.watch.limit * WRITER_FACTOR
        } else {
            self.watch.limit
        };
        if self.watch.elapsed() < limit {
            return Ok(());
        }
        self.watch.over = true;
        Err(Raise::text(format!(
            "Script ran longer than {} ms and was ended",
            limit.as_millis()
        )))
    }
}

/// Calls between two looks at the time: a call may take milliseconds, reading the clock as long as a small one.
const CALLS_PER_LOOK: u64 = 32;

/// What a command counts for, in instructions: about what a small one takes.
const COMMAND_WORK: usize = 100;

/// Instructions between two looks at the time.
pub(super) const TICK: i32 = 100_000;

/// A script that has written gets so many times the limit before it is ended half-way: ending it breaks its
/// atomicity, not ending it blocks the process for ever.
const WRITER_FACTOR: u32 = 6;

/// How long a script has been running.
pub(super) struct Watch {
    clock: Clock,
    started: Duration,
    limit: Duration,
    ticks: u64,
    /// Instructions' worth of work since the last tick it made.
    work: u64,
    calls: u64,
    /// The time was over once: from then on every call looks, so that a `pcall` cannot go on.
    over: bool,
}

impl Watch {
    pub(super) fn start(clock: &Clock, limit: Duration) -> Self {
        Self {
            clock: clock.clone(),
            started: Duration::ZERO,
            limit,
            ticks: 0,
            work: 0,
            calls: 0,
            over: false,
        }
    }

    /// By the clock from the first look on, which spares short scripts reading it. A manual clock stands still
    /// while a script runs, so there a tick counts as a millisecond, about what it takes.
    fn elapsed(&mut self) -> Duration {
        if self.clock.as_manual().is_some() {
            return Duration::from_millis(self.ticks);
        }
        let now = self.clock.monotonic();
        if self.started.is_zero() {
            self.started = now;
        }
        now.saturating_sub(self.started)
    }
}

/// `redis.call` and `redis.pcall`: the arguments are a command.
///
/// `Ok` leaves the reply on the stack; `Failed` says that it is an error, which is on the stack too. An error of
/// the outer result ends the script.
pub(super) fn command(call: &mut Call<'_>) -> Result<Result<(), Failed>, Raise> {
    call.spend(COMMAND_WORK)?;
    Ok(answered(call))
}

fn answered(call: &mut Call<'_>) -> Result<(), Failed> {
    let refuse = |call: &mut Call<'_>, text: &'static str| {
        convert::push_reply(call.stack, &Reply::Error(ErrorReply::new(text)), Resp::V2);
        Err(Failed)
    };
    let count = call.args();
    if count == 0 {
        return refuse(call, "ERR Please specify at least one argument for this redis lib call");
    }
    if !numbers_to_text(call.stack, count) {
        return refuse(call, "ERR Lua redis lib command arguments must be strings or integers");
    }
    let failed = call.run(|run, stack| {
        let args: SmallVec<[&[u8]; 8]> = (1..=count).filter_map(|i| stack.bytes(i as i32)).collect();
        let reply = run.command(&args);
        drop(args);
        convert::push_reply(stack, &reply, run.resp);
        reply.is_error()
    });
    match failed {
        Some(false) => Ok(()),
        Some(true) => Err(Failed),
        None => refuse(
            call,
            "ERR redis.call/pcall can only be called inside a script invocation",
        ),
    }
}

/// The error reply is on the stack.
pub(super) struct Failed;

/// Makes text of the numbers among the arguments, as `%.17g` writes them: Lua's own conversion loses digits.
/// `false` if an argument is neither text nor number.
fn numbers_to_text(stack: &mut Stack, count: usize) -> bool {
    for i in 1..=count as i32 {
        match stack.kind(i) {
            Kind::String => {}
            Kind::Number => {
                let mut text = Vec::with_capacity(24);
                number::write_general(&mut text, stack.number(i).unwrap_or_default(), 17);
                stack.push_bytes(&text);
                stack.replace(i);
            }
            _ => return false,
        }
    }
    true
}
