//! One session.

use std::{fmt, time::SystemTime};

use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use super::Change;
use crate::{
    blocking::{on::On, runtime},
    session::{self, Login, SessionError, SessionId, SessionRef},
};

/// [`larder::session::Session`](crate::session::Session), blocking: as it was when it was loaded, and the way to change it.
pub struct Session {
    pub(super) on: On<session::Session>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.on, f)
    }
}

/// Methods that wait for the async method of the same name, which changes the session.
macro_rules! waits_mut {
    ($($(#[$doc:meta])* fn $name:ident(&mut self $(, $arg:ident: $ty:ty)* $(,)?) -> $ret:ty;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        #[doc = concat!("As [the async method](crate::session::Session::", stringify!($name), "), which says more.")]
        #[track_caller]
        pub fn $name(&mut self $(, $arg: $ty)*) -> $ret {
            self.on.wait_mut(|session| session.$name($($arg),*))
        }
    )*};
}

impl Session {
    /// The id: [`reveal`](SessionId::reveal) it to the cookie, after [`sign_in`](Self::sign_in) and
    /// [`rotate`](Self::rotate) again.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        self.on.id()
    }

    /// Which session, as [`Sessions::list`](super::Sessions::list) names it.
    #[must_use]
    pub fn reference(&self) -> SessionRef {
        self.on.reference()
    }

    /// Whether nobody has signed in.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.on.is_anonymous()
    }

    /// Whose it is; see [the async face's](crate::session::Session::user).
    #[must_use]
    pub fn user<K: CacheKey>(&self) -> Option<K> {
        self.on.user()
    }

    /// When it was created, by the server's clock.
    #[must_use]
    pub fn created_at(&self) -> SystemTime {
        self.on.created_at()
    }

    /// When it ends however it is used, by the server's clock.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.on.expires_at()
    }

    /// The names of its fields, in alphabetical order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.on.fields()
    }

    /// The value of a field as it was loaded; `None` if there is none. It never waits.
    ///
    /// # Errors
    /// As [the async face's](crate::session::Session::get).
    pub fn get<T: DeserializeOwned>(&self, field: &str) -> Result<Option<T>, SessionError> {
        self.on.get(field)
    }

    /// Begins a change of one or more fields, made in one step or not at all.
    pub fn change(&mut self) -> Change<'_> {
        let runtime = self.on.runtime().clone();
        Change::of(self.on.inner_mut().change(), runtime)
    }

    waits_mut! {
        /// Sets a field, whatever it was.
        fn set(&mut self, field: &str, value: &(impl Serialize + ?Sized + Sync)) -> Result<(), SessionError>;
        /// Removes a field.
        fn remove(&mut self, field: &str) -> Result<(), SessionError>;
        /// Adds to a whole number, which begins at 0, and gives what it is then.
        fn incr(&mut self, field: &str, by: i64) -> Result<i64, SessionError>;
        /// Sets a field if it still is as it was loaded; `false` if another request has changed it.
        fn compare_and_set(
            &mut self,
            field: &str,
            value: &(impl Serialize + ?Sized + Sync),
        ) -> Result<bool, SessionError>;
        /// Renews the idle time and changes nothing else.
        fn touch(&mut self) -> Result<(), SessionError>;
        /// Loads it again: what other requests made of it.
        fn reload(&mut self) -> Result<(), SessionError>;
        /// Gives it another id; the old one is dead at once.
        fn rotate(&mut self) -> Result<(), SessionError>;
        /// Makes this session that of a login: it gets another id and keeps its data, and the old id is dead.
        fn sign_in(&mut self, login: &Login) -> Result<(), SessionError>;
        /// Ends all other sessions of its user, and every login that was begun. How many it knew of.
        fn revoke_others(&mut self) -> Result<u64, SessionError>;
    }

    /// Makes a new value of the old one, which no other request changes meanwhile: `change` is called again if one did, on this
    /// thread.
    ///
    /// # Errors
    /// As [the async method](crate::session::Session::update).
    #[track_caller]
    pub fn update<T, F>(&mut self, field: &str, mut change: F) -> Result<(), SessionError>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T,
    {
        let change = |old| runtime::outside(|| change(old));
        self.on.wait_mut(|session| session.update(field, change))
    }

    /// Ends it: a logout.
    ///
    /// # Errors
    /// As [the async method](crate::session::Session::delete).
    #[track_caller]
    pub fn delete(self) -> Result<(), SessionError> {
        let (session, runtime) = self.on.take();
        runtime.block_on(session.delete())
    }
}
