//! 20: somebody damages a record or writes something else over it. A miss and a count, then a value again: never a panic,
//! never a value that was not written, and a hold that was opened meanwhile stands.
//!
//! What flipped bits can do to the tags of a value, which no checksum covers, is told in `protocol/bits.rs`.

use std::io;

use larder_cache::{Cache, LoadContext, Stats};
use larder_engine::Engine;
use larder_store::Store;
use larder_testkit::{Answer, Kind, Topology, Wire, naive::CacheAside};

use crate::behaviour::subject::meanwhile;

use super::{
    mishap::{Happens, Mishap},
    row::{Baseline, Verdict, row},
    tagged::larder,
};

/// What is stored, and what the source has by the time it is asked again.
const STORED: u64 = 1_234;
const NOW: u64 = 5_678;

type Numbers = Cache<u64, u64>;

/// The record of the entry of 1, and what becomes of it.
struct Victim {
    wire: Wire,
    key: Vec<u8>,
    good: Vec<u8>,
}

impl Victim {
    /// The only key that matches `pattern`.
    fn find(t: &Topology, pattern: &str) -> Self {
        let mut wire = t.wire();
        let keys = wire.call(&["KEYS", pattern]).expect("KEYS cannot fail");
        let key = keys.list()[0].bytes().to_vec();
        let good = wire.call(&[b"GET", key.as_slice()]).expect("it is a string");
        let good = good.bytes().to_vec();
        Self { wire, key, good }
    }

    fn becomes(&mut self, bytes: &[u8]) {
        let set = [b"SET".as_slice(), &self.key, bytes, b"PX", b"60000"];
        self.wire.call(&set).expect("there is memory");
    }

    /// Every record with one bit flipped, and every record cut short.
    fn damages(&self) -> Vec<(String, Vec<u8>)> {
        let flipped = (0..self.good.len() * 8).map(|bit| {
            let mut bad = self.good.clone();
            bad[bit / 8] ^= 0x80 >> (bit % 8);
            (format!("with bit {} of byte {} flipped", bit % 8, bit / 8), bad)
        });
        let cut = (0..self.good.len()).map(|len| (format!("cut to {len} bytes"), self.good[..len].to_vec()));
        flipped.chain(cut).collect()
    }
}

async fn load(context: LoadContext<u64>) -> Result<u64, io::Error> {
    context.tag("T");
    context.tag("U");
    Ok(NOW)
}

/// What a read by Larder gives, and whether the next one has it from the cache.
async fn read_twice(cache: &Numbers) -> (Option<u64>, Option<u64>) {
    let first = cache.get_or_load_with(&1, load).await.ok().flatten();
    let second = cache.get(&1).await.ok().flatten();
    (first.map(|value| *value), second.map(|value| *value))
}

#[test]
fn fault_20() {
    row(20, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        if turn.is_larder() {
            larder_survives(&t).await
        } else {
            naive_believes(&t).await
        }
    });
}

async fn naive_believes(t: &Topology) -> Verdict {
    let (mut verdict, cache) = (Verdict::default(), CacheAside::new(t.another_store().await));
    cache
        .get("row", &[], || async { STORED })
        .await
        .expect("the store is up");
    let mut row = Victim::find(t, "row");
    for (how, bad) in row.damages() {
        row.becomes(&bad);
        let seen = cache.get("row", &[], || async { NOW }).await;
        let right = seen.as_ref().is_ok_and(|value| [STORED, NOW].contains(value));
        verdict.expect(right, format!("{how} it reads {seen:?}"));
    }
    verdict
}

async fn larder_survives(t: &Topology) -> Verdict {
    let (mut verdict, writer) = (Verdict::default(), larder(&t.another_store().await).await);
    writer
        .put_with(&1, STORED, |o| o.tag("T").tag("U"))
        .await
        .expect("the store is up");
    let mut e = Victim::find(t, "*:e:1");
    let cache = larder(&t.another_store().await).await;
    for (how, bad) in e.damages() {
        e.becomes(&bad);
        let looked = cache.get(&1).await.expect("damage is a miss, not an error");
        verdict.expect(
            looked.is_none_or(|value| *value == STORED),
            format!("{how} it is a miss or right"),
        );
        e.becomes(&bad);
        let (first, second) = read_twice(&cache).await;
        let right = first == second && [Some(STORED), Some(NOW)].contains(&first);
        verdict.expect(right, format!("{how} it reads {first:?}, then {second:?}"));
    }
    let found_out = cache.stats().decode_failures;
    let least = b"crc4\x011234".len() as u64 * 8;
    verdict.expect(
        found_out >= least,
        format!("{found_out} damages were counted, of {least} of the payload alone"),
    );
    verdict
}

/// Bytes that are no record, or one of another format.
#[test]
fn fault_20_foreign_bytes() {
    row(20, &[], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        let (mut verdict, cache) = (Verdict::default(), larder(&t.another_store().await).await);
        cache.put(&1, STORED).await.expect("the store is up");
        let mut e = Victim::find(&t, "*:e:1");
        let another_format = [b"LD\x02".as_slice(), &e.good[3..]].concat();
        let noise: Vec<u8> = (0..4_096).map(|_| turn.random.below(256) as u8).collect();
        let only_a_beginning = [b"LD\x01".as_slice(), &noise].concat();
        let junk: [&[u8]; 7] = [
            b"{\"json\": 1}",
            b"",
            b"LD\x01\x01",
            b"OK",
            &another_format,
            &noise,
            &only_a_beginning,
        ];
        for junk in junk {
            e.becomes(junk);
            let looked = cache.get(&1).await.expect("it is a miss, not an error");
            verdict.expect(looked.is_none(), format!("{} foreign bytes are a miss", junk.len()));
            let read = read_twice(&cache).await;
            verdict.expect(
                read == (Some(NOW), Some(NOW)),
                format!("then it is cached again: {read:?}"),
            );
        }
        verdict
    });
}

/// Keys of another type where a record, its partition's incarnation or its tags' stamps should be.
#[test]
fn fault_20_foreign_types() {
    row(20, &[], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        let mut verdict = Verdict::default();
        let cache = larder(&t.another_store().await).await;
        let types: [&[&str]; 3] = [&["HSET", "", "f", "v"], &["LPUSH", "", "x"], &["ZADD", "", "1", "m"]];
        for part in ["e:1", "m", "t0", "t1"] {
            for write in types {
                read_twice(&cache).await;
                let e = String::from_utf8(Victim::find(&t, "*:e:1").key).expect("written as text");
                let key = e.replace("e:1", part);
                let mut wire = t.wire();
                wire.call(&["DEL", &key]).expect("DEL cannot fail");
                let write: Vec<&str> = write
                    .iter()
                    .map(|&word| if word.is_empty() { key.as_str() } else { word })
                    .collect();
                // Stamps have to be a hash: there it is only a strange one.
                wire.call(&write).expect("nothing is there");
                // What is dropped is sent again after a moment, which has to pass where the clock stands.
                let invalidate = async { (cache.invalidate_tag("T").await, cache.invalidate(&1).await) };
                let invalidated = meanwhile(&t, invalidate).await;
                verdict.expect(
                    matches!(invalidated, (Ok(()), Ok(()))),
                    format!("after {write:?}: {invalidated:?}"),
                );
                let read = read_twice(&cache).await;
                verdict.expect(read == (Some(NOW), Some(NOW)), format!("after {write:?}: {read:?}"));
            }
        }
        let Stats { healed, .. } = cache.stats();
        verdict.expect(healed >= 8, format!("{healed} keys were healed and counted"));
        verdict
    });
}

/// A reader finds a damaged record and goes to remove it; by then a writer holds the key.
#[test]
fn fault_20_a_hold_opened_meanwhile_stands() {
    row(20, &[], &[Kind::Embedded], async |_| {
        let mut verdict = Verdict::default();
        for (removal, spoil) in [
            ("inv", flip_the_payload as fn(&mut Wire, &[u8])),
            ("heal", make_it_a_hash),
        ] {
            let engine = Engine::new();
            let mishap = Mishap::of(removal, Happens::Waits);
            let (reader, writer) = (
                larder(&mishap.client(&engine)).await,
                larder(&Store::embedded(engine.clone())).await,
            );
            writer.put(&1, STORED).await.expect("the store is up");
            let mut wire = Wire::embedded(&engine);
            let key = wire.call(&["KEYS", "*:e:1"]).expect("KEYS cannot fail").list()[0]
                .bytes()
                .to_vec();
            spoil(&mut wire, &key);
            let read = tokio::spawn({
                let reader = reader.clone();
                async move { reader.get_or_load_with(&1, load).await }
            });
            mishap.has_met().await;
            let hold = writer.hold(&1).await.expect("the store is up");
            mishap.let_go();
            let seen = read.await.expect("no panic").expect("the source is up");
            verdict.expect(seen.as_deref() == Some(&NOW), format!("{removal}: loaded, {seen:?}"));
            let looked = reader.get(&1).await.expect("the store is up");
            verdict.expect(
                looked.is_none(),
                format!("{removal}: not stored under the hold, but {looked:?}"),
            );
            let committed = hold
                .commit(async { Ok::<_, io::Error>(()) })
                .await
                .expect("nothing fails");
            verdict.expect(committed.held, format!("{removal}: the hold stood until the commit"));
        }
        verdict
    });
}

fn flip_the_payload(wire: &mut Wire, key: &[u8]) {
    let record = wire.call(&[b"GET", key]).expect("it is a string");
    let Answer::Bytes(mut bytes) = record else {
        panic!("{record:?}")
    };
    *bytes.last_mut().expect("it has a payload") ^= 1;
    wire.call(&[b"SET", key, &bytes, b"KEEPTTL"]).expect("there is memory");
}

fn make_it_a_hash(wire: &mut Wire, key: &[u8]) {
    wire.call(&[b"DEL", key]).expect("DEL cannot fail");
    wire.call(&[b"HSET", key, b"f", b"v"]).expect("nothing is there");
}
