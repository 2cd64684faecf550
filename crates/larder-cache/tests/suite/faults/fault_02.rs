//! 2: a tag is invalidated during a load whose tags are known only after it. The value must not outlive that.

use larder_testkit::{
    Kind,
    naive::{CacheAside, CreatedAtTags},
};

use super::{
    row::{Baseline, Turn, Verdict, row},
    tagged::{invalidated_during_the_load, larder},
};

/// The set of a tag's keys does not have the key yet when the tag is invalidated.
#[test]
fn fault_02_against_sets_of_keys() {
    row(2, &[Baseline::Naive], &Kind::ALL, async |turn| {
        if turn.is_larder() {
            return larder_forgets(&turn).await;
        }
        let t = turn.topology().await;
        let open = async || CacheAside::new(t.another_store().await);
        invalidated_during_the_load(&t, &open().await, &open().await).await
    });
}

/// By its time of writing the entry is younger than the invalidation.
#[test]
fn fault_02_against_times_of_writing() {
    row(2, &[Baseline::Naive], &Kind::ALL, async |turn| {
        if turn.is_larder() {
            return larder_forgets(&turn).await;
        }
        let t = turn.topology().await;
        let open = async || CreatedAtTags::new(t.another_store().await, t.clock().clone());
        invalidated_during_the_load(&t, &open().await, &open().await).await
    });
}

async fn larder_forgets(turn: &Turn) -> Verdict {
    let t = turn.topology().await;
    let (here, there) = (
        larder(&t.another_store().await).await,
        larder(&t.another_store().await).await,
    );
    let mut verdict = invalidated_during_the_load(&t, &here, &there).await;
    verdict.expect(
        here.stats().fills_tag == 1,
        "the late fill is refused for its tag, and counted",
    );
    verdict
}
