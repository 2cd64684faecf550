//! Helpers that let a test read like a session of redis-cli.

use std::{sync::Arc, time::Duration};

use larder_base::{Clock, ManualClock, Random};
use parking_lot::Mutex;

use crate::{Engine, EngineBuilder, PushSink, Reply, Resp, Session};

/// An engine whose clock the test moves, and one session on it.
pub(crate) struct Shell {
    pub(crate) engine: Engine,
    pub(crate) session: Session,
    pub(crate) clock: ManualClock,
}

impl Shell {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(change: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Self {
        let (clock, hand) = Clock::manual();
        let engine = change(Engine::builder().clock(clock).random(Random::seeded(1))).build();
        Self {
            session: engine.connect(),
            engine,
            clock: hand,
        }
    }

    /// Runs a line: words, or `"quoted strings"` with `\r \n \t \" \\ \xHH`.
    pub(crate) fn run(&self, line: &str) -> Reply {
        run(&self.session, line)
    }

    /// The reply as redis-cli prints it.
    pub(crate) fn print(&self, line: &str) -> String {
        print(&self.run(line))
    }

    /// Each line `command => printed reply`, in order; blank lines are skipped.
    #[track_caller]
    pub(crate) fn check(&self, script: &str) {
        check(&self.session, script);
    }

    pub(crate) fn advance(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    /// A further client, speaking RESP3, that keeps what is pushed to it.
    pub(crate) fn listener(&self) -> (Session, Arc<Pushes>) {
        let pushes = Arc::<Pushes>::default();
        let session = self.engine.connect_with(pushes.clone());
        session.turn().client().resp = Resp::V3;
        (session, pushes)
    }
}

/// A sink that keeps what it was given.
#[derive(Default)]
pub(crate) struct Pushes(Mutex<Vec<Reply>>);

impl PushSink for Pushes {
    fn push(&self, message: Reply) -> bool {
        self.0.lock().push(message);
        true
    }
}

impl Pushes {
    /// What came since the last call, printed and joined by spaces.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock()).iter().map(print).collect()
    }
}

/// Runs a line in a session.
pub(crate) fn run(session: &Session, line: &str) -> Reply {
    let args = split(line);
    session.execute(&args.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// See [`Shell::check`].
#[track_caller]
pub(crate) fn check(session: &Session, script: &str) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, expected) = line.split_once("=>").expect("a line is `command => reply`");
        assert_eq!(
            print(&run(session, command)).trim_end(),
            expected.trim(),
            "reply to `{}`",
            command.trim()
        );
    }
}

/// A reply in one line: strings quoted, integers in brackets, `nil`, arrays in square brackets.
pub(crate) fn print(reply: &Reply) -> String {
    let list = |items: &[Reply]| items.iter().map(print).collect::<Vec<_>>().join(" ");
    match reply {
        Reply::Ok => "OK".into(),
        Reply::Status(text) => text.to_string(),
        Reply::Error(error) => error.as_str().into(),
        Reply::Int(n) => format!("(int) {n}"),
        Reply::Bulk(bytes) => format!("\"{}\"", bytes.escape_ascii()),
        Reply::Null => "nil".into(),
        Reply::NullArray => "nil-array".into(),
        Reply::Array(items) => format!("[{}]", list(items)),
        Reply::Set(items) => format!("{{{}}}", list(items)),
        Reply::Map(pairs) => {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(k, v)| format!("{}: {}", print(k), print(v)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Reply::Double(n) => format!("(double) {n}"),
        Reply::Bool(yes) => format!("({yes})"),
        Reply::BigNumber(digits) => format!("(big) {digits}"),
        Reply::Verbatim(_, text) => text.clone(),
        Reply::Push(items) => format!("push[{}]", list(items)),
        Reply::Many(items) => list(items),
    }
}

/// Splits a line into arguments as redis-cli does.
fn split(line: &str) -> Vec<Vec<u8>> {
    let mut chars = line.trim().bytes().peekable();
    let mut args = Vec::new();
    while let Some(first) = chars.next() {
        match first {
            b' ' => {}
            b'"' => args.push(quoted(&mut chars)),
            _ => {
                let mut word = vec![first];
                while let Some(byte) = chars.next_if(|byte| *byte != b' ') {
                    word.push(byte);
                }
                args.push(word);
            }
        }
    }
    args
}

fn quoted(chars: &mut impl Iterator<Item = u8>) -> Vec<u8> {
    let mut word = Vec::new();
    while let Some(byte) = chars.next() {
        match byte {
            b'"' => return word,
            b'\\' => word.push(escaped(chars)),
            _ => word.push(byte),
        }
    }
    panic!("a quoted argument has no end");
}

fn escaped(chars: &mut impl Iterator<Item = u8>) -> u8 {
    let digit = |byte: Option<u8>| {
        (byte.expect("two digits follow \\x") as char)
            .to_digit(16)
            .expect("hex") as u8
    };
    match chars.next().expect("something follows a backslash") {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'x' => digit(chars.next()) << 4 | digit(chars.next()),
        other => other,
    }
}
