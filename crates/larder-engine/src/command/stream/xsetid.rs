//! `XSETID key last-id [ENTRIESADDED n] [MAXDELETEDID id]`: sets what a stream remembers of entries it no longer has.
//!
//! Reference: <https://redis.io/commands/xsetid/>.

use super::ids;
use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::{Stream, StreamId},
};

pub(super) const XSETID: CommandSpec = CommandSpec {
    name: "XSETID",
    summary: "An internal command for replicating stream values",
    since: "5.0.0",
    complexity: "O(1)",
    group: Group::Stream,
    arity: Arity::at_least(3),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: xsetid,
};

struct Ids {
    last: StreamId,
    added: Option<u64>,
    max_deleted: Option<StreamId>,
}

impl Ids {
    fn parse(args: &Args<'_>) -> Result<Self, ErrorReply> {
        let last = ids::id(args, 2)?;
        let (mut added, mut max_deleted) = (None, None);
        for i in (3..args.len()).step_by(2) {
            if i + 1 == args.len() {
                return Err(ErrorReply::SYNTAX);
            } else if args.is(i, "ENTRIESADDED") {
                let number = u64::try_from(args.int(i + 1)?).map_err(|_| ErrorReply::ENTRIES_ADDED_NEGATIVE)?;
                added = Some(number);
            } else if args.is(i, "MAXDELETEDID") {
                let id = ids::id(args, i + 1)?;
                if last < id {
                    return Err(ErrorReply::LAST_ID_BELOW_GIVEN_DELETED);
                }
                // Redis takes 0-0 for "not given".
                max_deleted = Some(id).filter(|id| *id != StreamId::MIN);
            } else {
                return Err(ErrorReply::SYNTAX);
            }
        }
        Ok(Self {
            last,
            added,
            max_deleted,
        })
    }

    fn check(&self, stream: &Stream) -> Result<(), ErrorReply> {
        if let Some(top) = stream.last_entry_id() {
            if self.last < top {
                return Err(ErrorReply::LAST_ID_BELOW_TOP);
            }
            if self.added.is_some_and(|added| added < stream.len() as u64) {
                return Err(ErrorReply::ENTRIES_ADDED_BELOW_LENGTH);
            }
        }
        Ok(())
    }
}

fn xsetid(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let ids = Ids::parse(args)?;
    let key = args.bytes(1);
    let set = ctx.update(key, |stream: &mut Stream| {
        ids.check(stream)?;
        stream.set_ids(ids.last, ids.added, ids.max_deleted);
        Ok::<_, ErrorReply>(())
    })?;
    set.ok_or(ErrorReply::NO_SUCH_KEY)??;
    // No entry changed: Redis tells neither watchers nor tracking clients.
    ctx.core.effects.changed();
    ctx.event(key, Class::Stream, "xsetid");
    Ok(Reply::Ok)
}
