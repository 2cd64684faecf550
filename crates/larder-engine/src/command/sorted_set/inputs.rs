//! What the commands that combine sorted sets are asked: the keys, their weights, what becomes of scores.

use crate::{
    ErrorReply,
    command::{
        Args,
        sorted_set::combine::{Aggregate, Input, Members, Operation},
    },
    ctx::Ctx,
    value::Value,
};

/// The keys, which are there and of the right type, or absent.
pub(super) struct Request<'a> {
    keys: &'a [&'a [u8]],
    /// The number of the first argument after them.
    pub(super) options_at: usize,
}

impl<'a> Request<'a> {
    /// Reads `numkeys key [key ...]` from argument `at` on and looks at the keys, which Redis does before it reads
    /// options.
    pub(super) fn parse(ctx: &mut Ctx<'_>, args: &Args<'a>, at: usize) -> Result<Self, ErrorReply> {
        let count = args.int(at)?;
        let Ok(count @ 1..) = usize::try_from(count) else {
            return Err(ErrorReply::no_input_keys(args.bytes(0)));
        };
        let keys = args.rest(at + 1).get(..count).ok_or(ErrorReply::SYNTAX)?;
        for key in keys {
            match ctx.entry(key).map(|entry| &entry.value) {
                None | Some(Value::Set(_) | Value::SortedSet(_)) => {}
                Some(_) => return Err(ErrorReply::WRONG_TYPE),
            }
        }
        Ok(Self {
            keys,
            options_at: at + 1 + count,
        })
    }
}

/// `WEIGHTS`, `AGGREGATE`, `WITHSCORES`.
#[derive(Debug, Default)]
pub(super) struct Options {
    /// All 1 if empty.
    weights: Vec<f64>,
    pub(super) aggregate: Aggregate,
    pub(super) with_scores: bool,
}

impl Options {
    pub(super) fn parse(
        args: &Args<'_>,
        request: &Request<'_>,
        operation: Operation,
        stores: bool,
    ) -> Result<Self, ErrorReply> {
        let mut options = Self::default();
        let weighs = operation != Operation::Difference;
        let mut i = request.options_at;
        while i < args.len() {
            i += match () {
                () if weighs && args.is(i, "WEIGHTS") => options.take_weights(args, i, request.keys.len())?,
                () if weighs && args.is(i, "AGGREGATE") => options.take_aggregate(args, i)?,
                () if !stores && args.is(i, "WITHSCORES") => {
                    options.with_scores = true;
                    1
                }
                () => return Err(ErrorReply::SYNTAX),
            };
        }
        Ok(options)
    }

    /// Reads the weights after the word at argument `i`; how many arguments these are together.
    fn take_weights(&mut self, args: &Args<'_>, i: usize, count: usize) -> Result<usize, ErrorReply> {
        if args.rest(i + 1).len() < count {
            return Err(ErrorReply::SYNTAX);
        }
        self.weights = (i + 1..=i + count)
            .map(|i| args.float(i).map_err(|_| ErrorReply::WEIGHT_NOT_FLOAT))
            .collect::<Result<_, _>>()?;
        Ok(count + 1)
    }

    fn take_aggregate(&mut self, args: &Args<'_>, i: usize) -> Result<usize, ErrorReply> {
        self.aggregate = match () {
            () if args.is(i + 1, "SUM") => Aggregate::Sum,
            () if args.is(i + 1, "MIN") => Aggregate::Min,
            () if args.is(i + 1, "MAX") => Aggregate::Max,
            () => return Err(ErrorReply::SYNTAX),
        };
        Ok(2)
    }
}

/// What is at the keys of a request, weighed.
pub(super) fn inputs<'c>(ctx: &'c mut Ctx<'_>, request: &Request<'_>, options: &Options) -> Vec<Input<'c>> {
    let db = &*ctx.db();
    let input = |(i, key): (usize, &&[u8])| Input {
        members: match db.entry(key).map(|entry| &entry.value) {
            Some(Value::Set(set)) => Members::Set(set),
            Some(Value::SortedSet(set)) => Members::SortedSet(set),
            _ => Members::None,
        },
        weight: options.weights.get(i).copied().unwrap_or(1.0),
    };
    request.keys.iter().enumerate().map(input).collect()
}
