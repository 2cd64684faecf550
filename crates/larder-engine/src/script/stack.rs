//! The stack of a Lua state: the few operations that this module needs, each one call of Lua's C interface.
//!
//! Script calls are the engine's hot path, and Redis's error texts need Lua's own error machinery (a raised
//! table, the name of the function for `bad argument`), so native functions work on the stack instead of
//! through handles. All `unsafe` of scripting is in this file, in `native.rs`,
//! in `budget.rs` and in `interpreter.rs`.
//!
//! Invariants that the `SAFETY` comments refer to:
//! - **alive**: a `Stack` is made only from a state that outlives it ([`Stack::of`]), and used only by the thread
//!   that holds the engine's lock;
//! - **no jump**: none of the calls here raises a Lua error, so none jumps over a Rust frame. Lua raises from
//!   these calls only when its allocator refuses memory (never while Rust runs, see `budget.rs`),
//!   for a nil or NaN key in a raw set (excluded by [`Stack::raw_set`]'s callers, which check), or from a
//!   metamethod (only raw access is used).

use std::ffi::{CStr, c_char, c_int, c_void};

use mlua::ffi;

/// A position on the stack: from 1 upwards, or from -1 (the top) downwards.
pub(super) type Index = c_int;

/// A reference into Lua's registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ref(pub(super) c_int);

/// What kind of value is at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    None,
    Nil,
    Boolean,
    Number,
    String,
    Table,
    Function,
    LightUserdata,
    Other,
}

impl Kind {
    /// As Lua's error texts call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::None => "no value",
            Self::Nil => "nil",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::String => "string",
            Self::Table => "table",
            Self::Function => "function",
            Self::LightUserdata | Self::Other => "userdata",
        }
    }
}

/// The stack of a Lua state.
///
/// Methods that only push take `&self`, so bytes borrowed from the stack stay borrowed while results are pushed;
/// those that may take values away take `&mut self`.
pub(super) struct Stack(*mut ffi::lua_State);

impl Stack {
    /// # Safety
    /// The state must be alive for as long as this value is used, and only this thread may use it.
    pub(super) const unsafe fn of(state: *mut ffi::lua_State) -> Self {
        Self(state)
    }

    pub(super) const fn state(&self) -> *mut ffi::lua_State {
        self.0
    }

    pub(super) fn top(&self) -> Index {
        // SAFETY: alive, no jump.
        unsafe { ffi::lua_gettop(self.0) }
    }

    /// Makes room for `n` more values; `false` if the stack has reached its limit.
    #[must_use]
    pub(super) fn room(&self, n: usize) -> bool {
        let Ok(n) = c_int::try_from(n) else { return false };
        // SAFETY: alive; `lua_checkstack` says no instead of raising when the limit is reached.
        unsafe { ffi::lua_checkstack(self.0, n) != 0 }
    }

    // --- looking ---

    pub(super) fn kind(&self, at: Index) -> Kind {
        // SAFETY: alive, no jump; any acceptable index has a type.
        match unsafe { ffi::lua_type(self.0, at) } {
            ffi::LUA_TNONE => Kind::None,
            ffi::LUA_TNIL => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TSTRING => Kind::String,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TFUNCTION => Kind::Function,
            ffi::LUA_TLIGHTUSERDATA => Kind::LightUserdata,
            _ => Kind::Other,
        }
    }

    pub(super) fn boolean(&self, at: Index) -> bool {
        // SAFETY: alive, no jump.
        unsafe { ffi::lua_toboolean(self.0, at) != 0 }
    }

    /// The number at a position, a string that reads as one included.
    pub(super) fn number(&self, at: Index) -> Option<f64> {
        // SAFETY: alive, no jump.
        let is_number = unsafe { ffi::lua_isnumber(self.0, at) != 0 };
        // SAFETY: alive, no jump.
        is_number.then(|| unsafe { ffi::lua_tonumber(self.0, at) })
    }

    /// The bytes of the string at a position; a number there becomes a string in place, as Lua does it.
    pub(super) fn bytes(&self, at: Index) -> Option<&[u8]> {
        let mut len = 0;
        // SAFETY: alive, no jump.
        let start = unsafe { ffi::lua_tolstring(self.0, at, &raw mut len) };
        if start.is_null() {
            return None;
        }
        // SAFETY: Lua keeps the bytes where they are for as long as the value is on the stack, and taking
        // values off the stack needs `&mut self`, which this borrow excludes.
        Some(unsafe { std::slice::from_raw_parts(start.cast(), len) })
    }

    /// The number at a position as Lua's libraries take an `int`; 0 for what is no number.
    pub(super) fn integer(&self, at: Index) -> c_int {
        // SAFETY: alive, no jump.
        unsafe { ffi::lua_tointeger(self.0, at) as c_int }
    }

    /// Nil or not given.
    pub(super) fn is_absent(&self, at: Index) -> bool {
        matches!(self.kind(at), Kind::None | Kind::Nil)
    }

    /// The length of a table or string; 0 for anything else.
    pub(super) fn length(&self, at: Index) -> c_int {
        // SAFETY: alive, no jump; any acceptable index has a length.
        unsafe { ffi::lua_objlen(self.0, at) as c_int }
    }

    /// The C function at a position.
    pub(super) fn c_function(&self, at: Index) -> Option<ffi::lua_CFunction> {
        // SAFETY: alive, no jump.
        unsafe { ffi::lua_tocfunction(self.0, at) }
    }

    /// Pushes the metatable of the value at a position; `false`, pushing nothing, if it has none.
    pub(super) fn push_metatable(&self, at: Index) -> bool {
        // SAFETY: alive, no jump.
        unsafe { ffi::lua_getmetatable(self.0, at) != 0 }
    }

    pub(super) fn pointer(&self, at: Index) -> *mut c_void {
        // SAFETY: alive, no jump.
        unsafe { ffi::lua_touserdata(self.0, at) }
    }

    // --- pushing ---

    pub(super) fn push_nil(&self) {
        // SAFETY: alive; room is made by the callers, 20 slots are always there.
        unsafe { ffi::lua_pushnil(self.0) }
    }

    pub(super) fn push_boolean(&self, value: bool) {
        // SAFETY: as in `push_nil`.
        unsafe { ffi::lua_pushboolean(self.0, c_int::from(value)) }
    }

    pub(super) fn push_number(&self, value: f64) {
        // SAFETY: as in `push_nil`.
        unsafe { ffi::lua_pushnumber(self.0, value) }
    }

    pub(super) fn push_bytes(&self, bytes: &[u8]) {
        // SAFETY: as in `push_nil`; Lua copies the bytes.
        unsafe { ffi::lua_pushlstring_(self.0, bytes.as_ptr().cast(), bytes.len()) }
    }

    pub(super) fn push_pointer(&self, pointer: *mut c_void) {
        // SAFETY: as in `push_nil`.
        unsafe { ffi::lua_pushlightuserdata(self.0, pointer) }
    }

    /// Pushes the value at a position once more.
    pub(super) fn push_copy(&self, at: Index) {
        // SAFETY: as in `push_nil`.
        unsafe { ffi::lua_pushvalue(self.0, at) }
    }

    pub(super) fn push_table(&self, items: usize, fields: usize) {
        /// More is not set aside ahead of time: a table grows by itself.
        const AHEAD_MAX: usize = 1 << 16;
        let (items, fields) = (items.min(AHEAD_MAX) as c_int, fields.min(AHEAD_MAX) as c_int);
        // SAFETY: as in `push_nil`.
        unsafe { ffi::lua_createtable(self.0, items, fields) }
    }

    /// Pushes a native function with as many upvalues as are named, which are taken off the stack.
    pub(super) fn push_function(&mut self, function: ffi::lua_CFunction, upvalues: c_int) {
        // SAFETY: as in `push_nil`; the callers have pushed the upvalues.
        unsafe { ffi::lua_pushcclosure(self.0, function, upvalues) }
    }

    pub(super) fn push_ref(&self, reference: Ref) {
        self.raw_get_item(ffi::LUA_REGISTRYINDEX, reference.0 as usize);
    }

    // --- tables, never through metamethods ---

    /// Pushes `table[key]`, the key being on top, which it replaces.
    pub(super) fn raw_get(&mut self, table: Index) {
        // SAFETY: alive, no jump; the callers have seen that a table is there.
        unsafe { ffi::lua_rawget_(self.0, table) }
    }

    /// Pushes `table[i]`.
    pub(super) fn raw_get_item(&self, table: Index, i: usize) {
        // SAFETY: as in `raw_get`.
        unsafe { ffi::lua_rawgeti_(self.0, table, i as c_int) }
    }

    /// Pushes `table[name]`.
    pub(super) fn raw_get_field(&mut self, table: Index, name: &str) {
        let table = self.absolute(table);
        self.push_bytes(name.as_bytes());
        self.raw_get(table);
    }

    /// `table[key] = value`, both being on top, which it takes off. The key is neither nil nor NaN.
    pub(super) fn raw_set(&mut self, table: Index) {
        // SAFETY: as in `raw_get`; the key is fit by this function's contract.
        unsafe { ffi::lua_rawset(self.0, table) }
    }

    /// `table[i] = value`, the value being on top, which it takes off.
    pub(super) fn raw_set_item(&mut self, table: Index, i: usize) {
        // SAFETY: as in `raw_get`.
        unsafe { ffi::lua_rawseti_(self.0, table, i as c_int) }
    }

    /// `table[name] = value`, the value being on top, which it takes off.
    pub(super) fn raw_set_field(&mut self, table: Index, name: &str) {
        let table = self.absolute(table);
        self.push_bytes(name.as_bytes());
        self.insert(-2);
        self.raw_set(table);
    }

    /// Takes the key off the top and pushes the next key and its value; `false`, pushing nothing, at the end.
    /// The first key is nil, every other one came from here.
    pub(super) fn next(&mut self, table: Index) -> bool {
        // SAFETY: alive; raises only for a key that is not in the table, which the contract excludes.
        unsafe { ffi::lua_next(self.0, table) != 0 }
    }

    // --- moving ---

    pub(super) fn set_top(&mut self, top: Index) {
        // SAFETY: alive, no jump.
        unsafe { ffi::lua_settop(self.0, top) }
    }

    pub(super) fn pop(&mut self, n: c_int) {
        self.set_top(-n - 1);
    }

    /// Moves the top to a position, shifting up what is there.
    pub(super) fn insert(&mut self, at: Index) {
        // SAFETY: alive, no jump.
        unsafe { ffi::lua_insert(self.0, at) }
    }

    /// Moves the top to a position in place of what is there.
    pub(super) fn replace(&mut self, at: Index) {
        // SAFETY: alive, no jump.
        unsafe { ffi::lua_replace(self.0, at) }
    }

    /// The same position counted from the bottom, which pushing does not shift.
    pub(super) fn absolute(&self, at: Index) -> Index {
        if at > 0 || at <= ffi::LUA_REGISTRYINDEX {
            at
        } else {
            self.top() + at + 1
        }
    }

    /// Keeps the top in the registry and takes it off.
    pub(super) fn keep(&mut self) -> Ref {
        // SAFETY: alive, no jump.
        Ref(unsafe { ffi::luaL_ref(self.0, ffi::LUA_REGISTRYINDEX) })
    }

    // --- code ---

    /// Compiles source text and pushes the function, or the error's text.
    pub(super) fn load(&mut self, source: &[u8], name: &CStr) -> Result<(), ()> {
        let start: *const c_char = source.as_ptr().cast();
        // SAFETY: alive; compiling reports errors by its result. Only text gets here: the caller refuses
        // precompiled chunks, which Lua would trust.
        let status = unsafe { ffi::luaL_loadbuffer(self.0, start, source.len(), name.as_ptr()) };
        if status == 0 { Ok(()) } else { Err(()) }
    }

    /// Calls the function under `args` arguments; what it raises goes through the handler at a position
    /// (0: none). Leaves `results` results, or the error.
    pub(super) fn call(&mut self, args: c_int, results: c_int, handler: Index) -> Result<(), ()> {
        // SAFETY: alive; a protected call reports errors by its result.
        let status = unsafe { ffi::lua_pcall(self.0, args, results, handler) };
        if status == 0 { Ok(()) } else { Err(()) }
    }

    /// Goes on with the collection of garbage for a while.
    pub(super) fn collect_step(&self) {
        // SAFETY: alive; finalizers exist for no value of ours, and scripts cannot make userdata with one.
        unsafe { ffi::lua_gc(self.0, ffi::LUA_GCSTEP, 0) };
    }

    /// Collects all garbage.
    pub(super) fn collect(&self) {
        // SAFETY: as in `collect_step`.
        unsafe { ffi::lua_gc(self.0, ffi::LUA_GCCOLLECT, 0) };
    }

    /// Bytes that Lua holds.
    pub(super) fn memory(&self) -> usize {
        // SAFETY: alive, no jump.
        let kib = unsafe { ffi::lua_gc(self.0, ffi::LUA_GCCOUNT, 0) };
        // SAFETY: alive, no jump.
        let rest = unsafe { ffi::lua_gc(self.0, ffi::LUA_GCCOUNTB, 0) };
        kib as usize * 1024 + rest as usize
    }
}
