//! The bounds of ranges by score and by member.

use std::ops::Range;

use crate::{
    ErrorReply,
    number::read,
    value::{Item, Order},
};

/// A score, by itself outside the range or inside it.
#[derive(Clone, Copy, Debug)]
struct ScoreBound {
    score: f64,
    excluded: bool,
}

/// Scores from one bound to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScoreBounds {
    min: ScoreBound,
    max: ScoreBound,
}

impl ScoreBounds {
    pub(super) fn parse(min: &[u8], max: &[u8]) -> Result<Self, ErrorReply> {
        let bound = |text: &[u8]| {
            let (excluded, digits) = text.strip_prefix(b"(").map_or((false, text), |digits| (true, digits));
            read(digits)
                .map(|score| ScoreBound { score, excluded })
                .ok_or(ErrorReply::BOUND_NOT_FLOAT)
        };
        Ok(Self {
            min: bound(min)?,
            max: bound(max)?,
        })
    }

    /// The ranks within.
    pub(super) fn ranks(&self, order: &Order) -> Range<usize> {
        let Self { min, max } = self;
        let start = order.position(|item| item.score < min.score || min.excluded && item.score == min.score);
        let end = order.position(|item| item.score < max.score || !max.excluded && item.score == max.score);
        start..end.max(start)
    }
}

/// A member, by itself outside the range or inside it, or the place before or after all members.
#[derive(Clone, Copy, Debug)]
enum LexBound<'a> {
    Lowest,
    Highest,
    Member { member: &'a [u8], excluded: bool },
}

/// Members from one bound to another, byte by byte; for sets whose scores are all the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct LexBounds<'a> {
    min: LexBound<'a>,
    max: LexBound<'a>,
}

impl<'a> LexBounds<'a> {
    pub(super) fn parse(min: &'a [u8], max: &'a [u8]) -> Result<Self, ErrorReply> {
        Ok(Self {
            min: LexBound::parse(min)?,
            max: LexBound::parse(max)?,
        })
    }

    /// The ranks within.
    pub(super) fn ranks(&self, order: &Order) -> Range<usize> {
        let start = order.position(|item| self.min.is_above(item, true));
        let end = order.position(|item| self.max.is_above(item, false));
        start..end.max(start)
    }
}

impl<'a> LexBound<'a> {
    fn parse(text: &'a [u8]) -> Result<Self, ErrorReply> {
        match text {
            b"-" => Ok(Self::Lowest),
            b"+" => Ok(Self::Highest),
            [b'(', member @ ..] => Ok(Self::Member { member, excluded: true }),
            [b'[', member @ ..] => Ok(Self::Member {
                member,
                excluded: false,
            }),
            _ => Err(ErrorReply::BOUND_NOT_LEX),
        }
    }

    /// Whether the item comes before this bound; an item at the bound does if that is what `excluded` says.
    fn is_above(&self, item: &Item, excludes: bool) -> bool {
        match *self {
            Self::Lowest => false,
            Self::Highest => true,
            Self::Member { member, excluded } => {
                *item.member < *member || excluded == excludes && *item.member == *member
            }
        }
    }
}
