//! Invalidations: `Ok` means that the store acknowledged them (protocol 0, rule 7).

use larder_base::{CacheKey, WrittenKey};

use crate::{
    Error,
    core::Core,
    layout::Changed,
    owed::{Deed, Owed},
    own_write::OwnWrite,
    partition::MetaWrite,
    settings::TAG_BYTES,
};

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// Hard invalidation of `keys`, pipelined.
    pub(crate) async fn invalidate(&self, keys: &[K]) -> Result<(), Error> {
        self.invalidate_by(keys, Deed::Drop).await
    }

    /// Soft expiry of `keys`.
    pub(crate) async fn mark_stale(&self, keys: &[K]) -> Result<(), Error> {
        self.invalidate_by(keys, Deed::Age).await
    }

    async fn invalidate_by(&self, keys: &[K], deed: Deed) -> Result<(), Error> {
        let writing = self.writing(keys);
        let owed = keys.iter().map(|key| Owed::Entry(self.layout.address(key).e, deed));
        let sent = self.deliver(owed.collect()).await;
        writing.changed();
        self.detach(keys);
        self.told(|| described(keys.len()), sent).await
    }

    /// Invalidates every value with one of `tags`.
    pub(crate) async fn invalidate_tags(&self, tags: &[String]) -> Result<(), Error> {
        if let Some(bad) = tags.iter().find(|tag| tag.is_empty() || tag.len() > TAG_BYTES) {
            return Err(Error::config(format!(
                "a tag has 1 to {TAG_BYTES} bytes, not {}",
                bad.len()
            )));
        }
        let writing = self.writing_metas();
        let owed = tags.iter().map(|tag| Owed::Tag(tag.as_str().into()));
        let sent = self.deliver(owed.collect()).await;
        drop(writing);
        self.detach_all();
        self.told(|| format!("{} tags", tags.len()), sent).await
    }

    /// A new incarnation for every partition: nothing stored or leased before is valid.
    pub(crate) async fn clear(&self) -> Result<(), Error> {
        let writing = self.writing_metas();
        let sent = self.deliver(vec![Owed::All]).await;
        drop(writing);
        self.detach_all();
        self.near.clear();
        self.told(|| "the whole namespace".to_owned(), sent).await
    }

    /// To be called before a write of `keys` is sent: who asks from now on asks the store, and nothing that is read before
    /// the write is over is kept. What still runs when it is over may be from before it: [`detach`](Self::detach) it then.
    pub(crate) fn writing<'a>(&'a self, keys: &'a [K]) -> OwnWrite<'a, K, V> {
        self.detach(keys);
        self.near.writing(keys, None)
    }

    /// The same for a write that concerns tags or the whole namespace.
    fn writing_metas(&self) -> Option<MetaWrite<'_>> {
        self.detach_all();
        self.near.writing_metas()
    }

    /// Lets what is being read or loaded of `keys` go on for those who joined it, and for nobody else.
    pub(crate) fn detach(&self, keys: &[K]) {
        for key in keys {
            self.loads.detach(key);
            self.peeks.detach(key);
        }
    }

    /// The same for all keys.
    pub(crate) fn detach_all(&self) {
        self.loads.detach_all();
        self.peeks.detach_all();
    }

    /// Drops near copies and detaches flights: whoever asks from now on asks the store.
    pub(crate) fn forget(&self, keys: &[K]) {
        self.detach(keys);
        keys.iter().for_each(|key| self.near.changed(key));
    }

    /// Drops every near copy, also those whose partition turns out to be unchanged: the store has not done it yet.
    pub(crate) fn forget_everything(&self) {
        self.detach_all();
        self.near.drop_all();
    }

    /// Drops what is cached in this process of what an invalidation concerns.
    pub(crate) fn forget_owed(&self, owed: &Owed) {
        let Owed::Entry(e, _) = owed else {
            return self.forget_everything();
        };
        match self.key_of(e) {
            Some(key) => self.forget(std::slice::from_ref(&key)),
            None => self.detach_all(),
        }
    }

    /// The key of an entry; `None` if it is stored as a digest, which nobody can turn back, and no copy is kept of it.
    pub(crate) fn key_of(&self, e: &[u8]) -> Option<K> {
        match self.layout.changed(e)? {
            Changed::Entry(written) => WrittenKey::parse::<K>(written),
            Changed::Meta(_) => None,
        }
    }
}

fn described(keys: usize) -> String {
    if keys == 1 {
        "one key".to_owned()
    } else {
        format!("{keys} keys")
    }
}
