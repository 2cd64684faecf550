//! Rate limits: governor in process as the floor, a GCRA script as redis-cell computes it, INCR with EXPIRE as tutorials
//! have it, and Larder's.

use std::{num::NonZeroU32, sync::Arc};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use larder_kit::limit::{
    FixedWindow, Gcra, Limit, LimitError, Limiter, Limits, OnStoreDown, SlidingCounter, SlidingLog,
};
use larder_store::Store;
use redis::{Script, aio::MultiplexedConnection, cmd};

use super::{Case, Subject, compare, connect};
use crate::{Lab, report::Section};

/// Admissions a second of each key: more than anyone asks for here.
const RATE: u32 = 1_000_000;

/// What redis-cell does, in a script: one number per key, computed from the server's clock.
const CELL: &str = "
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local new = tat + interval
if new - burst * interval > now then return {1, math.ceil(new - burst * interval - now)} end
redis.call('SET', KEYS[1], string.format('%.0f', new), 'PX', math.ceil((new - now) / 1000))
return {0, 0}";

pub(super) async fn run(lab: &Lab) -> anyhow::Result<Section> {
    let store = Store::open(&lab.redis.url()).await?;
    let subjects = vec![
        cell(connect(lab).await?),
        incr(connect(lab).await?),
        governor(),
        larder("larder, GCRA", &store, [gcra()])?,
        larder(
            "larder, fixed window",
            &store,
            [FixedWindow::per_second(RATE.into()).try_into()],
        )?,
        larder(
            "larder, sliding counter",
            &store,
            [SlidingCounter::per_second(RATE.into()).try_into()],
        )?,
        larder(
            "larder, sliding log of 100",
            &store,
            [SlidingLog::per_second(100).try_into()],
        )?,
        larder(
            "larder, GCRA and a daily window",
            &store,
            [gcra(), FixedWindow::per_day(1_000_000_000).try_into()],
        )?,
    ];
    let name = "one call, admitted";
    compare(lab, vec![Case { name, subjects }]).await
}

/// Users, each with a limit of its own.
fn user(task: u64, i: u64) -> u64 {
    task * 1_000 + i % 1_000
}

fn cell(connection: MultiplexedConnection) -> Subject {
    let script = Arc::new(Script::new(CELL));
    Subject::new("GCRA script by hand", connection, move |mut connection, task, i| {
        let script = script.clone();
        async move {
            let mut call = script.key(format!("bench:cell:{}", user(task, i)));
            let (limited, _): (u64, u64) = call
                .arg(1_000_000 / RATE)
                .arg(RATE)
                .invoke_async(&mut connection)
                .await?;
            anyhow::ensure!(limited == 0, "it is admitted");
            Ok(())
        }
    })
}

/// Two commands in one pipeline; the counter of a window that is renewed at every hit.
fn incr(connection: MultiplexedConnection) -> Subject {
    Subject::new(
        "INCR and EXPIRE by hand",
        connection,
        |mut connection, task, i| async move {
            let key = format!("bench:incr:{}", user(task, i));
            let mut both = redis::pipe();
            both.add_command(cmd("INCR").arg(&key).clone());
            both.add_command(cmd("EXPIRE").arg(&key).arg(1).clone()).ignore();
            let (count,): (u32,) = both.query_async(&mut connection).await?;
            anyhow::ensure!(count <= RATE, "it is admitted");
            Ok(())
        },
    )
}

fn governor() -> Subject {
    let quota = Quota::per_second(NonZeroU32::new(RATE).expect("more than none"));
    let limiter: Arc<DefaultKeyedRateLimiter<u64>> = Arc::new(RateLimiter::keyed(quota));
    Subject::new("governor 0.10, in process", limiter, |limiter, task, i| async move {
        anyhow::ensure!(limiter.check_key(&user(task, i)).is_ok(), "it is admitted");
        Ok(())
    })
}

fn gcra() -> Result<Limit, LimitError> {
    Gcra::per_second(RATE.into()).try_into()
}

fn larder<const N: usize>(
    name: &'static str,
    store: &Store,
    limits: [Result<Limit, LimitError>; N],
) -> anyhow::Result<Subject> {
    // A namespace each, so that none finds the keys of another.
    let namespace: String = name.chars().filter(char::is_ascii_lowercase).collect();
    let mut together = Limits::new();
    for limit in limits {
        together = together.limit(limit?);
    }
    let limiter = Limiter::builder(&namespace)
        .store(store)
        .limits(together)
        .on_store_down(OnStoreDown::Closed)
        .build()?;
    Ok(Subject::new(name, limiter, |limiter, task, i| async move {
        anyhow::ensure!(limiter.check(&user(task, i)).await?.allowed, "it is admitted");
        Ok(())
    }))
}
