//! 18: the server is full, or evicts. Without memory invalidations are still done and reads still answered; whatever is
//! evicted costs misses, and within two reads the key is cached again.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use larder_base::Clock;
use larder_store::Store;
use larder_testkit::{Kind, RedisServer, Topology, Wire, history::Bounds, naive::CacheAside};

use super::{
    row::{Baseline, Verdict, row},
    stage::{Process, Stage},
    tagged::{Held, KEY, Reads, Tagged, larder},
};

/// Removes what matches, as an eviction does; how many keys.
fn evict(wire: &mut Wire, pattern: &str) -> usize {
    let keys = wire.call(&["KEYS", pattern]).expect("KEYS cannot fail");
    for key in keys.list() {
        wire.call(&[b"DEL".as_slice(), key.bytes()]).expect("DEL cannot fail");
    }
    keys.list().len()
}

fn maxmemory(wire: &mut Wire, bytes: &str) {
    wire.call(&["CONFIG", "SET", "maxmemory", bytes])
        .expect("it can be set");
}

/// Reads until the row comes from the cache; how many reads that took, 4 if it was more than three.
async fn reads_until_cached(cache: &impl Reads, row: &Arc<AtomicU64>) -> u32 {
    for reads in 0..4 {
        let loaded = AtomicU64::new(0);
        let load = || async {
            loaded.store(1, Ordering::SeqCst);
            row.load(Ordering::SeqCst)
        };
        cache.get(load).await;
        if loaded.load(Ordering::SeqCst) == 0 {
            return reads;
        }
    }
    4
}

#[test]
fn fault_18_out_of_memory() {
    row(18, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        let store = t.another_store().await;
        if turn.is_larder() {
            full(&t, larder(&store).await).await
        } else {
            full(&t, CacheAside::new(store)).await
        }
    });
}

/// Nothing can be stored, under `noeviction`, the default policy of a server.
async fn full(t: &Topology, cache: impl Tagged) -> Verdict {
    let (mut verdict, mut wire, row) = (Verdict::default(), t.wire(), Arc::new(AtomicU64::new(1)));
    let before = cache.read(&row).await;
    verdict.expect(before == Some(1), format!("{before:?}"));
    maxmemory(&mut wire, "1");
    verdict.expect(cache.read(&row).await == Some(1), "what is cached serves");
    row.store(2, Ordering::SeqCst);
    verdict.expect(cache.invalidate_tag().await, "an invalidation needs no memory");
    for _ in 0..2 {
        let read = cache.read(&row).await;
        verdict.expect(
            read == Some(2),
            format!("version 2 from the source, which is up, not {read:?}"),
        );
    }
    maxmemory(&mut wire, "0");
    let reads = reads_until_cached(&cache, &row).await;
    verdict.expect(
        reads <= 2,
        format!("cached again after {reads} reads, once there is memory"),
    );
    let read = cache.read(&row).await;
    verdict.expect(read == Some(2), format!("version 2, not {read:?}"));
    verdict
}

/// A value is put where there is no memory: the caller is told, and the old value is gone.
#[test]
fn fault_18_a_put_without_memory() {
    row(18, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        let (mut verdict, mut wire, store) = (Verdict::default(), t.wire(), t.another_store().await);
        let left = if turn.is_larder() {
            let cache = larder(&store).await;
            cache.put(&KEY, 1).await.expect("there is memory");
            maxmemory(&mut wire, "1");
            let put = cache.put(&KEY, 2).await;
            verdict.expect(put.is_err(), "it is said that it was not stored");
            let held = cache.hold(&KEY).await.expect("a hold needs no memory");
            let committed = held
                .commit_value(async { Ok::<_, io::Error>(2) })
                .await
                .expect("so does its end");
            verdict.expect(committed.held && !committed.stored, format!("{committed:?}"));
            cache.get(&KEY).await.expect("the store is up").map(|value| *value)
        } else {
            // Write-through as people write it: the row, then the cache.
            let mut store = store;
            redis::cmd("SET")
                .arg("k")
                .arg(1)
                .query_async::<()>(&mut store)
                .await
                .expect("there is memory");
            maxmemory(&mut wire, "1");
            let put = redis::cmd("SET").arg("k").arg(2).query_async::<()>(&mut store).await;
            verdict.expect(put.is_err(), "it is said that it was not stored");
            redis::cmd("GET")
                .arg("k")
                .query_async(&mut store)
                .await
                .expect("reads need no memory")
        };
        verdict.expect(left.is_none(), format!("the old value is gone, not {left:?}"));
        verdict
    });
}

/// Each key that a tagged value hangs on, alone; by hand that is the set of the tag's keys.
#[test]
fn fault_18_metadata_is_evicted() {
    row(18, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        let (here, there) = (t.another_store().await, t.another_store().await);
        let mut verdict = Verdict::default();
        if turn.is_larder() {
            let (here, there) = (larder(&here).await, larder(&there).await);
            for part in ["*:m", "*:t0", "*:t1", "*:e:*"] {
                verdict += evicted_before_an_invalidation(&t, part, &here, &there).await;
            }
        } else {
            let (here, there) = (CacheAside::new(here), CacheAside::new(there));
            verdict += evicted_before_an_invalidation(&t, "tag:*", &here, &there).await;
        }
        verdict
    });
}

async fn evicted_before_an_invalidation<T: Tagged>(t: &Topology, part: &str, here: &T, there: &T) -> Verdict {
    let (mut verdict, mut wire, row) = (Verdict::default(), t.wire(), Arc::new(AtomicU64::new(1)));
    there.invalidate_tag().await;
    here.read(&row).await;
    if part == "*:t1" {
        age_stamps(&mut wire);
    }
    let evicted = evict(&mut wire, part);
    verdict.expect(evicted > 0, format!("there is a {part} to evict"));
    row.store(2, Ordering::SeqCst);
    verdict.expect(there.invalidate_tag().await, format!("acknowledged without {part}"));
    for cache in [here, there] {
        let read = cache.read(&row).await;
        verdict.expect(read == Some(2), format!("version 2, not {read:?}, without {part}"));
    }
    let reads = reads_until_cached(here, &row).await;
    verdict.expect(reads <= 2, format!("without {part} cached again after {reads} reads"));
    verdict
}

/// Makes the young stamps the aged ones, as `rotate_tags` does once in a long time.
fn age_stamps(wire: &mut Wire) {
    let young = wire.call(&["KEYS", "*:t0"]).expect("KEYS cannot fail");
    for key in young.list() {
        let aged = key.text().replace(":t0", ":t1");
        wire.call(&["RENAME", &key.text(), &aged]).expect("it exists");
    }
}

/// A lease is evicted during its load: what was loaded under it is not stored.
#[test]
fn fault_18_a_lease_is_evicted() {
    row(18, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        let (here, there) = (t.another_store().await, t.another_store().await);
        if turn.is_larder() {
            let (here, there) = (larder(&here).await, larder(&there).await);
            let mut verdict = evicted_during_a_load(&t, &here, &there).await;
            verdict.expect(here.stats().fills_rejected() == 1, "the fill is refused and counted");
            verdict
        } else {
            evicted_during_a_load(&t, &CacheAside::new(here), &CacheAside::new(there)).await
        }
    });
}

async fn evicted_during_a_load<T: Tagged>(t: &Topology, here: &T, there: &T) -> Verdict {
    let (mut verdict, mut wire, row) = (Verdict::default(), t.wire(), Arc::new(AtomicU64::new(1)));
    let load = Held::begin(here, &row).await;
    evict(&mut wire, "*:e:*");
    row.store(2, Ordering::SeqCst);
    verdict.expect(there.invalidate_tag().await, "acknowledged");
    load.end().await;
    for cache in [here, there] {
        let read = cache.read(&row).await;
        verdict.expect(read == Some(2), format!("version 2, not {read:?}"));
    }
    let reads = reads_until_cached(here, &row).await;
    verdict.expect(reads <= 2, format!("cached again after {reads} reads"));
    verdict
}

/// A hold is evicted during its commit, and a reader stores the old row meanwhile: the end of the hold removes it, and
/// says that the hold was lost.
#[test]
fn fault_18_a_hold_is_evicted() {
    row(18, &[], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        let (here, there) = (
            larder(&t.another_store().await).await,
            larder(&t.another_store().await).await,
        );
        let (mut verdict, row) = (Verdict::default(), Arc::new(AtomicU64::new(1)));
        for storing in [false, true] {
            let hold = here.hold(&KEY).await.expect("the store is up");
            let commit = async {
                evict(&mut t.wire(), "*:e:*");
                there.read(&row).await;
                row.fetch_add(1, Ordering::SeqCst);
                Ok::<_, io::Error>(row.load(Ordering::SeqCst))
            };
            let held = if storing {
                hold.commit_value(commit).await.expect("the store is up").held
            } else {
                hold.commit(commit).await.expect("the store is up").held
            };
            verdict.expect(!held, "it is said that the hold was lost");
            let now = row.load(Ordering::SeqCst);
            for cache in [&here, &there] {
                let read = cache.read(&row).await;
                verdict.expect(read == Some(now), format!("version {now}, not {read:?}"));
            }
            let reads = reads_until_cached(&there, &row).await;
            verdict.expect(reads <= 2, format!("cached again after {reads} reads"));
        }
        verdict.expect(here.stats().holds_lost == 2, "lost holds are counted");
        verdict
    });
}

/// A server that evicts at random, whatever it is, while two processes read and write.
#[test]
fn fault_18_eviction_at_random() {
    /// Rounds of a write, some reads, and as much of other data as makes the server evict.
    const ROUNDS: u64 = 150;
    const KEYS: u64 = 4;
    /// A tenth of what there is beyond a bare server.
    const FILLER: usize = 100 * 1024;
    row(18, &[], &[Kind::Redis], async |turn| {
        let server = RedisServer::start_with(&["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-random"]).await;
        let stage = Stage::new(&Clock::system(), &turn.random, Bounds::default());
        let open = async || Store::open(&server.url()).await.expect("the server is up");
        let processes = [
            Process::new(turn.baseline, 0, &open().await).await,
            Process::new(turn.baseline, 1, &open().await).await,
        ];
        let (mut verdict, mut wire, filler) = (Verdict::default(), Wire::tcp(server.port()), vec![b'x'; FILLER]);
        for round in 0..ROUNDS {
            let key = turn.random.below(KEYS);
            let filled = format!("filler:{}", round % 30);
            wire.call(&[b"SET".as_slice(), filled.as_bytes(), &filler])
                .expect("there is something to evict");
            let writer = &processes[(round % 2) as usize];
            verdict.expect(stage.write(writer, key).await, "acknowledged");
            for process in &processes {
                for key in 0..KEYS {
                    verdict.expect(stage.read(process, key).await.is_some(), "it is answered");
                }
            }
        }
        let info = wire.call(&["INFO", "stats"]).expect("INFO cannot fail").text();
        let evicted = info
            .lines()
            .find_map(|line| line.strip_prefix("evicted_keys:")?.parse::<u64>().ok());
        verdict.expect(
            evicted.is_some_and(|keys| keys > ROUNDS / 2),
            format!("{evicted:?} keys were evicted"),
        );
        verdict += stage.verdict_with(&processes.each_ref()).await;
        verdict
    });
}
