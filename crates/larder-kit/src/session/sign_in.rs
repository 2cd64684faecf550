//! Signing in: an anonymous session becomes a user's, under another id and mostly in another slot of a cluster.
//!
//! Two slots cannot be changed in one step. First the new session is made with the data of the old one, then the old one is
//! deleted if it is still what was copied, and only then is the new id handed out. Whoever planted the old id has nothing at
//! any moment: it is anonymous until it is gone. A change of the old session that was answered before it was deleted is in the
//! new one: the deletion refuses, and the copy is made again.

use super::{
    error::SessionError,
    figures::Count,
    login::Login,
    session::Session,
    sessions::{Deleted, Owner},
};
use crate::mutant::{self, Mutant};

/// How often a session that others change meanwhile is copied anew.
const ATTEMPTS: u32 = 16;

/// A copy whose original may still be there.
pub(super) struct Moved {
    copy: Box<Session>,
    /// What the original was when it was copied.
    version: i64,
}

impl Session {
    /// Makes this session that of a login: it gets another id, its data and a new absolute expiry, and the old id is dead.
    /// Put the new [`id`](Self::id) into the cookie.
    ///
    /// Two round trips.
    ///
    /// # Errors
    /// [`SessionError::LoginEnded`] if the user's sessions were revoked since the login began, or it took longer than
    /// `login_max`; [`SessionError::OtherUser`]; [`SessionError::Gone`] if this session has ended;
    /// [`SessionError::TooMany`]; [`SessionError::Busy`]; [`SessionError::Store`]. After an unknown outcome call it again: it
    /// goes on where it was.
    ///
    /// # Cancel safety
    /// As after an unknown outcome. A copy that nobody has the id of ends when it is idle for long enough.
    pub async fn sign_in(&mut self, login: &Login) -> Result<(), SessionError> {
        if self.user.as_ref().is_some_and(|user| *user != login.user) {
            return Err(SessionError::OtherUser);
        }
        if self.is_adrift() {
            self.rotate().await?;
        }
        for _ in 0..ATTEMPTS {
            let is_resumed = self.copy_for(login).await?;
            let Some(moved) = &self.moved else { break };
            let version = (!mutant::lives(Mutant::S4)).then_some(moved.version);
            let deleted = self.inner.delete(&self.id, version).await?;
            if deleted == Deleted::Yes || deleted == Deleted::WasGone && is_resumed {
                self.become_copy();
                return Ok(());
            }
            self.drop_copy().await?;
            if deleted == Deleted::WasGone {
                return Err(SessionError::Gone);
            }
            self.reload().await?;
        }
        Err(SessionError::Busy {
            field: "*".to_owned(),
            attempts: ATTEMPTS,
        })
    }

    /// Makes the copy, unless one is there whose original was being deleted; whether there was.
    async fn copy_for(&mut self, login: &Login) -> Result<bool, SessionError> {
        if mutant::lives(Mutant::S3) {
            self.moved = None;
        }
        match &self.moved {
            Some(moved) if moved.copy.user.as_ref() == Some(&login.user) => return Ok(true),
            Some(_) => self.drop_copy().await?,
            None => {}
        }
        let version = self.version;
        let copy = Box::new(self.inner.create(Some(Owner::of(login)), &self.fields).await?);
        self.moved = Some(Moved { copy, version });
        Ok(false)
    }

    fn become_copy(&mut self) {
        if let Some(moved) = self.moved.take() {
            self.inner.count(Count::SignedIn);
            *self = *moved.copy;
        }
    }

    async fn drop_copy(&mut self) -> Result<(), SessionError> {
        if let Some(moved) = &self.moved {
            self.inner.delete(&moved.copy.id, None).await?;
        }
        self.moved = None;
        Ok(())
    }
}
