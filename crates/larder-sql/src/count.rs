//! Counters in a column: what the cache has counted arrives once in effect, however often and in whatever order it is told.
//!
//! `larder_counts` has, per counter and epoch, what was noted last: the number of the last step, the series and its total (see
//! [`Counted`]). It is read and written in the transaction that changes the counter, under the table's lock, so that of two
//! who flush the same counter the second sees what the first has noted.

use std::collections::BTreeMap;

use larder_base::{CacheKey, WrittenKey, failpoint};
use larder_cache::{CountAs, Counted};

use crate::{
    SqlTable,
    cell::Cell,
    db::{Row, Scope},
    error::SqlError,
    key,
    rows::{Batch, Fields, Rows, Writer},
    schema::{Column, Kind, TableSchema},
    session::{Doubt, Writing},
    statement::{self, Step},
};

/// What was noted of a counter in an epoch.
#[derive(Clone, Copy, Debug)]
struct Note {
    seq: u64,
    series: u64,
    total: i64,
}

/// The notes of a counter, by epoch.
type Notes = BTreeMap<u64, Note>;

/// What becomes of a counter.
struct Adjusted<'a, K> {
    key: &'a K,
    step: Step,
    by: i64,
}

impl SqlTable {
    pub(crate) async fn count_all<K: CacheKey>(
        &self,
        column: &str,
        namespace: &str,
        counts: &[Counted<K>],
    ) -> Result<(), SqlError> {
        if counts.is_empty() {
            return Ok(());
        }
        self.write("counting", |schema, doubt| async move {
            let prepared = self.prepared(&schema, namespace).await?;
            let task = Counting {
                table: self,
                schema: &schema,
                counter: counter(&schema, schema.place(self.database(), column)?)?,
                notes: prepared.counts.as_ref().ok_or_else(|| SqlError::NotPrepared {
                    table: schema.name.clone(),
                    namespace: namespace.to_owned(),
                })?,
            };
            task.run(counts, doubt).await
        })
        .await
    }
}

/// The column at `place`, if it can count.
fn counter(schema: &TableSchema, place: usize) -> Result<(usize, &Column), SqlError> {
    let column = &schema.columns[place];
    if column.kind == Kind::Integer && !schema.key.contains(&place) {
        return Ok((place, column));
    }
    Err(SqlError::ColumnType {
        table: schema.name.clone(),
        column: column.name.clone(),
        declared: column.declared.clone(),
        part: "count; name an integer column outside the key with `counter`",
    })
}

/// One batch on its way into one table.
struct Counting<'a> {
    table: &'a SqlTable,
    schema: &'a TableSchema,
    /// Its place, and itself.
    counter: (usize, &'a Column),
    notes: &'a TableSchema,
}

impl Counting<'_> {
    async fn run<K: CacheKey>(&self, counts: &[Counted<K>], doubt: Doubt) -> Result<(), SqlError> {
        let mut told: BTreeMap<String, Vec<&Counted<K>>> = BTreeMap::new();
        for count in counts {
            told.entry(WrittenKey::of(&count.key).as_str().to_owned())
                .or_default()
                .push(count);
        }
        let scope = Scope::Locked {
            table: self.schema.sql.clone(),
            is_exclusive: true,
        };
        let mut writing = self.table.begin(scope, "counting", doubt).await?;
        let mut notes = self.noted(&mut writing, told.keys()).await?;
        let mut adjusted = Vec::with_capacity(told.len());
        let mut changed = Batch::default();
        for (written, mut counts) in told {
            let notes = notes.remove(&written).unwrap_or_default();
            counts.sort_unstable_by_key(|count| count.version);
            adjusted.extend(self.adjust(&written, &counts, notes, &mut changed)?);
        }
        for rows in changed.pieces(self.table.database()) {
            writing
                .fetch(statement::upsert(self.table.database(), self.notes, &rows, false))
                .await?;
        }
        failpoint::reach("between counts");
        for step in [Step::Add, Step::Set] {
            self.take(
                &mut writing,
                adjusted.iter().filter(|counter| counter.step == step),
                step,
            )
            .await?;
        }
        writing.commit().await
    }

    /// What was noted of these counters before.
    async fn noted(
        &self,
        writing: &mut Writing,
        counters: impl Iterator<Item = &String>,
    ) -> Result<BTreeMap<String, Notes>, SqlError> {
        let database = self.table.database();
        // By the counter alone: of every epoch.
        let by_counter = TableSchema {
            key: self.notes.key[..2].to_vec(),
            ..self.notes.clone()
        };
        let tuples: Vec<[Cell; 2]> = counters.map(|written| self.counter_key(written)).collect();
        let mut noted: BTreeMap<String, Notes> = BTreeMap::new();
        for chunk in tuples.chunks(database.tuples_per_statement(2)) {
            let cells: Vec<&[Cell]> = chunk.iter().map(<[Cell; 2]>::as_slice).collect();
            for row in writing.fetch(statement::select(database, &by_counter, &cells)).await? {
                if let [
                    ..,
                    Cell::Text(key),
                    Cell::Integer(epoch),
                    Cell::Integer(seq),
                    Cell::Integer(series),
                    Cell::Integer(total),
                ] = row.as_slice()
                {
                    let note = Note {
                        seq: seq.unsigned_abs(),
                        series: series.unsigned_abs(),
                        total: *total,
                    };
                    noted.entry(key.clone()).or_default().insert(epoch.unsigned_abs(), note);
                }
            }
        }
        Ok(noted)
    }

    /// What `counts` of one counter come to after `notes`; `None` if all of it was noted before.
    fn adjust<'k, K: CacheKey>(
        &self,
        written: &str,
        counts: &[&'k Counted<K>],
        mut notes: Notes,
        changed: &mut Batch,
    ) -> Result<Option<Adjusted<'k, K>>, SqlError> {
        let mut adjusted: Option<Adjusted<'k, K>> = None;
        for count in counts {
            let epoch = count.version.epoch;
            let before = notes.get(&epoch);
            if before.is_some_and(|note| note.seq >= count.version.seq) {
                continue;
            }
            let known = before
                .filter(|note| note.series == count.series)
                .map_or(0, |note| note.total);
            let is_latest = notes.keys().all(|noted| *noted <= epoch);
            let note = Note {
                seq: count.version.seq,
                series: count.series,
                total: count.total,
            };
            notes.insert(epoch, note);
            changed.push(self.notes, self.note_row(written, epoch, note)?);
            let (step, by) = match count.how {
                CountAs::Sum => (Step::Add, count.total.checked_sub(known)),
                CountAs::Total if is_latest => (Step::Set, Some(count.total)),
                CountAs::Total => continue,
            };
            let sum = match &adjusted {
                Some(sofar) if step == Step::Add => by.and_then(|by| by.checked_add(sofar.by)),
                _ => by,
            };
            let by = sum.ok_or_else(|| self.too_large())?;
            // Added to a counter that is set in the same batch, it is still set.
            let step = adjusted.map_or(step, |sofar| if sofar.step == Step::Set { Step::Set } else { step });
            adjusted = Some(Adjusted {
                key: &count.key,
                step,
                by,
            });
        }
        Ok(adjusted)
    }

    /// Has the counters take their steps, and makes sure that each has.
    async fn take<'k, K: CacheKey>(
        &self,
        writing: &mut Writing,
        adjusted: impl Iterator<Item = &'k Adjusted<'k, K>>,
        step: Step,
    ) -> Result<(), SqlError> {
        let database = self.table.database();
        let writer = Writer {
            database,
            schema: self.schema,
        };
        let mut batch = Batch::default();
        for counter in adjusted {
            let mut row = writer.key(counter.key)?;
            row.insert(self.counter.0, Cell::Integer(counter.by));
            batch.push(self.schema, row);
        }
        for rows in batch.pieces(database) {
            let there = writing
                .fetch(statement::count(database, self.schema, &rows, self.counter.1, step))
                .await?;
            let missing = self.without(rows, &there);
            self.check(&there)?;
            if !missing.rows.is_empty() {
                let begun = statement::begin_counters(database, self.schema, &missing, self.counter.1, step);
                let begun = writing.fetch(begun).await?;
                if begun.len() != missing.rows.len() {
                    return Err(SqlError::NotTaken {
                        table: self.schema.name.clone(),
                        taken: begun.len(),
                        given: missing.rows.len(),
                    });
                }
                self.check(&begun)?;
            }
        }
        Ok(())
    }

    /// Those of `rows` that were not `there`.
    fn without(&self, rows: Rows, there: &[Row]) -> Rows {
        let parts = self.schema.key.len();
        let keys: std::collections::BTreeSet<Vec<Option<String>>> = there
            .iter()
            .map(|row| row.iter().take(parts).map(key::written).collect())
            .collect();
        let given: Vec<Vec<Option<String>>> = rows.keys(self.schema).collect();
        let missing = rows.rows.into_iter().zip(given).filter(|(_, key)| !keys.contains(key));
        Rows {
            columns: rows.columns,
            rows: missing.map(|(row, _)| row).collect(),
        }
    }

    /// SQLite makes a rounded number of a sum that is too large.
    fn check(&self, counters: &[Row]) -> Result<(), SqlError> {
        if counters.iter().all(|row| matches!(row.last(), Some(Cell::Integer(_)))) {
            return Ok(());
        }
        Err(self.too_large())
    }

    fn too_large(&self) -> SqlError {
        SqlError::Value {
            table: self.schema.name.clone(),
            given: std::any::type_name::<i64>(),
            why: format!("column {:?} would count beyond the range of i64", self.counter.1.name),
        }
    }

    fn note_row(&self, written: &str, epoch: u64, note: Note) -> Result<Fields, SqlError> {
        let number = |number: u64| Cell::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let mut row: Fields = self.notes.key.iter().copied().zip(self.counter_key(written)).collect();
        for (name, cell) in [
            ("epoch", number(epoch)),
            ("seq", number(note.seq)),
            ("series", number(note.series)),
            ("total", Cell::Integer(note.total)),
        ] {
            row.insert(self.notes.place(self.table.database(), name)?, cell);
        }
        Ok(row)
    }

    fn counter_key(&self, written: &str) -> [Cell; 2] {
        [Cell::Text(self.schema.bare.clone()), Cell::Text(written.to_owned())]
    }
}
