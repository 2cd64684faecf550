//! 26: write-behind meets a row that the source refuses, a source that is down, and a commit in doubt. A queue that is popped
//! drops each such batch with a line in the log. Larder puts the one row aside; everything else arrives, and what waits
//! meanwhile is bounded.

use std::collections::BTreeMap;

use larder_testkit::{Kind, Topology};

use super::row::{Baseline, Verdict, row};
use crate::behind::{
    behind,
    ledger::{Ledger, Weather},
    meanwhile,
    naive::{NaiveBehind, Queue},
    open, until,
};

const KEYS: u64 = 60;
/// Enough for several keys of each partition.
const MANY: u64 = 1_000;
const POISON: u64 = 1_000_666;

#[test]
fn fault_26() {
    row(26, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let (t, ledger) = (turn.topology().await, Ledger::default());
        ledger.poison(POISON, true);
        let mut verdict = Verdict::default();
        for (round, weather) in [Weather::Fair, Weather::Down, Weather::Unheard, Weather::Vain]
            .into_iter()
            .enumerate()
        {
            let value = |key: u64| match (round, key) {
                (0, 7) => POISON,
                (round, key) => round as u64 * 1_000 + key,
            };
            let mut accepted: BTreeMap<u64, Option<u64>> = (0..KEYS).map(|key| (key, Some(value(key)))).collect();
            if turn.is_larder() {
                let one = Larder { t: &t, ledger: &ledger };
                verdict += one.play(weather, &accepted).await;
            } else {
                naive(&t, &ledger, weather, &accepted).await;
            }
            if round == 0 {
                // What it was before is no promise.
                accepted.remove(&7);
            }
            let lost = ledger.lost(&accepted);
            verdict.expect(
                lost.is_empty(),
                format!("{weather:?}: {} accepted writes are lost", lost.len()),
            );
        }
        verdict.expect(ledger.misordered().is_empty(), "the source went backwards");
        verdict
    });
}

async fn naive(t: &Topology, ledger: &Ledger, weather: Weather, writes: &BTreeMap<u64, Option<u64>>) {
    let naive = NaiveBehind::new(t.another_store().await, ledger.clone(), Queue::Popped);
    ledger.weather(weather);
    for (key, value) in writes {
        assert!(naive.put(*key, value.unwrap_or_default()).await, "the store is up");
    }
    // One round of the flusher while it lasts.
    naive.flush_once().await;
    ledger.weather(Weather::Fair);
    naive.flush_all().await;
}

struct Larder<'a> {
    t: &'a Topology,
    ledger: &'a Ledger,
}

impl Larder<'_> {
    async fn play(&self, weather: Weather, writes: &BTreeMap<u64, Option<u64>>) -> Verdict {
        let (t, ledger) = (self.t, self.ledger);
        let mut verdict = Verdict::default();
        let policy = behind().max_entries(8).wait(t.units(10));
        let cache = open(&t.another_store().await, ledger, policy).await;
        // Every partition has its epoch before the source is down.
        let roomy = open(&t.another_store().await, ledger, behind()).await;
        let many = (0..MANY).map(|key| (key, 1));
        roomy.put_many(many).await.expect("the store is up");
        until(t, async || cache.lag().await.is_ok_and(|lag| lag.entries == 0)).await;
        let _drained = meanwhile(t, roomy.drain(t.units(4_000))).await;
        drop(roomy);
        ledger.weather(weather);
        for (key, value) in writes {
            let put = meanwhile(t, cache.put(key, value.unwrap_or_default())).await;
            verdict.expect(put.is_ok(), format!("{put:?}"));
        }
        if weather != Weather::Fair {
            until(t, async || cache.stats().behind_retried > 0).await;
            let more = meanwhile(t, cache.put_many((KEYS..MANY).map(|key| (key, 1)))).await;
            verdict.expect(
                more.is_err_and(|error| error.is_backpressure()),
                "what waits is bounded, and a write beyond that is told so",
            );
            let lag = cache.lag().await.expect("the store is up");
            verdict.expect(lag.entries <= 8 * 64, format!("{lag:?}"));
        }
        ledger.weather(Weather::Fair);
        until(t, async || cache.lag().await.is_ok_and(|lag| lag.entries == 0)).await;
        let letters = cache.dead_letters().await.expect("the store is up");
        verdict.expect(letters.len() == 1, format!("{letters:?}"));
        let _drained = meanwhile(t, cache.drain(t.units(4_000))).await;
        verdict
    }
}
