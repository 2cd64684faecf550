//! Functions written in Rust that scripts call.
//!
//! A native function is a safe `fn(&mut Call) -> Result<results, Raise>`; one entry point for all of them stands
//! between it and Lua. Raising a Lua error jumps over the frames in between, so the entry point does it, after
//! everything that needs dropping is dropped.

use std::{
    borrow::Cow,
    ffi::{c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::atomic::{AtomicPtr, AtomicU64, Ordering},
};

use mlua::ffi;

use super::{
    budget::Budget,
    run::Run,
    stack::{Index, Kind, Stack},
};

/// A function for scripts; says how many results it pushed.
pub(super) type Native = fn(&mut Call<'_>) -> Result<usize, Raise>;

/// A look at the arguments before a library's function takes them; it leaves the stack as it was.
pub(super) type Check = fn(&mut Call<'_>) -> Result<(), Raise>;

/// What a native function raises.
#[derive(Debug)]
pub(super) enum Raise {
    /// A text after the position of the caller, as `luaL_error` raises it.
    Text(Cow<'static, str>),
    /// An argument is not fit, as `luaL_argerror` raises it.
    Argument(Index, Cow<'static, str>),
    /// The table `{err = text}`: how Redis raises what a command or its own functions complain of.
    Reply(String),
    /// The value on top of the stack.
    Top,
}

impl Raise {
    pub(super) fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn reply(text: impl Into<String>) -> Self {
        Self::Reply(text.into())
    }

    /// An argument is of the wrong type.
    pub(super) fn wrong_kind(at: Index, expected: &str, got: Kind) -> Self {
        Self::Argument(at, format!("{expected} expected, got {}", got.name()).into())
    }
}

/// One call of a native function: its arguments are the bottom of the stack.
pub(super) struct Call<'a> {
    pub(super) stack: &'a mut Stack,
    host: *const Host,
}

/// Where native functions find the script that is running. It is at a fixed address, which every native function
/// has as an upvalue.
pub(super) struct Host {
    /// A `*mut Run`, or null. Atomic only to be `Sync`: whoever gets here holds the engine's lock, so no access
    /// is ordered against another one and `Relaxed` is enough.
    run: AtomicPtr<c_void>,
    /// The state of `math.random`.
    random: AtomicU64,
    pub(super) budget: Budget,
}

impl Host {
    pub(super) const fn idle(seed: u64) -> Self {
        Self {
            run: AtomicPtr::new(ptr::null_mut()),
            random: AtomicU64::new(seed),
            budget: Budget::new(),
        }
    }

    pub(super) fn random_state(&self) -> u64 {
        self.random.load(Ordering::Relaxed)
    }

    pub(super) fn set_random_state(&self, state: u64) {
        self.random.store(state, Ordering::Relaxed);
    }

    /// Exchanges the pointer for as long as the guard lives, when something panics too.
    fn exchange(&self, pointer: *mut c_void) -> Exchanged<'_> {
        let before = self.run.load(Ordering::Relaxed);
        self.run.store(pointer, Ordering::Relaxed);
        Exchanged { host: self, before }
    }

    /// Runs `body` while native functions reach `run`.
    pub(super) fn with<R>(&self, run: &mut Run<'_, '_>, body: impl FnOnce() -> R) -> R {
        let _guard = self.exchange(ptr::from_mut(run).cast());
        body()
    }

    /// Lends the running script to `body`; nothing if none is running, or if it is lent already.
    ///
    /// The pointer is taken out meanwhile, so a second borrow cannot exist however `body` calls back.
    pub(super) fn lend<R>(&self, body: impl FnOnce(&mut Run<'_, '_>) -> R) -> Option<R> {
        let guard = self.exchange(ptr::null_mut());
        if guard.before.is_null() {
            return None;
        }
        let run: *mut Run<'_, '_> = guard.before.cast();
        // SAFETY: `with` put a pointer here that it took from a `&mut Run`, and takes it away before that borrow
        // ends; it does not touch the `Run` meanwhile. The pointer was taken out above, so this is the only
        // reference. Lifetimes inside `Run` are shortened to this call: `body` is generic over them.
        Some(body(unsafe { &mut *run }))
    }
}

struct Exchanged<'h> {
    host: &'h Host,
    before: *mut c_void,
}

impl Drop for Exchanged<'_> {
    fn drop(&mut self) {
        self.host.run.store(self.before, Ordering::Relaxed);
    }
}

impl Call<'_> {
    /// How many arguments there are, while nothing was pushed.
    pub(super) fn args(&self) -> usize {
        self.stack.top() as usize
    }

    /// Lends the running script to `body`; nothing outside one.
    pub(super) fn run<R>(&mut self, body: impl FnOnce(&mut Run<'_, '_>, &mut Stack) -> R) -> Option<R> {
        // SAFETY: as in `host`.
        let host = unsafe { &*self.host };
        let stack = &mut *self.stack;
        host.lend(|run| body(run, stack))
    }

    pub(super) fn host(&self) -> &Host {
        // SAFETY: the host outlives every Lua state whose functions know it, see `Interpreter`, and with it
        // every call.
        unsafe { &*self.host }
    }

    /// Argument `at` as a string, as `luaL_checklstring` takes it.
    pub(super) fn bytes(&self, at: Index) -> Result<&[u8], Raise> {
        self.stack
            .bytes(at)
            .ok_or_else(|| Raise::wrong_kind(at, "string", self.stack.kind(at)))
    }

    /// Argument `at` as a number, as `luaL_checknumber` takes it.
    pub(super) fn number(&self, at: Index) -> Result<f64, Raise> {
        self.stack
            .number(at)
            .ok_or_else(|| Raise::wrong_kind(at, "number", self.stack.kind(at)))
    }

    /// Counts work that Lua counts no instructions for; an error if the script's time is over.
    pub(super) fn spend(&mut self, work: usize) -> Result<(), Raise> {
        self.run(|run, _| run.spend(work)).unwrap_or(Ok(()))
    }

    /// Pushes `{field = text}` as the one result.
    pub(super) fn give_field(&mut self, field: &str, text: &[u8]) -> Result<usize, Raise> {
        self.stack.push_table(0, 1);
        self.stack.push_bytes(text);
        self.stack.raw_set_field(-2, field);
        Ok(1)
    }
}

/// Pushes `function` as a value that scripts can call.
pub(super) fn push(stack: &mut Stack, function: Native, host: *const Host) {
    stack.push_pointer(function as *mut c_void);
    stack.push_pointer(host.cast_mut().cast());
    stack.push_function(enter, 2);
}

/// Pushes `function` as a handler of errors, which runs where a bound was exceeded too.
pub(super) fn push_handler(stack: &mut Stack, function: Native, host: *const Host) {
    stack.push_pointer(function as *mut c_void);
    stack.push_pointer(host.cast_mut().cast());
    stack.push_boolean(true);
    stack.push_function(enter, 3);
}

/// Replaces the C function on top by one that asks `check` first; takes away anything else and says `false`.
pub(super) fn push_guarded(stack: &mut Stack, check: Check, host: *const Host) -> bool {
    let Some(original) = stack.c_function(-1) else {
        stack.pop(1);
        return false;
    };
    stack.pop(1);
    stack.push_pointer(check as *mut c_void);
    stack.push_pointer(host.cast_mut().cast());
    stack.push_pointer(original as *mut c_void);
    stack.push_function(enter_guarded, 3);
    true
}

/// The entry point of every guarded function.
///
/// # Safety
/// Only Lua calls it, with a live state, and only as a closure that [`push_guarded`] made.
unsafe extern "C-unwind" fn enter_guarded(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: Lua lends the state for this call.
    let mut stack = unsafe { Stack::of(state) };
    if !ask(&mut stack) {
        // SAFETY: what is raised is on top.
        unsafe { ffi::lua_error(state) }
    }
    let original = stack.pointer(ffi::lua_upvalueindex(3));
    // SAFETY: `push_guarded` put a function of Lua's there.
    let original: ffi::lua_CFunction = unsafe { std::mem::transmute(original) };
    // SAFETY: alive. It uses no upvalues, so it does not notice that it runs as this closure, and it may jump over
    // this frame, in which nothing needs dropping.
    unsafe { original(state) }
}

/// Whether the check lets the function run; if not, what to raise is on top.
fn ask(stack: &mut Stack) -> bool {
    let host = host_of(stack);
    let check = stack.pointer(ffi::lua_upvalueindex(1));
    // SAFETY: `push_guarded` put a `Check` there.
    let check: Check = unsafe { std::mem::transmute(check) };
    host.budget.lend(|| {
        let bounds = host.budget.check(stack);
        let checked = bounds.and_then(|()| check(&mut Call { stack, host }));
        // A check raises no argument errors, so there is nothing more to know.
        checked.map_err(|raise| stage(stack, raise)).is_ok()
    })
}

/// The second upvalue of a function that [`push`] or [`push_guarded`] made.
fn host_of<'h>(stack: &Stack) -> &'h Host {
    let host: *const Host = stack.pointer(ffi::lua_upvalueindex(2)).cast();
    // SAFETY: it was put there, and outlives the state, see `Interpreter`.
    unsafe { &*host }
}

/// The entry point of every native function.
///
/// # Safety
/// Only Lua calls it, with a live state, and only as a closure that [`push`] made.
unsafe extern "C-unwind" fn enter(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: Lua lends the state for this call.
    let mut stack = unsafe { Stack::of(state) };
    let host = host_of(&stack);
    let answered = host
        .budget
        .lend(|| answer(&mut stack, host).map_err(|raise| stage(&mut stack, raise)));
    let argument = match answered {
        Ok(results) => return results as c_int,
        Err(argument) => argument,
    };
    // Nothing that needs dropping is left in this frame: `stack` is a pointer.
    match argument {
        // SAFETY: the error value is on top.
        None => unsafe { ffi::lua_error(state) },
        Some((at, text)) => {
            // SAFETY: the text is a string on this stack, which Lua keeps until it has copied it.
            unsafe { ffi::luaL_argerror(state, at, text) }
        }
    }
}

fn answer(stack: &mut Stack, host: &Host) -> Result<usize, Raise> {
    let unbound = stack.boolean(ffi::lua_upvalueindex(3));
    if !unbound {
        host.budget.check(stack)?;
    }
    let function = stack.pointer(ffi::lua_upvalueindex(1));
    // SAFETY: `push` put a `Native` there.
    let function: Native = unsafe { std::mem::transmute(function) };
    let mut call = Call { stack, host };
    // A panic must not unwind through Lua's frames.
    catch_unwind(AssertUnwindSafe(|| function(&mut call)))
        .unwrap_or_else(|_| Err(Raise::reply("ERR a command panicked inside a script")))
}

/// Pushes what is to be raised; for an argument error, what `luaL_argerror` wants to know.
pub(super) fn stage(stack: &mut Stack, raise: Raise) -> Option<(c_int, *const std::ffi::c_char)> {
    match raise {
        Raise::Top => None,
        Raise::Text(text) => {
            let state = stack.state();
            // SAFETY: alive; pushes the position of the caller.
            unsafe { ffi::luaL_where(state, 1) };
            stack.push_bytes(text.as_bytes());
            // SAFETY: alive; two strings are on top.
            unsafe { ffi::lua_concat(state, 2) };
            None
        }
        Raise::Reply(text) => {
            stack.push_table(0, 1);
            stack.push_bytes(text.as_bytes());
            stack.raw_set_field(-2, "err");
            None
        }
        Raise::Argument(at, text) => {
            stack.push_bytes(text.as_bytes());
            let text = stack.bytes(-1).expect("a string was just pushed").as_ptr();
            Some((at, text.cast()))
        }
    }
}
