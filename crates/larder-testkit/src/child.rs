//! A child process that ends with its owner: when that is dropped, when a test panics, and when the whole process is killed.

use std::{
    io,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus},
    sync::{
        OnceLock,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

/// Owns a process: signals go to its pid alone, and dropping it kills and reaps. Where this process ends without dropping
/// anything (`kill -9`), Linux kills the child.
///
/// ```
/// use larder_testkit::OwnedChild;
///
/// let mut command = std::process::Command::new("sleep");
/// command.arg("60");
/// let mut child = OwnedChild::spawn(command).expect("it is installed");
/// assert!(child.ended().is_none());
/// child.kill();
/// assert!(child.ended().is_some_and(|status| !status.success()));
/// ```
#[derive(Debug)]
pub struct OwnedChild(Child);

impl OwnedChild {
    /// Starts `command`.
    ///
    /// # Errors
    /// As [`Command::spawn`].
    pub fn spawn(mut command: Command) -> io::Result<Self> {
        die_with_parent(&mut command);
        let (send, started) = sync_channel(1);
        let sent = starter()?.send((command, send)).ok();
        let started = sent.and_then(|()| started.recv().ok());
        started
            .unwrap_or_else(|| Err(io::Error::other("the thread that starts processes has ended")))
            .map(Self)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().ok().flatten()
    }

    /// Its standard input, where that is piped.
    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.0.stdin.take()
    }

    /// Its standard output, where that is piped.
    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    /// Waits for its own end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.0.wait().expect("a child can be waited for")
    }

    /// `kill -9`, then waits until the process is gone; nothing if it already is.
    pub fn kill(&mut self) {
        // Already gone is what was wanted. SIGKILL also ends a stopped process, so the wait is short.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let raw = i32::try_from(self.pid()).map_err(io::Error::other)?;
        let pid = Pid::from_raw(raw).ok_or_else(|| io::Error::other("a process has a positive id"))?;
        Ok(kill_process(pid, signal)?)
    }
}

/// A process to start, and where to say what came of it.
type Start = (Command, SyncSender<io::Result<Child>>);

/// The thread that starts every child, and lives as long as this process.
///
/// The kernel's "parent" of [`die_with_parent`] is the *thread* that forked: a child started by a test's thread, or by one
/// of a runtime's, would be killed when that thread ends, however long its owner lives.
fn starter() -> io::Result<&'static SyncSender<Start>> {
    /// Processes waiting to be started: who starts one waits for it, so that they are as many as there are threads.
    const WAITING_MAX: usize = 16;
    static STARTER: OnceLock<Result<SyncSender<Start>, io::ErrorKind>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (send, starts) = sync_channel::<Start>(WAITING_MAX);
        let start_all = move || {
            for (mut command, started) in starts {
                // Who asked waits for the answer; if that thread is gone, so is the need.
                let _ = started.send(command.spawn());
            }
        };
        let thread = thread::Builder::new().name("starts processes".to_owned());
        thread.spawn(start_all).map(|_| send).map_err(|error| error.kind())
    });
    starter.as_ref().map_err(|kind| io::Error::from(*kind))
}

/// Has the kernel kill the child when the thread that starts it ends.
#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;

    use rustix::process::{getppid, set_parent_process_death_signal};

    let parent = i32::try_from(std::process::id()).ok().and_then(Pid::from_raw);
    let ask = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // A parent that died before that line is not noticed by the kernel any more.
        if getppid() == parent {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    };
    // SAFETY: between fork and exec only what is safe in a signal handler may be done. `ask` makes two system calls and
    // compares their results; it takes no lock, allocates nothing (both errors are plain numbers) and touches no memory
    // but its own.
    unsafe { command.pre_exec(ask) };
}

/// Elsewhere a process that is killed leaves its children behind.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command) {}

impl Drop for OwnedChild {
    fn drop(&mut self) {
        self.kill();
    }
}
