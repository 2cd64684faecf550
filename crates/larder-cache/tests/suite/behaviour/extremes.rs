//! Times at the ends of their ranges: no sum of them overflows, and what is too long for a server is cut to a hundred years.

use std::time::Duration;

use larder_cache::{CacheBuilder, LoadContext, Ttl};
use larder_testkit::{Case, Topology, for_each_topology};

use super::subject::{Numbers, answers, build, near};

/// The shortest span, the longest, and those round the limits of the numbers that carry them.
const SPANS: [Duration; 8] = [
    Duration::from_nanos(1),
    Duration::from_millis(1),
    Duration::from_millis(u32::MAX as u64),
    Duration::from_secs(1 << 40),
    Duration::from_millis((1 << 53) + 1),
    Duration::from_millis(u64::MAX),
    Duration::from_secs(u64::MAX),
    Duration::MAX,
];

/// A century and a bit: what "for ever" is in the store.
const CENTURY: Duration = Duration::from_secs(101 * 365 * 24 * 3600);

type Builder = CacheBuilder<u64, u64>;

/// Does everything that computes a time, once.
async fn use_every_time(cache: &Numbers, span: Duration) {
    let load = |context: LoadContext<u64>| async move {
        context.ttl(span);
        answers(7).await
    };
    assert_eq!(cache.get_or_load_with(&1, load).await.unwrap().as_deref(), Some(&7));
    // Again: where it is a hit, whether to refresh it early is a matter of times too.
    assert_eq!(*cache.get_or_load(&1, || answers(7)).await.unwrap(), 7);
    let absent = |context: LoadContext<u64>| async move { Ok::<_, std::io::Error>(context.absent()) };
    assert_eq!(cache.get_or_load_with(&2, absent).await.unwrap(), None);
    cache.put_with(&3, 7, |o| o.ttl(span).tag("t")).await.unwrap();
    cache.touch(&3, span).await.unwrap();
    cache.lookup(&3).await.unwrap();
    cache.mark_stale(&3).await.unwrap();
    assert_eq!(*cache.get_or_load(&3, || answers(8)).await.unwrap(), 8);
    for key in 1..=3 {
        let left = cache.ttl(&key).await.unwrap().unwrap_or_default();
        assert!(left <= CENTURY, "{left:?} of {span:?}");
    }
    let hold = cache.hold(&4).await.unwrap();
    let committed = hold.commit_value(answers(9)).await.unwrap();
    assert!(committed.held);
}

#[test]
fn every_setting_takes_the_shortest_and_the_longest_span() {
    for_each_topology(async |t: Topology| {
        for (round, span) in SPANS.into_iter().enumerate() {
            let settings: [fn(Builder, Duration) -> Builder; 5] = [
                |b, span| b.ttl(span).jitter(0.5),
                |b, span| b.ttl(Ttl::of(span)).refresh_ahead(0.0),
                |b, span| b.grace(span).xfetch(1e6),
                |b, span| b.negative_ttl(span).jitter(0.5).refresh_ahead(0.0),
                |b, span| b.wait_budget(span).load_timeout(span.max(Duration::from_secs(10))),
            ];
            for setting in settings {
                let cache = build(&t, |b| setting(b.near(near(&t)), span)).await;
                use_every_time(&cache, SPANS[(round + 1) % SPANS.len()]).await;
                cache.clear().await.unwrap();
            }
        }
    });
}

#[test]
fn no_ttl_is_longer_in_the_store_than_it_was_asked_for() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.jitter(0.5)).await;
        for case in Case::each(100, 1) {
            let random = case.random();
            // Of every order of magnitude as often.
            let ms = random.next_u64() >> random.below(64);
            let ttl = Duration::from_millis(ms.max(1));
            cache.put_with(&1, 7, |o| o.ttl(ttl)).await.unwrap();
            // None, where it has passed already.
            let left = cache.ttl(&1).await.unwrap().unwrap_or_default();
            assert!(left <= ttl && left <= CENTURY, "{left:?} of {ttl:?}");
            let least = ttl.min(Duration::from_secs(99 * 365 * 24 * 3600)).mul_f64(0.49);
            assert!(left + Duration::from_secs(60) >= least, "{left:?} of {ttl:?}");
        }
    });
}
