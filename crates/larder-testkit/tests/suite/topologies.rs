//! One test means the same on every topology.

use larder_testkit::{Topology, for_each_topology};
use redis::{AsyncCommands as _, RedisError};

#[test]
fn time_passes_in_units_everywhere() {
    for_each_topology(async |t: Topology| {
        let mut store = t.store().await;
        store
            .pset_ex::<_, _, ()>("k", "v", t.units(40).as_millis() as u64)
            .await?;
        t.advance(3).await;
        assert!(store.exists::<_, bool>("k").await?);
        t.advance(38).await;
        assert!(!store.exists::<_, bool>("k").await?);
        Ok::<_, RedisError>(())
    });
}

#[test]
fn clients_share_the_data_and_nothing_else() {
    for_each_topology(async |t: Topology| {
        let (mut one, mut other) = (t.store().await, t.another_store().await);
        one.set::<_, _, ()>("k", "v").await?;
        assert_eq!(other.get::<_, String>("k").await?, "v");
        let id = |mut store: larder_store::Store| async move {
            redis::cmd("CLIENT").arg("ID").query_async::<u64>(&mut store).await
        };
        assert_ne!(id(one).await?, id(other).await?);
        assert_eq!(
            t.wire().call(&["GET", "k"]).map(|answer| answer.text()),
            Ok("v".to_owned())
        );
        Ok::<_, RedisError>(())
    });
}
