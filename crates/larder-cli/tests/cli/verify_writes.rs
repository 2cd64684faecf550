//! `larder verify --write ..`: every way to write, under faults, beside the code that people write by hand.

use serde_json::Value;

use crate::run::larder;

/// Seeds to try: there is none that the naive code does not lose once.
const SEEDS: [&str; 3] = ["1", "2", "3"];

fn verified(args: &[&str], code: i32) -> Value {
    let args: Vec<&str> = ["verify", "--json"].iter().chain(args).copied().collect();
    larder(&args).ended(code).json()
}

#[track_caller]
fn is_clean(document: &Value, worked: &[&str]) {
    let larder = &document["larder"];
    let zeroes = ["stale_reads", "violations", "wrong_at_rest", "lost_writes"];
    assert!(zeroes.iter().all(|zero| larder[zero] == 0), "{document:#}");
    let is_counted = |count: &&str| larder[count].as_u64() > Some(0);
    assert!(worked.iter().all(is_counted), "{worked:?} in {document:#}");
}

#[test]
fn what_is_put_around_or_through_is_never_missed_whatever_the_server_loses() {
    for (server, write) in [("redis", "through"), ("larder", "through"), ("redis", "around")] {
        let faults = "evict,flush,disconnect,kill,pause";
        let args = [
            "--server", server, "--write", write, "--faults", faults, "--ops", "10000",
        ];
        let document = verified(&args, 0);
        assert_eq!(document["write"], write, "{document:#}");
        is_clean(&document, &["near_hits", "faults_made", "writes", "loads"]);
    }
}

/// Some 400 writes among so many reads of the engine in this process: a race is lost in each of them now and then.
#[test]
fn the_naive_write_through_is_caught() {
    let is_caught = |seed: &&str| {
        let args = ["verify", "--json", "--write", "through", "--baseline", "naive"];
        let run = larder(&[&args[..], &["--ops", "200000", "--seed", seed]].concat());
        run.json()["naive"]["stale_reads"].as_u64() > Some(0)
    };
    assert!(SEEDS.iter().any(is_caught));
}

/// Strictly: what is stored was visible before, and by hand it is stored after it was.
#[test]
fn what_is_put_through_strictly_is_seen_as_soon_as_it_is_visible() {
    let args = [
        "--server",
        "redis",
        "--write",
        "through",
        "--consistency",
        "strict",
        "--max-staleness",
        "100ms",
        "--faults",
        "disconnect,pause",
        "--ops",
        "10000",
        "--baseline",
        "all",
    ];
    let document = verified(&args, 1);
    assert!(document["naive"]["stale_reads"].as_u64() > Some(0), "{document:#}");
    is_clean(&document, &["near_hits", "writes"]);
    assert_eq!(document["larder"]["late_reads"], 0, "{document:#}");
}

/// Servers that are killed and come back with their log, processes that are killed in the middle of a commit.
#[test]
fn what_is_written_behind_is_never_missed_and_never_lost() {
    for server in ["redis", "larder"] {
        let faults = "evict,disconnect,kill,pause,crash";
        let args = [
            "--server",
            server,
            "--write",
            "behind",
            "--faults",
            faults,
            "--ops",
            "10000",
            "--processes",
            "3",
        ];
        is_clean(&verified(&args, 0), &["faults_made", "writes", "taken"]);
    }
}

/// Nothing has to go wrong for a queue without versions: two flushers are enough, and a crash loses what one had popped.
#[test]
fn the_naive_queue_is_caught() {
    let is_caught = |seed: &&str| {
        let args = ["verify", "--json", "--write", "behind", "--ops", "60000"];
        let run = larder(&[&args[..], &["--baseline", "all", "--faults", "crash", "--seed", seed]].concat());
        let document = run.json();
        is_clean(&document, &["writes", "taken"]);
        let broken = &document["naive"]["broken"];
        ["C11", "C12"].iter().any(|rule| broken[rule].as_u64() > Some(0))
    };
    assert!(SEEDS.iter().any(is_caught));
}

#[test]
fn what_no_way_to_write_promises_is_wrong_usage() {
    let behind = |more: &[&str]| larder(&[&["verify", "--write", "behind"][..], more].concat()).ended(2);
    behind(&["--faults", "flush"]).says(&["flush", "waits", "hint:", "evict"]);
    behind(&["--consistency", "strict"]).says(&["strict", "behind", "hint:", "bounded"]);
    let through = ["verify", "--write", "through", "--faults", "crash"];
    larder(&through)
        .ended(2)
        .says(&["crash", "TTL", "hint:", "--write behind"]);
    larder(&["verify", "--write", "sideways"])
        .ended(2)
        .says(&["sideways", "behind"]);
}
