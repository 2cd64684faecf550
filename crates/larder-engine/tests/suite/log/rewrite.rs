//! Writing the log anew while commands go on: the result is what was there, whenever it is read and wherever it is cut.

use std::{
    any::Any,
    io::{self, Read},
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use larder_base::{Clock, Random};
use larder_engine::{
    Engine, Fsync, LogConfig, Reply,
    log::{Disk, LogFile},
};
use larder_testkit::{Case, SimDisk, Trouble, eventually};
use parking_lot::Mutex;

use super::{HOME, command, dump, open, run, submit};

const PATIENCE: Duration = Duration::from_secs(20);

/// A disk on which each write of a new base waits for a word.
#[derive(Debug)]
struct Gated {
    disk: SimDisk,
    gate: Mutex<Option<Receiver<()>>>,
}

struct GatedFile {
    file: Box<dyn LogFile>,
    gate: Receiver<()>,
}

impl LogFile for GatedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Without a sender the rest goes through.
        let _ = self.gate.recv();
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
}

impl Disk for Gated {
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
        let is_base = path.to_string_lossy().contains("temp-rewrite");
        Ok(match self.gate.lock().take_if(|_| is_base) {
            Some(gate) => Box::new(GatedFile { file, gate }),
            None => file,
        })
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        self.disk.open(path)
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

fn open_gated() -> (Engine, SimDisk, Sender<()>) {
    let (go, gate) = channel();
    let disk = SimDisk::new();
    let gated = Gated {
        disk: disk.clone(),
        gate: Mutex::new(Some(gate)),
    };
    let (clock, _hand) = Clock::manual();
    let config = LogConfig::new(HOME).fsync(Fsync::Always).disk(Arc::new(gated));
    let builder = Engine::builder().clock(clock).random(Random::seeded(1));
    (builder.open(config).expect("an empty disk"), disk, go)
}

fn persistence(engine: &Engine) -> String {
    let Reply::Verbatim(_, info) = run(&engine.connect(), "INFO persistence") else {
        panic!("INFO answers with text")
    };
    info
}

async fn ends(engine: &Engine) -> bool {
    eventually(PATIENCE, async || {
        persistence(engine).contains("aof_rewrite_in_progress:0")
    })
    .await;
    persistence(engine).contains("aof_last_bgrewrite_status:ok")
}

/// So many kilobytes under keys of every type, so that the walk takes a few dozen steps.
fn fill(engine: &Engine, random: &Random) {
    let session = engine.connect();
    for i in 0..60 {
        let value = "x".repeat(20_000);
        run(&session, &format!("SELECT {}", i % 3));
        run(&session, &format!("SET big:{i} {value}"));
        run(&session, &format!("RPUSH l{} {value} {i}", i % 3));
        run(&session, &format!("HSET h{} f{i} {value}", i % 3));
        run(&session, &format!("PEXPIRE big:{i} {}", 100_000 + i));
    }
    (0..300).for_each(|_| _ = submit(&session, &command(random)));
}

fn names(disk: &SimDisk) -> Vec<String> {
    let files = disk.files();
    files
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect()
}

#[tokio::test]
async fn commands_between_the_steps_of_a_rewrite_are_in_it_or_after_it() {
    for case in Case::each(12, 40) {
        let random = case.random();
        let (engine, disk, go) = open_gated();
        fill(&engine, &random);
        let session = engine.connect();
        assert!(!run(&session, "BGREWRITEAOF").is_error());
        assert!(run(&session, "BGREWRITEAOF").is_error(), "one at a time");
        let mut steps = 0;
        while !persistence(&engine).contains("aof_rewrite_in_progress:0") {
            if steps < 15 {
                (0..random.below(12)).for_each(|_| _ = submit(&session, &command(&random)));
                let big = random.below(60);
                run(&session, &format!("SELECT {}", big % 3));
                run(
                    &session,
                    &format!(
                        "{} big:{big}",
                        ["DEL", "INCR", "PERSIST", "GETDEL"][random.below(4) as usize]
                    ),
                );
                run(&session, &format!("APPEND big:{} more", random.below(60)));
                if case.seed() % 4 == 0 && steps == 5 {
                    run(&session, "FLUSHDB");
                }
            }
            steps += 1;
            // It ends when the last step is written.
            let _ = go.send(());
            tokio::task::yield_now().await;
        }
        assert!(steps > 10, "{steps} steps");
        assert!(ends(&engine).await, "{}", persistence(&engine));
        let held = dump(&engine);
        assert_eq!(
            dump(
                &open(&disk.after_crash(&random), Fsync::Always)
                    .expect("the log is whole")
                    .0
            ),
            held
        );
        let wanted = [
            "appendonly.aof.1.base.aof",
            "appendonly.aof.2.incr.aof",
            "appendonly.aof.manifest",
        ];
        assert_eq!(names(&disk), wanted, "what it replaces is removed");
    }
}

#[tokio::test]
async fn databases_that_change_places_end_a_rewrite_and_leave_the_log_whole() {
    let (engine, disk, go) = open_gated();
    let case = Case::each(1, 3).next().expect("one was asked for");
    fill(&engine, &case.random());
    let session = engine.connect();
    run(&session, "BGREWRITEAOF");
    go.send(()).expect("it waits");
    assert_eq!(run(&session, "SWAPDB 0 2"), Reply::Ok);
    drop(go);
    assert!(!ends(&engine).await);
    let left = open(&disk.after_crash(&case.random()), Fsync::Always)
        .expect("the log is whole")
        .0;
    assert_eq!(dump(&left), dump(&engine));
    run(&session, "BGREWRITEAOF");
    assert!(ends(&engine).await, "the next one goes through");
    let left = open(&disk.after_crash(&case.random()), Fsync::Always)
        .expect("the log is whole")
        .0;
    assert_eq!(dump(&left), dump(&engine));
}

/// Row 29 during a rewrite: files are created, renamed and removed meanwhile, and commands go on.
#[tokio::test]
async fn fault_29_a_crash_at_any_step_of_a_rewrite_loses_nothing() {
    let case = Case::each(1, 11).next().expect("one was asked for");
    let random = case.random();
    let commands: Vec<_> = (0..30).map(|_| command(&random)).collect();
    let mut at = 0;
    loop {
        let disk = SimDisk::new();
        disk.strike_at(at, Trouble::Crash);
        let mut acknowledged = std::collections::BTreeMap::new();
        let mut attempted = acknowledged.clone();
        if let Ok((engine, _hand)) = open(&disk, Fsync::Always) {
            let session = engine.connect();
            for (i, command) in commands.iter().enumerate() {
                if i == 10 || i == 20 {
                    run(&session, "BGREWRITEAOF");
                }
                let reply = submit(&session, command);
                attempted = dump(&engine);
                if matches!(&reply, Reply::Error(error) if error.code() == "MISCONF") {
                    break;
                }
                acknowledged = attempted.clone();
                if i == 15 || i == 29 {
                    let _ = ends(&engine).await;
                }
            }
        }
        let left = disk.after_crash(&random);
        let (engine, _hand) = open(&left, Fsync::Always).unwrap_or_else(|error| panic!("crash at step {at}: {error}"));
        let found = dump(&engine);
        assert!(
            found == acknowledged || found == attempted,
            "crash at step {at}: {found:#?}\n{acknowledged:#?}"
        );
        drop(engine);
        assert_eq!(dump(&open(&left, Fsync::Always).expect("it opens again").0), found);
        if !disk.is_down() {
            break;
        }
        at += 1;
    }
    assert!(at > 60, "it took {at} steps");
}

#[tokio::test]
async fn a_log_that_has_grown_is_rewritten_by_itself() {
    let (engine, _hand) = open(&SimDisk::new(), Fsync::No).expect("an empty disk");
    let session = engine.connect();
    run(
        &session,
        "CONFIG SET auto-aof-rewrite-min-size 10kb auto-aof-rewrite-percentage 50",
    );
    let size = |engine: &Engine| -> u64 {
        let info = persistence(engine);
        let line = info.lines().find_map(|line| line.strip_prefix("aof_current_size:"));
        line.expect("INFO says it").parse().expect("it is a number")
    };
    for _ in 0..4 {
        for i in 0..600 {
            run(&session, &format!("SET k{} {i}", i % 10));
        }
        engine.flush().await.expect("the disk works");
        let before = size(&engine);
        assert!(before > 10_000, "{before}");
        engine.tick();
        assert!(ends(&engine).await);
        assert!(size(&engine) < 2_000, "{} after {before}", size(&engine));
    }
    engine.tick();
    assert!(size(&engine) < 2_000);
}

/// Real threads on a real disk, with one rewrite after another.
#[test]
fn clients_that_write_during_rewrites_lose_nothing() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let open = || super::open_folder(folder.path(), Fsync::EverySecond).expect("the log is whole");
    let engine = open();
    let case = Case::each(1, 77).next().expect("one was asked for");
    fill(&engine, &case.random());
    std::thread::scope(|scope| {
        for client in 0..3 {
            let engine = engine.clone();
            let random = Random::seeded(client);
            scope.spawn(move || {
                let session = engine.connect();
                for i in 0..1_500 {
                    // What expires between two looks at it would differ by itself.
                    let command = command(&random);
                    if !command
                        .iter()
                        .any(|word| [&b"PX"[..], b"SETEX", b"EXPIRE"].contains(&&word[..]))
                    {
                        let _ = submit(&session, &command);
                    }
                    if i % 100 == 50 {
                        let _ = run(&session, "BGREWRITEAOF");
                    }
                }
            });
        }
    });
    let held = dump(&engine);
    drop(engine);
    let again = open();
    assert_eq!(dump(&again), held);
    assert!(persistence(&again).contains("aof_last_bgrewrite_status:ok"));
}
