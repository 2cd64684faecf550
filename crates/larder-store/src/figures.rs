//! What the stores of one address count in this process: for [`Store::stats`](crate::Store::stats), and for the
//! process's metrics.

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use larder_base::metric::{self as base, Figures as _, Metric, Text};
use parking_lot::Mutex;

use crate::{BreakerState, metric};

macro_rules! counts {
    ($($(#[$doc:meta])* $field:ident $variant:ident $metric:ident [$($label:literal)?],)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Count { $($variant),* }

        const SERIES: &[(Metric, Option<&str>)] = &[$((metric::$metric, counts!(@label $($label)?))),*];
        const KINDS: usize = SERIES.len();

        /// What the stores of one address did in this process, and how they are now. Not a snapshot of one moment: read
        /// while others count.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct StoreStats {
            /// Commands and pipelines sent, the store's own heartbeats included.
            pub commands: u64,
            /// Commands that wait for their answer on a shared connection now.
            pub in_flight: u64,
            /// Shared connections that are up now.
            pub connections: u64,
            /// Open connections of dedicated handles and subscriptions.
            pub own_connections: u64,
            /// What the breaker lets pass; with several stores at the address the strictest.
            pub breaker: BreakerState,
            $($(#[$doc])* pub $field: u64,)*
        }

        impl Figures {
            /// What was counted, and how it is now.
            pub(crate) fn stats(&self) -> StoreStats {
                let lines: Vec<Arc<dyn Watched>> = self.lines.lock().iter().filter_map(Weak::upgrade).collect();
                let breaker = lines.iter().map(|line| line.breaker()).max_by_key(|state| level(*state));
                StoreStats {
                    commands: self.commands.0.load(Relaxed),
                    in_flight: lines.iter().map(|line| line.in_flight()).sum(),
                    connections: lines.iter().filter(|line| line.is_up()).count() as u64,
                    own_connections: self.own.load(Relaxed) as u64,
                    breaker: breaker.unwrap_or(BreakerState::Closed),
                    $($field: self.counts[Count::$variant as usize].load(Relaxed),)*
                }
            }
        }
    };
    (@label) => { None };
    (@label $label:literal) => { Some($label) };
}

counts! {
    /// Shared connections established that had none before them.
    connects Connects CONNECTS ["first"],
    /// Shared connections established in the place of one that was lost.
    reconnects Reconnects CONNECTS ["again"],
    /// Attempts to connect that failed.
    connect_failures ConnectFailures CONNECT_FAILURES [],
    /// Shared connections that were lost.
    disconnects Disconnects DISCONNECTS ["lost"],
    /// Shared connections given up because a command was past its deadline.
    overruns Overruns DISCONNECTS ["deadline"],
    /// Commands sent again.
    retries Retries RETRIES [],
    /// Commands that were not answered within their deadline.
    timeouts Timeouts ERRORS ["timeout"],
    /// Commands whose connection was lost before their answer.
    lost Lost ERRORS ["lost"],
    /// Commands for which no connection could be had.
    unconnected Unconnected ERRORS ["connect"],
    /// Commands that the breaker kept from being sent.
    refused Refused ERRORS ["breaker"],
    /// Subscriptions set up again on a new connection.
    resubscribes Resubscribes RESUBSCRIBES [],
}

/// A shared connection, as far as figures go.
pub(crate) trait Watched: Send + Sync {
    fn is_up(&self) -> bool;
    fn in_flight(&self) -> u64;
    fn breaker(&self) -> BreakerState;
}

/// Figures of one address.
#[derive(Debug)]
pub(crate) struct Figures {
    address: Arc<str>,
    commands: Alone,
    counts: [AtomicU64; KINDS],
    own: AtomicUsize,
    lines: Mutex<Vec<Weak<dyn Watched>>>,
}

/// On cache lines of its own: every command adds to it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Alone(AtomicU64);

impl std::fmt::Debug for dyn Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

static ADDRESSES: LazyLock<Mutex<HashMap<Arc<str>, Weak<Figures>>>> = LazyLock::new(Mutex::default);

/// One command in so many is timed: two readings of the clock and an entry in a histogram are a few hundred
/// nanoseconds, and a command on a server costs its client ten microseconds and more.
const TIMED: u64 = 16;

impl Figures {
    /// Those of `address`, which all stores of this process share.
    pub(crate) fn of(address: &Arc<str>) -> Arc<Self> {
        let mut addresses = ADDRESSES.lock();
        addresses.retain(|_, figures| figures.strong_count() > 0);
        if let Some(figures) = addresses.get(address).and_then(Weak::upgrade) {
            return figures;
        }
        let figures = Arc::new(Self {
            address: address.clone(),
            commands: Alone::default(),
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            own: AtomicUsize::new(0),
            lines: Mutex::default(),
        });
        addresses.insert(address.clone(), Arc::downgrade(&figures));
        drop(addresses);
        metric::METRICS.iter().for_each(Metric::describe);
        base::register(&figures);
        figures
    }

    /// Counts a command in; whether it is one of those that are timed.
    ///
    /// Every sixteenth would be the same one of a caller who repeats a cycle of commands. Multiples of the golden
    /// ratio spread evenly over any such cycle (Knuth, *The Art of Computer Programming* 3, 6.4).
    #[inline]
    pub(crate) fn begin(&self) -> bool {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        // Relaxed: nothing is ordered by a count.
        let number = self.commands.0.fetch_add(1, Relaxed);
        number.wrapping_mul(GOLDEN) < u64::MAX / TIMED
    }

    #[cold]
    pub(crate) fn count(&self, what: Count) {
        self.counts[what as usize].fetch_add(1, Relaxed);
    }

    /// Adds a shared connection to what is looked at.
    pub(crate) fn watch<L: Watched + 'static>(&self, line: &Arc<L>) {
        let weak: Weak<L> = Arc::downgrade(line);
        let mut lines = self.lines.lock();
        lines.retain(|other| other.strong_count() > 0);
        lines.push(weak);
    }

    /// Counts a connection of one's own, until what this returns is dropped.
    pub(crate) fn own(self: &Arc<Self>) -> Own {
        self.own.fetch_add(1, Relaxed);
        Own(self.clone())
    }
}

/// An open connection of one's own.
#[derive(Debug)]
pub(crate) struct Own(Arc<Figures>);

impl Drop for Own {
    fn drop(&mut self) {
        self.0.own.fetch_sub(1, Relaxed);
    }
}

/// Nothing is connected any more: without this the gauges would go on showing what was.
impl Drop for Figures {
    fn drop(&mut self) {
        self.publish();
    }
}

impl base::Figures for Figures {
    fn publish(&self) {
        let stats = self.stats();
        let address = || Text::from(self.address.clone());
        metric::COMMANDS.total([address()], stats.commands);
        for ((metric, label), count) in SERIES.iter().zip(&self.counts) {
            let count = count.load(Relaxed);
            match label {
                None => metric.total([address()], count),
                Some(label) => metric.total([address(), (*label).into()], count),
            }
        }
        metric::IN_FLIGHT.show([address()], stats.in_flight as f64);
        metric::CONNECTIONS.show([address(), "shared".into()], stats.connections as f64);
        metric::CONNECTIONS.show([address(), "own".into()], stats.own_connections as f64);
        metric::BREAKER.show([address()], f64::from(level(stats.breaker)));
    }
}

const fn level(state: BreakerState) -> u8 {
    match state {
        BreakerState::Closed => 0,
        BreakerState::HalfOpen => 1,
        BreakerState::Open => 2,
    }
}

/// How long a command took that was timed.
#[cold]
pub(crate) fn timed(command: Text, took: Duration) {
    metric::COMMAND_SECONDS.record([command], took);
}

/// What a script's name has before it among those of commands: `get` is no `GET`.
pub(crate) const SCRIPT: &str = "script:";

/// A script's name among those of commands.
pub(crate) fn script_name(name: &str) -> Text {
    format!("{SCRIPT}{name}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_command_in_sixteen_is_timed_whatever_its_place_in_a_cycle() {
        let figures = Figures::of(&"test:1".into());
        const CYCLE: usize = 16;
        let mut timed = [0; CYCLE];
        for number in 0..CYCLE * 1_000 {
            timed[number % CYCLE] += u32::from(figures.begin());
        }
        assert!(timed.iter().all(|timed| (50..76).contains(timed)), "{timed:?}");
    }

    #[test]
    fn stores_of_one_address_share_their_figures() {
        let address: Arc<str> = "test:2".into();
        let (one, other) = (Figures::of(&address), Figures::of(&address));
        one.count(Count::Retries);
        let own = one.own();
        assert_eq!((other.stats().retries, other.stats().own_connections), (1, 1));
        drop(own);
        assert_eq!(other.stats().own_connections, 0);
    }
}
