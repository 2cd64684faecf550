//! What a command costs in process: `cargo bench -p larder-engine --bench commands [name]`.
//!
//! One engine, one session, one thread; nanoseconds of CPU and allocations of one operation, the best of five rounds,
//! which is the one least disturbed by the rest of the machine.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};

use larder_engine::{Engine, Session};
use rustix::time::{ClockId, clock_gettime};

/// Counts allocations on their way to the system's allocator.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to `System` unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Relaxed: only the number matters.
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's layout is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System`, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KEYS: usize = 10_000;
const ROUNDS: usize = 5;
const OPERATIONS: usize = 200_000;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let engine = Engine::new();
    let session = engine.connect();
    let keys: Vec<Vec<u8>> = (0..KEYS).map(|i| format!("user:{i:08}").into_bytes()).collect();
    let value = [b'x'; 100];
    for key in &keys {
        run(&session, &[b"SET", key, &value]);
    }
    run(&session, &[b"HSET", b"hash", b"field", &value]);
    run(&session, &[b"ZADD", b"zset", b"1", b"member"]);

    let cases: &[(&str, &dyn Fn(usize))] = &[
        ("ping", &|_| run(&session, &[b"PING"])),
        ("get/100B", &|i| run(&session, &[b"GET", &keys[i % KEYS]])),
        ("get/lower-case", &|i| run(&session, &[b"get", &keys[i % KEYS]])),
        ("get/absent", &|_| run(&session, &[b"GET", b"absent"])),
        ("set/100B", &|i| run(&session, &[b"SET", &keys[i % KEYS], &value])),
        ("set/100B-ex", &|i| {
            run(&session, &[b"SET", &keys[i % KEYS], &value, b"EX", b"100"]);
        }),
        ("incr", &|_| run(&session, &[b"INCR", b"counter"])),
        ("mget/2", &|i| {
            run(&session, &[b"MGET", &keys[i % KEYS], &keys[(i + 1) % KEYS]]);
        }),
        ("hget", &|_| run(&session, &[b"HGET", b"hash", b"field"])),
        ("zscore", &|_| run(&session, &[b"ZSCORE", b"zset", b"member"])),
        ("set-del", &|_| {
            run(&session, &[b"SET", b"passing", &value]);
            run(&session, &[b"DEL", b"passing"]);
        }),
    ];
    println!("{:<16} {:>8} {:>8}", "command", "ns", "allocs");
    for (name, operation) in cases {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let (nanos, allocations) = best(operation);
        println!("{name:<16} {nanos:>8.0} {allocations:>8.2}");
    }
}

fn run(session: &Session, args: &[&[u8]]) {
    black_box(session.execute(black_box(args)));
}

/// CPU time of this thread.
fn cpu_nanos() -> i64 {
    const SECOND: i64 = 1_000_000_000;
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * SECOND + time.tv_nsec
}

/// Nanoseconds and allocations of one operation.
fn best(operation: &dyn Fn(usize)) -> (f64, f64) {
    let round = |_| {
        let (started, before) = (cpu_nanos(), ALLOCATIONS.load(Ordering::Relaxed));
        (0..OPERATIONS).for_each(operation);
        let spent = cpu_nanos() - started;
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        (spent as f64 / OPERATIONS as f64, allocations as f64 / OPERATIONS as f64)
    };
    (0..ROUNDS)
        .map(round)
        .min_by(|(a, _), (b, _)| a.total_cmp(b))
        .expect("there is at least one round")
}
