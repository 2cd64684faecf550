//! What the source refuses for good is put aside, and nothing else is.

use std::collections::BTreeMap;

use larder_base::codec::Codec;
use larder_cache::{Cache, CacheEvent, DeadLetter, ErrorKind, LetterId, WritePolicy};
use larder_store::Store;
use larder_testkit::{Topology, for_each_topology};

use super::{Numbers, behind, ledger::Ledger, meanwhile, open, read, unflushed, until};

const POISON: u64 = 666;

#[test]
fn a_poisoned_batch_is_halved_until_only_the_poison_is_put_aside() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::of([(13, 1)]);
        ledger.poison(POISON, true);
        ledger.bomb(777);
        let here = open(&t.another_store().await, &ledger, behind()).await;
        let mut events = here.events();
        let poisoned = |key| match key {
            13 => POISON,
            31 => 777,
            key => key * 10,
        };
        here.put_many((0..64).map(|key| (key, poisoned(key)))).await.unwrap();
        until(&t, async || here.lag().await.unwrap().entries == 0).await;
        assert!(
            (0..64)
                .filter(|key| ![13, 31].contains(key))
                .all(|key| ledger.row(key) == Some(key * 10))
        );
        let letters = here.dead_letters().await.unwrap();
        assert_eq!(letters.len(), 2, "{letters:?}");
        let letter = letters.iter().find(|letter| letter.key == "13").unwrap();
        assert!(letter.why.contains("a constraint refuses it"), "{}", letter.why);
        let mut whole = here.dead_letter(letter.id).await.unwrap().unwrap();
        assert_eq!((whole.value.take(), whole.is_removal), (Some(POISON.into()), false));
        assert_eq!(&whole, letter, "the list has all but the value");
        assert_eq!(here.dead_letter("63-9-9".parse().unwrap()).await.unwrap(), None);
        assert!(letters.iter().any(|letter| letter.why.contains("panicked")));
        assert_eq!(here.lag().await.unwrap().dead_letters, 2);
        assert_eq!(
            read(&here, 13).await,
            Some(1),
            "the row as it is: nothing waits any more"
        );
        here.put(&13, 2).await.unwrap();
        until(&t, async || ledger.row(13) == Some(2)).await;
        let mut dead = 0;
        while let Some(Some(event)) = futures_util::FutureExt::now_or_never(events.next()) {
            dead += u64::from(matches!(event, CacheEvent::DeadLettered { .. }));
        }
        assert_eq!((dead, here.stats().behind_dead), (2, 2));
    });
}

#[test]
fn a_dead_letter_is_replayed_in_its_place_or_dropped() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        ledger.poison(POISON, true);
        let here = open(&t.another_store().await, &ledger, unflushed()).await;
        for key in [1, 2, 3] {
            here.put(&key, POISON).await.unwrap();
            assert!(here.flush(&key).await.unwrap());
        }
        let letters = here.dead_letters().await.unwrap();
        let id = |key: u64| letters.iter().find(|letter| letter.key == key.to_string()).unwrap().id;
        let refused = here.replay_dead_letter(id(1)).await.unwrap_err();
        assert!(refused.sink_error().is_some(), "{refused}");
        assert_eq!(here.dead_letters().await.unwrap().len(), 3, "it stays");
        here.put(&2, 22).await.unwrap();
        here.flush(&2).await.unwrap();
        ledger.poison(POISON, false);
        assert_eq!(read(&here, 1).await, None);
        for key in [1, 2] {
            assert!(here.replay_dead_letter(id(key)).await.unwrap());
            assert!(
                !here.replay_dead_letter(id(key)).await.unwrap(),
                "there is none any more"
            );
        }
        assert_eq!(
            (read(&here, 1).await, read(&here, 2).await),
            (Some(POISON), Some(22)),
            "what came later stands"
        );
        assert!(here.drop_dead_letter(id(3)).await.unwrap());
        assert!(here.dead_letters().await.unwrap().is_empty());
        assert!(ledger.row(3).is_none() && ledger.misordered().is_empty());
    });
}

#[test]
fn without_room_for_dead_letters_a_partition_stops_and_nothing_is_lost() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        ledger.poison(POISON, true);
        let here = open(&t.another_store().await, &ledger, behind().dead_letters(1)).await;
        let mut events = here.events();
        let partition = here.put(&1, POISON).await.unwrap().tickets()[0].partition;
        until(&t, async || here.lag().await.unwrap().dead_letters == 1).await;
        let receipt = here.put(&1, POISON).await.unwrap();
        meanwhile(&t, async {
            while !matches!(events.next().await, Some(CacheEvent::DeadLettersFull { .. })) {}
        })
        .await;
        let full = here.barrier(&receipt).await.unwrap_err();
        assert!(
            matches!(full.kind(), ErrorKind::DeadLettersFull { letters: 1 }),
            "{full}"
        );
        here.put_many((100..200).map(|key| (key, key))).await.unwrap();
        let elsewhere = async |key: u64| here.put(&key, key).await.unwrap().tickets()[0].partition != partition;
        let mut flows = Vec::new();
        for key in 100..200 {
            if elsewhere(key).await {
                flows.push(key);
            }
        }
        until(&t, async || flows.iter().all(|key| ledger.row(*key) == Some(*key))).await;
        assert_eq!(read(&here, 1).await, Some(POISON), "it waits");
        let id = here.dead_letters().await.unwrap()[0].id;
        assert_eq!(id.to_string().split('-').next(), Some(partition.to_string().as_str()));
        here.drop_dead_letter(id).await.unwrap();
        until(&t, async || here.lag().await.unwrap().entries == 0).await;
        assert_eq!(here.dead_letters().await.unwrap().len(), 1, "the one that waited");
        assert!((100..200).all(|key| ledger.row(key) == Some(key)));
    });
}

#[test]
fn what_cannot_be_read_is_put_aside_and_what_another_type_wrote_is_read() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        // A process of the same namespace with other types: a worker that knows them not, or an older version.
        let texts: Cache<String, serde_json::Value> = Cache::builder("behind")
            .store(&t.another_store().await)
            .ttl(t.units(10_000))
            .sink(Epochs(ledger.clone()))
            .write(WritePolicy::Behind(unflushed()))
            .schema_revision(9)
            .build()
            .await
            .unwrap();
        texts.put(&"1".to_owned(), 11.into()).await.unwrap();
        texts.put(&"no number".to_owned(), 12.into()).await.unwrap();
        texts.put(&"2".to_owned(), "no number".into()).await.unwrap();
        let here = open(&t.another_store().await, &ledger, unflushed()).await;
        assert_eq!(read(&here, 1).await, Some(11), "it reads what it can");
        let error = here.get(&2).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Decode { .. }),
            "and does not take the older row instead: {error}"
        );
        let flusher = open(&t.another_store().await, &ledger, behind()).await;
        until(&t, async || flusher.lag().await.unwrap().entries == 0).await;
        assert_eq!(ledger.row(1), Some(11));
        let letters = flusher.dead_letters().await.unwrap();
        assert_eq!(letters.len(), 2, "{letters:?}");
        let text = letters.iter().find(|letter| letter.key == "2").unwrap();
        let whole = flusher.dead_letter(text.id).await.unwrap().unwrap();
        assert_eq!(whole.value, Some("no number".into()));
        assert!(
            flusher.replay_dead_letter(text.id).await.is_err(),
            "not by this process"
        );
    });
}

/// What a record may become that something else wrote over, or cut.
const DAMAGED: [&[u8]; 5] = [
    b"",
    b"short",
    &[0; 16],
    &[0; 60],
    b"no record at all, but long enough to be taken for one",
];

/// A key of the same partition for each, with which it waits. The others that were written on the way are flushed.
async fn damage(here: &Numbers, store: &Store, ledger: &Ledger) -> (u8, Vec<(u64, &'static [u8])>) {
    let mut keys: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
    let mut key = 0;
    let partition = loop {
        let partition = here.put(&key, key).await.unwrap().tickets()[0].partition;
        let neighbours = keys.entry(partition).or_default();
        neighbours.push(key);
        if neighbours.len() == DAMAGED.len() {
            break partition;
        }
        key += 1;
    };
    let damaged: Vec<_> = keys[&partition].iter().copied().zip(DAMAGED).collect();
    for (key, record) in &damaged {
        let mut command = redis::cmd("HSET");
        command
            .arg(format!("behind:{{behind.{partition}}}:d"))
            .arg(key.to_string())
            .arg(*record);
        store.run(&command).await.unwrap();
    }
    let others = (0..=key).filter(|key| !damaged.iter().any(|(other, _)| other == key));
    for key in others {
        assert!(here.flush(&key).await.unwrap());
        assert_eq!(ledger.row(key), Some(key));
    }
    (partition, damaged)
}

#[test]
fn every_damaged_record_is_a_letter_of_its_own() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        let store = t.another_store().await;
        let here = open(&store, &ledger, unflushed()).await;
        let (partition, damaged) = damage(&here, &store, &ledger).await;
        // With room for two of them the others wait, whatever they are.
        let small = open(&t.another_store().await, &ledger, behind().dead_letters(2)).await;
        let mut events = small.events();
        meanwhile(&t, async {
            while !matches!(events.next().await, Some(CacheEvent::DeadLettersFull { .. })) {}
        })
        .await;
        until(&t, async || small.lag().await.unwrap().dead_letters == 2).await;
        let _drained = meanwhile(&t, small.drain(t.units(100))).await;
        let lag = here.lag().await.unwrap();
        assert_eq!((lag.entries, lag.dead_letters), (3, 2), "nothing is dropped");

        let flusher = open(&t.another_store().await, &ledger, behind()).await;
        until(&t, async || flusher.lag().await.unwrap().entries == 0).await;
        let letters = here.dead_letters().await.unwrap();
        assert_eq!(letters.len(), DAMAGED.len(), "{letters:?}");
        for (key, record) in damaged {
            let of_key = |letter: &&DeadLetter| letter.key == key.to_string();
            let letter = letters.iter().find(of_key).unwrap();
            assert_eq!(letter.bytes, record.len() as u64, "{letter:?}");
            assert!(letter.why.contains("damaged"), "{letter:?}");
            assert_eq!(letter.id.to_string().parse::<LetterId>().unwrap(), letter.id);
            assert_eq!(here.dead_letter(letter.id).await.unwrap().as_ref(), Some(letter));
            assert!(
                here.replay_dead_letter(letter.id).await.is_err(),
                "it says nothing to commit"
            );
        }

        // One from before, under the id that all of them had.
        let x = format!("behind:{{behind.{partition}}}:x");
        let (_, field) = letters[0]
            .id
            .to_string()
            .split_once('-')
            .map(|(p, f)| (p.to_owned(), f.to_owned()))
            .unwrap();
        let mut copy = redis::cmd("EVAL");
        copy.arg("redis.call('HSET', KEYS[1], '0-0', redis.call('HGET', KEYS[1], ARGV[1])) return 1")
            .arg(1)
            .arg(&x)
            .arg(field);
        store.run(&copy).await.unwrap();
        let old: LetterId = format!("{partition}-0-0").parse().unwrap();
        let all = here.dead_letters().await.unwrap();
        assert!(all.iter().any(|letter| letter.id == old) && all.len() == 6, "{all:?}");
        assert_eq!(here.dead_letter(old).await.unwrap().unwrap().key, letters[0].key);
        assert!(here.replay_dead_letter(old).await.is_err());
        for letter in all {
            assert!(here.drop_dead_letter(letter.id).await.unwrap());
        }
        assert!(here.dead_letters().await.unwrap().is_empty());
    });
}

/// Their values may be 8 MiB each, and 8,192 of them.
#[test]
fn a_list_of_letters_leaves_their_values_out() {
    for_each_topology(async |t: Topology| {
        let here: Cache<String, serde_json::Value> = Cache::builder("behind")
            .store(&t.another_store().await)
            .ttl(t.units(10_000))
            .codec(Codec::json().compress_above(usize::MAX))
            .sink(Epochs(Ledger::default()))
            .write(WritePolicy::Behind(unflushed()))
            .build()
            .await
            .unwrap();
        const LONG: usize = 100_000;
        let value = |n: usize| serde_json::Value::from(n.to_string().repeat(LONG));
        for n in 0..9 {
            here.put(&n.to_string(), value(n)).await.unwrap();
            assert!(here.flush(&n.to_string()).await.unwrap());
        }
        here.remove(&"gone".to_owned()).await.unwrap();
        assert!(here.flush(&"gone".to_owned()).await.unwrap());
        let letters = here.dead_letters().await.unwrap();
        assert_eq!(letters.len(), 10);
        assert!(letters.is_sorted_by_key(|letter| letter.died), "the oldest first");
        for letter in letters {
            let whole = here.dead_letter(letter.id).await.unwrap().unwrap();
            assert_eq!(
                (&whole.key, &whole.why, whole.bytes),
                (&letter.key, &letter.why, letter.bytes)
            );
            assert!(
                letter.value.is_none() && letter.why.contains("takes nothing"),
                "{}",
                letter.why
            );
            let n = letter.key.parse().ok();
            assert_eq!((whole.value, letter.is_removal), (n.map(value), n.is_none()));
            assert_eq!(letter.bytes > LONG as u64, n.is_some());
        }
    });
}

/// Draws epochs from a ledger, and takes nothing.
struct Epochs(Ledger);

impl larder_cache::Sink<String, serde_json::Value> for Epochs {
    async fn put(&self, _: &String, _: &serde_json::Value) -> Result<(), larder_cache::SinkError> {
        Ok(())
    }

    async fn remove(&self, _: &String) -> Result<bool, larder_cache::SinkError> {
        Ok(false)
    }

    async fn claim_epoch(&self, namespace: &str) -> Result<u64, larder_cache::SinkError> {
        larder_cache::Sink::claim_epoch(&self.0, namespace).await
    }

    async fn apply(
        &self,
        _: &str,
        _: &[larder_cache::Change<String, serde_json::Value>],
    ) -> Result<(), larder_cache::SinkError> {
        Err(larder_cache::SinkError::permanent("it takes nothing"))
    }
}
