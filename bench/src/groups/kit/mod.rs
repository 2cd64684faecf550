//! The kit beside what people use for the same: locks, rate limits, sessions. A redis-server of the run, one shared
//! connection each.
//!
//! Every call is timed by itself; the server counts what it read, which with one task is the round trips, and its CPU. The
//! ratio is that of the client's CPU, for on two cores that and the server's are what bounds a service.

mod limit;
mod lock;
mod session;

use std::{collections::HashMap, sync::Arc};

use anyhow::Context as _;
use redis::aio::MultiplexedConnection;

use crate::{
    Lab,
    lab::{
        rounds::{Round, histogram},
        store::spread,
    },
    node::Answer,
    report::{Section, Table},
};

use super::Group;

pub(crate) const LOCK: Group = Group {
    name: "lock",
    about: "taking and releasing a lock that nobody else wants",
    run: |lab| lab.runtime.block_on(lock::run(lab)),
};

pub(crate) const LIMIT: Group = Group {
    name: "limit",
    about: "one call against a rate limit, which admits it",
    run: |lab| lab.runtime.block_on(limit::run(lab)),
};

pub(crate) const SESSION: Group = Group {
    name: "session",
    about: "loading and saving sessions of about 300 bytes",
    run: |lab| lab.runtime.block_on(session::run(lab)),
};

/// Tasks, and calls of one round by all of them.
const SIZES: [(u64, u64); 2] = [(1, 4_000), (16, 16_000)];

/// One way to do it; the `i`th call of a task.
type Call = Arc<dyn Fn(u64, u64) -> Answer<'static, ()> + Send + Sync>;

struct Subject {
    name: &'static str,
    call: Call,
}

impl Subject {
    /// `call` is handed a clone of `state`.
    fn new<S, F, Fut>(name: &'static str, state: S, call: F) -> Self
    where
        S: Clone + Send + Sync + 'static,
        F: Fn(S, u64, u64) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let call = move |task, i| Box::pin(call(state.clone(), task, i)) as Answer<'static, ()>;
        Self {
            name,
            call: Arc::new(call),
        }
    }
}

/// A case, and who takes part in it; the first is the yardstick.
struct Case {
    name: &'static str,
    subjects: Vec<Subject>,
}

/// What one round of one subject did, on both sides.
struct Done {
    round: Round,
    reads: u64,
    server_cpu_us: f64,
}

async fn compare(lab: &Lab, cases: Vec<Case>) -> anyhow::Result<Section> {
    let mut server = connect(lab).await?;
    let mut rows = Vec::new();
    for case in &cases {
        for (tasks, calls) in SIZES {
            let mut yardstick = None;
            let mut rounds: Vec<Vec<Done>> = case.subjects.iter().map(|_| Vec::new()).collect();
            for _ in 0..lab.rounds {
                for (subject, done) in case.subjects.iter().zip(&mut rounds) {
                    done.push(round(&mut server, &subject.call, tasks, calls).await?);
                }
            }
            for (subject, done) in case.subjects.iter().zip(rounds) {
                rows.push(row(case.name, tasks, subject.name, done, &mut yardstick));
            }
        }
    }
    Ok(Section::Table(Table {
        title: "round trips: what the server read, per call; CPU of the client's process and of the server's".into(),
        columns: vec![
            "case",
            "tasks",
            "subject",
            "calls/s",
            "CPU/call",
            "ratio",
            "server CPU/call",
            "p50",
            "p99",
            "round trips/call",
        ],
        rows,
    }))
}

async fn connect(lab: &Lab) -> anyhow::Result<MultiplexedConnection> {
    let client = redis::Client::open(lab.redis.url())?;
    Ok(client.get_multiplexed_async_connection().await?)
}

async fn round(server: &mut MultiplexedConnection, call: &Call, tasks: u64, calls: u64) -> anyhow::Result<Done> {
    // Connections and scripts are there before it counts.
    call(0, u64::MAX).await?;
    let before = Counted::now(server).await?;
    let call = call.clone();
    let round = spread(tasks, calls, move |task, i| call(task, i)).await?;
    let after = Counted::now(server).await?;
    Ok(Done {
        round,
        // The second look at the counters is one of the reads.
        reads: after.reads.saturating_sub(before.reads).saturating_sub(1),
        server_cpu_us: after.cpu_us - before.cpu_us,
    })
}

/// What the server says of itself.
struct Counted {
    reads: u64,
    cpu_us: f64,
}

impl Counted {
    async fn now(server: &mut MultiplexedConnection) -> anyhow::Result<Self> {
        let info: String = redis::cmd("INFO").arg("stats").arg("cpu").query_async(server).await?;
        let fields: HashMap<&str, &str> = info
            .lines()
            .filter_map(|line| line.trim_end().split_once(':'))
            .collect();
        let field = |name: &str| fields.get(name).copied().with_context(|| format!("INFO has {name}"));
        let seconds = |name: &str| anyhow::Ok(field(name)?.parse::<f64>()?);
        Ok(Self {
            reads: field("total_reads_processed")?.parse()?,
            cpu_us: (seconds("used_cpu_user")? + seconds("used_cpu_sys")?) * 1e6,
        })
    }
}

/// The middle round by the client's CPU, latencies over all.
fn row(case: &str, tasks: u64, name: &str, mut done: Vec<Done>, yardstick: &mut Option<f64>) -> Vec<String> {
    let cpu = |done: &Done| done.round.cpu.as_secs_f64() * 1e6 / done.round.operations as f64;
    done.sort_by(|a, b| cpu(a).total_cmp(&cpu(b)));
    let mut latencies = histogram();
    for one in done.iter().filter_map(|one| one.round.latencies.as_ref()) {
        latencies.add(one).expect("all histograms have the same bounds");
    }
    let middle = &done[done.len() / 2];
    let calls = middle.round.operations as f64;
    let at = |quantile| format!("{:.1} µs", latencies.value_at_quantile(quantile) as f64 / 1e3);
    let base = *yardstick.get_or_insert_with(|| cpu(middle));
    let trips = middle.reads as f64 / calls;
    vec![
        case.to_owned(),
        tasks.to_string(),
        name.to_owned(),
        format!("{:.0}", calls / middle.round.wall.as_secs_f64()),
        format!("{:.2} µs", cpu(middle)),
        format!("{:.2}", cpu(middle) / base),
        format!("{:.2} µs", middle.server_cpu_us / calls),
        at(0.5),
        at(0.99),
        // Several tasks share a connection, and the server reads what they sent at once.
        if tasks == 1 {
            format!("{trips:.2}")
        } else {
            String::new()
        },
    ]
}
