//! Every script stays in one slot: a server in cluster mode, which has all slots, runs them all, and refuses one that does not.

use std::time::Duration;

use larder_kit::session::Sessions;
use larder_store::{Script, ScriptCall, Store};
use larder_testkit::{RedisServer, eventually};

use super::lab::{standing, stands};

/// Without the first line a server is lenient with scripts that go elsewhere.
const STRICT: &str = "#!lua\n";

static TWO_SLOTS: Script = Script::new(
    "two_slots",
    "#!lua\nreturn {redis.call('GET', KEYS[1]), redis.call('GET', ARGV[1])}",
);

#[tokio::test]
async fn every_script_stays_in_one_slot() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes"]).await;
    server.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    eventually(Duration::from_secs(30), async || {
        server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
    })
    .await;
    let store = Store::open(&server.url()).await.expect("opens");
    // It would notice.
    let both = store.call(&ScriptCall::new(&TWO_SLOTS).key("a").arg("b")).await;
    let refused = both.expect_err("two slots").to_string();
    assert!(refused.contains("same slot"), "{refused}");

    let mut builder = Sessions::builder("web").store(&store).max_per_user(2);
    for script in ["create", "use", "rotate", "delete", "list", "revoke", "login"] {
        let head = format!("-- {script}:");
        builder = builder.mutant(&format!("session_{script}"), &head, &format!("{STRICT}{head}"));
    }
    let sessions = builder.build().expect("builds");
    for user in 0..8u64 {
        let mut session = sessions.create().await.expect("created");
        session
            .change()
            .set("cart", "book")
            .incr("visits", 1)
            .save()
            .await
            .expect("saved");
        let login = sessions.begin_login(&user).await.expect("begun");
        session.sign_in(&login).await.expect("signed in");
        session.rotate().await.expect("rotated");
        for _ in 0..3 {
            sessions.create_for(&user).await.expect("created, and the oldest ended");
        }
        assert_eq!(sessions.list(&user).await.expect("listed").len(), 2);
        let mut own = sessions.create_for(&user).await.expect("created");
        assert_eq!(own.revoke_others().await.expect("revoked"), 1);
        let own = standing(&sessions, own.id().reveal()).await;
        let id = own.id().reveal().to_owned();
        let other = sessions.create_for(&user).await.expect("created");
        assert!(sessions.end(&user, &other.reference()).await.expect("ended"));
        own.delete().await.expect("deleted");
        assert!(!stands(&sessions, &id).await);
        assert_eq!(sessions.revoke_all(&user).await.expect("revoked"), 0);
    }
}
