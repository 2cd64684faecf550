//! `larder keys` lists what SCAN finds, each key once, and says when it stops early.

use larder_testkit::RedisServer;

use crate::run::larder_on;

/// Enough for several steps of SCAN and for more than the default limit.
const USERS: usize = 2_500;

async fn filled() -> RedisServer {
    let server = RedisServer::start().await;
    let fill = format!("for i = 1, {USERS} do redis.call('SET', 'user:' .. i, i) end");
    server.cli(&["EVAL", &fill, "0"]);
    server.cli(&["MSET", "order:1", "a", "with space", "b"]);
    server
}

#[tokio::test]
async fn every_key_is_listed_once_and_in_order() {
    let server = filled().await;
    let all = larder_on(&server.url(), &["keys", "--limit", "0"]);
    let keys: Vec<&str> = all.out.lines().collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(keys, sorted, "in order, and none twice");
    assert_eq!(keys.len(), USERS + 2);
    assert!(keys.contains(&"with space") && keys.contains(&"user:2500"));
    assert_eq!(all.err, "");
}

#[tokio::test]
async fn a_pattern_chooses() {
    let server = filled().await;
    let keys = |pattern: &str| larder_on(&server.url(), &["keys", pattern]).out;
    assert_eq!(keys("order:*"), "order:1\n");
    assert_eq!(keys("user:249[89]"), "user:2498\nuser:2499\n");
    assert_eq!(keys("nobody:*"), "");
}

/// What goes into a pipe is keys alone: a remark among them would be taken for one.
#[tokio::test]
async fn a_limit_cuts_and_says_so_beside_the_keys() {
    let server = filled().await;
    for (flags, listed) in [(&[][..], 1_000), (&["--limit", "7"], 7)] {
        let cut = larder_on(&server.url(), &[&["keys", "user:*"], flags].concat());
        assert_eq!(cut.out.lines().count(), listed);
        assert!(cut.out.lines().all(|key| key.starts_with("user:")), "{}", cut.out);
        cut.says(&[&format!("cut at {listed} keys"), "--limit 0"]);
    }
    let exact = larder_on(&server.url(), &["keys", "order:*", "--limit", "1"]);
    assert_eq!((exact.out.as_str(), exact.err.as_str()), ("order:1\n", ""));
}

#[tokio::test]
async fn under_json_the_keys_are_one_list() {
    let server = filled().await;
    let keys = larder_on(&server.url(), &["keys", "--json", "--limit", "3"]);
    assert_eq!(keys.json().as_array().map(Vec::len), Some(3));
    keys.says(&["cut at 3 keys"]);
    let none = larder_on(&server.url(), &["keys", "--json", "nobody:*"]).json();
    assert_eq!(none, serde_json::json!([]));
}
