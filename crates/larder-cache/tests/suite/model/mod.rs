//! The store protocol as pure state machines, explored exhaustively.
//!
//! [`leases`] has readers that load and writers that invalidate; [`holds`] has writers that store what they
//! commit. Both start from nothing, take every step that could come next, and stop at a state in which the store would
//! answer a value older than the newest acknowledged write (theorem T1) or visible commit (T3). Each rule of
//! the protocol, dropped alone as a mutant, must lead to such a state: a model that cannot fail proves nothing.

mod explore;
mod holds;
mod leases;
mod parts;
