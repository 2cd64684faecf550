//! `larder exec` prints what redis-cli prints into a pipe, and finds its store in three ways.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, process::Stdio};

use larder_testkit::RedisServer;

use crate::run::{command, finish, larder, larder_on};

/// Replies of every shape that does not change between two calls.
const SHAPES: [&[&str]; 14] = [
    &["PING"],
    &["GET", "text"],
    &["GET", "lines"],
    &["GET", "absent"],
    &["STRLEN", "text"],
    &["HGETALL", "hash"],
    &["HMGET", "hash", "a key", "absent"],
    &["LRANGE", "absent", "0", "-1"],
    &["SMEMBERS", "set"],
    &["ZRANGE", "sorted", "0", "-1", "WITHSCORES"],
    &["ZSCORE", "sorted", "a"],
    &["CONFIG", "GET", "save"],
    &["EVAL", "return {1,{'two',{3}},false,{ok='fine'}}", "0"],
    &["EVAL", "return {1,{err='ERR inner'},2}", "0"],
];

#[tokio::test]
async fn replies_are_printed_as_redis_cli_prints_them() {
    let server = RedisServer::start().await;
    for fill in [
        &["SET", "text", "two words"][..],
        &["SET", "lines", "one\r\ntwo"],
        &["HSET", "hash", "a key", "1", "b", "a value"],
        &["SADD", "set", "1", "2"],
        &["ZADD", "sorted", "1.5", "a", "2", "b"],
    ] {
        server.cli(fill);
    }
    for args in SHAPES {
        let printed = larder_on(&server.url(), &[&["exec"], args].concat()).out;
        assert_eq!(printed.trim_end(), server.cli(args), "{args:?}");
        assert!(printed.ends_with('\n'), "{args:?}: {printed:?}");
    }
}

#[tokio::test]
async fn under_json_a_reply_is_one_document_with_its_types() {
    let server = RedisServer::start().await;
    server.cli(&["HSET", "hash", "a", "1"]);
    let json = |args: &[&str]| larder_on(&server.url(), &[&["exec", "--json"], args].concat()).json();
    assert_eq!(json(&["HGETALL", "hash"]), serde_json::json!({ "a": "1" }));
    assert_eq!(json(&["GET", "absent"]), serde_json::Value::Null);
    assert_eq!(
        json(&["EVAL", "return {1,'1',{err='ERR inner'}}", "0"]),
        serde_json::json!([1, "1", { "error": "ERR inner" }])
    );
}

#[tokio::test]
async fn an_unknown_command_fails_with_the_words_of_the_server() {
    let server = RedisServer::start().await;
    let url = server.url();
    let failed = larder(&["exec", "--store", &url, "NOSUCH", "x"]).ended(1);
    assert_eq!(failed.out, "");
    assert_eq!(
        failed.err.trim_end(),
        format!("error: {}", server.cli(&["NOSUCH", "x"]).trim_end())
    );
    let document = larder(&["exec", "--json", "--store", &url, "NOSUCH"]).ended(1).json();
    assert!(
        document["error"][0]
            .as_str()
            .is_some_and(|error| error.starts_with("ERR unknown command")),
        "{document}"
    );
}

/// An argument is data: no byte of it is a command, a flag or the end of the value.
#[tokio::test]
async fn a_hostile_argument_is_one_value() {
    let server = RedisServer::start().await;
    let url = server.url();
    let hostile: [&[u8]; 6] = [
        b"a\r\nSET evil 1\r\n",
        b"",
        b"--store",
        b"-h",
        b"$3\r\nfoo\r\n\"; FLUSHALL",
        b"\xff\xfe\x01",
    ];
    for value in hostile {
        let mut set = command(&["exec", "--store", &url, "SET", "k"]);
        set.arg(OsStr::from_bytes(value)).stdin(Stdio::null());
        assert_eq!(finish(&mut set).ended(0).out, "OK\n", "{value:?}");
        assert_eq!(server.cli(&["STRLEN", "k"]), value.len().to_string(), "{value:?}");
        assert_eq!(server.cli(&["DBSIZE"]), "1", "{value:?}");
    }
}

#[tokio::test]
async fn the_store_comes_from_the_flag_the_variable_or_the_redis_variables() {
    let (server, other) = (RedisServer::start().await, RedisServer::start().await);
    server.cli(&["SET", "who", "server"]);
    other.cli(&["SET", "who", "other"]);
    let get = |flags: &[&str], variable: &str, url: &str| {
        let mut get = command(&[&["exec"], flags, &["GET", "who"]].concat());
        finish(get.env(variable, url).stdin(Stdio::null())).ended(0).out
    };
    assert_eq!(get(&[], "LARDER_STORE", &server.url()), "server\n");
    assert_eq!(
        get(&["--store", &server.url()], "LARDER_STORE", &other.url()),
        "server\n"
    );
    assert_eq!(get(&["--store", "env:"], "REDIS_URL", &other.url()), "other\n");
}

#[test]
fn no_store_is_wrong_usage_and_the_hint_names_the_flag_and_the_variable() {
    for args in [
        &["exec", "PING"][..],
        &["keys"],
        &["stats"],
        &["health"],
        &["shell"],
        &["invalidate", "user", "--all"],
    ] {
        larder(args)
            .ended(2)
            .says(&["live store", "hint:", "--store redis://", "LARDER_STORE"]);
    }
    larder(&["exec", "--store", "env:", "PING"])
        .ended(2)
        .says(&["REDIS_URL"]);
    larder(&["keys", "--store", "embedded:"])
        .ended(2)
        .says(&["nothing is in it", "hint:", "--store redis://"]);
    larder(&[
        "dlq",
        "list",
        "--namespace",
        "user",
        "--store",
        "embedded:./data?fsync=always",
    ])
    .ended(2)
    .says(&["one process", "hint:", "serve --dir"]);
    larder(&["exec", "--store", "embedded:"]).ended(2).says(&["<CMD ARG>"]);
}

#[test]
fn a_failure_to_connect_names_address_and_cause_and_no_password() {
    // Port 1 is reserved and refuses at once.
    let url = "redis://:opensesame@127.0.0.1:1";
    for args in [
        &["exec", "--store", url, "PING"][..],
        &["keys", "--store", url],
        &["shell", "--store", url],
    ] {
        let failed = larder(args)
            .ended(1)
            .says(&["127.0.0.1:1", "refused", "hint:", "--store"]);
        assert!(!failed.err.contains("opensesame"), "{failed:#?}");
    }
}
