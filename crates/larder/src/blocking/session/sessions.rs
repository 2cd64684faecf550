//! All sessions of a namespace.

use larder_base::CacheKey;

use super::{Session, SessionsBuilder};
use crate::{
    blocking::{face::face, waits},
    session::{self, Login, SessionError, SessionInfo, SessionRef},
};

face! {
    /// [`larder::session::Sessions`](crate::session::Sessions), blocking. A cheap clone.
    ///
    /// See the [module](super) for an example.
    Sessions of crate::session::Sessions
}

impl Sessions {
    /// Begins with the settings of the sessions of `namespace` (`[a-z0-9_.-]+`).
    pub fn builder(namespace: impl Into<String>) -> SessionsBuilder {
        SessionsBuilder::of(session::Sessions::builder(namespace))
    }

    /// Creates an anonymous session.
    ///
    /// # Errors
    /// As [the async method](crate::session::Sessions::create).
    #[track_caller]
    pub fn create(&self) -> Result<Session, SessionError> {
        self.on.wait(self.on.create()).map(|session| self.session(session))
    }

    /// Creates a session of `user`, whose login is over with this call.
    ///
    /// # Errors
    /// As [the async method](crate::session::Sessions::create_for).
    #[track_caller]
    pub fn create_for<K: CacheKey>(&self, user: &K) -> Result<Session, SessionError> {
        let session = self.on.wait(self.on.create_for(user))?;
        Ok(self.session(session))
    }

    /// Creates the session of a login.
    ///
    /// # Errors
    /// As [the async method](crate::session::Sessions::create_signed_in).
    #[track_caller]
    pub fn create_signed_in(&self, login: &Login) -> Result<Session, SessionError> {
        let session = self.on.wait(self.on.create_signed_in(login))?;
        Ok(self.session(session))
    }

    /// Loads a session by the text in the cookie, and renews its idle time. `None` if it has ended or never was.
    ///
    /// # Errors
    /// As [the async method](crate::session::Sessions::load).
    #[track_caller]
    pub fn load(&self, cookie: &str) -> Result<Option<Session>, SessionError> {
        let session = self.on.wait(self.on.load(cookie))?;
        Ok(session.map(|session| self.session(session)))
    }

    waits! { "session::Sessions";
        /// Begins a login of `user`: call it before the password is checked.
        fn begin_login(&self, user: &impl CacheKey) -> Result<Login, SessionError>;
        /// Ends the session of the cookie; whether there was one.
        fn delete(&self, cookie: &str) -> Result<bool, SessionError>;
        /// The live sessions of `user`, the one used last first.
        fn list(&self, user: &impl CacheKey) -> Result<Vec<SessionInfo>, SessionError>;
        /// Ends one session of `user`, by what [`list`](Self::list) says; whether there was one.
        fn end(&self, user: &impl CacheKey, which: &SessionRef) -> Result<bool, SessionError>;
        /// Ends all sessions of `user` and every login that was begun. How many sessions it knew of.
        fn revoke_all(&self, user: &impl CacheKey) -> Result<u64, SessionError>;
    }

    fn session(&self, session: session::Session) -> Session {
        Session {
            on: self.on.beside(session),
        }
    }
}
