//! 19: clocks step by an hour, the server's or a client's. Nothing stale, nothing for ever: no decision of a client rests on
//! a wall clock, and what the server's clock decides is wrong by at most the step.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::{Clock, ManualClock};
use larder_store::{Store, StoreConfig};
use larder_testkit::{Kind, Topology, UNIT, naive::CreatedAtTags};

use super::{
    row::{Baseline, Verdict, row},
    tagged::{Held, KEY, Reads, TAG, TTL, Tagged, larder},
};
use crate::behaviour::subject::meanwhile;

/// How far a clock steps, in seconds, forwards or back.
const HOUR: i64 = 3_600;
const STEPS: [i64; 2] = [HOUR, -HOUR];

/// Servers whose clock a test can move. The clients are on it as well, and look at its monotonic part alone.
const MOVABLE: [Kind; 2] = [Kind::Embedded, Kind::Serve];

fn hand(t: &Topology) -> &ManualClock {
    t.clock().as_manual().expect("its clock can be moved")
}

/// Lets much time pass at once.
async fn jump(t: &Topology, span: Duration) {
    hand(t).advance(span);
    t.advance(1).await;
}

/// Reads by all of `caches`, which must give what is in the row.
async fn up_to_date<T: Reads>(t: &Topology, caches: &[&T], row: &Arc<AtomicU64>, when: &str, verdict: &mut Verdict) {
    let now = row.load(Ordering::SeqCst);
    for cache in caches {
        let read = meanwhile(t, cache.read(row)).await;
        verdict.expect(read == Some(now), format!("{when}: version {now}, not {read:?}"));
    }
}

/// The server's clock steps while a value is cached, while it is loaded, and while a writer holds its key.
#[test]
fn fault_19_the_server_steps() {
    row(19, &[], &MOVABLE, async |turn| {
        let mut verdict = Verdict::default();
        for step in STEPS {
            let t = turn.topology().await;
            let (here, there) = (
                larder(&t.another_store().await).await,
                larder(&t.another_store().await).await,
            );
            let (row, all) = (Arc::new(AtomicU64::new(1)), [&here, &there]);

            here.read(&row).await;
            hand(&t).step_wall(step);
            row.store(2, Ordering::SeqCst);
            verdict.expect(there.invalidate_tag(TAG).await.is_ok(), "acknowledged");
            up_to_date(
                &t,
                &all,
                &row,
                &format!("by tag, {step} s after it was cached"),
                &mut verdict,
            )
            .await;
            hand(&t).step_wall(-step);
            row.store(3, Ordering::SeqCst);
            verdict.expect(there.invalidate(&KEY).await.is_ok(), "acknowledged");
            up_to_date(
                &t,
                &all,
                &row,
                &format!("by key, {} s after it was cached", -step),
                &mut verdict,
            )
            .await;

            here.invalidate(&KEY).await.expect("the store is up");
            let load = Held::begin(&here, &row).await;
            hand(&t).step_wall(step);
            row.store(4, Ordering::SeqCst);
            verdict.expect(there.invalidate_tag(TAG).await.is_ok(), "acknowledged");
            load.end().await;
            up_to_date(&t, &all, &row, &format!("{step} s during a load"), &mut verdict).await;

            let hold = here.hold(&KEY).await.expect("the store is up");
            hand(&t).step_wall(-step);
            there.read(&row).await;
            let commit = async {
                row.store(5, Ordering::SeqCst);
                Ok::<_, io::Error>(())
            };
            let _committed = hold.commit(commit).await.expect("the store is up");
            up_to_date(&t, &all, &row, &format!("{} s during a commit", -step), &mut verdict).await;
        }
        verdict
    });
}

/// However the clock steps, a value ends: at most the step later than it should have.
#[test]
fn fault_19_nothing_lasts_for_ever() {
    row(19, &[], &MOVABLE, async |turn| {
        let mut verdict = Verdict::default();
        for step in STEPS {
            let t = turn.topology().await;
            let cache = larder(&t.another_store().await).await;
            let row = Arc::new(AtomicU64::new(1));
            cache.read(&row).await;
            hand(&t).step_wall(step);
            // Nobody invalidates.
            row.store(2, Ordering::SeqCst);
            let late = Duration::from_secs(step.unsigned_abs()) * u32::from(step < 0);
            jump(&t, TTL + late).await;
            up_to_date(
                &t,
                &[&cache],
                &row,
                &format!("a TTL and {late:?} after a step of {step} s"),
                &mut verdict,
            )
            .await;
        }
        verdict
    });
}

/// A lease whose holder stands still ends with the server's clock, which has gone back. Others wait for their budget, load
/// for themselves, and cache again when it is over.
#[test]
fn fault_19_a_dead_leaders_lease() {
    row(19, &[], &[Kind::Serve], async |turn| {
        let t = turn.topology().await;
        let mut verdict = Verdict::default();
        // Its own clock never moves: it neither renews its lease nor gives it back.
        let stands_still = larder(&on_clock(&t, &Clock::manual().0).await).await;
        let (other, row) = (larder(&t.another_store().await).await, Arc::new(AtomicU64::new(1)));
        let _load = Held::begin(&stands_still, &row).await;
        hand(&t).step_wall(-HOUR);
        row.store(2, Ordering::SeqCst);
        up_to_date(&t, &[&other], &row, "behind a lease that ends in an hour", &mut verdict).await;
        verdict.expect(
            other.stats().waits_given_up == 1,
            "it waited for its budget, and no longer",
        );
        jump(&t, Duration::from_secs(HOUR as u64 + 60)).await;
        up_to_date(&t, &[&other], &row, "an hour later", &mut verdict).await;
        let cached = other.get(&KEY).await.expect("the store is up");
        verdict.expect(cached.as_deref() == Some(&2), format!("cached again: {cached:?}"));
        verdict
    });
}

/// A client of the topology's server on a clock of its own.
async fn on_clock(t: &Topology, clock: &Clock) -> Store {
    let port = t.port().expect("it is a server");
    let config = StoreConfig::tcp("127.0.0.1", port).clock(clock.clone());
    Store::connect(config).await.expect("the server is up")
}

/// The clocks of two processes are an hour apart. Who compares what one of them wrote with what the other did is wrong by
/// that hour.
#[test]
fn fault_19_clients_an_hour_apart() {
    row(19, &[Baseline::Naive], &[Kind::Serve, Kind::Redis], async |turn| {
        let t = turn.topology().await;
        let mut verdict = Verdict::default();
        for step in STEPS {
            let ((ahead, ahead_hand), (right, right_hand)) = (Clock::manual(), Clock::manual());
            ahead_hand.step_wall(step);
            let hands = [ahead_hand, right_hand];
            if turn.is_larder() {
                let caches = [
                    larder(&on_clock(&t, &ahead).await).await,
                    larder(&on_clock(&t, &right).await).await,
                ];
                verdict += skewed(&t, &caches, &hands).await;
                caches[0].clear().await.expect("the store is up");
            } else {
                let cache = async |clock: Clock| CreatedAtTags::new(t.another_store().await, clock);
                verdict += skewed(&t, &[cache(ahead).await, cache(right).await], &hands).await;
                t.wire().call(&["FLUSHALL"]).expect("it cannot fail");
            }
        }
        verdict
    });
}

/// Each of the two caches the row in turn, and the other invalidates its tag.
async fn skewed<T: Tagged>(t: &Topology, caches: &[T; 2], hands: &[ManualClock; 2]) -> Verdict {
    let (mut verdict, row) = (Verdict::default(), Arc::new(AtomicU64::new(1)));
    for (here, there) in [(0, 1), (1, 0)] {
        let pass = || hands.iter().for_each(|hand| hand.advance(UNIT));
        verdict.expect(caches[there].invalidate_tag().await, "acknowledged");
        pass();
        caches[here].read(&row).await;
        pass();
        row.fetch_add(1, Ordering::SeqCst);
        verdict.expect(caches[there].invalidate_tag().await, "acknowledged");
        pass();
        let when = format!("cached by process {here}, invalidated by process {there}");
        up_to_date(t, &[&caches[0], &caches[1]], &row, &when, &mut verdict).await;
    }
    verdict
}
