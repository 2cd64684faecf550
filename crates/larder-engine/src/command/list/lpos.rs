//! `LPOS key element [RANK rank] [COUNT n] [MAXLEN len]`: where an element is.
//!
//! `RANK` skips matches and, if negative, searches from the end; `COUNT` asks for an array of up to so many, 0 for all;
//! `MAXLEN` bounds how many elements are compared.
//!
//! Reference: <https://redis.io/commands/lpos/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::List,
};

pub(super) const LPOS: CommandSpec = CommandSpec {
    name: "LPOS",
    summary: "Returns the index of matching elements in a list",
    since: "6.0.6",
    complexity: "O(N) where N is the length of the list",
    group: Group::List,
    arity: Arity::at_least(3),
    flags: Flags::READONLY,
    keys: KeySpec::first(),
    subcommands: &[],
    run: lpos,
};

#[derive(Debug)]
struct Search {
    /// Not 0.
    rank: i64,
    /// How many matches; none asks for one outside an array.
    count: Option<usize>,
    compared_max: usize,
}

fn lpos(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let search = Search::parse(args)?;
    let found = ctx
        .read::<List>(args.bytes(1))?
        .map_or_else(Vec::new, |list| search.run(list, args.bytes(2)));
    let mut found = found.into_iter().map(Reply::count);
    Ok(match search.count {
        Some(_) => Reply::Array(found.collect()),
        None => found.next().unwrap_or(Reply::Null),
    })
}

impl Search {
    fn parse(args: &Args<'_>) -> Result<Self, ErrorReply> {
        let mut search = Self {
            rank: 1,
            count: None,
            compared_max: usize::MAX,
        };
        for i in (3..args.len()).step_by(2) {
            let value = i + 1;
            match () {
                () if value == args.len() => return Err(ErrorReply::SYNTAX),
                () if args.is(i, "RANK") => search.rank = rank(args, value)?,
                () if args.is(i, "COUNT") => search.count = Some(unbounded(args, value, ErrorReply::COUNT_NEGATIVE)?),
                () if args.is(i, "MAXLEN") => {
                    search.compared_max = unbounded(args, value, ErrorReply::MAXLEN_NEGATIVE)?;
                }
                () => return Err(ErrorReply::SYNTAX),
            }
        }
        Ok(search)
    }

    /// The positions that match, in the order they are found.
    fn run(&self, list: &List, element: &[u8]) -> Vec<usize> {
        let positions: Box<dyn Iterator<Item = (usize, &[u8])>> = if self.rank > 0 {
            Box::new(list.iter().enumerate())
        } else {
            Box::new(list.iter().rev().zip(0..).map(|(other, i)| (list.len() - 1 - i, other)))
        };
        let skipped = usize::try_from(self.rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
        positions
            .take(self.compared_max)
            .filter(|(_, other)| *other == element)
            .map(|(position, _)| position)
            .skip(skipped)
            .take(self.count.unwrap_or(1))
            .collect()
    }
}

fn rank(args: &Args<'_>, i: usize) -> Result<i64, ErrorReply> {
    match args.int(i)? {
        0 => Err(ErrorReply::RANK_ZERO),
        // Redis negates it, which overflows back to itself and skips nothing.
        i64::MIN => Ok(-1),
        rank => Ok(rank),
    }
}

/// A bound, where 0 is none.
fn unbounded(args: &Args<'_>, i: usize, error: ErrorReply) -> Result<usize, ErrorReply> {
    Ok(match args.at_least(i, 0, error)? {
        0 => usize::MAX,
        n => n,
    })
}
