//! The value that is read: a small record, as a row of a table gives it.

use serde::{Deserialize, Serialize};

/// A row of the imagined table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) team: u32,
}

impl User {
    pub(crate) fn number(id: u64) -> Self {
        Self {
            id,
            name: format!("Ada Lovelace {id}"),
            email: format!("ada.{id}@example.org"),
            team: (id % 100) as u32,
        }
    }
}
