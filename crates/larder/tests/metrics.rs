//! Metrics as a scraper reads them, and the page that lists them.

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use larder::{
    Cache, Store,
    limit::{ConcurrencyLimit, FixedWindow, LimitError, Limiter, OnStoreDown},
    lock::{Lock as _, LockError, StoreLock},
    metrics,
    redis::{self, AsyncCommands as _},
    session::Sessions,
    transaction::{Transactions, Watched},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A real request over a real connection: status line with headers, and body.
async fn http(addr: std::net::SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("text, then the end");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_owned(), body.to_owned())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: larder\r\n\r\n")
}

/// The text format, read as strictly as a scraper does: what is declared, and each sample with its labels.
#[derive(Debug, Default)]
struct Scrape {
    types: BTreeMap<String, String>,
    help: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    fn parse(body: &str) -> Self {
        let mut scrape = Self::default();
        for line in body.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and a type");
                scrape.types.insert(name.into(), kind.into());
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a name and a text");
                scrape.help.insert(name.into(), help.into());
            } else {
                let (series, value) = line.rsplit_once(' ').expect("a series and a value");
                let value: f64 = value.parse().expect("a number");
                assert!(!value.is_nan(), "{line}");
                scrape.samples.insert(series.into(), value);
            }
        }
        scrape
    }

    /// The value of a series of this metric that has all these labels; `None` if there is none.
    fn value(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let is_it =
            |series: &str| series.split('{').next() == Some(name) && labels.iter().all(|label| series.contains(label));
        self.samples
            .iter()
            .find(|(series, _)| is_it(series))
            .map(|(_, value)| *value)
    }
}

/// Two calls admitted, one denied by the store, one by this process, and one by the policy; of two who enter, one does.
async fn limits(store: &Store) -> Result<(), LimitError> {
    let limiter = |store: &Store| {
        let builder = Limiter::builder("calls").store(store).limit(FixedWindow::per_day(2));
        let builder = builder.remember_denials(Duration::from_secs(3_600));
        builder.on_store_down(OnStoreDown::Closed).build()
    };
    let calls = limiter(store)?;
    for _ in 0..4 {
        calls.check("ada").await?;
    }
    let away = Store::lazy("redis://127.0.0.1:1?max_attempts=1").expect("the URL is right");
    limiter(&away)?.check("ada").await?;
    let places = ConcurrencyLimit::builder("calls").store(store).limit(1);
    let places = places.on_store_down(OnStoreDown::Closed).build()?;
    let _entered = (places.enter("ada").await?, places.enter("ada").await?);
    Ok(())
}

/// One of each thing that they count.
async fn sessions_and_transactions(store: &Store) {
    let sessions = Sessions::builder("web").store(store).build().expect("done");
    let mut session = sessions.create().await.expect("done");
    session.rotate().await.expect("done");
    let login = sessions.begin_login(&1u64).await.expect("done");
    session.sign_in(&login).await.expect("done");
    session.set("city", "Uruk").await.expect("done");
    session.incr("city", 1).await.expect_err("refused");
    assert!(sessions.load(session.id().reveal()).await.expect("done").is_some());
    assert!(sessions.load("no id").await.expect("done").is_none());

    let steps = Transactions::builder("steps")
        .store(store)
        .attempts(1)
        .build()
        .expect("done");
    let watch = async |overtaken: bool| {
        let work = async |watched: Watched| {
            if overtaken {
                store.run(redis::cmd("SET").arg("n").arg(1)).await?;
            }
            watched.commit::<()>(redis::pipe()).await
        };
        steps.run(["n"], work).await
    };
    watch(false).await.expect("done");
    assert!(watch(true).await.expect_err("overtaken").is_contended());
}

/// Two granted, of which one is lost and one released; one busy; one of a store that is away.
async fn locks(store: &Store) -> Result<(), LockError> {
    let locks = |store: &Store| StoreLock::builder("invoices").store(store).watchdog(false).build();
    let invoices = locks(store)?;
    let (held, lost) = (invoices.acquire(&1).await?, invoices.acquire(&2).await?);
    assert!(invoices.try_acquire(&1).await?.is_none());
    store
        .clone()
        .del::<_, ()>(lost.resource())
        .await
        .expect("the store answers");
    assert!(lost.extend().await.is_err() && held.release().await?.was_held());
    let away = Store::lazy("redis://127.0.0.1:1?max_attempts=1").expect("the URL is right");
    assert!(locks(&away)?.try_acquire(&1).await.is_err());
    Ok(())
}

/// One test, because the façade knows one recorder per process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_service_did_can_be_scraped() {
    // Built before the recorder is: its counts are not lost.
    let store = Store::open("embedded:").await.unwrap();
    let users: Cache<u64, u64> = Cache::builder("user")
        .store(&store)
        .near(100)
        .ttl(Duration::from_secs(300))
        .build()
        .await
        .unwrap();
    users.get_or_load(&1, || async { Ok::<_, io::Error>(7) }).await.unwrap();
    users.get(&1).await.unwrap();
    let endpoint = metrics::serve("127.0.0.1:0").await.expect("loopback has a free port");
    let failed = users.get_or_load(&2, || async { Err(io::Error::other("down")) }).await;
    assert!(failed.is_err());
    users.invalidate(&1).await.unwrap();
    for key in 100..200 {
        users
            .get_or_load(&key, || async { Ok::<_, io::Error>(key) })
            .await
            .unwrap();
    }

    limits(&store).await.expect("the store answers");
    sessions_and_transactions(&store).await;
    locks(&store).await.expect("the store answers");

    let (head, body) = http(endpoint.local_addr(), &get("/metrics")).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(
        head.to_ascii_lowercase()
            .contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    let scrape = Scrape::parse(&body);
    let user = r#"namespace="user""#;
    let is = |name, labels: &[&str], expected| {
        assert_eq!(
            scrape.value(name, labels),
            Some(expected),
            "{name} {labels:?} in\n{body}"
        );
    };
    is("larder_reads_total", &[user, r#"tier="near""#, r#"outcome="hit""#], 1.0);
    is("larder_loads_total", &[user], 102.0);
    is("larder_load_failures_total", &[user, r#"kind="error""#], 1.0);
    is("larder_fills_total", &[user, r#"outcome="stored""#], 101.0);
    is("larder_invalidations_total", &[user, r#"outcome="acknowledged""#], 1.0);
    is("larder_near_capacity_entries", &[user], 100.0);
    is("larder_load_duration_seconds_count", &[user], 101.0);
    is("larder_engine_memory_max_bytes", &[], 0.0);
    let calls = r#"namespace="calls""#;
    for (outcome, expected) in [("allowed", 2.0), ("denied", 3.0), ("failed", 1.0)] {
        is(
            "larder_limit_checks_total",
            &[calls, &format!("outcome=\"{outcome}\"")],
            expected,
        );
    }
    is("larder_limit_local_total", &[calls], 1.0);
    for (outcome, expected) in [("granted", 1.0), ("full", 1.0), ("taken", 0.0), ("expired", 0.0)] {
        is(
            "larder_limit_permits_total",
            &[calls, &format!("outcome=\"{outcome}\"")],
            expected,
        );
    }
    let web = r#"namespace="web""#;
    for turn in ["created", "rotated", "signed_in", "deleted"] {
        // A login makes a session and deletes the one that it was.
        let expected = if turn == "created" { 2.0 } else { 1.0 };
        is(
            "larder_session_turns_total",
            &[web, &format!("turn=\"{turn}\"")],
            expected,
        );
    }
    for (name, outcome) in [
        ("larder_session_loads_total", "found"),
        ("larder_session_loads_total", "absent"),
        ("larder_session_saves_total", "saved"),
        ("larder_session_saves_total", "refused"),
    ] {
        is(name, &[web, &format!("outcome=\"{outcome}\"")], 1.0);
    }
    let steps = r#"namespace="steps""#;
    is("larder_transactions_total", &[steps, r#"outcome="committed""#], 1.0);
    is("larder_transactions_total", &[steps, r#"outcome="contended""#], 1.0);
    is("larder_transaction_conflicts_total", &[steps], 1.0);
    let invoices = r#"namespace="invoices""#;
    for (outcome, expected) in [("granted", 2.0), ("busy", 1.0), ("failed", 1.0)] {
        is(
            "larder_lock_acquires_total",
            &[invoices, &format!("outcome=\"{outcome}\"")],
            expected,
        );
    }
    for (how, expected) in [("taken", 1.0), ("expired", 0.0)] {
        is(
            "larder_locks_lost_total",
            &[invoices, &format!("how=\"{how}\"")],
            expected,
        );
    }
    assert!(scrape.value("larder_engine_memory_used_bytes", &[]) > Some(0.0));
    assert!(
        scrape.value("larder_near_evictions_total", &[user]) > Some(0.0),
        "{body}"
    );
    assert!(
        scrape.value("larder_store_command_duration_seconds_count", &["script:fill"]) > Some(0.0),
        "one in sixteen is timed: {body}"
    );
    assert_eq!(
        scrape.value("larder_invalidation_stream_age_seconds", &[user]),
        None,
        "an embedded store has no stream to prove, and nothing is shown instead of a wrong number"
    );

    // Whatever is there is declared, with type and help, and has no labels but those of the table.
    let declared: BTreeMap<&str, &metrics::Metric> = metrics::all().map(|metric| (metric.name, metric)).collect();
    for (name, kind) in &scrape.types {
        let metric = declared
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} is in no table"));
        assert_eq!(kind, metric.kind.name(), "{name}");
        assert_eq!(scrape.help.get(name).map(String::as_str), Some(metric.help), "{name}");
    }
    for series in scrape.samples.keys() {
        let name = series.split('{').next().unwrap_or(series);
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|part| name.strip_suffix(part));
        let metric = family
            .and_then(|family| declared.get(family))
            .or_else(|| declared.get(name));
        let metric = metric.unwrap_or_else(|| panic!("{series} is in no table"));
        let labels = series
            .split_once('{')
            .map_or("", |(_, labels)| labels.trim_end_matches('}'));
        for label in labels.split("\",").filter_map(|label| label.split_once('=')) {
            assert!(label.0 == "le" || metric.labels.contains(&label.0), "{series}");
        }
    }

    let (head, _) = http(endpoint.local_addr(), &get("/")).await;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    let (head, _) = http(endpoint.local_addr(), "POST /metrics HTTP/1.1\r\nHost: larder\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");

    let taken = metrics::serve(&endpoint.local_addr().to_string()).await.unwrap_err();
    assert!(taken.is_in_use(), "{taken:?}");
    assert!(
        taken.to_string().contains(&endpoint.local_addr().to_string()),
        "{taken}"
    );
    let exposed = metrics::serve("0.0.0.0:0").await.unwrap_err();
    assert!(exposed.to_string().contains("serve_unprotected"), "{exposed}");

    let second = metrics::serve("127.0.0.1:0")
        .await
        .expect("one recorder serves several addresses");
    let address = endpoint.local_addr();
    assert!(endpoint.shutdown(Duration::from_secs(5)).await);
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens there any more"
    );
    let (head, _) = http(second.local_addr(), &get("/metrics")).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

/// What a table row of the guide says of each metric, in the order of the tables.
fn rows() -> String {
    let mut rows = String::from("| name | kind | labels | says |\n|---|---|---|---|\n");
    for metric in metrics::all() {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        rows += &format!(
            "| `{}` | {} | {} | {} |\n",
            metric.name,
            metric.kind.name(),
            labels.join(", "),
            metric.help
        );
    }
    rows
}

/// Set `LARDER_UPDATE=1` to write the list anew.
#[test]
fn the_guide_lists_every_metric() {
    const BEGIN: &str = "<!-- metrics begin -->\n";
    const END: &str = "<!-- metrics end -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/metrics.md");
    let page = std::fs::read_to_string(&path).expect("the page exists");
    let (before, rest) = page.split_once(BEGIN).expect("the list begins");
    let (listed, after) = rest.split_once(END).expect("the list ends");
    let rows = rows();
    if std::env::var_os("LARDER_UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{rows}{END}{after}")).expect("writable");
        return;
    }
    assert_eq!(
        listed, rows,
        "the list is not that of the tables: run this test with LARDER_UPDATE=1"
    );
}

#[test]
fn the_tables_are_well_formed_together() {
    let all: Vec<metrics::Metric> = metrics::all().copied().collect();
    assert_eq!(larder_base::metric::problems(&all), Vec::<String>::new());
}
