//! One session: its fields as they were loaded, and changes of them.

use std::{fmt, sync::Arc, time::SystemTime};

use larder_base::{CacheKey, WrittenKey};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    change::Change,
    error::SessionError,
    figures::Count,
    id::{SessionId, SessionRef},
    layout::User,
    record::Record,
    script::{self, Verdict},
    sessions::{Deleted, Fields, Inner, millis, moment},
    sign_in::Moved,
};
use crate::{
    mutant::{self, Mutant},
    reply,
};

/// How often [`Session::update`] tries anew when others change the field meanwhile. Each loss is a change of another that
/// was stored, so it takes 64 of them in the time of one round trip.
const UPDATE_ATTEMPTS: u32 = 64;

/// How many rotations of unknown outcome are remembered, so that the next one finds the session under any of their ids.
const ROTATIONS_MAX: usize = 16;

/// A session as it was when it was loaded, and the way to change it. [`get`](Self::get) reads what was loaded (and changed
/// through this value); every change goes to the store at once, and renews the idle time.
///
/// Once it has ended, every change fails with [`SessionError::Gone`] and brings nothing back.
pub struct Session {
    pub(super) inner: Arc<Inner>,
    pub(super) id: SessionId,
    pub(super) user: Option<User>,
    pub(super) fields: Fields,
    /// Changes so far, when it was last seen.
    pub(super) version: i64,
    created_ms: i64,
    deadline_ms: i64,
    /// Ids of rotations whose answer did not come: the session may stand under one of them.
    attempted: Vec<SessionId>,
    /// Where a sign-in was bringing it when its answer did not come.
    pub(super) moved: Option<Moved>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<&String> = self.fields.keys().collect();
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("is_anonymous", &self.user.is_none())
            .field("fields", &fields)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(
        inner: Arc<Inner>,
        id: SessionId,
        user: Option<User>,
        [created_ms, deadline_ms, version]: [i64; 3],
        fields: Fields,
    ) -> Self {
        Self {
            inner,
            id,
            user,
            fields,
            version,
            created_ms,
            deadline_ms,
            attempted: Vec::new(),
            moved: None,
        }
    }

    /// As it is stored.
    pub(super) fn of(inner: Arc<Inner>, id: SessionId, record: Record) -> Self {
        let partition = id.partition();
        let user = record.user.map(|written| User { written, partition });
        let times = [record.created_ms, record.deadline_ms, record.version];
        Self::new(inner, id, user, times, record.fields)
    }

    /// The id: [`reveal`](SessionId::reveal) it to the cookie, after [`sign_in`](Self::sign_in) and
    /// [`rotate`](Self::rotate) again.
    #[must_use]
    pub const fn id(&self) -> &SessionId {
        &self.id
    }

    /// Which session, as [`Sessions::list`](super::Sessions::list) names it.
    #[must_use]
    pub fn reference(&self) -> SessionRef {
        self.id.reference()
    }

    /// Whether nobody has signed in.
    #[must_use]
    pub const fn is_anonymous(&self) -> bool {
        self.user.is_none()
    }

    /// Whose it is; `None` if it is anonymous, or the user is no `K` (a text longer than 8 KiB is kept as a digest, of which
    /// the user is not found again).
    #[must_use]
    pub fn user<K: CacheKey>(&self) -> Option<K> {
        WrittenKey::parse(self.user.as_ref()?.written.as_bytes())
    }

    /// When it was created, by the server's clock.
    #[must_use]
    pub fn created_at(&self) -> SystemTime {
        moment(self.created_ms)
    }

    /// When it ends however it is used, by the server's clock.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        moment(self.deadline_ms)
    }

    /// The names of its fields, in alphabetical order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// The value of a field as it was loaded; `None` if there is none.
    ///
    /// # Errors
    /// [`SessionError::Decode`] if it is no `T`.
    pub fn get<T: DeserializeOwned>(&self, field: &str) -> Result<Option<T>, SessionError> {
        let decode = |json: &Vec<u8>| {
            serde_json::from_slice(json).map_err(|source| SessionError::Decode {
                field: field.to_owned(),
                source: Arc::new(source),
            })
        };
        self.fields.get(field).map(decode).transpose()
    }

    /// Begins a change of one or more fields, made in one step or not at all.
    pub const fn change(&mut self) -> Change<'_> {
        Change::of(self)
    }

    /// Sets a field, whatever it was.
    ///
    /// # Errors
    /// As [`Change::save`].
    pub async fn set<T: Serialize + ?Sized + Sync>(&mut self, field: &str, value: &T) -> Result<(), SessionError> {
        self.change().set(field, value).save().await
    }

    /// Removes a field.
    ///
    /// # Errors
    /// As [`Change::save`].
    pub async fn remove(&mut self, field: &str) -> Result<(), SessionError> {
        self.change().remove(field).save().await
    }

    /// Adds to a whole number, which begins at 0, and gives what it is then. No step of another is lost.
    ///
    /// # Errors
    /// [`SessionError::NotACounter`], or as [`Change::save`].
    pub async fn incr(&mut self, field: &str, by: i64) -> Result<i64, SessionError> {
        self.change().incr(field, by).save().await?;
        Ok(self.get(field)?.unwrap_or_default())
    }

    /// Sets a field if it still is as it was loaded; `false` if another request has changed it, and then
    /// [`get`](Self::get) has what that one made of it.
    ///
    /// # Errors
    /// As [`Change::save`].
    pub async fn compare_and_set<T: Serialize + ?Sized + Sync>(
        &mut self,
        field: &str,
        value: &T,
    ) -> Result<bool, SessionError> {
        match self.change().if_unchanged(field).set(field, value).save().await {
            Ok(()) => Ok(true),
            Err(SessionError::Changed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes a new value of the old one, which no other request changes meanwhile: `change` is called again if one did.
    ///
    /// # Errors
    /// [`SessionError::Busy`] after 64 losses; [`SessionError::Decode`]; or as [`Change::save`].
    ///
    /// # Cancel safety
    /// The change may have been made.
    pub async fn update<T, F>(&mut self, field: &str, mut change: F) -> Result<(), SessionError>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T,
    {
        for _ in 0..UPDATE_ATTEMPTS {
            let change = {
                let value = change(self.get(field)?);
                self.change().if_unchanged(field).set(field, &value)
            };
            match change.save().await {
                Err(SessionError::Changed { .. }) => {}
                done => return done,
            }
        }
        Err(SessionError::Busy {
            field: field.to_owned(),
            attempts: UPDATE_ATTEMPTS,
        })
    }

    /// Renews the idle time and changes nothing else.
    ///
    /// # Errors
    /// [`SessionError::Gone`], [`SessionError::Store`].
    pub async fn touch(&mut self) -> Result<(), SessionError> {
        self.change().save().await
    }

    /// Loads it again: what other requests made of it.
    ///
    /// # Errors
    /// [`SessionError::Gone`], [`SessionError::Store`].
    pub async fn reload(&mut self) -> Result<(), SessionError> {
        let loaded = self.inner.load(self.id.clone()).await?.ok_or(SessionError::Gone)?;
        self.fields = loaded.fields;
        self.version = loaded.version;
        Ok(())
    }

    /// Gives it another id; the old one is dead at once. After a change of rights, or from time to time.
    /// ([`sign_in`](Self::sign_in) does it by itself.) The absolute expiry stays.
    ///
    /// # Errors
    /// [`SessionError::Gone`], [`SessionError::Store`]. After an unknown outcome call it again: it finds the session under the
    /// old id or the lost one.
    ///
    /// # Cancel safety
    /// As after an unknown outcome.
    pub async fn rotate(&mut self) -> Result<(), SessionError> {
        if self.attempted.len() >= ROTATIONS_MAX {
            return Err(SessionError::Busy {
                field: "*".to_owned(),
                attempts: ROTATIONS_MAX as u32,
            });
        }
        let inner = self.inner.clone();
        let new = SessionId::draw(inner.store.random(), self.id.partition());
        let names: Vec<&SessionId> = [&new, &self.id].into_iter().chain(&self.attempted).collect();
        let mut call = inner.text(|texts| &texts.rotate);
        for id in &names {
            call = call.key(inner.layout.session(id));
        }
        call = call
            .int(millis(inner.settings.ttl()))
            .arg(inner.layout.users(new.partition()));
        for id in &names {
            call = call.arg(id.reference().as_str());
        }
        // Remembered before it is sent: this future may be dropped.
        if !mutant::lives(Mutant::S2) {
            self.attempted.push(new.clone());
        }
        let sent = inner.met.now();
        let reply = match inner.store.call(&call).await {
            Ok(reply) => reply,
            Err(error) => {
                if !error.is_unknown_outcome() {
                    self.attempted.pop();
                }
                return Err(error.into());
            }
        };
        match script::verdict(&reply)? {
            (Verdict::Ok, _) => {
                self.id = new;
                self.attempted.clear();
                inner.met.remember(self.reference(), self.user.as_ref(), sent);
                inner.count(Count::Rotated);
                Ok(())
            }
            _ => Err(reply::unexpected("session_rotate").into()),
        }
    }

    /// Whether a rotation is under way whose answer did not come.
    pub(super) fn is_adrift(&self) -> bool {
        !self.attempted.is_empty()
    }

    /// Ends it: a logout.
    ///
    /// # Errors
    /// [`SessionError::Store`]: it may live on. Delete it by its cookie.
    ///
    /// # Cancel safety
    /// It may have ended.
    pub async fn delete(self) -> Result<(), SessionError> {
        for id in std::iter::once(&self.id).chain(&self.attempted) {
            if self.inner.delete(id, None).await? == Deleted::Yes {
                break;
            }
        }
        Ok(())
    }

    /// Ends all other sessions of its user, and every login that was begun: after a changed password. How many it knew of; 0
    /// if this one is anonymous.
    ///
    /// The promise is that of [`Sessions::revoke_all`](super::Sessions::revoke_all), but for this session, if it stands.
    ///
    /// # Errors
    /// [`SessionError::Store`]: some may live on. Call again.
    pub async fn revoke_others(&mut self) -> Result<u64, SessionError> {
        match &self.user {
            Some(user) => self.inner.revoke(user, Some(&self.id.reference())).await,
            None => Ok(0),
        }
    }
}
