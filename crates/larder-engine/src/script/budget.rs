//! The memory of a running script is bounded, and so is the machine stack below it.
//!
//! Lua raises an error when its allocator refuses, which jumps over the frames in between. So memory is refused only
//! while Lua's own code runs ([`Budget::lend`] says when it does not): no Rust frame with something to drop is ever
//! between the refusal and the protected call of the script.

use std::{
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::Relaxed},
};

use mlua::ffi;

use super::{native::Raise, stack::Stack};

/// What a script may hold above what the state held before, after a collection.
const HELD_MAX: usize = 512 << 20;

/// What it may hold with what was not collected yet; Lua's collector lags behind long strings.
const REFUSED_ABOVE: usize = 2 * HELD_MAX;

/// Garbage that a script may leave behind.
const LEFT_MAX: usize = 64 << 20;

/// Machine stack that a script may use before a native function begins. Threads have 2 MiB and more, a native
/// function (decoding nests a thousand deep) and what is above the script share the rest.
const STACK_MAX: usize = 512 << 10;

/// Atomic only to be `Sync`: whoever gets here holds the engine's lock.
pub(super) struct Budget {
    /// What `mlua`'s allocator knows its state by.
    data: AtomicPtr<c_void>,
    /// `mlua`'s allocator.
    inner: AtomicPtr<c_void>,
    used: AtomicUsize,
    /// What the state held when the script began.
    before: AtomicUsize,
    /// Lua's own code runs: it may be refused memory.
    refuses: AtomicBool,
    /// Where the machine stack was when the script began.
    stack: AtomicUsize,
}

impl Budget {
    pub(super) const fn new() -> Self {
        Self {
            data: AtomicPtr::new(ptr::null_mut()),
            inner: AtomicPtr::new(ptr::null_mut()),
            used: AtomicUsize::new(0),
            before: AtomicUsize::new(0),
            refuses: AtomicBool::new(false),
            stack: AtomicUsize::new(0),
        }
    }

    /// Puts itself before the state's allocator. It must stay where it is until [`Budget::remove`].
    pub(super) fn install(&self, stack: &Stack) {
        let mut data = ptr::null_mut();
        // SAFETY: alive; only reads.
        let inner = unsafe { ffi::lua_getallocf(stack.state(), &raw mut data) };
        self.data.store(data, Relaxed);
        self.inner.store(inner as *mut c_void, Relaxed);
        self.used.store(stack.memory(), Relaxed);
        let this = ptr::from_ref(self).cast_mut().cast();
        // SAFETY: alive; what the inner allocator gave, it gets back through `allocate`.
        unsafe { ffi::lua_setallocf(stack.state(), allocate, this) };
    }

    /// Puts the state's own allocator back.
    pub(super) fn remove(&self, stack: &Stack) {
        // SAFETY: alive; both are what `install` found there.
        unsafe { ffi::lua_setallocf(stack.state(), self.inner(), self.data.load(Relaxed)) };
    }

    fn inner(&self) -> ffi::lua_Alloc {
        // SAFETY: `install` put an allocator there.
        unsafe { std::mem::transmute(self.inner.load(Relaxed)) }
    }

    /// Runs a script's protected call within the bounds.
    pub(super) fn bound<R>(&self, call: impl FnOnce() -> R) -> R {
        let here = 0_u8;
        self.stack.store(ptr::from_ref(&here).addr(), Relaxed);
        self.before.store(self.used.load(Relaxed), Relaxed);
        self.refuses.store(true, Relaxed);
        let result = call();
        self.refuses.store(false, Relaxed);
        result
    }

    /// Runs native code, which gets all the memory it asks for.
    pub(super) fn lend<R>(&self, native: impl FnOnce() -> R) -> R {
        let refused = self.refuses.swap(false, Relaxed);
        let result = native();
        self.refuses.store(refused, Relaxed);
        result
    }

    /// Looks at the bounds before a native function begins, inside [`Budget::lend`].
    pub(super) fn check(&self, stack: &Stack) -> Result<(), Raise> {
        let here = 0_u8;
        if self.stack.load(Relaxed).saturating_sub(ptr::from_ref(&here).addr()) > STACK_MAX {
            return Err(Raise::text("stack overflow"));
        }
        if self.shrink(stack, HELD_MAX) > HELD_MAX {
            return Err(Raise::text("not enough memory"));
        }
        Ok(())
    }

    /// Collects what a script left, if that is much.
    pub(super) fn tidy(&self, stack: &Stack) {
        self.shrink(stack, LEFT_MAX);
    }

    /// Collects garbage while more than so much is held and it helps; what is held then. Lua's buffer for joined
    /// strings shrinks by half each time.
    fn shrink(&self, stack: &Stack, above: usize) -> usize {
        let mut held = self.held();
        while held > above {
            stack.collect();
            let left = self.held();
            if left >= held {
                break;
            }
            held = left;
        }
        held
    }

    fn held(&self) -> usize {
        self.used.load(Relaxed).saturating_sub(self.before.load(Relaxed))
    }

    /// Whether the state may have so many bytes more.
    fn grants(&self, more: usize) -> bool {
        !self.refuses.load(Relaxed) || self.held().saturating_add(more) <= REFUSED_ABOVE
    }
}

/// The allocator of the state.
///
/// # Safety
/// Only Lua calls it, with a pointer that it or the inner allocator gave and its size.
unsafe extern "C" fn allocate(budget: *mut c_void, block: *mut c_void, before: usize, after: usize) -> *mut c_void {
    // SAFETY: `install` put a `Budget` there that outlives the state.
    let budget = unsafe { &*budget.cast::<Budget>() };
    let more = after.saturating_sub(before);
    if more > 0 && !budget.grants(more) {
        return ptr::null_mut();
    }
    // SAFETY: the same call, handed on.
    let given = unsafe { budget.inner()(budget.data.load(Relaxed), block, before, after) };
    if !given.is_null() || after == 0 {
        let used = budget.used.load(Relaxed).wrapping_add(after).wrapping_sub(before);
        budget.used.store(used, Relaxed);
    }
    given
}
