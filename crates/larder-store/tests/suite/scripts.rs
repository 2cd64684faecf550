//! Scripts by name: registered, loaded at the start, and found again by a server that forgot them.

use std::time::Duration;

use larder_store::{
    Script, Scripts, ScriptsError, Store,
    redis::{self, Value},
};
use larder_testkit::{RedisServer, eventually};

use super::common::everywhere;

static ADD: Script = Script::new("stock_add", "return redis.call('INCRBY', KEYS[1], ARGV[1])");

fn scripts() -> Scripts {
    let mut scripts = Scripts::new();
    scripts.add(&ADD).expect("the name is new");
    scripts
        .add_text("stock_of", "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])")
        .expect("the name is new");
    scripts
}

#[tokio::test]
async fn scripts_are_loaded_at_the_start_and_survive_a_server_that_forgets_them() {
    everywhere(async |place| {
        let store = place.store().await;
        let scripts = scripts();
        scripts.load_all(&store).await.unwrap();
        let known = redis::cmd("SCRIPT").arg("EXISTS").arg(ADD.sha(true)).to_owned();
        assert_eq!(store.run(&known).await.unwrap(), Value::Array(vec![Value::Int(1)]));
        for round in 1..=2 {
            let add = scripts.call("stock_add").unwrap().key("stock").int(5);
            assert_eq!(scripts.run(&store, &add).await.unwrap(), Value::Int(5 * round));
            let of = scripts.call("stock_of").unwrap().key("stock");
            let left = Value::BulkString((5 * round).to_string().into_bytes());
            assert_eq!(scripts.run(&store, &of).await.unwrap(), left);
            store.run(redis::cmd("SCRIPT").arg("FLUSH").arg("SYNC")).await.unwrap();
        }
    })
    .await;
}

/// After a crash or a failover nothing is known there, and nobody loads anything by hand.
#[tokio::test]
async fn a_server_that_was_killed_is_given_the_scripts_again() {
    let mut server = RedisServer::start().await;
    let store = Store::open(&server.url()).await.unwrap();
    let scripts = scripts();
    scripts.load_all(&store).await.unwrap();
    server.kill();
    server.restart_empty().await;
    eventually(Duration::from_secs(30), async || {
        let of = scripts.call("stock_of").unwrap().key("stock");
        scripts.run(&store, &of).await.is_ok_and(|left| left == Value::Nil)
    })
    .await;
}

#[tokio::test]
async fn a_mistake_in_a_script_is_told_at_the_start_and_names_it() {
    everywhere(async |place| {
        let store = place.store().await;
        let mut scripts = scripts();
        scripts.add_text("torn", "return (").unwrap();
        let error = scripts.load_all(&store).await.unwrap_err();
        assert!(matches!(error, ScriptsError::Load { name: "torn", .. }), "{error}");
        assert!(error.to_string().contains("`torn`"), "{error}");

        let mut scripts = Scripts::new();
        scripts.add_text("wrong", "return redis.call('GET')").unwrap();
        scripts.load_all(&store).await.unwrap();
        let call = scripts.call("wrong").unwrap();
        let error = scripts.run(&store, &call).await.unwrap_err();
        assert!(matches!(error, ScriptsError::Failed { name: "wrong", .. }), "{error}");
        assert!(
            error.store().is_some_and(|error| !error.is_unknown_outcome()),
            "{error}"
        );
    })
    .await;
}

#[test]
fn names_are_unique_good_and_said() {
    let mut scripts = scripts();
    for again in ["stock_add", "stock_of"] {
        let error = scripts.add_text(again, "return 1").unwrap_err();
        assert!(
            matches!(&error, ScriptsError::Duplicate { name } if name == again),
            "{error}"
        );
    }
    assert!(matches!(scripts.add(&ADD), Err(ScriptsError::Duplicate { .. })));
    for bad in ["", "a b", "a:b", &"x".repeat(65)] {
        let error = scripts.add_text(bad, "return 1").unwrap_err();
        assert!(matches!(error, ScriptsError::BadName { .. }), "{error}");
    }
    let error = scripts.call("stock").unwrap_err().to_string();
    assert!(error.contains("stock_add, stock_of"), "{error}");
    assert_eq!(scripts.names().count(), 2);
}

#[test]
fn a_script_is_read_from_a_file_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stock_sum.lua");
    std::fs::write(&file, "return 7").unwrap();
    let mut scripts = Scripts::new();
    scripts.add_file(&file).unwrap();
    assert_eq!(scripts.call("stock_sum").unwrap().script().source(true), "return 7");
    let absent = scripts.add_file(folder.path().join("absent.lua")).unwrap_err();
    assert!(absent.to_string().contains("absent.lua"), "{absent}");
}
