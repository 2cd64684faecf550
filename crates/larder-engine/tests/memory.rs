//! `used_memory` is what the allocator really gave, within a quarter either way at sizes that matter.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use larder_engine::{Engine, Reply, Session};

/// Counts the bytes that this thread allocated and has not freed.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
}

fn hold(change: impl FnOnce(usize) -> usize) {
    // What a thread frees while it ends is of no interest.
    _ = HELD.try_with(|held| held.set(change(held.get())));
}

/// What the allocator adds to a request: its header, and rounding to 16 bytes, as glibc does.
const fn rounded(bytes: usize) -> usize {
    (bytes + 8).next_multiple_of(16)
}

// SAFETY: every call goes to `System` unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        hold(|held| held.wrapping_add(rounded(layout.size())));
        // SAFETY: the caller's layout is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        hold(|held| held.wrapping_sub(rounded(layout.size())));
        // SAFETY: the pointer came from `System`, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn run(session: &Session, line: &str) {
    let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    assert!(!session.execute(&args).is_error(), "{line}");
}

/// Reported bytes over allocated ones, after these commands.
fn ratio(commands: impl Iterator<Item = String>) -> f64 {
    let engine = Engine::new();
    let session = engine.connect();
    run(&session, "PING");
    let (held, used) = (HELD.get(), engine.used_memory());
    commands.for_each(|line| run(&session, &line));
    let allocated = HELD.get().wrapping_sub(held);
    let reported = engine.used_memory() - used;
    reported as f64 / allocated as f64
}

#[test]
fn reported_memory_is_near_what_was_allocated() {
    let value = |len: usize| "x".repeat(len);
    // Sizes at which the tables have just grown and at which they are nearly full.
    for keys in [20_000, 28_000] {
        for (name, ratio) in [
            ("small strings", ratio((0..keys).map(|i| format!("SET key:{i} {i}")))),
            (
                "strings of 100 B",
                ratio((0..keys).map(|i| format!("SET key:{i} {}", value(100)))),
            ),
            (
                "strings of 2 KB",
                ratio((0..keys / 10).map(|i| format!("SET key:{i} {}", value(2_000)))),
            ),
            (
                "with a deadline",
                ratio((0..keys).map(|i| format!("SET key:{i} {} EX 1000", value(100)))),
            ),
            (
                "one hash",
                ratio((0..keys).map(|i| format!("HSET hash field:{i} {}", value(50)))),
            ),
            (
                "many hashes",
                ratio((0..keys).map(|i| format!("HSET hash:{} field:{i} {}", i / 8, value(50)))),
            ),
            ("one set", ratio((0..keys).map(|i| format!("SADD set member:{i}")))),
            (
                "one sorted set",
                ratio((0..keys).map(|i| format!("ZADD zset {i} member:{i}"))),
            ),
            (
                "one list",
                ratio((0..keys).map(|i| format!("RPUSH list {}:{i}", value(50)))),
            ),
            (
                "one stream",
                ratio((0..keys).map(|i| format!("XADD stream * k key:{i}"))),
            ),
            (
                "many streams",
                ratio((0..keys).map(|i| format!("XADD stream:{} * k {}", i / 8, value(50)))),
            ),
        ] {
            println!("{name}, {keys}: reported/allocated = {ratio:.2}");
            assert!((0.75..1.25).contains(&ratio), "{name}, {keys}: {ratio:.2}");
        }
    }
}

/// What is freed is counted off again: nothing drifts.
#[test]
fn used_memory_returns_to_zero() {
    let engine = Engine::new();
    let session = engine.connect();
    for i in 0..1_000 {
        run(&session, &format!("SET k:{} {}", i % 10, "x".repeat(i)));
        run(&session, &format!("APPEND k:{} more", i % 10));
        run(&session, &format!("HSET h:{} f:{i} v", i % 10));
        run(
            &session,
            &format!("XADD s:{} MAXLEN ~ 100 * f {}", i % 2, "x".repeat(i % 50)),
        );
        run(&session, &format!("RENAME k:{} k:{}", i % 10, (i + 1) % 10));
    }
    assert!(engine.used_memory() > 0);
    for i in 0..10 {
        for name in ["k", "h", "s"] {
            _ = session.execute(&[b"DEL", format!("{name}:{i}").as_bytes()]);
        }
    }
    assert_eq!(session.execute(&[b"DBSIZE"]), Reply::Int(0));
    assert_eq!(engine.used_memory(), 0);
}
