//! All sessions of a namespace: making, finding, listing and ending them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use larder_base::CacheKey;
use larder_store::{ScriptCall, ScriptHandle, Store};
use redis::Value;

use super::{
    builder::{SessionsBuilder, Settings, WhenFull},
    error::SessionError,
    fast::{Met, Seen},
    figures::Count,
    id::{SessionId, SessionRef},
    layout::{Layout, User},
    login::Login,
    record::Record,
    script::{self, Verdict},
    session::Session,
};
use crate::{altered, figures::Tally, names::Namespace, reply};

/// The sessions of a namespace. A cheap clone.
///
/// See the [module](super) for an example.
#[derive(Clone)]
pub struct Sessions {
    pub(super) inner: Arc<Inner>,
}

/// What all handles on a namespace's sessions share.
pub(super) struct Inner {
    pub(super) layout: Layout,
    pub(super) store: Store,
    pub(super) settings: Settings,
    tally: Arc<Tally>,
    pub(super) met: Met,
    namespace: Arc<str>,
}

/// A session of a user, as [`Sessions::list`] knows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Which one; its id is known to nobody but its browser.
    pub reference: SessionRef,
    /// When it was created, by the server's clock.
    pub created_at: SystemTime,
    /// When it was last loaded or changed; a load may go unnoted for [`renew_every`](SessionsBuilder::renew_every).
    pub seen_at: SystemTime,
    /// When it ends however it is used.
    pub expires_at: SystemTime,
}

/// What became of a session that was to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deleted {
    Yes,
    WasGone,
    HasChanged,
}

/// The fields of a session, as they are stored.
pub(super) type Fields = BTreeMap<String, Vec<u8>>;

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sessions").field(&self.inner.namespace).finish()
    }
}

impl Sessions {
    /// Begins with the settings of the sessions of `namespace` (`[a-z0-9_.-]+`).
    pub fn builder(namespace: impl Into<String>) -> SessionsBuilder {
        SessionsBuilder::new(namespace)
    }

    /// Creates an anonymous session: for a cart before there is a user. Its id comes into a cookie
    /// (`HttpOnly; Secure; SameSite=Lax`).
    ///
    /// # Errors
    /// [`SessionError::Store`]. After an unknown outcome one that nobody knows may be there, until it is idle for long enough.
    ///
    /// # Cancel safety
    /// As after an unknown outcome.
    pub async fn create(&self) -> Result<Session, SessionError> {
        self.inner.create(None, &Fields::new()).await
    }

    /// Creates a session of `user`, whose login is over with this call: [`revoke_all`](Self::revoke_all) reaches it if it is
    /// answered later. Where checking a password takes a while, use [`begin_login`](Self::begin_login) before and
    /// [`create_signed_in`](Self::create_signed_in) after it.
    ///
    /// # Errors
    /// [`SessionError::TooMany`], [`SessionError::Store`].
    ///
    /// # Cancel safety
    /// As [`create`](Self::create).
    pub async fn create_for<K: CacheKey>(&self, user: &K) -> Result<Session, SessionError> {
        let owner = Owner {
            user: &User::of(user),
            epoch: &[],
        };
        self.inner.create(Some(owner), &Fields::new()).await
    }

    /// Creates the session of a login.
    ///
    /// # Errors
    /// [`SessionError::LoginEnded`] if the user's sessions were revoked since it began, or it took longer than `login_max`;
    /// [`SessionError::TooMany`], [`SessionError::Store`].
    ///
    /// # Cancel safety
    /// As [`create`](Self::create).
    pub async fn create_signed_in(&self, login: &Login) -> Result<Session, SessionError> {
        self.inner.create(Some(Owner::of(login)), &Fields::new()).await
    }

    /// Begins a login of `user`: call it before the password is checked. It is good for `login_max`, and ends with
    /// [`revoke_all`](Self::revoke_all).
    ///
    /// It keeps a small key for `user`, so call it for users who exist.
    ///
    /// # Errors
    /// [`SessionError::Store`].
    ///
    /// # Cancel safety
    /// Nothing but that key may have been made.
    pub async fn begin_login<K: CacheKey>(&self, user: &K) -> Result<Login, SessionError> {
        let (inner, user) = (&self.inner, User::of(user));
        let call = altered::call(&inner.settings.texts.login)
            .key(inner.layout.user(&user))
            .int(millis(inner.settings.login_max))
            .arg(inner.epoch());
        let epoch = script::bytes(&inner.store.call(&call).await?).into();
        Ok(Login { user, epoch })
    }

    /// Loads a session by the text in the cookie, and renews its idle time: one round trip. `None` if it has ended or never
    /// was; a text that is no id costs no round trip.
    ///
    /// A session that this process has met, and whose use was noted within [`renew_every`](SessionsBuilder::renew_every), is loaded
    /// by plain reads; any other by a script. If those reads show that it was revoked, the script is asked in a second round trip.
    ///
    /// # Errors
    /// [`SessionError::Damaged`], [`SessionError::Store`].
    ///
    /// # Cancel safety
    /// The session may have been renewed.
    pub async fn load(&self, cookie: &str) -> Result<Option<Session>, SessionError> {
        let Ok(id) = cookie.parse::<SessionId>() else {
            self.inner.count(Count::Absent);
            return Ok(None);
        };
        let loaded = self.inner.load(id).await;
        self.inner.count(match &loaded {
            Ok(Some(_)) => Count::Found,
            Ok(None) => Count::Absent,
            Err(_) => Count::LoadFailed,
        });
        loaded
    }

    /// Ends the session of the cookie; whether there was one.
    ///
    /// # Errors
    /// [`SessionError::Store`]: it may live on. Call again.
    ///
    /// # Cancel safety
    /// It may have ended.
    pub async fn delete(&self, cookie: &str) -> Result<bool, SessionError> {
        let Ok(id) = cookie.parse::<SessionId>() else {
            return Ok(false);
        };
        Ok(self.inner.delete(&id, None).await? == Deleted::Yes)
    }

    /// The live sessions of `user`, the one used last first.
    ///
    /// # Errors
    /// [`SessionError::Store`].
    pub async fn list<K: CacheKey>(&self, user: &K) -> Result<Vec<SessionInfo>, SessionError> {
        let (inner, user) = (&self.inner, User::of(user));
        let call = altered::call(&inner.settings.texts.list)
            .key(inner.layout.user(&user))
            .arg(inner.layout.sessions(user.partition));
        let value = inner.store.call(&call).await?;
        let items = reply::items(&value, 0, "session_list")?;
        let info = |item: &[Value]| {
            Ok(SessionInfo {
                reference: SessionRef(script::text(&item[0])),
                created_at: moment(script::number(item, 1)?),
                seen_at: moment(script::number(item, 2)?),
                expires_at: moment(script::number(item, 3)?),
            })
        };
        let sessions: Result<Vec<SessionInfo>, SessionError> = items.chunks_exact(4).map(info).collect();
        let mut sessions = sessions?;
        sessions.sort_by_key(|session| std::cmp::Reverse(session.seen_at));
        Ok(sessions)
    }

    /// Ends one session of `user`, such as that on a lost phone, by what [`list`](Self::list) says; whether there was one.
    ///
    /// # Errors
    /// [`SessionError::Store`]: it may live on. Call again.
    pub async fn end<K: CacheKey>(&self, user: &K, which: &SessionRef) -> Result<bool, SessionError> {
        let user = User::of(user);
        let key = self.inner.layout.session_of(&user, which);
        let ended = self.inner.delete_at(key, which, user.partition, None).await?;
        Ok(ended == Deleted::Yes)
    }

    /// Ends all sessions of `user` and every login that was begun: after a stolen password. How many sessions it knew of.
    ///
    /// When this is answered with `Ok`, no session that was created before it can be loaded, and no [`Login`] begun before it
    /// becomes a session, in any process. What is begun after it is not concerned: change the password first.
    ///
    /// # Errors
    /// [`SessionError::Store`]: some may live on. Call again.
    ///
    /// # Cancel safety
    /// They may have ended.
    pub async fn revoke_all<K: CacheKey>(&self, user: &K) -> Result<u64, SessionError> {
        self.inner.revoke(&User::of(user), None).await
    }
}

/// Whose a new session is, and under which epoch it was begun; none is whichever stands.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    user: &'a User,
    epoch: &'a [u8],
}

impl<'a> Owner<'a> {
    pub(super) fn of(login: &'a Login) -> Self {
        Self {
            user: &login.user,
            epoch: &login.epoch,
        }
    }
}

impl Inner {
    pub(super) fn new(namespace: &Namespace, store: Store, settings: Settings, tally: Arc<Tally>) -> Self {
        Self {
            layout: Layout::new(namespace),
            met: Met::new(store.clone(), &settings),
            store,
            settings,
            tally,
            namespace: namespace.text().clone(),
        }
    }

    pub(super) fn count(&self, what: Count) {
        self.tally.count(what as usize);
    }

    /// 128 random bits that name an epoch, readable in redis-cli.
    fn epoch(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.store.random().bytes()))
    }

    pub(super) async fn create(
        self: &Arc<Self>,
        owner: Option<Owner<'_>>,
        fields: &Fields,
    ) -> Result<Session, SessionError> {
        let partition = owner.map_or_else(|| Layout::anywhere(self.store.random()), |owner| owner.user.partition);
        let id = SessionId::draw(self.store.random(), partition);
        let settings = &self.settings;
        let mut call = altered::call(&settings.texts.create).key(self.layout.session(&id));
        if let Some(owner) = owner {
            call = call.key(self.layout.user(owner.user));
        }
        call = call
            .arg(id.reference().as_str())
            .int(millis(settings.ttl()))
            .int(millis(settings.absolute))
            .int(settings.data_max.cast_signed())
            .arg(self.epoch())
            .arg(owner.map_or(&[][..], |owner| owner.epoch))
            .int(i64::from(settings.max_per_user))
            .arg(match settings.when_full {
                WhenFull::EndOldest => "end",
                WhenFull::Refuse => "refuse",
            })
            .arg(self.layout.sessions(partition))
            .arg(owner.map_or("", |owner| &owner.user.written));
        for (field, value) in fields {
            call = call.arg(field).arg(value);
        }
        let sent = self.met.now();
        let reply = self.store.call(&call).await?;
        let (verdict, rest) = script::verdict(&reply)?;
        match verdict {
            Verdict::Ok => {}
            Verdict::Full => {
                return Err(SessionError::TooMany {
                    limit: settings.max_per_user,
                });
            }
            Verdict::Large => return Err(self.too_large(rest)?),
            _ => return Err(reply::unexpected("session_create").into()),
        }
        self.count(Count::Created);
        let (now, deadline) = (script::number(rest, 0)?, script::number(rest, 1)?);
        self.met.remember(id.reference(), owner.map(|owner| owner.user), sent);
        Ok(Session::new(
            self.clone(),
            id,
            owner.map(|owner| owner.user.clone()),
            [now, deadline, 0],
            fields.clone(),
        ))
    }

    pub(super) fn too_large(&self, rest: &[Value]) -> Result<SessionError, SessionError> {
        Ok(SessionError::TooLarge {
            bytes: script::number(rest, 0)?.unsigned_abs(),
            limit: self.settings.data_max,
        })
    }

    /// A call on one session: what every `use` begins with.
    pub(super) fn using(&self, id: &SessionId, reply: &str) -> ScriptCall {
        altered::call(&self.settings.texts.open)
            .key(self.layout.session(id))
            .int(millis(self.settings.ttl()))
            .arg(self.layout.users(id.partition()))
            .int(self.settings.data_max.cast_signed())
            .arg(reply)
    }

    pub(super) async fn load(self: &Arc<Self>, id: SessionId) -> Result<Option<Session>, SessionError> {
        let reference = id.reference();
        let id = match self.see(id, &reference).await? {
            Seen::Stands(session) => return Ok(Some(session)),
            Seen::Ended => return Ok(None),
            Seen::Unclear(id) => id,
        };
        let sent = self.met.now();
        let reply = self.store.call(&self.using(&id, "all")).await?;
        match script::verdict(&reply) {
            Ok((Verdict::Ok, _)) => {}
            Ok(_) => return Err(reply::unexpected("session_use").into()),
            Err(SessionError::Gone) => return Ok(None),
            Err(error) => return Err(error),
        }
        let record = script::last(reply).and_then(Record::of);
        let record = record.ok_or_else(|| reply::unexpected("session_use"))?;
        let session = Session::of(self.clone(), id, record);
        self.met.remember(reference, session.user.as_ref(), sent);
        Ok(Some(session))
    }

    pub(super) async fn delete(&self, id: &SessionId, version: Option<i64>) -> Result<Deleted, SessionError> {
        self.delete_at(self.layout.session(id), &id.reference(), id.partition(), version)
            .await
    }

    async fn delete_at(
        &self,
        key: String,
        reference: &SessionRef,
        partition: u8,
        version: Option<i64>,
    ) -> Result<Deleted, SessionError> {
        let call = altered::call(&self.settings.texts.delete)
            .key(key)
            .arg(reference.as_str())
            .arg(self.layout.users(partition))
            .arg(version.map_or_else(String::new, |version| version.to_string()));
        let reply = self.store.call(&call).await?;
        match script::verdict(&reply) {
            Ok((Verdict::Ok, _)) => {
                self.count(Count::Deleted);
                Ok(Deleted::Yes)
            }
            Ok((Verdict::Changed, _)) => Ok(Deleted::HasChanged),
            Ok(_) => Err(reply::unexpected("session_delete").into()),
            Err(SessionError::Gone) => Ok(Deleted::WasGone),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn revoke(&self, user: &User, keep: Option<&SessionRef>) -> Result<u64, SessionError> {
        let call = altered::call(&self.settings.texts.revoke)
            .key(self.layout.user(user))
            .arg(self.layout.sessions(user.partition))
            .arg(keep.map_or("", SessionRef::as_str))
            .arg(self.epoch());
        let ended = reply::integer(&self.store.call(&call).await?)?.unsigned_abs();
        self.tally.add(Count::Revoked as usize, ended);
        Ok(ended)
    }

    pub(super) fn text(&self, script: impl FnOnce(&super::script::Texts) -> &ScriptHandle) -> ScriptCall {
        altered::call(script(&self.settings.texts))
    }
}

/// Whole milliseconds, at least one: the builder's bounds keep it within an `i64`.
pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX).max(1)
}

/// A moment of the server's clock.
pub(super) fn moment(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
}
