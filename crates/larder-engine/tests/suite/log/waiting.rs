//! Who waits for the disk, and who does not: replies under `always` are held until the sync, and nothing else is.

use std::{
    any::Any,
    io::{self, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_engine::{
    Engine, Fsync, LogConfig, Receipt, Reply,
    log::{Disk, LogFile},
    serve::ServeConfig,
};
use larder_testkit::{SimDisk, Trouble, eventually};
use parking_lot::{Condvar, Mutex};

use super::{HOME, open, run};
use crate::common::{PATIENCE, Raw, serve};

/// A disk that stands still until it is let go on.
#[derive(Clone, Debug)]
struct Slow {
    disk: SimDisk,
    gate: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    is_shut: Mutex<bool>,
    opened: Condvar,
    /// Who came to it so far, and who of them to sync.
    calls: AtomicUsize,
    syncs: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mut is_shut = self.is_shut.lock();
        while *is_shut {
            self.opened.wait(&mut is_shut);
        }
    }

    fn shut(&self, is_shut: bool) {
        *self.is_shut.lock() = is_shut;
        self.opened.notify_all();
    }
}

struct SlowFile {
    file: Box<dyn LogFile>,
    gate: Arc<Gate>,
}

impl LogFile for SlowFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.gate.pass();
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.gate.pass();
        self.gate.syncs.fetch_add(1, Ordering::SeqCst);
        self.file.sync()
    }
}

impl Disk for Slow {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.create_folder(folder)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        self.disk.lock(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }
    fn read(&self, path: &Path, from: u64) -> io::Result<(Box<dyn Read>, u64)> {
        self.disk.read(path, from)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let file = self.disk.create(path)?;
        let gate = self.gate.clone();
        Ok(Box::new(SlowFile { file, gate }))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let file = self.disk.open(path)?;
        let gate = self.gate.clone();
        Ok(Box::new(SlowFile { file, gate }))
    }
    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        self.disk.truncate(path, len)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.sync_folder(folder)
    }
}

fn open_slow(fsync: Fsync) -> (Engine, Arc<Gate>) {
    let (engine, gate, _disk) = open_slow_on(fsync);
    (engine, gate)
}

fn open_slow_on(fsync: Fsync) -> (Engine, Arc<Gate>, SimDisk) {
    let disk = SimDisk::new();
    let gate = Arc::<Gate>::default();
    let slow = Slow {
        disk: disk.clone(),
        gate: gate.clone(),
    };
    let config = LogConfig::new(HOME).fsync(fsync).disk(Arc::new(slow));
    (Engine::builder().open(config).expect("an empty disk"), gate, disk)
}

/// The log breaks before, while or after a script runs: whichever it is, the script is not acknowledged.
#[test]
fn a_script_under_way_when_the_log_breaks_is_not_acknowledged() {
    let script = "redis.call('SET', KEYS[1], 'v') for i = 1, ARGV[1] do redis.call('GET', KEYS[1]) end return 1";
    for turns in ["0", "100", "1000", "10000", "100000"] {
        let (engine, gate, disk) = open_slow_on(Fsync::Always);
        let session = engine.connect();
        gate.shut(true);
        let mut receipt = Receipt::default();
        assert_eq!(session.submit(&[b"SET", b"first", b"v"], &mut receipt), Reply::Ok);
        disk.strike_at(0, Trouble::SyncFails);
        std::thread::scope(|scope| {
            let running = scope.spawn(|| {
                let session = engine.connect();
                session.execute(&[b"EVAL", script.as_bytes(), b"1", b"k", turns.as_bytes()])
            });
            gate.shut(false);
            let reply = running.join().expect("it does not panic");
            assert!(reply.is_error(), "{turns} turns: {reply:?}");
        });
        assert!(session.settles(receipt).is_some_and(|settled| settled.is_err()));
    }
}

#[tokio::test]
async fn a_reply_waits_for_the_sync_and_the_engine_does_not() {
    let (engine, gate) = open_slow(Fsync::Always);
    let (writer, reader) = (engine.connect(), engine.connect());
    gate.shut(true);
    let (mut wrote, mut read) = (Receipt::default(), Receipt::default());
    assert_eq!(writer.submit(&[b"SET", b"k", b"v"], &mut wrote), Reply::Ok);
    assert_eq!(writer.settles(wrote), None, "it is not on the disk");
    // The engine goes on; what was read may not be shown before it would survive.
    assert_eq!(reader.submit(&[b"GET", b"k"], &mut read), Reply::bulk("v"));
    assert_eq!(reader.settles(read), None);
    assert!(engine.used_memory() > 0);
    let waiting = tokio::spawn(async move { writer.settled(wrote).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    gate.shut(false);
    waiting.await.expect("it does not panic").expect("the disk works");
    reader.settled(read).await.expect("the disk works");
    assert_eq!(
        reader.settles(Receipt::default()),
        Some(Ok(())),
        "what rests on nothing waits for nothing"
    );
}

#[tokio::test]
async fn under_other_policies_nobody_waits_for_a_sync() {
    for fsync in [Fsync::EverySecond, Fsync::No] {
        let (engine, gate) = open_slow(fsync);
        gate.shut(true);
        let session = engine.connect();
        for i in 0..100 {
            assert_eq!(run(&session, &format!("SET k{i} v")), Reply::Ok);
        }
        gate.shut(false);
    }
}

/// What waits to be written is bounded: whoever writes more than the disk takes waits for it.
#[test]
fn a_disk_that_stands_still_holds_writers_up_before_memory_is_full() {
    let (engine, gate) = open_slow(Fsync::EverySecond);
    let session = engine.connect();
    gate.shut(true);
    let large = vec![b'x'; 4 << 20];
    let (mut held, mut receipt) = (0, Receipt::default());
    while session.settles(receipt).is_some() {
        assert_eq!(session.submit(&[b"SET", b"k", &large], &mut receipt), Reply::Ok);
        held += 1;
        assert!(held < 20, "nobody ever waits");
    }
    assert!(held <= 10, "{held} of 4 MiB each");
    gate.shut(false);
    while session.settles(receipt).is_none() {
        std::thread::yield_now();
    }
}

/// The number of syncs says whether writes shared them: 16 clients that wait for each other's disk need far fewer than
/// one each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_one_moment_share_a_sync() {
    const CLIENTS: usize = 16;
    let (engine, gate) = open_slow(Fsync::Always);
    gate.shut(true);
    let (calls, syncs) = (gate.calls.load(Ordering::SeqCst), gate.syncs.load(Ordering::SeqCst));
    let session = Arc::new(engine.connect());
    let mut waiting = Vec::new();
    for client in 0..CLIENTS {
        let mut receipt = Receipt::default();
        let key = format!("k{client}");
        assert_eq!(session.submit(&[b"SET", key.as_bytes(), b"v"], &mut receipt), Reply::Ok);
        let session = session.clone();
        waiting.push(tokio::spawn(async move { session.settled(receipt).await }));
    }
    eventually(PATIENCE, async || gate.calls.load(Ordering::SeqCst) > calls).await;
    gate.shut(false);
    for settled in waiting {
        settled.await.expect("it does not panic").expect("the disk works");
    }
    let syncs = gate.syncs.load(Ordering::SeqCst) - syncs;
    assert!(syncs <= 3, "{syncs} syncs for {CLIENTS} writes");
}

#[tokio::test]
async fn a_served_client_is_answered_after_the_sync_in_order() {
    let (engine, gate) = open_slow(Fsync::Always);
    let (server, port) = serve(&engine, ServeConfig::new()).await;
    let mut client = Raw::connect(port).await;
    assert_eq!(client.ask("SET k 1").await, "+OK\r\n");
    gate.shut(true);
    client.send("INCR k\r\nGET k\r\nQUIT\r\n").await;
    // Another client is served meanwhile, and told when what it rests on is safe.
    eventually(PATIENCE, async || run_free(&engine, "GET k") == Reply::bulk("2")).await;
    gate.shut(false);
    assert_eq!(
        client.read_to_end().await,
        ":2\r\n$1\r\n2\r\n+OK\r\n",
        "all of it, before the end"
    );
    assert!(server.shutdown(Duration::from_secs(5)).await);
}

/// What is there now, whether or not it is safe.
fn run_free(engine: &Engine, line: &str) -> Reply {
    let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let mut receipt = Receipt::default();
    engine.connect().submit(&args, &mut receipt)
}

/// An error in place of the reply would say that nothing was done. Nobody knows that, so the connection ends.
#[tokio::test]
async fn a_served_client_whose_write_could_not_be_synced_is_cut_off_and_may_read_on() {
    for trouble in [Trouble::Full, Trouble::SyncFails] {
        let disk = SimDisk::new();
        let (engine, _hand) = open(&disk, Fsync::Always).expect("an empty disk");
        let (server, port) = serve(&engine, ServeConfig::new()).await;
        let mut client = Raw::connect(port).await;
        assert_eq!(client.ask("SET k 1").await, "+OK\r\n");
        disk.strike_at(disk.steps(), trouble);
        client.send("SET k 2\r\n").await;
        assert_eq!(client.read_to_end().await, "");
        let mut again = Raw::connect(port).await;
        assert!(
            again
                .ask("SET k 3")
                .await
                .starts_with("-MISCONF Errors writing to the AOF file")
        );
        assert_eq!(
            again.ask("GET k").await,
            "$1\r\n2\r\n",
            "reads go on, with what is in memory"
        );
        disk.mend();
        assert!(again.ask("BGREWRITEAOF").await.starts_with("+Background"));
        eventually(PATIENCE, async || again_writes(&engine)).await;
        assert_eq!(again.ask("SET k 4").await, "+OK\r\n");
        assert!(server.shutdown(Duration::from_secs(5)).await);
    }
}

fn again_writes(engine: &Engine) -> bool {
    !run_free(engine, "SET probe v").is_error()
}
