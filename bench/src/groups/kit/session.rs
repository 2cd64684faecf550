//! Sessions: a JSON text under a key by hand, tower-sessions' store for Redis, and Larder's, which also keeps an index
//! of each user's sessions and both kinds of expiry.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::Context as _;

use larder_kit::session::Sessions;
use larder_store::Store;
use redis::{AsyncCommands as _, aio::MultiplexedConnection, cmd};
use serde_json::{Value, json};
use time::{Duration as Span, OffsetDateTime};
use tower_sessions_core::{
    SessionStore as _,
    session::{Id, Record},
};
use tower_sessions_redis_store::{RedisStore, fred::prelude as fred};

use super::{Case, Subject, compare, connect};
use crate::{Lab, report::Section};

/// Sessions of each task.
const SESSIONS: u64 = 64;

/// Tasks at most.
const TASKS: u64 = 16;

/// How long an idle session lives.
const IDLE_SECONDS: u64 = 1_800;

pub(super) async fn run(lab: &Lab) -> anyhow::Result<Section> {
    let hand = ByHand::filled(connect(lab).await?).await?;
    let tower = Tower::filled(lab).await?;
    let larder = Larder::filled(lab).await?;
    let load = vec![hand.load(), tower.load(), larder.load()];
    let save = vec![hand.save(), tower.save(), larder.load_and_save()];
    let cases = vec![
        Case {
            name: "load",
            subjects: load,
        },
        Case {
            name: "change one field and save",
            subjects: save,
        },
    ];
    compare(lab, cases).await
}

/// What is kept for a user who is logged in.
fn fields() -> HashMap<String, Value> {
    let cart: Vec<Value> = (1..=4)
        .map(|n| json!({ "sku": format!("sku-{n:05}"), "count": n }))
        .collect();
    HashMap::from([
        ("user".to_owned(), json!(4_711)),
        ("name".to_owned(), json!("Ada Lovelace")),
        ("theme".to_owned(), json!("dark")),
        ("csrf".to_owned(), json!("0123456789abcdef0123456789abcdef")),
        ("cart".to_owned(), json!(cart)),
        ("visits".to_owned(), json!(17)),
    ])
}

fn number(task: u64, i: u64) -> usize {
    (task * SESSIONS + i % SESSIONS) as usize
}

/// One key for each session, whole; its TTL renewed at each load, as sliding expiry wants it.
#[derive(Clone)]
struct ByHand(MultiplexedConnection);

impl ByHand {
    async fn filled(mut connection: MultiplexedConnection) -> anyhow::Result<Self> {
        let text = serde_json::to_string(&fields())?;
        for n in 0..SESSIONS * TASKS {
            let _: () = connection.set_ex(Self::key(n as usize), &text, IDLE_SECONDS).await?;
        }
        Ok(Self(connection))
    }

    fn key(n: usize) -> String {
        format!("bench:session:{n}")
    }

    async fn read(&mut self, n: usize) -> anyhow::Result<HashMap<String, Value>> {
        let mut getex = cmd("GETEX");
        let text: Vec<u8> = getex
            .arg(Self::key(n))
            .arg("EX")
            .arg(IDLE_SECONDS)
            .query_async(&mut self.0)
            .await?;
        Ok(serde_json::from_slice(&text)?)
    }

    fn load(&self) -> Subject {
        Subject::new("JSON and GETEX by hand", self.clone(), |mut hand, task, i| async move {
            anyhow::ensure!(hand.read(number(task, i)).await?.len() == fields().len(), "it is there");
            Ok(())
        })
    }

    /// Read, change, write: what another request writes in between is lost.
    fn save(&self) -> Subject {
        Subject::new(
            "JSON, read and written back",
            self.clone(),
            |mut hand, task, i| async move {
                let n = number(task, i);
                let mut fields = hand.read(n).await?;
                fields.insert("visits".to_owned(), json!(i));
                let text = serde_json::to_string(&fields)?;
                let _: () = hand.0.set_ex(Self::key(n), text, IDLE_SECONDS).await?;
                Ok(())
            },
        )
    }
}

#[derive(Clone)]
struct Tower {
    store: RedisStore<fred::Client>,
    ids: Arc<Vec<Id>>,
}

impl Tower {
    async fn filled(lab: &Lab) -> anyhow::Result<Self> {
        use fred::ClientLike as _;
        let client = fred::Builder::from_config(fred::Config::from_url(&lab.redis.url())?).build()?;
        client.init().await?;
        let store = RedisStore::new(client);
        let mut ids = Vec::new();
        for _ in 0..SESSIONS * TASKS {
            let mut record = Record {
                id: Id::default(),
                data: fields(),
                expiry_date: expiry(),
            };
            store.create(&mut record).await?;
            ids.push(record.id);
        }
        let ids = Arc::new(ids);
        Ok(Self { store, ids })
    }

    fn load(&self) -> Subject {
        Subject::new(
            "tower-sessions-redis-store 0.16",
            self.clone(),
            |tower, task, i| async move {
                let record = tower.store.load(&tower.ids[number(task, i)]).await?;
                anyhow::ensure!(
                    record.is_some_and(|record| record.data.len() == fields().len()),
                    "it is there"
                );
                Ok(())
            },
        )
    }

    /// What its middleware does in a request that changes a field: load, and save the whole.
    fn save(&self) -> Subject {
        Subject::new(
            "tower-sessions-redis-store 0.16",
            self.clone(),
            |tower, task, i| async move {
                let found = tower.store.load(&tower.ids[number(task, i)]).await?;
                let mut record = found.context("it is there")?;
                record.data.insert("visits".to_owned(), json!(i));
                record.expiry_date = expiry();
                tower.store.save(&record).await?;
                Ok(())
            },
        )
    }
}

#[derive(Clone)]
struct Larder {
    sessions: Sessions,
    cookies: Arc<Vec<String>>,
}

impl Larder {
    async fn filled(lab: &Lab) -> anyhow::Result<Self> {
        let store = Store::open(&lab.redis.url()).await?;
        let sessions = Sessions::builder("bench")
            .store(&store)
            .idle(Duration::from_secs(IDLE_SECONDS))
            .build()?;
        let mut cookies = Vec::new();
        for user in 0..SESSIONS * TASKS {
            let mut session = sessions.create_for(&user).await?;
            let mut change = session.change();
            for (name, value) in &fields() {
                change = change.set(name, value);
            }
            change.save().await?;
            cookies.push(session.id().reveal().to_owned());
        }
        let cookies = Arc::new(cookies);
        Ok(Self { sessions, cookies })
    }

    fn load(&self) -> Subject {
        Subject::new("larder Sessions", self.clone(), |larder, task, i| async move {
            let session = larder.sessions.load(&larder.cookies[number(task, i)]).await?;
            anyhow::ensure!(
                session.is_some_and(|session| session.fields().count() == fields().len()),
                "it is there"
            );
            Ok(())
        })
    }

    /// What a request does that changes a field: others may change others meanwhile.
    fn load_and_save(&self) -> Subject {
        Subject::new("larder Sessions", self.clone(), |larder, task, i| async move {
            let session = larder.sessions.load(&larder.cookies[number(task, i)]).await?;
            session.context("it is there")?.set("visits", &i).await?;
            Ok(())
        })
    }
}

fn expiry() -> OffsetDateTime {
    OffsetDateTime::now_utc() + Span::seconds(IDLE_SECONDS as i64)
}
