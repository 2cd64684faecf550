//! `larder bench` measures on any store, names the machine, and leaves nothing behind.

use larder_testkit::RedisServer;

use crate::run::{Run, command, finish, larder};

async fn on(url: &str, args: &[&str]) -> Run {
    let args: Vec<String> = args
        .iter()
        .chain(&["--json", "--store", url])
        .map(ToString::to_string)
        .collect();
    let run = move || larder(&args.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.expect("does not panic").ended(0)
}

#[tokio::test]
async fn a_stampede_is_one_load_over_one_cache_and_over_four() {
    let server = RedisServer::start().await;
    for url in ["embedded:", &server.url()] {
        let args = ["bench", "stampede", "--callers", "100", "--load-ms", "20"];
        let document = on(url, &args).await.json();
        let loads = |i: usize| document["stampedes"][i]["loads"].as_u64().expect("a count");
        assert!(loads(0) > 1, "by hand, nothing protects: {document:#}");
        assert_eq!((loads(1), loads(2)), (1, 1), "{document:#}");
    }
    assert_eq!(server.cli(&["DBSIZE"]), "0", "nothing is left behind");
}

#[test]
fn a_store_that_cannot_be_meant_is_wrong_usage() {
    for what in ["stampede", "store", "pipeline", "faces"] {
        larder(&["bench", what, "--store", "foo:"]).ended(2).says(&["redis://"]);
    }
}

#[tokio::test]
async fn a_server_named_by_the_environment_is_measured_and_left_as_it_was() {
    let server = RedisServer::start().await;
    for what in ["store", "pipeline"] {
        let mut command = command(&["bench", what, "--rounds", "1", "--store", "env:"]);
        finish(command.env("REDIS_URL", server.url())).ended(0);
        assert_eq!(server.cli(&["DBSIZE"]), "0", "{what} leaves nothing behind");
    }
}

#[tokio::test]
async fn figures_have_a_machine_a_yardstick_and_their_cost() {
    let server = RedisServer::start().await;
    let document = on(&server.url(), &["bench", "pipeline", "--rounds", "1"]).await.json();
    assert!(!document["machine"].as_str().expect("a name").is_empty());
    let figures = document["figures"].as_array().expect("a list");
    assert_eq!(figures.len(), 2, "{document:#}");
    assert_eq!(figures[0]["ratio"], 1.0);
    assert!(figures[1]["cpu_ns"].as_f64().expect("a number") > 0.0);
    assert_eq!(server.cli(&["DBSIZE"]), "0", "nothing is left behind");
}

#[tokio::test]
async fn both_faces_do_the_same_work() {
    let server = RedisServer::start().await;
    for url in ["embedded:", &server.url()] {
        let document = on(url, &["bench", "faces", "--rounds", "1"]).await.json();
        let figures = document["figures"].as_array().expect("a list");
        assert_eq!(figures.len(), 10, "five cases, two faces: {document:#}");
        for figure in figures {
            assert_eq!(figure["operations"], 1_000, "{figure:#}");
            assert!(figure["p99_us"].as_f64().expect("timed") > 0.0, "{figure:#}");
        }
        assert_eq!(document["memory"].as_array().expect("a list").len(), 2, "{document:#}");
    }
    assert_eq!(server.cli(&["DBSIZE"]), "0", "nothing is left behind");
}
