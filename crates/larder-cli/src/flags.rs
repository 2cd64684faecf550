//! Flags that several commands share.

use std::time::Duration;

use clap::Args;
use larder::{Pool, PoolConfig, SqlTable, Store};
use larder_store::{StoreConfig, StoreError};

use crate::{
    context::Context,
    failure::{Failure, OrHint as _, Outcome},
};

/// The store of a command that makes its own data (demo, bench, verify, serve).
///
/// It does not read `LARDER_STORE`: a tour must not write into a live store because a shell happens to name one.
#[derive(Args, Clone, Debug)]
pub(crate) struct OwnStore {
    /// Store to run on: `embedded:` (an engine in this process, gone afterwards), `redis://HOST:PORT/DB`,
    /// `redis+unix:///PATH`, or `env:` for the REDIS_* variables.
    #[arg(long, value_name = "URL", default_value = "embedded:")]
    pub(crate) store: String,
}

impl OwnStore {
    /// Opens it.
    pub(crate) async fn open(&self) -> Outcome<Store> {
        Self::connect(self.config()?).await
    }

    /// Its settings, for a command that changes some and connects more than once.
    pub(crate) fn config(&self) -> Outcome<StoreConfig> {
        config(&self.store).or_while("--store cannot be used")
    }

    /// Opens a store with these settings.
    pub(crate) async fn connect(config: StoreConfig) -> Outcome<Store> {
        let hint = "start a server there, or leave out --store to run on the engine in this process";
        connect(config, hint).await
    }
}

/// The store of a command that operates a live cache: it has no default, for `embedded:` would be empty.
#[derive(Args, Clone, Debug)]
pub(crate) struct LiveStore {
    /// Store to operate on: `redis://HOST:PORT/DB`, `redis+unix:///PATH`, or `env:` for the REDIS_* variables.
    #[arg(long, value_name = "URL", env = "LARDER_STORE", hide_env_values = true)]
    store: Option<String>,
}

impl LiveStore {
    /// What to try when nobody answers.
    pub(crate) const HINT: &str = "check that the server runs, and --store or LARDER_STORE";

    /// The URL that was given.
    fn url(&self) -> Outcome<&str> {
        let hint = "add --store redis://127.0.0.1:6379, or set LARDER_STORE";
        let url = self
            .store
            .as_deref()
            .ok_or_else(|| Failure::usage("this command works on a live store, and none was named").hint(hint))?;
        match url.strip_prefix("embedded:") {
            None => Ok(url),
            Some(memory) if memory.is_empty() || memory.starts_with('?') => {
                Err(Failure::usage("`embedded:` is an engine that was just made: nothing is in it").hint(hint))
            }
            Some(_) => Err(
                Failure::usage("`embedded:FOLDER` is an engine of the one process that has the folder open").hint(
                    "once that process has ended: larder serve --dir FOLDER --appendfsync always, and --store with the address it serves",
                ),
            ),
        }
    }

    /// Opens it.
    pub(crate) async fn open(&self) -> Outcome<Store> {
        connect(self.config()?, Self::HINT).await
    }

    /// The store, not yet asked whether anybody answers (but for `env:`, which is).
    pub(crate) async fn lazy(&self) -> Outcome<Store> {
        match self.url()? {
            "env:" => self.open().await,
            // Its settings first, so that what is wrong with them is told in the same words everywhere.
            url => self.config().and_then(|_| Ok(Store::lazy(url)?)),
        }
    }

    fn config(&self) -> Outcome<StoreConfig> {
        config(self.url()?).or_while("the store of --store or LARDER_STORE cannot be used")
    }
}

/// The settings that `url` stands for; `env:` is what the REDIS_* variables say. What cannot be meant is wrong usage.
fn config(url: &str) -> Outcome<StoreConfig> {
    let config = match url {
        "env:" => StoreConfig::from_env(),
        url => StoreConfig::from_url(url),
    };
    config.map_err(|error| Failure::from(error).into_usage())
}

/// Opens the store; a server that cannot be reached is a failure, and `hint` is for that.
async fn connect(config: StoreConfig, hint: &str) -> Outcome<Store> {
    Store::connect(config).await.map_err(|error: StoreError| match error {
        error if error.is_config() => Failure::from(error).into_usage(),
        error => Failure::from(error).hint(hint),
    })
}

/// The database, for a command that works on one.
#[derive(Args, Clone, Debug)]
pub(crate) struct Database {
    /// The database: a path, sqlite:PATH, or postgres://USER:PASSWORD@HOST/NAME.
    #[arg(long, value_name = "URL", env = "LARDER_DB", hide_env_values = true)]
    db: String,
}

impl Database {
    /// Opens the database, with more settings if need be.
    pub(crate) async fn open(&self, context: &Context, more: impl FnOnce(PoolConfig) -> PoolConfig) -> Outcome<Pool> {
        const HINT: &str =
            "--db takes a path, sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME of an existing database";
        let config = PoolConfig::new(&self.db).clock(context.clock.clone());
        more(config).open().await.or_hint(HINT)
    }
}

/// The table of a database, for a command that works on one.
#[derive(Args, Clone, Debug)]
pub(crate) struct Table {
    #[command(flatten)]
    database: Database,
    /// The table; one off PostgreSQL's search path is named SCHEMA.TABLE.
    #[arg(long = "table", value_name = "TABLE")]
    pub(crate) name: String,
    /// A column that finds a row, instead of the primary key; several make a composite key.
    #[arg(long, value_name = "COLUMN")]
    key: Vec<String>,
}

impl Table {
    /// Opens the database, with more settings if need be. The table is not looked at yet.
    pub(crate) async fn open(
        &self,
        context: &Context,
        more: impl FnOnce(PoolConfig) -> PoolConfig,
    ) -> Outcome<(Pool, SqlTable)> {
        let pool = self.database.open(context, more).await?;
        let table = SqlTable::new(pool.clone(), &self.name);
        let table = match self.key.as_slice() {
            [] => table,
            columns => table.key_columns(columns),
        };
        Ok((pool, table))
    }
}

/// The units a span may be given in, longest suffix first, in nanoseconds.
const UNITS: [(&str, f64); 5] = [("ms", 1e6), ("us", 1e3), ("µs", 1e3), ("m", 60e9), ("s", 1e9)];

/// The longest span a flag takes: one hour. Longer is a slip of the keyboard.
const SPAN_MAX: f64 = 3_600e9;

/// Reads `2s`, `1.5s`, `50ms`, `200us` or `1m`; `0` needs no unit.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let unit = UNITS
        .iter()
        .find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)));
    let nanos = unit.and_then(|(number, size)| Some(number.trim().parse::<f64>().ok()? * size));
    match nanos {
        Some(nanos) if (0.0..=SPAN_MAX).contains(&nanos) => Ok(Duration::from_nanos(nanos as u64)),
        Some(_) => Err("must be between 0 and 60m".to_owned()),
        None => Err("must be a number with a unit (us, ms, s or m), such as 2s or 50ms".to_owned()),
    }
}

/// Reads an address to listen on, `HOST:PORT`. Whether there is such a host is seen when it is used.
pub(crate) fn address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("must be HOST:PORT with a port of 0 to 65535, such as 127.0.0.1:6379".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for right in ["127.0.0.1:0", "[::1]:6379", "localhost:65535"] {
            assert_eq!(address(right).as_deref(), Ok(right));
        }
        for wrong in ["", "foo", ":6379", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x"] {
            assert!(address(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn spans_are_read_with_their_unit() {
        assert_eq!(span("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(span("1.5ms"), Ok(Duration::from_micros(1_500)));
        assert_eq!(span("3m"), Ok(Duration::from_secs(180)));
        assert_eq!(span("0"), Ok(Duration::ZERO));
        for wrong in ["2", "s", "-1s", "2h", "61m", "NaNs", ""] {
            assert!(span(wrong).is_err(), "{wrong:?}");
        }
    }
}
