//! Locks without contention: `SET NX PX` and a compare-and-delete by hand, rslock, and Larder's, which draws a fence and watches
//! the lease besides.

use std::time::Duration;

use anyhow::Context as _;
use larder_base::Random;
use larder_kit::lock::{Lock as _, StoreLock};
use larder_store::Store;
use redis::{Script, aio::MultiplexedConnection, cmd};
use rslock::LockManager;

use super::{Case, Subject, compare, connect};
use crate::{Lab, report::Section};

const TTL: Duration = Duration::from_secs(10);

pub(super) async fn run(lab: &Lab) -> anyhow::Result<Section> {
    let store = Store::open(&lab.redis.url()).await?;
    let subjects = vec![by_hand(connect(lab).await?), rslock(lab), larder(&store)?];
    let name = "acquire and release";
    compare(lab, vec![Case { name, subjects }]).await
}

/// A key that no other task takes meanwhile.
fn key(task: u64, i: u64) -> String {
    format!("bench:lock:{task}:{}", i % 64)
}

fn by_hand(connection: MultiplexedConnection) -> Subject {
    let random = Random::system();
    Subject::new(
        "SET NX PX and a script by hand",
        connection,
        move |mut connection, task, i| {
            let (key, token) = (key(task, i), random.bytes::<16>());
            async move {
                let mut set = cmd("SET");
                set.arg(&key)
                    .arg(&token)
                    .arg("NX")
                    .arg("PX")
                    .arg(TTL.as_millis() as u64);
                let taken: Option<String> = set.query_async(&mut connection).await?;
                anyhow::ensure!(taken.is_some(), "nobody else takes {key}");
                let text =
                    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
                let released: u64 = Script::new(text)
                    .key(&key)
                    .arg(&token)
                    .invoke_async(&mut connection)
                    .await?;
                anyhow::ensure!(released == 1, "{key} was ours");
                Ok(())
            }
        },
    )
}

fn rslock(lab: &Lab) -> Subject {
    let manager = LockManager::new(vec![lab.redis.url()]);
    Subject::new("rslock 0.10", manager, |manager, task, i| async move {
        let lock = manager.lock(key(task, i).as_str(), TTL).await?;
        lock.release().await;
        Ok(())
    })
}

fn larder(store: &Store) -> anyhow::Result<Subject> {
    let locks = StoreLock::builder("bench").store(store).ttl(TTL).build()?;
    Ok(Subject::new("larder StoreLock", locks, |locks, task, i| async move {
        let guard = locks
            .try_acquire(key(task, i).as_str())
            .await?
            .context("nobody else takes it")?;
        anyhow::ensure!(guard.release().await?.was_held(), "it was ours");
        Ok(())
    }))
}
