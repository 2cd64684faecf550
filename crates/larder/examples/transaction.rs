//! Ten clerks move money between two accounts at once: none of it is lost, and no account is overdrawn.
//!
//! `cargo run -p larder --example transaction [redis://127.0.0.1:6379]`

use larder::{
    BoxError, Script, Scripts, Store,
    redis::{self, AsyncCommands as _},
    transaction::{Pipelined, TransactionError, Transactions, Watched},
};
use tokio::task::JoinSet;

const FROM: &str = "example-bank:{1}:from";
const TO: &str = "example-bank:{1}:to";
const CLERKS: i64 = 10;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let mut store = Store::open(&url).await?;
    by_hand(&mut store).await?;
    let _: () = store.set_ex(FROM, 1_000, 60).await?;
    let _: () = store.set_ex(TO, 0, 60).await?;
    let transfers = Transactions::builder("example-transfers")
        .store(&store)
        .attempts(200)
        .build()?;
    let mut clerks = JoinSet::new();
    for _ in 0..CLERKS {
        let transfers = transfers.clone();
        clerks.spawn(async move { transfer(&transfers, 150).await });
    }
    let mut moved = 0;
    while let Some(done) = clerks.join_next().await {
        moved += i64::from(done??);
    }
    let (from, to): (i64, i64) = redis::pipe().get(FROM).get(TO).query_async(&mut store).await?;
    println!("{moved} of {CLERKS} transfers of 150 went through: {from} are left, {to} arrived");
    assert_eq!((moved, from, to), (6, 100, 900));
    scripts(&store).await?;
    pipelines(&store).await
}

/// What is read may be old by the time it is written.
async fn by_hand(store: &mut Store) -> Result<(), BoxError> {
    let _: () = store.set_ex(FROM, 1_000, 60).await?;
    let one: i64 = store.get(FROM).await?;
    let other: i64 = store.get(FROM).await?; // another clerk
    let _: () = store.set_ex(FROM, one - 150, 60).await?;
    let _: () = store.set_ex(FROM, other - 150, 60).await?;
    let left: i64 = store.get(FROM).await?;
    println!("by hand: 1000 - 150 - 150 = {left}");
    assert_eq!(left, 850);
    Ok(())
}

/// Whether there was enough to move.
async fn transfer(transfers: &Transactions, amount: i64) -> Result<bool, TransactionError> {
    transfers
        .run([FROM, TO], async |mut watched: Watched| {
            let balance: i64 = watched.get(FROM).await?; // read on the connection that watches
            if balance < amount {
                return Ok(watched.leave(false)); // nothing is written
            }
            let mut pipe = redis::pipe();
            pipe.decr(FROM, amount).ignore().incr(TO, amount).ignore();
            let done = watched.commit::<()>(pipe).await?; // all of it, if nobody came between
            Ok(done.map(|()| true))
        })
        .await
}

/// A decision that can be written in Lua needs no attempts.
static TAKE: Script = Script::new(
    "example_take",
    "local left = tonumber(redis.call('GET', KEYS[1]) or '0') - tonumber(ARGV[1])
     if left < 0 then return -1 end
     redis.call('SET', KEYS[1], left, 'KEEPTTL')
     return left",
);

async fn scripts(store: &Store) -> Result<(), BoxError> {
    let mut scripts = Scripts::new();
    scripts.add(&TAKE)?;
    scripts.add_text("example_left", "return redis.call('GET', KEYS[1])")?; // or add_file("lua/example_left.lua")
    scripts.load_all(store).await?; // a mistake in one is an error here

    if store.is_embedded() {
        // As after a restart or a failover. A server may have scripts of others.
        store.run(redis::cmd("SCRIPT").arg("FLUSH").arg("SYNC")).await?;
    }
    let take = scripts.call("example_take")?.key(FROM).int(30);
    let reply = scripts.run(store, &take).await?; // a server that has lost the script is given it again
    let left: i64 = redis::from_redis_value(reply)?; // -1: there was not enough
    println!("a script took 30: {left} are left");
    assert_eq!(left, 70);
    Ok(())
}

async fn pipelines(store: &Store) -> Result<(), BoxError> {
    let mut own = store.clone();
    let _: () = own.set_ex("example-n:7", "no number", 60).await?;
    let steps = (0..1_000).map(|n| redis::cmd("INCR").arg(format!("example-n:{n}")).to_owned());
    let counts = Pipelined::on(store).chunk(250).run::<i64>(steps).await; // 4 round trips
    let failed = counts.iter().filter(|count| count.is_err()).count();
    println!("{} commands in 4 round trips, {failed} failed", counts.len());
    assert_eq!((counts.len(), failed), (1_000, 1));

    let expire = (0..1_000).map(|n| redis::cmd("DEL").arg(format!("example-n:{n}")).to_owned());
    assert!(Pipelined::on(store).run::<i64>(expire).await.iter().all(Result::is_ok));
    Ok(())
}
