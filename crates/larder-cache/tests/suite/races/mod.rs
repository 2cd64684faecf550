//! The stale-fill race: a reader loads, a writer commits and invalidates, the reader stores what it loaded before.
//!
//! Every world is small and random, with its requests, replies and loads interleaved by a seed. Naive code must show
//! stale reads here, or the worlds prove nothing; Larder must show none.

pub(crate) mod joins;
mod network;
mod real;
mod recovery;
pub(crate) mod retries;
mod rows;
mod strict;
mod subject;
pub(crate) mod world;

use larder_base::Random;
use larder_cache::{Cache, Coherence};
use larder_store::Store;
use larder_testkit::{Case, naive::CacheAside};

use network::Faults;
use subject::{Larder, Naive, Subject};
use world::{Seen, Story, World};

/// Worlds of each kind, unless `LARDER_WORLDS` says otherwise: naive code fails in every seventh.
const WORLDS: u64 = 2_000;

/// Worlds with every misfortune are the slowest, and the parts have worlds of their own.
const CROWDED_WORLDS: u64 = 1_000;

/// What a script does beside its log is the same.
const LOGGED_WORLDS: u64 = 400;

/// For comparison a part of them is enough: the race is not rare.
const NAIVE_WORLDS: u64 = 500;

/// Everything may happen.
const CROWDED: Story = Story {
    processes: 2,
    by_tag: true,
    faults: Faults::MANY,
    pauses: true,
    losses: true,
    logged: false,
};

/// Runs `count` worlds of a kind, each judged while its seed is at hand.
fn worlds<S: Subject>(
    count: u64,
    story: Story,
    open: &impl AsyncFn(Store, &Random, Story) -> S,
    judge: impl Fn(Seen),
) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime can be built");
    let mut all = Seen::default();
    for case in Case::each(count, 1) {
        let seen = runtime.block_on(async { World::new(case.random(), story, open).await.run().await });
        judge(seen);
        all += seen;
    }
    println!("{story:?}: {all:?}");
    all
}

async fn naive(store: Store, _: &Random, _: Story) -> Naive {
    CacheAside::new(store)
}

/// Half of the worlds have a near tier. Not those whose requests go astray: what is given up breaks its connection on a
/// real network, and tracking with it, and the near tier is refused there in this version.
async fn larder(store: Store, random: &Random, story: Story) -> Larder {
    let near = if random.below(2) == 0 || story.faults.any() || story.logged {
        0
    } else {
        100
    };
    let coherence = if story.logged {
        Coherence::Log
    } else {
        Coherence::Tracking
    };
    let builder = Cache::builder("race")
        .store(&store)
        .near(near)
        .coherence(coherence)
        .ttl(std::time::Duration::from_secs(60));
    builder.build().await.expect("the settings agree")
}

/// Runs Larder and asserts that it never shows anything stale.
fn never_stale(count: u64, story: Story) -> Seen {
    let asked = std::env::var("LARDER_WORLDS").ok().and_then(|text| text.parse().ok());
    let count = asked.unwrap_or(count);
    let seen = worlds(count, story, &larder, |seen| {
        assert_eq!(seen.stale, 0, "{story:?}: {seen:?}");
    });
    assert!(
        seen.reads > 10 * count && seen.loads > count,
        "{story:?} exercises little: {seen:?}"
    );
    seen
}

#[test]
fn naive_code_reads_stale_values() {
    for processes in [1, 2] {
        for by_tag in [false, true] {
            let story = Story {
                by_tag,
                ..Story::plain(processes)
            };
            let seen = worlds(NAIVE_WORLDS, story, &naive, |_| ());
            assert!(seen.stale >= 1, "the race is not in these worlds: {seen:?}");
        }
    }
}

#[test]
fn larder_reads_nothing_stale_in_one_process() {
    never_stale(WORLDS, Story::plain(1));
}

#[test]
fn larder_reads_nothing_stale_in_two_processes() {
    never_stale(WORLDS, Story::plain(2));
}

/// The tag is known only when the row was read, and may have been invalidated by then.
#[test]
fn tags_learned_during_the_load_are_invalidated() {
    never_stale(
        WORLDS,
        Story {
            by_tag: true,
            ..Story::plain(2)
        },
    );
}

#[test]
fn lost_late_and_repeated_requests_revive_nothing() {
    never_stale(
        WORLDS,
        Story {
            faults: Faults::MANY,
            ..Story::plain(2)
        },
    );
}

#[test]
fn leaders_paused_beyond_their_lease_revive_nothing() {
    never_stale(
        WORLDS,
        Story {
            pauses: true,
            ..Story::plain(2)
        },
    );
}

#[test]
fn lost_keys_uncover_nothing() {
    let story = Story {
        losses: true,
        by_tag: true,
        ..Story::plain(2)
    };
    never_stale(WORLDS, story);
}

#[test]
fn everything_at_once_shows_nothing_stale() {
    never_stale(CROWDED_WORLDS, CROWDED);
}

/// The scripts that invalidate do one thing more, and lose nothing over it, whatever befalls them.
#[test]
fn everything_at_once_shows_nothing_stale_with_a_log() {
    let story = Story {
        logged: true,
        ..CROWDED
    };
    never_stale(LOGGED_WORLDS, story);
}

/// How many stale reads the world of `seed` shows in which everything may happen.
pub(crate) fn stale_in_crowded_worlds(seed: u64) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime can be built");
    let world = async { World::new(Random::seeded(seed), CROWDED, &larder).await.run().await };
    runtime.block_on(world).stale
}
