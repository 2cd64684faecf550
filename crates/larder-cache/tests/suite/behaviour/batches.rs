//! Many keys at once.

use std::{collections::HashMap, io};

use larder_testkit::{Topology, for_each_topology};

use super::subject::{LONG, Rows, answers, build, cache, near, passes};

#[test]
fn a_batch_loads_all_missing_keys_with_one_call() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| b.source(rows.clone()).near(near(&t))).await;
        for key in 0..10 {
            cache.get(&key).await.unwrap();
        }
        let keys: Vec<u64> = (0..100).collect();
        let batch = cache.get_many(&keys).await;
        assert_eq!((batch.len(), rows.calls(), rows.loads()), (100, 11, 100));
        let again = cache.get_many(&keys).await;
        assert_eq!((again.len(), rows.calls()), (100, 11));
        assert!(again.in_order(&keys).iter().all(Option::is_some));
    });
}

#[test]
fn a_batch_remembers_what_does_not_exist() {
    for_each_topology(async |t: Topology| {
        let cache = cache(&t).await;
        let load = async |keys: Vec<u64>| {
            Ok::<_, io::Error>(
                keys.into_iter()
                    .filter(|key| key % 2 == 0)
                    .map(|key| (key, key))
                    .collect(),
            )
        };
        let batch = cache.get_or_load_many(&[1, 2, 3, 4, 4], load).await.all().unwrap();
        assert_eq!(batch.into_map().len(), 2);
        let none =
            async |keys: Vec<u64>| -> Result<Vec<(u64, u64)>, io::Error> { panic!("{keys:?} were asked for again") };
        let again = cache.get_or_load_many(&[1, 2, 3, 4], none).await;
        let mut missing: Vec<u64> = again.missing().copied().collect();
        missing.sort_unstable();
        assert_eq!((again.len(), missing), (2, vec![1, 3]));
    });
}

#[test]
fn a_failing_call_fails_only_what_it_was_to_load() {
    for_each_topology(async |t: Topology| {
        let cache = cache(&t).await;
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        let fails = async |_: Vec<u64>| Err::<Vec<(u64, u64)>, _>(io::Error::other("down"));
        let batch = cache.get_or_load_many(&[1, 2, 3], fails).await;
        assert_eq!((batch.len(), batch.failed().len()), (1, 2));
        assert!(batch.failed().iter().all(|(_, error)| error.is_load()));
        assert!(batch.all().is_err());
        assert_eq!(
            *cache.get_or_load(&2, || answers(8)).await.unwrap(),
            8,
            "the leases were given back"
        );
    });
}

#[test]
fn grace_covers_a_failing_batch() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| b.source(rows.clone()).ttl(t.units(10)).grace(t.units(LONG))).await;
        cache.get_many(&[1, 2]).await.all().unwrap();
        t.advance(11).await;
        rows.fail(true);
        let batch = cache.get_many(&[1, 2, 3]).await;
        assert!(batch.lookup(&1).unwrap().is_stale() && batch.lookup(&2).unwrap().is_stale());
        assert_eq!(batch.failed().len(), 1);
    });
}

#[test]
fn batches_and_single_reads_share_loads() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| b.source(rows.clone())).await;
        rows.close_gate();
        let single = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get(&1).await }
        });
        assert!(passes(&t, 50, || rows.loads() == 1).await);
        let batches: Vec<_> = (0..2)
            .map(|_| {
                let cache = cache.clone();
                tokio::spawn(async move { cache.get_many(&[1, 2, 3]).await })
            })
            .collect();
        assert!(passes(&t, 50, || rows.loads() == 3).await);
        t.advance(1).await;
        rows.open_gate();
        assert!(passes(&t, 100, || batches.iter().all(tokio::task::JoinHandle::is_finished)).await);
        for batch in batches {
            assert_eq!(batch.await.unwrap().len(), 3);
        }
        single.await.unwrap().unwrap();
        assert_eq!(rows.loads(), 3);
    });
}

#[test]
fn a_batch_waits_for_loads_in_other_processes() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let (here, there) = (
            build(&t, |b| b.source(rows.clone())).await,
            build(&t, |b| b.source(rows.clone())).await,
        );
        rows.close_gate();
        let single = tokio::spawn(async move { there.get(&1).await });
        assert!(passes(&t, 50, || rows.loads() == 1).await);
        let batch = tokio::spawn({
            let here = here.clone();
            async move { here.get_many(&[1, 2]).await }
        });
        assert!(passes(&t, 50, || rows.loads() == 2).await);
        rows.open_gate();
        assert!(passes(&t, 100, || batch.is_finished()).await);
        let found: HashMap<u64, _> = batch.await.unwrap().into_map();
        assert_eq!(found.len(), 2);
        single.await.unwrap().unwrap();
        assert_eq!(rows.loads(), 2);
    });
}

#[test]
fn a_large_batch_is_whole() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (cache(&t).await, cache(&t).await);
        let keys: Vec<u64> = (0..2_345).collect();
        let load = async |keys: Vec<u64>| Ok::<_, io::Error>(keys.into_iter().map(|key| (key, key * 2)).collect());
        let loaded = here.get_or_load_many(&keys, load).await.all().unwrap();
        let seen = there.get_many(&keys).await.all().unwrap();
        for key in &keys {
            assert_eq!(
                (loaded.get(key).map(|v| **v), seen.get(key).map(|v| **v)),
                (Some(key * 2), Some(key * 2))
            );
        }
        assert_eq!(here.stats().in_flight, 0);
    });
}

#[test]
fn warming_loads_what_is_not_cached() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| b.source(rows.clone())).await;
        cache.get_many(&(0..50).collect::<Vec<_>>()).await;
        let steps = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = steps.clone();
        let done = cache
            .warm(futures_util::stream::iter(0..500u64))
            .progress(move |progress| seen.lock().unwrap().push(progress.seen))
            .await
            .unwrap();
        assert_eq!((done.seen, done.cached, done.failed, rows.loads()), (500, 500, 0, 500));
        assert_eq!(*steps.lock().unwrap(), [200, 400, 500]);
        let refused = build(&t, |b| b)
            .await
            .warm(futures_util::stream::iter([1u64]))
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("put_many"), "{refused}");
    });
}
