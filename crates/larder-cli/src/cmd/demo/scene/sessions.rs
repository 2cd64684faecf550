//! Sessions: four accidents of web sessions, with Larder and with what is written by hand.

use larder::{
    redis::{self, AsyncCommands as _},
    session::{SessionError, Sessions},
};
use serde_json::{Map, Value, json};

use super::{
    Playing, Scene,
    duel::{Duel, ROUNDS},
};
use crate::{
    cmd::demo::{report::Report, stage::Stage},
    failure::{Failure, Outcome},
};

pub(super) const SCENE: Scene = Scene {
    name: "sessions",
    shows: "two requests at once, a planted id, a late request, a thief who logs in",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

const TTL_S: u64 = 60;

async fn play(stage: &Stage) -> Outcome<Report> {
    let sessions = Sessions::builder(stage.namespace("sessions"))
        .store(&stage.store)
        .build()?;
    let naive = Naive {
        store: stage.store.clone(),
        name: stage.namespace("sessions-naive"),
    };
    let mut report = Report::default();
    report.count("rounds", ROUNDS);

    let fields = Duel::play(
        stage,
        async |_, _| loses_a_field(&sessions).await,
        async |round, _| naive.loses_a_field(round).await,
    );
    settle(
        &mut report,
        &fields.await?,
        "changes_lost",
        "of two requests at once none is lost",
    );
    let planted = Duel::play(
        stage,
        async |_, user| planted_id_is_logged_in(&sessions, user).await,
        async |round, user| naive.planted_id_is_logged_in(round, user).await,
    );
    settle(
        &mut report,
        &planted.await?,
        "planted_ids_logged_in",
        "a planted id is worth nothing",
    );
    let late = Duel::play(
        stage,
        async |_, _| comes_back(&sessions).await,
        async |round, _| naive.comes_back(round).await,
    );
    settle(
        &mut report,
        &late.await?,
        "sessions_back_for_ever",
        "a session that ended stays ended",
    );
    let thief = Duel::play(
        stage,
        async |_, user| thief_stays(&sessions, user).await,
        async |round, user| naive.thief_stays(round, user).await,
    );
    settle(
        &mut report,
        &thief.await?,
        "thieves_left",
        "\"log out everywhere\" reaches a login under way",
    );

    let session = sessions.create_for(&1u64).await?;
    let (loaded, took) = stage.timed(sessions.load(session.id().reveal())).await;
    report.claim(loaded?.is_some(), "a session that was made is there");
    report.span("load", took);
    sessions.revoke_all(&1u64).await?;
    report.lesson("a session's fields change one by one, its end is final, and a user's sessions stand or fall with one small key");
    Ok(report)
}

fn settle(report: &mut Report, duel: &Duel, wrong: &str, promise: &str) {
    duel.tell(report, wrong);
    report.claim(
        duel.larder == 0,
        format_args!("{promise}: {} {}", duel.larder, wrong.replace('_', " ")),
    );
}

fn gone() -> Failure {
    Failure::new("a session that nobody ended is gone")
}

/// Two requests have loaded the session, and each changes a field.
async fn loses_a_field(sessions: &Sessions) -> Outcome<bool> {
    let mut one = sessions.create().await?;
    let mut other = sessions.load(one.id().reveal()).await?.ok_or_else(gone)?;
    one.set("cart", "book").await?;
    other.set("city", "Uruk").await?;
    one.reload().await?;
    let is_lost = one.fields().count() != 2;
    one.delete().await?;
    Ok(is_lost)
}

/// The user signs in with the id that somebody else has put into his browser.
async fn planted_id_is_logged_in(sessions: &Sessions, user: u64) -> Outcome<bool> {
    let mut session = sessions.create().await?;
    let planted = session.id().reveal().to_owned();
    let login = sessions.begin_login(&user).await?;
    session.sign_in(&login).await?;
    let is_in = sessions.load(&planted).await?.is_some();
    session.delete().await?;
    Ok(is_in)
}

/// A request that began before the logout writes after it.
async fn comes_back(sessions: &Sessions) -> Outcome<bool> {
    let session = sessions.create().await?;
    let id = session.id().reveal().to_owned();
    let mut late = sessions.load(&id).await?.ok_or_else(gone)?;
    session.delete().await?;
    match late.set("seen", &1).await {
        Err(SessionError::Gone) => Ok(sessions.load(&id).await?.is_some()),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(true),
    }
}

/// A thief is logging in with the old password while its owner changes it and ends all sessions.
async fn thief_stays(sessions: &Sessions, user: u64) -> Outcome<bool> {
    let thief = sessions.begin_login(&user).await?;
    sessions.revoke_all(&user).await?;
    match sessions.create_signed_in(&thief).await {
        Err(SessionError::LoginEnded) => Ok(false),
        Err(error) => Err(error.into()),
        Ok(session) => Ok(sessions.load(session.id().reveal()).await?.is_some()),
    }
}

/// What is written by hand. It is here to be compared with, not to be copied.
struct Naive {
    store: larder::Store,
    name: String,
}

impl Naive {
    fn key(&self, what: &str, round: u64) -> String {
        format!("{}:{what}:{round}", self.name)
    }

    /// The session as one JSON value: read, changed, written.
    async fn loses_a_field(&self, round: u64) -> Outcome<bool> {
        let (mut store, key) = (self.store.clone(), self.key("json", round));
        let _: () = store.set_ex(&key, "{}", TTL_S).await?;
        let one: String = store.get(&key).await?;
        let other: String = store.get(&key).await?;
        for (session, field, value) in [(one, "cart", "book"), (other, "city", "Uruk")] {
            let mut session: Map<String, Value> = serde_json::from_str(&session)?;
            session.insert(field.to_owned(), json!(value));
            let _: () = store.set_ex(&key, serde_json::to_string(&session)?, TTL_S).await?;
        }
        let after: String = store.get(&key).await?;
        Ok(serde_json::from_str::<Map<String, Value>>(&after)?.len() != 2)
    }

    /// The login writes the user into the session that is there.
    async fn planted_id_is_logged_in(&self, round: u64, user: u64) -> Outcome<bool> {
        let (mut store, planted) = (self.store.clone(), self.key("planted", round));
        let mut login = redis::pipe();
        login
            .atomic()
            .hset(&planted, "user", user)
            .expire(&planted, TTL_S as i64);
        login.exec_async(&mut store).await?;
        let seen: Option<u64> = store.hget(&planted, "user").await?;
        Ok(seen == Some(user))
    }

    /// `HSET` where a request writes, `EXPIRE` where the session was created.
    async fn comes_back(&self, round: u64) -> Outcome<bool> {
        let (mut store, key) = (self.store.clone(), self.key("late", round));
        let mut create = redis::pipe();
        create.atomic().hset(&key, "user", 1).expire(&key, TTL_S as i64);
        create.exec_async(&mut store).await?;
        let _: () = store.del(&key).await?;
        let _: () = store.hset(&key, "seen", 1).await?;
        let ttl: i64 = store.ttl(&key).await?;
        let _: () = store.del(&key).await?;
        Ok(ttl == -1)
    }

    /// A set of the user's sessions: read, deleted one by one, deleted.
    async fn thief_stays(&self, round: u64, user: u64) -> Outcome<bool> {
        let (mut store, set) = (self.store.clone(), self.key("of", user));
        let thief = self.key("thief", round);
        let mut found: Vec<String> = store.smembers(&set).await?;
        let mut login = redis::pipe();
        login.atomic().set_ex(&thief, user, TTL_S).sadd(&set, &thief);
        login.exec_async(&mut store).await?;
        found.push(set);
        let _: () = store.del(found).await?;
        Ok(store.exists(&thief).await?)
    }
}
