//! How a store is: reachable, how fast, how full.

use std::{fmt, time::Duration};

use redis::Value;

use crate::{BreakerState, Generation, Store, StoreError, info};

/// What [`Store::health`] found. What the server does not tell is `None`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// The address, without credentials.
    pub address: String,
    /// How long a `PING` took, or why there was no answer.
    pub latency: Result<Duration, StoreError>,
    /// What the breaker lets pass; always closed of an embedded store.
    pub breaker: BreakerState,
    /// Such as `7.0.15`.
    pub server_version: Option<String>,
    /// Which run of which server this is.
    pub generation: Generation,
    /// Seconds since the server's start.
    pub uptime: Option<Duration>,
    /// Bytes in use.
    pub memory_used: Option<u64>,
    /// Bytes at most; `None` is no bound, or unknown.
    pub memory_max: Option<u64>,
    /// What is evicted when memory is full, such as `allkeys-lru`.
    pub eviction_policy: Option<String>,
    /// Connections to the server, everybody's.
    pub clients: Option<u64>,
    /// `master` or `slave`, in the server's words.
    pub role: Option<String>,
    /// Replicas connected to it.
    pub replicas: Option<u64>,
    /// Of a replica: whether it is connected to its primary.
    pub primary_link_up: Option<bool>,
    /// Keys removed for want of memory since the start.
    pub evicted_keys: Option<u64>,
}

impl Health {
    /// Whether nothing is wrong: see [`problems`](Self::problems).
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.problems().is_empty()
    }

    /// Whether the store answers, be it degraded.
    #[must_use]
    pub const fn is_reachable(&self) -> bool {
        self.latency.is_ok()
    }

    /// What is wrong, in words; empty if nothing is.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Err(error) = &self.latency {
            problems.push(format!("unreachable: {error}"));
        }
        if self.breaker != BreakerState::Closed {
            problems.push("the breaker is open after repeated failures".to_owned());
        }
        if self.primary_link_up == Some(false) {
            problems.push("a replica that lost its primary: what it serves may be old".to_owned());
        }
        if let Some(share) = self.memory_share()
            && share >= NEARLY_FULL
            && self.eviction_policy.as_deref() == Some("noeviction")
        {
            problems.push(format!(
                "memory is {:.0} % full and nothing is evicted: writes will fail",
                share * 100.0
            ));
        }
        problems
    }

    /// Used memory as a share of the bound, if there is one.
    #[must_use]
    pub fn memory_share(&self) -> Option<f64> {
        let max = self.memory_max.filter(|&max| max > 0)?;
        Some(self.memory_used? as f64 / max as f64)
    }
}

/// From here on a store that evicts nothing is about to refuse writes.
const NEARLY_FULL: f64 = 0.95;

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = self.problems();
        match &self.latency {
            Ok(latency) => write!(f, "{} answers in {latency:?}", self.address)?,
            Err(_) => write!(f, "{}", self.address)?,
        }
        if problems.is_empty() {
            Ok(())
        } else {
            write!(f, "; {}", problems.join("; "))
        }
    }
}

impl Store {
    /// Looks at the store: one `PING` and one `INFO`. It never fails; what is wrong is in the answer.
    pub async fn health(&self) -> Health {
        let latency = self.ping().await;
        let text = match &latency {
            Ok(_) => self.info().await,
            Err(_) => String::new(),
        };
        let number = |name| info::field(&text, name).and_then(|value| value.parse::<u64>().ok());
        let word = |name| info::field(&text, name).map(str::to_owned);
        Health {
            address: self.config().address().to_string(),
            latency,
            breaker: self.breaker(),
            server_version: word("valkey_version").or_else(|| word("redis_version")),
            generation: Generation::parse(&text),
            uptime: number("uptime_in_seconds").map(Duration::from_secs),
            memory_used: number("used_memory"),
            memory_max: number("maxmemory").filter(|&max| max > 0),
            eviction_policy: word("maxmemory_policy"),
            clients: number("connected_clients"),
            role: word("role"),
            replicas: number("connected_slaves"),
            primary_link_up: info::field(&text, "master_link_status").map(|status| status == "up"),
            evicted_keys: number("evicted_keys"),
        }
    }

    /// The text of `INFO`; empty if there is none to be had.
    async fn info(&self) -> String {
        let reply = self.execute(&redis::cmd("INFO")).await;
        info::text(reply.unwrap_or(Value::Nil))
    }
}
