//! Plain interop: JSON under the bare key.

use std::io;

use larder_cache::{ErrorKind, PlainStore, Ttl};
use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};

use larder_testkit::{Topology, for_each_topology};

use super::subject::LONG;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    team: Option<u32>,
}

fn ada() -> User {
    User {
        name: "Ada".into(),
        team: Some(7),
    }
}

#[test]
fn others_read_what_is_put_and_the_reverse() {
    for_each_topology(async |t: Topology| {
        let mut store = t.store().await;
        let users = store.plain::<User>("user");
        users.put(&42, &ada(), t.units(LONG)).await.unwrap();
        let raw: String = store.get("user:42").await.unwrap();
        assert_eq!(raw, r#"{"name":"Ada","team":7}"#);
        let _: () = store
            .set("user:43", r#"{"team":null,"name":"Bob","unknown":[1]}"#)
            .await
            .unwrap();
        let bob = User {
            name: "Bob".into(),
            team: None,
        };
        assert_eq!(
            users.get_many(&[43, 44, 42]).await.unwrap(),
            [Some(bob), None, Some(ada())]
        );
    });
}

#[test]
fn a_value_expires_and_a_touched_one_lives_on() {
    for_each_topology(async |t: Topology| {
        let users = t.store().await.plain::<User>("user");
        users.put(&1, &ada(), t.units(4)).await.unwrap();
        users.put(&2, &ada(), t.units(40)).await.unwrap();
        assert!(users.touch(&2, t.units(LONG)).await.unwrap());
        t.advance(41).await;
        assert_eq!(
            (users.get(&1).await.unwrap(), users.get(&2).await.unwrap()),
            (None, Some(ada()))
        );
        assert!(users.touch(&2, Ttl::never()).await.unwrap());
        assert_eq!(users.ttl(&2).await.unwrap(), Some(Ttl::never()));
        assert_eq!(users.ttl(&1).await.unwrap(), None);
        assert!(!users.touch(&1, t.units(9)).await.unwrap());
    });
}

#[test]
fn a_load_never_replaces_what_was_put_meanwhile() {
    for_each_topology(async |t: Topology| {
        let users = t.store().await.plain::<User>("user");
        let newer = User {
            name: "Grace".into(),
            team: None,
        };
        let loaded = users.get_or_load(&1, t.units(LONG), async || {
            users.put(&1, &newer, t.units(LONG)).await.unwrap();
            Ok::<_, io::Error>(ada())
        });
        assert_eq!(loaded.await.unwrap(), ada());
        assert_eq!(users.get(&1).await.unwrap(), Some(newer));
        assert!(!users.put_if_absent(&1, &ada(), t.units(LONG)).await.unwrap());
        assert!(users.remove(&1).await.unwrap());
        assert!(!users.contains(&1).await.unwrap());
    });
}

#[test]
fn what_is_not_of_the_type_is_an_error_that_does_not_quote_it_and_stays() {
    for_each_topology(async |t: Topology| {
        let mut store = t.store().await;
        let _: () = store.set("user:1", "secret").await.unwrap();
        let error = store.plain::<User>("user").get(&1).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Decode { .. }), "{error:?}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        assert_eq!(store.get::<_, String>("user:1").await.unwrap(), "secret");
        let _: () = store.hset("user:2", "a", "b").await.unwrap();
        let error = store.plain::<User>("user").get(&2).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Store { .. }), "{error:?}");
    });
}
