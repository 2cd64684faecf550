//! Values whose version is known only once they are written.
//!
//! What is put has to be chosen before anybody knows where it will stand among the writes of its key: the source decides that
//! at its commit, or with writing behind the store when it accepts. So each write gets a value that no other has, and in the
//! end every value of the history is replaced by its version.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

use crate::history::{Event, History};

#[derive(Debug, Default)]
pub(super) struct Values {
    // Relaxed: each value once is all that is asked of it.
    drawn: AtomicU64,
    versions: Mutex<HashMap<u64, u64>>,
}

impl Values {
    /// A value that no other write of the run has.
    pub(super) fn draw(&self) -> u64 {
        self.drawn.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// From now on it is known which version of its key `value` is.
    pub(super) fn place(&self, value: u64, version: u64) {
        self.versions.lock().insert(value, version);
    }

    pub(super) fn version(&self, value: u64) -> Option<u64> {
        self.versions.lock().get(&value).copied()
    }

    /// The history with versions for values, and how many reads are not in it: of values whose writer was never told what
    /// became of them, and which the source did not take either. Unchanged where no value was drawn.
    pub(super) fn in_order(&self, history: History) -> (History, u64) {
        if self.drawn.load(Ordering::Relaxed) == 0 {
            return (history, 0);
        }
        let versions = self.versions.lock();
        let mut unplaced = 0;
        let ordered = history.into_iter().filter_map(|mut event| {
            let version = match &mut event {
                Event::Read(read) => &mut read.version,
                Event::Write(write) => &mut write.version,
                Event::Taken(taken) => &mut taken.version,
                Event::Load(_) | Event::Window(_) | Event::Held(_) | Event::Effect(_) => return Some(event),
            };
            // What was there before any write is no value that was drawn.
            if *version == 0 {
                return Some(event);
            }
            if let Some(known) = versions.get(version) {
                *version = *known;
                return Some(event);
            }
            unplaced += u64::from(matches!(event, Event::Read(_)));
            None
        });
        (ordered.collect(), unplaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Served, Taken, Write};

    #[test]
    fn values_become_versions_and_what_nobody_placed_is_counted() {
        let values = Values::default();
        let (first, second, lost) = (values.draw(), values.draw(), values.draw());
        values.place(first, 20);
        values.place(second, 10);
        let read = |version| {
            Event::Read(crate::history::Read {
                process: 0,
                key: 1,
                start: 1,
                end: 2,
                version,
                served: Served::Store,
                overdue: 0,
            })
        };
        let write = |version| {
            Event::Write(Write {
                key: 1,
                version,
                committed: 1,
                acknowledged: None,
            })
        };
        let taken = |version| {
            Event::Taken(Taken {
                key: 1,
                version,
                place: 1,
            })
        };
        let history = vec![
            read(first),
            write(second),
            taken(first),
            read(0),
            read(lost),
            write(lost),
        ];
        assert_eq!(
            values.in_order(history),
            (vec![read(20), write(10), taken(20), read(0)], 1)
        );
    }

    #[test]
    fn a_history_of_versions_stays_as_it_is() {
        let taken = Event::Taken(Taken {
            key: 1,
            version: 7,
            place: 1,
        });
        assert_eq!(Values::default().in_order(vec![taken]), (vec![taken], 0));
    }
}
