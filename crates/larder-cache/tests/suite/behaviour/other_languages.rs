//! The guide's page for services in other languages is true: its partitions, and its example, run as it stands.

use std::{path::Path, process::Command, time::Duration};

use larder_cache::Cache;
use larder_testkit::{Topology, for_each_topology};
use xxhash_rust::xxh3::xxh3_64;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    std::fs::read_to_string(root().join("../../docs/guide/other-languages.md")).expect("the page exists")
}

#[test]
fn the_partitions_of_the_page_are_right() {
    let page = page();
    let rows = page.split("| KEY | P |").nth(1).expect("the table").lines().skip(2);
    let rows: Vec<(String, String)> = rows
        .map_while(|row| {
            let mut cells = row.trim_matches('|').split(" | ");
            let key = cells.next()?.trim().strip_prefix('`')?.strip_suffix('`')?;
            Some((key.to_owned(), cells.next()?.trim().to_owned()))
        })
        .collect();
    assert_eq!(rows.len(), 5, "{rows:?}");
    for (key, partition) in rows {
        assert_eq!(partition, (xxh3_64(key.as_bytes()) % 64).to_string(), "{key}");
    }
}

#[test]
fn the_example_of_the_page_invalidates() {
    let page = page();
    let example = page.split("<!-- example begin -->").nth(1).expect("it begins");
    let example = example
        .split("```sh\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let example = example.expect("a block of sh").to_owned();
    for_each_topology(async |t: Topology| {
        let Some(port) = t.port() else { return };
        let store = t.another_store().await;
        let users: Cache<u64, u64> = Cache::builder("user")
            .store(&store)
            .ttl(Duration::from_secs(300))
            .tags(|team: &u64| [format!("team:{team}")])
            .build()
            .await
            .unwrap();
        for (key, team) in [(41, 8), (42, 8), (43, 7), (44, 7)] {
            users.put(&key, team).await.unwrap();
        }
        // A load that began before is not kept either: nothing of it may come back.
        let old = users.get_or_load(&50, || async {
            let ran = tokio::task::block_in_place(|| {
                Command::new("sh")
                    .args(["-e", "-c", &example])
                    .current_dir(root().join("src/script"))
                    .env("REDIS_URL", format!("redis://127.0.0.1:{port}"))
                    .output()
            });
            let ran = ran?;
            let said = String::from_utf8_lossy(&ran.stdout).into_owned();
            assert!(ran.status.success(), "{ran:?}");
            assert!(said.starts_with("1\n") && !said.contains("ERR"), "{said}");
            Ok::<_, std::io::Error>(7)
        });
        assert_eq!(*old.await.unwrap(), 7);
        let left = users.get_many(&[41, 42, 43, 44, 50]).await;
        assert_eq!(left.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [41]);
    });
}
