//! Locks between threads.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use larder::{
    blocking::{
        Store,
        lock::{AnyLock, Election, Guard, Lock, ReadWriteLock, Semaphore, StoreLock},
    },
    lock::{self, Loss, Released},
    redis::Commands as _,
};

use crate::{DEADLINE, Place, for_each_place};

/// A day: no pause of the machine ends it, nor does a test that lets time pass faster than threads run.
const LONG: Duration = Duration::from_secs(24 * 3_600);

fn locks(store: &Store, namespace: &str) -> StoreLock {
    StoreLock::builder(namespace).store(store).ttl(LONG).build().unwrap()
}

/// A number that is read and written without care, as what a lock protects is.
struct Register(AtomicU64);

impl Register {
    fn increment(&self, meanwhile: impl FnOnce()) {
        let seen = self.0.load(Ordering::SeqCst);
        meanwhile();
        self.0.store(seen + 1, Ordering::SeqCst);
    }
}

#[test]
fn threads_take_turns_and_without_the_lock_they_lose_steps() {
    const THREADS: u64 = 4;
    const STEPS: u64 = 10;
    let (naive, both_have_read) = (Register(AtomicU64::new(0)), Barrier::new(2));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| naive.increment(|| _ = both_have_read.wait()));
        }
    });
    assert_eq!(naive.0.into_inner(), 1, "a step is lost");

    for_each_place(|place| {
        let counter = locks(&place.store, "counter");
        let register = Register(AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..STEPS).for_each(|_| turn(&counter, &register)));
            }
        });
        assert_eq!(register.0.into_inner(), THREADS * STEPS);
        place.no_immortal_keys(1);
    });
}

/// Asks until it is granted: where time is the test's, no wait would pass.
fn turn(counter: &StoreLock, register: &Register) {
    let guard = loop {
        match counter.try_acquire("n").unwrap() {
            Some(guard) => break guard,
            None => thread::yield_now(),
        }
    };
    guard.run(|_| register.increment(thread::yield_now)).unwrap();
    assert_eq!(guard.release().unwrap(), Released::Released);
}

#[test]
fn who_waits_is_granted_what_is_given_back_and_fences_grow() {
    for_each_place(|place| {
        let locks = locks(&place.store, "turns");
        let first = locks.acquire(&1).unwrap();
        let busy = locks.acquire_within(&1, Duration::ZERO).unwrap_err();
        assert!(busy.is_busy());
        let second = thread::scope(|scope| {
            let waiting = scope.spawn(|| locks.acquire_within(&1, LONG).unwrap());
            assert_eq!(first.release().unwrap(), Released::Released);
            while !waiting.is_finished() {
                place.advance(Duration::from_millis(50));
            }
            waiting.join().unwrap()
        });
        let fence = second.fence().unwrap();
        assert!(second.remaining() > Duration::ZERO);
        assert_eq!(second.resource(), "lock:{turns:1}");
        second.extend().unwrap();

        // A drop gives it back in the background, on whatever thread it happens.
        thread::spawn(move || drop(second)).join().unwrap();
        place.eventually(|| {
            let third = locks.try_acquire(&1).unwrap();
            third.is_some_and(|third| third.fence().unwrap() > fence)
        });
    });
}

#[test]
fn a_closure_is_told_at_its_end_that_the_lock_was_lost() {
    for_each_place(|place| {
        let locks = locks(&place.store, "loss");
        let guard = locks.acquire(&1).unwrap();
        assert_eq!(guard.run(Guard::fence).unwrap(), guard.fence());
        let lost = guard.lost();
        let still = lost.wait_within(Duration::ZERO).expect_err("it is held");

        let mut store = place.store.clone();
        let outcome = guard.run(|held| {
            held.check().unwrap();
            let () = store.del("lock:{loss:1}").unwrap();
            // The next renewal hears of it.
            assert!(held.extend().unwrap_err().is_lost());
            assert!(held.check().unwrap_err().is_lost());
            "done all the same"
        });
        assert!(outcome.unwrap_err().is_lost());
        assert_eq!(still.wait(), Loss::Taken);
        assert!(guard.run(|_| panic!("it does not begin")).unwrap_err().is_lost());
        assert_eq!(guard.release().unwrap(), Released::NotHeld);
    });
}

/// A deadline of real time would judge the machine.
#[test]
fn the_watchdog_tells_another_thread() {
    for_each_place(|place| {
        if place.topology().clock().as_manual().is_none() {
            return;
        }
        let ttl = Duration::from_secs(3);
        let locks = StoreLock::builder("watched").store(&place.store).ttl(ttl).build();
        let locks = locks.unwrap();
        let guard = locks.acquire(&1).unwrap();
        let lost = guard.lost();
        let () = place.store.clone().del(guard.resource()).unwrap();
        let watcher = thread::spawn(move || lost.wait());
        // Past the first renewal, and not to the end of the lease.
        place.advance(ttl / 2);
        assert_eq!(watcher.join().unwrap(), Loss::Taken);
        assert!(guard.check().unwrap_err().is_lost());
    });
}

#[test]
fn a_closure_that_panics_gives_the_lock_back() {
    for_each_place(|place| {
        let locks = locks(&place.store, "panic");
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let guard = locks.acquire(&1).unwrap();
            guard.run(|_| panic!("in the closure")).unwrap()
        }));
        assert!(panicked.is_err());
        place.eventually(|| locks.try_acquire(&1).unwrap().is_some());
    });
}

#[test]
fn a_lock_is_handed_on_by_its_token() {
    for_each_place(|place| {
        let (here, there) = (locks(&place.store, "hand"), locks(&place.another_store(), "hand"));
        let guard = here.acquire(&1).unwrap();
        let fence = guard.fence();
        let token = guard.into_token().unwrap();
        let adopted = there.adopt(&1, token.clone()).unwrap();
        assert_eq!(adopted.fence(), fence);
        assert!(here.adopt(&1, token).is_err(), "once");
        assert!(adopted.release().unwrap().was_held());

        let high = lock::Fence::new(1 << 51);
        assert_eq!(here.raise_fence(&1, high).unwrap(), high);
        assert!(there.acquire(&1).unwrap().fence().unwrap() > high);

        let permits = Semaphore::builder("hand", 1).store(&place.store).build().unwrap();
        let permit = permits.acquire(&1).unwrap();
        let permit = permit.into_token().expect_err("permits are not handed on");
        permit.check().unwrap();
        assert!(permit.release().unwrap().was_held());
    });
}

#[test]
fn semaphores_and_readers_let_in_as_many_as_they_say() {
    for_each_place(|place| {
        let store = &place.store;
        let permits = Semaphore::builder("many", 3).store(store).ttl(LONG).build().unwrap();
        let taken: Vec<_> = thread::scope(|scope| {
            let asking: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| permits.try_acquire("eu").unwrap()))
                .collect();
            asking.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(taken.len(), 3);
        assert!(taken.iter().all(|permit| permit.fence().is_none()));

        let sheets = ReadWriteLock::builder("sheets").store(store).ttl(LONG).build().unwrap();
        let readers = [
            sheets.reading().acquire(&7).unwrap(),
            sheets.reading().acquire(&7).unwrap(),
        ];
        assert!(sheets.writing().try_acquire(&7).unwrap().is_none());
        for reader in readers {
            assert!(reader.release().unwrap().was_held());
        }
        let writer = sheets.writing().acquire(&7).unwrap();
        assert!(writer.fence().is_some());
        assert!(sheets.reading().try_acquire(&7).unwrap().is_none());
    });
}

/// Knows neither the store nor the runtime.
fn takes_any(lock: &dyn Lock<u64>) -> u64 {
    let guard = lock.acquire(&1).unwrap();
    assert!(lock.try_acquire(&1).unwrap().is_none());
    let fence = guard.fence().unwrap();
    assert!(guard.release().unwrap().was_held());
    fence.into()
}

#[test]
fn whatever_is_a_lock_has_a_blocking_form() {
    for_each_place(|place| {
        let locks = locks(&place.store, "any");
        let of_others: Arc<dyn lock::Lock<u64>> = Arc::new(locks.as_async().clone());
        let wrapped = AnyLock::wrap(of_others, &place.runtime);
        assert!(takes_any(&locks) < takes_any(&wrapped.clone()));
        assert!(
            wrapped
                .acquire_within(&1, LONG)
                .unwrap()
                .lost()
                .wait_within(Duration::ZERO)
                .is_err()
        );
    });
}

fn standing(place: &Place, store: &Store, name: &str) -> Election {
    let builder = Election::builder("jobs", name).store(store).ttl(LONG);
    let election = builder.build().unwrap();
    assert_eq!(election.store().url(), place.store.url());
    election
}

#[test]
fn one_leads_others_see_who_and_the_next_follows() {
    for_each_place(|place| {
        let one = standing(place, &place.store, "one");
        let two = standing(place, &place.another_store(), "two");
        let mut watch = two.watch("nightly");
        assert_eq!(watch.next().unwrap().unwrap(), None, "nobody");
        let term = one.campaign("nightly").unwrap();
        let leader = two.leader("nightly").unwrap().unwrap();
        assert_eq!((leader.name.as_str(), leader.term), ("one", term.term()));
        assert_eq!(watch.next().unwrap().unwrap(), Some(leader));
        assert!(watch.next_within(Duration::ZERO).is_none(), "nothing changed");
        assert!(two.try_campaign("nightly").unwrap().is_none());
        assert!(two.campaign_within("nightly", Duration::ZERO).unwrap().is_none());
        term.check().unwrap();
        assert!(term.resign().unwrap().was_held());

        let mut terms = Vec::new();
        let mut store = place.store.clone();
        let done = two.run_while_leader("nightly", |leadership| {
            terms.push(leadership.term());
            if terms.len() == 1 {
                // The first term is lost before its work is done.
                let () = store.del("election:{jobs:nightly}").unwrap();
                assert!(leadership.extend().unwrap_err().is_lost());
            }
            terms.len()
        });
        assert_eq!(done.unwrap(), 2);
        assert!(terms[0] < terms[1]);
        place.eventually(|| one.leader("nightly").unwrap().is_none());
        let next = one.campaign_within("nightly", DEADLINE).unwrap().unwrap();
        assert!(next.term() > terms[1]);
    });
}

#[test]
fn a_lock_without_a_store_says_what_is_missing() {
    let error = StoreLock::builder("invoices").build().unwrap_err();
    assert!(error.to_string().contains(".store(&store)"), "{error}");
    let store = Store::open("embedded:").unwrap();
    assert!(Election::builder("jobs", "").store(&store).build().is_err());
}

#[test]
fn on_a_thread_that_drives_tasks_it_is_refused_and_a_guard_may_be_dropped() {
    let store = Store::open("embedded:").unwrap();
    let locks = locks(&store, "inside");
    let guard = locks.acquire(&1).unwrap();
    let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let asked = locks.clone();
    let refused = other.block_on(async move {
        // What asks nobody is answered there, too.
        guard.run(Guard::remaining).unwrap();
        drop(guard);
        catch_unwind(AssertUnwindSafe(|| asked.try_acquire(&1))).unwrap_err()
    });
    let refused = refused.downcast_ref::<String>().expect("a text");
    assert!(
        refused.contains("async face") && refused.contains("spawn_blocking"),
        "{refused}"
    );
    let wait = Duration::from_secs(60);
    assert!(locks.acquire_within(&1, wait).unwrap().release().unwrap().was_held());
}
