//! 24: the server knows no script any more: after `SCRIPT FLUSH`, a restart, a failover. Nobody notices, in pipelines neither.

use std::{io, time::Duration};

use larder_cache::{Cache, Error, LoadContext};
use larder_store::{Store, StoreConfig};
use larder_testkit::{Kind, Proxy, RedisServer, Wire, eventually};

use super::{
    row::{Baseline, Verdict, row},
    tagged::{TAG, larder},
};

/// One use of the cache; each sends at least one script that no other does.
#[derive(Clone, Copy, Debug)]
enum Use {
    Load,
    Fail,
    LoadUnmodified,
    LoadMany,
    Put,
    PutMany,
    PutIfAbsent,
    Touch,
    Step,
    Invalidate,
    InvalidateMany,
    InvalidateTag,
    MarkStale,
    Clear,
    Commit,
    CommitValue,
}

const USES: [Use; 16] = [
    Use::Load,
    Use::Fail,
    Use::LoadUnmodified,
    Use::LoadMany,
    Use::Put,
    Use::PutMany,
    Use::PutIfAbsent,
    Use::Touch,
    Use::Step,
    Use::Invalidate,
    Use::InvalidateMany,
    Use::InvalidateTag,
    Use::MarkStale,
    Use::Clear,
    Use::Commit,
    Use::CommitValue,
];

type Numbers = Cache<u64, u64>;

/// Keys of every partition, so that pipelines are of many scripts.
const MANY: std::ops::Range<u64> = 0..200;

async fn seven() -> Result<u64, io::Error> {
    Ok(7)
}

/// Uses the cache; whether it did what it is for. A script that is not known would be an error, or a read past the store.
async fn works(cache: &Numbers, what: Use) -> Result<bool, Error> {
    let many: Vec<u64> = MANY.collect();
    Ok(match what {
        Use::Load => {
            let tagged = |context: LoadContext<u64>| async move {
                context.tag(TAG);
                seven().await
            };
            cache.get_or_load_with(&1, tagged).await?;
            cache.contains(&1).await?
        }
        Use::Fail => {
            let fail = || async { Err::<u64, _>(io::Error::other("the source is down")) };
            cache.get_or_load(&2, fail).await.is_err_and(|error| error.is_load())
        }
        Use::LoadUnmodified => {
            cache.put(&3, 7).await?;
            cache.mark_stale(&3).await?;
            let same = |context: LoadContext<u64>| async move { Ok::<_, io::Error>(context.not_modified()) };
            cache.get_or_load_with(&3, same).await?;
            cache.contains(&3).await?
        }
        Use::LoadMany => {
            let load = |missing: Vec<u64>| async move {
                Ok::<_, io::Error>(missing.into_iter().map(|key| (key, 7)).collect::<Vec<_>>())
            };
            let loaded = cache.get_or_load_many(&many, load).await.all()?.len();
            loaded == many.len() && cache.get_many(&many).await.all()?.len() == many.len()
        }
        Use::Put => cache.put(&4, 7).await.map(|_| true)?,
        Use::PutMany => {
            cache.put_many(MANY.map(|key| (key, 7))).await?;
            cache.get_many(&many).await.all()?.len() == many.len()
        }
        Use::PutIfAbsent => {
            cache.invalidate(&5).await?;
            cache.put_if_absent(&5, 7).await?
        }
        Use::Touch => {
            cache.put(&6, 7).await?;
            cache.touch(&6, Duration::from_secs(30)).await?
        }
        Use::Step => cache.incr(&7, 1).await? > 0,
        Use::Invalidate => {
            cache.invalidate(&1).await?;
            !cache.contains(&1).await?
        }
        Use::InvalidateMany => {
            cache.invalidate_many(&many).await?;
            cache.get_many(&many).await.is_empty()
        }
        Use::InvalidateTag => cache.invalidate_tag(TAG).await.map(|()| true)?,
        Use::MarkStale => {
            cache.put(&8, 7).await?;
            cache.mark_stale(&8).await?;
            !cache.contains(&8).await?
        }
        Use::Clear => {
            cache.clear().await?;
            cache.get_many(&many).await.is_empty()
        }
        Use::Commit => cache.hold(&9).await?.commit(seven()).await?.held,
        Use::CommitValue => cache.hold(&9).await?.commit_value(seven()).await?.stored,
    })
}

/// Forgets every script, before each use and in the middle of it as well as chance will have it.
#[test]
fn fault_24() {
    row(24, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        let (mut verdict, mut wire) = (Verdict::default(), t.wire());
        let store = t.another_store().await;
        if !turn.is_larder() {
            return sent_by_hash(&store, &mut wire).await;
        }
        let cache = larder(&store).await;
        for what in USES {
            // Nothing is known; then all but one pipeline's worth is.
            for forget in [true, false, true] {
                if forget {
                    wire.call(&["SCRIPT", "FLUSH"]).expect("it cannot fail");
                }
                let worked = works(&cache, what).await;
                verdict.expect(matches!(worked, Ok(true)), format!("{what:?}: {worked:?}"));
            }
        }
        let stats = cache.stats();
        verdict.expect(stats.bypasses == 0 && stats.store_errors == 0, format!("{stats:?}"));
        verdict
    });
}

/// Some scripts of a pipeline are known and others are not: each runs exactly once.
#[test]
fn fault_24_half_a_pipeline() {
    row(24, &[], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        let (mut verdict, mut wire) = (Verdict::default(), t.wire());
        let cache = larder(&t.another_store().await).await;
        for round in 1..=3 {
            wire.call(&["SCRIPT", "FLUSH"]).expect("it cannot fail");
            // Of two scripts in one pipeline one is known from here on.
            cache.put(&1_000, 7).await.expect("the store is up");
            cache
                .put_many(MANY.map(|key| (key, round)))
                .await
                .expect("the store is up");
            let (steps, found) = (
                cache.incr(&1, 1).await.expect("the store is up"),
                cache.get(&1).await.expect("the store is up"),
            );
            verdict.expect(steps == round as i64, format!("{steps} steps in {round} rounds"));
            verdict.expect(found.as_deref() == Some(&round), format!("{found:?} in round {round}"));
        }
        verdict
    });
}

/// By its hash alone, as people do who load a script at start.
async fn sent_by_hash(store: &Store, wire: &mut Wire) -> Verdict {
    let mut verdict = Verdict::default();
    let sha = wire
        .call(&["SCRIPT", "LOAD", "return redis.call('INCR', KEYS[1])"])
        .expect("it compiles")
        .text();
    let mut call = redis::cmd("EVALSHA");
    call.arg(sha).arg(1).arg("steps");
    for forget in [false, true] {
        if forget {
            wire.call(&["SCRIPT", "FLUSH"]).expect("it cannot fail");
        }
        let single = call.query_async::<u64>(&mut store.clone()).await;
        verdict.expect(single.is_ok(), format!("{single:?}"));
        let mut pipeline = redis::pipe();
        pipeline
            .set("a", 1)
            .ignore()
            .add_command(call.clone())
            .set("b", 1)
            .ignore();
        let many = pipeline.query_async::<(u64,)>(&mut store.clone()).await;
        verdict.expect(many.is_ok(), format!("in a pipeline: {many:?}"));
    }
    verdict
}

/// Another server takes the first one's place, as after a failover. It has neither scripts nor data.
#[test]
fn fault_24_after_a_failover() {
    row(24, &[], &[Kind::Redis], async |_| {
        let mut verdict = Verdict::default();
        let (first, second) = (RedisServer::start().await, RedisServer::start().await);
        let proxy = Proxy::start(first.port()).await.expect("loopback has a free port");
        let config = StoreConfig::from_url(&proxy.url()).expect("a URL");
        let store = Store::connect(config).await.expect("the server is up");
        let cache = larder(&store).await;
        for what in USES {
            verdict.expect(
                matches!(works(&cache, what).await, Ok(true)),
                format!("{what:?} before"),
            );
        }
        proxy.point_at(second.port());
        proxy.cut();
        eventually(Duration::from_secs(20), async || store.ping().await.is_ok()).await;
        // What was invalidated on the first server is invalidated on the second as well, which may take a value away that
        // was loaded a moment ago; then there is peace.
        eventually(Duration::from_secs(20), async || {
            let worked = works(&cache, Use::Load).await;
            verdict.expect(worked.is_ok(), format!("while it recovers: {worked:?}"));
            cache.stats().generations == 1
        })
        .await;
        for what in USES {
            let worked = works(&cache, what).await;
            verdict.expect(matches!(worked, Ok(true)), format!("{what:?} after: {worked:?}"));
        }
        drop(first);
        verdict
    });
}
