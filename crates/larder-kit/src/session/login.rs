//! A login that was begun: what makes "log out everywhere" reach one that is under way.

use std::{fmt, sync::Arc};

use super::layout::User;

/// A login of a user that was begun and is not a session yet.
///
/// It carries the user's epoch as it was at [`begin_login`](super::Sessions::begin_login).
/// [`revoke_all`](super::Sessions::revoke_all) ends that epoch, so that a password check that was under way meanwhile makes
/// no session any more. It is used up by nothing: two sessions may come of one login, as when a request is repeated.
#[derive(Clone)]
pub struct Login {
    pub(super) user: User,
    pub(super) epoch: Arc<[u8]>,
}

/// Without the epoch, and without the user, as in logs.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}
