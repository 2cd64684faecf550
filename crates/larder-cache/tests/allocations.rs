//! A near hit allocates nothing. In a binary of its own: it counts every allocation of its thread.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
    time::Duration,
};

use larder_cache::Cache;
use larder_store::Store;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes on to the system's allocator unchanged; the counter is a plain cell of this thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no counter any more, and nothing here is measured on it.
        let _counted = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

#[tokio::test(flavor = "current_thread")]
async fn a_near_hit_allocates_nothing() {
    let store = Store::open("embedded:").await.expect("the engine is in this process");
    let cache = Cache::<String, Vec<u64>>::builder("n")
        .store(&store)
        .near(100)
        .ttl(Duration::from_secs(300));
    let cache = cache.build().await.expect("the settings agree");
    let key = "a key that is no integer".to_owned();
    cache.put(&key, vec![1, 2, 3]).await.expect("stored");
    let load = || async { Err::<Vec<u64>, _>(std::io::Error::other("never called")) };
    // The first read brings it near; the second has every lazy thing of this thread set up.
    for _ in 0..2 {
        cache.get(&key).await.expect("a hit");
        cache.get_or_load(&key, load).await.expect("a hit");
    }
    let (before, hits) = (allocations(), cache.stats().near_hits);
    for _ in 0..1_000 {
        black_box(cache.get(&key).await.expect("a hit"));
        black_box(cache.get_or_load(&key, load).await.expect("a hit"));
    }
    assert_eq!(allocations() - before, 0);
    assert_eq!(cache.stats().near_hits - hits, 2_000);
}
