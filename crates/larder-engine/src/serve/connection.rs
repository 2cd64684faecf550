//! One client's connection: reading, running what is complete, writing, all by one task.
//!
//! The task never waits for one thing alone. While a client is slow to read its replies it may still send, be
//! killed or be told to end; what it has not read is bounded by `client-output-buffer-limit`.

use std::{io, sync::Arc, time::Duration};

use larder_base::Clock;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::Notify,
};

use crate::{
    ErrorReply, Receipt, Reply, Resp, Session,
    client::ReplyMode,
    engine::Turn,
    serve::{
        decode::{Decoder, InputLimits, ProtocolError},
        encode::encode,
        outbox::Outbox,
        output::Output,
    },
    settings::WireLimits,
    wait::Patience,
};

/// How long a client that is being closed may take to read its last replies.
const FAREWELL_MAX: Duration = Duration::from_secs(5);

/// What ended a connection; for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    ByClient,
    /// By a command of its own: `QUIT`, `CLIENT KILL`.
    Quit,
    /// By another client's `CLIENT KILL`, or because it did not read what it was sent.
    ByEngine,
    Idle,
    Unread,
    Stopped,
    Protocol(ProtocolError),
    Socket(io::ErrorKind),
    /// What it was about to be answered could not be made to last.
    LogFailed,
}

/// What happened while the task waited.
enum Event {
    Received(io::Result<usize>),
    Sent(io::Result<usize>),
    Woken,
    IdleCheck,
    /// The command that waits has its answer.
    Answered,
    /// Its time is up.
    TimeUp,
    Settled(Result<(), ErrorReply>),
}

/// Replies that may not be shown yet: what they rest on is on its way to the log.
#[derive(Clone, Copy)]
struct Held {
    receipt: Receipt,
    /// Where in the output they begin. Nothing is sent meanwhile, so it stays there.
    from: usize,
}

pub(crate) struct Connection {
    session: Session,
    outbox: Arc<Outbox>,
    decoder: Decoder,
    out: Output,
    held: Option<Held>,
    /// Its last command waits, and what came after it.
    waiting: Option<Patience>,
    /// Rung when that has its answer.
    bell: Arc<Notify>,
    limits: WireLimits,
    clock: Clock,
    active_at: Duration,
    /// A command of its own closed the client.
    has_quit: bool,
}

impl Connection {
    pub(crate) fn new(session: Session, outbox: Arc<Outbox>, clock: Clock) -> Self {
        let mut turn = session.turn();
        let limits = turn.core().settings.wire;
        let input = input_limits(&limits, turn.client().authenticated);
        let bell = turn.client().wait.bell.clone();
        drop(turn);
        let active_at = clock.coarse();
        Self {
            session,
            outbox,
            decoder: Decoder::new(input),
            out: Output::default(),
            held: None,
            waiting: None,
            bell,
            limits,
            clock,
            active_at,
            has_quit: false,
        }
    }

    /// Serves the client until it goes, or is made to.
    pub(crate) async fn run<R, W>(mut self, mut reader: R, mut writer: W) -> Ending
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let ending = loop {
            if let Some(ending) = self.finished() {
                break ending;
            }
            let event = self.wait(&mut reader, &mut writer).await;
            if let Some(ending) = self.handle(event) {
                break ending;
            }
        };
        self.farewell(&ending, &mut writer).await;
        ending
    }

    /// Why the task should end now, if it should.
    fn finished(&self) -> Option<Ending> {
        if self.outbox.is_closed() {
            return Some(if self.has_quit { Ending::Quit } else { Ending::ByEngine });
        }
        let unsent = self.out.unsent().len();
        if !self.outbox.note_unsent(unsent) {
            return Some(Ending::Unread);
        }
        if let Some(error) = self.decoder.failed() {
            return Some(Ending::Protocol(error.clone()));
        }
        (self.outbox.is_draining() && unsent == 0).then_some(Ending::Stopped)
    }

    /// Cancel safe: whichever branch is dropped has done nothing yet.
    async fn wait<R, W>(&mut self, reader: &mut R, writer: &mut W) -> Event
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        if let Some(held) = self.held {
            return tokio::select! {
                biased;
                settled = self.session.settled(held.receipt) => Event::Settled(settled),
                () = self.outbox.woken() => Event::Woken,
            };
        }
        let unsent = self.out.unsent();
        let idle_left = self.idle_left();
        let time_left = self.time_left();
        tokio::select! {
            biased;
            sent = writer.write(unsent), if !unsent.is_empty() => Event::Sent(sent),
            received = reader.read_buf(self.decoder.space()) => Event::Received(received),
            () = self.outbox.woken() => Event::Woken,
            () = self.bell.notified(), if self.waiting.is_some() => Event::Answered,
            () = sleep(&self.clock, time_left), if time_left.is_some() => Event::TimeUp,
            () = sleep(&self.clock, idle_left), if idle_left.is_some() => Event::IdleCheck,
        }
    }

    fn handle(&mut self, event: Event) -> Option<Ending> {
        match event {
            Event::Received(Ok(0)) => return Some(Ending::ByClient),
            Event::Received(Ok(_)) => self.receive(),
            Event::Sent(Ok(bytes)) => self.out.note_sent(bytes),
            Event::Received(Err(error)) | Event::Sent(Err(error)) => return Some(Ending::Socket(error.kind())),
            Event::Woken => self.outbox.take(self.out.bytes()),
            Event::Answered => self.resume(),
            Event::TimeUp => {
                self.session.turn().time_out();
                self.resume();
            }
            Event::Settled(settled) => return self.release(settled),
            Event::IdleCheck => return self.is_idle().then_some(Ending::Idle),
        }
        None
    }

    /// Runs every command that is complete, unless one of them ends the connection.
    fn receive(&mut self) {
        self.active_at = self.clock.coarse();
        if self.waiting.is_some() {
            // What comes behind a command that waits, waits with it, within the bounds of the query buffer.
            self.decoder.decode();
            return;
        }
        let from = self.out.unsent().len();
        self.run_from(from, Receipt::default());
    }

    /// Takes the answer to the command that waited, and goes on behind it.
    fn resume(&mut self) {
        let from = self.out.unsent().len();
        let mut turn = self.session.turn();
        let Some(answer) = turn.take_answer() else {
            return;
        };
        self.outbox.take(self.out.bytes());
        let client = turn.client();
        if wants_reply(&mut client.reply_mode) {
            encode(self.out.bytes(), &answer.reply, client.resp);
        }
        drop(turn);
        self.waiting = None;
        self.active_at = self.clock.coarse();
        self.run_from(from, answer.receipt);
    }

    /// Runs what was received; replies from `from` on are held until what they rest on is in the log.
    fn run_from(&mut self, from: usize, mut receipt: Receipt) {
        self.run_received(&mut receipt);
        // Most engines keep no log, and most logs need not be waited for.
        if self.session.settles(receipt) != Some(Ok(())) {
            self.held = Some(Held { receipt, from });
        }
    }

    /// The replies that were held may go. If what they rest on cannot be made to last, nobody knows whether it will be
    /// there after a restart: the connection ends without them, which says just that, where an error would say that
    /// nothing was done.
    fn release(&mut self, settled: Result<(), ErrorReply>) -> Option<Ending> {
        let held = self.held.take()?;
        settled.err()?;
        self.out.keep_unsent(held.from);
        Some(Ending::LogFailed)
    }

    fn run_received(&mut self, receipt: &mut Receipt) {
        while self.decoder.decode() > 0 && !self.outbox.is_closed() {
            if !self.run_batch(receipt) {
                return;
            }
        }
        if let Some(ProtocolError::Told(text)) = self.decoder.failed() {
            let error = ErrorReply::new(format!("ERR Protocol error: {text}"));
            encode(self.out.bytes(), &Reply::Error(error), Resp::V2);
        }
    }

    /// Runs the decoded commands with nobody else's in between; whether to go on.
    fn run_batch(&mut self, receipt: &mut Receipt) -> bool {
        let Self {
            session,
            outbox,
            decoder,
            out,
            limits,
            has_quit,
            waiting,
            ..
        } = self;
        let mut turn = session.turn();
        outbox.take(out.bytes());
        let was_closed = turn.client().closing;
        let mut goes_on = true;
        decoder.drain(|args| {
            goes_on = run_command(&mut turn, outbox, out, args);
            *waiting = turn.client().wait.patience();
            goes_on &= waiting.is_none();
            goes_on
        });
        turn.sign(receipt);
        *has_quit = !was_closed && turn.client().closing;
        *limits = turn.core().settings.wire;
        let authenticated = turn.client().authenticated;
        drop(turn);
        decoder.set_limits(input_limits(limits, authenticated));
        goes_on
    }

    /// How long the client may go on saying nothing; `None` if for ever.
    fn idle_left(&self) -> Option<Duration> {
        let max = self.limits.idle_max;
        (!max.is_zero()).then(|| (self.active_at + max).saturating_sub(self.clock.coarse()))
    }

    /// How long the command that waits may go on; `None` if for ever, or if none waits.
    fn time_left(&self) -> Option<Duration> {
        match self.waiting? {
            Patience::Endless => None,
            Patience::Until(deadline) => Some(deadline.saturating_sub(self.clock.monotonic())),
        }
    }

    /// Whether the client said nothing for too long. One that subscribed only listens, one that waits may.
    fn is_idle(&mut self) -> bool {
        if self.waiting.is_some() || self.session.turn().client().is_subscriber() {
            self.active_at = self.clock.coarse();
            return false;
        }
        self.idle_left().is_some_and(|left| left.is_zero())
    }

    /// Writes what a client that leaves in order still has to get. One that was cut off gets nothing more.
    async fn farewell<W: AsyncWrite + Unpin>(&mut self, ending: &Ending, writer: &mut W) {
        if let Some(held) = self.held {
            let settled = self.session.settled(held.receipt).await;
            self.release(settled);
        }
        let in_order = [Ending::ByClient, Ending::Quit, Ending::Stopped, Ending::LogFailed].contains(ending);
        if in_order || matches!(ending, Ending::Protocol(_)) {
            let last_words = async {
                writer.write_all(self.out.unsent()).await?;
                writer.shutdown().await
            };
            // A client that does not take them loses them.
            let _ = self.clock.timeout(FAREWELL_MAX, last_words).await;
        }
    }
}

/// Runs one command and appends its reply, then what it caused to be pushed to its own client; whether to go on.
///
/// Looks at the limit after each command: a few bytes ask for much, and those of one read for all memory.
fn run_command(turn: &mut Turn<'_>, outbox: &Outbox, out: &mut Output, args: &[&[u8]]) -> bool {
    let reply = turn.execute_or_wait(args);
    let wire = turn.core().settings.wire;
    let client = turn.client();
    // A command that waits answers later.
    if !client.wait.is_waiting() && wants_reply(&mut client.reply_mode) {
        encode(out.bytes(), &reply, client.resp);
    }
    let limit = if client.is_subscriber() {
        wire.subscriber_output
    } else {
        wire.output
    };
    outbox.adapt(client.resp, limit);
    outbox.take(out.bytes());
    !client.closing && limit.admits(out.unsent().len())
}

/// Whether the command just run gets its reply, and what that means for the next.
fn wants_reply(mode: &mut ReplyMode) -> bool {
    match *mode {
        ReplyMode::On => true,
        ReplyMode::Off => false,
        ReplyMode::SkipNext => {
            *mode = ReplyMode::Skip;
            false
        }
        ReplyMode::Skip => {
            *mode = ReplyMode::On;
            false
        }
    }
}

fn input_limits(limits: &WireLimits, authenticated: bool) -> InputLimits {
    InputLimits {
        bulk_max: limits.bulk_max,
        query_max: limits.query_max,
        authenticated,
    }
}

async fn sleep(clock: &Clock, span: Option<Duration>) {
    clock.sleep(span.unwrap_or_default()).await;
}
