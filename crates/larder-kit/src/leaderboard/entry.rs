//! What a board answers, and how it stands in replies.

use larder_base::{CacheKey, WrittenKey};
use larder_store::StoreError;
use redis::Value;

use super::{LeaderboardError, MEMBER_MAX};
use crate::reply;

/// A member's place on a board.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Standing<M> {
    /// Who it is.
    pub member: M,
    /// The score.
    pub score: f64,
    /// The place, from 1: the best is first. Every member has a place of its own, for of equal scores the first reached is
    /// ahead.
    pub rank: u64,
}

/// What became of a score.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Scored {
    /// The score now.
    pub score: f64,
    /// The place now, from 1.
    pub rank: u64,
    /// Whether the score is another than before; `false` for one that was not better.
    pub changed: bool,
}

/// The digits of a stamp and the colon after it.
const STAMP: usize = 17;

/// A member as it is written.
pub(super) fn written<M: CacheKey>(member: &M) -> Result<WrittenKey, LeaderboardError> {
    let written = WrittenKey::of(member);
    match written.full().len() {
        bytes if bytes > MEMBER_MAX => Err(LeaderboardError::MemberTooLong { bytes }),
        _ => Ok(written),
    }
}

/// The member of `<stamp>:<member>`, as it is written.
pub(super) fn member_of<'a>(entry: &'a Value, script: &'static str) -> Result<&'a [u8], StoreError> {
    match entry {
        Value::BulkString(bytes) if bytes.len() >= STAMP => Ok(&bytes[STAMP..]),
        _ => Err(reply::unexpected(script)),
    }
}

pub(super) fn parse<M: CacheKey>(member: &[u8]) -> Result<M, LeaderboardError> {
    WrittenKey::parse(member).ok_or_else(|| LeaderboardError::OtherType {
        member: String::from_utf8_lossy(member).into(),
    })
}

pub(super) fn score(value: &Value) -> Result<f64, StoreError> {
    Ok(redis::from_redis_value_ref(value).map_err(redis::RedisError::from)?)
}

/// Ranks are counted from 0 in the store, and from 1 by people.
pub(super) fn rank(value: &Value) -> Result<Option<u64>, StoreError> {
    Ok(u64::try_from(reply::integer(value)?).ok().map(|rank| rank + 1))
}

/// Pairs of entry and score, of which the first is at `first`, from 1.
pub(super) fn standings<M: CacheKey>(
    pairs: &[Value],
    first: u64,
    script: &'static str,
) -> Result<Vec<Standing<M>>, LeaderboardError> {
    let of_pair = |(rank, pair): (u64, &[Value])| {
        Ok(Standing {
            member: parse(member_of(&pair[0], script)?)?,
            score: score(&pair[1])?,
            rank,
        })
    };
    (first..).zip(pairs.chunks_exact(2)).map(of_pair).collect()
}
