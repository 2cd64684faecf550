//! Sorted sets: members with scores under one key.

mod algebra;
mod bounds;
mod bzpop;
mod combine;
mod inputs;
mod listing;
mod query;
mod zadd;
mod zcard;
mod zcount;
mod zpop;
mod zrandmember;
mod zrange;
mod zrank;
mod zrem;
mod zremrange;
mod zscan;
mod zscore;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[
    &algebra::ZDIFF,
    &algebra::ZDIFFSTORE,
    &algebra::ZINTER,
    &algebra::ZINTERCARD,
    &algebra::ZINTERSTORE,
    &algebra::ZUNION,
    &algebra::ZUNIONSTORE,
    &bzpop::BZMPOP,
    &bzpop::BZPOPMAX,
    &bzpop::BZPOPMIN,
    &zadd::ZADD,
    &zadd::ZINCRBY,
    &zcard::ZCARD,
    &zcount::ZCOUNT,
    &zcount::ZLEXCOUNT,
    &zpop::ZMPOP,
    &zpop::ZPOPMAX,
    &zpop::ZPOPMIN,
    &zrandmember::ZRANDMEMBER,
    &zrange::ZRANGE,
    &zrange::ZRANGEBYLEX,
    &zrange::ZRANGEBYSCORE,
    &zrange::ZRANGESTORE,
    &zrange::ZREVRANGE,
    &zrange::ZREVRANGEBYLEX,
    &zrange::ZREVRANGEBYSCORE,
    &zrank::ZRANK,
    &zrank::ZREVRANK,
    &zrem::ZREM,
    &zremrange::ZREMRANGEBYLEX,
    &zremrange::ZREMRANGEBYRANK,
    &zremrange::ZREMRANGEBYSCORE,
    &zscan::ZSCAN,
    &zscore::ZMSCORE,
    &zscore::ZSCORE,
];

#[cfg(test)]
mod tests;
