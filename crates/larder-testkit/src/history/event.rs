//! What is recorded.

use std::{
    io::{self, Read as _, Write as _},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use larder_base::Clock;
use parking_lot::Mutex;

/// Nanoseconds of `CLOCK_MONOTONIC`: comparable between the processes of one machine.
pub type Moment = u64;

/// Which tier answered a read, or how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// The copy in this process.
    Near,
    /// The store.
    Store,
    /// A load that this caller started.
    Loaded,
    /// A read or load that another caller had started.
    Joined,
    /// The store or the near tier, past the TTL and within grace.
    Stale,
    /// A value that was marked stale, after a load failed.
    Fallback,
    /// The source, past a store that was down.
    Bypass,
}

/// One read, from the caller's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The process, counted by the test.
    pub process: u32,
    /// The key.
    pub key: u64,
    /// When the caller called: not when a flight that it joined began.
    pub start: Moment,
    /// When it was answered.
    pub end: Moment,
    /// The version in the value; 0 is what was there before any write.
    pub version: u64,
    /// Who answered.
    pub served: Served,
    /// How long past its TTL the value was, in nanoseconds; 0 for a fresh one.
    pub overdue: u64,
}

/// One write of the source, and the invalidation after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: u64,
    /// The version it gave the key; higher than all before.
    pub version: u64,
    /// When the commit was certainly visible.
    pub committed: Moment,
    /// When the invalidation was acknowledged; none while it is pending or if its writer died.
    pub acknowledged: Option<Moment>,
}

/// One call of a loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The process.
    pub process: u32,
    /// The key.
    pub key: u64,
    /// When whoever loads asked for the key: its lease was granted after that.
    pub asked: Moment,
    /// When the loader was called.
    pub start: Moment,
    /// When it returned.
    pub end: Moment,
}

/// One version that the source took of a key which is written behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The key.
    pub key: u64,
    /// The version that the source had from then on.
    pub version: u64,
    /// Its place among all that the source took, as the source itself counted them.
    pub place: u64,
}

/// One exclusive lock as one holder had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The process.
    pub process: u32,
    /// The key that was locked.
    pub key: u64,
    /// The number that came with the grant; [`NO_FENCE`](Self::NO_FENCE) of a lock that gives none.
    pub fence: u64,
    /// When it was asked for.
    pub asked: Moment,
    /// When its holder learned of the grant.
    pub granted: Moment,
    /// Until when its holder believed that it has it: until it gave it back, was told that it is lost, or knew its time to be
    /// over, whichever was first; the grant itself if it died at once.
    pub until: Moment,
}

impl Held {
    /// The fence of locks without one: then only overlaps are judged.
    pub const NO_FENCE: u64 = 0;
}

/// Something that was done under a lock, as the resource took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The key that was locked.
    pub key: u64,
    /// The fence under which it was done.
    pub fence: u64,
    /// Its place among all effects on this key, as the resource itself counted them.
    pub place: u64,
}

/// A span in which a fault was active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Leases may have been lost or expired: loads may overlap, and locks have two holders.
    LostLeases {
        /// From here
        start: Moment,
        /// to here.
        end: Moment,
    },
    /// Leases were ended on purpose, by a hold or an invalidation of everything: loads may overlap.
    EndedLeases {
        /// From here
        start: Moment,
        /// to here.
        end: Moment,
    },
    /// Acknowledged state of the store may have been lost: rule C9 applies to reads that begin in it.
    Rollback {
        /// From here
        start: Moment,
        /// to here.
        end: Moment,
    },
}

/// Anything that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A read.
    Read(Read),
    /// A write.
    Write(Write),
    /// A load.
    Load(Load),
    /// A fault.
    Window(Window),
    /// A version that the source took, of writes that reach it later.
    Taken(Taken),
    /// A lock that somebody had.
    Held(Held),
    /// What was done under a lock.
    Effect(Effect),
}

/// All that happened, in any order.
pub type History = Vec<Event>;

/// Collects the events of one process.
#[derive(Debug, Default)]
pub struct Recorder {
    clock: Clock,
    events: Mutex<History>,
    last: AtomicU64,
}

impl Recorder {
    /// An empty recorder on the machine's monotonic clock.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty recorder on this clock, for histories in virtual time.
    #[must_use]
    pub fn with_clock(clock: Clock) -> Self {
        Self {
            clock,
            ..Self::default()
        }
    }

    /// Now: later than every moment that this recorder gave before, by a nanosecond where its clock stands still.
    #[must_use]
    pub fn now(&self) -> Moment {
        let now = self.clock.monotonic().as_nanos() as Moment;
        // Relaxed: only this value counts, and it only grows.
        let last = self.last.fetch_max(now, Ordering::Relaxed);
        if last < now {
            return now;
        }
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Notes an event.
    pub fn note(&self, event: Event) {
        self.events.lock().push(event);
    }

    /// Takes what was recorded.
    #[must_use]
    pub fn take(&self) -> History {
        std::mem::take(&mut self.events.lock())
    }

    /// Writes what was recorded to a file, for the process that checks.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut out = io::BufWriter::new(std::fs::File::create(path)?);
        for event in &*self.events.lock() {
            for word in encode(event) {
                out.write_all(&word.to_le_bytes())?;
            }
        }
        out.flush()
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// What the file system says, or `InvalidData` for a file that is damaged or cut short.
    pub fn load(path: &Path) -> io::Result<History> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.read_to_end(&mut bytes)?;
        let (words, rest) = bytes.as_chunks::<8>();
        let (records, tail) = words.as_chunks::<RECORD>();
        if !rest.is_empty() || !tail.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, ParseError));
        }
        records
            .iter()
            .map(|record| decode(&record.map(u64::from_le_bytes)))
            .collect::<Result<_, _>>()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// A recorded file that is damaged or cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a recorded history, or cut short; record it again")]
pub struct ParseError;

/// Words of eight bytes that an event takes in a file.
const RECORD: usize = 8;

fn encode(event: &Event) -> [u64; RECORD] {
    match *event {
        Event::Read(r) => [
            1,
            u64::from(r.process),
            r.key,
            r.start,
            r.end,
            r.version,
            r.served as u64,
            r.overdue,
        ],
        Event::Write(w) => [
            2,
            w.key,
            w.version,
            w.committed,
            u64::from(w.acknowledged.is_some()),
            w.acknowledged.unwrap_or(0),
            0,
            0,
        ],
        Event::Load(l) => [3, u64::from(l.process), l.key, l.start, l.end, l.asked, 0, 0],
        Event::Window(Window::LostLeases { start, end }) => [4, start, end, 0, 0, 0, 0, 0],
        Event::Window(Window::Rollback { start, end }) => [5, start, end, 0, 0, 0, 0, 0],
        Event::Window(Window::EndedLeases { start, end }) => [6, start, end, 0, 0, 0, 0, 0],
        Event::Taken(t) => [7, t.key, t.version, t.place, 0, 0, 0, 0],
        Event::Held(h) => [8, u64::from(h.process), h.key, h.fence, h.asked, h.granted, h.until, 0],
        Event::Effect(e) => [9, e.key, e.fence, e.place, 0, 0, 0, 0],
    }
}

fn decode(words: &[u64; RECORD]) -> Result<Event, ParseError> {
    let process = |word: u64| u32::try_from(word).map_err(|_| ParseError);
    let [_, a, b, c, d, e, f, g] = *words;
    Ok(match words[0] {
        1 => Event::Read(Read {
            process: process(a)?,
            key: b,
            start: c,
            end: d,
            version: e,
            served: served(f)?,
            overdue: g,
        }),
        2 => Event::Write(Write {
            key: a,
            version: b,
            committed: c,
            acknowledged: (d == 1).then_some(e),
        }),
        3 => Event::Load(Load {
            process: process(a)?,
            key: b,
            start: c,
            end: d,
            asked: e,
        }),
        4 => Event::Window(Window::LostLeases { start: a, end: b }),
        5 => Event::Window(Window::Rollback { start: a, end: b }),
        6 => Event::Window(Window::EndedLeases { start: a, end: b }),
        7 => Event::Taken(Taken {
            key: a,
            version: b,
            place: c,
        }),
        8 => Event::Held(Held {
            process: process(a)?,
            key: b,
            fence: c,
            asked: d,
            granted: e,
            until: f,
        }),
        9 => Event::Effect(Effect {
            key: a,
            fence: b,
            place: c,
        }),
        _ => return Err(ParseError),
    })
}

fn served(word: u64) -> Result<Served, ParseError> {
    use Served::{Bypass, Fallback, Joined, Loaded, Near, Stale, Store};
    [Near, Store, Loaded, Joined, Stale, Fallback, Bypass]
        .into_iter()
        .find(|served| *served as u64 == word)
        .ok_or(ParseError)
}
