//! What the server says of itself.

use std::sync::Arc;

/// Which run of which server a connection leads to. Another one means that what was acknowledged may be gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    /// Drawn at each start of the server; empty if it does not tell.
    pub run_id: Arc<str>,
    /// Drawn at each promotion of a replica; empty if it does not tell.
    pub replication_id: Arc<str>,
}

/// From `INFO server` and `INFO replication`.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerInfo {
    pub(super) generation: Generation,
    pub(super) version: Arc<str>,
    pub(super) major: u32,
    pub(super) is_primary: bool,
}

impl ServerInfo {
    pub(super) fn parse(info: &str) -> Self {
        // Valkey calls itself by `valkey_version` and keeps `redis_version` at the version it is compatible with.
        let version = field(info, "redis_version").unwrap_or_default();
        Self {
            generation: Generation {
                run_id: field(info, "run_id").unwrap_or_default().into(),
                replication_id: field(info, "master_replid").unwrap_or_default().into(),
            },
            version: version.into(),
            is_primary: field(info, "role") == Some("master"),
            major: version
                .split('.')
                .next()
                .and_then(|major| major.parse().ok())
                .unwrap_or(0),
        }
    }

    /// Whether scripts may begin with `#!lua`: from 7.0. A server that hides its version is taken to be a current one.
    pub(super) const fn knows_shebang(&self) -> bool {
        self.major == 0 || self.major >= 7
    }
}

/// The value of `name:value` in the text of `INFO`.
pub(crate) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read() {
        let info = ServerInfo::parse(
            "# Server\r\nredis_version:6.2.14\r\nrun_id:abc\r\n# Replication\r\nmaster_replid:def\r\n",
        );
        assert_eq!(
            (&*info.generation.run_id, &*info.generation.replication_id),
            ("abc", "def")
        );
        assert!(!info.knows_shebang());
        assert!(ServerInfo::parse("").knows_shebang());
    }
}
