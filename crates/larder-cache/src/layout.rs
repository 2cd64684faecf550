//! Where things stand in the store: the keys of an entry and of its partition (protocol 1.1).
//!
//! All keys of a partition share the hash tag `{ns.p}`, hence one slot: every script touches one partition
//! alone. 64 is a constant of the format, so there is no setting to lose: another number is another prefix.

use std::sync::Arc;

use bytes::Bytes;
use larder_base::{CacheKey, KeyLabel, WrittenKey};
use xxhash_rust::xxh3::xxh3_64;

/// How many partitions a namespace has. Part of the format.
pub(crate) const PARTITIONS: usize = 64;

/// The keys of one namespace.
#[derive(Debug)]
pub(crate) struct Layout {
    namespace: Arc<str>,
    partitions: Vec<Partition>,
}

/// The keys that all entries of one partition share.
#[derive(Debug)]
pub(crate) struct Partition {
    entry_prefix: String,
    counter_prefix: String,
    /// Incarnation and tag sequence.
    pub(crate) m: Bytes,
    /// Young tag stamps.
    pub(crate) t0: Bytes,
    /// Aged tag stamps.
    pub(crate) t1: Bytes,
    /// The log of invalidations, in coherence mode Log alone.
    pub(crate) l: Bytes,
    /// The marker that lets one process age the stamps once per longest hard TTL.
    pub(crate) g: Bytes,
}

/// One entry's place: computed once per call.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) written: WrittenKey,
    pub(crate) partition: u8,
    pub(crate) e: Bytes,
}

/// What a key that the store says has changed stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changed<'a> {
    /// An entry; its written key.
    Entry(&'a [u8]),
    /// The incarnation or tag sequence of a partition.
    Meta(u8),
}

impl Layout {
    pub(crate) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.into(),
            partitions: (0..PARTITIONS).map(|p| Partition::new(namespace, p)).collect(),
        }
    }

    pub(crate) fn namespace(&self) -> &Arc<str> {
        &self.namespace
    }

    pub(crate) fn partition(&self, p: u8) -> &Partition {
        &self.partitions[usize::from(p)]
    }

    pub(crate) fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// Where `key` stands.
    pub(crate) fn address<K: CacheKey>(&self, key: &K) -> Address {
        let written = WrittenKey::of(key);
        let partition = partition_of(written.as_str());
        let prefix = &self.partition(partition).entry_prefix;
        let e = join(prefix, written.as_str().as_bytes());
        Address { written, partition, e }
    }

    /// The key of the counter of `key`: a plain integer beside the entries.
    pub(crate) fn counter<K: CacheKey>(&self, key: &K) -> (WrittenKey, Bytes) {
        let written = WrittenKey::of(key);
        let prefix = &self.partition(partition_of(written.as_str())).counter_prefix;
        let key = join(prefix, written.as_str().as_bytes());
        (written, key)
    }

    pub(crate) fn label(&self, written: &WrittenKey) -> KeyLabel {
        KeyLabel::new(&self.namespace, written.as_str())
    }

    /// What `key`, as the store names it, is of this namespace; `None` if it is another's or of no interest.
    pub(crate) fn changed<'a>(&self, key: &'a [u8]) -> Option<Changed<'a>> {
        match self.split(key)? {
            (partition, b"m") => Some(Changed::Meta(partition)),
            (_, entry) => entry.strip_prefix(b"e:").map(Changed::Entry),
        }
    }

    /// The partition and the written key of an entry, as the store names it.
    pub(crate) fn entry<'a>(&self, e: &'a [u8]) -> Option<(u8, &'a [u8])> {
        let (partition, rest) = self.split(e)?;
        rest.strip_prefix(b"e:").map(|written| (partition, written))
    }

    /// What the store calls the entry of a written key.
    pub(crate) fn entry_key(&self, partition: u8, written: &[u8]) -> Bytes {
        join(&self.partition(partition).entry_prefix, written)
    }

    /// The partition of a key of this namespace, and what follows it.
    fn split<'a>(&self, key: &'a [u8]) -> Option<(u8, &'a [u8])> {
        let rest = key.strip_prefix(self.namespace.as_bytes())?.strip_prefix(b":{")?;
        let rest = rest.strip_prefix(self.namespace.as_bytes())?.strip_prefix(b".")?;
        let end = rest.iter().position(|byte| *byte == b'}')?;
        let partition: u8 = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
        let rest = rest[end..].strip_prefix(b"}:")?;
        (usize::from(partition) < PARTITIONS).then_some((partition, rest))
    }

    /// There while some process reads the log of this namespace: all others write to it.
    pub(crate) fn log_read(&self) -> Bytes {
        format!("{ns}:{{{ns}.0}}:log", ns = self.namespace).into()
    }

    /// There while some process may invalidate without writing to the log: nobody trusts the log.
    pub(crate) fn log_unwritten(&self) -> Bytes {
        format!("{ns}:{{{ns}.0}}:nolog", ns = self.namespace).into()
    }

    /// A `SCAN MATCH` pattern for the entries whose written key matches the glob `pattern`.
    pub(crate) fn scan_pattern(&self, pattern: &str) -> String {
        // The namespace holds no glob character: the builder checks its alphabet.
        format!("{ns}:{{{ns}.*}}:e:{pattern}", ns = self.namespace)
    }
}

impl Partition {
    fn new(ns: &str, p: usize) -> Self {
        let tag = format!("{ns}:{{{ns}.{p}}}");
        let key = |name: &str| Bytes::from(format!("{tag}:{name}"));
        Self {
            m: key("m"),
            t0: key("t0"),
            t1: key("t1"),
            l: key("l"),
            g: key("g"),
            entry_prefix: format!("{tag}:e:"),
            counter_prefix: format!("{tag}:c:"),
        }
    }
}

impl Address {
    /// The whole key, as the checksum covers it.
    pub(crate) fn full(&self) -> &str {
        self.written.full()
    }

    /// Whether the key can be found again from its written form, as a push names it.
    pub(crate) fn is_reversible(&self) -> bool {
        self.written.full() == self.written.as_str()
    }
}

fn partition_of(written: &str) -> u8 {
    (xxh3_64(written.as_bytes()) % PARTITIONS as u64) as u8
}

fn join(prefix: &str, rest: &[u8]) -> Bytes {
    let mut key = Vec::with_capacity(prefix.len() + rest.len());
    key.extend_from_slice(prefix.as_bytes());
    key.extend_from_slice(rest);
    key.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_keys_of_an_entry_share_one_hash_tag() {
        let layout = Layout::new("user");
        let address = layout.address(&42u64);
        let p = address.partition;
        let part = layout.partition(p);
        assert_eq!(address.e, format!("user:{{user.{p}}}:e:42"));
        assert_eq!(part.m, format!("user:{{user.{p}}}:m"));
        assert_eq!(part.t0, format!("user:{{user.{p}}}:t0"));
        assert_eq!(part.t1, format!("user:{{user.{p}}}:t1"));
    }

    #[test]
    fn a_pushed_key_is_understood_and_another_namespace_ignored() {
        let layout = Layout::new("user");
        let address = layout.address(&"a}:m".to_owned());
        assert_eq!(layout.changed(&address.e), Some(Changed::Entry(b"a}:m")));
        assert_eq!(layout.entry(&address.e), Some((address.partition, &b"a}:m"[..])));
        assert_eq!(layout.entry_key(address.partition, b"a}:m"), address.e);
        assert_eq!(layout.changed(&layout.partition(7).m), Some(Changed::Meta(7)));
        assert_eq!(layout.changed(&layout.partition(7).t0), None);
        for foreign in [
            "users:{users.1}:m",
            "user:{user.64}:m",
            "user:{user.x}:m",
            "user:{user.1:m",
            "",
        ] {
            assert_eq!(layout.changed(foreign.as_bytes()), None, "{foreign}");
        }
    }

    #[test]
    fn keys_spread_over_all_partitions() {
        let layout = Layout::new("n");
        let mut seen = [0usize; PARTITIONS];
        for key in 0..6_400u64 {
            seen[usize::from(layout.address(&key).partition)] += 1;
        }
        assert!(seen.iter().all(|n| (50..160).contains(n)), "{seen:?}");
    }

    /// The slot of a key as a cluster reckons it: CRC-16/XMODEM of what stands between the first `{` and the next `}`, or
    /// of the whole key if nothing does.
    fn slot(key: &[u8]) -> u16 {
        let open = key.iter().position(|byte| *byte == b'{');
        let tag = open.and_then(|open| {
            let rest = &key[open + 1..];
            let close = rest.iter().position(|byte| *byte == b'}')?;
            (close > 0).then_some(&rest[..close])
        });
        let crc = tag.unwrap_or(key).iter().fold(0u16, |crc, byte| {
            (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
                if crc & 0x8000 == 0 {
                    crc << 1
                } else {
                    (crc << 1) ^ 0x1021
                }
            })
        });
        crc % 16_384
    }

    #[test]
    fn the_slot_is_the_clusters() {
        // From the cluster specification, and from `CLUSTER KEYSLOT` of redis-server 7.0.15.
        assert_eq!(slot(b"123456789"), 0x31c3);
        assert_eq!(slot(b"foo"), 12_182);
        assert_eq!(slot(b"a{foo}b{bar}"), 12_182);
        assert_eq!(slot(b"{}foo"), 9_500);
    }

    proptest! {
        #[test]
        fn every_key_of_an_entry_lies_in_its_partitions_slot(
            namespace in "[a-z0-9_.-]{1,40}",
            key in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let layout = Layout::new(&namespace);
            let address = layout.address(&key);
            let part = layout.partition(address.partition);
            let expected = slot(&part.m);
            let (_, counter) = layout.counter(&key);
            for other in [&address.e, &part.t0, &part.t1, &part.g, &counter] {
                prop_assert_eq!(slot(other), expected, "{:?}", other);
            }
            prop_assert_eq!(layout.changed(&address.e), Some(Changed::Entry(address.written.as_str().as_bytes())));
        }

        // Braces, globs and line breaks, as those write who want to break out.
        #[test]
        fn no_key_breaks_out_of_its_slot(key in "[{}*?\\[\\]\r\n\u{0}:a]{0,12}") {
            let layout = Layout::new("n");
            let address = layout.address(&key);
            prop_assert_eq!(slot(&address.e), slot(&layout.partition(address.partition).m));
            prop_assert!(!address.e.iter().any(u8::is_ascii_control));
        }

        #[test]
        fn no_pushed_key_makes_understanding_panic(key in proptest::collection::vec(any::<u8>(), 0..60)) {
            let layout = Layout::new("n");
            let _ = layout.changed(&key);
            let _ = layout.changed(&[b"n:{n.".as_slice(), &key].concat());
        }
    }
}
