//! A write until it is accepted, and what reads make of it before it is flushed.

use std::time::Duration;

use larder_cache::{
    Ack, Cache, Delivery, OnStoreDown, Patch, SharedSink, Sink, SinkError, Source, Tier, WriteBehind, WritePolicy,
};
use larder_store::Store;
use larder_testkit::{Kind, RedisServer, Topology, eventually, for_each_topology};
use serde::{Deserialize, Serialize};

use super::{
    Numbers, behind,
    ledger::{Ledger, Weather},
    meanwhile, open, open_with, read, unflushed, until,
};

/// Two processes, of which none flushes.
async fn pair(t: &Topology, ledger: &Ledger) -> (Numbers, Numbers) {
    let here = open(&t.another_store().await, ledger, unflushed()).await;
    let there = open(&t.another_store().await, ledger, unflushed()).await;
    (here, there)
}

#[test]
fn what_is_put_is_read_everywhere_before_the_source_has_it() {
    for_each_topology(what_is_put_is_read_before_the_source_has_it);
}

pub(crate) async fn what_is_put_is_read_before_the_source_has_it(t: Topology) {
    {
        let ledger = Ledger::of([(1, 10), (2, 20), (3, 30)]);
        let (here, there) = pair(&t, &ledger).await;
        assert_eq!(read(&there, 1).await, Some(10), "cached from the source");
        let receipt = here.put(&1, 11).await.unwrap();
        assert_eq!(receipt.invalidation(), Delivery::Acknowledged);
        assert_eq!((receipt.ack(), receipt.tickets().len()), (Some(Ack::Memory), 1));
        here.remove(&2).await.unwrap();
        for cache in [&here, &there] {
            assert_eq!((read(cache, 1).await, read(cache, 2).await), (Some(11), None));
            let looked = cache.lookup(&1).await.unwrap();
            assert_eq!(
                (looked.tier(), looked.is_fresh(), looked.age()),
                (Tier::Behind, true, None)
            );
            assert!(cache.lookup(&2).await.unwrap().is_negative());
            let batch = cache.get_many(&[1, 2, 3]).await;
            let value = |key: u64| batch.get(&key).map(|value| **value);
            assert_eq!((value(1), value(2), value(3)), (Some(11), None, Some(30)));
            assert!(cache.contains(&1).await.unwrap() && !cache.contains(&2).await.unwrap());
            assert!(cache.ttl(&1).await.unwrap().is_some());
            let refused = cache.get_or_load(&1, || async { Ok::<_, std::io::Error>(99) }).await;
            assert_eq!(*refused.unwrap(), 11);
            assert!(
                !cache.touch(&1, Duration::from_secs(1)).await.unwrap(),
                "nothing is cached of it"
            );
        }
        assert_eq!(
            (ledger.row(1), ledger.row(2)),
            (Some(10), Some(20)),
            "the source has none of it yet"
        );
        let loads = ledger.loads();
        here.invalidate(&1).await.unwrap();
        here.clear().await.unwrap();
        assert_eq!(read(&there, 1).await, Some(11), "an invalidation does not discard it");
        assert_eq!(ledger.loads(), loads);
        let stats = here.stats();
        assert!(stats.behind_accepted == 2 && stats.behind_hits > 0, "{stats:?}");
    }
}

#[test]
fn of_a_key_that_is_written_often_the_last_value_counts() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        let (here, there) = pair(&t, &ledger).await;
        let mut last = here.put(&1, 0).await.unwrap();
        for value in 1..20 {
            let next = here.put(&1, value).await.unwrap();
            assert!(next.tickets()[0].version > last.tickets()[0].version);
            last = next;
        }
        assert_eq!(here.lag().await.unwrap().entries, 1);
        here.put_many([(1, 100), (2, 200), (1, 101)]).await.unwrap();
        here.remove_many(&[3, 4]).await.unwrap();
        assert_eq!(here.lag().await.unwrap().entries, 4);
        assert!(there.flush(&1).await.unwrap(), "any process flushes");
        assert_eq!((ledger.row(1), ledger.taken(1)), (Some(101), 1));
        assert!(!there.flush(&1).await.unwrap());
        assert_eq!(read(&there, 1).await, Some(101), "from the source");
        assert_eq!(there.lookup(&1).await.unwrap().tier(), Tier::Store);
    });
}

#[test]
fn near_copies_of_all_processes_give_way_to_what_is_put() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::of([(1, 10)]);
        let near = |b: larder_cache::CacheBuilder<u64, u64>| b.near(if t.kind() == Kind::Embedded { 100 } else { 0 });
        let here = open_with(&t.another_store().await, &ledger, unflushed(), near).await;
        let there = open_with(&t.another_store().await, &ledger, unflushed(), near).await;
        for cache in [&here, &there] {
            assert_eq!(read(cache, 1).await, Some(10));
        }
        for value in [11, 12] {
            here.put(&1, value).await.unwrap();
            assert_eq!(
                (read(&here, 1).await, read(&there, 1).await),
                (Some(value), Some(value))
            );
        }
        assert!(there.flush(&1).await.unwrap());
        here.put(&1, 13).await.unwrap();
        assert_eq!((read(&here, 1).await, read(&there, 1).await), (Some(13), Some(13)));
    });
}

#[test]
fn a_write_waits_for_room_and_then_fails_saying_why() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        let tight = unflushed().max_entries(1).wait(t.units(4));
        let here = open(&t.another_store().await, &ledger, tight).await;
        let there = open(&t.another_store().await, &ledger, tight).await;
        // Two keys of one partition.
        let key = same_partition(&here).await;
        let error = meanwhile(&t, here.put(&key, 2)).await.unwrap_err();
        assert!(error.is_backpressure(), "{error}");
        assert_eq!(read(&there, key).await, None, "nothing was written");
        here.put(&0, 3).await.unwrap();
        let (put, flushed) = meanwhile(&t, async {
            tokio::join!(here.put(&key, 4), async {
                tokio::task::yield_now().await;
                there.flush(&0).await
            })
        })
        .await;
        assert!(flushed.unwrap());
        put.unwrap();
        assert_eq!((ledger.row(0), read(&there, key).await), (Some(3), Some(4)));
    });
}

/// Puts 0, and finds another key of its partition.
async fn same_partition(cache: &Numbers) -> u64 {
    let partition = cache.put(&0, 1).await.unwrap().tickets()[0].partition;
    let ledger = Ledger::default();
    let store = Store::open("embedded:").await.unwrap();
    let probe = open(&store, &ledger, unflushed()).await;
    for key in 1.. {
        if probe.put(&key, 0).await.unwrap().tickets()[0].partition == partition {
            return key;
        }
    }
    unreachable!("64 partitions")
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Person {
    name: String,
    team: u64,
}

/// A source of persons, in which nothing changes.
struct Persons;

impl Source<u64, Person> for Persons {
    async fn load(&self, key: &u64) -> Result<Option<Person>, larder_cache::BoxError> {
        let name = "Ada".to_owned();
        Ok((*key == 1).then_some(Person { name, team: 1 }))
    }

    fn sink(&self) -> Option<SharedSink<u64, Person>> {
        Some(SharedSink::new(Self))
    }
}

impl Sink<u64, Person> for Persons {
    async fn put(&self, _: &u64, _: &Person) -> Result<(), SinkError> {
        Ok(())
    }

    async fn remove(&self, _: &u64) -> Result<bool, SinkError> {
        Ok(false)
    }

    async fn claim_epoch(&self, _: &str) -> Result<u64, SinkError> {
        Ok(1)
    }
}

#[test]
fn updates_of_different_fields_at_once_all_stand() {
    for_each_topology(async |t: Topology| {
        let persons = Cache::<u64, Person>::builder("persons")
            .store(&t.another_store().await)
            .ttl(t.units(10_000))
            .source(Persons)
            .write(WritePolicy::Behind(unflushed()))
            .build()
            .await
            .unwrap();
        let name = Patch::default().set("name", "Grace").unwrap();
        let team = Patch::default().set("team", 7).unwrap();
        let both = async { tokio::join!(persons.update(&1, name), persons.update(&1, team)) };
        let (one, other) = meanwhile(&t, both).await;
        assert!(one.unwrap().receipt.ack().is_some() && other.unwrap().value.is_some());
        let grace = Person {
            name: "Grace".to_owned(),
            team: 7,
        };
        assert_eq!(persons.get(&1).await.unwrap().as_deref(), Some(&grace));
        let nobody = persons
            .update(&2, Patch::default().set("team", 1).unwrap())
            .await
            .unwrap();
        assert!(nobody.value.is_none() && nobody.receipt.ack().is_none());
        persons.remove(&1).await.unwrap();
        let gone = persons
            .update(&1, Patch::default().set("team", 1).unwrap())
            .await
            .unwrap();
        assert!(gone.value.is_none(), "a removal that waits is no row");
    });
}

#[test]
fn a_cache_that_writes_behind_refuses_what_would_go_past_it() {
    for_each_topology(async |t: Topology| {
        let here = open(&t.another_store().await, &Ledger::default(), unflushed()).await;
        for error in [
            here.hold(&1).await.map(drop).unwrap_err(),
            here.put_if_absent(&1, 1).await.map(drop).unwrap_err(),
        ] {
            assert!(
                matches!(error.kind(), larder_cache::ErrorKind::Refused { .. }),
                "{error}"
            );
        }
    });
}

#[test]
fn an_epoch_that_cannot_be_had_is_waited_for() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        let here = open(&t.another_store().await, &ledger, unflushed().wait(t.units(4))).await;
        ledger.weather(Weather::Down);
        let error = meanwhile(&t, here.put(&1, 1)).await.unwrap_err();
        assert!(error.sink_error().is_some_and(SinkError::is_retryable), "{error}");
        let (put, ()) = meanwhile(&t, async {
            tokio::join!(here.put(&1, 1), async {
                tokio::task::yield_now().await;
                ledger.weather(Weather::Fair);
            })
        })
        .await;
        put.unwrap();
        assert_eq!(ledger.epochs(), 1);
    });
}

#[test]
fn callers_of_one_partition_share_an_epoch() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        let here = open(&t.another_store().await, &ledger, unflushed()).await;
        let puts = (0..32).map(|value| here.put(&1, value));
        let put = futures_util::future::try_join_all(puts).await.unwrap();
        assert_eq!(ledger.epochs(), 1);
        let mut seqs: Vec<u64> = put.iter().map(|receipt| receipt.tickets()[0].version.seq).collect();
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=32).collect::<Vec<_>>());
    });
}

async fn refused(store: &Store, policy: WriteBehind) -> String {
    let built = Cache::<u64, u64>::builder("behind")
        .store(store)
        .ttl(Duration::from_secs(60))
        .source(Ledger::default())
        .write(WritePolicy::Behind(policy))
        .build()
        .await;
    let error = built.expect_err("it is refused");
    assert!(matches!(error.kind(), larder_cache::ErrorKind::Config(_)), "{error:?}");
    error.to_string()
}

/// In a folder: what `Ok` of `Ack::Fsync` promises, only a log that is synced before each answer keeps.
#[tokio::test]
async fn a_folder_keeps_fsync_where_it_syncs_before_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let url = |name: &str, query: &str| format!("embedded:{}/{name}{query}", folder.path().display());
    for (name, query) in [("everysec", "?fsync=everysec"), ("no", "?fsync=no"), ("default", "")] {
        let store = Store::open(&url(name, query)).await.unwrap();
        let why = refused(&store, WriteBehind::new(Ack::Fsync)).await;
        assert!(
            why.contains("Ack::Fsync") && why.contains("fsync=always"),
            "{name}: {why}"
        );
        // It is as good as memory.
        let here = open(&store, &Ledger::default(), WriteBehind::new(Ack::Memory)).await;
        assert_eq!(here.put(&1, 1).await.unwrap().ack(), Some(Ack::Memory));
    }
    let ledger = Ledger::default();
    let store = Store::open(&url("always", "?fsync=always")).await.unwrap();
    let here = open(&store, &ledger, WriteBehind::new(Ack::Fsync).flushes(false)).await;
    assert_eq!(here.put(&1, 7).await.unwrap().ack(), Some(Ack::Fsync));
    drop(here);
    store.close().await;
    drop(store);
    // Another process finds what this one had accepted, and its numbers are higher.
    let again = Store::open(&url("always", "?fsync=always")).await.unwrap();
    let there = open(&again, &ledger, WriteBehind::new(Ack::Fsync)).await;
    assert_eq!(read(&there, 1).await, Some(7));
    let receipt = there.put(&1, 8).await.unwrap();
    assert_eq!(receipt.tickets()[0].version.epoch, 2);
    assert!(there.drain(Duration::from_secs(60)).await.is_complete);
    assert_eq!((ledger.row(1), ledger.misordered()), (Some(8), vec![]));
}

#[tokio::test]
async fn a_level_that_the_store_cannot_keep_is_refused_by_name() {
    let memory = Store::open("embedded:").await.unwrap();
    assert!(
        refused(&memory, WriteBehind::new(Ack::Fsync))
            .await
            .contains("fsync=always")
    );
    assert!(
        refused(&memory, WriteBehind::new(Ack::Replicated(1)))
            .await
            .contains("replicas")
    );
    for (policy, name) in [
        (behind().batch(0), "batch"),
        (behind().max_bytes(1_000), "max_bytes"),
        (behind().delay(Duration::from_secs(7200)), "delay"),
        (WriteBehind::new(Ack::Replicated(0)), "Replicated(0)"),
    ] {
        assert!(refused(&memory, policy).await.contains(name), "{name}");
    }
    let bypassing = Cache::<u64, u64>::builder("bypass")
        .store(&memory)
        .ttl(Duration::from_secs(60))
        .source(Ledger::default())
        .write(WritePolicy::Behind(behind()))
        .on_store_down(OnStoreDown::Bypass { max_concurrency: 1 });
    assert!(bypassing.build().await.unwrap_err().to_string().contains("Bypass"));

    let server = RedisServer::start().await;
    let store = Store::open(&server.url()).await.unwrap();
    assert!(
        refused(&store, WriteBehind::new(Ack::Fsync))
            .await
            .contains("appendonly no")
    );
    server.config("appendonly", "yes");
    assert!(
        refused(&store, WriteBehind::new(Ack::Fsync))
            .await
            .contains("appendfsync everysec")
    );
    server.config("appendfsync", "always");
    let durable = open(&store, &Ledger::default(), WriteBehind::new(Ack::Fsync)).await;
    assert_eq!(durable.put(&1, 1).await.unwrap().ack(), Some(Ack::Fsync));
    drop(durable);
    server.config("maxmemory-policy", "allkeys-lru");
    assert!(
        refused(&store, WriteBehind::new(Ack::Fsync))
            .await
            .contains("allkeys-lru")
    );
    server.config("maxmemory-policy", "noeviction");
    assert!(
        refused(&store, WriteBehind::new(Ack::Replicated(1)))
            .await
            .contains("0 are connected")
    );
}

#[tokio::test]
async fn a_replicated_write_is_on_its_replica_when_it_returns() {
    let server = RedisServer::start().await;
    let replica = RedisServer::start_replica_of(server.port()).await;
    // The replica knows that it is in step before the server does.
    eventually(Duration::from_secs(20), async || {
        server.cli(&["INFO", "replication"]).contains("state=online")
    })
    .await;
    let store = Store::open(&server.url()).await.unwrap();
    let policy = WriteBehind::new(Ack::Replicated(1))
        .flushes(false)
        .wait(Duration::from_millis(700));
    let here = open(&store, &Ledger::default(), policy).await;
    let receipt = here.put(&1, 1).await.unwrap();
    assert_eq!(receipt.ack(), Some(Ack::Replicated(1)));
    let partition = receipt.tickets()[0].partition;
    assert_eq!(replica.cli(&["HLEN", &format!("behind:{{behind.{partition}}}:d")]), "1");
    replica.pause();
    let error = here.put(&1, 2).await.unwrap_err();
    assert!(error.is_outcome_unknown(), "{error}");
    replica.resume();
}

#[test]
fn who_puts_after_a_drain_is_told() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        let here = open(&t.another_store().await, &ledger, unflushed()).await;
        here.put(&1, 1).await.unwrap();
        let drained = meanwhile(&t, here.drain(t.units(4_000))).await;
        assert_eq!((drained.flushed, drained.left, drained.is_complete), (1, Some(0), true));
        let error = here.put(&1, 2).await.unwrap_err();
        assert!(
            matches!(error.kind(), larder_cache::ErrorKind::Closed { .. }),
            "{error:?}"
        );
        assert_eq!(ledger.row(1), Some(1));
        until(&t, async || here.drain(t.units(4_000)).await.is_complete).await;
    });
}
