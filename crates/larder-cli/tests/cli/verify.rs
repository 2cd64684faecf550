//! `larder verify` acquits Larder, convicts what people write by hand, and its exit code says which.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpStream,
    process::Stdio,
    time::Duration,
};

use larder_testkit::{RedisServer, eventually};

use crate::run::{command, finish, larder, signal};

/// A race is won by chance: with three seeds there is none that the naive code does not lose once.
const SEEDS: [&str; 3] = ["1", "2", "3"];

#[test]
fn larder_has_no_stale_reads() {
    let document = larder(&["verify", "--ops", "2000", "--seed", "1", "--json"])
        .ended(0)
        .json();
    let larder = &document["larder"];
    for (field, asked) in [
        ("seed", serde_json::json!(1)),
        ("ops", serde_json::json!(2_000)),
        ("store", serde_json::json!("embedded:")),
        ("consistency", serde_json::json!("bounded")),
        ("coherence", serde_json::json!("tracking")),
        ("max_staleness_ms", serde_json::json!(1_000.0)),
    ] {
        assert_eq!(document[field], asked, "{field} in {document:#}");
    }
    assert_eq!(
        (&larder["stale_reads"], &larder["is_clean"]),
        (&0.into(), &true.into()),
        "{document:#}"
    );
    let count = |name: &str| larder[name].as_u64().expect("a count");
    assert_eq!(count("reads") + count("writes"), 2_000, "{document:#}");
    assert!(
        count("writes") > 0 && count("loads") > 0,
        "there was something to go wrong: {document:#}"
    );
}

#[test]
fn the_naive_code_is_caught() {
    let is_caught = |seed: &&str| {
        let args = [
            "verify",
            "--baseline",
            "naive",
            "--ops",
            "20000",
            "--json",
            "--seed",
            seed,
        ];
        let run = larder(&args);
        let stale = run.json()["naive"]["stale_reads"].as_u64().expect("a count");
        if stale > 0 {
            run.ended(1)
                .says(&["promises were broken by naive", &format!("seed {seed}")]);
        }
        stale > 0
    };
    assert!(
        SEEDS.iter().any(is_caught),
        "none of the seeds {SEEDS:?} makes the naive code serve an old value"
    );
}

/// Every fault there is, on servers of its own; the near tiers answered meanwhile, and nothing was lost on the way.
#[test]
fn larder_survives_a_server_that_is_killed_and_stopped() {
    for (server, coherence, ops) in [
        ("redis", "tracking", "20000"),
        ("larder", "tracking", "20000"),
        ("redis", "log", "10000"),
    ] {
        let faults = "evict,flush,disconnect,kill,pause";
        let args = [
            "verify",
            "--server",
            server,
            "--coherence",
            coherence,
            "--faults",
            faults,
            "--ops",
            ops,
            "--json",
        ];
        let document = larder(&args).ended(0).json();
        let larder = &document["larder"];
        let zeroes = ["stale_reads", "violations", "wrong_at_rest", "lost_writes"];
        assert!(zeroes.iter().all(|zero| larder[zero] == 0), "{document:#}");
        let counts = ["near_hits", "faults_made", "fills_rejected", "writes"];
        assert!(
            counts.iter().all(|count| larder[count].as_u64() > Some(0)),
            "{document:#}"
        );
    }
}

#[tokio::test]
async fn a_server_named_by_the_environment_is_left_as_it_was() {
    let server = RedisServer::start().await;
    server.cli(&["SET", "user:42", "precious"]);
    let mut verify = command(&[
        "verify",
        "--store",
        "env:",
        "--ops",
        "1000",
        "--faults",
        "flush,disconnect",
        "--json",
    ]);
    let document = finish(verify.env("REDIS_URL", server.url()).stdin(Stdio::null()))
        .ended(0)
        .json();
    assert_eq!(document["larder"]["stale_reads"], 0, "{document:#}");
    assert_eq!(server.cli(&["KEYS", "*"]), "user:42");
}

#[test]
fn what_cannot_be_verified_is_wrong_usage() {
    larder(&["verify", "--faults", "disconnect"]).ended(2).says(&[
        "disconnect",
        "`embedded:`",
        "hint:",
        "--store redis://",
    ]);
    for fault in ["kill", "pause"] {
        let own = ["verify", "--faults", fault, "--store", "redis://127.0.0.1:1"];
        larder(&own).ended(2).says(&[fault, "own", "hint:", "--server redis"]);
    }
    larder(&["verify", "--server", "redis", "--store", "embedded:"])
        .ended(2)
        .says(&["--server", "--store"]);
    larder(&["verify", "--faults", "earthquake"])
        .ended(2)
        .says(&["earthquake"]);
    larder(&["verify", "--store", "http://127.0.0.1"])
        .ended(2)
        .says(&["redis://"]);
    larder(&["verify", "--store", "redis://127.0.0.1:1"])
        .ended(1)
        .says(&["127.0.0.1:1", "refused", "hint:"]);
}

#[test]
fn a_bound_that_no_near_tier_takes_is_wrong_usage() {
    for short in ["0", "39ms"] {
        let run = larder(&["verify", "--max-staleness", short]).ended(2);
        run.says(&["--max-staleness", "40ms or more"]);
    }
    let shortest = [
        "verify",
        "--max-staleness",
        "40ms",
        "--coherence",
        "log",
        "--ops",
        "200",
    ];
    let text = larder(&shortest).ended(0).out;
    for line in [
        "200 operations by 2 processes on embedded:",
        "coherence log, max staleness 40ms",
    ] {
        assert!(text.contains(line), "{line:?} is in {text}");
    }
}

#[tokio::test]
async fn an_interrupted_run_removes_its_keys_too() {
    let server = RedisServer::start().await;
    let mut child = command(&["verify", "--ops", "100000000", "--store", &server.url()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts");
    let store = larder_store::Store::open(&server.url()).await.expect("the server runs");
    let size = async || {
        let size: u64 = redis::cmd("DBSIZE")
            .query_async(&mut store.clone())
            .await
            .expect("a count");
        size
    };
    eventually(Duration::from_secs(20), async || size().await > 0).await;
    signal(&child, rustix::process::Signal::INT);
    let status = child.wait().expect("the command ends");
    assert_eq!((status.code(), size().await), (Some(130), 0));
}

/// A server that evicts and forgets loses leases too: no promise is broken by that, and the naive code's stale reads still are.
#[tokio::test]
async fn what_a_server_loses_by_itself_breaks_no_promise() {
    let server = RedisServer::start().await;
    let url = server.url();
    let args = ["verify", "--store", &url, "--ops", "10000", "--json"];
    let mut child = command(&args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    while child.try_wait().expect("it can be asked").is_none() {
        server.cli(&["FLUSHALL"]);
    }
    let mut document = String::new();
    let mut stdout = child.stdout.take().expect("stdout is piped");
    stdout.read_to_string(&mut document).expect("text");
    assert_eq!(child.wait().expect("it ended").code(), Some(0), "{document}");
    let document: serde_json::Value = serde_json::from_str(&document).expect("one document");
    let larder = &document["larder"];
    let some = [&larder["overlaps_not_judged"], &larder["leases_lost"]["flushes"]];
    assert!(some.iter().all(|count| count.as_u64() > Some(0)), "{document:#}");
}

/// The text names in words which rule was broken, and where it is explained.
#[test]
fn what_was_broken_is_said_in_words() {
    let is_caught = |seed: &&str| {
        let naive = ["verify", "--baseline", "naive", "--ops", "20000", "--seed", seed];
        let text = larder(&naive).out;
        let words = ["C1 (a stale read past the near tier)", "docs/guide/verify.md"];
        words.iter().all(|words| text.contains(words))
    };
    assert!(SEEDS.iter().any(is_caught));
}

/// Nothing of the program runs any more that could end its server.
#[tokio::test]
async fn a_killed_run_leaves_no_server_behind() {
    for server in ["redis", "larder"] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = command(&["verify", "--ops", "100000000", "--server", server])
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("text");
        let port = line
            .trim_end()
            .trim_end_matches("/0")
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        let port: u16 = port.unwrap_or_else(|| panic!("it says where: {line:?}"));
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        assert!(listens());
        signal(&child, rustix::process::Signal::KILL);
        child.wait().expect("it was killed");
        eventually(Duration::from_secs(20), async || !listens()).await;
        // The next one removes the folder too.
        let mut next = command(&["verify", "--ops", "200", "--server", "redis"]);
        finish(next.env("TMPDIR", folder.path()).stdin(Stdio::null())).ended(0);
        let left = std::fs::read_dir(folder.path()).expect("it is ours");
        assert_eq!(left.count(), 0);
    }
}

/// Strict writes on a server whose connections are cut and which stands still: by hand, what is visible is missed at once.
#[test]
fn strict_writes_are_never_missed() {
    let args = [
        "verify",
        "--server",
        "redis",
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
        "--json",
    ];
    let document = larder(&args).ended(1).json();
    assert!(document["naive"]["stale_reads"].as_u64() > Some(0), "{document:#}");
    let larder = &document["larder"];
    let zeroes = ["stale_reads", "late_reads", "violations", "wrong_at_rest"];
    assert!(zeroes.iter().all(|zero| larder[zero] == 0), "{document:#}");
    let counts = ["near_hits", "writes"];
    assert!(
        counts.iter().all(|count| larder[count].as_u64() > Some(0)),
        "{document:#}"
    );
}

#[test]
fn what_loses_holds_is_not_promised_strictly() {
    let args = ["verify", "--consistency", "strict", "--faults", "evict"];
    larder(&args).ended(2).says(&["evict", "hold", "hint:", "bounded"]);
}
