//! A real redis-server of one's own: on a free loopback port, with its files in a temporary folder, killed on drop.

use std::{
    io,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use larder_base::Clock;
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    OwnFolder,
    child::OwnedChild,
    eventually,
    port::{PORTS_TRIED_MAX, free_port},
};

/// The variable that picks another binary than the `redis-server` on the path, a Valkey for instance.
pub const SERVER_VARIABLE: &str = "LARDER_REDIS";

/// A start takes 20 ms; on a machine busy with compiling, seconds.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// A private server. Dropping it kills the process, also when the test panics.
///
/// ```no_run
/// # async fn example() {
/// use larder_testkit::RedisServer;
/// let mut server = RedisServer::start().await;
/// assert_eq!(server.cli(&["SET", "k", "v"]), "OK");
/// server.restart_empty().await;
/// assert_eq!(server.cli(&["EXISTS", "k"]), "0");
/// # }
/// ```
#[derive(Debug)]
pub struct RedisServer {
    child: OwnedChild,
    port: u16,
    dir: OwnFolder,
    options: Vec<String>,
}

impl RedisServer {
    /// Starts a server without persistence and without a password.
    ///
    /// # Panics
    /// If the binary is missing or does not answer within 20 s.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with more options, as on its command line: `&["--maxmemory", "2mb"]`.
    ///
    /// # Panics
    /// As [`start`](Self::start); also if it refuses an option.
    pub async fn start_with(options: &[&str]) -> Self {
        let started = Self::try_start_with(options).await;
        started.unwrap_or_else(|error| {
            panic!("redis-server did not start: {error}; install it, or name one in {SERVER_VARIABLE}")
        })
    }

    /// As [`start_with`](Self::start_with), for a program that can do without one.
    ///
    /// # Errors
    /// If the binary is missing, refuses an option, or does not answer within 20 s.
    pub async fn try_start_with(options: &[&str]) -> io::Result<Self> {
        let dir = OwnFolder::new()?;
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let mut tries = 1;
        loop {
            let port = free_port();
            match launch(port, &dir, &options).await {
                Ok(child) => {
                    return Ok(Self {
                        child,
                        port,
                        dir,
                        options,
                    });
                }
                Err(error) if tries == PORTS_TRIED_MAX || error.kind() == io::ErrorKind::NotFound => return Err(error),
                Err(_) => tries += 1,
            }
        }
    }

    /// `redis://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// `redis+unix:///PATH`, the same server over its Unix socket.
    #[must_use]
    pub fn unix_url(&self) -> String {
        format!("redis+unix://{}", socket_path(&self.dir).display())
    }

    /// Where it listens; the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its files: `dump.rdb`, `appendonlydir`.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The process id; another one after a restart.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Runs one command through `redis-cli` and returns what it prints, without the last line break.
    ///
    /// # Panics
    /// If `redis-cli` is missing or cannot reach the server. An error reply is printed like any other.
    pub fn cli(&self, args: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("redis-cli is installed with redis-server");
        assert!(
            output.status.success(),
            "redis-cli failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// `CONFIG SET name value`.
    ///
    /// # Panics
    /// If the server refuses it.
    pub fn config(&self, name: &str, value: &str) {
        let reply = self.cli(&["CONFIG", "SET", name, value]);
        assert_eq!(reply, "OK", "CONFIG SET {name} {value}");
    }

    /// `CLIENT KILL` of every client but replicas and the one that asks: all of them have to connect again.
    ///
    /// # Panics
    /// As [`cli`](Self::cli).
    pub fn kill_clients(&self) {
        // No count is expected: there may be none.
        self.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        self.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    }

    /// `kill -9`: nothing is saved, connections break. [`restart_empty`](Self::restart_empty) and
    /// [`restart_from_save`](Self::restart_from_save) bring it back.
    pub fn kill(&mut self) {
        self.child.kill();
    }

    /// SIGSTOP: connections stay open and nothing answers.
    ///
    /// # Panics
    /// If the process is gone.
    pub fn pause(&self) {
        self.child.signal(Signal::STOP).expect("the server is running");
    }

    /// SIGCONT after [`pause`](Self::pause).
    ///
    /// # Panics
    /// If the process is gone.
    pub fn resume(&self) {
        self.child.signal(Signal::CONT).expect("the server is running");
    }

    /// Kills it and starts it on the same port without its data.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn restart_empty(&mut self) {
        self.kill();
        // Absent is as good: it was never saved.
        let _ = std::fs::remove_file(self.dir.path().join("dump.rdb"));
        self.launch_again().await;
    }

    /// `SAVE`: what [`restart_from_save`](Self::restart_from_save) comes back with, however old it is by then.
    ///
    /// # Panics
    /// If it is not running.
    pub fn save(&self) {
        assert_eq!(self.cli(&["SAVE"]), "OK");
    }

    /// Kills it and starts it on the same port with what was last saved: acknowledged writes since then are gone, as after
    /// a crash of a server that saves once a minute.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
    /// use larder_testkit::RedisServer;
    /// let mut server = RedisServer::start().await;
    /// server.cli(&["SET", "k", "old"]);
    /// server.save();
    /// server.cli(&["SET", "k", "new"]);
    /// server.restart_from_save().await;
    /// assert_eq!(server.cli(&["GET", "k"]), "old");
    /// # }); Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn restart_from_save(&mut self) {
        self.kill();
        self.launch_again().await;
    }

    /// Saves, kills it, and starts it on the same port with all its data.
    ///
    /// # Panics
    /// As [`start`](Self::start); also if it is not running, for then there is nothing to save.
    pub async fn restart_with_data(&mut self) {
        self.save();
        self.restart_from_save().await;
    }

    /// Starts a replica of the server that listens on `127.0.0.1:primary`, and waits until it has its data.
    ///
    /// Through a [`Proxy`](crate::Proxy)'s port the two can be parted: what the primary acknowledges from then on is lost
    /// when the replica is [promoted](Self::promote).
    ///
    /// # Panics
    /// As [`start`](Self::start); also if it is not in step within 20 s.
    pub async fn start_replica_of(primary: u16) -> Self {
        let port = primary.to_string();
        let replica = Self::start_with(&["--replicaof", "127.0.0.1", &port]).await;
        eventually(START_DEADLINE, async || {
            replica.cli(&["INFO", "replication"]).contains("master_link_status:up")
        })
        .await;
        replica
    }

    /// Makes a primary of a replica, with what it has: `REPLICAOF NO ONE`, as a failover does.
    ///
    /// # Panics
    /// As [`cli`](Self::cli).
    pub fn promote(&self) {
        assert_eq!(self.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
    }

    async fn launch_again(&mut self) {
        let launched = launch(self.port, &self.dir, &self.options).await;
        self.child = launched.unwrap_or_else(|error| panic!("redis-server did not start again: {error}"));
    }
}

fn socket_path(dir: &OwnFolder) -> PathBuf {
    dir.path().join("redis.sock")
}

async fn launch(port: u16, dir: &OwnFolder, options: &[String]) -> io::Result<OwnedChild> {
    let program = std::env::var_os(SERVER_VARIABLE).unwrap_or_else(|| "redis-server".into());
    let log = std::fs::File::create(dir.path().join("server.log"))?;
    let mut command = Command::new(program);
    command
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            // A replica need not wait for others to come.
            "--repl-diskless-sync-delay",
            "0",
        ])
        .arg("--dir")
        .arg(dir.path())
        .arg("--unixsocket")
        .arg(socket_path(dir))
        .args(options)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let mut child = OwnedChild::spawn(command)?;
    let clock = Clock::system();
    let until = clock.monotonic() + START_DEADLINE;
    while !answers(port, child.pid()).await {
        if let Some(status) = child.ended() {
            let said = std::fs::read_to_string(dir.path().join("server.log")).unwrap_or_default();
            return Err(io::Error::other(format!("it ended with {status}, saying:\n{said}")));
        }
        if clock.monotonic() > until {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer within {START_DEADLINE:?}"),
            ));
        }
        clock.sleep(Duration::from_millis(5)).await;
    }
    Ok(child)
}

/// Whether the server at `port` accepts commands and is the process `pid`, not a stranger on the same port.
///
/// A server that wants a password says so, which is an answer as well; it cannot be asked for its id.
async fn answers(port: u16, pid: u32) -> bool {
    let Ok(text) = info_server(port).await else {
        return false;
    };
    text.contains(&format!("process_id:{pid}\r\n")) || text.starts_with("-NOAUTH")
}

async fn info_server(port: u16) -> io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"INFO server\r\n").await?;
    let mut text = Vec::new();
    let mut part = [0; 4096];
    loop {
        let read = stream.read(&mut part).await?;
        text.extend_from_slice(&part[..read]);
        let shown = String::from_utf8_lossy(&text);
        // Past the line that is looked for, or an error, which is one line, or the end.
        let answered = shown.contains("\r\nuptime_in_seconds:") || shown.starts_with('-') && shown.ends_with("\r\n");
        if answered || read == 0 {
            return Ok(shown.into_owned());
        }
    }
}
