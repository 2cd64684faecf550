//! A history of reads, writes and loads, and the rules that a correct cache keeps in it.
//!
//! Every process records what it did, with moments of `CLOCK_MONOTONIC`, which all processes of a machine
//! share. Every write gives its key a higher version, and a value carries its version, so the checker needs no
//! source to ask: a read is stale if a write with a higher version had been acknowledged before the read began.
//!
//! | rule | says |
//! |---|---|
//! | C1 | what the store, a load or a shared flight answered is no older than any write acknowledged before the read began |
//! | C2 | the same for the near tier, but for writes acknowledged more than its bound before |
//! | C3 | with strict writes, as C1 for every write *visible* before the read began |
//! | C4 | a value served past its TTL is within the declared grace, and C1 holds for it |
//! | C5 | one process never sees a key go back |
//! | C6 | no value is served that nobody wrote |
//! | C7 | no two loads of a key overlap, but where a lease was ended, or declared lost |
//! | C8 | at rest, every tier of every process agrees with the source |
//! | C9 | in a declared window of lost data, staleness stays within its own bound, and is measured |
//! | C10 | a lock has one holder at a time, its fences grow with every grant, and nothing takes effect under a fence after a higher one did |
//! | C11 | with writes that reach the source later: in the end it has, of each key, the newest version that was acknowledged, or a newer one |
//! | C12 | with such writes: what the source took of a key became newer with every step |
//! | C13 | what a rate limit admits never exceeds its formula, and what the formula has room for is not denied ([`check_rates`], [`check_stays`]) |

mod behind;
mod check;
mod event;
mod locks;
mod rates;
mod rest;

#[cfg(test)]
mod tests;

pub use check::{Bounds, Report, Rule, Violation, check};
pub use event::{Effect, Event, Held, History, Load, Moment, ParseError, Read, Recorder, Served, Taken, Window, Write};
pub use rates::{Call, Formula, RateReport, Stay, check_rates, check_stays};
pub use rest::{Copy, Mismatch, compare_at_rest, lost_writes};
