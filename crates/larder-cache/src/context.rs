//! What a loader may say beside the value, and what it may know.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

/// What a loader returned.
#[derive(Clone, Debug)]
pub struct Loaded<V>(pub(crate) Kind<V>);

#[derive(Clone, Debug)]
pub(crate) enum Kind<V> {
    Value(V),
    /// The value that the loader was given back as it is.
    Unmodified,
    Absent,
}

impl<V> From<V> for Loaded<V> {
    fn from(value: V) -> Self {
        Self(Kind::Value(value))
    }
}

impl<V> From<Option<V>> for Loaded<V> {
    fn from(value: Option<V>) -> Self {
        Self(value.map_or(Kind::Absent, Kind::Value))
    }
}

/// Handed to the loader of [`Cache::get_or_load_with`](crate::Cache::get_or_load_with). A cheap clone.
pub struct LoadContext<V> {
    previous: Option<Arc<V>>,
    notes: Arc<Mutex<Notes>>,
}

/// What the loader said about the value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) tags: Vec<String>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) version: u64,
}

impl<V> Clone for LoadContext<V> {
    fn clone(&self) -> Self {
        Self {
            previous: self.previous.clone(),
            notes: self.notes.clone(),
        }
    }
}

impl<V> std::fmt::Debug for LoadContext<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadContext")
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

impl<V> LoadContext<V> {
    pub(crate) fn new(previous: Option<Arc<V>>) -> Self {
        Self {
            previous,
            notes: Arc::default(),
        }
    }

    pub(crate) fn notes(&self) -> Notes {
        self.notes.lock().clone()
    }

    /// Tags the value, beside what the cache's `tags` finds. At most 64 tags of 1 to 255 bytes.
    pub fn tag(&self, tag: impl Into<String>) {
        self.notes.lock().tags.push(tag.into());
    }

    /// Gives the value a TTL of its own.
    pub fn ttl(&self, ttl: Duration) {
        self.notes.lock().ttl = Some(ttl);
    }

    /// The version that the source gives the row: a fill with an older one is refused. 0 is none.
    pub fn version(&self, version: u64) {
        self.notes.lock().version = version;
    }

    /// The value that this load replaces, if it is still in the store: for conditional requests.
    #[must_use]
    pub const fn previous(&self) -> Option<&Arc<V>> {
        self.previous.as_ref()
    }

    /// "The previous value is still right": it becomes fresh again without being sent. Without a
    /// [`previous`](Self::previous) value this fails the load.
    #[must_use]
    pub const fn not_modified(&self) -> Loaded<V> {
        Loaded(Kind::Unmodified)
    }

    /// "There is none": remembered for `negative_ttl`.
    #[must_use]
    pub const fn absent(&self) -> Loaded<V> {
        Loaded(Kind::Absent)
    }
}
