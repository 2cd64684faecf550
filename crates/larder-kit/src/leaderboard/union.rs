//! Boards merged: several windows of one, or several of one group.

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

use larder_base::CacheKey;
use larder_store::Script;
use redis::Value;

use super::{
    Leaderboard, LeaderboardError, READS, Standing, UNION_BOARDS_MAX, UNION_MEMBERS_MAX,
    board::Inner,
    entry::{member_of, parse, score},
};
use crate::{altered, reply};

static UNION: Script = Script::new("board_union", include_str!("union.lua"));

/// What becomes of a member's scores on several boards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// They are added up, in the order of the boards.
    Sum,
    /// The best one counts: the highest, or the lowest on boards of [`Order::LowestFirst`](super::Order).
    Best,
}

impl<M: CacheKey> Leaderboard<M> {
    /// The best `count` of the last `windows` windows together, the open one included.
    ///
    /// # Errors
    /// As [`merged`](Self::merged).
    pub async fn last(&self, windows: u32, merge: Merge, count: u64) -> Result<Vec<Standing<M>>, LeaderboardError> {
        // One more than can be merged is enough to be refused.
        let boards: Vec<Self> = (0..windows.min(UNION_BOARDS_MAX as u32 + 1))
            .map(|ago| self.previous(ago))
            .collect();
        Self::merged(&boards, merge, count).await
    }

    /// The best `count` of several boards of one group together, read at one moment in one round trip. Of equal scores the one whose
    /// written member is lower is ahead, for no moment is the one at which a merged score was reached.
    ///
    /// The server gives all entries, in time and bytes proportional to them; what is asked often is better a board of its own.
    ///
    /// # Errors
    /// [`LeaderboardError::NotOfOneKind`], [`LeaderboardError::UnionTooLarge`], or the store's.
    pub async fn merged(boards: &[Self], merge: Merge, count: u64) -> Result<Vec<Standing<M>>, LeaderboardError> {
        let one = boards.first().ok_or(LeaderboardError::NotOfOneKind)?;
        if boards.len() > UNION_BOARDS_MAX || !boards.iter().all(|board| is_of_one_kind(&one.inner, &board.inner)) {
            return Err(LeaderboardError::NotOfOneKind);
        }
        one.inner.tally.count(READS);
        let make = |span| {
            let call = boards
                .iter()
                .fold(altered::call(&UNION), |call, board| call.key(board.key(span)));
            call.int(span.from).int(span.until).int(UNION_MEMBERS_MAX as i64)
        };
        let reply = one.inner.windows.run(&one.inner.store, make).await?;
        let items = reply::items(&reply, 2, UNION.name())?;
        if reply::integer(&items[0])? == 2 {
            let entries = reply::integer(&items[1])?.unsigned_abs();
            return Err(LeaderboardError::UnionTooLarge { entries });
        }
        let mut merged = merge.scores(&items[2..], one.inner.high)?;
        merged.sort_unstable_by(|one_, other| by_score(one.inner.high, one_, other));
        let places = merged
            .into_iter()
            .take(usize::try_from(count).unwrap_or(usize::MAX))
            .zip(1..);
        let standing = |((member, score), rank): ((&[u8], f64), u64)| {
            Ok(Standing {
                member: parse(member)?,
                score,
                rank,
            })
        };
        places.map(standing).collect()
    }
}

fn by_score(high: bool, one: &(&[u8], f64), other: &(&[u8], f64)) -> Ordering {
    let scores = one.1.total_cmp(&other.1);
    let scores = if high { scores.reverse() } else { scores };
    scores.then_with(|| one.0.cmp(other.0))
}

fn is_of_one_kind(one: &Arc<Inner>, other: &Arc<Inner>) -> bool {
    let kind = |inner: &Inner| (inner.windows.window(), inner.high);
    one.stem == other.stem && kind(one) == kind(other) && one.store.url() == other.store.url()
}

impl Merge {
    fn scores(self, boards: &[Value], high: bool) -> Result<Vec<(&[u8], f64)>, LeaderboardError> {
        let mut merged: HashMap<&[u8], f64> = HashMap::new();
        for board in boards {
            for pair in reply::items(board, 0, UNION.name())?.chunks_exact(2) {
                let score = score(&pair[1])?;
                let joined = |before: &mut f64| *before = self.of(*before, score, high);
                merged
                    .entry(member_of(&pair[0], UNION.name())?)
                    .and_modify(joined)
                    .or_insert(score);
            }
        }
        Ok(merged.into_iter().collect())
    }

    fn of(self, one: f64, other: f64, high: bool) -> f64 {
        match self {
            Self::Sum => one + other,
            Self::Best if high => one.max(other),
            Self::Best => one.min(other),
        }
    }
}
