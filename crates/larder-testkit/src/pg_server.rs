//! A PostgreSQL of one's own: on a free loopback port, in a temporary folder, gone with the process that started it.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use larder_base::Clock;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tokio::sync::OnceCell;

use crate::port::free_port;

/// The variable that names the folder of PostgreSQL's programs, where it is not the newest of Debian's.
pub const PG_BIN_VARIABLE: &str = "LARDER_PG_BIN";

/// Where Debian keeps them, by version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Between choosing a free port and the server's taking it another process may take it; and a server that was killed
/// leaves its children for a moment, beside which no other starts.
const STARTS_MAX: u32 = 100;

/// A start takes 100 ms; on a machine busy with compiling, seconds.
const START_DEADLINE: Duration = Duration::from_secs(60);

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Starts the server, says its pid, and ends it when standard input does, with its data unless told to keep them. So
/// a test that is killed leaves nothing behind. The server is not waited for earlier: its pid stays its own.
const KEEPER: &str = r#"
trap "" INT
data=$1; shift
"$@" &
echo $!
word=
read -r word
kill -QUIT $! 2>/dev/null
wait $!
[ "$word" = keep ] || rm -rf -- "$data"
"#;

/// A private server, reached without a password by the superuser `larder`. Dropping it ends it and removes its data.
///
/// It survives `kill -9` with what it acknowledged. It does not wait for the disk (`fsync=off`), so a power cut is
/// another matter: start it [with](Self::start_with) `&["-c", "fsync=on"]` to measure.
///
/// PostgreSQL refuses to run as root: then it runs as `postgres`, or `nobody` where there is no such user.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(async {
/// use larder_testkit::PgServer;
/// let mut server = PgServer::start().await;
/// server.sql("postgres", "CREATE TABLE t AS SELECT 42 AS n");
/// server.kill();
/// server.restart().await;
/// assert_eq!(server.sql("postgres", "SELECT n FROM t"), "42");
/// # });
/// ```
#[derive(Debug)]
pub struct PgServer {
    keeper: Child,
    stdin: Option<ChildStdin>,
    pid: Pid,
    port: u16,
    folder: PathBuf,
    options: Vec<String>,
    databases: AtomicU32,
}

impl PgServer {
    /// Starts one.
    ///
    /// # Panics
    /// If PostgreSQL is not installed or does not start within a minute.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with more options of `postgres`, such as `&["-c", "max_connections=8"]`.
    ///
    /// # Panics
    /// As [`start`](Self::start); also if it refuses an option.
    pub async fn start_with(options: &[&str]) -> Self {
        let started = Self::try_start_with(options).await;
        started.unwrap_or_else(|error| {
            panic!(
                "PostgreSQL did not start: {error}; install it, or name the folder of its programs in {PG_BIN_VARIABLE}"
            )
        })
    }

    /// As [`start_with`](Self::start_with), for a program that can do without one.
    ///
    /// # Errors
    /// If PostgreSQL is not installed, refuses an option, or does not start within a minute.
    pub async fn try_start_with(options: &[&str]) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("larder-pg-").tempdir()?;
        let server_user = user();
        if let Some((uid, gid)) = server_user {
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid))?;
        }
        let made = as_user(Command::new(program("initdb")?).args(["-U", "larder", "-A", "trust", "-E", "UTF8"]))
            .args(["--no-locale", "--no-sync", "-D"])
            .arg(data(folder.path()))
            .current_dir("/")
            .stdin(Stdio::null())
            .output()?;
        if !made.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
        }
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let port = free_port();
        let (keeper, stdin, pid) = launch(port, folder.path(), &options).await?;
        Ok(Self {
            keeper,
            stdin: Some(stdin),
            pid,
            port,
            // From here on the keeper removes it.
            folder: folder.keep(),
            options,
            databases: AtomicU32::new(0),
        })
    }

    /// The one server of this process that tests share, each in a [database](Self::database) of its own: started by
    /// the first, ended with the process.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<PgServer> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// Makes a new database and says its URL.
    ///
    /// # Panics
    /// If the server is not running.
    #[must_use]
    pub fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        self.sql("postgres", &format!("CREATE DATABASE test{number}"));
        self.url(&format!("test{number}"))
    }

    /// `postgres://larder@127.0.0.1:PORT/NAME`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://larder@127.0.0.1:{}/{database}", self.port)
    }

    /// Where it listens; the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server; another one after a restart.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Runs SQL through `psql` and returns the values it prints, one row a line, separated by `|`.
    ///
    /// # Panics
    /// If the server is not running or refuses the SQL.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database, sql).expect("psql is installed with PostgreSQL");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "psql failed: {said}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Ends every connection of clients, as an operator does: each sees an error and has to connect again.
    ///
    /// # Panics
    /// As [`sql`](Self::sql).
    pub fn kill_clients(&self) {
        let all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        self.sql("postgres", all);
    }

    /// `kill -9` of the server and everything it started: what was committed is kept, connections break. [`restart`](Self::restart) brings it back.
    pub fn kill(&mut self) {
        let children = children(self.pid());
        // Gone already is what was wanted. Its pid cannot be another's: the keeper has not waited for it.
        let _ = kill_process(self.pid, Signal::KILL);
        // They would notice and end by themselves, and until then no other server starts beside them.
        for child in children {
            let _ = kill_process(child, Signal::KILL);
        }
        if let Some(mut stdin) = self.stdin.take() {
            let _ = stdin.write_all(b"keep\n");
            drop(stdin);
            wait(&mut self.keeper);
        }
    }

    /// SIGSTOP to the server and everything it started: connections stay open and nothing answers.
    ///
    /// # Panics
    /// If the server is gone.
    pub fn pause(&self) {
        self.signal_all(Signal::STOP);
    }

    /// SIGCONT after [`pause`](Self::pause).
    ///
    /// # Panics
    /// If the server is gone.
    pub fn resume(&self) {
        self.signal_all(Signal::CONT);
    }

    /// Kills it and starts it on the same port with its data.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn restart(&mut self) {
        self.kill();
        let launched = launch(self.port, &self.folder, &self.options).await;
        let (keeper, stdin, pid) = launched.unwrap_or_else(|error| panic!("PostgreSQL did not start again: {error}"));
        (self.keeper, self.stdin, self.pid) = (keeper, Some(stdin), pid);
    }

    fn psql(&self, database: &str, sql: &str) -> io::Result<std::process::Output> {
        Command::new(program("psql")?)
            .args([
                "-X",
                "-A",
                "-t",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                &self.url(database),
                "-c",
                sql,
            ])
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
    }

    fn signal_all(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("the server is running");
        for child in children(self.pid()) {
            // One that ended meanwhile need not be told.
            let _ = kill_process(child, signal);
        }
    }
}

impl Drop for PgServer {
    fn drop(&mut self) {
        match self.stdin.take() {
            Some(stdin) => {
                // A paused server would not hear that it should end.
                let _ = kill_process(self.pid, Signal::CONT);
                for child in children(self.pid()) {
                    let _ = kill_process(child, Signal::CONT);
                }
                drop(stdin);
                wait(&mut self.keeper);
            }
            // Killed: its keeper has left, and kept the data for a restart that did not come.
            None => drop(std::fs::remove_dir_all(&self.folder)),
        }
    }
}

/// Waits until the keeper is gone, and the server with it. A server that is told to quit does so within 5 s: it then
/// kills what it started.
fn wait(keeper: &mut Child) {
    // It is this process's own child, for which nobody else waits.
    let _ = keeper.wait();
}

/// The processes that `pid` started.
fn children(pid: u32) -> Vec<Pid> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
    pids.filter_map(Pid::from_raw).collect()
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// `name` in the folder that the variable names, in Debian's newest, or on the path.
fn program(name: &str) -> io::Result<PathBuf> {
    if let Some(folder) = std::env::var_os(PG_BIN_VARIABLE) {
        return Ok(Path::new(&folder).join(name));
    }
    let version = |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse::<u32>().ok();
    let newest = std::fs::read_dir(DEBIAN)
        .ok()
        .and_then(|versions| versions.filter_map(version).max());
    Ok(match newest {
        Some(version) => Path::new(DEBIAN).join(format!("{version}/bin")).join(name),
        None => PathBuf::from(name),
    })
}

/// Whom the server runs as, where that has to be another than this process.
fn user() -> Option<(u32, u32)> {
    if !geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let mut fields = users
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?
            .split(':');
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody"))
}

fn as_user(command: &mut Command) -> &mut Command {
    match user() {
        Some((uid, gid)) => command.uid(uid).gid(gid),
        None => command,
    }
}

async fn launch(port: u16, folder: &Path, options: &[String]) -> io::Result<(Child, ChildStdin, Pid)> {
    let clock = Clock::system();
    let until = clock.monotonic() + START_DEADLINE;
    let mut starts = 1;
    loop {
        let failed = match try_launch(port, folder, options, &clock, until).await {
            Ok(started) => return Ok(started),
            Err(error) => error,
        };
        if starts == STARTS_MAX || clock.monotonic() > until || failed.kind() == io::ErrorKind::NotFound {
            return Err(failed);
        }
        starts += 1;
        clock.sleep(LOOK_EVERY).await;
    }
}

async fn try_launch(
    port: u16,
    folder: &Path,
    options: &[String],
    clock: &Clock,
    until: Duration,
) -> io::Result<(Child, ChildStdin, Pid)> {
    let log = folder.join("server.log");
    let said = std::fs::File::create(&log)?;
    let mut command = Command::new("sh");
    as_user(&mut command)
        .args(["-c", KEEPER, "keeper"])
        .arg(folder)
        .arg(program("postgres")?)
        .arg("-D")
        .arg(data(folder))
        .args(["-p", &port.to_string(), "-k"])
        .arg(folder)
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
        .args(options)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(said);
    let mut keeper = command.spawn()?;
    let mut stdin = keeper.stdin.take().expect("it is piped");
    let mut line = String::new();
    BufReader::new(keeper.stdout.take().expect("it is piped")).read_line(&mut line)?;
    let pid = line.trim().parse().ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other(format!("its keeper said {line:?} instead of a pid")))?;
    while !is_ready(folder, pid) {
        let is_over = is_zombie(pid) || clock.monotonic() > until;
        if is_over {
            let _ = stdin.write_all(b"keep\n");
            drop(stdin);
            wait(&mut keeper);
            return Err(io::Error::other(std::fs::read_to_string(log).unwrap_or_default()));
        }
        clock.sleep(LOOK_EVERY).await;
    }
    Ok((keeper, stdin, pid))
}

/// Whether the server of this pid accepts connections: it says so in a file.
fn is_ready(folder: &Path, pid: Pid) -> bool {
    let status = std::fs::read_to_string(data(folder).join("postmaster.pid")).unwrap_or_default();
    let mut lines = status.lines();
    let is_its_own = lines
        .next()
        .is_some_and(|line| line.trim() == pid.as_raw_nonzero().to_string());
    is_its_own && lines.nth(6).is_some_and(|line| line.trim() == "ready")
}

/// Whether the process has ended; its keeper waits for it only at the end.
fn is_zombie(pid: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    status.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('Z'))
}
