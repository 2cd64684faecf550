//! Noticing that a server changed its part while the connection to it stayed.
//!
//! A replica that is promoted keeps its clients, and so does a primary that is demoted and promoted again. What it
//! acknowledged last, or what the primary before it did, may be gone, and no error tells.

use std::time::Duration;

use redis::Value;

use super::{line::Line, link::Link, request::One, server::ServerInfo};
use crate::info;

/// How often a server is asked: a change goes unnoticed for this long at most, at some 20 µs of the server each.
const EVERY: Duration = Duration::from_secs(1);

impl Line {
    /// Returns when the server is no longer what it was when the connection began: its role or its replication id is
    /// another one; and after a while where the connection leads to a replica that used to be the primary, for its
    /// address may lead to its successor by then. Never of a server that does not tell.
    pub(super) async fn changed(&self, link: &Link) {
        let before = &link.server;
        if before.generation.replication_id.is_empty() {
            return std::future::pending().await;
        }
        loop {
            self.config.clock.sleep(EVERY).await;
            if self.is_astray(link) {
                tracing::info!(address = %self.address, "still at a replica that was the primary: connecting anew");
                return;
            }
            let Some(now) = self.ask_role(link).await else { continue };
            if now.is_primary != before.is_primary || now.generation.replication_id != before.generation.replication_id
            {
                let is_primary = now.is_primary;
                tracing::info!(address = %self.address, is_primary, "the server changed its part: connecting anew");
                return;
            }
        }
    }

    async fn ask_role(&self, link: &Link) -> Option<ServerInfo> {
        let mut ask = redis::cmd("INFO");
        ask.arg("replication");
        let reply: Value = self.carry(&One(&ask), &mut link.conn()).await.ok()?;
        let now = ServerInfo::parse(&info::text(reply));
        (!now.generation.replication_id.is_empty()).then_some(now)
    }
}
