//! The handle.

use std::{fmt, marker::PhantomData, sync::Arc};

use larder_base::CacheKey;
use larder_store::{Script, ScriptCall, Store, StoreError};
use redis::Value;

use super::{
    Added, CHANGED, Cursor, FAILED, KEPT, PAGE_MAX, Page, READS, REMOVED_FOR, REMOVED_MAX, TimelineBuilder,
    TimelineError,
    item::{position, raw, written},
};
use crate::{altered, figures::Tally, names::Namespace, reply};

static ADD: Script = Script::new("timeline_add", include_str!("add.lua"));
static REMOVE: Script = Script::new("timeline_remove", include_str!("remove.lua"));
pub(super) static PAGE: Script = Script::new("timeline_page", include_str!("page.lua"));

/// The timelines of owners `O`, such as users, with items `I`, such as ids of posts. A cheap clone.
pub struct Timeline<O, I> {
    pub(super) inner: Arc<Inner>,
    kinds: PhantomData<fn() -> (O, I)>,
}

pub(super) struct Inner {
    pub(super) namespace: Namespace,
    pub(super) store: Store,
    pub(super) capacity: usize,
    /// Milliseconds; 0 is for ever.
    pub(super) keep: i64,
    pub(super) tally: Arc<Tally>,
}

impl<O, I> Clone for Timeline<O, I> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            kinds: PhantomData,
        }
    }
}

impl<O, I> fmt::Debug for Timeline<O, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timeline").field(&self.inner.namespace.text()).finish()
    }
}

impl<O: CacheKey, I: CacheKey> Timeline<O, I> {
    /// Begins timelines in `namespace`, which is `[a-z0-9_.-]+`.
    pub fn builder(namespace: impl Into<String>) -> TimelineBuilder<O, I> {
        TimelineBuilder::new(namespace.into())
    }

    pub(super) fn of(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            kinds: PhantomData,
        }
    }

    /// Adds an item at a position below 2^53, which is the same wherever the item is added: when it was made, in ms or µs since
    /// 1970, or the number of its row. One round trip.
    ///
    /// An item that is there stays where it is. One that was [removed](Self::remove) within ten minutes stays removed.
    ///
    /// # Errors
    /// [`TimelineError`]. It may be repeated after any error of the store.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the answer; it may have been done. So with every write.
    pub async fn append(&self, owner: &O, item: &I, at: u64) -> Result<Added, TimelineError> {
        let (item, at) = (written(item)?, position(at)?);
        let call = self.adding(owner, "add").arg(item.as_str()).int(at as i64);
        let counts = Counts::read(&self.run(&call).await?)?;
        counts.tell(&self.inner.tally);
        Ok(counts.of_one())
    }

    /// Puts an item at the front, wherever it was, by the server's clock in microseconds: what was looked at last, say. Of two calls at once the
    /// one that the server has later is at the front. A timeline is either touched or appended to. One round trip.
    ///
    /// # Errors
    /// [`TimelineError`].
    pub async fn touch(&self, owner: &O, item: &I) -> Result<(), TimelineError> {
        let item = written(item)?;
        let call = self.adding(owner, "touch").arg(item.as_str()).int(0);
        Counts::read(&self.run(&call).await?)?.tell(&self.inner.tally);
        Ok(())
    }

    /// The newest `count` items after `after`, or from the front; at most [`PAGE_MAX`](super::PAGE_MAX). One round trip.
    ///
    /// Following the cursors shows every item that is there all the while once, whatever comes in, is removed or falls off
    /// the end meanwhile. What comes in at a position that was passed already is on no later page.
    ///
    /// # Errors
    /// [`TimelineError`].
    pub async fn page(&self, owner: &O, after: Option<&Cursor>, count: usize) -> Result<Page<I>, TimelineError> {
        if count > PAGE_MAX {
            return Err(TimelineError::TooMany);
        }
        self.inner.tally.count(READS);
        let reply = self.inner.store.call(&self.reading(owner, after, count)).await?;
        Page::of(&raw(&reply, PAGE.name())?, count)
    }

    /// How many items there are. One round trip.
    ///
    /// # Errors
    /// [`TimelineError::Store`].
    pub async fn count(&self, owner: &O) -> Result<u64, TimelineError> {
        self.inner.tally.count(READS);
        let mut store = self.inner.store.clone();
        let count = redis::cmd("ZCARD").arg(self.key(owner)).query_async(&mut store).await;
        Ok(count.map_err(StoreError::from)?)
    }

    /// Removes an item; whether it was there. For ten minutes from then ([`REMOVED_FOR`](super::REMOVED_FOR)) it is
    /// not added again, so that neither a fan-out nor a rebuild that is under way brings it back. One round trip.
    ///
    /// # Errors
    /// [`TimelineError`]. It may be repeated.
    pub async fn remove(&self, owner: &O, item: &I) -> Result<bool, TimelineError> {
        let item = written(item)?;
        let removed = read_removed(&self.run(&self.removing(owner, true).arg(item.as_str())).await?)?;
        self.inner.tally.add(if removed == 0 { KEPT } else { CHANGED }, 1);
        Ok(removed > 0)
    }

    /// Removes a whole timeline, and what it remembers; whether there was anything.
    ///
    /// # Errors
    /// [`TimelineError::Store`].
    pub async fn clear(&self, owner: &O) -> Result<bool, TimelineError> {
        let mut store = self.inner.store.clone();
        let key = self.key(owner);
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(gone(&key)).arg(key);
        let removed: u64 = self.counted(unlink.query_async(&mut store).await.map_err(StoreError::from))?;
        Ok(removed > 0)
    }

    pub(super) fn adding(&self, owner: &O, how: &'static str) -> ScriptCall {
        self.adding_to(&self.key(owner), how)
    }

    pub(super) fn adding_to(&self, key: &str, how: &'static str) -> ScriptCall {
        let Inner { keep, capacity, .. } = *self.inner;
        altered::call(&ADD)
            .key(key)
            .key(gone(key))
            .int(keep)
            .int(capacity as i64)
            .arg(how)
    }

    pub(super) fn removing(&self, owner: &O, is_remembered: bool) -> ScriptCall {
        self.removing_from(&self.key(owner), is_remembered)
    }

    pub(super) fn removing_from(&self, key: &str, is_remembered: bool) -> ScriptCall {
        let remember = if is_remembered {
            REMOVED_FOR.as_millis() as i64
        } else {
            0
        };
        altered::call(&REMOVE)
            .key(key)
            .key(gone(key))
            .int(remember)
            .int(REMOVED_MAX as i64)
    }

    pub(super) fn reading(&self, owner: &O, after: Option<&Cursor>, count: usize) -> ScriptCall {
        let call = altered::call(&PAGE).key(self.key(owner));
        let call = match after {
            Some(cursor) => call.int(cursor.at as i64).arg(&*cursor.item),
            None => call.arg("").arg(""),
        };
        call.int(count as i64)
    }

    pub(super) fn key(&self, owner: &O) -> String {
        self.inner.namespace.stem("timeline", owner)
    }

    async fn run(&self, call: &ScriptCall) -> Result<Value, StoreError> {
        self.counted(self.inner.store.call(call).await)
    }

    fn counted<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if outcome.is_err() {
            self.inner.tally.count(FAILED);
        }
        outcome
    }
}

/// Where it is remembered what was removed.
fn gone(key: &str) -> String {
    format!("{key}#gone")
}

pub(super) fn read_removed(reply: &Value) -> Result<u64, StoreError> {
    Ok(reply::integer(&reply::items(reply, 1, REMOVE.name())?[0])?.unsigned_abs())
}

/// What became of items that were added.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) added: u64,
    pub(super) known: u64,
    pub(super) removed: u64,
    pub(super) old: u64,
}

impl Counts {
    pub(super) fn read(reply: &Value) -> Result<Self, StoreError> {
        let items = reply::items(reply, 4, ADD.name())?;
        let count = |at: usize| reply::integer(&items[at]).map(i64::unsigned_abs);
        Ok(Self {
            added: count(0)?,
            known: count(1)?,
            removed: count(2)?,
            old: count(3)?,
        })
    }

    pub(super) const fn kept(&self) -> u64 {
        self.known + self.removed + self.old
    }

    pub(super) fn tell(&self, tally: &Tally) {
        tally.add(CHANGED, self.added);
        tally.add(KEPT, self.kept());
    }

    const fn of_one(&self) -> Added {
        match self {
            Self { added: 1.., .. } => Added::New,
            Self { known: 1.., .. } => Added::Known,
            Self { removed: 1.., .. } => Added::Removed,
            Self { .. } => Added::TooOld,
        }
    }
}
