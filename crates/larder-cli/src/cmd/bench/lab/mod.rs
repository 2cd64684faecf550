//! Measuring, without a word about the command line: the peers' benchmark in `bench/` includes these files, so that
//! both print the same figures taken in the same way.
//!
//! What is compared runs in turns, round after round, in one process, and the figure is the middle round's: on a
//! shared machine the ratios hold where absolute rates do not. CPU time is what the operation cost; wall time also
//! holds what the machine did meanwhile.

pub(crate) mod cpu;
pub(crate) mod figure;
pub(crate) mod near;
pub(crate) mod pipeline;
pub(crate) mod rounds;
pub(crate) mod store;
pub(crate) mod user;
