//! Items, pages of them, and the place where a page ends.

use std::{fmt, str::FromStr, sync::Arc};

use larder_base::{CacheKey, WrittenKey};
use redis::Value;

use super::{ITEM_MAX, TimelineError};
use crate::reply;

/// An item and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item<I> {
    /// What it is: the id of a post, say.
    pub id: I,
    /// Its position: the higher, the newer.
    pub at: u64,
}

/// What became of an item that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Added {
    /// It is in the timeline.
    New,
    /// It was there already, and stays where it is.
    Known,
    /// It was removed a while ago, and stays so.
    Removed,
    /// It is older than all that the timeline keeps.
    TooOld,
}

/// Items, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<I> {
    /// The items; of one position in an order that is always the same.
    pub items: Vec<Item<I>>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<Cursor>,
}

/// A place in a timeline: right after an item, whether or not that is still there. As text it may be handed to a client
/// and taken back; it says no more than the item's id and position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) at: u64,
    pub(super) item: Arc<str>,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.at, self.item)
    }
}

impl FromStr for Cursor {
    type Err = TimelineError;

    fn from_str(text: &str) -> Result<Self, TimelineError> {
        let read = || {
            let (at, item) = text.split_once(':')?;
            let at = position(at.parse().ok()?).ok()?;
            (item.len() <= ITEM_MAX).then(|| Self { at, item: item.into() })
        };
        read().ok_or_else(|| TimelineError::BadCursor { text: text.into() })
    }
}

/// An item as it is written.
pub(super) fn written<I: CacheKey>(item: &I) -> Result<WrittenKey, TimelineError> {
    let written = WrittenKey::of(item);
    match written.full().len() {
        bytes if bytes > ITEM_MAX => Err(TimelineError::ItemTooLong { bytes }),
        _ => Ok(written),
    }
}

/// A position that a sorted set keeps exactly.
pub(super) fn position(at: u64) -> Result<u64, TimelineError> {
    if at < 1 << 53 {
        Ok(at)
    } else {
        Err(TimelineError::BadPosition { at })
    }
}

/// An item as it stands in a reply.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Raw<'a> {
    // The order of the fields is that of timelines, reversed.
    pub(super) at: u64,
    pub(super) item: &'a [u8],
}

/// The pairs of a reply of `page.lua`.
pub(super) fn raw<'a>(reply: &'a Value, script: &'static str) -> Result<Vec<Raw<'a>>, TimelineError> {
    let pairs = reply::items(reply, 0, script)?.chunks_exact(2);
    let read = |pair: &'a [Value]| match &pair[0] {
        Value::BulkString(item) => Ok(Raw {
            at: reply::integer(&pair[1])?.unsigned_abs(),
            item,
        }),
        _ => Err(reply::unexpected(script).into()),
    };
    pairs.map(read).collect()
}

impl<I: CacheKey> Page<I> {
    /// A page of what was asked for `count` of.
    pub(super) fn of(found: &[Raw<'_>], count: usize) -> Result<Self, TimelineError> {
        let items = found.iter().map(Item::parse).collect::<Result<_, _>>()?;
        let last = found.last().filter(|_| found.len() >= count);
        let cursor = |last: &Raw<'_>| Cursor {
            at: last.at,
            item: String::from_utf8_lossy(last.item).into(),
        };
        Ok(Self {
            items,
            next: last.map(cursor),
        })
    }
}

impl<I: CacheKey> Item<I> {
    fn parse(raw: &Raw<'_>) -> Result<Self, TimelineError> {
        let id = WrittenKey::parse(raw.item).ok_or_else(|| TimelineError::OtherType {
            item: String::from_utf8_lossy(raw.item).into(),
        })?;
        Ok(Self { id, at: raw.at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_nothing_else_is() {
        let cursor = Cursor {
            at: 1_700_000_000_000,
            item: "eu:7".into(),
        };
        assert_eq!(cursor.to_string().parse::<Cursor>().ok(), Some(cursor));
        for bad in ["", "7", "-1:a", "x:y", "9007199254740992:a", "1.5:a"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
        assert!(format!("1:{}", "x".repeat(ITEM_MAX + 1)).parse::<Cursor>().is_err());
    }
}
