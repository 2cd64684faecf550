//! Numbers where Redis computes and prints as C does.

mod double;
mod long_double;
mod natural;

pub(crate) use double::shown;
pub(crate) use long_double::LongDouble;
