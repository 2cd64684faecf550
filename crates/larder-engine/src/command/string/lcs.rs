//! `LCS key1 key2 [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN]`: the longest common subsequence of two strings.
//!
//! Reference: <https://redis.io/commands/lcs/>. The classic table of lengths, of which the way back from the end gives
//! the sequence, and its contiguous runs from the last to the first.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    value::Text,
};

pub(super) const LCS: CommandSpec = CommandSpec {
    name: "LCS",
    summary: "Finds the longest common substring",
    since: "7.0.0",
    complexity: "O(N*M) where N and M are the lengths of s1 and s2",
    group: Group::String,
    arity: Arity::at_least(3),
    flags: Flags::READONLY,
    keys: KeySpec::Range {
        first: 1,
        last: 2,
        step: 1,
    },
    subcommands: &[],
    run: lcs,
};

#[derive(Default)]
struct Options {
    length_only: bool,
    indexes: bool,
    with_lengths: bool,
    length_min: usize,
}

impl Options {
    fn parse(args: &Args<'_>) -> Result<Self, ErrorReply> {
        let mut options = Self::default();
        let mut i = 3;
        while i < args.len() {
            match () {
                () if args.is(i, "IDX") => options.indexes = true,
                () if args.is(i, "LEN") => options.length_only = true,
                () if args.is(i, "WITHMATCHLEN") => options.with_lengths = true,
                () if args.is(i, "MINMATCHLEN") && i + 1 < args.len() => {
                    i += 1;
                    options.length_min = usize::try_from(args.int(i)?).unwrap_or(0);
                }
                () => return Err(ErrorReply::SYNTAX),
            }
            i += 1;
        }
        if options.indexes && options.length_only {
            let text = "ERR If you want both the length and indexes, please just use IDX.";
            return Err(ErrorReply::new(text));
        }
        Ok(options)
    }
}

fn lcs(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let a = text(ctx, args.bytes(1))?;
    let b = text(ctx, args.bytes(2))?;
    let options = Options::parse(args)?;
    let cells = (a.len() + 1).saturating_mul(b.len() + 1);
    if cells.saturating_mul(size_of::<u32>()) > ctx.core.settings.wire.bulk_max {
        return Err(ErrorReply::new(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    let table = Table::new(&a, &b);
    if options.length_only {
        return Ok(Reply::count(table.common()));
    }
    let runs = table.runs();
    Ok(if options.indexes {
        matches(&runs, &options, table.common())
    } else {
        let parts: Vec<&[u8]> = runs.iter().rev().map(|run| &a[run.a..run.a + run.len]).collect();
        Reply::bulk(parts.concat())
    })
}

fn text(ctx: &mut Ctx<'_>, key: &[u8]) -> Result<Vec<u8>, ErrorReply> {
    let text = ctx.read::<Text>(key).map_err(|_| {
        let text = "ERR The specified keys must contain string values";
        ErrorReply::new(text)
    })?;
    Ok(text.map_or(&[][..], Text::bytes).to_vec())
}

/// The length of the longest common subsequence of every pair of prefixes.
struct Table<'a> {
    a: &'a [u8],
    b: &'a [u8],
    lengths: Vec<u32>,
}

/// A stretch that both strings share.
struct Run {
    a: usize,
    b: usize,
    len: usize,
}

impl<'a> Table<'a> {
    fn new(a: &'a [u8], b: &'a [u8]) -> Self {
        let width = b.len() + 1;
        let mut lengths = vec![0; (a.len() + 1) * width];
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                lengths[i * width + j] = if a[i - 1] == b[j - 1] {
                    lengths[(i - 1) * width + j - 1] + 1
                } else {
                    lengths[(i - 1) * width + j].max(lengths[i * width + j - 1])
                };
            }
        }
        Self { a, b, lengths }
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.lengths[i * (self.b.len() + 1) + j]
    }

    fn common(&self) -> usize {
        self.at(self.a.len(), self.b.len()) as usize
    }

    /// The runs of the sequence, the last first.
    fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let (mut i, mut j) = (self.a.len(), self.b.len());
        while i > 0 && j > 0 {
            if self.a[i - 1] != self.b[j - 1] {
                if self.at(i - 1, j) > self.at(i, j - 1) {
                    i -= 1;
                } else {
                    j -= 1;
                }
                continue;
            }
            match runs.last_mut() {
                Some(run) if (run.a, run.b) == (i, j) => {
                    (run.a, run.b) = (i - 1, j - 1);
                    run.len += 1;
                }
                _ => runs.push(Run {
                    a: i - 1,
                    b: j - 1,
                    len: 1,
                }),
            }
            (i, j) = (i - 1, j - 1);
        }
        runs
    }
}

fn matches(runs: &[Run], options: &Options, common: usize) -> Reply {
    let span = |start: usize, len: usize| Reply::Array(vec![Reply::count(start), Reply::count(start + len - 1)]);
    let say = |run: &Run| {
        let mut parts = vec![span(run.a, run.len), span(run.b, run.len)];
        if options.with_lengths {
            parts.push(Reply::count(run.len));
        }
        Reply::Array(parts)
    };
    let long_enough = runs.iter().filter(|run| run.len >= options.length_min);
    Reply::Map(vec![
        (Reply::bulk("matches"), Reply::Array(long_enough.map(say).collect())),
        (Reply::bulk("len"), Reply::count(common)),
    ])
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn the_sequence_its_length_and_its_runs() {
        Shell::new().check(
            r#"
            MSET a ohmytext b mynewtext => OK
            LCS a b => "mytext"
            LCS a b LEN => (int) 6
            LCS a b IDX => {"matches": [[[(int) 4 (int) 7] [(int) 5 (int) 8]] [[(int) 2 (int) 3] [(int) 0 (int) 1]]], "len": (int) 6}
            LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN => {"matches": [[[(int) 4 (int) 7] [(int) 5 (int) 8] (int) 4]], "len": (int) 6}
            LCS a none => ""
            LCS a none IDX => {"matches": [], "len": (int) 0}
            LCS a b LEN IDX => ERR If you want both the length and indexes, please just use IDX.
            LCS a b NOPE => ERR syntax error
            RPUSH l x => (int) 1
            LCS a l => ERR The specified keys must contain string values
            "#,
        );
    }

    #[test]
    fn a_table_beyond_the_bound_is_refused() {
        let shell = Shell::new();
        shell.check("CONFIG SET proto-max-bulk-len 1mb => OK");
        for key in ["a", "b"] {
            shell.run(&format!("SET {key} {}", "x".repeat(600)));
        }
        assert!(shell.print("LCS a b LEN").starts_with("ERR Insufficient memory"));
    }
}
