//! Writing behind: versioned changes, each applied once in effect and never over a newer one (protocol 2, SQL guard).
//!
//! Where a table was prepared with columns for versions, its rows keep their own and `larder_applied` those of removed
//! rows; else `larder_applied` keeps the version of every key.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use larder_base::{CacheKey, WrittenKey, failpoint};
use larder_cache::{Change, Version};
use serde::Serialize;

use crate::{
    SqlTable,
    cell::Cell,
    db::{Scope, Statement},
    error::SqlError,
    key,
    prepare::{Prepared, Versions, check_key},
    rows::{Batch, Fields, Writer},
    schema::{TableSchema, VERSION},
    session::{Doubt, Writing},
    sink::put,
    statement,
    table::forms,
};

/// The newest change of each key, by its written form: in one order for all who write.
type Newest<'a, K, V> = BTreeMap<String, &'a Change<K, V>>;

impl SqlTable {
    pub(crate) async fn draw_epoch(&self, namespace: &str) -> Result<u64, SqlError> {
        self.write("drawing an epoch", |schema, doubt| async move {
            let mut prepared = self.look_up_prepared(&schema, namespace).await?;
            let mut writing = self.begin(Scope::Together, "drawing an epoch", doubt).await?;
            let tables = self.database().beside(&schema, "larder_tables");
            let own = Statement::new(format!(
                "UPDATE {tables} SET namespace = coalesce(namespace, $1) WHERE tbl = $2 RETURNING namespace"
            ));
            let owned = writing.fetch(own.bind(namespace).bind(schema.bare.as_str())).await?;
            prepared.namespace = owned.first().and_then(|row| key::written(row.first()?));
            prepared.check_owner(&schema, namespace)?;
            let epochs = self.database().beside(&schema, "larder_epochs");
            let draw = Statement::new(format!(
                "INSERT INTO {epochs} AS e (namespace, epoch) VALUES ($1, 1) \
                 ON CONFLICT (namespace) DO UPDATE SET epoch = e.epoch + 1 RETURNING epoch"
            ));
            let drawn = writing.fetch(draw.bind(namespace)).await?;
            let epoch = match drawn.first().map(Vec::as_slice) {
                Some([Cell::Integer(epoch)]) => u64::try_from(*epoch).unwrap_or(0),
                _ => 0,
            };
            failpoint::reach("epoch uncommitted");
            writing.commit().await?;
            Ok(epoch)
        })
        .await
    }

    pub(crate) async fn apply_all<K, V>(&self, namespace: &str, changes: &[Change<K, V>]) -> Result<(), SqlError>
    where
        K: CacheKey,
        V: Serialize + Send + Sync,
    {
        if changes.is_empty() {
            return Ok(());
        }
        self.write("applying changes", |schema, doubt| async move {
            let prepared = self.prepared(&schema, namespace).await?;
            let mut newest: Newest<'_, K, V> = BTreeMap::new();
            for change in changes {
                let slot = newest
                    .entry(WrittenKey::of(&change.key).as_str().to_owned())
                    .or_insert(change);
                if slot.version < change.version {
                    *slot = change;
                }
            }
            let task = Applying {
                table: self,
                schema: &schema,
                applied: &prepared.applied,
            };
            match prepared.versions {
                Versions::Columns => task.by_columns(&newest, doubt).await,
                Versions::SideTable => task.by_side_table(&newest, doubt).await,
            }
        })
        .await
    }

    /// Whether `namespace` may write behind to this table: what a flusher that draws no epochs has to know before it takes
    /// anything, for all that it took would be refused.
    ///
    /// # Errors
    /// [`SqlError::NotPrepared`] if the table is not ready, or belongs to nobody yet; [`SqlError::Owned`] if it belongs to
    /// another namespace; as for a load.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn check_owner(&self, namespace: &str) -> Result<(), SqlError> {
        let schema = self.schema().await?;
        self.prepared(&schema, namespace).await.map(drop)
    }

    /// What is known of the table's preparation, if `namespace` is its owner.
    pub(crate) async fn prepared(&self, schema: &TableSchema, namespace: &str) -> Result<Arc<Prepared>, SqlError> {
        if let Some(known) = self.known_prepared()
            && known.namespace.as_deref() == Some(namespace)
        {
            return Ok(known);
        }
        let prepared = self.look_up_prepared(schema, namespace).await?;
        prepared.check_owner(schema, namespace)?;
        Ok(self.keep_prepared(prepared))
    }

    async fn look_up_prepared(&self, schema: &TableSchema, namespace: &str) -> Result<Prepared, SqlError> {
        check_key(schema)?;
        let prepared = Prepared::look_up(self.database(), schema).await?;
        prepared.ok_or_else(|| SqlError::NotPrepared {
            table: schema.name.clone(),
            namespace: namespace.to_owned(),
        })
    }
}

/// One batch on its way into one table.
struct Applying<'a> {
    table: &'a SqlTable,
    schema: &'a TableSchema,
    applied: &'a TableSchema,
}

impl Applying<'_> {
    /// Who gets a version into the side table, and holds its row there until the commit, writes the row.
    async fn by_side_table<K, V>(&self, newest: &Newest<'_, K, V>, doubt: Doubt) -> Result<(), SqlError>
    where
        K: CacheKey,
        V: Serialize,
    {
        let rows = self.rows(newest, None)?;
        let mut writing = self.table.begin(Scope::Together, "applying changes", doubt).await?;
        failpoint::reach("begun");
        let won = self
            .record(&mut writing, newest.iter().map(|(key, change)| (key, change.version)))
            .await?;
        let database = self.table.database();
        let mut batch = Batch::default();
        let mut removed = Vec::new();
        for (written, row) in rows.into_iter().filter(|(written, _)| won.contains(written)) {
            match row {
                Some(row) => batch.push(self.schema, row),
                None => removed.push(&newest[&written].key),
            }
        }
        for rows in batch.pieces(database) {
            put(&mut writing, database, self.schema, &rows).await?;
        }
        failpoint::reach("between statements");
        let tuples: Vec<Vec<Cell>> = removed.iter().flat_map(|key| self.forms(*key)).collect();
        for chunk in tuples.chunks(database.tuples_per_statement(self.schema.key.len())) {
            let cells: Vec<&[Cell]> = chunk.iter().map(Vec::as_slice).collect();
            writing.fetch(statement::delete(database, self.schema, &cells)).await?;
        }
        failpoint::reach("commit unsent");
        writing.commit().await
    }

    /// A row's own version guards it; a removal leaves its version in the side table. The lock on the table keeps a put
    /// from passing between a removal's look at the row and its commit.
    async fn by_columns<K, V>(&self, newest: &Newest<'_, K, V>, doubt: Doubt) -> Result<(), SqlError>
    where
        K: CacheKey,
        V: Serialize,
    {
        let database = self.table.database();
        let versions = [self.version_column(0)?, self.version_column(1)?];
        let rows = self.rows(newest, Some(versions))?;
        let is_exclusive = rows.values().any(Option::is_none);
        let table = self.schema.sql.clone();
        let scope = Scope::Locked { table, is_exclusive };
        let mut writing = self.table.begin(scope, "applying changes", doubt).await?;
        failpoint::reach("begun");
        let put_keys = rows
            .iter()
            .filter(|(_, row)| row.is_some())
            .map(|(written, _)| written.as_str());
        let graves = self.graves(&mut writing, put_keys.collect()).await?;
        let mut batch = Batch::default();
        let mut removed: Vec<(&String, Version)> = Vec::new();
        let mut dug_up = Vec::new();
        for (written, row) in rows {
            let (key, change) = newest.get_key_value(&written).expect("rows are of these keys");
            match (row, graves.get(&written)) {
                (Some(_), Some(grave)) if change.version <= *grave => {}
                (Some(row), grave) => {
                    batch.push(self.schema, row);
                    dug_up.extend(grave.map(|_| (key, change.version)));
                }
                (None, _) => removed.push((key, change.version)),
            }
        }
        for rows in batch.pieces(database) {
            writing
                .fetch(statement::upsert(database, self.schema, &rows, true))
                .await?;
        }
        failpoint::reach("between statements");
        let places = versions.map(|at| &self.schema.columns[at]);
        let older = |(key, version): &(&String, Version)| -> Result<Vec<Vec<Cell>>, SqlError> {
            let versions = cells(*version)?;
            let with_version = |mut form: Vec<Cell>| {
                form.extend(versions.clone());
                form
            };
            Ok(self.forms(&newest[*key].key).into_iter().map(with_version).collect())
        };
        let tuples: Vec<Vec<Cell>> = removed.iter().map(older).collect::<Result<Vec<_>, _>>()?.concat();
        for chunk in tuples.chunks(database.tuples_per_statement(self.schema.key.len() + 2)) {
            let cells: Vec<&[Cell]> = chunk.iter().map(Vec::as_slice).collect();
            writing
                .fetch(statement::delete_older(database, self.schema, places, &cells))
                .await?;
        }
        self.record(&mut writing, removed.into_iter()).await?;
        self.level(&mut writing, &dug_up).await?;
        failpoint::reach("commit unsent");
        writing.commit().await
    }

    /// The row of every change, `None` for a removal.
    fn rows<K, V>(
        &self,
        newest: &Newest<'_, K, V>,
        versions: Option<[usize; 2]>,
    ) -> Result<BTreeMap<String, Option<Fields>>, SqlError>
    where
        K: CacheKey,
        V: Serialize,
    {
        let writer = Writer {
            database: self.table.database(),
            schema: self.schema,
        };
        let row = |(written, change): (&String, &&Change<K, V>)| {
            let Some(value) = &change.value else {
                writer.key(&change.key)?;
                return Ok((written.clone(), None));
            };
            let mut row = writer.row(&change.key, value)?;
            if let Some(versions) = versions {
                row.extend(versions.into_iter().zip(cells(change.version)?));
            }
            Ok((written.clone(), Some(row)))
        };
        newest.iter().map(row).collect()
    }

    fn forms<K: CacheKey>(&self, key: &K) -> Vec<Vec<Cell>> {
        forms(self.table.database(), self.schema, &key::parts_of(key))
    }

    fn version_column(&self, which: usize) -> Result<usize, SqlError> {
        let place = self.schema.place(self.table.database(), VERSION[which]);
        place.map_err(|_| SqlError::NotVersioned {
            table: self.schema.name.clone(),
            why: format!(
                "its column {:?} is gone: run `larder sql prepare` again",
                VERSION[which]
            ),
        })
    }

    /// Writes versions into the side table where they are higher than what it has; the keys for which they were.
    async fn record<'k>(
        &self,
        writing: &mut Writing,
        versions: impl Iterator<Item = (&'k String, Version)>,
    ) -> Result<BTreeSet<String>, SqlError> {
        let database = self.table.database();
        let mut batch = Batch::default();
        for (written, version) in versions {
            let mut row: Fields = self.applied.key.iter().copied().zip(self.grave_key(written)).collect();
            for (name, cell) in VERSION.iter().zip(cells(version)?) {
                row.insert(self.applied.place(database, name)?, cell);
            }
            batch.push(self.applied, row);
        }
        let mut won = BTreeSet::new();
        for rows in batch.pieces(database) {
            for row in writing
                .fetch(statement::upsert(database, self.applied, &rows, true))
                .await?
            {
                won.extend(row.last().and_then(key::written));
            }
        }
        Ok(won)
    }

    /// The versions of removals of these keys.
    async fn graves(&self, writing: &mut Writing, keys: Vec<&str>) -> Result<BTreeMap<String, Version>, SqlError> {
        let database = self.table.database();
        let tuples: Vec<Vec<Cell>> = keys.into_iter().map(|key| self.grave_key(key).to_vec()).collect();
        let mut graves = BTreeMap::new();
        for chunk in tuples.chunks(database.tuples_per_statement(2)) {
            let cells: Vec<&[Cell]> = chunk.iter().map(Vec::as_slice).collect();
            for row in writing.fetch(statement::select(database, self.applied, &cells)).await? {
                if let [.., Cell::Text(key), Cell::Integer(epoch), Cell::Integer(seq)] = row.as_slice() {
                    let number = |number: &i64| u64::try_from(*number).unwrap_or(0);
                    let version = Version {
                        epoch: number(epoch),
                        seq: number(seq),
                    };
                    graves.insert(key.clone(), version);
                }
            }
        }
        Ok(graves)
    }

    /// Removes what the side table has of keys that have rows again, whose own versions are higher.
    async fn level(&self, writing: &mut Writing, keys: &[(&String, Version)]) -> Result<(), SqlError> {
        let database = self.table.database();
        let place = |name| self.applied.place(database, name);
        let versions = [
            &self.applied.columns[place(VERSION[0])?],
            &self.applied.columns[place(VERSION[1])?],
        ];
        let tuple = |(key, version): &(&String, Version)| -> Result<Vec<Cell>, SqlError> {
            Ok(self.grave_key(key).into_iter().chain(cells(*version)?).collect())
        };
        let tuples: Vec<Vec<Cell>> = keys.iter().map(tuple).collect::<Result<_, _>>()?;
        for chunk in tuples.chunks(database.tuples_per_statement(4)) {
            let cells: Vec<&[Cell]> = chunk.iter().map(Vec::as_slice).collect();
            writing
                .fetch(statement::delete_older(database, self.applied, versions, &cells))
                .await?;
        }
        Ok(())
    }

    fn grave_key(&self, written: &str) -> [Cell; 2] {
        [Cell::Text(self.schema.bare.clone()), Cell::Text(written.to_owned())]
    }
}

/// The numbers of a version, as columns keep them.
fn cells(version: Version) -> Result<[Cell; 2], SqlError> {
    let cell = |number: u64| {
        i64::try_from(number)
            .map(Cell::Integer)
            .map_err(|_| SqlError::NotVersioned {
                table: String::new(),
                why: format!("a version of {number} is more than a column holds"),
            })
    };
    Ok([cell(version.epoch)?, cell(version.seq)?])
}
