//! Coherence by a log (protocol 1.5, mode Log): whoever invalidates also writes down what, one stream a partition, and
//! every process with a near tier reads on from where it was.
//!
//! It asks nothing of the server but streams, so it works where tracking does not: RESP2, proxies that drop pushes. And a
//! gap can be resumed: a process that was cut off reads what it missed and drops exactly that, where tracking drops all.
//! The price is a read of all 64 partitions with every heartbeat, and a bound that is one heartbeat further away.
//!
//! [`reader`] reads; [`agreement`] sees to it that everybody writes while somebody reads.

mod agreement;
mod item;
mod reader;

pub(crate) use agreement::Agreement;
pub(crate) use reader::start;

use std::time::Duration;

/// Items per partition unless set: at 10 000 invalidations a second over all partitions, a process may be away for a
/// minute and still read on; full, the logs of a namespace take some 20 MB.
pub(crate) const LOG_MAX: usize = 10_000;

/// The shortest log: below it a busy second could overtake a reader that is not late.
pub(crate) const LOG_LEAST: usize = 100;

/// How long a log of [`Coherence::Log`](crate::Coherence::Log) is kept after the last process that read it: longer than any
/// process that comes back is away. What is left of it, in the TTL of `NAMESPACE:{NAMESPACE.0}:log`, says when that was.
pub const LOG_KEPT: Duration = Duration::from_secs(3_600);
