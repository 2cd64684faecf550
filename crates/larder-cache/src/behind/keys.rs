//! Where what waits to be flushed stands in the store (protocol 1.1).

use bytes::Bytes;

use crate::layout::{Address, Layout, PARTITIONS};

/// The keys of one partition.
#[derive(Debug)]
pub(crate) struct DirtyKeys {
    /// What waits, by its written key.
    pub(crate) d: Bytes,
    /// When each is due.
    pub(crate) z: Bytes,
    /// Generation, epoch, sequence, bytes, and the name that is lost with them.
    pub(crate) w: Bytes,
    /// Dead letters.
    pub(crate) x: Bytes,
    /// Counters that wait, and when each is due.
    pub(crate) n: Bytes,
    pub(crate) y: Bytes,
    operation_prefix: String,
}

impl DirtyKeys {
    fn of(namespace: &str, partition: usize) -> Self {
        let tag = format!("{namespace}:{{{namespace}.{partition}}}");
        let key = |name: &str| Bytes::from(format!("{tag}:{name}"));
        Self {
            d: key("d"),
            z: key("z"),
            w: key("w"),
            x: key("x"),
            n: key("n"),
            y: key("y"),
            operation_prefix: format!("{tag}:o:"),
        }
    }

    /// All partitions of a namespace.
    pub(crate) fn all(layout: &Layout) -> Vec<Self> {
        (0..PARTITIONS)
            .map(|partition| Self::of(layout.namespace(), partition))
            .collect()
    }

    /// Where it is remembered that the operation `id` was done.
    pub(crate) fn operation(&self, id: u128) -> Bytes {
        format!("{}{id:032x}", self.operation_prefix).into()
    }

    /// The types that the keys must have.
    pub(crate) fn typed(&self) -> Vec<(Bytes, &'static str)> {
        let Self { d, z, w, x, n, y, .. } = self;
        let typed = [
            (d, "hash"),
            (z, "zset"),
            (w, "hash"),
            (x, "hash"),
            (n, "hash"),
            (y, "zset"),
        ];
        typed.map(|(key, of)| (key.clone(), of)).to_vec()
    }
}

/// Where a read looks whether its key waits to be flushed.
#[derive(Clone, Debug)]
pub(crate) struct DirtyPlace {
    pub(crate) d: Bytes,
    /// The key in D: as it is written.
    pub(crate) field: Bytes,
}

impl DirtyPlace {
    pub(crate) fn of(keys: &[DirtyKeys], address: &Address) -> Self {
        let written = address.written.as_str().len();
        Self {
            d: keys[usize::from(address.partition)].d.clone(),
            // The entry's key ends with it: no copy.
            field: address.e.slice(address.e.len() - written..),
        }
    }
}
