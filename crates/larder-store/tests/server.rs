//! A store on a private redis-server, in good times.

use larder_store::{Script, ScriptCall, Store, redis::AsyncCommands};
use larder_testkit::RedisServer;

static SUM: Script = Script::new("sum", "return redis.call('INCRBY', KEYS[1], ARGV[1])");
static FLAGGED: Script = Script::new("flagged", "#!lua flags=allow-oom\nreturn ARGV[1]");

#[tokio::test]
async fn commands_pipelines_and_scripts_reach_the_server() {
    let server = RedisServer::start().await;
    let mut store = Store::open(&server.url()).await.unwrap();
    let _: () = store.set("k", "v").await.unwrap();
    let value: String = store.get("k").await.unwrap();
    assert_eq!(value, "v");
    let (a, b): (i64, i64) = redis::pipe()
        .atomic()
        .incr("n", 1)
        .incr("n", 1)
        .query_async(&mut store)
        .await
        .unwrap();
    assert_eq!((a, b), (1, 2));
    let sum = store.call(&ScriptCall::new(&SUM).key("n").int(40)).await.unwrap();
    assert_eq!(sum, redis::Value::Int(42));
}

#[tokio::test]
async fn a_missing_script_is_loaded_and_only_its_calls_run_again() {
    let server = RedisServer::start().await;
    let store = Store::open(&server.url()).await.unwrap();
    let add = |n| ScriptCall::new(&SUM).key("n").int(n);
    store.call(&add(1)).await.unwrap();
    // SUM is known by now, FLAGGED is not: SUM must not run twice.
    let flagged = ScriptCall::new(&FLAGGED).arg("x");
    let results = store.call_many(&[add(1), flagged.clone(), add(1), flagged]).await;
    let values: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    let x = || redis::Value::BulkString(b"x".to_vec());
    assert_eq!(values, [redis::Value::Int(2), x(), redis::Value::Int(3), x()]);
}
