//! `embedded:FOLDER`: a store that is there again after a restart.

use std::sync::Arc;

use larder_engine::{Engine, Fsync, LogConfig};
use larder_store::{Script, ScriptCall, Store, StoreConfig, StoreError};
use larder_testkit::{SimDisk, Trouble};
use redis::AsyncCommands as _;
use tempfile::TempDir;

fn url(folder: &TempDir, fsync: &str) -> String {
    format!("embedded:{}?fsync={fsync}", folder.path().display())
}

#[tokio::test]
async fn what_was_written_is_there_again_by_every_door() {
    static SET: Script = Script::new("set", "return redis.call('SET', KEYS[1], ARGV[1])");
    let folder = tempfile::tempdir().unwrap();
    for (round, fsync) in ["always", "everysec", "no"].iter().enumerate() {
        let mut store = Store::open(&url(&folder, fsync)).await.unwrap();
        assert!(store.is_embedded());
        let keys: usize = redis::cmd("DBSIZE").query_async(&mut store).await.unwrap();
        assert_eq!(keys, round * 4);
        let _: () = store.set(format!("plain:{fsync}"), 1).await.unwrap();
        let mut pipe = redis::pipe();
        pipe.atomic()
            .set(format!("atomic:{fsync}"), 1)
            .get(format!("atomic:{fsync}"));
        let _: (String, i64) = pipe.query_async(&mut store).await.unwrap();
        store
            .call(&ScriptCall::new(&SET).key(format!("script:{fsync}")).arg("1"))
            .await
            .unwrap();
        let mut own = store.dedicated().await.unwrap();
        let _: () = own.set(format!("dedicated:{fsync}"), 1).await.unwrap();
        drop(own);
        store.close().await;
    }
}

#[tokio::test]
async fn a_folder_has_one_owner_and_a_shared_store_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let url = url(&folder, "always");
    let store = Store::shared(&url).await.unwrap();
    let mut other = Store::shared(&url).await.unwrap();
    let _: () = other.set("k", "v").await.unwrap();
    let error = Store::open(&url).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StoreError::Log(_)), "{error:?}");
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    drop((store, other));
    let mut again = Store::connect(StoreConfig::embedded_in(folder.path(), "no"))
        .await
        .unwrap();
    assert_eq!(again.get::<_, String>("k").await.unwrap(), "v");
    drop(again);
    let wrong = Store::connect(StoreConfig::embedded_in(folder.path(), "daily"))
        .await
        .unwrap_err();
    assert!(wrong.to_string().contains("everysec"), "{wrong}");
}

/// A write that is done and not in the log is neither a success nor a plain failure.
#[tokio::test]
async fn a_write_that_could_not_be_logged_is_of_unknown_outcome_and_later_ones_are_refused() {
    let disk = SimDisk::new();
    let log = LogConfig::new("/data")
        .fsync(Fsync::Always)
        .disk(Arc::new(disk.clone()));
    let engine = Engine::builder().open(log).unwrap();
    let mut store = Store::embedded(engine);
    let _: () = store.set("k", 1).await.unwrap();
    disk.strike_at(disk.steps(), Trouble::SyncFails);
    let failed: redis::RedisResult<()> = store.set("k", 2).await;
    let error = StoreError::from(failed.unwrap_err());
    assert!(error.is_unknown_outcome(), "{error:?}");
    assert!(
        error.to_string().contains("SET was done") && error.to_string().contains("BGREWRITEAOF"),
        "{error}"
    );
    let refused: redis::RedisResult<()> = store.set("k", 3).await;
    let error = StoreError::from(refused.unwrap_err());
    assert!(
        !error.is_unknown_outcome() && error.code() == Some("MISCONF"),
        "{error:?}"
    );
    assert_eq!(store.get::<_, i64>("k").await.unwrap(), 2, "reads go on");
}
