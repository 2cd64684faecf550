//! Scripts by name.

use std::path::Path;

use larder_store::{ScriptCall, ScriptHandle, ScriptsError};

use super::Store;
use crate::redis::Value;

/// [`larder::Scripts`](crate::Scripts), blocking: the scripts of a program by name.
///
/// ```
/// use larder::{Script, blocking::{Scripts, Store}, redis::Value};
///
/// static ADD: Script = Script::new("stock_add", "return redis.call('INCRBY', KEYS[1], ARGV[1])");
///
/// # fn main() -> Result<(), larder::BoxError> {
/// let store = Store::open("embedded:")?;
/// let mut scripts = Scripts::new();
/// scripts.add(&ADD)?;
/// scripts.load_all(&store)?;
/// let left = scripts.run(&store, &scripts.call("stock_add")?.key("stock:7").int(5))?;
/// assert_eq!(left, Value::Int(5));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scripts {
    scripts: larder_store::Scripts,
}

impl Scripts {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a script: a `static` one, or one loaded at run time.
    ///
    /// # Errors
    /// As [the async face's](crate::Scripts::add).
    pub fn add(&mut self, script: impl Into<ScriptHandle>) -> Result<(), ScriptsError> {
        self.scripts.add(script)
    }

    /// Adds a script by its text.
    ///
    /// # Errors
    /// As [the async face's](crate::Scripts::add_text).
    pub fn add_text(&mut self, name: &str, text: impl Into<String>) -> Result<(), ScriptsError> {
        self.scripts.add_text(name, text)
    }

    /// Adds the script in a file, under the file's name without its extension.
    ///
    /// # Errors
    /// As [the async face's](crate::Scripts::add_file).
    pub fn add_file(&mut self, path: impl AsRef<Path>) -> Result<(), ScriptsError> {
        self.scripts.add_file(path)
    }

    /// The names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.scripts.names()
    }

    /// Begins a call of the script named `name`, for [`run`](Self::run) or [`Store::call`].
    ///
    /// # Errors
    /// As [the async face's](crate::Scripts::call).
    pub fn call(&self, name: &str) -> Result<ScriptCall, ScriptsError> {
        self.scripts.call(name)
    }

    /// Runs a call, as [`Store::call`] does; an error says which script it was.
    ///
    /// # Errors
    /// As [the async method](crate::Scripts::run).
    #[track_caller]
    pub fn run(&self, store: &Store, call: &ScriptCall) -> Result<Value, ScriptsError> {
        store.on.wait(self.scripts.run(store.as_async(), call))
    }

    /// Has the server compile and keep every script: one round trip each, for the start of a program.
    ///
    /// # Errors
    /// As [the async method](crate::Scripts::load_all).
    #[track_caller]
    pub fn load_all(&self, store: &Store) -> Result<(), ScriptsError> {
        store.on.wait(self.scripts.load_all(store.as_async()))
    }
}
