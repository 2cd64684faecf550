//! `larder serve`: the engine as a server that any Redis client can talk to.

use std::{
    io::{self, ErrorKind},
    path::PathBuf,
    time::Duration,
};

use larder::metrics::{self, Endpoint, MetricsError};
use larder_engine::{
    Engine, Fsync, LogConfig, Reply,
    serve::{ListenError, ServeConfig, Server},
};

use crate::{
    context::Context,
    failure::{Failure, OrHint, Outcome},
    flags,
};

/// Run a server that Redis clients can talk to: Larder's engine, in memory, in RESP2 and RESP3.
///
/// Prints one line `ready <address>` once it accepts connections. SIGINT and SIGTERM end it after the commands that
/// have arrived are answered.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address to listen on, host:port; port 0 takes a free one [default: 127.0.0.1:6379 unless --unix is given].
    #[arg(long, value_name = "ADDR", value_parser = flags::address)]
    bind: Vec<String>,
    /// Unix socket to listen on.
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// Most bytes of keys and values together, such as 100mb; 0 is no bound.
    #[arg(long, value_name = "SIZE", default_value = "0")]
    maxmemory: String,
    /// What to remove when memory is full: noeviction (writes are refused instead), or one of allkeys-lru, allkeys-lfu,
    /// allkeys-random, volatile-lru, volatile-lfu, volatile-random and volatile-ttl (of keys with a TTL).
    #[arg(long, value_name = "POLICY", default_value = "noeviction")]
    maxmemory_policy: String,
    /// Password that clients must give. On the command line others can see it: prefer the variable or the file.
    #[arg(long, value_name = "PW", env = "LARDER_REQUIREPASS", hide_env_values = true)]
    requirepass: Option<String>,
    /// File whose first line is the password that clients must give.
    #[arg(long, value_name = "PATH", conflicts_with = "requirepass")]
    requirepass_file: Option<PathBuf>,
    /// Most connections at one time.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    maxclients: u32,
    /// Seconds after which a silent connection is closed; 0 is never.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    timeout: u64,
    /// Serve, and show metrics, where other machines can reach it without a password.
    #[arg(long)]
    unprotected: bool,
    /// Folder of the append-only log: what is written is there again after a restart. Without it data is in memory alone.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// When the log is synced: always (before a write is answered), everysec, no.
    #[arg(long, value_name = "POLICY", default_value = "everysec", requires = "dir")]
    appendfsync: Fsync,
    /// Address to serve metrics on for Prometheus, at /metrics; only this machine can reach it unless --unprotected.
    #[arg(long, value_name = "ADDR", value_parser = flags::address)]
    metrics: Option<String>,
}

/// How long clients may take to receive the answers to what they had sent.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    let stop = context.stop_signal();
    let engine = open(&args, context).await?;
    limit_memory(&engine, &args)?;
    let metrics = serve_metrics(&engine, &args).await?;
    let server = Server::start(engine.clone(), config(&args)?).await.map_err(explain)?;
    announce(&server, &args, metrics.as_ref(), context);
    stop.cancelled().await;
    if !server.shutdown(LAST_ANSWERS).await {
        context.ui.note("some clients did not take their last answers in time");
    }
    if let Some(metrics) = metrics {
        // What a scrape has not taken by now, nobody waits for.
        let _ended = metrics.shutdown(LAST_ANSWERS).await;
    }
    // What was answered under another policy than `always` is not lost by an orderly end.
    engine.flush().await.map_err(Failure::new)
}

/// The engine, with what its log holds. Reading a long log takes a while, on a thread of its own; a signal ends it.
async fn open(args: &Args, context: &Context) -> Outcome<Engine> {
    let builder = Engine::builder()
        .clock(context.clock.clone())
        .random(context.random.clone());
    let Some(folder) = &args.dir else {
        return Ok(builder.build());
    };
    let config = LogConfig::new(folder).fsync(args.appendfsync);
    let opening = tokio::task::spawn_blocking(move || builder.open(config));
    let opened = tokio::select! {
        opened = opening => opened.or_while("could not read the log")?,
        () = context.stop_signal().cancelled_owned() => return Err(Failure::interrupted()),
    };
    opened.map_err(Failure::from)
}

/// Before the server itself: one that cannot be watched as asked does not begin to serve.
async fn serve_metrics(engine: &Engine, args: &Args) -> Outcome<Option<Endpoint>> {
    let Some(address) = &args.metrics else {
        return Ok(None);
    };
    engine.show_metrics();
    let served = if args.unprotected {
        metrics::serve_unprotected(address).await
    } else {
        metrics::serve(address).await
    };
    served.map(Some).map_err(|error| match error {
        MetricsError::Exposed { address } => Failure::usage(format_args!(
            "--metrics: other machines can reach {address}, and whoever reaches it can read the metrics"
        ))
        .hint("give it a loopback address such as 127.0.0.1:9464, or add --unprotected"),
        error if error.is_in_use() => {
            Failure::from(error).hint("another program is there; --metrics 127.0.0.1:0 takes a free port")
        }
        error => Failure::from(error).hint("--metrics takes HOST:PORT of this machine, such as 127.0.0.1:9464"),
    })
}

/// As `CONFIG SET` reads them, so that sizes and policies are written alike everywhere.
fn limit_memory(engine: &Engine, args: &Args) -> Outcome {
    for (name, value, hint) in [
        ("maxmemory", &args.maxmemory, "write a size such as 100mb"),
        (
            "maxmemory-policy",
            &args.maxmemory_policy,
            "write a policy such as allkeys-lru",
        ),
    ] {
        let reply = engine
            .connect()
            .execute(&[b"CONFIG", b"SET", name.as_bytes(), value.as_bytes()]);
        if let Reply::Error(error) = reply {
            // The reply names CONFIG SET and then the reason.
            let reason = error.as_str();
            let reason = reason.split_once(" - ").map_or(reason, |(_, reason)| reason);
            return Err(Failure::usage(format_args!("--{name} {value}: {reason}")).hint(hint));
        }
    }
    Ok(())
}

fn config(args: &Args) -> Outcome<ServeConfig> {
    let mut config = ServeConfig::new()
        .clients_max(args.maxclients as usize)
        .idle_timeout(Duration::from_secs(args.timeout));
    for address in &args.bind {
        config = config.bind(address);
    }
    if let Some(path) = &args.unix {
        config = config.unix(path);
    }
    if let Some(password) = password(args)? {
        config = config.requirepass(password);
    }
    Ok(if args.unprotected { config.unprotected() } else { config })
}

fn password(args: &Args) -> Outcome<Option<String>> {
    let Some(path) = &args.requirepass_file else {
        return Ok(args.requirepass.clone());
    };
    let text = std::fs::read_to_string(path).or_while(format!("cannot read the password from {}", path.display()))?;
    match text.lines().next().map(str::trim_end) {
        Some(password) if !password.is_empty() => Ok(Some(password.into())),
        _ => Err(Failure::usage(format!(
            "{} holds no password in its first line",
            path.display()
        ))),
    }
}

fn explain(error: io::Error) -> Failure {
    let hint = match (ListenError::of(&error), error.kind()) {
        (Some(ListenError::Exposed { address }), _) => {
            return Failure::usage(format_args!(
                "--bind: other machines can reach {address}, and there is no password"
            ))
            .hint("set LARDER_REQUIREPASS or --requirepass-file, bind a loopback address, or add --unprotected");
        }
        (Some(ListenError::Tcp { .. }), ErrorKind::AddrInUse) => {
            "another server is there; --bind 127.0.0.1:0 takes a free port"
        }
        (Some(ListenError::Tcp { .. }), _) => "--bind takes HOST:PORT of this machine, such as 127.0.0.1:6379",
        (Some(ListenError::Unix { .. }), ErrorKind::AddrInUse) => "another server is there; give --unix another path",
        (Some(ListenError::Unix { .. }), _) => "--unix takes a path in a folder that exists and can be written to",
        _ => return Failure::from(error),
    };
    Failure::from(error).hint(hint)
}

fn announce(server: &Server, args: &Args, metrics: Option<&Endpoint>, context: &Context) {
    let tcp = server.local_addr().map(|addr| addr.to_string());
    let unix = args.unix.as_ref().map(|path| path.display().to_string());
    let address = tcp.or(unix).expect("a server listens on something");
    context.ui.line(format_args!("ready {address}"));
    let metrics = metrics.map(|endpoint| format!("http://{}/metrics", endpoint.local_addr()));
    if let Some(url) = &metrics {
        context.ui.remark(format_args!("metrics {url}"));
    }
    context
        .ui
        .document(&serde_json::json!({ "ready": address, "metrics": metrics }));
}
