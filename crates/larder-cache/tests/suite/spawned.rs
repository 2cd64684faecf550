//! Reads can be spawned: their futures are `Send`, whatever the loader. That this compiles is most of the test.

use std::{convert::Infallible, sync::Arc, time::Duration};

use larder_cache::{Cache, LoadContext};
use larder_store::Store;

#[tokio::test]
async fn every_kind_of_read_can_be_spawned() {
    let store = Store::open("embedded:").await.unwrap();
    let users = Cache::<u64, String>::builder("user")
        .store(&store)
        .ttl(Duration::from_secs(60))
        .build()
        .await
        .unwrap();
    let name = Arc::new("Ada".to_owned());

    let (cache, borrowed) = (users.clone(), name.clone());
    let loaded = tokio::spawn(async move {
        let load = || async { Ok::<_, Infallible>(borrowed.as_ref().clone()) };
        cache.get_or_load(&1, load).await
    });
    assert_eq!(loaded.await.unwrap().unwrap(), name);

    let cache = users.clone();
    let load = |context: LoadContext<String>| async move { Ok::<_, std::io::Error>(context.absent()) };
    let absent = tokio::spawn(async move { cache.get_or_load_with(&2, load).await });
    assert_eq!(absent.await.unwrap().unwrap(), None);

    let cache = users.clone();
    let looked = tokio::spawn(async move {
        cache
            .lookup_or_load(&1, || async { Ok::<_, Infallible>(String::new()) })
            .await
    });
    assert!(looked.await.unwrap().unwrap().is_fresh());

    let got = tokio::spawn(async move { users.get(&1).await });
    assert_eq!(got.await.unwrap().unwrap(), Some(name));
}
