//! Fan-out on read: a page of many timelines together.

use larder_base::CacheKey;

use super::{
    AUTHORS_MAX, CHUNK, Cursor, MERGED_MAX, PAGE_MAX, Page, READS, Timeline, TimelineError,
    item::{Raw, raw},
    timeline::PAGE,
};

impl<O: CacheKey, I: CacheKey> Timeline<O, I> {
    /// The newest `count` items of several timelines together, after `after` or from the front: those of everybody somebody follows,
    /// where an author has too many followers for a [`fan_out`](Self::fan_out). An item that is in several
    /// of them, at the same position, is shown once. Cursors are good for any mix of timelines.
    ///
    /// Reads up to `count` items of each, in one round trip for every [`CHUNK`](super::CHUNK) timelines.
    ///
    /// # Errors
    /// [`TimelineError::TooMany`] for more than 1,000 timelines, or 100,000 items to read; or the store's, for all if it fails for one.
    pub async fn merged(&self, owners: &[O], after: Option<&Cursor>, count: usize) -> Result<Page<I>, TimelineError> {
        let reads = owners.len().saturating_mul(count);
        if count > PAGE_MAX || owners.len() > AUTHORS_MAX || reads > MERGED_MAX {
            return Err(TimelineError::TooMany);
        }
        self.inner.tally.count(READS);
        let mut replies = Vec::with_capacity(owners.len());
        for chunk in owners.chunks(CHUNK) {
            let calls: Vec<_> = chunk.iter().map(|owner| self.reading(owner, after, count)).collect();
            for reply in self.inner.store.call_many(&calls).await {
                replies.push(reply?);
            }
        }
        let mut found: Vec<Raw<'_>> = Vec::new();
        for reply in &replies {
            found.extend(raw(reply, PAGE.name())?);
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        found.dedup();
        found.truncate(count);
        Page::of(&found, count)
    }
}
