//! Reading a [`StoreConfig`] from a URL, and writing it back without its secrets.

use std::{borrow::Cow, fmt, path::PathBuf};

use ::url::Url;

use super::{Resp, StoreConfig, Target, parse};
use crate::StoreError;

/// Schemes that are part of the design and come later, with what to say of them.
const LATER: &[&str] = &["rediss", "redis+sentinel", "redis+cluster", "redis+shards"];

/// How every error about the scheme begins.
const SCHEMES: &str = "a store's URL begins with `embedded:`, `redis://` or `redis+unix://`";

/// Parameters of a URL to a server.
const SERVER: &[&str] = &[
    "breaker_failures",
    "breaker_open_for",
    "client_name",
    "connect_timeout",
    "connections",
    "db",
    "idle_timeout",
    "max_attempts",
    "max_conn_age",
    "min_idle",
    "password",
    "pool_size",
    "pool_timeout",
    "read_timeout",
    "resp",
    "retry_delay",
    "retry_factor",
    "retry_jitter",
    "retry_max_delay",
    "username",
    "write_timeout",
];

/// Parameters of an `embedded:` URL.
const EMBEDDED: &[&str] = &["db", "fsync", "maxmemory", "policy"];

impl StoreConfig {
    /// Reads a store's URL.
    ///
    /// | URL | behind it |
    /// |---|---|
    /// | `embedded:`, `embedded:?maxmemory=100mb&policy=allkeys-lru&db=0` | a new engine in this process |
    /// | `redis://user:password@host:6379/0` | one Redis or Valkey; host `localhost`, port 6379, db 0 if left out |
    /// | `redis+unix:///path/to/socket?db=0` | one behind a Unix socket |
    ///
    /// A server's parameters are the setters of [`StoreConfig`] by name (`read_timeout=3s`, `pool_size=10`,
    /// `client_name=x`, `resp=2`, ..), those of [`RetryPolicy`](crate::RetryPolicy) as `max_attempts`, `retry_delay`,
    /// `retry_factor`, `retry_max_delay`, `retry_jitter`, and of [`BreakerPolicy`](crate::BreakerPolicy) as
    /// `breaker_failures`, `breaker_open_for`. Spans carry their unit.
    ///
    /// # Errors
    /// [`StoreError::Config`] for what cannot be meant: an unknown scheme or parameter (naming the nearest known one),
    /// a value that does not parse, two settings that contradict each other (naming both).
    /// [`StoreError::NotBuilt`] for `rediss://`, `redis+sentinel://`, `redis+cluster://`, `redis+shards://` and for a
    /// folder after `embedded:`, which are still to come.
    pub fn from_url(url: &str) -> Result<Self, StoreError> {
        let scheme = url
            .split_once(':')
            .map(|(scheme, _)| scheme.to_ascii_lowercase())
            .unwrap_or_default();
        if LATER.contains(&scheme.as_str()) {
            return Err(StoreError::NotBuilt {
                what: format!("`{scheme}://`"),
            });
        }
        let config = match scheme.as_str() {
            "embedded" => embedded(url),
            "redis" => tcp(&parsed(url)?),
            "redis+unix" | "unix" => unix(&parsed(url)?),
            "" => Err(StoreError::config(format!("{SCHEMES}; this one names none of them"))),
            _ => Err(StoreError::config(format!("{SCHEMES}, not with `{scheme}:`"))),
        }?;
        config.validate()?;
        Ok(config)
    }
}

/// The URL's parts. What does not parse is not shown, for it may hold a password.
fn parsed(url: &str) -> Result<Url, StoreError> {
    Url::parse(url).map_err(|error| StoreError::config(format!("the store's URL cannot be read: {error}")))
}

fn embedded(url: &str) -> Result<StoreConfig, StoreError> {
    let rest = &url["embedded:".len()..];
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut config = StoreConfig::embedded();
    if let (Target::Embedded { folder, .. }, false) = (&mut config.target, path.is_empty()) {
        *folder = Some(PathBuf::from(decoded(path)?.into_owned()));
    }
    for (name, value) in ::url::form_urlencoded::parse(query.as_bytes()) {
        set_embedded(&mut config, &name, &value)?;
    }
    if let Target::Embedded {
        folder: None,
        fsync: Some(_),
        ..
    } = config.target
    {
        return Err(StoreError::config(
            "`fsync` is about a log in a folder, and the URL names none: embedded:./data?fsync=everysec",
        ));
    }
    Ok(config)
}

fn set_embedded(config: &mut StoreConfig, name: &str, value: &str) -> Result<(), StoreError> {
    let Target::Embedded {
        maxmemory,
        policy,
        fsync,
        ..
    } = &mut config.target
    else {
        unreachable!("called for an embedded target")
    };
    match name {
        "fsync" if ["always", "everysec", "no"].contains(&value) => *fsync = Some(value.to_owned()),
        "fsync" => {
            let text = format!("`fsync={value}`: it is always, everysec or no");
            return Err(StoreError::config(text));
        }
        "maxmemory" => *maxmemory = parse::size(name, value)?,
        "policy" => *policy = Some(value.to_owned()),
        "db" => config.db = parse::number(name, value)?,
        _ => return Err(unknown(name, EMBEDDED)),
    }
    Ok(())
}

/// An `@` behind the address: what stands before it is the rest of a password, and is not shown.
fn has_torn_password(url: &Url) -> bool {
    let has_at = |text: &str| text.contains('@');
    has_at(url.path()) || url.fragment().is_some_and(has_at) || url.query_pairs().any(|(name, _)| has_at(&name))
}

fn tcp(url: &Url) -> Result<StoreConfig, StoreError> {
    if has_torn_password(url) {
        return Err(StoreError::config(
            "the store's URL has an `@` behind its address: in a user name or password `/` is written %2F, `?` %3F, `#` %23, \
             `@` %40, and a URL begins with `redis://`",
        ));
    }
    let host = url.host_str().filter(|host| !host.is_empty()).unwrap_or("localhost");
    // The URL keeps the brackets of an IPv6 address, a resolver does not want them.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut config = StoreConfig::tcp(host, url.port().unwrap_or(6379));
    let db = url.path().trim_start_matches('/');
    if !db.is_empty() {
        config.db = db.parse().map_err(|_| {
            StoreError::config(format!(
                "`/{db}`: what follows the address is the number of the database, such as /0"
            ))
        })?;
    }
    credentials(url, &mut config)?;
    let db_in_path = !db.is_empty();
    for (name, value) in url.query_pairs() {
        if name == "db" && db_in_path {
            return Err(StoreError::config(
                "the database is given twice: after the address and as `db`",
            ));
        }
        set_server(&mut config, &name, &value)?;
    }
    Ok(config)
}

fn unix(url: &Url) -> Result<StoreConfig, StoreError> {
    let path = decoded(url.path())?;
    if path.is_empty() || path == "/" {
        return Err(StoreError::config(
            "`redis+unix://` needs the path of a socket: redis+unix:///run/redis.sock",
        ));
    }
    let mut config = StoreConfig::unix(PathBuf::from(path.into_owned()));
    credentials(url, &mut config)?;
    for (name, value) in url.query_pairs() {
        set_server(&mut config, &name, &value)?;
    }
    Ok(config)
}

fn credentials(url: &Url, config: &mut StoreConfig) -> Result<(), StoreError> {
    if !url.username().is_empty() {
        config.username = Some(decoded(url.username())?.into_owned());
    }
    if let Some(password) = url.password() {
        config.password = Some(super::Secret::new(decoded(password)?.into_owned()));
    }
    Ok(())
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Result<Cow<'_, str>, StoreError> {
    let wrong = || StoreError::config("the store's URL has a `%` that is not followed by two hex digits of UTF-8 text");
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = tail;
            continue;
        }
        let pair = tail
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .ok_or_else(wrong)?;
        bytes.push(u8::from_str_radix(pair, 16).map_err(|_| wrong())?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| wrong())
}

fn set_server(config: &mut StoreConfig, name: &str, value: &str) -> Result<(), StoreError> {
    match name {
        "db" => config.db = parse::number(name, value)?,
        "username" => once(name, &mut config.username, value.to_owned())?,
        "password" => once(name, &mut config.password, super::Secret::new(value.to_owned()))?,
        "client_name" => config.client_name = Some(value.to_owned()),
        "resp" => config.resp = resp(value)?,
        "connections" => config.connections = parse::number(name, value)?,
        "pool_size" => config.pool.size = parse::number(name, value)?,
        "min_idle" => config.pool.min_idle = parse::number(name, value)?,
        "max_conn_age" => config.pool.max_age = Some(parse::span(name, value)?),
        "idle_timeout" => config.pool.idle_timeout = Some(parse::span(name, value)?),
        "pool_timeout" => config.pool.timeout = parse::span(name, value)?,
        "connect_timeout" => config.connect_timeout = parse::span(name, value)?,
        "read_timeout" => config.read_timeout = parse::span(name, value)?,
        "write_timeout" => config.write_timeout = Some(parse::span(name, value)?),
        "max_attempts" => config.retry.max_attempts = parse::number(name, value)?,
        "retry_delay" => config.retry.delay = parse::span(name, value)?,
        "retry_factor" => config.retry.factor = parse::number(name, value)?,
        "retry_max_delay" => config.retry.max_delay = parse::span(name, value)?,
        "retry_jitter" => config.retry.jitter = parse::number(name, value)?,
        "breaker_failures" => config.breaker.failures = parse::number(name, value)?,
        "breaker_open_for" => config.breaker.open_for = parse::span(name, value)?,
        _ => return Err(unknown(name, SERVER)),
    }
    Ok(())
}

fn once<T>(name: &str, slot: &mut Option<T>, value: T) -> Result<(), StoreError> {
    if slot.replace(value).is_some() {
        return Err(StoreError::config(format!(
            "the {name} is given twice: before the `@` and as `{name}`"
        )));
    }
    Ok(())
}

fn resp(value: &str) -> Result<Resp, StoreError> {
    match value {
        "2" => Ok(Resp::V2),
        "3" => Ok(Resp::V3),
        _ => Err(StoreError::config(format!(
            "`resp={value}`: the protocol versions are 2 and 3"
        ))),
    }
}

fn unknown(name: &str, known: &[&str]) -> StoreError {
    let nearest = parse::nearest(name, known);
    StoreError::config(format!(
        "unknown parameter `{name}` in the store's URL: did you mean `{nearest}`? (known: {})",
        known.join(", ")
    ))
}

/// The URL without parameters, `***` in place of the password.
impl fmt::Display for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.username.as_deref().unwrap_or_default();
        let at = match &self.password {
            Some(hidden) => format!("{user}:{hidden}@"),
            None => String::new(),
        };
        match &self.target {
            Target::Embedded { folder, .. } => match folder {
                Some(folder) => write!(f, "embedded:{}", folder.display()),
                None => f.write_str("embedded:"),
            },
            Target::Tcp { host, port } if host.contains(':') => write!(f, "redis://{at}[{host}]:{port}/{}", self.db),
            Target::Tcp { host, port } => write!(f, "redis://{at}{host}:{port}/{}", self.db),
            Target::Unix { path } => write!(f, "redis+unix://{at}{}?db={}", path.display(), self.db),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn config(url: &str) -> StoreConfig {
        StoreConfig::from_url(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn error(url: &str) -> String {
        StoreConfig::from_url(url).expect_err(url).to_string()
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let config = config("redis://");
        assert_eq!(
            config.target,
            Target::Tcp {
                host: "localhost".into(),
                port: 6379
            }
        );
        assert_eq!((config.db, config.connections, config.resp), (0, 1, Resp::V3));
        assert_eq!((config.pool.size, config.pool.min_idle), (10, 0));
        assert_eq!(config.connect_timeout, Duration::from_secs(5));
        assert_eq!(config.command_deadline(), Duration::from_secs(6));
        assert_eq!(config.retry.max_attempts, 3);
        assert!(config.username.is_none() && config.password.is_none() && config.client_name.is_none());
    }

    #[test]
    fn every_parameter_of_a_server_is_read() {
        let url = "redis://u:p%40w@h:1/2?client_name=n&resp=2&connections=2&pool_size=4&min_idle=1&max_conn_age=1h\
                   &idle_timeout=1m&pool_timeout=1s&connect_timeout=2s&read_timeout=100ms&write_timeout=200ms\
                   &max_attempts=5&retry_delay=1ms&retry_factor=3&retry_max_delay=9ms&retry_jitter=0.5\
                   &breaker_failures=7&breaker_open_for=3s";
        let config = config(url);
        assert_eq!(config.password.as_ref().map(super::super::Secret::expose), Some("p@w"));
        assert_eq!((config.db, config.resp, config.connections), (2, Resp::V2, 2));
        assert_eq!((config.pool.size, config.pool.min_idle), (4, 1));
        assert_eq!(config.command_deadline(), Duration::from_millis(300));
        assert_eq!((config.retry.max_attempts, config.retry.factor), (5, 3.0));
        assert_eq!(config.breaker.failures, 7);
    }

    #[test]
    fn a_password_is_shown_by_nothing() {
        let config = config("redis://user:hunter2@h/1");
        assert_eq!(config.to_string(), "redis://user:***@h:6379/1");
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(!error("redis://user:hunter2@h:notaport/1").contains("hunter2"));
        for torn in [
            "redis://user:a@b/hunter2@h:6379",
            "redis://user/hunter2@h",
            "redis://user?hunter2@h/0",
            "redis://user#hunter2@h",
            "redis:user:hunter2@h",
        ] {
            let said = error(torn);
            assert!(said.contains("%2F") && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn unix_sockets_and_engines() {
        assert_eq!(
            config("redis+unix:///run/r.sock?db=3").to_string(),
            "redis+unix:///run/r.sock?db=3"
        );
        let Target::Embedded {
            maxmemory,
            policy,
            folder,
            fsync,
        } = config("embedded:?maxmemory=100mb&policy=allkeys-lru").target
        else {
            panic!("not embedded")
        };
        assert_eq!((maxmemory, policy.as_deref()), (100 << 20, Some("allkeys-lru")));
        assert_eq!((folder, fsync), (None, None));
        let with_log = config("embedded:./my%20data?fsync=always");
        assert_eq!(with_log.to_string(), "embedded:./my data");
        let Target::Embedded { folder, fsync, .. } = with_log.target else {
            panic!("not embedded")
        };
        assert_eq!(folder, Some(PathBuf::from("./my data")));
        assert_eq!(fsync.as_deref(), Some("always"));
        assert_eq!(config("redis://[::1]:7/0").address().as_ref(), "::1:7");
    }

    #[test]
    fn what_comes_later_says_so_by_name() {
        for scheme in [
            "rediss://h",
            "redis+sentinel://h1:1,h2:2/m/0",
            "redis+cluster://a:1,b:2",
            "redis+shards://a:1,b:2",
        ] {
            let text = error(scheme);
            assert!(
                text.contains("not built yet") && text.contains(scheme.split(':').next().unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn slips_are_named() {
        assert!(error("redis://h?pool_sise=3").contains("`pool_size`"));
        assert!(error("embedded:?max_memory=3").contains("`maxmemory`"));
        assert!(error("embedded:./data?fsync=sometimes").contains("everysec"));
        assert!(error("embedded:?fsync=always").contains("embedded:./data"));
        assert!(error("redis://h/zero").contains("/0"));
        assert!(error("postgres://h").contains("embedded:"));
        assert!(error("localhost").contains("redis://"));
    }

    #[test]
    fn contradictions_name_both_settings() {
        let both = |url: &str, a: &str, b: &str| {
            let text = error(url);
            assert!(text.contains(a) && text.contains(b), "{text}");
        };
        both("redis://h?min_idle=20", "min_idle", "pool_size");
        both("redis://u@h", "username", "password");
        both(
            "redis://h?retry_delay=2s&retry_max_delay=1s",
            "retry_delay",
            "retry_max_delay",
        );
        both("redis://h/1?db=2", "after the address", "`db`");
        both("redis://u:p@h?password=q", "before the `@`", "`password`");
    }
}
