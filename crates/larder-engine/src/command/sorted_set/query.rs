//! What the commands of the `ZRANGE` family ask for.

use std::ops::Range;

use crate::{
    ErrorReply,
    command::{
        Args, rank_range,
        sorted_set::bounds::{LexBounds, ScoreBounds},
    },
    value::{Order, SortedSet},
};

/// What a range is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Rank,
    Score,
    Lex,
}

/// What a command's name has fixed already, so that no option may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    by: Option<By>,
    reverse: Option<bool>,
    stores: bool,
}

impl Form {
    /// Options say it all.
    pub(super) const OPEN: Self = Self {
        by: None,
        reverse: None,
        stores: false,
    };

    /// The same, for a destination.
    pub(super) const STORED: Self = Self {
        stores: true,
        ..Self::OPEN
    };

    pub(super) const fn fixed(by: By, reverse: bool) -> Self {
        Self {
            by: Some(by),
            reverse: Some(reverse),
            stores: false,
        }
    }
}

/// A range of a sorted set.
#[derive(Debug)]
pub(super) struct Query<'a> {
    bounds: Bounds<'a>,
    reverse: bool,
    offset: i64,
    /// Negative is no limit.
    limit: i64,
    pub(super) with_scores: bool,
}

#[derive(Debug)]
enum Bounds<'a> {
    Rank(i64, i64),
    Score(ScoreBounds),
    Lex(LexBounds<'a>),
}

/// The options after the bounds.
struct Options {
    form: Form,
    offset: i64,
    limit: i64,
    with_scores: bool,
}

impl<'a> Query<'a> {
    /// Reads `key start stop [option ...]`, with the key at argument `key`.
    pub(super) fn parse(args: &Args<'a>, key: usize, form: Form) -> Result<Self, ErrorReply> {
        let options = Options::parse(args, key + 3, form)?;
        let by = options.form.by.unwrap_or(By::Rank);
        let reverse = options.form.reverse.unwrap_or(false);
        if options.limit != -1 && by == By::Rank {
            return Err(ErrorReply::LIMIT_BY_RANK);
        }
        if options.with_scores && by == By::Lex {
            return Err(ErrorReply::SCORES_BY_LEX);
        }
        let (start, stop) = (key + 1, key + 2);
        let (min, max) = if reverse { (stop, start) } else { (start, stop) };
        let bounds = match by {
            By::Rank => Bounds::Rank(args.int(start)?, args.int(stop)?),
            By::Score => Bounds::Score(ScoreBounds::parse(args.bytes(min), args.bytes(max))?),
            By::Lex => Bounds::Lex(LexBounds::parse(args.bytes(min), args.bytes(max))?),
        };
        Ok(Self {
            bounds,
            reverse,
            offset: options.offset,
            limit: options.limit,
            with_scores: options.with_scores,
        })
    }

    /// The members within, with their scores.
    pub(super) fn items<'s>(&self, set: &'s SortedSet) -> impl Iterator<Item = (&'s [u8], f64)> + use<'s> {
        let order = set.order();
        let ranks = self.ranks(order);
        let (forwards, backwards) = if self.reverse { (0..0, ranks) } else { (ranks, 0..0) };
        order
            .range(forwards)
            .chain(order.range_reversed(backwards))
            .map(|item| (&*item.member, item.score))
    }

    fn ranks(&self, order: &Order) -> Range<usize> {
        let len = order.len();
        match &self.bounds {
            Bounds::Rank(start, stop) => {
                let ranks = rank_range(*start, *stop, len);
                if self.reverse {
                    len - ranks.end..len - ranks.start
                } else {
                    ranks
                }
            }
            Bounds::Score(bounds) => self.limited(bounds.ranks(order)),
            Bounds::Lex(bounds) => self.limited(bounds.ranks(order)),
        }
    }

    /// The part that `LIMIT` leaves; a negative offset leaves nothing.
    fn limited(&self, ranks: Range<usize>) -> Range<usize> {
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX).min(ranks.len());
        let taken = usize::try_from(self.limit)
            .unwrap_or(usize::MAX)
            .min(ranks.len() - skipped);
        if self.reverse {
            let end = ranks.end - skipped;
            end - taken..end
        } else {
            let start = ranks.start + skipped;
            start..start + taken
        }
    }
}

impl Options {
    fn parse(args: &Args<'_>, from: usize, form: Form) -> Result<Self, ErrorReply> {
        let mut options = Self {
            form,
            offset: 0,
            limit: -1,
            with_scores: false,
        };
        let mut i = from;
        while i < args.len() {
            i += options.take(args, i)?;
        }
        Ok(options)
    }

    /// Reads the option at argument `i`; how many arguments it has.
    fn take(&mut self, args: &Args<'_>, i: usize) -> Result<usize, ErrorReply> {
        let form = &mut self.form;
        match () {
            () if !form.stores && args.is(i, "WITHSCORES") => self.with_scores = true,
            () if args.is(i, "LIMIT") && i + 2 < args.len() => {
                (self.offset, self.limit) = (args.int(i + 1)?, args.int(i + 2)?);
                return Ok(3);
            }
            () if form.reverse.is_none() && args.is(i, "REV") => form.reverse = Some(true),
            () if form.by.is_none() && args.is(i, "BYLEX") => form.by = Some(By::Lex),
            () if form.by.is_none() && args.is(i, "BYSCORE") => form.by = Some(By::Score),
            () => return Err(ErrorReply::SYNTAX),
        }
        Ok(1)
    }
}
