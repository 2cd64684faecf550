//! One item to many timelines, in chunks.

use std::fmt;

use larder_base::{CacheKey, WrittenKey};
use larder_store::StoreError;
use redis::Value;

use super::{
    CHANGED, CHUNK, FAILED, KEPT, Timeline, TimelineError,
    item::{position, written},
    timeline::{Counts, read_removed},
};

/// One item on its way into, or out of, many timelines. Nothing is sent until it is asked for: chunk by chunk with
/// [`next`](Self::next), or all of it with [`finish`](Self::finish).
#[must_use = "nothing is sent before `next` or `finish`"]
pub struct FanOut<O, I> {
    timeline: Timeline<O, I>,
    item: WrittenKey,
    /// The position of an item that comes; `None` for one that goes.
    at: Option<u64>,
    owners: Box<dyn Iterator<Item = O> + Send>,
    done: u64,
}

/// What became of one chunk.
#[derive(Debug)]
#[non_exhaustive]
pub struct Chunk<O> {
    /// Timelines into which the item came, or out of which it went.
    pub changed: u64,
    /// Timelines that had it already, or have removed it or keep only newer ones; or that did not have it.
    pub kept: u64,
    /// Timelines that the store did not answer for, and what it said. Sending the item to them again does no harm.
    pub failed: Vec<(O, StoreError)>,
    /// How many timelines have been sent to so far, this chunk included.
    pub done: u64,
}

/// What became of all of them.
#[derive(Debug)]
#[non_exhaustive]
pub struct FannedOut<O> {
    /// As of [`Chunk`].
    pub changed: u64,
    /// As of [`Chunk`].
    pub kept: u64,
    /// As of [`Chunk`], of all chunks.
    pub failed: Vec<(O, StoreError)>,
}

impl<O, I> fmt::Debug for FanOut<O, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FanOut")
            .field("timeline", &self.timeline)
            .field("item", &self.item.as_str())
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

impl<O: CacheKey, I: CacheKey> Timeline<O, I> {
    /// Adds an item to the timelines of `owners`: a post to those of everybody who follows its author. As
    /// [`append`](Self::append) does for each.
    ///
    /// # Errors
    /// [`TimelineError::ItemTooLong`], [`TimelineError::BadPosition`].
    pub fn fan_out<F>(&self, item: &I, at: u64, owners: F) -> Result<FanOut<O, I>, TimelineError>
    where
        F: IntoIterator<Item = O, IntoIter: Send + 'static>,
    {
        self.fanning_out(item, Some(position(at)?), owners)
    }

    /// Removes an item from the timelines of `owners`, as [`remove`](Self::remove) does: also where a fan-out that is
    /// under way has yet to bring it.
    ///
    /// # Errors
    /// [`TimelineError::ItemTooLong`].
    pub fn retract<F>(&self, item: &I, owners: F) -> Result<FanOut<O, I>, TimelineError>
    where
        F: IntoIterator<Item = O, IntoIter: Send + 'static>,
    {
        self.fanning_out(item, None, owners)
    }

    fn fanning_out<F>(&self, item: &I, at: Option<u64>, owners: F) -> Result<FanOut<O, I>, TimelineError>
    where
        F: IntoIterator<Item = O, IntoIter: Send + 'static>,
    {
        Ok(FanOut {
            timeline: self.clone(),
            item: written(item)?,
            at,
            owners: Box::new(owners.into_iter()),
            done: 0,
        })
    }
}

impl<O: CacheKey, I: CacheKey> FanOut<O, I> {
    /// Sends to the next [`CHUNK`](super::CHUNK) timelines, in one round trip; `None` when all were sent to.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the answers of a chunk, which may have been done; the next call goes on with the next
    /// chunk.
    pub async fn next(&mut self) -> Option<Chunk<O>> {
        let owners: Vec<O> = self.owners.by_ref().take(CHUNK).collect();
        if owners.is_empty() {
            return None;
        }
        self.done += owners.len() as u64;
        let calls: Vec<_> = owners.iter().map(|owner| self.call(owner)).collect();
        let results = self.timeline.inner.store.call_many(&calls).await;
        let mut chunk = Chunk {
            changed: 0,
            kept: 0,
            failed: Vec::new(),
            done: self.done,
        };
        for (owner, result) in owners.into_iter().zip(results) {
            match result.and_then(|reply| self.has_changed(&reply)) {
                Ok(true) => chunk.changed += 1,
                Ok(false) => chunk.kept += 1,
                Err(error) => chunk.failed.push((owner, error)),
            }
        }
        let tally = &self.timeline.inner.tally;
        tally.add(CHANGED, chunk.changed);
        tally.add(KEPT, chunk.kept);
        tally.add(FAILED, chunk.failed.len() as u64);
        Some(chunk)
    }

    /// Sends to all that are left, and says what became of them.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the rest unsent. Sending to all again does no harm.
    pub async fn finish(mut self) -> FannedOut<O> {
        let mut all = FannedOut {
            changed: 0,
            kept: 0,
            failed: Vec::new(),
        };
        while let Some(chunk) = self.next().await {
            all.changed += chunk.changed;
            all.kept += chunk.kept;
            all.failed.extend(chunk.failed);
        }
        all
    }

    fn call(&self, owner: &O) -> larder_store::ScriptCall {
        match self.at {
            Some(at) => self
                .timeline
                .adding(owner, "add")
                .arg(self.item.as_str())
                .int(at as i64),
            None => self.timeline.removing(owner, true).arg(self.item.as_str()),
        }
    }

    fn has_changed(&self, reply: &Value) -> Result<bool, StoreError> {
        match self.at {
            Some(_) => Ok(Counts::read(reply)?.added > 0),
            None => Ok(read_removed(reply)? > 0),
        }
    }
}
