//! Counts allocations, thread by thread, and on demand the bytes that are out: the allocator of this program.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Whether bytes are counted: all threads count them in one place, which those who allocate much would feel.
static COUNTS_BYTES: AtomicBool = AtomicBool::new(false);

/// Given out and not given back, by all threads.
static BYTES: AtomicI64 = AtomicI64::new(0);

/// Allocations of the calling thread so far.
pub(crate) fn of_thread() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// Counts bytes from now on, or no more.
pub(crate) fn count_bytes(on: bool) {
    COUNTS_BYTES.store(on, Ordering::Relaxed);
}

/// Bytes asked for and not given back by the whole process while they were counted.
pub(crate) fn bytes() -> i64 {
    BYTES.load(Ordering::Relaxed)
}

struct Counting;

fn count() {
    // A thread that is ending may allocate after its locals are gone; those are nobody's.
    let _counted = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

fn change(bytes: i64) {
    // Relaxed: a figure, read while nobody allocates.
    if COUNTS_BYTES.load(Ordering::Relaxed) {
        BYTES.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed on to the system's allocator as it came; counting does not allocate, for the
// thread-local is constant and has no destructor, and the other count is an atomic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        change(layout.size() as i64);
        // SAFETY: the caller's contract is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        change(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        change(size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
