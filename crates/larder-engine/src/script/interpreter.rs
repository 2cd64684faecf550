//! The Lua state in which an engine's scripts live: how it is furnished, how a script is compiled and called.

use std::{
    ffi::{CStr, c_int, c_void},
    ptr,
    sync::Arc,
};

use mlua::{Lua, LuaOptions, StdLib, ffi};

use super::{
    api, convert, guard, lib,
    native::{self, Call, Host, Native, Raise},
    run::{Run, TICK},
    stack::{Kind, Ref, Stack},
};
use crate::{ErrorReply, Reply};

/// What Lua calls a script in the texts of its errors; Redis's name for it.
const CHUNK: &CStr = c"@user_script";

const SANDBOX: &CStr = c"@sandbox";

/// Lua collects garbage as it allocates; a step every so many calls keeps small scripts from piling it up.
const CALLS_PER_STEP: u32 = 50;

/// A Lua state with everything that scripts may use, and nothing else.
pub(super) struct Interpreter {
    /// Owns the state, and ends it.
    lua: Lua,
    /// Outlives the state, for native functions know its address: fields drop in this order.
    host: Arc<Host>,
    /// The table behind the scripts' globals, where `KEYS` and `ARGV` go.
    visible: Ref,
    handler: Ref,
    calls: u32,
}

/// A compiled script.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function(Ref);

impl Interpreter {
    /// With a seed for `math.random`.
    pub(super) fn new(seed: u64) -> Self {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(false))
            .expect("the standard libraries that were asked for exist");
        let host = Arc::new(Host::idle(seed));
        let mut stack = stack_of(&lua);
        furnish(&mut stack, Arc::as_ptr(&host));
        let visible = seal(&mut stack, Arc::as_ptr(&host));
        native::push_handler(&mut stack, locate, Arc::as_ptr(&host));
        let handler = stack.keep();
        watch(&mut stack, &host);
        host.budget.install(&stack);
        Self {
            lua,
            host,
            visible,
            handler,
            calls: 0,
        }
    }

    /// Compiles a script's text.
    pub(super) fn compile(&mut self, code: &[u8]) -> Result<Function, ErrorReply> {
        /// The first byte of a precompiled chunk, which Lua would trust.
        const PRECOMPILED: u8 = 27;
        if code.first() == Some(&PRECOMPILED) {
            return Err(uncompiled("user_script:1: unexpected symbol near 'char(27)'"));
        }
        let mut stack = stack_of(&self.lua);
        match stack.load(code, CHUNK) {
            Ok(()) => Ok(Function(stack.keep())),
            Err(()) => {
                let text = convert::on_one_line(stack.bytes(-1).unwrap_or_default());
                stack.pop(1);
                Err(uncompiled(&text))
            }
        }
    }

    /// Runs a compiled script to its end; its result, or its error as text with the place where it arose.
    pub(super) fn call(
        &mut self,
        function: Function,
        run: &mut Run<'_, '_>,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> Result<Reply, Failure> {
        let mut stack = stack_of(&self.lua);
        let bottom = stack.top();
        stack.push_ref(self.handler);
        stack.push_ref(self.visible);
        set_array(&mut stack, "KEYS", keys);
        set_array(&mut stack, "ARGV", args);
        stack.pop(1);
        stack.push_ref(function.0);
        let outcome = self
            .host
            .with(run, || self.host.budget.bound(|| stack.call(0, 1, bottom + 1)));
        let result = match outcome {
            Ok(()) => Ok(convert::pop_reply(&mut stack, run.resp())),
            Err(()) => {
                // A script that ran out of time left the hook at every instruction.
                set_hook(&stack, TICK);
                Err(Failure::read(&mut stack))
            }
        };
        stack.set_top(bottom);
        self.tidy(&stack);
        result
    }

    /// Bytes that Lua holds.
    pub(super) fn memory(&self) -> usize {
        stack_of(&self.lua).memory()
    }

    fn tidy(&mut self, stack: &Stack) {
        self.host.budget.tidy(stack);
        self.calls += 1;
        if self.calls.is_multiple_of(CALLS_PER_STEP) {
            stack.collect_step();
        }
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        // The state frees what its own allocator needs only if it finds that in its place.
        self.host.budget.remove(&stack_of(&self.lua));
    }
}

fn stack_of(lua: &Lua) -> Stack {
    // SAFETY: `lua` owns the state and is borrowed from an `Interpreter`, which is behind the engine's lock.
    unsafe { Stack::of(lua.state()) }
}

fn uncompiled(text: &str) -> ErrorReply {
    ErrorReply::new(format!("ERR Error compiling script (new function): {text}"))
}

/// `name = {items}` in the table on top.
fn set_array(stack: &mut Stack, name: &str, items: &[&[u8]]) {
    stack.push_table(items.len(), 0);
    for (i, item) in items.iter().enumerate() {
        stack.push_bytes(item);
        stack.raw_set_item(-2, i + 1);
    }
    stack.raw_set_field(-2, name);
}

/// Adds `redis` and the libraries that Redis has beside Lua's own.
fn furnish(stack: &mut Stack, host: *const Host) {
    let libraries: [(&str, &[(&str, Native)]); 5] = [
        ("redis", api::FUNCTIONS),
        ("cjson", lib::cjson::FUNCTIONS),
        ("cmsgpack", lib::cmsgpack::FUNCTIONS),
        ("struct", lib::structs::FUNCTIONS),
        ("bit", lib::bit::FUNCTIONS),
    ];
    for (name, functions) in libraries {
        stack.push_table(0, functions.len());
        add_functions(stack, functions, host);
        match name {
            "redis" => api::add_constants(stack),
            "cjson" => lib::cjson::add_constants(stack),
            "cmsgpack" => lib::cmsgpack::add_constants(stack),
            _ => {}
        }
        stack.raw_set_field(ffi::LUA_GLOBALSINDEX, name);
    }
    stack.raw_get_field(ffi::LUA_GLOBALSINDEX, "math");
    add_functions(stack, lib::math::FUNCTIONS, host);
    stack.pop(1);
    guard::furnish(stack, host);
}

/// Sets functions in the table on top.
fn add_functions(stack: &mut Stack, functions: &[(&str, Native)], host: *const Host) {
    for (name, native) in functions {
        native::push(stack, *native, host);
        stack.raw_set_field(-2, name);
    }
}

/// Puts the sandbox in place of the globals; the table behind it.
fn seal(stack: &mut Stack, host: *const Host) -> Ref {
    stack
        .load(include_bytes!("sandbox.lua"), SANDBOX)
        .expect("the sandbox is Lua");
    stack.push_copy(ffi::LUA_GLOBALSINDEX);
    native::push(stack, refuse_write, host);
    native::push(stack, refuse_read, host);
    stack.call(3, 2, 0).expect("the sandbox meets the globals it expects");
    stack.replace(ffi::LUA_GLOBALSINDEX);
    stack.keep()
}

fn refuse_write(_: &mut Call<'_>) -> Result<usize, Raise> {
    Err(Raise::text("Attempt to modify a readonly table"))
}

/// `__index` of the globals: the table, then the name.
fn refuse_read(call: &mut Call<'_>) -> Result<usize, Raise> {
    let name = String::from_utf8_lossy(call.stack.bytes(2).unwrap_or_default()).into_owned();
    Err(Raise::text(format!(
        "Script attempted to access nonexistent global variable '{name}'"
    )))
}

/// Why a script ended early.
#[derive(Debug)]
pub(super) struct Failure {
    text: String,
    /// The source and line of the function that raised it.
    place: Option<(String, i64)>,
}

impl Failure {
    /// The error that [`locate`] prepared, from the top of the stack.
    fn read(stack: &mut Stack) -> Self {
        if stack.kind(-1) != Kind::Table {
            let text = convert::on_one_line(stack.bytes(-1).unwrap_or(b"execution failure"));
            let text = format!("ERR {text}");
            return Self { text, place: None };
        }
        let text = Self::field(stack, "err").unwrap_or_else(|| "ERR unknown error".to_owned());
        let line = Self::field(stack, "line").and_then(|line| line.parse().ok());
        let place = Self::field(stack, "source").zip(line);
        Self { text, place }
    }

    fn field(stack: &mut Stack, name: &str) -> Option<String> {
        stack.raw_get_field(-1, name);
        let text = stack.bytes(-1).map(convert::on_one_line);
        stack.pop(1);
        text
    }

    /// The reply, as Redis words it.
    pub(super) fn reply(self, sha: &str) -> ErrorReply {
        ErrorReply::new(match self.place {
            Some((source, line)) => format!("{} script: {sha}, on {source}:{line}.", self.text),
            None => self.text,
        })
    }
}

/// The message handler of a script: makes a table of what was raised and adds where it was.
fn locate(call: &mut Call<'_>) -> Result<usize, Raise> {
    if call.stack.kind(1) != Kind::Table {
        let text = raised_text(call.stack);
        call.stack.push_table(0, 3);
        call.stack.push_bytes(text.as_bytes());
        call.stack.raw_set_field(-2, "err");
        call.stack.replace(1);
    }
    if let Some((source, line)) = place(call.stack) {
        call.stack.push_bytes(source.as_bytes());
        call.stack.raw_set_field(1, "source");
        call.stack.push_number(f64::from(line));
        call.stack.raw_set_field(1, "line");
    }
    call.stack.push_copy(1);
    Ok(1)
}

fn raised_text(stack: &Stack) -> String {
    let text = match stack.kind(1) {
        Kind::Boolean => stack.boolean(1).to_string(),
        Kind::String | Kind::Number => String::from_utf8_lossy(stack.bytes(1).unwrap_or_default()).into_owned(),
        other => other.name().to_owned(),
    };
    format!("ERR {text}")
}

/// Source and current line of the innermost function written in Lua that is not the sandbox's.
fn place(stack: &Stack) -> Option<(String, c_int)> {
    /// Functions of the engine between the script and what was raised.
    const LEVELS_MAX: c_int = 8;
    (1..LEVELS_MAX)
        .map_while(|level| place_at(stack, level))
        .find(|(source, _)| {
            let native = source == "=[C]";
            !native && source != SANDBOX.to_str().unwrap_or_default()
        })
}

fn place_at(stack: &Stack, level: c_int) -> Option<(String, c_int)> {
    let mut record = std::mem::MaybeUninit::<ffi::lua_Debug>::zeroed();
    // SAFETY: alive; fills in the record, or says that there is no such level.
    let found = unsafe { ffi::lua_getstack(stack.state(), level, record.as_mut_ptr()) };
    if found == 0 {
        return None;
    }
    // SAFETY: alive; `lua_getstack` filled in what this needs.
    unsafe { ffi::lua_getinfo(stack.state(), c"Sl".as_ptr(), record.as_mut_ptr()) };
    // SAFETY: all-zero bytes are a valid record of numbers and pointers.
    let record = unsafe { record.assume_init() };
    // SAFETY: Lua gives a text that lives as long as the function, which is running.
    let source = unsafe { CStr::from_ptr(record.source) };
    Some((source.to_string_lossy().into_owned(), record.currentline))
}

// --- the time limit ---

/// Its address is the registry's key for the host: a hook has no upvalues.
static HOST_KEY: u8 = 0;

fn host_key() -> *mut c_void {
    ptr::from_ref(&HOST_KEY).cast_mut().cast()
}

fn watch(stack: &mut Stack, host: &Arc<Host>) {
    stack.push_pointer(host_key());
    stack.push_pointer(Arc::as_ptr(host).cast_mut().cast());
    stack.raw_set(ffi::LUA_REGISTRYINDEX);
    set_hook(stack, TICK);
}

fn set_hook(stack: &Stack, instructions: c_int) {
    // SAFETY: alive; `tick` is a hook. Coroutines inherit it.
    unsafe { ffi::lua_sethook(stack.state(), Some(tick), ffi::LUA_MASKCOUNT, instructions) };
}

/// Called by Lua every so many instructions.
///
/// # Safety
/// Only Lua calls it, with a live state.
unsafe extern "C-unwind" fn tick(state: *mut ffi::lua_State, _: *mut ffi::lua_Debug) {
    // SAFETY: Lua lends the state for this call.
    let mut stack = unsafe { Stack::of(state) };
    if over(&mut stack) {
        // SAFETY: the error's text is on top; nothing in this frame needs dropping.
        unsafe { ffi::lua_error(state) };
    }
}

/// Whether the script's time is over; if so, what to raise is on top.
fn over(stack: &mut Stack) -> bool {
    // Neither of these asks for memory.
    stack.push_pointer(host_key());
    stack.raw_get(ffi::LUA_REGISTRYINDEX);
    let host: *const Host = stack.pointer(-1).cast();
    stack.pop(1);
    // SAFETY: the host outlives the state, see `Interpreter`.
    let host = unsafe { &*host };
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method by its name is for one lifetime only"
    )]
    host.budget.lend(|| {
        let ticked = host.lend(|run| run.tick()).unwrap_or(Ok(()));
        if ticked.is_err() {
            // From here on every instruction raises it again, so that a `pcall` cannot go on.
            set_hook(stack, 1);
        }
        let within = ticked.and_then(|()| host.budget.check(stack));
        within.map_err(|raise| native::stage(stack, raise)).is_err()
    })
}
