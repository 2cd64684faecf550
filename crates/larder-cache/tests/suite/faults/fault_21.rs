//! 21: two versions of a service share a cache during a rolling deploy, and a record of one is not what the other reads.
//! The newer version's record stays; the older one loads for itself and stores nothing over it; and neither takes the
//! other's numbers for its own.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_cache::{Cache, CacheBuilder};
use larder_store::Store;
use larder_testkit::{Kind, Topology};
use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::row::{Baseline, Verdict, row};

/// A TTL, and how many of them a deploy takes, in units of time.
const TTL: u32 = 20;
const TTLS: u32 = 2;

/// Records of a key that a TTL may bring: an expired one can be loaded by either version, and the newer one replaces the
/// older one's.
const STORED_PER_TTL: u64 = 2;

/// What both versions call a user.
trait User: Serialize + DeserializeOwned + Send + Sync + PartialEq + 'static {
    fn load() -> Self;
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Old {
    name: String,
}

impl User for Old {
    fn load() -> Self {
        Self {
            name: "Ada Lovelace".into(),
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct New {
    name: Name,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Name {
    first: String,
    last: String,
}

impl User for New {
    fn load() -> Self {
        let (first, last) = ("Ada".into(), "Lovelace".into());
        Self {
            name: Name { first, last },
        }
    }
}

/// One version's cache of the user.
trait Version {
    /// Whether the user is as this version knows it.
    async fn reads_right(&self) -> bool;

    /// How often this version has stored the record.
    fn stored(&self) -> u64;
}

/// JSON as it comes; what does not decode is loaded and stored again.
struct ByHand<V> {
    store: Store,
    ttl_ms: u64,
    stored: AtomicU64,
    user: std::marker::PhantomData<V>,
}

impl<V> ByHand<V> {
    async fn new(t: &Topology) -> Self {
        Self {
            store: t.another_store().await,
            ttl_ms: t.units(TTL).as_millis() as u64,
            stored: AtomicU64::new(0),
            user: std::marker::PhantomData,
        }
    }
}

impl<V: User> Version for ByHand<V> {
    async fn reads_right(&self) -> bool {
        let mut store = self.store.clone();
        let found: Option<Vec<u8>> = store.get("user").await.expect("the store is up");
        if let Some(user) = found.and_then(|json| serde_json::from_slice::<V>(&json).ok()) {
            return user == V::load();
        }
        let json = serde_json::to_vec(&V::load()).expect("it is plain data");
        store
            .pset_ex::<_, _, ()>("user", json, self.ttl_ms)
            .await
            .expect("the store is up");
        self.stored.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }
}

type Builder<V> = CacheBuilder<u64, V>;

async fn larder<V: User>(t: &Topology, settings: impl FnOnce(Builder<V>) -> Builder<V>) -> Cache<u64, V> {
    let store = t.another_store().await;
    let builder = Cache::builder("user").store(&store).ttl(t.units(TTL)).jitter(0.0);
    settings(builder).build().await.expect("the settings agree")
}

impl<V: User> Version for Cache<u64, V> {
    async fn reads_right(&self) -> bool {
        let user: Arc<V> = self
            .get_or_load(&1, || async { Ok::<_, io::Error>(V::load()) })
            .await
            .expect("no error");
        *user == V::load()
    }

    fn stored(&self) -> u64 {
        self.stats().fills
    }
}

/// How many TTLs have passed since `began`, the one that runs included: on a real server a deploy takes longer on a machine
/// that is busy.
fn ttls_since(t: &Topology, began: Duration) -> u64 {
    let took = t.clock().monotonic() - began;
    took.div_duration_f64(t.units(TTL)) as u64 + 1
}

/// Both versions read in turn for as long as the deploy takes.
async fn deployed_beside(t: &Topology, old: &impl Version, new: &impl Version) -> Verdict {
    let (mut verdict, began) = (Verdict::default(), t.clock().monotonic());
    for _ in 0..TTL * TTLS {
        for (name, right) in [("old", old.reads_right().await), ("new", new.reads_right().await)] {
            verdict.expect(right, format!("the {name} version reads what it knows"));
        }
        t.advance(1).await;
    }
    let (stored, ttls) = (old.stored() + new.stored(), ttls_since(t, began));
    let most = STORED_PER_TTL * ttls;
    verdict.expect(
        stored <= most,
        format!(
            "the record is stored {stored} times in {ttls} TTLs, by versions that overwrite each other; at most {most}"
        ),
    );
    verdict
}

#[test]
fn fault_21() {
    row(21, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        if !turn.is_larder() {
            return deployed_beside(&t, &ByHand::<Old>::new(&t).await, &ByHand::<New>::new(&t).await).await;
        }
        let (old, new) = (
            larder::<Old>(&t, |b| b).await,
            larder::<New>(&t, |b| b.schema_revision(1)).await,
        );
        let began = t.clock().monotonic();
        let mut verdict = deployed_beside(&t, &old, &new).await;
        // The newer one's readers hit: what it loads is what it stores, once a TTL.
        let stats = new.stats();
        verdict.expect(
            stats.loads == stats.fills && stats.loads <= ttls_since(&t, began),
            format!("{stats:?}"),
        );
        verdict.expect(
            old.stats().schema_mismatches > 0,
            "records of another version are counted",
        );
        verdict
    });
}

/// Without a revision the shapes decide which one is newer: any order will do, as long as there is one.
#[test]
fn fault_21_without_a_revision() {
    row(21, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        if turn.is_larder() {
            deployed_beside(&t, &larder::<Old>(&t, |b| b).await, &larder::<New>(&t, |b| b).await).await
        } else {
            deployed_beside(&t, &ByHand::<Old>::new(&t).await, &ByHand::<New>::new(&t).await).await
        }
    });
}

/// The price in cents.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct InCents {
    price: u64,
}

impl User for InCents {
    fn load() -> Self {
        Self { price: 1_250 }
    }
}

/// The same field, in euros.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct InEuros {
    price: u64,
}

impl User for InEuros {
    fn load() -> Self {
        Self { price: 12 }
    }
}

/// The same shape means something else: only the revision tells.
#[test]
fn fault_21_a_field_changes_its_meaning() {
    row(21, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        if turn.is_larder() {
            let (old, new) = (
                larder::<InCents>(&t, |b| b).await,
                larder::<InEuros>(&t, |b| b.schema_revision(1)).await,
            );
            deployed_beside(&t, &old, &new).await
        } else {
            deployed_beside(&t, &ByHand::<InCents>::new(&t).await, &ByHand::<InEuros>::new(&t).await).await
        }
    });
}
