//! Invalidations: `Ok` means that the store acknowledged them (protocol 0, rule 7).

use larder_base::{CacheKey, WrittenKey};

use crate::{
    Error,
    core::Core,
    deliver::pending,
    layout::Changed,
    owed::{Deed, Owed},
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
        self.forget(keys);
        let owed = keys.iter().map(|key| Owed::Entry(self.layout.address(key).e, deed));
        let sent = self.deliver(owed.collect()).await;
        // Again: what this process read in between may have been read before the store did it.
        self.forget(keys);
        sent.map_err(|source| pending(described(keys.len()), source))
    }

    /// Invalidates every value with one of `tags`.
    pub(crate) async fn invalidate_tags(&self, tags: &[String]) -> Result<(), Error> {
        if let Some(bad) = tags.iter().find(|tag| tag.is_empty() || tag.len() > TAG_BYTES) {
            return Err(Error::config(format!(
                "a tag has 1 to {TAG_BYTES} bytes, not {}",
                bad.len()
            )));
        }
        self.forget_all();
        let owed = tags.iter().map(|tag| Owed::Tag(tag.as_str().into()));
        let sent = self.deliver(owed.collect()).await;
        self.forget_all();
        sent.map_err(|source| pending(format!("{} tags", tags.len()), source))
    }

    /// A new incarnation for every partition: nothing stored or leased before is valid.
    pub(crate) async fn clear(&self) -> Result<(), Error> {
        self.forget_all();
        let sent = self.deliver(vec![Owed::All]).await;
        self.forget_all();
        self.near.clear();
        sent.map_err(|source| pending("the whole namespace", source))
    }

    /// Drops near copies and detaches flights: whoever asks from now on asks the store.
    pub(crate) fn forget(&self, keys: &[K]) {
        for key in keys {
            self.loads.detach(key);
            self.peeks.detach(key);
            self.near.own_write(key, None);
        }
    }

    /// The same for every key that a tag may concern.
    pub(crate) fn forget_all(&self) {
        self.loads.detach_all();
        self.peeks.detach_all();
        self.near.own_meta_write();
    }

    /// Drops every near copy, also those whose partition turns out to be unchanged: the store has not done it yet.
    pub(crate) fn forget_everything(&self) {
        self.loads.detach_all();
        self.peeks.detach_all();
        self.near.drop_all();
    }

    /// Drops what is cached in this process of what an invalidation concerns.
    pub(crate) fn forget_owed(&self, owed: &Owed) {
        let Owed::Entry(e, _) = owed else {
            return self.forget_everything();
        };
        let Some(Changed::Entry(written)) = self.layout.changed(e) else {
            return;
        };
        match WrittenKey::parse::<K>(written) {
            Some(key) => self.forget(std::slice::from_ref(&key)),
            // A digest: nobody can turn it back into the key.
            None => self.forget_everything(),
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
