//! A store without room: nobody loses what is held, and everything can be given back.

use larder_kit::lock::{Election, Lock, LockError, ReadWriteLock, Semaphore, StoreLock};
use larder_store::Store;
use larder_testkit::{Topology, for_each_topology};

use super::TTL;
use crate::{
    full::is_full,
    immortal::no_immortal_keys,
    mutants::{all_die, killer},
};

/// Long against a machine that stands still: nothing here waits for a lease to end.
const LONG: u32 = 60 * TTL;

/// Every kind of lock.
struct Tools {
    locks: StoreLock,
    permits: Semaphore,
    sheets: ReadWriteLock,
    election: Election,
}

impl Tools {
    fn on(t: &Topology, store: &Store) -> Result<Self, LockError> {
        let ttl = t.units(LONG);
        Ok(Self {
            locks: StoreLock::builder("full")
                .store(store)
                .ttl(ttl)
                .watchdog(false)
                .build()?,
            permits: Semaphore::builder("full", 2)
                .store(store)
                .ttl(ttl)
                .watchdog(false)
                .build()?,
            sheets: ReadWriteLock::builder("full")
                .store(store)
                .ttl(ttl)
                .watchdog(false)
                .build()?,
            election: Election::builder("full", "me")
                .store(store)
                .ttl(ttl)
                .watchdog(false)
                .build()?,
        })
    }
}

#[test]
fn a_full_store_renews_hands_on_and_frees_what_is_held() {
    for_each_topology(async |t: Topology| {
        let store = t.store().await;
        let tools = Tools::on(&t, &store)?;
        let held = [
            tools.locks.acquire(&1).await?,
            tools.permits.acquire(&1).await?,
            tools.sheets.reading().acquire(&1).await?,
            tools.sheets.writing().acquire(&2).await?,
        ];
        let leader = tools.election.campaign(&1).await?;
        let token = tools.locks.acquire(&2).await?.into_token().expect("locks have one");
        let mut wire = t.wire();
        // What is missing is written again, although it needs room.
        wire.call(&["DEL", "lock:{full:1}:fence", "election:{full:1}:fence"])
            .expect("the server answers");

        is_full(&t, true);
        let refused = tools.locks.acquire(&3).await.expect_err("there is no room");
        assert!(
            matches!(&refused, LockError::Store(error) if error.is_out_of_memory()),
            "{refused}"
        );
        assert!(refused.to_string().contains("maxmemory"), "{refused}");
        assert!(tools.election.try_campaign(&3).await.is_err());
        assert!(
            tools.locks.try_acquire(&1).await?.is_none(),
            "it is still told who has it"
        );

        for guard in &held {
            guard.extend().await?;
        }
        leader.extend().await?;
        let adopted = tools.locks.adopt(&2, token).await?;
        for fence in ["lock:{full:1}:fence", "election:{full:1}:fence"] {
            assert_eq!(wire.call(&["EXISTS", fence]).expect("answers").int(), 1, "{fence}");
        }
        no_immortal_keys(&t, 8);
        for guard in held {
            assert!(guard.release().await?.was_held());
        }
        assert!(leader.resign().await?.was_held());
        assert!(adopted.release().await?.was_held());
        let left = wire.call(&["KEYS", "*"]).expect("answers");
        let left: Vec<String> = left.list().iter().map(larder_testkit::Answer::text).collect();
        assert!(left.iter().all(|key| key.ends_with(":fence")), "{left:?}");

        is_full(&t, false);
        assert!(
            tools.locks.try_acquire(&3).await?.is_some(),
            "nothing was left by who was refused"
        );
        Ok::<_, LockError>(())
    });
}

#[test]
fn each_rule_that_a_full_store_asks_for_is_noticed() {
    let ttl_first = "redis.call('PEXPIRE', KEYS[1], int(math.max(redis.call('PTTL', KEYS[1]), ARGV[2])))";
    let fence_first = "if redis.call('PEXPIRE', KEYS[2], int(keep)) == 0 then";
    all_die(&[
        (
            "member_extend",
            ttl_first,
            "",
            killer!(a_full_store_renews_hands_on_and_frees_what_is_held),
        ),
        (
            "lock_adopt",
            fence_first,
            "if false then",
            killer!(a_full_store_renews_hands_on_and_frees_what_is_held),
        ),
        (
            "lock_release",
            " flags=allow-oom",
            "",
            killer!(a_full_store_renews_hands_on_and_frees_what_is_held),
        ),
        (
            "member_release",
            " flags=allow-oom",
            "",
            killer!(a_full_store_renews_hands_on_and_frees_what_is_held),
        ),
    ]);
}
