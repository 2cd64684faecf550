//! `ZADD key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]`: adds members or changes their scores.
//! `ZINCRBY key increment member` is `ZADD` with `INCR`, options and all.
//!
//! Reference: <https://redis.io/commands/zadd/>, <https://redis.io/commands/zincrby/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    value::SortedSet,
};

pub(super) const ZADD: CommandSpec = CommandSpec {
    name: "ZADD",
    summary: "Adds one or more members to a sorted set, or updates their scores",
    since: "1.2.0",
    complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set",
    group: Group::SortedSet,
    arity: Arity::at_least(4),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    keys: KeySpec::first(),
    subcommands: &[],
    run: |ctx, args| zadd(ctx, args, Options::default()),
};

pub(super) const ZINCRBY: CommandSpec = CommandSpec {
    name: "ZINCRBY",
    summary: "Increments the score of a member in a sorted set",
    complexity: "O(log(N)) where N is the number of elements in the sorted set",
    arity: Arity::exactly(4),
    run: |ctx, args| {
        let options = Options {
            incr: true,
            ..Options::default()
        };
        zadd(ctx, args, options)
    },
    ..ZADD
};

#[derive(Clone, Copy, Debug, Default)]
struct Options {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
    ch: bool,
    incr: bool,
}

#[derive(Debug, Default)]
struct Tally {
    added: usize,
    updated: usize,
    /// The score given last; none if the options forbade it.
    score: Option<f64>,
}

fn zadd(ctx: &mut Ctx<'_>, args: &Args<'_>, mut options: Options) -> CommandResult {
    let mut first = 2;
    while first < args.len() && options.take(args, first) {
        first += 1;
    }
    let (pairs @ [_, ..], []) = args.rest(first).as_chunks() else {
        return Err(ErrorReply::SYNTAX);
    };
    options.check(pairs.len())?;
    let scores = (0..pairs.len())
        .map(|i| args.float(first + 2 * i))
        .collect::<Result<Vec<f64>, _>>()?;
    let elements = pairs.iter().zip(scores).map(|([_, member], score)| (*member, score));
    let key = args.bytes(1);
    let mut tally = Tally::default();
    let result = if options.xx {
        ctx.update(key, |set| add_all(set, elements, options, &mut tally))?
            .unwrap_or(Ok(()))
    } else {
        ctx.upsert(key, |set| add_all(set, elements, options, &mut tally))?
    };
    if tally.added + tally.updated > 0 {
        ctx.modified(key, Class::SortedSet, if options.incr { "zincr" } else { "zadd" });
    }
    result.map(|()| tally.reply(options))
}

impl Options {
    /// Takes argument `i` as an option, if it is one.
    fn take(&mut self, args: &Args<'_>, i: usize) -> bool {
        let options = [
            ("NX", &mut self.nx),
            ("XX", &mut self.xx),
            ("GT", &mut self.gt),
            ("LT", &mut self.lt),
            ("CH", &mut self.ch),
            ("INCR", &mut self.incr),
        ];
        let option = options.into_iter().find(|(word, _)| args.is(i, word));
        option.is_some_and(|(_, flag)| {
            *flag = true;
            true
        })
    }

    fn check(&self, pairs: usize) -> Result<(), ErrorReply> {
        if self.nx && self.xx {
            return Err(ErrorReply::NX_AND_XX);
        }
        if [self.gt, self.lt, self.nx].into_iter().filter(|option| *option).count() > 1 {
            return Err(ErrorReply::GT_LT_AND_NX);
        }
        if self.incr && pairs > 1 {
            return Err(ErrorReply::ONE_INCREMENT);
        }
        Ok(())
    }

    /// Whether the comparison options let this score replace that one.
    fn allow(&self, new: f64, old: f64) -> bool {
        !(self.nx || self.lt && new >= old || self.gt && new <= old)
    }
}

impl Tally {
    fn reply(&self, options: Options) -> Reply {
        if options.incr {
            return self.score.map_or(Reply::Null, Reply::Double);
        }
        Reply::count(self.added + if options.ch { self.updated } else { 0 })
    }
}

/// Adds one after another until a sum is no number, which only a member that is there can bring about.
fn add_all<'a>(
    set: &mut SortedSet,
    elements: impl Iterator<Item = (&'a [u8], f64)>,
    options: Options,
    tally: &mut Tally,
) -> Result<(), ErrorReply> {
    for (member, score) in elements {
        add(set, member, score, options, tally)?;
    }
    Ok(())
}

fn add(set: &mut SortedSet, member: &[u8], score: f64, options: Options, tally: &mut Tally) -> Result<(), ErrorReply> {
    let Some(old) = set.score(member) else {
        if !options.xx {
            set.insert(member, score);
            tally.added += 1;
            tally.score = Some(score);
        }
        return Ok(());
    };
    let new = if options.incr && !options.nx {
        old + score
    } else {
        score
    };
    if new.is_nan() {
        return Err(ErrorReply::SCORE_NAN);
    }
    if options.allow(new, old) {
        set.insert(member, new);
        tally.updated += usize::from(new != old);
        tally.score = Some(new);
    }
    Ok(())
}
