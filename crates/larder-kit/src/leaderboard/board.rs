//! The handle.

use std::{fmt, marker::PhantomData, sync::Arc};

use larder_base::CacheKey;
use larder_store::{Script, ScriptCall, Store, StoreError};
use redis::Value;

use super::{
    BATCH_MAX, CHANGED, FAILED, KEPT, LeaderboardBuilder, LeaderboardError, READS, Scored, Standing,
    entry::{self, written},
};
use crate::{
    altered,
    figures::Tally,
    reply,
    window::{Span, Windows},
};

static UPDATE: Script = Script::new("board_update", include_str!("update.lua"));
static RANGE: Script = Script::new("board_range", include_str!("range.lua"));
static PLACES: Script = Script::new("board_places", include_str!("places.lua"));
static REMOVE: Script = Script::new("board_remove", include_str!("remove.lua"));

/// A leaderboard of members such as player ids. A cheap clone.
///
/// Every call is one round trip and one atomic step; at the edge of a window, or while this machine's clock is off from the
/// server's, two. What is written is the open window.
pub struct Leaderboard<M> {
    pub(super) inner: Arc<Inner>,
    /// How many windows before the open one.
    pub(super) ago: u32,
    members: PhantomData<fn() -> M>,
}

pub(super) struct Inner {
    /// What the keys of the group begin with.
    pub(super) stem: String,
    pub(super) name: String,
    pub(super) store: Store,
    pub(super) high: bool,
    pub(super) windows: Windows,
    /// Milliseconds; 0 is for ever.
    pub(super) keep: i64,
    pub(super) tally: Arc<Tally>,
}

impl<M> Clone for Leaderboard<M> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            ago: self.ago,
            members: PhantomData,
        }
    }
}

impl<M> fmt::Debug for Leaderboard<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaderboard")
            .field("board", &format_args!("{}{}", self.inner.stem, self.inner.name))
            .field("ago", &self.ago)
            .finish()
    }
}

impl<M: CacheKey> Leaderboard<M> {
    /// Begins a board in `namespace`, which is `[a-z0-9_.-]+`.
    pub fn builder(namespace: impl Into<String>) -> LeaderboardBuilder<M> {
        LeaderboardBuilder::new(namespace.into())
    }

    pub(super) fn of(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            ago: 0,
            members: PhantomData,
        }
    }

    /// The board of the window that was open `ago` windows before this one, to read: 1 is the last one that is over. Without
    /// windows it is the same board.
    #[must_use]
    pub fn previous(&self, ago: u32) -> Self {
        Self {
            ago: self.ago.saturating_add(ago),
            ..self.clone()
        }
    }

    /// Sets a member's score.
    ///
    /// # Errors
    /// [`LeaderboardError`]; of what is said there, nothing was changed but after an unknown outcome.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the answer; it may have been done. So with every write.
    pub async fn set(&self, member: &M, score: f64) -> Result<Scored, LeaderboardError> {
        self.score_by("set", member, score).await
    }

    /// Sets a member's score if it has none, or a worse one: higher is better, or lower on a board of
    /// [`Order::LowestFirst`](super::Order). Of two processes that do it at once the better stays.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub async fn set_if_better(&self, member: &M, score: f64) -> Result<Scored, LeaderboardError> {
        self.score_by("best", member, score).await
    }

    /// Adds to a member's score, which begins at 0.
    ///
    /// # Errors
    /// As [`set`](Self::set). It is not sent again after an unknown outcome.
    pub async fn increment(&self, member: &M, by: f64) -> Result<Scored, LeaderboardError> {
        self.score_by("add", member, by).await
    }

    /// Sets many scores, in calls of [`BATCH_MAX`](super::BATCH_MAX): as from a database. Of equal scores the first of them is
    /// ahead. Returns how many changed.
    ///
    /// # Errors
    /// As [`set`](Self::set). Earlier calls were done then; loading the same again does no harm.
    pub async fn load<I>(&self, scores: I) -> Result<u64, LeaderboardError>
    where
        I: IntoIterator<Item = (M, f64), IntoIter: Send> + Send,
        M: Send,
    {
        let mut scores = scores.into_iter();
        let mut changed = 0;
        loop {
            let mut pairs = Vec::new();
            for (member, score) in scores.by_ref().take(BATCH_MAX as usize) {
                pairs.push((written(&member)?.as_str().to_owned(), finite(score)?));
            }
            if pairs.is_empty() {
                return Ok(changed);
            }
            changed += self.update("set", &pairs).await?.1;
        }
    }

    /// A member's place, from 1; `None` if it is not on the board.
    ///
    /// # Errors
    /// [`LeaderboardError`], mostly of the store.
    pub async fn rank(&self, member: &M) -> Result<Option<u64>, LeaderboardError> {
        Ok(self.place(member).await?.map(|standing| standing.rank))
    }

    /// A member's score; `None` if it is not on the board.
    ///
    /// # Errors
    /// As [`rank`](Self::rank).
    pub async fn score(&self, member: &M) -> Result<Option<f64>, LeaderboardError> {
        Ok(self.place(member).await?.map(|standing| standing.score))
    }

    /// A member's rank and score; `None` if it is not on the board.
    ///
    /// # Errors
    /// As [`rank`](Self::rank).
    pub async fn place(&self, member: &M) -> Result<Option<Standing<M>>, LeaderboardError> {
        let mut places = self.places(std::slice::from_ref(member)).await?;
        Ok(places.pop().flatten())
    }

    /// Rank and score of several, at one moment, in their order: of a player's friends, say. At most
    /// [`BATCH_MAX`](super::BATCH_MAX).
    ///
    /// # Errors
    /// As [`rank`](Self::rank), and [`LeaderboardError::TooMany`].
    pub async fn places(&self, members: &[M]) -> Result<Vec<Option<Standing<M>>>, LeaderboardError> {
        check_batch(members.len() as u64)?;
        let names = members.iter().map(written).collect::<Result<Vec<_>, _>>()?;
        let reply = self
            .read(|span| {
                let call = self.call(&PLACES, span).arg(flag(self.inner.high));
                names.iter().fold(call, |call, name| call.arg(name.as_str()))
            })
            .await?;
        let items = reply::items(&reply, 1 + 2 * members.len(), PLACES.name())?;
        let mut places = Vec::with_capacity(members.len());
        for (member, pair) in members.iter().zip(items[1..].chunks_exact(2)) {
            let score = entry::score(&pair[1])?;
            let standing = |rank| Standing {
                member: member.clone(),
                score,
                rank,
            };
            places.push(entry::rank(&pair[0])?.map(standing));
        }
        Ok(places)
    }

    /// The best `count`, at most [`BATCH_MAX`](super::BATCH_MAX).
    ///
    /// # Errors
    /// As [`page`](Self::page).
    pub async fn top(&self, count: u64) -> Result<Vec<Standing<M>>, LeaderboardError> {
        self.page(0, count).await
    }

    /// `count` places after the first `skip`, at most [`BATCH_MAX`](super::BATCH_MAX); fewer at the end of the board.
    ///
    /// # Errors
    /// As [`rank`](Self::rank), and [`LeaderboardError::TooMany`].
    pub async fn page(&self, skip: u64, count: u64) -> Result<Vec<Standing<M>>, LeaderboardError> {
        check_batch(count)?;
        let skip = skip.min(RANK_MAX);
        let (_, found) = self.range("page", &skip.to_string(), count).await?;
        Ok(found.unwrap_or_default())
    }

    /// A member with up to `count` places above it and as many below, in order; `None` if it is not on the board.
    ///
    /// # Errors
    /// As [`page`](Self::page).
    pub async fn around(&self, member: &M, count: u64) -> Result<Option<Vec<Standing<M>>>, LeaderboardError> {
        check_batch(count.saturating_mul(2).saturating_add(1))?;
        let (_, found) = self.range("around", written(member)?.as_str(), count).await?;
        Ok(found)
    }

    /// How many are on the board.
    ///
    /// # Errors
    /// As [`rank`](Self::rank).
    pub async fn count(&self) -> Result<u64, LeaderboardError> {
        let (count, _) = self.range("page", "0", 0).await?;
        Ok(count)
    }

    /// Takes a member off the board; whether it was on it.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub async fn remove(&self, member: &M) -> Result<bool, LeaderboardError> {
        Ok(self.remove_many(std::slice::from_ref(member)).await? == 1)
    }

    /// Takes members off the board, at most [`BATCH_MAX`](super::BATCH_MAX); how many were on it.
    ///
    /// # Errors
    /// As [`set`](Self::set), and [`LeaderboardError::TooMany`].
    pub async fn remove_many(&self, members: &[M]) -> Result<u64, LeaderboardError> {
        check_batch(members.len() as u64)?;
        let names = members.iter().map(written).collect::<Result<Vec<_>, _>>()?;
        self.take_off("some", |call| {
            names.iter().fold(call, |call, name| call.arg(name.as_str()))
        })
        .await
    }

    /// Empties the board; how many were on it.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub async fn clear(&self) -> Result<u64, LeaderboardError> {
        self.take_off("all", |call| call).await
    }

    async fn take_off(
        &self,
        which: &'static str,
        with: impl Fn(ScriptCall) -> ScriptCall + Send + Sync,
    ) -> Result<u64, LeaderboardError> {
        self.check_open()?;
        let make = |span| with(self.call(&REMOVE, span).arg(which));
        let reply = self.counted(self.inner.windows.run(&self.inner.store, make).await)?;
        let removed = reply::integer(&reply::items(&reply, 2, REMOVE.name())?[1])?.unsigned_abs();
        self.inner.tally.add(CHANGED, removed);
        Ok(removed)
    }

    async fn score_by(&self, how: &'static str, member: &M, score: f64) -> Result<Scored, LeaderboardError> {
        let pair = (written(member)?.as_str().to_owned(), finite(score)?);
        let scored = read_scored(&self.update(how, &[pair]).await?.0)?;
        Ok(scored)
    }

    /// The reply to a batch that was written, and how many of it changed.
    async fn update(&self, how: &'static str, pairs: &[(String, String)]) -> Result<(Value, u64), LeaderboardError> {
        self.check_open()?;
        let make = |span| {
            let call = self
                .call(&UPDATE, span)
                .int(self.inner.keep)
                .arg(how)
                .arg(flag(self.inner.high));
            pairs.iter().fold(call, |call, (name, score)| call.arg(name).arg(score))
        };
        let reply = self.counted(self.inner.windows.run(&self.inner.store, make).await)?;
        let items = reply::items(&reply, 1, UPDATE.name())?;
        match (reply::integer(&items[0])?, items) {
            (2, _) => Err(LeaderboardError::NotFinite),
            (3, _) => Err(LeaderboardError::Damaged),
            (1, [_, changed] | [_, _, changed, _]) => {
                let changed = reply::integer(changed)?.unsigned_abs();
                self.inner.tally.add(CHANGED, changed);
                self.inner.tally.add(KEPT, (pairs.len() as u64).saturating_sub(changed));
                Ok((reply, changed))
            }
            _ => Err(reply::unexpected(UPDATE.name()).into()),
        }
    }

    /// How many are on the board, and a piece of it.
    async fn range(
        &self,
        which: &'static str,
        from: &str,
        count: u64,
    ) -> Result<(u64, Option<Vec<Standing<M>>>), LeaderboardError> {
        let reply = self
            .read(|span| {
                let call = self.call(&RANGE, span).arg(flag(self.inner.high));
                call.arg(which).arg(from).int(count as i64)
            })
            .await?;
        let items = reply::items(&reply, 3, RANGE.name())?;
        let total = reply::integer(&items[1])?.unsigned_abs();
        let Some(first) = entry::rank(&items[2])? else {
            return Ok((total, None));
        };
        Ok((total, Some(entry::standings(&items[3..], first, RANGE.name())?)))
    }

    async fn read(&self, make: impl Fn(Span) -> ScriptCall + Send) -> Result<Value, LeaderboardError> {
        self.inner.tally.count(READS);
        Ok(self.inner.windows.run(&self.inner.store, make).await?)
    }

    /// A call with the board's keys, while `open` is the window that is open.
    fn call(&self, script: &'static Script, open: Span) -> ScriptCall {
        let order = self.key(open);
        let stamps = format!("{order}#stamps");
        altered::call(script)
            .key(order)
            .key(stamps)
            .int(open.from)
            .int(open.until)
    }

    /// The key of the order, while `open` is the window that is open.
    pub(super) fn key(&self, open: Span) -> String {
        let Inner {
            stem, name, windows, ..
        } = &*self.inner;
        let window = windows
            .window()
            .map(|window| window.name(window.at(open.from, self.ago)));
        format!("{stem}{name}{}", window.unwrap_or_default())
    }

    fn check_open(&self) -> Result<(), LeaderboardError> {
        match self.inner.windows.window() {
            Some(_) if self.ago > 0 => Err(LeaderboardError::Over),
            _ => Ok(()),
        }
    }

    fn counted(&self, outcome: Result<Value, StoreError>) -> Result<Value, StoreError> {
        if outcome.is_err() {
            self.inner.tally.count(FAILED);
        }
        outcome
    }
}

/// No board has more members.
const RANK_MAX: u64 = 1 << 53;

const fn flag(is_so: bool) -> &'static str {
    if is_so { "1" } else { "0" }
}

/// A score as text that reads back as the same number.
fn finite(score: f64) -> Result<String, LeaderboardError> {
    if !score.is_finite() {
        return Err(LeaderboardError::NotFinite);
    }
    // Of the two zeros there is one.
    Ok(format!("{:e}", score + 0.0))
}

const fn check_batch(asked: u64) -> Result<(), LeaderboardError> {
    if asked > BATCH_MAX {
        return Err(LeaderboardError::TooMany { asked });
    }
    Ok(())
}

fn read_scored(reply: &Value) -> Result<Scored, LeaderboardError> {
    let items = reply::items(reply, 4, UPDATE.name())?;
    Ok(Scored {
        score: entry::score(&items[1])?,
        changed: reply::integer(&items[2])? == 1,
        rank: entry::rank(&items[3])?.ok_or_else(|| reply::unexpected(UPDATE.name()))?,
    })
}
