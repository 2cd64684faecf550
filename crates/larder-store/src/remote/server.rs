//! What the server says of itself when we connect.

use std::sync::Arc;

use crate::{Generation, info};

/// From `INFO server` and `INFO replication`.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerInfo {
    pub(super) generation: Generation,
    pub(super) version: Arc<str>,
    pub(super) major: u32,
    pub(super) is_primary: bool,
}

impl ServerInfo {
    pub(super) fn parse(text: &str) -> Self {
        // Valkey keeps `redis_version` at the version that it is compatible with, which is what counts here.
        let version = info::field(text, "redis_version").unwrap_or_default();
        Self {
            generation: Generation::parse(text),
            version: version.into(),
            major: version
                .split('.')
                .next()
                .and_then(|major| major.parse().ok())
                .unwrap_or(0),
            is_primary: info::field(text, "role") == Some("master"),
        }
    }

    /// Whether it is known to be a replica: a server that hides its role is taken for a primary.
    pub(super) fn is_replica(&self) -> bool {
        !self.is_primary && !self.generation.replication_id.is_empty()
    }

    /// Whether scripts may begin with `#!lua`: from 7.0. A server that hides its version is taken to be a current one.
    pub(super) const fn knows_shebang(&self) -> bool {
        self.major == 0 || self.major >= 7
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read() {
        let info =
            ServerInfo::parse("# Server\r\nredis_version:6.2.14\r\nrun_id:abc\r\nrole:master\r\nmaster_replid:def\r\n");
        assert_eq!(
            (&*info.generation.run_id, &*info.generation.replication_id),
            ("abc", "def")
        );
        assert!(info.is_primary && !info.knows_shebang());
        assert!(ServerInfo::parse("").knows_shebang());
    }
}
