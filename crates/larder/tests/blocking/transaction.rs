//! Transactions raced by threads, pipelines and scripts.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Barrier,
    thread,
    time::Duration,
};

use larder::{
    BoxError, Script,
    blocking::{
        Scripts, Store,
        transaction::{Pipelined, Transactions},
    },
    redis::{self, Commands as _, Value},
    transaction::{Attempt, TransactionError},
};

use crate::for_each_place;

fn transactions(store: &Store) -> Transactions {
    let builder = Transactions::builder("steps").store(store).attempts(1_000);
    builder.pause(Duration::ZERO, Duration::ZERO).build().unwrap()
}

#[test]
fn threads_that_race_lose_no_step_and_get_and_set_loses_some() {
    const THREADS: usize = 4;
    const STEPS: usize = 8;
    for_each_place(|place| {
        let steps = transactions(&place.store);
        let barrier = Barrier::new(THREADS);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut store = place.store.clone();
                    barrier.wait();
                    let read: i64 = store.get::<_, Option<i64>>("naive").unwrap().unwrap_or(0);
                    barrier.wait();
                    let () = store.set_ex("naive", read + 1, 600).unwrap();
                    for _ in 0..STEPS {
                        let stepped = steps.run(["n"], |mut watched| {
                            let n: i64 = watched.get::<_, Option<i64>>("n")?.unwrap_or(0);
                            let mut pipe = redis::pipe();
                            pipe.set_ex("n", n + 1, 600).ignore();
                            let done = watched.commit::<()>(pipe)?;
                            Ok::<_, TransactionError>(done.map(|()| n + 1))
                        });
                        assert!(stepped.unwrap() > 0);
                    }
                });
            }
        });
        let mut store = place.store.clone();
        let (n, naive): (usize, usize) = store.mget(&["n", "naive"]).unwrap();
        assert_eq!((n, naive), (THREADS * STEPS, 1));
        place.no_immortal_keys(2);
    });
}

#[test]
fn a_transaction_may_be_left_fail_panic_and_use_the_store() {
    for_each_place(|place| {
        let mut store = place.store.clone();
        let () = store.set_ex("a", 1, 600).unwrap();
        let steps = transactions(&place.store);
        let seen = steps.run(["a"], |mut watched| {
            let a: i64 = watched.get("a")?;
            Ok::<_, TransactionError>(watched.leave(a))
        });
        assert_eq!(seen.unwrap(), 1);

        let refused: Result<(), BoxError> = steps.run(["a"], |_| Err("no".into()));
        assert_eq!(refused.unwrap_err().to_string(), "no");

        // Others change what is watched: once here, by the closure itself.
        let mut attempts = 0;
        let done = steps.run(["a"], |mut watched| {
            attempts += 1;
            let a: i64 = watched.get("a")?;
            if attempts == 1 {
                let _: i64 = store.incr("a", 10)?;
            }
            let mut pipe = redis::pipe();
            pipe.incr("a", 1);
            Ok::<_, TransactionError>(watched.commit::<(i64,)>(pipe)?.map(|(after,)| (a, after)))
        });
        assert_eq!((done.unwrap(), attempts), ((11, 12), 2));

        let panicked = catch_unwind(AssertUnwindSafe(|| {
            steps.run(["a"], |_| -> Result<Attempt<()>, TransactionError> {
                panic!("in the closure")
            })
        }));
        assert!(panicked.is_err());

        let mut watched = steps.watch(&["a"]).unwrap();
        let ends = redis::cmd("UNWATCH").exec(&mut watched).unwrap_err();
        assert!(ends.to_string().contains("end the watch"), "{ends}");
        let _: i64 = store.incr("a", 1).unwrap();
        let mut pipe = redis::pipe();
        pipe.incr("a", 100);
        let attempt = watched.commit::<(i64,)>(pipe).unwrap();
        assert!(attempt.is_lost());
        drop(attempt);
        assert_eq!(store.get::<_, i64>("a").unwrap(), 13);
    });
}

#[test]
fn pipelines_and_scripts_have_an_outcome_each() {
    static ADD: Script = Script::new("stock_add", "return redis.call('INCRBY', KEYS[1], ARGV[1])");
    for_each_place(|place| {
        let mut store = place.store.clone();
        let () = store.set("n:3", "no number").unwrap();
        let steps = (0..10).map(|n| {
            // The iterator may use the store itself.
            place.store.ping().unwrap();
            redis::cmd("INCR").arg(format!("n:{n}")).to_owned()
        });
        let outcomes = Pipelined::on(&place.store).chunk(4).run::<i64>(steps);
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 9);
        assert!(outcomes[3].is_err());

        let mut scripts = Scripts::new();
        scripts.add(&ADD).unwrap();
        scripts.add_text("wrong", "return redis.call('GET'").unwrap();
        assert_eq!(scripts.names().collect::<Vec<_>>(), ["stock_add", "wrong"]);
        let wrong = scripts.load_all(&place.store).unwrap_err();
        assert!(wrong.to_string().contains("`wrong`"), "{wrong}");
        let add = scripts.call("stock_add").unwrap().key("stock").int(5);
        assert_eq!(scripts.run(&place.store, &add).unwrap(), Value::Int(5));
        assert_eq!(place.store.call(&add).unwrap(), Value::Int(10));
    });
}
