//! Larder's protocol as pure state machines, explored exhaustively. Nothing here is part of the library: it is all tests.
//!
//! A machine starts from nothing, takes every step that could come next, and stops at a state in which a promise is broken: a
//! read that is older than the newest acknowledged write (theorem T1), than one acknowledged longer ago than the
//! bound of the near tier (T2), than a visible commit (T3), or than what a new generation's repair allows (T4). Each rule of
//! the protocol, dropped alone as a mutant, must lead to such a state: a model that cannot fail proves nothing.
//!
//! | module | who takes part |
//! |---|---|
//! | `leases` | readers that load, writers that invalidate, losses, late copies of requests |
//! | `holds` | writers that store what they commit |
//! | `flights` | callers of one process that share what is read and loaded |
//! | `near` | near tiers behind connections that break, and a store that fails over |
//!
//! It is a crate of its own because it is compiled with optimisation even for tests: millions of states take seconds then.

#[cfg(test)]
mod explore;
#[cfg(test)]
mod flights;
#[cfg(test)]
mod holds;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod near;
#[cfg(test)]
mod page;
#[cfg(test)]
mod parts;
