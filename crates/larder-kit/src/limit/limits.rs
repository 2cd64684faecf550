//! The limits that are checked as one, each under its name.

use std::sync::Arc;

use super::{Limit, LimitError};

/// The most limits that one limiter checks as one: each costs the server some microseconds in every call.
pub const LIMITS_MAX: usize = 8;

/// Limits that are checked as one: a call passes all of them, or is charged to none.
///
/// ```
/// use larder_kit::limit::{FixedWindow, Gcra, Limits};
///
/// let limits = Limits::new()
///     .limit(Gcra::per_second(50))
///     .limit_as("daily", FixedWindow::per_day(100_000))
///     .limit_as("hourly", FixedWindow::per_hour(10_000));
/// assert_eq!(limits.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["gcra", "daily", "hourly"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Limits {
    list: Vec<Named>,
    /// What is wrong with the first that cannot be used: it is said where they are.
    wrong: Option<LimitError>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: Arc<str>,
    pub(super) limit: Limit,
}

impl Limits {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more, under the name of its kind: `gcra`, `fixed`, `counter`, `log`.
    #[must_use]
    pub fn limit<L: TryInto<Limit, Error: Into<LimitError>>>(self, limit: L) -> Self {
        self.add(None, limit.try_into().map_err(Into::into))
    }

    /// One more, under a name of its own (`[a-z0-9_.-]+`): it is part of the key, so what is charged to it stays when its
    /// numbers change.
    #[must_use]
    pub fn limit_as<L: TryInto<Limit, Error: Into<LimitError>>>(self, name: &str, limit: L) -> Self {
        self.add(Some(name), limit.try_into().map_err(Into::into))
    }

    /// Each name with its limit, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Limit)> {
        self.list.iter().map(|named| (&*named.name, named.limit))
    }

    pub(super) fn add(mut self, name: Option<&str>, limit: Result<Limit, LimitError>) -> Self {
        match limit {
            Ok(limit) => self.list.push(Named {
                name: name.unwrap_or(limit.kind.name).into(),
                limit,
            }),
            Err(error) => _ = self.wrong.get_or_insert(error),
        }
        self
    }

    /// Them, if they can be used together.
    pub(super) fn checked(self) -> Result<Arc<[Named]>, LimitError> {
        if let Some(error) = self.wrong {
            return Err(error);
        }
        if self.list.is_empty() {
            return Err(LimitError::config(
                "no limit is given; add one with `.limit(Gcra::per_second(100))`",
            ));
        }
        if self.list.len() > LIMITS_MAX {
            let what = format!(
                "{} limits are more than the {LIMITS_MAX} that are checked as one",
                self.list.len()
            );
            return Err(LimitError::config(what));
        }
        for (at, Named { name, .. }) in self.list.iter().enumerate() {
            let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_allowed) {
                let what = format!("the limit's name {name:?} has other characters than [a-z0-9_.-], or none");
                return Err(LimitError::config(what));
            }
            if self.list[..at].iter().any(|other| other.name == *name) {
                let what = format!("two limits are named `{name}`; give one another name with `limit_as`");
                return Err(LimitError::config(what));
            }
        }
        Ok(self.list.into())
    }
}

impl From<&[Named]> for Limits {
    fn from(list: &[Named]) -> Self {
        Self {
            list: list.to_vec(),
            wrong: None,
        }
    }
}
