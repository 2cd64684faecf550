//! The near tier of one process against what a store may tell it.

use larder_store::{Heartbeat, Invalidations as _};

use super::{stream::TICK, *};
use crate::record::Meta;

const NOW: Duration = Duration::from_secs(10);
const BOUND: Duration = Duration::from_secs(1);

fn tier_of(vouching: Vouching, max_age: Option<Duration>) -> Arc<NearTier<u64, u32>> {
    let layout = Arc::new(Layout::new("n"));
    Arc::new(NearTier::new(
        layout,
        100,
        max_age,
        vouching,
        Clock::manual().0,
        Arc::default(),
        Arc::default(),
    ))
}

fn tier() -> Arc<NearTier<u64, u32>> {
    let tier = tier_of(Vouching::Embedded, None);
    tier.restored();
    tier.confirmed(Heartbeat::ALWAYS);
    tier
}

/// A tier whose stream was proven live by a request sent at `NOW`.
fn remote() -> Arc<NearTier<u64, u32>> {
    let tier = tier_of(Vouching::Stream { bound: BOUND }, None);
    tier.restored();
    tier.confirmed(beat(NOW));
    assert!(tier.resume(tier.is_waiting().expect("the stream is up")));
    tier
}

fn beat(sent: Duration) -> Heartbeat {
    let mut beat = Heartbeat::ALWAYS;
    beat.sent = sent;
    beat
}

/// What a read of M says, where it says anything.
fn settle(tier: &NearTier<u64, u32>, meta: Option<Meta>) {
    let suspect = tier.partitions.list().remove(0);
    tier.settle(suspect, meta);
}

fn copied(tagged: bool) -> Copied<u32> {
    Copied {
        value: Some(Arc::new(7)),
        uid: [1; 8],
        tagged,
        sent: NOW,
        fresh_for: Duration::from_secs(5),
    }
}

fn is_served(tier: &NearTier<u64, u32>) -> bool {
    tier.hit(&42, NOW).is_some()
}

fn partition(tier: &NearTier<u64, u32>) -> u8 {
    tier.layout.address(&42u64).partition
}

fn push(tier: &NearTier<u64, u32>) {
    let e = tier.layout.address(&42u64).e;
    tier.invalidated(Some(&[&e]));
}

#[test]
fn a_clean_read_is_installed_and_a_push_drops_it() {
    let tier = tier();
    tier.mark(&42, partition(&tier)).install(copied(false));
    assert!(is_served(&tier));
    push(&tier);
    assert!(!is_served(&tier));
    assert!(tier.markers.is_empty());
}

#[test]
fn what_was_touched_while_its_answer_travelled_is_not_installed() {
    let touches: [fn(&NearTier<u64, u32>); 7] = [
        push,
        |tier| tier.changed(&42),
        |tier| tier.writing(&[42], None).changed(),
        |tier| tier.invalidated(None),
        |tier| tier.invalidated(Some(&[&tier.layout.partition(partition(tier)).m])),
        |tier| drop(tier.writing_metas()),
        |tier| (tier.lost(), tier.restored(), tier.confirmed(Heartbeat::ALWAYS)).1,
    ];
    for (i, touch) in touches.into_iter().enumerate() {
        let tier = tier();
        let marked = tier.mark(&42, partition(&tier));
        touch(&tier);
        marked.install(copied(true));
        assert!(!is_served(&tier), "touch {i}");
    }
}

#[test]
fn an_own_fill_spares_its_own_marker_alone() {
    let tier = tier();
    let (own, other) = (tier.mark(&42, partition(&tier)), tier.mark(&42, partition(&tier)));
    tier.writing(&[42], Some(&own)).changed();
    other.install(copied(false));
    assert!(!is_served(&tier));
    own.install(copied(false));
    assert!(is_served(&tier));
}

#[test]
fn nothing_is_installed_while_an_own_write_is_under_way() {
    let tier = tier();
    let write = tier.writing(&[42], None);
    tier.mark(&42, partition(&tier)).install(copied(false));
    assert!(!is_served(&tier), "the read may have been run before the write");
    let late = tier.mark(&42, partition(&tier));
    write.changed();
    late.install(copied(false));
    assert!(!is_served(&tier));
    let write = tier.writing(&[42], None);
    let read = tier.mark(&42, partition(&tier));
    write.unchanged();
    read.install(copied(false));
    assert!(is_served(&tier), "nothing was written");
    drop((late, read));
    assert!(tier.markers.is_empty());
}

#[test]
fn a_write_that_was_given_up_ends_with_a_later_heartbeat() {
    let tier = remote();
    drop(tier.writing(&[42], None));
    let given_up = tier.now();
    tier.confirmed(beat(given_up));
    tier.mark(&42, partition(&tier)).install(copied(false));
    assert!(!is_served(&tier), "the server may not have run it yet");
    tier.confirmed(beat(given_up + TICK));
    assert!(tier.markers.is_empty());
}

#[test]
fn nothing_is_served_while_nobody_vouches() {
    let tier = tier();
    tier.mark(&42, partition(&tier)).install(copied(false));
    tier.lost();
    assert!(!is_served(&tier));
    tier.mark(&42, partition(&tier)).install(copied(false));
    assert!(!is_served(&tier), "installed while lost");
    tier.restored();
    assert!(!is_served(&tier), "an old copy does not come back");
    tier.lost();
    tier.lost();
    tier.restored();
    tier.confirmed(Heartbeat::ALWAYS);
    tier.mark(&42, partition(&tier)).install(copied(false));
    assert!(is_served(&tier));
}

#[test]
fn a_touched_partition_leaves_copies_in_doubt_until_its_meta_is_read() {
    let (m, tags) = ([1; 16], [[1; 8], [2; 8]].concat().try_into().expect("16 bytes"));
    for tagged in [false, true] {
        let tier = tier();
        let touch = || tier.invalidated(Some(&[&tier.layout.partition(partition(&tier)).m]));
        touch();
        settle(&tier, Some(m));
        tier.mark(&42, partition(&tier)).install(copied(tagged));
        assert!(is_served(&tier));
        touch();
        assert!(!is_served(&tier));
        assert!(tier.doubtful(&42, NOW).is_some());
        tier.mark(&42, partition(&tier)).install(copied(tagged));
        assert!(!is_served(&tier), "installed while suspect");
        settle(&tier, Some(m));
        tier.mark(&42, partition(&tier)).install(copied(tagged));
        touch();
        settle(&tier, Some(tags));
        assert_eq!(
            is_served(&tier),
            !tagged,
            "an invalidated tag concerns tagged copies alone"
        );
        assert_eq!(tier.doubtful(&42, NOW).is_some(), tagged);
        touch();
        settle(&tier, None);
        assert!(!is_served(&tier), "no value is valid without an incarnation");
    }
}

#[test]
fn a_stream_that_falls_silent_vouches_for_nothing() {
    let tier = remote();
    tier.mark(&42, partition(&tier)).install(copied(false));
    let served_at = |after| tier.hit(&42, NOW + after).is_some();
    assert!(served_at(BOUND - TICK));
    assert!(!served_at(BOUND));
    tier.confirmed(beat(NOW + BOUND));
    assert!(
        served_at(BOUND + BOUND / 2),
        "the stream was never lost, so its copies are good"
    );
    assert_eq!(tier.unproven_for(NOW + BOUND + BOUND / 2), Some(BOUND / 2));
}

#[test]
fn a_stream_that_is_back_waits_to_be_resumed() {
    let tier = remote();
    tier.lost();
    assert_eq!(tier.is_waiting(), None, "it is not back");
    tier.restored();
    tier.confirmed(beat(NOW));
    let epoch = tier.is_waiting().expect("it is back");
    tier.mark(&42, partition(&tier)).install(copied(false));
    assert!(!is_served(&tier), "nothing is installed before");
    tier.lost();
    tier.restored();
    tier.confirmed(beat(NOW));
    assert!(!tier.resume(epoch), "what was repaired is not enough any more");
    assert!(tier.resume(tier.is_waiting().expect("it is back")));
    tier.mark(&42, partition(&tier)).install(copied(false));
    assert!(is_served(&tier));
    assert_eq!(tier.is_waiting(), None);
}

#[test]
fn a_copy_is_no_older_than_its_bound() {
    let tier = tier_of(Vouching::Nobody, Some(Duration::from_secs(1)));
    tier.mark(&42, partition(&tier)).install(copied(false));
    assert!(is_served(&tier));
    assert!(tier.hit(&42, NOW + Duration::from_secs(1)).is_none());
    assert!(
        tier.stale(&42, NOW + Duration::from_secs(2), Duration::from_secs(3))
            .is_some()
    );
}

#[test]
fn a_lost_stream_leaves_copies_for_a_while_and_none_that_were_invalidated() {
    const MORE: Duration = Duration::from_secs(3);
    let installed = |tagged| {
        let tier = remote();
        tier.mark(&42, partition(&tier)).install(copied(tagged));
        tier
    };
    let at = |tier: &NearTier<u64, u32>, after| tier.stale(&42, NOW + after, MORE).is_some();
    let tier = installed(false);
    assert!(at(&tier, BOUND + MORE), "silent, not lost");
    assert!(!at(&tier, BOUND + MORE + TICK), "for so long past the last proof");
    tier.lost();
    tier.lost();
    assert!(at(&tier, BOUND + MORE) && !at(&tier, BOUND + MORE + TICK));
    tier.restored();
    tier.confirmed(beat(NOW + BOUND));
    assert!(
        at(&tier, BOUND + MORE),
        "until it is resumed the old copies are the best there is"
    );
    assert!(!at(&tier, BOUND + MORE + TICK), "and a new proof says nothing of them");
    assert!(tier.resume(tier.is_waiting().expect("it is back")));
    assert!(!at(&tier, BOUND));

    let before: [fn(&NearTier<u64, u32>); 4] = [
        push,
        |tier| tier.invalidated(None),
        |tier| tier.invalidated(Some(&[&tier.layout.partition(partition(tier)).m])),
        NearTier::drop_all,
    ];
    for (i, invalidate) in before.into_iter().enumerate() {
        for first in [true, false] {
            let tier = installed(true);
            if first {
                invalidate(&tier);
                tier.lost();
            } else {
                tier.lost();
                invalidate(&tier);
            }
            assert!(!at(&tier, Duration::ZERO), "invalidation {i}, first: {first}");
        }
    }
}
