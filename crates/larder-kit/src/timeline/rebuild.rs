//! A timeline made anew from its source, beside everything else that happens to it.

use std::{collections::HashSet, fmt};

use larder_base::CacheKey;
use redis::Value;

use super::{
    CHUNK, Timeline, TimelineError,
    item::{position, raw, written},
    timeline::{Counts, PAGE, read_removed},
};
use crate::altered;

/// A timeline that is being rebuilt: what was in it when that began.
///
/// The source is read between [`Timeline::rebuild`] and [`finish`](Self::finish). So whatever was appended before the source was
/// read is in the source, and whatever is appended after that is not among what was there when it began, and stays.
#[must_use = "nothing is written before `finish`"]
pub struct Rebuild<O, I> {
    timeline: Timeline<O, I>,
    key: String,
    before: Vec<Vec<u8>>,
}

/// What a rebuild did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Items that were missing.
    pub added: u64,
    /// Items that were there.
    pub known: u64,
    /// Items that the source does not have, and that are gone now.
    pub dropped: u64,
}

impl<O, I> fmt::Debug for Rebuild<O, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rebuild")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl<O: CacheKey, I: CacheKey> Timeline<O, I> {
    /// Begins to rebuild a timeline, which is lost or doubted. Read the source after this, from where writes are seen at
    /// once, and then [`finish`](Rebuild::finish). Any number may do it at once.
    ///
    /// # Errors
    /// [`TimelineError::Store`].
    pub async fn rebuild(&self, owner: &O) -> Result<Rebuild<O, I>, TimelineError> {
        let key = self.key(owner);
        let all = altered::call(&PAGE)
            .key(&key)
            .arg("")
            .arg("")
            .int(self.inner.capacity as i64);
        let reply = self.inner.store.call(&all).await?;
        Ok(Rebuild {
            timeline: self.clone(),
            key,
            before: raw(&reply, PAGE.name())?
                .into_iter()
                .map(|raw| raw.item.to_vec())
                .collect(),
        })
    }
}

impl<O: CacheKey, I: CacheKey> Rebuild<O, I> {
    /// Makes the timeline what the source has, in any order, and what was appended meanwhile. Of the source only the newest as many as the
    /// capacity are taken; items that it does not have and that were there when this began go. One round trip, of several steps:
    /// a reader in between may see an item of both.
    ///
    /// # Errors
    /// [`TimelineError`]. It was done in part then; rebuild again.
    ///
    /// # Cancel safety
    /// As after an error.
    pub async fn finish<S>(self, source: S) -> Result<Rebuilt, TimelineError>
    where
        S: IntoIterator<Item = (I, u64)>,
    {
        let calls = self.calls(source)?;
        let mut rebuilt = Rebuilt {
            added: 0,
            known: 0,
            dropped: 0,
        };
        for (is_add, reply) in calls
            .is_add
            .iter()
            .zip(self.timeline.inner.store.call_many(&calls.calls).await)
        {
            let reply: Value = reply?;
            if *is_add {
                let counts = Counts::read(&reply)?;
                counts.tell(&self.timeline.inner.tally);
                rebuilt.added += counts.added;
                rebuilt.known += counts.known;
            } else {
                rebuilt.dropped += read_removed(&reply)?;
            }
        }
        Ok(rebuilt)
    }

    fn calls<S>(&self, source: S) -> Result<Calls, TimelineError>
    where
        S: IntoIterator<Item = (I, u64)>,
    {
        let read = |(item, at): (I, u64)| Ok((position(at)?, written(&item)?.as_str().to_owned()));
        let mut items = source
            .into_iter()
            .map(read)
            .collect::<Result<Vec<_>, TimelineError>>()?;
        items.sort_unstable_by(|one, other| other.cmp(one));
        items.truncate(self.timeline.inner.capacity);
        let has: HashSet<&[u8]> = items.iter().map(|(_, item)| item.as_bytes()).collect();
        let stale: Vec<&Vec<u8>> = self
            .before
            .iter()
            .filter(|item| !has.contains(item.as_slice()))
            .collect();
        let mut calls = Calls::default();
        // Those that go first, so that they are not in the way of older ones.
        for chunk in stale.chunks(CHUNK) {
            let call = self.timeline.removing_from(&self.key, false);
            calls.push(false, chunk.iter().fold(call, larder_store::ScriptCall::arg));
        }
        for chunk in items.chunks(CHUNK) {
            let call = self.timeline.adding_to(&self.key, "add");
            calls.push(
                true,
                chunk
                    .iter()
                    .fold(call, |call, (at, item)| call.arg(item).int(*at as i64)),
            );
        }
        Ok(calls)
    }
}

/// The steps of a rebuild.
#[derive(Default)]
struct Calls {
    calls: Vec<larder_store::ScriptCall>,
    is_add: Vec<bool>,
}

impl Calls {
    fn push(&mut self, is_add: bool, call: larder_store::ScriptCall) {
        self.calls.push(call);
        self.is_add.push(is_add);
    }
}
