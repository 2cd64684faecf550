//! The libraries that Redis gives scripts beside Lua's own: one file each.

pub(super) mod bit;
pub(super) mod structs;
