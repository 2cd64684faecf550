//! Writes to the source, through and around the cache.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_cache::{
    BoxError, Cache, CacheBuilder, Delivery, Patch, SharedSink, Sink, SinkError, SinkErrorKind, Source, WriteGate,
    WritePolicy,
};
use larder_testkit::{Topology, eventually, for_each_topology};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{subject::near, trouble::shaky};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Person {
    name: String,
    team: u64,
}

fn person(name: &str, team: u64) -> Person {
    let name = name.to_owned();
    Person { name, team }
}

/// What the next write meets.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    /// It is refused.
    Refused,
    /// It is committed, and the writer is not told so.
    Unheard,
}

/// A table that is a source and a sink.
#[derive(Clone, Default)]
struct Table(Arc<State>);

#[derive(Default)]
struct State {
    rows: Mutex<BTreeMap<u64, Person>>,
    loads: AtomicU64,
    commits: AtomicU64,
    trouble: Mutex<Option<Trouble>>,
    /// A write waits here after its commit.
    is_gated: AtomicBool,
    committed: Notify,
    gate: Notify,
}

impl Table {
    fn of(rows: impl IntoIterator<Item = (u64, Person)>) -> Self {
        let table = Self::default();
        table.0.rows.lock().extend(rows);
        table
    }

    fn row(&self, key: u64) -> Option<Person> {
        self.0.rows.lock().get(&key).cloned()
    }

    fn loads(&self) -> u64 {
        self.0.loads.load(Ordering::SeqCst)
    }

    fn commits(&self) -> u64 {
        self.0.commits.load(Ordering::SeqCst)
    }

    fn next(&self, trouble: Trouble) {
        *self.0.trouble.lock() = Some(trouble);
    }

    async fn commit<T>(&self, change: impl FnOnce(&mut BTreeMap<u64, Person>) -> T) -> Result<T, SinkError> {
        let trouble = self.0.trouble.lock().take();
        if trouble == Some(Trouble::Refused) {
            return Err(SinkError::permanent(io::Error::other("a constraint")));
        }
        let changed = change(&mut self.0.rows.lock());
        self.0.commits.fetch_add(1, Ordering::SeqCst);
        let mut opened = std::pin::pin!(self.0.gate.notified());
        opened.as_mut().enable();
        if self.0.is_gated.load(Ordering::SeqCst) {
            self.0.committed.notify_one();
            opened.await;
        }
        match trouble {
            Some(_) => Err(SinkError::in_doubt(io::Error::other("the connection was lost"))),
            None => Ok(changed),
        }
    }
}

impl Source<u64, Person> for Table {
    async fn load(&self, key: &u64) -> Result<Option<Person>, BoxError> {
        self.0.loads.fetch_add(1, Ordering::SeqCst);
        Ok(self.row(*key))
    }

    fn sink(&self) -> Option<SharedSink<u64, Person>> {
        Some(SharedSink::new(self.clone()))
    }
}

impl Sink<u64, Person> for Table {
    async fn put(&self, key: &u64, value: &Person) -> Result<(), SinkError> {
        self.commit(|rows| drop(rows.insert(*key, value.clone()))).await
    }

    async fn remove(&self, key: &u64) -> Result<bool, SinkError> {
        self.commit(|rows| rows.remove(key).is_some()).await
    }

    async fn put_many(&self, values: &[(u64, Person)]) -> Result<(), SinkError> {
        self.commit(|rows| rows.extend(values.iter().cloned())).await
    }

    async fn update(&self, key: &u64, patch: &Patch) -> Result<Option<Person>, SinkError> {
        self.commit(|rows| {
            let row = rows.get_mut(key)?;
            let mut fields = serde_json::to_value(&*row).ok()?;
            fields.as_object_mut()?.extend(patch.fields().clone());
            *row = serde_json::from_value(fields).ok()?;
            Some(row.clone())
        })
        .await
    }

    async fn insert(&self, value: &Person) -> Result<u64, SinkError> {
        self.commit(|rows| {
            let key = rows.last_key_value().map_or(1, |(last, _)| last + 1);
            rows.insert(key, value.clone());
            key
        })
        .await
    }
}

type People = Cache<u64, Person>;

async fn people(
    t: &Topology,
    table: &Table,
    settings: impl FnOnce(CacheBuilder<u64, Person>) -> CacheBuilder<u64, Person>,
) -> People {
    let store = t.another_store().await;
    let builder = Cache::builder("people")
        .store(&store)
        .ttl(t.units(10_000))
        .jitter(0.0)
        .tags(|person: &Person| [format!("team:{}", person.team)])
        .source(table.clone());
    settings(builder).build().await.expect("the settings agree")
}

async fn named(people: &People, key: u64) -> Option<String> {
    people.get(&key).await.unwrap().map(|person| person.name.clone())
}

const POLICIES: [WritePolicy; 2] = [WritePolicy::Through, WritePolicy::Around];

#[test]
fn what_is_put_is_in_the_source_and_read_everywhere() {
    for_each_topology(async |t: Topology| {
        for (policy, key) in POLICIES.into_iter().zip([1, 2]) {
            let table = Table::of([(key, person("Ada", 1))]);
            let here = people(&t, &table, |b| b.write(policy)).await;
            let there = people(&t, &table, |b| b.write(policy).near(near(&t))).await;
            assert_eq!(named(&there, key).await.as_deref(), Some("Ada"));
            let loads = table.loads();
            let receipt = here.put(&key, person("Grace", 2)).await.unwrap();
            assert_eq!(receipt.invalidation(), Delivery::Acknowledged);
            assert_eq!(table.row(key), Some(person("Grace", 2)));
            assert_eq!(named(&there, key).await.as_deref(), Some("Grace"));
            let loaded = u64::from(policy == WritePolicy::Around);
            assert_eq!(table.loads() - loads, loaded, "{policy:?}");
            here.invalidate_tag("team:2").await.unwrap();
            assert_eq!(named(&there, key).await.as_deref(), Some("Grace"));
            assert_eq!(table.loads() - loads, loaded + 1, "it is cached with its tags");
            assert_eq!(here.stats().writes, 1);
        }
    });
}

#[test]
fn what_is_removed_is_gone_everywhere() {
    for_each_topology(async |t: Topology| {
        for (policy, ns) in POLICIES.into_iter().zip([10, 20]) {
            let table = Table::of((ns..ns + 5).map(|key| (key, person("Ada", key))));
            let here = people(&t, &table, |b| b.write(policy)).await;
            let there = people(&t, &table, |b| b.write(policy).near(near(&t))).await;
            let keys: Vec<u64> = (ns..ns + 5).collect();
            assert_eq!(there.get_many(&keys).await.all().unwrap().len(), 5);
            here.remove(&ns).await.unwrap();
            here.remove_many(&[ns + 1, ns + 2, ns + 1]).await.unwrap();
            assert_eq!(there.get_many(&keys).await.all().unwrap().len(), 2);
            assert!(table.row(ns).is_none() && table.row(ns + 4).is_some());
        }
    });
}

#[test]
fn many_puts_are_one_commit_and_the_last_of_a_key_counts() {
    for_each_topology(async |t: Topology| {
        for (policy, ns) in POLICIES.into_iter().zip([0, 1_000]) {
            let table = Table::default();
            let people = people(&t, &table, |b| b.write(policy)).await;
            let rows = (ns..ns + 250).map(|key| (key, person("Ada", key)));
            people.put_many(rows.chain([(ns, person("Grace", 1))])).await.unwrap();
            assert_eq!(table.commits(), 2, "200 at a time");
            let keys: Vec<u64> = (ns..ns + 250).collect();
            assert_eq!(people.get_many(&keys).await.all().unwrap().len(), 250);
            assert_eq!(named(&people, ns).await.as_deref(), Some("Grace"));
        }
    });
}

#[test]
fn an_update_merges_fields_and_an_insert_returns_its_key() {
    for_each_topology(async |t: Topology| {
        for policy in POLICIES {
            let table = Table::of([(1, person("Ada", 1))]);
            let people = people(&t, &table, |b| b.write(policy)).await;
            let (team, name) = (
                Patch::default().set("team", 7).unwrap(),
                Patch::default().set("name", "Grace").unwrap(),
            );
            let (one, other) = tokio::join!(people.update(&1, team), people.update(&1, name));
            assert!(one.unwrap().value.is_some() && other.unwrap().value.is_some());
            assert_eq!(people.get(&1).await.unwrap().as_deref(), Some(&person("Grace", 7)));
            let nobody = people
                .update(&9, Patch::default().set("team", 1).unwrap())
                .await
                .unwrap();
            assert!(nobody.value.is_none());
            assert!(people.get(&2).await.unwrap().is_none(), "remembered");
            let inserted = people.insert(person("Alan", 3)).await.unwrap();
            assert_eq!(inserted.value, 2);
            assert_eq!(named(&people, 2).await.as_deref(), Some("Alan"));
            people.remove_many(&[1, 2]).await.unwrap();
        }
    });
}

#[test]
fn a_refused_write_changes_nothing_and_one_in_doubt_leaves_nothing_old() {
    for_each_topology(async |t: Topology| {
        for (policy, key) in POLICIES.into_iter().zip([1, 2]) {
            let table = Table::of([(key, person("Ada", 1))]);
            let people = people(&t, &table, |b| b.write(policy)).await;
            assert_eq!(named(&people, key).await.as_deref(), Some("Ada"));
            table.next(Trouble::Refused);
            let error = people.put(&key, person("Grace", 2)).await.unwrap_err();
            assert_eq!(
                error.sink_error().map(SinkError::kind),
                Some(SinkErrorKind::Permanent),
                "{error}"
            );
            assert!(!error.is_in_doubt());
            assert_eq!(named(&people, key).await.as_deref(), Some("Ada"));
            table.next(Trouble::Unheard);
            let error = people.put(&key, person("Grace", 2)).await.unwrap_err();
            assert!(error.is_in_doubt(), "{error}");
            assert_eq!(named(&people, key).await.as_deref(), Some("Grace"), "it was committed");
            let stats = people.stats();
            assert_eq!((stats.writes, stats.writes_failed, stats.writes_in_doubt), (0, 1, 1));
        }
    });
}

#[test]
fn a_writer_who_goes_away_after_the_commit_leaves_nothing_old() {
    for_each_topology(async |t: Topology| {
        for (policy, key) in POLICIES.into_iter().zip([1, 2]) {
            let table = Table::of([(key, person("Ada", 1))]);
            let here = people(&t, &table, |b| b.write(policy)).await;
            let there = people(&t, &table, |b| b.write(policy)).await;
            assert_eq!(named(&there, key).await.as_deref(), Some("Ada"));
            table.0.is_gated.store(true, Ordering::SeqCst);
            let writer = tokio::spawn({
                let here = here.clone();
                async move { here.put(&key, person("Grace", 2)).await }
            });
            table.0.committed.notified().await;
            writer.abort();
            assert!(writer.await.unwrap_err().is_cancelled());
            table.0.is_gated.store(false, Ordering::SeqCst);
            assert_eq!(
                named(&here, key).await.as_deref(),
                Some("Grace"),
                "{policy:?}: here at once"
            );
            eventually(Duration::from_secs(10), async || {
                here.stats().pending == 0 && named(&there, key).await.as_deref() == Some("Grace")
            })
            .await;
        }
    });
}

/// Of two writers, the one that commits first stores last.
#[test]
fn the_older_of_two_committed_values_does_not_stay() {
    for_each_topology(async |t: Topology| {
        let table = Table::of([(1, person("Ada", 1))]);
        let naive: Cache<u64, Person> = Cache::builder("naive")
            .store(&t.another_store().await)
            .ttl(t.units(10_000))
            .build()
            .await
            .unwrap();
        Sink::put(&table, &1, &person("older", 1)).await.unwrap();
        Sink::put(&table, &1, &person("newer", 1)).await.unwrap();
        naive.put(&1, person("newer", 1)).await.unwrap();
        naive.put(&1, person("older", 1)).await.unwrap();
        assert_eq!(
            named(&naive, 1).await.as_deref(),
            Some("older"),
            "commit, then SET: older for ever"
        );

        let (first, second) = (people(&t, &table, |b| b).await, people(&t, &table, |b| b).await);
        table.0.is_gated.store(true, Ordering::SeqCst);
        let writer = tokio::spawn(async move { first.put(&1, person("older", 1)).await });
        table.0.committed.notified().await;
        table.0.is_gated.store(false, Ordering::SeqCst);
        second.put(&1, person("newer", 1)).await.unwrap();
        table.0.gate.notify_waiters();
        writer.await.unwrap().unwrap();
        assert_eq!(named(&second, 1).await.as_deref(), Some("newer"));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_down_a_write_goes_to_the_source_or_fails_as_is_chosen() {
    for policy in POLICIES {
        let shaky = shaky().await;
        let table = Table::of([(1, person("Ada", 1))]);
        let people = |namespace: &'static str, gate: WriteGate| {
            let builder: CacheBuilder<u64, Person> = Cache::builder(namespace);
            let builder = builder
                .store(&shaky.store)
                .ttl(Duration::from_secs(60))
                .source(table.clone());
            builder.write(policy).write_gate(gate).build()
        };
        let open = people("open", WriteGate::Open).await.unwrap();
        let closed = people("closed", WriteGate::RequireHold).await.unwrap();
        assert_eq!(named(&open, 1).await.as_deref(), Some("Ada"));
        shaky.down();
        let error = closed.put(&1, person("Eve", 9)).await.unwrap_err();
        assert!(error.is_store_down(), "{error}");
        assert_eq!(table.row(1), Some(person("Ada", 1)), "nothing was written");
        let receipt = open.put(&1, person("Grace", 2)).await.unwrap();
        assert_eq!(receipt.invalidation(), Delivery::Pending);
        assert_eq!(table.row(1), Some(person("Grace", 2)));
        assert_eq!(named(&open, 1).await.as_deref(), Some("Grace"), "past the cache");
        shaky.up();
        eventually(Duration::from_secs(20), async || open.stats().pending == 0).await;
        assert_eq!(named(&open, 1).await.as_deref(), Some("Grace"));
    }
}

#[test]
fn contradictions_of_writing_are_refused_by_name() {
    for_each_topology(async |t: Topology| {
        let store = t.another_store().await;
        let builder = Cache::<u64, Person>::builder("people").store(&store).ttl(t.units(100));
        let error = builder.write(WritePolicy::Through).build().await.unwrap_err();
        assert!(error.to_string().contains("set `sink`"), "{error}");
        let table = Table::default();
        let people = people(&t, &table, |b| b).await;
        let error = people.put_if_absent(&1, person("Ada", 1)).await.unwrap_err();
        assert!(error.to_string().contains("use `insert`"), "{error}");
        let plain = Cache::<u64, Person>::builder("plain").store(&store).ttl(t.units(100));
        let plain = plain.build().await.unwrap();
        for error in [
            plain.update(&1, Patch::default()).await.unwrap_err(),
            plain.insert(person("Ada", 1)).await.unwrap_err(),
        ] {
            assert!(
                matches!(error.kind(), larder_cache::ErrorKind::Refused { .. }),
                "{error}"
            );
        }
        assert!(Patch::of(&7).is_err(), "no fields");
    });
}

/// Services in other languages that keep copies of their own are told of what is written through Larder, too.
#[test]
fn writes_are_announced_on_the_channel() {
    for_each_topology(async |t: Topology| {
        for (policy, channel) in POLICIES.into_iter().zip(["through", "around"]) {
            let table = Table::of([(1, person("Ada", 1))]);
            let people = people(&t, &table, |b| b.write(policy).channel(channel)).await;
            people.put(&1, person("Grace", 2)).await.unwrap();
            people
                .update(&1, Patch::default().set("team", 3).unwrap())
                .await
                .unwrap();
            people.insert(person("Alan", 3)).await.unwrap();
            people.remove(&1).await.unwrap();
            eventually(Duration::from_secs(20), async || people.stats().announced == 4).await;
        }
    });
}
