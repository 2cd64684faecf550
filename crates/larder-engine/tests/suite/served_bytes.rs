//! A served engine writes what redis-server 7.0.15 writes, byte for byte, in both protocols.

use super::common::{Raw, serve};
use larder_engine::{Engine, serve::ServeConfig};
use larder_testkit::RedisServer;

/// Commands whose replies are of every shape, in an order that makes sense.
const SESSION: &[&str] = &[
    "PING",
    "PING hello",
    "PING a b",
    "ECHO \"a\\r\\nb\"",
    "SET k value",
    "GET k",
    "GET absent",
    "MGET k absent",
    "INCR k",
    "INCR n",
    "HSET h f v",
    "HGETALL h",
    "HGETALL absent",
    "HINCRBYFLOAT h x 10.5",
    "SADD s a",
    "SMEMBERS s",
    "ZADD z 3.3 a 1e300 b -inf c",
    "ZSCORE z a",
    "ZSCORE z b",
    "ZSCORE z c",
    "ZRANGE z 0 -1 WITHSCORES",
    "ZINCRBY z 0.1 a",
    "ZPOPMIN z",
    "RPUSH l a b",
    "LRANGE l 0 -1",
    "LPOP absent 2",
    "LPOP absent",
    "TYPE l",
    "EXPIRE k 100",
    "MULTI\r\nSET k 1\r\nLPUSH k 1\r\nHGETALL h\r\nEXEC",
    "EXEC",
    "WATCH k",
    "SET k 2",
    "MULTI\r\nEXEC",
    "MULTI\r\nNOSUCH\r\nEXEC",
    "NOSUCH a b",
    "GET",
    "CLIENT NOSUCH",
    "CLIENT SETNAME 'a b'",
    "CLIENT SETNAME me",
    "CLIENT GETNAME",
    "CLIENT REPLY SKIP\r\nGET k",
    "CLIENT REPLY OFF\r\nGET k\r\nCLIENT REPLY ON",
    "CLIENT KILL ID 99999",
    "CLIENT UNBLOCK 99999",
    "CLIENT NO-EVICT on",
    "COMMAND GETKEYS MSET a 1 b 2",
    "COMMAND INFO nosuch",
    "COMMAND LIST FILTERBY PATTERN ech*",
    "ACL WHOAMI",
    "ACL CAT nosuch",
    "AUTH x",
    "AUTH nobody x",
    "HELLO 9",
    "SELECT 99",
    "SELECT 1",
    "CONFIG GET maxmemory-policy",
    "EVAL \"return {1, 'a', false, {ok = 'fine'}, 3.9}\" 0",
    "EVAL \"return redis.error_reply('MY error')\" 0",
    "EVAL \"redis.setresp(3); return {map = {a = 1}}\" 0",
    "EVAL \"redis.setresp(3); return {double = 3.3}\" 0",
    "PUBSUB NUMSUB c",
    "PUBSUB NOSUCH",
    "SUBSCRIBE c d",
    "PSUBSCRIBE c*",
    "SSUBSCRIBE c",
    "PING",
    "GET k",
    "UNSUBSCRIBE c",
    "UNSUBSCRIBE",
    "UNSUBSCRIBE",
    "PUNSUBSCRIBE nosuch",
    "PUNSUBSCRIBE",
    "SUNSUBSCRIBE",
    "PING",
    "RESET",
    "CLIENT GETNAME",
];

#[tokio::test]
async fn every_kind_of_reply_is_written_as_redis_writes_it() {
    let redis = RedisServer::start().await;
    let (_server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let mut differences = Vec::new();
    for greeting in ["HELLO 2", "HELLO 3"] {
        let mut ours = Raw::connect(port).await;
        let mut theirs = Raw::connect(redis.port()).await;
        // The reply names the connection's id, which differs.
        for raw in [&mut ours, &mut theirs] {
            raw.ask("FLUSHALL").await;
            raw.ask(greeting).await;
        }
        for line in SESSION {
            let (expected, got) = (theirs.ask(line).await, ours.ask(line).await);
            if expected != got {
                differences.push(format!(
                    "{greeting}: {line}\n    ours  {}\n    redis {}",
                    got.escape_debug(),
                    expected.escape_debug()
                ));
            }
        }
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

/// What cannot be understood is answered alike before the connection is closed.
#[tokio::test]
async fn nonsense_is_refused_as_redis_refuses_it() {
    let redis = RedisServer::start().await;
    let (_server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let long = "a".repeat(70_000);
    let inputs = [
        "*x\r\n",
        "*1\r\n+PING\r\n",
        "*1\r\n$-1\r\n",
        "*1\r\n$9999999999\r\n",
        "PING\r\n*1\r\n$x\r\n",
        "SET k \"open\r\n",
        "SET k \"a\"b\r\n",
        "POST / HTTP/1.1\r\n\r\n",
        "Host: example.org\r\n",
        "QUIT\r\nPING\r\n",
        "*1\r\n$4\r\nQUIT\r\n",
        &long,
    ];
    for input in inputs {
        let mut answers = Vec::new();
        for port in [redis.port(), port] {
            let mut raw = Raw::connect(port).await;
            raw.send(input).await;
            answers.push(raw.read_to_end().await);
        }
        let shown: String = input.chars().take(40).collect();
        assert_eq!(answers[0], answers[1], "{}", shown.escape_debug());
    }
}

/// A password keeps strangers to a greeting, in the words and within the limits of Redis.
#[tokio::test]
async fn strangers_are_treated_as_redis_treats_them() {
    let redis = RedisServer::start_with(&["--requirepass", "secret"]).await;
    let (_server, port) = serve(&Engine::new(), ServeConfig::new().requirepass("secret")).await;
    for session in [
        "GET k\r\nAUTH wrong\r\nAUTH secret\r\nGET k\r\nQUIT\r\n",
        "HELLO 3\r\nHELLO 3 AUTH default wrong\r\nAUTH default secret\r\nGET k\r\nRESET\r\nGET k\r\nQUIT\r\n",
        "NOSUCH\r\nPING\r\nCOMMAND\r\nQUIT\r\n",
        "*11\r\n",
        "*2\r\n$4\r\nECHO\r\n$20000\r\n",
        // What follows the password in one write may be large already.
        "AUTH secret\r\n*12\r\n$3\r\nDEL\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\nQUIT\r\n",
    ] {
        let mut answers = Vec::new();
        for port in [redis.port(), port] {
            let mut raw = Raw::connect(port).await;
            raw.send(session).await;
            answers.push(raw.read_to_end().await);
        }
        assert_eq!(answers[0], answers[1], "{}", session.escape_debug());
    }
}
