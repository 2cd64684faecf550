//! Scripts by name: those of a program, found, loaded and checked in one place.

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use crate::{Script, ScriptCall, ScriptHandle, Store, StoreError};

/// The scripts of a program by name: `static` ones, and texts that come at run time.
///
/// [`load_all`](Self::load_all) at the start has the server compile them, so that a mistake in one is an error there and not
/// in the middle of the night. From then on a call costs one round trip; a server that does not know the script any more
/// (a restart, a failover, `SCRIPT FLUSH`) is given it again without the caller's doing. Errors and metrics
/// (`larder_store_command_duration_seconds`, label `script:<name>`) name it.
///
/// A cheap value to share in an `Arc`, once it is filled.
///
/// ```
/// use larder_store::{Script, Scripts, Store};
///
/// static ADD: Script = Script::new("stock_add", "return redis.call('INCRBY', KEYS[1], ARGV[1])");
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Store::open("embedded:").await?;
/// let mut scripts = Scripts::new();
/// scripts.add(&ADD)?;
/// scripts.add_text("stock_of", "return redis.call('GET', KEYS[1])")?; // or add_file("lua/stock_of.lua")
/// scripts.load_all(&store).await?;
/// store.call(&scripts.call("stock_add")?.key("stock:7").int(5)).await?;
/// let left = store.call(&scripts.call("stock_of")?.key("stock:7")).await?;
/// assert_eq!(left, larder_store::redis::Value::BulkString(b"5".to_vec()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scripts {
    by_name: BTreeMap<&'static str, ScriptHandle>,
}

/// Why a script cannot be registered, found or loaded.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptsError {
    /// Two scripts of one name: calls, errors and metrics could not tell them apart.
    #[error("a script named `{name}` is registered already; give this one another name")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A name that is no label of a metric.
    #[error("`{name}` cannot be a script's name; use 1 to 64 of [a-zA-Z0-9_.-], such as `stock_add`")]
    BadName {
        /// The name.
        name: String,
    },
    /// Nothing is registered under the name.
    #[error("no script named `{name}` is registered; there are: {}", known.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
        /// Those that are registered.
        known: Vec<&'static str>,
    },
    /// The file of a script could not be read.
    #[error("the script {path} could not be read: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The server did not take the script: mostly a mistake in its text, which the server's words point at.
    #[error("the script `{name}` could not be loaded: {source}")]
    Load {
        /// The name.
        name: &'static str,
        /// What the store said.
        source: StoreError,
    },
    /// A call failed: the script's own error, or what kept it from being answered.
    #[error("the script `{name}` failed: {source}")]
    Failed {
        /// The name.
        name: &'static str,
        /// What the store said.
        source: StoreError,
    },
}

impl ScriptsError {
    /// What the store said, where it was asked.
    #[must_use]
    pub const fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Load { source, .. } | Self::Failed { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The longest name of a script: it is a label of metrics and stands in errors.
const NAME_MAX: usize = 64;

impl Scripts {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a script: a `static` one, or one [`loaded`](Script::loaded) at run time.
    ///
    /// # Errors
    /// [`ScriptsError::Duplicate`], [`ScriptsError::BadName`]; nothing is changed then.
    pub fn add(&mut self, script: impl Into<ScriptHandle>) -> Result<(), ScriptsError> {
        let script = script.into();
        let name = check(script.name())?;
        if self.by_name.contains_key(name) {
            return Err(ScriptsError::Duplicate { name: name.into() });
        }
        self.by_name.insert(script.name(), script);
        Ok(())
    }

    /// Adds a script by its text.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_text(&mut self, name: &str, text: impl Into<String>) -> Result<(), ScriptsError> {
        self.add(Script::loaded(check(name)?, text))
    }

    /// Adds the script in a file, under the file's name without its extension. Reads it at once, blocking: meant for the
    /// start of a program.
    ///
    /// # Errors
    /// [`ScriptsError::File`], or as [`add`](Self::add).
    pub fn add_file(&mut self, path: impl AsRef<Path>) -> Result<(), ScriptsError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| ScriptsError::File {
            path: path.display().to_string(),
            source: Arc::new(source),
        })?;
        self.add_text(&path.file_stem().unwrap_or_default().to_string_lossy(), text)
    }

    /// The names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.by_name.keys().copied()
    }

    /// Begins a call of the script named `name`.
    ///
    /// # Errors
    /// [`ScriptsError::Unknown`].
    pub fn call(&self, name: &str) -> Result<ScriptCall, ScriptsError> {
        match self.by_name.get(name) {
            Some(script) => Ok(ScriptCall::new(script)),
            None => Err(ScriptsError::Unknown {
                name: name.into(),
                known: self.names().collect(),
            }),
        }
    }

    /// Runs a call, as [`Store::call`] does; an error says which script it was.
    ///
    /// # Errors
    /// [`ScriptsError::Failed`] with what the store said.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the answer; the script may have run.
    pub async fn run(&self, store: &Store, call: &ScriptCall) -> Result<redis::Value, ScriptsError> {
        let failed = |source| ScriptsError::Failed {
            name: call.script().name(),
            source,
        };
        store.call(call).await.map_err(failed)
    }

    /// Has the server compile and keep every script: one round trip each, for the start of a program.
    ///
    /// # Errors
    /// [`ScriptsError::Load`] for the first that it does not take. Those before it are loaded.
    ///
    /// # Cancel safety
    /// Some are loaded, some are not; calls work either way.
    pub async fn load_all(&self, store: &Store) -> Result<(), ScriptsError> {
        for (name, script) in &self.by_name {
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(script.source(store.knows_shebang()));
            let loaded = store.run(&load).await;
            loaded.map_err(|source| ScriptsError::Load { name, source })?;
        }
        Ok(())
    }
}

fn check(name: &str) -> Result<&str, ScriptsError> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(is_allowed) {
        return Ok(name);
    }
    Err(ScriptsError::BadName { name: name.into() })
}
