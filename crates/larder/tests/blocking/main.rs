//! The blocking face does what the async one does, on every kind of store, and stays out of the way of async code.
#![expect(clippy::unwrap_used, reason = "in a test, and what failed says why")]

mod limit;
mod lock;
mod session;
mod transaction;

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder::{
    BoxError, CacheEvent, ErrorKind, Source, Tier,
    blocking::{Cache, Runtime, Store},
    redis::{self, Commands as _},
};
use larder_testkit::{Kind, Topology, eventually};

/// Bounds a hang, and judges nothing.
const DEADLINE: Duration = Duration::from_secs(60);

const TTL: Duration = Duration::from_secs(300);

/// A store of each kind, on a runtime of its own.
struct Place {
    runtime: Runtime,
    topology: Option<Topology>,
    store: Store,
}

impl Place {
    fn cache(&self, namespace: &str) -> Cache<u64, String> {
        let builder = Cache::builder(namespace).store(&self.store);
        builder.near(100).ttl(TTL).build().unwrap()
    }

    fn topology(&self) -> &Topology {
        self.topology.as_ref().unwrap()
    }

    /// One more client on the same runtime, as another process has its own.
    fn another_store(&self) -> Store {
        Store::wrap(self.runtime.block_on(self.topology().another_store()), &self.runtime)
    }

    /// Lets `span` pass, where time is the test's.
    fn advance(&self, span: Duration) {
        let unit = self.topology().units(1);
        let units = span.as_millis().div_ceil(unit.as_millis());
        self.runtime
            .block_on(self.topology().advance(u32::try_from(units).unwrap()));
    }

    fn eventually(&self, condition: impl Fn() -> bool) {
        let looks = async || tokio::task::block_in_place(&condition);
        self.runtime.block_on(eventually(DEADLINE, looks));
    }

    /// At least `least` keys are left, and each runs out by itself.
    fn no_immortal_keys(&self, least: usize) {
        let mut wire = self.topology().wire();
        let keys = wire.call(&["KEYS", "*"]).unwrap();
        let keys: Vec<String> = keys.list().iter().map(larder_testkit::Answer::text).collect();
        assert!(keys.len() >= least, "{keys:?}");
        for key in keys {
            let ttl = wire.call(&["PTTL", &key]).unwrap().int();
            // -2: it lapsed since it was listed.
            assert!(ttl >= 0 || ttl == -2, "`{key}` has no TTL");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let topology = self.topology.take();
        self.runtime.block_on(async { drop(topology) });
    }
}

fn for_each_place(test: impl Fn(&Place)) {
    for kind in Kind::chosen() {
        let runtime = Runtime::with_threads(2).unwrap();
        let topology = runtime.block_on(Topology::start(kind));
        let store = Store::wrap(runtime.block_on(topology.store()), &runtime);
        test(&Place {
            runtime,
            topology: Some(topology),
            store,
        });
    }
}

fn value(n: u64) -> Result<String, BoxError> {
    Ok(format!("value {n}"))
}

#[test]
fn commands_pipelines_transactions_and_scripts_of_the_redis_crate_run() {
    for_each_place(|place| {
        let mut store = place.store.clone();
        let () = store.set_ex("k", "a\r\nb", 60).unwrap();
        assert_eq!(store.get::<_, String>("k").unwrap(), "a\r\nb");
        let both: (String, i64) = redis::pipe().get("k").incr("n", 2).query(&mut store).unwrap();
        assert_eq!(both, ("a\r\nb".to_owned(), 2));
        let mut atomic = redis::pipe();
        atomic.atomic().incr("n", 1).expire("n", 60).ignore();
        assert_eq!(atomic.query::<(i64,)>(&mut store).unwrap(), (3,));
        let script = redis::Script::new("return ARGV[1] * 2");
        assert_eq!(script.arg(21).invoke::<i64>(&mut store).unwrap(), 42);
        let wrong = store.lpush::<_, _, i64>("k", 1).unwrap_err();
        assert_eq!(wrong.code(), Some("WRONGTYPE"));

        let mut own = store.dedicated().unwrap();
        let () = redis::cmd("SELECT").arg(1).exec(&mut own).unwrap();
        assert_eq!(own.get::<_, Option<String>>("k").unwrap(), None);

        let mut news = store.subscribe(["news"]).unwrap();
        let () = store.publish("news", "hello").unwrap();
        let Some(larder_store::Event::Message(message)) = news.next() else {
            panic!("a message was published")
        };
        assert_eq!(message.payload, b"hello");
    });
}

#[test]
fn a_miss_loads_a_hit_does_not_and_an_invalidation_is_a_miss() {
    for_each_place(|place| {
        let cache = place.cache("basic");
        let mut events = cache.events();
        assert_eq!(cache.get(&1).unwrap(), None);
        assert_eq!(*cache.get_or_load(&1, || value(1)).unwrap(), "value 1");
        let not_asked = || -> Result<String, BoxError> { panic!("it is cached") };
        assert_eq!(*cache.get_or_load(&1, not_asked).unwrap(), "value 1");
        assert_eq!(*cache.get_or_load_owned(&1, not_asked).unwrap(), "value 1");
        assert_eq!(cache.lookup(&1).unwrap().tier(), Tier::Near);
        assert!(matches!(events.next(), Some(CacheEvent::Loaded { .. })));
        cache.invalidate(&1).unwrap();
        assert_eq!(cache.get(&1).unwrap(), None);

        let tagged = cache.get_or_load_with(&2, |context| {
            context.tag("team");
            value(2).map(Some)
        });
        assert!(tagged.unwrap().is_some());
        cache.invalidate_tag("team").unwrap();
        assert_eq!(cache.get(&2).unwrap(), None);

        cache.put_many((0..10).map(|n| (n, format!("put {n}")))).unwrap();
        let keys: Vec<u64> = (0..12).collect();
        let found = cache.get_or_load_many(&keys, |missing| {
            assert_eq!(missing, [10, 11]);
            Ok::<_, BoxError>(vec![(10, "loaded".to_owned())])
        });
        assert_eq!((found.len(), found.missing().count()), (11, 1));
        assert_eq!(cache.invalidate_matching("1*").run().unwrap(), 3);
        assert_eq!(cache.incr(&1, 5).unwrap(), 5);

        let committed = cache.hold(&3).unwrap().commit_value(|| value(3)).unwrap();
        assert!(committed.held && committed.stored);
        assert_eq!(cache.get(&3).unwrap().as_deref(), Some(&"value 3".to_owned()));
        let refused = cache.hold(&3).unwrap().commit(|| Err::<(), BoxError>("no".into()));
        assert!(matches!(refused.unwrap_err().kind(), ErrorKind::Commit { .. }));
    });
}

#[test]
fn many_threads_on_one_missing_key_are_one_load() {
    const THREADS: usize = 50;
    for_each_place(|place| {
        let cache = place.cache("flight");
        let (loads, barrier) = (AtomicUsize::new(0), Barrier::new(THREADS));
        let load = || {
            loads.fetch_add(1, Ordering::Relaxed);
            value(7)
        };
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    barrier.wait();
                    assert_eq!(*cache.get_or_load(&7, load).unwrap(), "value 7");
                });
            }
        });
        assert_eq!(loads.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_loader_may_fail_panic_and_use_the_blocking_face_itself() {
    for_each_place(|place| {
        let cache = place.cache("loader");
        let failed = cache.get_or_load(&1, || Err::<String, BoxError>("the database is away".into()));
        assert!(failed.unwrap_err().is_load());

        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            cache.get_or_load(&1, || -> Result<String, BoxError> { panic!("in the loader") })
        }));
        assert!(panicked.is_err(), "its own caller panics");
        assert_eq!(
            *cache.get_or_load(&1, || value(1)).unwrap(),
            "value 1",
            "and the key is free again"
        );

        let owned = cache.get_or_load_owned(&2, || -> Result<String, BoxError> { panic!("in the loader") });
        assert!(matches!(owned.unwrap_err().kind(), ErrorKind::LoadPanicked { .. }));

        let nested = cache.get_or_load(&3, || cache.get_or_load(&4, || value(4)).map(|four| format!("{four}!")));
        assert_eq!(*nested.unwrap(), "value 4!");
        let inner = cache.clone();
        let nested = cache.get_or_load_owned(&5, move || {
            inner.get_or_load(&6, || value(6)).map(|six| format!("{six}!"))
        });
        assert_eq!(*nested.unwrap(), "value 6!");
    });
}

/// Were the closure run inside the future, nothing would look at the clock while it runs.
#[test]
fn a_deadline_is_kept_while_the_loader_blocks() {
    for_each_place(|place| {
        let cache: Cache<u64, String> = Cache::builder("deadline")
            .store(&place.store)
            .ttl(TTL)
            .load_timeout(Duration::from_millis(200))
            .build()
            .unwrap();
        let late = cache.get_or_load(&1, || {
            for _ in 0..1_000 {
                if cache.stats().load_timeouts > 0 {
                    break;
                }
                place.runtime.block_on(place.topology().advance(1));
            }
            value(1)
        });
        assert!(late.unwrap_err().is_timeout());
        assert_eq!(cache.stats().load_timeouts, 1);
    });
}

struct Rows;

impl Source<u64, String> for Rows {
    async fn load(&self, key: &u64) -> Result<Option<String>, BoxError> {
        value(*key).map(Some)
    }
}

#[test]
fn warming_takes_its_keys_from_an_iterator_that_blocks() {
    for_each_place(|place| {
        let cache: Cache<u64, String> = Cache::builder("warm")
            .store(&place.store)
            .near(1_000)
            .ttl(TTL)
            .source(Rows)
            .build()
            .unwrap();
        let mut store = place.store.clone();
        let keys = (0..500).inspect(|_| {
            let _: i64 = store.incr("taken", 1).unwrap();
        });
        let warmed = cache.warm(keys).run().unwrap();
        assert_eq!((warmed.seen, warmed.cached), (500, 500));
        let taken: i64 = place.store.clone().get("taken").unwrap();
        assert_eq!(taken, 500);
        assert!(cache.drain(DEADLINE).is_complete);
    });
}

#[test]
fn on_a_thread_that_drives_tasks_it_says_what_to_use_and_beside_them_it_works() {
    let store = Store::open("embedded:").unwrap();
    let cache: Cache<u64, String> = Cache::builder("inside").store(&store).ttl(TTL).build().unwrap();
    let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let asked = cache.clone();
    let panic = other.block_on(async move {
        let called = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| asked.get(&1)));
        let panic = called.unwrap_err();
        panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
    });
    let panic = panic.expect("a text");
    for word in ["async face", "spawn_blocking"] {
        assert!(panic.contains(word), "{panic}");
    }
    let beside = cache.clone();
    let found = other.block_on(async { tokio::task::spawn_blocking(move || beside.get(&1)).await });
    assert_eq!(found.unwrap().unwrap(), None);
    // The last handles may go where nobody may wait.
    let third = Runtime::with_threads(1).unwrap();
    let store = Store::open_on(&third, "embedded:").unwrap();
    drop(third);
    other.block_on(async move { drop(store) });
}

#[test]
fn a_program_with_a_runtime_of_its_own_shares_it() {
    let own = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (store, runtime) = own.block_on(async {
        let store = larder::Store::open("embedded:").await.unwrap();
        (store, Runtime::current())
    });
    let store = Store::wrap(store, &runtime);
    let cache: Cache<u64, String> = Cache::builder("shared").store(&store).ttl(TTL).build().unwrap();
    cache.put(&1, "one".to_owned()).unwrap();
    let seen = own.block_on(cache.as_async().get(&1)).unwrap();
    assert_eq!(seen.as_deref(), Some(&"one".to_owned()));
}

#[test]
fn the_threads_end_with_their_last_owner() {
    let runtime = Runtime::with_threads(2).unwrap();
    let alive = Arc::new(());
    let witness = Arc::downgrade(&alive);
    // A task of that runtime, which lives as long as its workers.
    let endless = alive;
    runtime.block_on(async {
        drop(tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(endless);
        }));
    });
    let store = Store::open_on(&runtime, "embedded:").unwrap();
    drop(runtime);
    let cache: Cache<u64, String> = Cache::builder("end").store(&store).ttl(TTL).build().unwrap();
    drop(store);
    assert_eq!(*cache.get_or_load(&1, || value(1)).unwrap(), "value 1");
    assert!(witness.upgrade().is_some(), "the cache keeps the threads");
    drop(cache);
    let other = Runtime::with_threads(1).unwrap();
    other.block_on(eventually(DEADLINE, async || witness.upgrade().is_none()));
}

/// Names of public methods in `impl` blocks for `name`.
fn methods(folder: &str, name: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let mut files: Vec<_> = vec![folder];
    let mut found = Vec::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            methods_in(&fs::read_to_string(&path).unwrap(), name, &mut found);
        }
    }
    found.sort();
    found.dedup();
    found
}

/// rustfmt puts the head of each block and its end at the beginning of a line.
fn methods_in(code: &str, name: &str, found: &mut Vec<String>) {
    let is_head = |line: &str| {
        line.starts_with("impl")
            && !line.contains(" for ")
            && line.contains(&format!(" {name}"))
            && line
                .split(&format!(" {name}"))
                .nth(1)
                .is_some_and(|rest| rest.starts_with(['<', ' ']))
    };
    let (mut inside, mut settings) = (false, false);
    for line in code.lines() {
        match line {
            "}" => inside = false,
            _ if is_head(line) => inside = true,
            "    settings! {" => settings = true,
            "    }" => settings = false,
            _ => {}
        }
        let words = line.trim_start();
        let indent = line.len() - words.len();
        let words = words.replace("const ", "").replace("async ", "");
        let method = match (indent, words.strip_prefix("pub fn "), words.strip_prefix("fn ")) {
            (4, Some(rest), _) | (8, _, Some(rest)) => Some(rest),
            (8, None, None) if settings => Some(words.as_str()),
            _ => None,
        };
        if let Some(method) = method.filter(|_| inside) {
            let end = method
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(method.len());
            found.push(method[..end].to_owned());
            // A line that names the builder, or closes a list of arguments, names no method.
            found.retain(|name| !name.is_empty());
        }
    }
}

/// A method of one face that the other lacks, without a reason given here, fails.
#[test]
fn both_faces_have_the_same_methods() {
    // What needs a future, or an engine by itself: `as_async` and `wrap` lead there.
    const LOCK: &str = "crates/larder-kit/src/lock";
    const LIMIT: &str = "crates/larder-kit/src/limit";
    const SESSION: &str = "crates/larder-kit/src/session";
    const TRANSACTION: &str = "crates/larder-kit/src/transaction";
    const ONLY_ASYNC: [&str; 9] = [
        "embedded",
        "embedded_through",
        "embedded_with",
        "engine",
        "listen",
        "call_replicated",
        "next",
        "into_stream",
        // For the tests of its crate.
        "mutant",
    ];
    // What ends a wait that a future's owner ends by dropping it, and `run` of what is awaited there.
    const ONLY_BLOCKING: [&str; 7] = [
        "open_on",
        "wrap",
        "as_async",
        "runtime",
        "next_within",
        "campaign_within",
        "run",
    ];
    let pairs = [
        ("crates/larder-cache/src", "Cache"),
        ("crates/larder-cache/src", "CacheBuilder"),
        ("crates/larder-cache/src", "Hold"),
        ("crates/larder-cache/src", "Events"),
        ("crates/larder-cache/src", "Matching"),
        ("crates/larder-cache/src", "Warming"),
        ("crates/larder-store/src", "Store"),
        ("crates/larder-store/src", "Subscription"),
        ("crates/larder-store/src", "Scripts"),
        (LOCK, "StoreLock"),
        (LOCK, "Semaphore"),
        (LOCK, "ReadWriteLock"),
        (LOCK, "LockBuilder"),
        (LOCK, "Guard"),
        (LOCK, "Election"),
        (LOCK, "Leadership"),
        (LOCK, "Leaders"),
        (LIMIT, "Limiter"),
        (LIMIT, "LimiterBuilder"),
        (LIMIT, "ConcurrencyLimit"),
        (LIMIT, "ConcurrencyBuilder"),
        (LIMIT, "Permit"),
        (SESSION, "Sessions"),
        (SESSION, "SessionsBuilder"),
        (SESSION, "Session"),
        (SESSION, "Change"),
        (TRANSACTION, "Transactions"),
        (TRANSACTION, "TransactionsBuilder"),
        (TRANSACTION, "Watched"),
        (TRANSACTION, "Pipelined"),
    ];
    let mut differing = Vec::new();
    for (folder, name) in pairs {
        let ours = methods("crates/larder/src/blocking", name);
        let theirs = methods(folder, name);
        assert!(!theirs.is_empty(), "no method of {name} was found");
        for method in &theirs {
            if !ours.contains(method) && !ONLY_ASYNC.contains(&method.as_str()) {
                differing.push(format!("{name}::{method} has no blocking form"));
            }
        }
        for method in &ours {
            if !theirs.contains(method) && !ONLY_BLOCKING.contains(&method.as_str()) {
                differing.push(format!("blocking::{name}::{method} has no async form"));
            }
        }
    }
    assert!(differing.is_empty(), "{differing:#?}");
    assert!(methods("crates/larder-cache/src", "Cache").len() > 40);
    assert!(methods("crates/larder-cache/src", "CacheBuilder").len() > 30);
}
