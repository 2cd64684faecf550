//! What the processes said of their writes, and whether the database agrees.
//!
//! A write is said before it is sent, and again when it was accepted, with its version. So of every write it is known whether it
//! was accepted; of those that were under way when somebody died, nobody knows, and either is right.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::medium::{DbChange, DbRow};

/// What a row has beside its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    /// The write that made it.
    pub(super) op: i64,
    /// The same again.
    pub(super) a: i64,
    /// The last put, which updates leave.
    pub(super) b: i64,
}

impl Row {
    pub(super) const fn put(op: i64) -> Self {
        Self { op, a: op, b: op }
    }
}

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum What {
    Put,
    /// Of the fields `op` and `a`.
    Update,
    Remove,
    /// A step of a counter.
    Count(i64),
}

/// Epoch and number.
pub(super) type Place = (u64, u64);

/// What a process reports.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Said {
    /// It is about to be sent.
    Begun { key: i64, op: i64, what: What },
    /// It was accepted; the row is this then.
    Accepted {
        key: i64,
        op: i64,
        version: Place,
        row: Option<Row>,
    },
    /// A step was.
    Counted { key: i64, op: i64 },
    /// There was nothing to change.
    Void { key: i64, op: i64 },
}

/// One key's writes.
#[derive(Debug, Default)]
struct Writes {
    under_way: BTreeMap<i64, What>,
    accepted: BTreeMap<Place, (i64, Option<Row>)>,
}

/// One counter's steps.
#[derive(Debug, Default)]
struct Steps {
    under_way: BTreeMap<i64, i64>,
    sum: i64,
}

/// Everything that was said.
#[derive(Debug)]
pub(super) struct Ledger {
    keys: BTreeMap<i64, Writes>,
    counters: BTreeMap<i64, Steps>,
    pub(super) accepted: u64,
    /// Of one key, accepted one after the other, and numbered the other way round; or an update that was laid over something old.
    pub(super) out_of_order: BTreeSet<i64>,
}

impl Ledger {
    pub(super) const fn new() -> Self {
        Self {
            keys: BTreeMap::new(),
            counters: BTreeMap::new(),
            accepted: 0,
            out_of_order: BTreeSet::new(),
        }
    }

    pub(super) fn note(&mut self, said: Said) {
        match said {
            Said::Begun {
                key,
                op,
                what: What::Count(step),
            } => {
                self.counters.entry(key).or_default().under_way.insert(op, step);
            }
            Said::Counted { key, op } => {
                self.accepted += 1;
                let steps = self.counters.entry(key).or_default();
                steps.sum += steps.under_way.remove(&op).expect("it was begun");
            }
            Said::Begun { key, op, what } => {
                self.keys.entry(key).or_default().under_way.insert(op, what);
            }
            Said::Void { key, op } => {
                self.keys.entry(key).or_default().under_way.remove(&op);
            }
            Said::Accepted { key, op, version, row } => self.accept(key, op, version, row),
        }
    }

    fn accept(&mut self, key: i64, op: i64, version: Place, row: Option<Row>) {
        self.accepted += 1;
        let writes = self.keys.entry(key).or_default();
        let what = writes.under_way.remove(&op);
        // A key has one writer, who waits for each answer.
        let before = writes.accepted.last_key_value();
        let is_late = before.is_some_and(|(there, _)| *there >= version);
        let last_put = before.and_then(|(_, (_, row))| *row).map_or(0, |row| row.b);
        let is_over_old = what == Some(What::Update) && row.is_some_and(|row| row.b < last_put);
        if is_late || is_over_old {
            self.out_of_order.insert(key);
        }
        writes.accepted.insert(version, (op, row));
    }

    /// The keys whose row is neither that of the highest accepted version nor of a later write that was under way (C11).
    pub(super) fn lost(&self, rows: &[DbRow], history: &[DbChange]) -> Vec<i64> {
        let rows: BTreeMap<i64, Row> = rows.iter().map(|&(id, op, a, b)| (id, Row { op, a, b })).collect();
        let last: BTreeMap<i64, Place> = history.iter().map(|change| (change.0, place(change))).collect();
        let is_lost = |(key, writes): (&i64, &Writes)| {
            let (highest, (_, wanted)) = writes.accepted.last_key_value()?;
            let (there, row) = (last.get(key).copied().unwrap_or_default(), rows.get(key).copied());
            let is_right = there == *highest && row == *wanted || there > *highest && writes.may_be(row);
            (!is_right).then_some(*key)
        };
        self.keys.iter().filter_map(is_lost).collect()
    }

    /// The counters that are not the sum of the accepted steps and of some of those that were under way: a step was lost, or
    /// counted twice.
    pub(super) fn miscounted(&self, counters: &[(i64, i64)]) -> Vec<i64> {
        let there: BTreeMap<i64, i64> = counters.iter().copied().collect();
        let is_wrong = |(key, steps): (&i64, &Steps)| {
            let mut possible = BTreeSet::from([steps.sum]);
            for step in steps.under_way.values() {
                possible.extend(possible.clone().iter().map(|sum| sum + step));
            }
            let there = there.get(key).copied().unwrap_or_default();
            (!possible.contains(&there)).then_some(*key)
        };
        self.counters.iter().filter_map(is_wrong).collect()
    }

    /// The same where nothing has versions: a row older than the last accepted write of its key, or none.
    pub(super) fn lost_by_number(&self, rows: &[DbRow]) -> Vec<i64> {
        let rows: BTreeMap<i64, i64> = rows.iter().map(|&(id, op, ..)| (id, op)).collect();
        let is_lost = |(key, writes): (&i64, &Writes)| {
            let (_, (op, _)) = writes.accepted.last_key_value()?;
            rows.get(key).is_none_or(|there| there < op).then_some(*key)
        };
        self.keys.iter().filter_map(is_lost).collect()
    }
}

impl Writes {
    /// Whether one of those under way leaves this row.
    fn may_be(&self, row: Option<Row>) -> bool {
        self.under_way.iter().any(|(op, what)| match (what, row) {
            (What::Put, Some(row)) => row == Row::put(*op),
            (What::Update, Some(row)) => (row.op, row.a) == (*op, *op),
            (What::Remove, None) => true,
            _ => false,
        })
    }
}

/// The keys that went backwards, or took one version twice (C12).
pub(super) fn misordered(history: &[DbChange]) -> Vec<i64> {
    let (mut last, mut keys) = (BTreeMap::<i64, Place>::new(), BTreeSet::new());
    for change in history {
        let before = last.insert(change.0, place(change));
        if before.is_some_and(|before| before >= place(change)) {
            keys.insert(change.0);
        }
    }
    keys.into_iter().collect()
}

fn place(&(_, epoch, seq): &DbChange) -> Place {
    (epoch.unsigned_abs(), seq.unsigned_abs())
}

#[test]
fn a_ledger_finds_what_was_lost_and_what_went_backwards() {
    let mut ledger = Ledger::new();
    for (op, what) in [(1, What::Put), (2, What::Put), (3, What::Remove), (4, What::Put)] {
        ledger.note(Said::Begun { key: 7, op, what });
    }
    for op in [1, 2] {
        let row = Some(Row::put(op));
        ledger.note(Said::Accepted {
            key: 7,
            op,
            version: (1, op.unsigned_abs()),
            row,
        });
    }
    let lost = |row: Option<i64>, seq| {
        ledger.lost(
            &row.map(|op| (7, op, op, op)).into_iter().collect::<Vec<_>>(),
            &[(7, 1, seq)],
        )
    };
    assert!(lost(Some(2), 2).is_empty(), "the last accepted one");
    assert!(
        lost(None, 3).is_empty() && lost(Some(4), 3).is_empty(),
        "one that was under way"
    );
    assert_eq!(lost(Some(1), 1), [7], "an older one");
    assert_eq!(lost(None, 2), [7], "a row that is gone");
    assert_eq!(lost(Some(5), 3), [7], "one that nobody wrote");
    assert_eq!(
        lost(Some(1), 3),
        [7],
        "an accepted one under a version that was not its own"
    );
    assert_eq!(ledger.lost(&[], &[]), [7], "nothing at all");
    assert_eq!(misordered(&[(7, 1, 1), (8, 1, 1), (7, 1, 2), (8, 2, 1)]), [0; 0]);
    assert_eq!(
        misordered(&[(7, 1, 2), (8, 2, 1), (7, 1, 1), (8, 1, 9), (9, 1, 1), (9, 1, 1)]),
        [7, 8, 9]
    );
    for (op, step) in [(10, 5), (11, 3), (12, 4)] {
        let what = What::Count(step);
        ledger.note(Said::Begun { key: -1, op, what });
    }
    ledger.note(Said::Counted { key: -1, op: 10 });
    for (counter, is_wrong) in [
        (5, false),
        (8, false),
        (9, false),
        (12, false),
        (0, true),
        (10, true),
        (13, true),
    ] {
        assert_eq!(!ledger.miscounted(&[(-1, counter)]).is_empty(), is_wrong, "{counter}");
    }
    assert!(ledger.out_of_order.is_empty());
    ledger.note(Said::Accepted {
        key: 7,
        op: 4,
        version: (1, 2),
        row: Some(Row::put(4)),
    });
    assert!(ledger.out_of_order.contains(&7));
}
