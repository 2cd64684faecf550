//! A table as the sink of a cache.

use std::collections::BTreeSet;

use larder_base::CacheKey;
use larder_cache::{Change, Counted, Patch, Sink, SinkError};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    SqlTable,
    cell::Cell,
    db::{Database, Row, Scope},
    error::{SqlError, flushing},
    key,
    rows::{Batch, Rows, Writer},
    schema::TableSchema,
    session::{Doubt, Writing},
    statement,
    table::forms,
};

impl<K, V> Sink<K, V> for SqlTable
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    async fn put(&self, key: &K, value: &V) -> Result<(), SinkError> {
        Ok(self.put_all(&[(key, value)]).await?)
    }

    async fn put_many(&self, values: &[(K, V)]) -> Result<(), SinkError> {
        let values: Vec<(&K, &V)> = values.iter().map(|(key, value)| (key, value)).collect();
        Ok(self.put_all(&values).await?)
    }

    async fn remove(&self, key: &K) -> Result<bool, SinkError> {
        Ok(self.remove_all(std::slice::from_ref(key)).await? > 0)
    }

    async fn remove_many(&self, keys: &[K]) -> Result<u64, SinkError> {
        Ok(self.remove_all(keys).await?)
    }

    async fn update(&self, key: &K, patch: &Patch) -> Result<Option<V>, SinkError> {
        Ok(self.patch(key, patch).await?)
    }

    async fn insert(&self, value: &V) -> Result<K, SinkError> {
        Ok(self.insert_row(value).await?)
    }

    async fn claim_epoch(&self, namespace: &str) -> Result<u64, SinkError> {
        Ok(self.draw_epoch(namespace).await?)
    }

    fn owed(&self, keys: &[K]) -> Vec<i64> {
        self.sink_outbox().map_or_else(Vec::new, |outbox| outbox.take(keys))
    }

    fn settled(&self, owed: Vec<i64>) {
        if let Some(outbox) = self.sink_outbox() {
            outbox.settled(owed);
        }
    }

    async fn apply(&self, namespace: &str, changes: &[Change<K, V>]) -> Result<(), SinkError> {
        self.apply_all(namespace, changes).await.map_err(flushing)
    }

    async fn count(&self, namespace: &str, counts: &[Counted<K>]) -> Result<(), SinkError> {
        let Some(column) = self.counter_column() else {
            return Err(SinkError::unsupported(
                "counts in no column of the table: name one with `SqlTable::counter`",
            ));
        };
        Ok(self.count_all(column, namespace, counts).await?)
    }
}

impl SqlTable {
    async fn put_all<K: CacheKey, V: Serialize + Sync>(&self, values: &[(&K, &V)]) -> Result<(), SqlError> {
        self.write("putting rows", |schema, doubt| async move {
            let database = self.database();
            let writer = Writer {
                database,
                schema: &schema,
            };
            let mut batch = Batch::default();
            for &(key, value) in values {
                batch.push(&schema, writer.row(key, value)?);
            }
            let pieces = batch.pieces(database);
            // One statement is a transaction of its own, unless what it did has to be looked at before it stands.
            let is_alone = pieces.len() == 1 && schema.is_exact() && self.sink_outbox().is_none();
            let scope = if is_alone { Scope::Alone } else { Scope::Together };
            let mut writing = self.begin(scope, "putting rows", doubt).await?;
            for rows in &pieces {
                put(&mut writing, database, &schema, rows).await?;
            }
            let keys: Vec<K> = values.iter().map(|(key, _)| (*key).clone()).collect();
            self.commit(writing, &keys).await
        })
        .await
    }

    async fn remove_all<K: CacheKey>(&self, keys: &[K]) -> Result<u64, SqlError> {
        self.write("removing rows", |schema, doubt| async move {
            let database = self.database();
            let tuples = self.sorted_forms(&schema, keys)?;
            let chunks = tuples.chunks(database.tuples_per_statement(schema.key.len()));
            let scope = if chunks.len() <= 1 && self.sink_outbox().is_none() {
                Scope::Alone
            } else {
                Scope::Together
            };
            let mut writing = self.begin(scope, "removing rows", doubt).await?;
            let mut removed = 0;
            for chunk in chunks {
                let cells: Vec<&[Cell]> = chunk.iter().map(Vec::as_slice).collect();
                removed += writing.fetch(statement::delete(database, &schema, &cells)).await?.len() as u64;
            }
            self.commit(writing, keys).await?;
            Ok(removed)
        })
        .await
    }

    async fn patch<K: CacheKey, V: DeserializeOwned + Send>(
        &self,
        key: &K,
        patch: &Patch,
    ) -> Result<Option<V>, SqlError> {
        self.write("updating a row", |schema, doubt| async move {
            let database = self.database();
            let fields = Writer {
                database,
                schema: &schema,
            }
            .fields(patch.fields())?;
            if let Some(at) = schema.key.iter().find(|at| fields.contains_key(at)) {
                return Err(SqlError::Key {
                    table: schema.name.clone(),
                    column: schema.columns[*at].name.clone(),
                    why: "is not changed by a patch: put the value under the new key, and remove the old one"
                        .to_owned(),
                });
            }
            let tuples = self.sorted_forms(&schema, std::slice::from_ref(key))?;
            if fields.is_empty() || tuples.is_empty() {
                let found = self.load_all(std::slice::from_ref(key)).await?;
                return Ok(found.into_iter().next().map(|(_, value)| value));
            }
            let (columns, row) = fields.into_iter().unzip();
            let rows = Rows {
                columns,
                rows: vec![row],
            };
            let cells: Vec<&[Cell]> = tuples.iter().map(Vec::as_slice).collect();
            let scope = match self.sink_outbox() {
                Some(_) => Scope::Together,
                None => Scope::Alone,
            };
            let mut writing = self.begin(scope, "updating a row", doubt).await?;
            let updated = writing
                .fetch(statement::update(database, &schema, &rows, &cells))
                .await?;
            self.commit(writing, std::slice::from_ref(key)).await?;
            match updated.into_iter().next() {
                Some(row) => self.decode(&schema, row).map(Some),
                None => Ok(None),
            }
        })
        .await
    }

    async fn insert_row<K: CacheKey, V: Serialize + Sync>(&self, value: &V) -> Result<K, SqlError> {
        self.write("inserting a row", |schema, doubt| async move {
            let database = self.database();
            schema.check_parts(K::PARTS)?;
            let row = Writer {
                database,
                schema: &schema,
            }
            .keyless_row(value)?;
            let (columns, row) = row.into_iter().unzip();
            let rows = Rows {
                columns,
                rows: vec![row],
            };
            let mut writing = self.begin(Scope::Together, "inserting a row", doubt).await?;
            let inserted = writing.fetch(statement::insert(database, &schema, &rows)).await?;
            let drawn = inserted.into_iter().next().ok_or_else(|| SqlError::NotTaken {
                table: schema.name.clone(),
                taken: 0,
                given: 1,
            })?;
            // Before it stands: a key that the cache cannot hold would be a row that nobody finds.
            let key = key::read::<K>(&drawn).ok_or_else(|| SqlError::Key {
                table: schema.name.clone(),
                column: schema.key().collect::<Vec<_>>().join(", "),
                why: format!("was given a value that is no {}", std::any::type_name::<K>()),
            })?;
            self.commit(writing, std::slice::from_ref(&key)).await?;
            Ok(key)
        })
        .await
    }

    /// Commits what changed `keys`, and with it, where there is an outbox, the record that they are to be invalidated.
    async fn commit<K: CacheKey>(&self, mut writing: Writing, keys: &[K]) -> Result<(), SqlError> {
        let Some(outbox) = self.sink_outbox() else {
            return writing.commit().await;
        };
        let recorded = outbox.record(&mut writing, keys).await?;
        writing.commit().await?;
        outbox.committed(recorded);
        Ok(())
    }

    /// The values under which rows with these keys may be found, in their order, each once.
    pub(crate) fn sorted_forms<K: CacheKey>(
        &self,
        schema: &TableSchema,
        keys: &[K],
    ) -> Result<Vec<Vec<Cell>>, SqlError> {
        let mut sorted = std::collections::BTreeMap::new();
        for key in keys {
            let parts = key::parts_of(key);
            schema.check_parts(parts.len())?;
            for (at, form) in forms(self.database(), schema, &parts).into_iter().enumerate() {
                let written: Vec<Option<String>> = form.iter().map(key::written).collect();
                sorted.insert((written, at), form);
            }
        }
        Ok(sorted.into_values().collect())
    }

    pub(crate) async fn begin(&self, scope: Scope, doing: &str, doubt: Doubt) -> Result<Writing, SqlError> {
        let doing = format!("{doing} of table {:?}", self.name());
        Writing::begin(self.database(), scope, doing, doubt).await
    }
}

/// Puts rows, and makes sure that these, and no others, were written.
pub(crate) async fn put(
    writing: &mut Writing,
    database: &dyn Database,
    schema: &TableSchema,
    rows: &Rows,
) -> Result<(), SqlError> {
    let written = writing.fetch(statement::upsert(database, schema, rows, false)).await?;
    check_spelling(schema, rows, &written)?;
    if written.len() == rows.rows.len() {
        return Ok(());
    }
    Err(SqlError::NotTaken {
        table: schema.name.clone(),
        taken: written.len(),
        given: rows.rows.len(),
    })
}

/// A row that was overwritten because the database calls its key equal would be lost under its own key.
fn check_spelling(schema: &TableSchema, rows: &Rows, written: &[Row]) -> Result<(), SqlError> {
    let given: BTreeSet<Vec<Option<String>>> = rows.keys(schema).collect();
    let is_given = |row: &Row| given.contains(&row.iter().map(key::written).collect::<Vec<_>>());
    if written.iter().all(is_given) {
        return Ok(());
    }
    Err(SqlError::Spelling {
        table: schema.name.clone(),
        columns: schema.key_names(),
    })
}
