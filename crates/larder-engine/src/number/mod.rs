//! Numbers where Redis computes as C does.

mod long_double;
mod natural;

pub(crate) use long_double::LongDouble;
