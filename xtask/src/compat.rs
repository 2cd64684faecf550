//! `cargo xtask compat`: programs in other languages against `larder serve`.
//!
//! A client is one row of [`CLIENTS`] with what it needs to be there; what this machine lacks is skipped by name.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    Task,
    shell::{cargo, output, root, run, succeeds},
};

pub(crate) const TASK: Task = Task {
    name: "compat",
    about: "try redis-cli, redis-benchmark and clients in other languages, where installed, on `larder serve`",
    run: compat,
};

/// One foreign client: how to see whether this machine has it, and what it has to manage.
struct Client {
    name: &'static str,
    /// A command line that ends well where the client is installed.
    present: (&'static str, &'static [&'static str]),
    check: fn(&Address) -> Result<()>,
}

const CLIENTS: &[Client] = &[
    Client {
        name: "redis-cli",
        present: ("redis-cli", &["--version"]),
        check: redis_cli,
    },
    Client {
        name: "redis-benchmark",
        present: ("redis-benchmark", &["--version"]),
        check: redis_benchmark,
    },
    Client {
        name: "redis-py",
        present: ("python3", &["-c", "import venv, ensurepip"]),
        check: redis_py,
    },
    Client {
        name: "ioredis",
        present: ("npm", &["--version"]),
        check: ioredis,
    },
];

/// Where the server under test listens.
struct Address {
    host: String,
    port: String,
}

fn compat(_args: &[String]) -> Result<()> {
    run(&mut cargo([
        "build",
        "--workspace",
        "--locked",
        "--quiet",
        "--bin",
        "larder",
    ]))?;
    let server = Served::start()?;
    let mut failed = Vec::new();
    for client in CLIENTS {
        if !succeeds(client.present.0, client.present.1) {
            eprintln!("skip: {} is not installed", client.name);
            continue;
        }
        match (client.check)(&server.address) {
            Ok(()) => println!("ok: {}", client.name),
            Err(error) => failed.push(format!("{}: {error:#}", client.name)),
        }
    }
    if !failed.is_empty() {
        bail!("{} clients failed:\n  {}", failed.len(), failed.join("\n  "));
    }
    Ok(())
}

/// A `larder serve` that ends with this value.
struct Served {
    process: Child,
    address: Address,
}

impl Served {
    fn start() -> Result<Self> {
        let larder = root().join("target").join("debug").join("larder");
        let mut process = Command::new(&larder)
            .args(["serve", "--bind", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("could not start {}", larder.display()))?;
        let stdout = process.stdout.take().context("the output is piped")?;
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let address = line
            .trim()
            .strip_prefix("ready ")
            .and_then(|addr| addr.rsplit_once(':'));
        let Some((host, port)) = address.filter(|_| read.is_ok()) else {
            process.kill().context("could not end larder serve")?;
            bail!("larder serve printed `{}` instead of `ready <addr>`", line.trim());
        };
        let address = Address {
            host: host.to_owned(),
            port: port.to_owned(),
        };
        Ok(Self { process, address })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Address {
    /// `program -h host -p port args..`, as the tools of Redis take it.
    fn tool(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(["-h", &self.host, "-p", &self.port])
            .args(args)
            .stdin(Stdio::null());
        command
    }
}

fn redis_cli(server: &Address) -> Result<()> {
    let cases: &[(&[&str], &str)] = &[
        (&["ping"], "PONG"),
        (&["set", "compat:key", "value"], "OK"),
        (&["get", "compat:key"], "value"),
        (&["-3", "ping"], "PONG"),
        (&["--no-raw", "incr", "compat:n"], "(integer) 1"),
        (&["-3", "--no-raw", "get", "compat:absent"], "(nil)"),
        (
            &["--no-raw", "nosuch"],
            "(error) ERR unknown command 'nosuch', with args beginning with:",
        ),
        (
            &["eval", "return redis.call('GET', KEYS[1])", "1", "compat:key"],
            "value",
        ),
    ];
    for (args, expected) in cases {
        let printed = output(&mut server.tool("redis-cli", args))?;
        if printed.trim() != *expected {
            bail!(
                "redis-cli {} printed `{}`, not `{expected}`",
                args.join(" "),
                printed.trim()
            );
        }
    }
    Ok(())
}

fn redis_benchmark(server: &Address) -> Result<()> {
    let tests = "set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange,mset";
    let args = ["-t", tests, "-n", "2000", "-c", "20", "--csv"];
    let printed = output(&mut server.tool("redis-benchmark", &args))?;
    let rows = printed.lines().count();
    // A header, then one row a test; LRANGE has four lengths and first fills its list.
    if rows <= tests.split(',').count() {
        bail!("redis-benchmark printed only {rows} rows:\n{printed}");
    }
    Ok(())
}

/// What the clients in other languages are installed as: known to work, so that a failure is ours.
const REDIS_PY: &str = "redis==8.1.0";
const IOREDIS: &str = "ioredis@6.0.0";

/// Installed below `target/`, beside nothing else of the machine.
fn folder(name: &str) -> Result<PathBuf> {
    let folder = root().join("target").join("compat").join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("could not create {}", folder.display()))?;
    Ok(folder)
}

fn redis_py(server: &Address) -> Result<()> {
    let folder = folder("python")?;
    let python = folder.join("bin").join("python");
    if !succeeds(&python, &["-c", "import redis"]) {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", REDIS_PY]))?;
    }
    let script = folder.join("client.py");
    std::fs::write(&script, include_str!("compat/client.py"))?;
    says_ok(Command::new(python).arg(script), server)
}

fn ioredis(server: &Address) -> Result<()> {
    let folder = folder("node")?;
    if !folder.join("node_modules").join("ioredis").exists() {
        // Without a manifest npm would install into the nearest folder above that has one.
        std::fs::write(folder.join("package.json"), "{\"private\": true}\n")?;
        run(Command::new("npm")
            .args(["install", "--silent", "--no-fund", "--no-audit", IOREDIS])
            .current_dir(&folder))?;
    }
    let script = folder.join("client.mjs");
    std::fs::write(&script, include_str!("compat/client.mjs"))?;
    says_ok(Command::new("node").arg(script), server)
}

fn says_ok(command: &mut Command, server: &Address) -> Result<()> {
    let printed = output(command.args([&server.host, &server.port]).stdin(Stdio::null()))?;
    match printed.trim() {
        "ok" => Ok(()),
        other => bail!("it printed `{other}`"),
    }
}
