//! `larder serve` says where it is ready, lets in whom it should, and ends tidily.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::process::Signal;

use crate::run::{Run, command, entries, larder, larder_on, signal};

/// A running server, killed on drop.
#[derive(Debug)]
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    /// Starts it and waits until it is ready.
    fn start(command: &mut Command) -> Self {
        let mut serving = Self::launch(command);
        let ready = serving.address.strip_prefix("ready ").map(str::to_owned);
        serving.address = ready.unwrap_or_else(|| panic!("`ready <addr>` is the first line of {serving:?}"));
        serving
    }

    /// Starts it and reads its first line.
    fn launch(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("text");
        let address = line.trim_end().to_owned();
        Self { child, address }
    }

    fn url(&self, password: &str) -> String {
        format!("redis://{password}{}", self.address)
    }

    /// Ends it with SIGTERM; its exit code.
    fn terminated(&mut self) -> Option<i32> {
        signal(&self.child, Signal::TERM);
        self.child.wait().expect("the server ends").code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How it refused to serve. The end of one that serves all the same is not waited for.
#[track_caller]
fn refused(command: &mut Command) -> Run {
    let mut serving = Serving::launch(command.stderr(Stdio::piped()));
    assert_eq!(serving.address, "", "it was to refuse");
    let mut err = String::new();
    let mut stderr = serving.child.stderr.take().expect("stderr is piped");
    stderr.read_to_string(&mut err).expect("text");
    Run {
        code: serving.child.wait().expect("it ends").code(),
        out: String::new(),
        err,
    }
}

const ANY_PORT: [&str; 3] = ["serve", "--bind", "127.0.0.1:0"];

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn it_serves_where_it_said_until_sigterm() {
    let mut serving = Serving::start(&mut command(&ANY_PORT));
    assert!(!serving.address.ends_with(":0"), "{}", serving.address);
    larder_on(&serving.url(""), &["exec", "SET", "k", "v"]);
    assert_eq!(larder_on(&serving.url(""), &["exec", "GET", "k"]).out, "v\n");

    let mut client = TcpStream::connect(&serving.address).expect("it listens");
    client.write_all(b"GET k\r\n").expect("it reads");
    let mut answer = [0; 7];
    client.read_exact(&mut answer).expect("it answers");
    assert_eq!(&answer, b"$1\r\nv\r\n");
    assert_eq!(serving.terminated(), Some(0));
    let rest = client.read(&mut answer).expect("an orderly end, not a reset");
    assert_eq!(rest, 0, "a client that is idle does not hold it up, and is told");
}

#[test]
fn a_unix_socket_goes_with_its_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("larder.sock");
    let mut serving = Serving::start(&mut command(&["serve", "--unix", path(&socket)]));
    assert_eq!(serving.address, path(&socket));
    let url = format!("redis+unix://{}", serving.address);
    assert_eq!(larder_on(&url, &["exec", "PING"]).out, "PONG\n");
    assert_eq!(serving.terminated(), Some(0));
    assert_eq!(entries(folder.path()), Vec::<String>::new());
}

#[track_caller]
fn asks_for_a_password(serving: &Serving, password: &str) {
    larder(&["exec", "--store", &serving.url(""), "PING"])
        .ended(1)
        .says(&["NOAUTH"]);
    larder(&["exec", "--store", &serving.url(":wrong@"), "PING"])
        .ended(1)
        .says(&["WRONGPASS"]);
    let right = serving.url(&format!(":{password}@"));
    assert_eq!(larder_on(&right, &["exec", "PING"]).out, "PONG\n");
}

#[test]
fn the_password_comes_from_the_variable() {
    let serving = Serving::start(command(&ANY_PORT).env("LARDER_REQUIREPASS", "opensesame"));
    asks_for_a_password(&serving, "opensesame");
}

#[test]
fn the_password_comes_from_the_first_line_of_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    let args = [&ANY_PORT[..], &["--requirepass-file", path(&file)]].concat();
    refused(&mut command(&args))
        .ended(1)
        .says(&["cannot read the password", path(&file)]);
    std::fs::write(&file, "\nsecond line\n").expect("writable");
    refused(&mut command(&args))
        .ended(2)
        .says(&["no password in its first line"]);
    std::fs::write(&file, "opensesame\nsecond line\n").expect("writable");
    asks_for_a_password(&Serving::start(&mut command(&args)), "opensesame");
}

/// An empty password is none, whoever left the variable empty.
#[test]
fn a_public_address_without_a_password_is_refused() {
    let public = ["serve", "--bind", "0.0.0.0:0"];
    for password in [None, Some("")] {
        let mut serve = command(&public);
        serve.envs(password.map(|password| ("LARDER_REQUIREPASS", password)));
        refused(&mut serve).ended(2).says(&[
            "--bind",
            "0.0.0.0:0",
            "no password",
            "--requirepass-file",
            "--unprotected",
        ]);
    }
    Serving::start(&mut command(&[&public[..], &["--unprotected"]].concat()));
    Serving::start(command(&public).env("LARDER_REQUIREPASS", "opensesame"));
}

#[test]
fn what_it_cannot_do_it_refuses() {
    refused(&mut command(&["serve", "--appendfsync", "always"]))
        .ended(2)
        .says(&["--dir"]);
    refused(&mut command(&["serve", "--dir", "data", "--appendfsync", "sometimes"]))
        .ended(2)
        .says(&["sometimes", "everysec"]);
    let lots = refused(&mut command(&["serve", "--maxmemory", "lots"]))
        .ended(2)
        .says(&["--maxmemory lots: argument must be", "hint:", "100mb"]);
    assert!(!lots.err.contains("CONFIG"), "{lots:#?}");
    for (flag, wrong) in [
        ("--bind", "127.0.0.1:65536"),
        ("--bind", "foo"),
        ("--metrics", "foo"),
        ("--maxclients", "0"),
    ] {
        refused(&mut command(&["serve", flag, wrong]))
            .ended(2)
            .says(&[flag, wrong]);
    }
    let serving = Serving::start(&mut command(&ANY_PORT));
    refused(&mut command(&["serve", "--bind", &serving.address]))
        .ended(1)
        .says(&[&serving.address, "hint:", "127.0.0.1:0"]);
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("larder.sock");
    let _serving = Serving::start(&mut command(&["serve", "--unix", path(&socket)]));
    let second = refused(&mut command(&["serve", "--unix", path(&socket)])).ended(1);
    let second = second.says(&[path(&socket), "hint:", "--unix another path"]);
    assert!(!second.err.contains("--bind"), "{second:#?}");
}

#[test]
fn what_was_written_is_there_after_a_restart_and_the_folder_has_one_owner() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let args = [&ANY_PORT[..], &["--dir", path(&data)]].concat();
    for (round, policy) in ["always", "everysec", "no"].iter().enumerate() {
        let args = [&args[..], &["--appendfsync", policy]].concat();
        let mut serving = Serving::start(&mut command(&args));
        let exec = |words: &[&str]| larder_on(&serving.url(""), &[&["exec"], words].concat()).out;
        assert_eq!(exec(&["DBSIZE"]), format!("{round}\n"));
        assert_eq!(
            exec(&["CONFIG", "GET", "append*"]),
            format!("appendfsync\n{policy}\nappendonly\nyes\n")
        );
        exec(&["SET", policy, "v"]);
        refused(&mut command(&args))
            .ended(1)
            .says(&[path(&data), &format!("process {}", serving.child.id())]);
        assert_eq!(serving.terminated(), Some(0));
    }
    std::fs::write(data.join("appendonlydir/appendonly.aof.1.incr.aof"), "what is this\n").expect("writable");
    refused(&mut command(&args))
        .ended(1)
        .says(&["appendonly.aof.1.incr.aof is damaged at byte 0", "truncate -s 0"]);
}

/// Sends a line and reads a line; `None` once the server is gone.
fn ask(stream: &mut BufReader<TcpStream>, line: &str) -> Option<String> {
    write!(stream.get_mut(), "{line}\r\n").ok()?;
    let mut answer = String::new();
    stream.read_line(&mut answer).ok()?;
    answer.ends_with("\r\n").then(|| answer.trim_end().to_owned())
}

/// Kills of one run.
const KILLS: u32 = 20;

/// `kill -9` under load, again and again: each client's counter is at least what it was last told, and at most one further.
#[test]
fn kill_9_under_load_loses_nothing_that_was_acknowledged() {
    const CLIENTS: usize = 4;
    let folder = tempfile::tempdir().expect("a folder");
    let args = [
        &ANY_PORT[..],
        &["--dir", path(folder.path()), "--appendfsync", "always"],
    ]
    .concat();
    let told: Vec<AtomicU64> = (0..CLIENTS).map(|_| AtomicU64::new(0)).collect();
    for kill in 0..=KILLS {
        let mut serving = Serving::start(&mut command(&args));
        let connect = || BufReader::new(TcpStream::connect(&serving.address).expect("it listens"));
        let mut checking = connect();
        for (client, last) in told.iter().enumerate() {
            let told = last.load(Ordering::SeqCst);
            let answer = ask(&mut checking, &format!("STRLEN log:{client}")).expect("it answers");
            let found: u64 = answer[1..].parse().expect("a number");
            assert!(
                found == told || found == told + 1,
                "after {kill} kills: {found}, and {told} were acknowledged"
            );
            // What was not acknowledged may have happened.
            last.store(found, Ordering::SeqCst);
        }
        if kill == KILLS {
            break;
        }
        let connections: Vec<_> = told.iter().map(|_| connect()).collect();
        std::thread::scope(|scope| {
            for (client, mut stream) in connections.into_iter().enumerate() {
                let told = &told[client];
                scope.spawn(move || {
                    while let Some(answer) = ask(&mut stream, &format!("APPEND log:{client} x")) {
                        told.store(answer[1..].parse().expect("a number"), Ordering::SeqCst);
                    }
                });
            }
            // After some writes, at a moment that has nothing to do with them.
            let total = || told.iter().map(|told| told.load(Ordering::SeqCst)).sum::<u64>();
            let until = total() + 20 + u64::from(kill * 37 % 50);
            while total() < until {
                std::thread::yield_now();
            }
            if kill % 5 == 3 {
                // In the middle of a rewrite.
                let _ = ask(&mut checking, "BGREWRITEAOF");
            }
            serving.child.kill().expect("it runs");
        });
    }
}

/// The answer to `GET path`, whole.
fn http_get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: larder\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text, then the end");
    answer
}

#[test]
fn its_figures_can_be_scraped() {
    let args = [&ANY_PORT[..], &["--maxmemory", "100mb", "--metrics", "127.0.0.1:0"]].concat();
    let mut serving = Serving::start(command(&args).stderr(Stdio::piped()));
    let mut told = String::new();
    let stderr = serving.child.stderr.take().expect("stderr is piped");
    BufReader::new(stderr).read_line(&mut told).expect("text");
    let address = told
        .trim_end()
        .strip_prefix("metrics http://")
        .and_then(|url| url.strip_suffix("/metrics"));
    let address = address.unwrap_or_else(|| panic!("it says where: {told:?}"));
    larder_on(&serving.url(""), &["exec", "SET", "k", "v"]);
    larder_on(&serving.url(""), &["exec", "GET", "k"]);
    larder_on(&serving.url(""), &["exec", "GET", "none"]);
    let scraped = http_get(address, "/metrics");
    for line in [
        "larder_engine_memory_max_bytes 104857600",
        "larder_engine_keys 1",
        "larder_engine_key_reads_total{outcome=\"hit\"} 1",
        "larder_engine_key_reads_total{outcome=\"miss\"} 1",
        "larder_engine_commands_total{command=\"set\"} 1",
        "larder_engine_evicted_keys_total 0",
    ] {
        assert!(scraped.lines().any(|scraped| scraped == line), "{line} in {scraped}");
    }
    let taken = [&ANY_PORT[..], &["--metrics", address]].concat();
    refused(&mut command(&taken))
        .ended(1)
        .says(&[address, "hint:", "--metrics 127.0.0.1:0"]);
    let exposed = [&ANY_PORT[..], &["--metrics", "0.0.0.0:0"]].concat();
    refused(&mut command(&exposed))
        .ended(2)
        .says(&["--metrics", "0.0.0.0:0", "hint:", "--unprotected"]);
    assert_eq!(serving.terminated(), Some(0));
}
