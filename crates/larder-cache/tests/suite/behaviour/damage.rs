//! Records that others damaged or overwrote: a miss and a count, never a panic, never a wrong value.

use larder_cache::Cache;
use larder_testkit::{Answer, Topology, Wire, for_each_topology};
use serde::{Deserialize, Serialize};

use super::subject::{Numbers, answers, build, cache, near};

/// The key of the entry of 1.
fn entry(wire: &mut Wire) -> Vec<u8> {
    match wire.call(&["KEYS", "n:{n.*}:e:1"]).unwrap() {
        Answer::List(keys) => match keys.into_iter().next() {
            Some(Answer::Bytes(key)) => key,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn raw(wire: &mut Wire, key: &[u8]) -> Vec<u8> {
    match wire.call(&[b"GET", key]).unwrap() {
        Answer::Bytes(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

async fn reloads(cache: &Numbers) -> bool {
    let value = *cache.get_or_load(&1, || answers(8)).await.unwrap();
    let again = cache.get(&1).await.unwrap().as_deref().copied();
    match (value, again) {
        (8, Some(8)) => true,
        (7, Some(7)) => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_damaged_payload_is_loaded_again_and_counted() {
    for_each_topology(async |t: Topology| {
        let cache = cache(&t).await;
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        let mut wire = t.wire();
        let key = entry(&mut wire);
        let mut record = raw(&mut wire, &key);
        *record.last_mut().unwrap() ^= 1;
        wire.call(&[b"SET".as_slice(), &key, &record, b"KEEPTTL"]).unwrap();
        assert!(
            cache.get(&1).await.unwrap().is_none(),
            "and it does not serve to who only looks"
        );
        assert_eq!(cache.stats().decode_failures, 1);
        assert!(reloads(&cache).await);
    });
}

#[test]
fn every_flipped_byte_is_survived() {
    for_each_topology(async |t: Topology| {
        let mut wire = t.wire();
        let good = {
            let cache = cache(&t).await;
            cache.put_with(&1, 7, |o| o.tag("T")).await.unwrap();
            let key = entry(&mut wire);
            raw(&mut wire, &key)
        };
        let cache = cache(&t).await;
        let key = entry(&mut wire);
        // Lease fields (40..64) may say "another loads": that costs a wait, which is tested elsewhere.
        for at in (0..40).chain(72..good.len()) {
            let mut bad = good.clone();
            bad[at] ^= 0x11;
            wire.call(&[b"SET".as_slice(), &key, &bad, b"PX", b"60000"]).unwrap();
            let found = cache.get(&1).await.unwrap();
            assert!(found.is_none_or(|value| *value == 7), "byte {at}");
            wire.call(&[b"DEL".as_slice(), &key]).unwrap();
        }
    });
}

#[test]
fn a_key_of_a_wrong_type_is_dropped_and_used_again() {
    for_each_topology(async |t: Topology| {
        let mut wire = t.wire();
        for part in ["e:1", "m", "t0", "t1"] {
            wire.call(&["FLUSHALL"]).unwrap();
            let cache = cache(&t).await;
            let tagged = async || {
                cache
                    .get_or_load_with(&1, |ctx| async move {
                        ctx.tag("T");
                        answers(8).await
                    })
                    .await
            };
            tagged().await.unwrap();
            let e = String::from_utf8(entry(&mut wire)).unwrap();
            cache.invalidate(&1).await.unwrap();
            let key = e.replace("e:1", part);
            wire.call(&["DEL", &key]).unwrap();
            wire.call(&["LPUSH", &key, "x"]).unwrap();
            assert_eq!(tagged().await.unwrap().as_deref(), Some(&8), "{part}");
            assert_eq!(
                cache.get(&1).await.unwrap().as_deref(),
                Some(&8),
                "{part}: cached again"
            );
        }
    });
}

#[test]
fn foreign_bytes_are_a_miss() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.near(near(&t))).await;
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        let mut wire = t.wire();
        let key = entry(&mut wire);
        for junk in [
            b"{\"json\": 1}".as_slice(),
            b"",
            b"LD\x01\x01",
            b"LD\x02\x01",
            &[0xff; 300],
        ] {
            wire.call(&[b"SET".as_slice(), &key, junk]).unwrap();
            assert!(cache.get(&1).await.unwrap().is_none());
            assert!(reloads(&cache).await);
        }
    });
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Old {
    name: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct New {
    name: String,
    age: u32,
}

#[test]
fn a_newer_schema_overwrites_and_an_older_one_leaves_alone() {
    for_each_topology(async |t: Topology| {
        let (old_store, new_store) = (t.another_store().await, t.another_store().await);
        let old: Cache<u64, Old> = Cache::builder("n")
            .store(&old_store)
            .ttl(t.units(200))
            .build()
            .await
            .unwrap();
        let new: Cache<u64, New> = Cache::builder("n")
            .store(&new_store)
            .ttl(t.units(200))
            .schema_revision(1)
            .build()
            .await
            .unwrap();
        let load_old = async || Ok::<_, std::io::Error>(Old { name: "Ada".into() });
        let load_new = async || {
            Ok::<_, std::io::Error>(New {
                name: "Ada".into(),
                age: 36,
            })
        };
        for _ in 0..3 {
            old.get_or_load(&1, load_old).await.unwrap();
        }
        assert_eq!(old.stats().loads, 1);
        for _ in 0..3 {
            assert_eq!(new.get_or_load(&1, load_new).await.unwrap().age, 36);
        }
        assert_eq!((new.stats().loads, new.stats().fills), (1, 1));
        for _ in 0..3 {
            old.get_or_load(&1, load_old).await.unwrap();
        }
        assert_eq!(
            (old.stats().loads, old.stats().fills),
            (4, 1),
            "loads for itself, and stores nothing"
        );
        assert_eq!(new.get(&1).await.unwrap().map(|user| user.age), Some(36));
    });
}
