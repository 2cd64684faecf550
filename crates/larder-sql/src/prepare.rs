//! What a table needs so that it can be written behind: versions, tombstones, epochs, and one owner.

use crate::{
    SqlTable,
    cell::Cell,
    db::{Database, Ddl, Scope, Statement, TableName},
    error::SqlError,
    key,
    schema::{TableSchema, VERSION, Wanted, describe},
};

/// Makes a table ready for writing behind: [`SqlTable::prepare`].
///
/// A change that is flushed late, or twice, must not replace a newer one. So every change has a version, and the
/// database keeps the version of what it has: in the columns `l_epoch` and `l_seq` of the row, or, with
/// [`side_table`](Self::side_table), in the table `larder_applied` beside it, which leaves the table itself as it is.
/// Versions of removed rows are in `larder_applied` either way: a small row for each key that was removed, for good
/// (the guide says under which conditions an operator may remove them).
/// `larder_counts` has what was counted of each counter in each epoch, `larder_epochs` the epochs of each namespace, and
/// `larder_tables` says which namespace owns which table.
#[derive(Clone, Debug)]
#[must_use = "nothing happens until `apply`"]
pub struct Prepare {
    table: SqlTable,
    namespace: Option<String>,
    is_beside: bool,
    has_trigger: bool,
}

impl SqlTable {
    /// What this table needs so that a cache can write behind to it.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # async fn shown() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// # use larder_sql::{PoolConfig, SqlTable};
    /// let pool = PoolConfig::in_memory().open_sqlite().await?;
    /// sqlx::query("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)").execute(&pool).await?;
    /// let prepare = SqlTable::new(pool, "users").prepare().namespace("user");
    /// assert!(prepare.statements().await?.iter().any(|sql| sql.contains("l_epoch")));
    /// prepare.apply().await?; // once more does no harm
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(shown()).unwrap();
    /// ```
    pub fn prepare(&self) -> Prepare {
        Prepare {
            table: self.clone(),
            namespace: None,
            is_beside: false,
            has_trigger: false,
        }
    }
}

impl Prepare {
    /// Makes `namespace` the owner (default: the first that draws an epoch).
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Keeps all versions in `larder_applied` and adds no columns (default: columns). It costs a second row for each
    /// row written.
    pub fn side_table(mut self) -> Self {
        self.is_beside = true;
        self
    }

    /// Adds a trigger by which other writers of the table, such as an ORM that writes back every column it has read,
    /// cannot turn `l_epoch` and `l_seq` back (default: none). There is none to add with a side table.
    pub fn trigger(mut self) -> Self {
        self.has_trigger = true;
        self
    }

    /// The SQL that [`apply`](Self::apply) would run: what is already there is not made again.
    ///
    /// # Errors
    /// As for [`apply`](Self::apply).
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn statements(&self) -> Result<Vec<String>, SqlError> {
        Ok(self.plan().await?.1)
    }

    /// Prepares the table in one transaction and returns the SQL that was run. Once more does no harm.
    ///
    /// # Errors
    /// [`SqlError::Owned`] if another namespace owns the table; [`SqlError::NotVersioned`] if it is prepared in the
    /// other way, or its key cannot be told apart by the database; as for a load.
    ///
    /// # Cancel safety
    /// All of it is done or nothing.
    pub async fn apply(&self) -> Result<Vec<String>, SqlError> {
        match self.apply_once().await {
            // Another has added the columns since they were looked for.
            Err(changed) if changed.is_schema_change() => {
                self.table.forget_schema();
                self.apply_once().await
            }
            done => done,
        }
    }

    async fn apply_once(&self) -> Result<Vec<String>, SqlError> {
        let (schema, statements) = self.plan().await?;
        let ran = self.table.write("preparing the table", |_, doubt| {
            let statements = statements.clone();
            async move {
                let mut writing = self.table.begin(Scope::Making, "preparing the table", doubt).await?;
                for statement in statements {
                    writing.fetch(Statement::new(statement)).await?;
                }
                writing.commit().await
            }
        });
        ran.await?;
        self.table.forget_schema();
        // Two may have prepared it at once: the first is the owner.
        let prepared = Prepared::look_up(self.table.database(), &schema).await?;
        if let (Some(prepared), Some(namespace)) = (prepared, &self.namespace) {
            prepared.check_owner(&schema, namespace)?;
        }
        Ok(statements)
    }

    async fn plan(&self) -> Result<(std::sync::Arc<TableSchema>, Vec<String>), SqlError> {
        let database = self.table.database();
        let schema = self.table.schema().await?;
        let refuse = |why: String| SqlError::NotVersioned {
            table: schema.name.clone(),
            why,
        };
        check_key(&schema)?;
        // The owner is one for good: a name that no cache can have would leave the table to nobody.
        if let Some(name) = self
            .namespace
            .as_deref()
            .filter(|name| !larder_cache::is_namespace(name))
        {
            return Err(refuse(format!(
                "no cache has the namespace {name:?}, which is not made of a-z, 0-9, `_`, `.` and `-`"
            )));
        }
        let versions = if self.is_beside {
            Versions::SideTable
        } else {
            Versions::Columns
        };
        if let Some(prepared) = Prepared::look_up(database, &schema).await? {
            if prepared.versions != versions {
                let kept = prepared.versions.name();
                return Err(refuse(format!("it is prepared, and keeps its versions in {kept}")));
            }
            if let (Some(namespace), Some(_)) = (&self.namespace, &prepared.namespace) {
                prepared.check_owner(&schema, namespace)?;
            }
        }
        let mut statements = tables(database, &schema);
        if versions == Versions::Columns {
            statements.extend(database.versions_ddl(&schema, Ddl::Columns));
            if self.has_trigger {
                statements.extend(database.versions_ddl(&schema, Ddl::Trigger));
            }
        }
        statements.push(registration(database, &schema, versions, self.namespace.as_deref()));
        Ok((schema, statements))
    }
}

/// Two keys of a cache that are one row to the database have versions that cannot be compared.
pub(crate) fn check_key(schema: &TableSchema) -> Result<(), SqlError> {
    match schema.key_columns().find(|column| !column.is_exact) {
        Some(column) => Err(SqlError::NotVersioned {
            table: schema.name.clone(),
            why: format!(
                "the key column {:?} calls values equal that are spelled differently, so that two keys would share a \
                 row: give it a binary collation and an exact type",
                column.name
            ),
        }),
        None => Ok(()),
    }
}

fn tables(database: &dyn Database, schema: &TableSchema) -> Vec<String> {
    let beside = |name| database.beside(schema, name);
    vec![
        format!(
            "CREATE TABLE IF NOT EXISTS {} (tbl TEXT PRIMARY KEY, namespace TEXT, versions TEXT NOT NULL)",
            beside("larder_tables")
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {} (namespace TEXT PRIMARY KEY, epoch BIGINT NOT NULL)",
            beside("larder_epochs")
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {} (tbl TEXT NOT NULL, key TEXT NOT NULL, l_epoch BIGINT NOT NULL, \
             l_seq BIGINT NOT NULL, PRIMARY KEY (tbl, key))",
            beside("larder_applied")
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {} (tbl TEXT NOT NULL, key TEXT NOT NULL, epoch BIGINT NOT NULL, \
             seq BIGINT NOT NULL, series BIGINT NOT NULL, total BIGINT NOT NULL, PRIMARY KEY (tbl, key, epoch))",
            beside("larder_counts")
        ),
    ]
}

/// An owner that is there stays, whoever comes second.
fn registration(database: &dyn Database, schema: &TableSchema, versions: Versions, namespace: Option<&str>) -> String {
    let namespace = namespace.map_or_else(|| "NULL".to_owned(), literal);
    format!(
        "INSERT INTO {} AS l (tbl, namespace, versions) VALUES ({}, {namespace}, {}) \
         ON CONFLICT (tbl) DO UPDATE SET namespace = coalesce(l.namespace, EXCLUDED.namespace)",
        database.beside(schema, "larder_tables"),
        literal(&schema.bare),
        literal(versions.name()),
    )
}

/// Text as SQL: printed for people to run, so it cannot be a variable. Backslashes mean nothing in either database.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The table `name` of Larder's own beside `schema`, of which `columns` are read.
async fn beside(
    database: &dyn Database,
    schema: &TableSchema,
    name: &str,
    columns: &[&str],
) -> Result<TableSchema, SqlError> {
    let wanted = Wanted {
        columns: columns.iter().map(|&column| column.to_owned()).collect(),
        ..Wanted::default()
    };
    let table = TableName {
        sql: database.beside(schema, name),
        full: name.to_owned(),
        bare: name.to_owned(),
        name: name.to_owned(),
    };
    describe(database, table, &wanted).await
}

/// Where a table keeps its versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versions {
    Columns,
    SideTable,
}

impl Versions {
    fn name(self) -> &'static str {
        match self {
            Self::Columns => "columns",
            Self::SideTable => "a side table",
        }
    }
}

/// How a table is prepared.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) namespace: Option<String>,
    pub(crate) versions: Versions,
    /// `larder_applied` beside the table.
    pub(crate) applied: TableSchema,
    /// `larder_counts` beside it; `None` if it was prepared before there was such a table.
    pub(crate) counts: Option<TableSchema>,
}

impl Prepared {
    /// How `schema` is prepared; `None` if it is not.
    pub(crate) async fn look_up(database: &dyn Database, schema: &TableSchema) -> Result<Option<Self>, SqlError> {
        let tables = database.beside(schema, "larder_tables");
        let registered = Statement::new(format!("SELECT namespace, versions FROM {tables} WHERE tbl = $1"));
        let registered = database.fetch(registered.bind(schema.bare.as_str())).await;
        let registered = match registered.map_err(SqlError::query("looking up how the table is prepared")) {
            Ok(rows) => rows,
            Err(absent) if absent.is_schema_change() => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some([namespace, Cell::Text(versions)]) = registered.first().map(Vec::as_slice) else {
            return Ok(None);
        };
        let versions = if versions == Versions::Columns.name() {
            Versions::Columns
        } else {
            Versions::SideTable
        };
        let applied = beside(database, schema, "larder_applied", &VERSION).await?;
        let counts = match beside(database, schema, "larder_counts", &["epoch", "seq", "series", "total"]).await {
            Ok(counts) => Some(counts),
            Err(SqlError::NoKey { .. }) => None,
            Err(absent) if absent.is_schema_change() => None,
            Err(error) => return Err(error),
        };
        Ok(Some(Self {
            namespace: key::written(namespace),
            versions,
            applied,
            counts,
        }))
    }

    pub(crate) fn check_owner(&self, schema: &TableSchema, namespace: &str) -> Result<(), SqlError> {
        match &self.namespace {
            Some(owner) if owner == namespace => Ok(()),
            Some(owner) => Err(SqlError::Owned {
                table: schema.name.clone(),
                owner: owner.clone(),
                namespace: namespace.to_owned(),
            }),
            None => Err(SqlError::NotPrepared {
                table: schema.name.clone(),
                namespace: namespace.to_owned(),
            }),
        }
    }
}
