//! Other processes of a test: the test binary runs itself again, and reports through its standard output.
//!
//! The parent starts a worker by the name of one of its own tests and hands it a job; in the worker that test
//! finds the job, waits for the start, and reports records. Run as an ordinary test it finds none and passes.
//!
//! ```no_run
//! use larder_testkit::worker::{self, Worker};
//!
//! #[test]
//! fn counting_worker() {
//!     let Some(upto) = worker::job::<u32>() else { return };
//!     worker::ready();
//!     worker::report(&(1..=upto).sum::<u32>());
//! }
//!
//! #[test]
//! fn a_worker_counts() {
//!     let mut worker = Worker::start("counting_worker", &4u32);
//!     worker.go();
//!     assert_eq!(worker.finish::<u32>(), [10]);
//! }
//! ```

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::Duration,
};

use rustix::process::{Pid, Signal, getpid, kill_process};
use serde::{Serialize, de::DeserializeOwned};

use crate::child::OwnedChild;

/// Holds a worker's job, as JSON.
const JOB_VARIABLE: &str = "LARDER_TEST_JOB";

/// Begins a record in a worker's output, among what the test harness prints there.
const MARK: &str = "@record ";

/// Records that a worker may be ahead of its reader; it then waits in the pipe.
const RECORDS_MAX: usize = 10_000;

/// A worker starts in some 50 ms and reports as it goes. Silence for so long means that it hangs.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The job of this process; `None` in a process that is no worker.
///
/// # Panics
/// If the job is of another type than the parent gave.
#[must_use]
pub fn job<J: DeserializeOwned>() -> Option<J> {
    let text = std::env::var(JOB_VARIABLE).ok()?;
    Some(serde_json::from_str(&text).expect("the parent gives a job of the type that the worker takes"))
}

/// In a worker: says that it is ready, and waits until the parent says go. From then on the process ends as soon as
/// its parent does.
///
/// # Panics
/// If the parent is gone.
pub fn ready() {
    report(&"ready");
    let mut line = String::new();
    let read = std::io::stdin()
        .read_line(&mut line)
        .expect("the parent holds the other end");
    assert!(read > 0, "the parent is gone");
    std::thread::spawn(|| {
        let mut rest = String::new();
        // Any end of the pipe means that the parent is gone; orphans must not go on.
        let _ = std::io::stdin().read_line(&mut rest);
        std::process::exit(1);
    });
}

/// In a worker: hands one record to the parent.
///
/// # Panics
/// If the record cannot be written as JSON, or the parent is gone.
pub fn report<R: Serialize>(record: &R) {
    let text = serde_json::to_string(record).expect("a record is plain data");
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{MARK}{text}")
        .and_then(|()| out.flush())
        .expect("the parent reads");
}

/// In a worker: `kill -9` of the processes `others`, and then of itself, at once: nothing is dropped, flushed or closed.
pub fn die_with(others: &[u32]) -> ! {
    let others = others.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?));
    for pid in others.chain([getpid()]) {
        // One that is gone already is what was wanted.
        let _ = kill_process(pid, Signal::KILL);
    }
    // The signal is on its way.
    loop {
        std::thread::park();
    }
}

/// A started worker. Dropping it kills the process.
#[derive(Debug)]
pub struct Worker {
    child: OwnedChild,
    go: Option<std::process::ChildStdin>,
    records: Receiver<String>,
}

impl Worker {
    /// Starts this test binary again with only the test `entry` (its full path), gives it `job`, and waits until it is
    /// [`ready`].
    ///
    /// # Panics
    /// If the process does not start or does not get ready.
    pub fn start<J: Serialize>(entry: &str, job: &J) -> Self {
        let binary = std::env::current_exe().expect("a process knows its program");
        let mut command = Command::new(binary);
        command
            .args([entry, "--exact", "--nocapture", "--test-threads=1"])
            .env(JOB_VARIABLE, serde_json::to_string(job).expect("a job is plain data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = OwnedChild::spawn(command).expect("the test binary starts again");
        let go = child.take_stdin();
        let stdout = child.take_stdout().expect("the output is piped");
        let (send, records) = sync_channel(RECORDS_MAX);
        std::thread::spawn(move || forward(stdout, &send));
        let mut worker = Self { child, go, records };
        let first: Option<String> = worker.next_record();
        assert_eq!(
            first.as_deref(),
            Some("ready"),
            "`{entry}` names a test that takes this job"
        );
        worker
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Lets it begin.
    ///
    /// # Panics
    /// If it is gone.
    pub fn go(&mut self) {
        let go = self.go.as_mut().expect("the input is piped");
        go.write_all(b"go\n")
            .and_then(|()| go.flush())
            .expect("the worker waits for this");
    }

    /// Its next record; `None` once it has ended and everything is read.
    ///
    /// # Panics
    /// If it is silent for 60 s, or the record is of another type.
    pub fn next_record<R: DeserializeOwned>(&mut self) -> Option<R> {
        match self.records.recv_timeout(SILENCE_MAX) {
            Ok(text) => Some(parse(&text)),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the worker said nothing for {SILENCE_MAX:?}"),
        }
    }

    /// Its next record if that comes within `wait`; `None` if not.
    ///
    /// # Panics
    /// If the record is of another type.
    pub fn next_within<R: DeserializeOwned>(&mut self, wait: Duration) -> Option<R> {
        self.records.recv_timeout(wait).ok().map(|text| parse(&text))
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill();
    }

    /// SIGSTOP: it stands still, its connections stay open.
    ///
    /// # Panics
    /// If it is gone.
    pub fn pause(&self) {
        self.child.signal(Signal::STOP).expect("the worker is running");
    }

    /// SIGCONT after [`pause`](Self::pause).
    ///
    /// # Panics
    /// If it is gone.
    pub fn resume(&self) {
        self.child.signal(Signal::CONT).expect("the worker is running");
    }

    /// Reads its records to the end and asserts that it ended well.
    ///
    /// # Panics
    /// As [`next_record`](Self::next_record); also if the worker failed.
    pub fn finish<R: DeserializeOwned>(mut self) -> Vec<R> {
        let records = std::iter::from_fn(|| self.next_record()).collect();
        let status = self.child.wait();
        assert!(status.success(), "the worker ended with {status}");
        records
    }
}

fn parse<R: DeserializeOwned>(text: &str) -> R {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("`{text}`: {error}"))
}

fn forward(stdout: std::process::ChildStdout, records: &SyncSender<String>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        if let Some((_, record)) = line.split_once(MARK)
            && records.send(record.to_owned()).is_err()
        {
            return;
        }
    }
}
