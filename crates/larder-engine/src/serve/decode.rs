//! Finding commands in the bytes that a client sends, however they are cut.
//!
//! Reference: <https://redis.io/docs/latest/develop/reference/protocol-spec/>. A command is an array of bulk strings
//! or, typed by hand, a line. The decoder keeps what it received in one buffer and notes where each argument
//! lies, so arguments are never copied; a command that is not yet complete is taken up where it was left.
//!
//! Nothing is reserved on a client's word: the buffer grows with what has arrived, to at most twice as much and
//! one chunk, whatever lengths were announced.

use std::ops::Range;

use crate::command::parse_int;

/// Arguments of one command. As many as a million-key `DEL` needs; each takes sixteen bytes of notes.
const ARGS_MAX: i64 = 1 << 20;

/// A line (an inline command, or a length) without an end in sight, as in Redis.
const LINE_MAX: usize = 64 << 10;

/// What a stranger may send before the password: enough for `HELLO` and `AUTH`. As in Redis.
const STRANGER_ARGS_MAX: i64 = 10;
const STRANGER_BULK_MAX: i64 = 16 << 10;

/// Space for the first read; an idle connection holds no more.
const CHUNK_MIN: usize = 2 << 10;
/// Space for a read of a client that fills what it is given.
const CHUNK_MAX: usize = 64 << 10;

/// Commands found at a time, which are then run under one lock: others wait for about a tenth of a millisecond.
const BATCH_MAX: usize = 256;

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InputLimits {
    /// Bytes of one argument.
    pub(crate) bulk_max: usize,
    /// Bytes received and not yet part of a complete command.
    pub(crate) query_max: usize,
    /// Whether the client may send more than a greeting.
    pub(crate) authenticated: bool,
}

/// Why the rest of a client's bytes cannot be understood: it is told, and the connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    /// With the text that Redis answers, after `ERR Protocol error: `.
    Told(String),
    /// A web browser, or more bytes than the query buffer may hold: closed without a word, as Redis does.
    Silent(&'static str),
}

impl ProtocolError {
    fn told(text: impl Into<String>) -> Self {
        Self::Told(text.into())
    }
}

/// The end of a complete command: how many arguments and how many bytes come before what follows it.
#[derive(Clone, Copy, Debug)]
struct End {
    args: usize,
    bytes: usize,
}

/// Splits a stream of bytes into commands.
#[derive(Debug)]
pub(crate) struct Decoder {
    bytes: Vec<u8>,
    /// Everything before this was understood.
    at: usize,
    /// No line end lies between [`at`](Self::at) and this.
    searched: usize,
    /// Where each argument lies in `bytes`. An operator may allow arguments beyond 4 GiB, as with Redis.
    args: Vec<Range<usize>>,
    ends: Vec<End>,
    /// Arguments that the command at hand still lacks.
    missing: usize,
    /// The announced length of the argument at hand.
    bulk: Option<usize>,
    failed: Option<ProtocolError>,
    limits: InputLimits,
    chunk: usize,
}

impl Decoder {
    pub(crate) fn new(limits: InputLimits) -> Self {
        Self {
            bytes: Vec::new(),
            at: 0,
            searched: 0,
            args: Vec::new(),
            ends: Vec::new(),
            missing: 0,
            bulk: None,
            failed: None,
            limits,
            chunk: CHUNK_MIN,
        }
    }

    pub(crate) fn set_limits(&mut self, limits: InputLimits) {
        self.limits = limits;
    }

    /// The buffer to append received bytes to, with space for some.
    pub(crate) fn space(&mut self) -> &mut Vec<u8> {
        let full = self.bytes.len() == self.bytes.capacity();
        if full && self.bytes.len() >= self.chunk {
            self.chunk = (self.chunk * 2).min(CHUNK_MAX);
        }
        if self.bytes.is_empty() && self.bytes.capacity() > CHUNK_MAX {
            self.bytes = Vec::new();
        }
        if self.bytes.capacity() - self.bytes.len() < self.chunk / 4 {
            self.bytes.reserve(self.chunk);
        }
        &mut self.bytes
    }

    /// Notes the commands that are complete, up to a batch; gives their number.
    pub(crate) fn decode(&mut self) -> usize {
        // A stranger's next command may be allowed more, if this one is the password.
        let batch_max = if self.limits.authenticated { BATCH_MAX } else { 1 };
        while self.failed.is_none() && self.ends.len() < batch_max {
            match self.command() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => self.failed = Some(error),
            }
        }
        self.skip_nothings();
        if self.failed.is_none() && self.bytes.len() > self.limits.query_max {
            self.failed = Some(ProtocolError::Silent("more bytes than client-query-buffer-limit"));
        }
        self.ends.len()
    }

    /// Drops empty lines and arrays, which are followed by no command that would take them along.
    fn skip_nothings(&mut self) {
        if self.args.is_empty() && self.missing == 0 && self.at > 0 {
            self.bytes.drain(..self.at);
            self.searched -= self.at;
            self.at = 0;
        }
    }

    /// Why what follows the complete commands can never be understood.
    pub(crate) const fn failed(&self) -> Option<&ProtocolError> {
        self.failed.as_ref()
    }

    /// The complete commands noted, in order, each written into `args` for the length of a call of `run`; goes on
    /// while that says so. The commands run are gone afterwards.
    pub(crate) fn drain(&mut self, mut run: impl FnMut(&[&[u8]]) -> bool) {
        let mut slices: smallvec::SmallVec<[&[u8]; 32]> = smallvec::SmallVec::new();
        let (mut first, mut done) = (0, 0);
        for end in &self.ends {
            slices.clear();
            slices.extend(self.args[first..end.args].iter().map(|span| &self.bytes[span.clone()]));
            first = end.args;
            done += 1;
            if !run(&slices) {
                break;
            }
        }
        drop(slices);
        self.forget(done);
    }

    /// Drops the first `done` commands.
    fn forget(&mut self, done: usize) {
        let Some(End { args, bytes }) = done.checked_sub(1).map(|last| self.ends[last]) else {
            return;
        };
        self.ends.drain(..done);
        self.args.drain(..args);
        self.bytes.drain(..bytes);
        for end in &mut self.ends {
            end.args -= args;
            end.bytes -= bytes;
        }
        for span in &mut self.args {
            span.start -= bytes;
            span.end -= bytes;
        }
        self.at -= bytes;
        self.searched = self.searched.saturating_sub(bytes);
    }

    /// Takes one step towards a complete command: `false` if bytes are missing.
    fn command(&mut self) -> Result<bool, ProtocolError> {
        if self.missing == 0 {
            match self.bytes.get(self.at) {
                None => return Ok(false),
                Some(b'*') => return self.array_header(),
                Some(_) => return self.inline(),
            }
        }
        self.arguments()
    }

    fn array_header(&mut self) -> Result<bool, ProtocolError> {
        let Some(line) = self.line("too big mbulk count string")? else {
            return Ok(false);
        };
        let count = length(&self.bytes[line.start + 1..line.end])
            .filter(|count| *count <= ARGS_MAX)
            .ok_or_else(|| ProtocolError::told("invalid multibulk length"))?;
        if count > STRANGER_ARGS_MAX && !self.limits.authenticated {
            return Err(ProtocolError::told("unauthenticated multibulk length"));
        }
        // An empty or negative array is no command, and no error.
        self.missing = usize::try_from(count).unwrap_or(0);
        if self.missing == 0 { Ok(true) } else { self.arguments() }
    }

    fn arguments(&mut self) -> Result<bool, ProtocolError> {
        while self.missing > 0 {
            let len = match self.bulk {
                Some(len) => len,
                None => match self.bulk_header()? {
                    Some(len) => *self.bulk.insert(len),
                    None => return Ok(false),
                },
            };
            let end = self.at + len;
            if self.bytes.len() < end + 2 {
                return Ok(false);
            }
            self.args.push(self.at..end);
            self.skip_to(end + 2);
            self.bulk = None;
            self.missing -= 1;
        }
        self.end_command();
        Ok(true)
    }

    fn bulk_header(&mut self) -> Result<Option<usize>, ProtocolError> {
        let Some(line) = self.line("too big bulk count string")? else {
            return Ok(None);
        };
        let Some((b'$', digits)) = self.bytes[line.clone()].split_first() else {
            let got = char::from(*self.bytes[line].first().unwrap_or(&b'\r'));
            return Err(ProtocolError::told(format!("expected '$', got '{got}'")));
        };
        let len = length(digits)
            .filter(|len| usize::try_from(*len).is_ok_and(|len| len <= self.limits.bulk_max))
            .ok_or_else(|| ProtocolError::told("invalid bulk length"))?;
        if len > STRANGER_BULK_MAX && !self.limits.authenticated {
            return Err(ProtocolError::told("unauthenticated bulk length"));
        }
        Ok(Some(len as usize))
    }

    /// The line at hand without its end, stepped over; `None` if its end has not arrived.
    fn line(&mut self, too_long: &'static str) -> Result<Option<Range<usize>>, ProtocolError> {
        let from = self.searched.max(self.at);
        match self.bytes[from..].iter().position(|byte| *byte == b'\r') {
            Some(n) if from + n + 1 < self.bytes.len() => {
                let line = self.at..from + n;
                self.skip_to(line.end + 2);
                Ok(Some(line))
            }
            Some(n) => {
                self.searched = from + n;
                Ok(None)
            }
            None if self.bytes.len() - self.at > LINE_MAX => Err(ProtocolError::told(too_long)),
            None => {
                self.searched = self.bytes.len();
                Ok(None)
            }
        }
    }

    fn inline(&mut self) -> Result<bool, ProtocolError> {
        let from = self.searched.max(self.at);
        let Some(n) = self.bytes[from..].iter().position(|byte| *byte == b'\n') else {
            if self.bytes.len() - self.at > LINE_MAX {
                return Err(ProtocolError::told("too big inline request"));
            }
            self.searched = self.bytes.len();
            return Ok(false);
        };
        let start = self.at;
        let line = &mut self.bytes[start..from + n];
        let line_len = line.len();
        let words = split_words(line).ok_or_else(|| ProtocolError::told("unbalanced quotes in request"))?;
        let first = words.first().map(|word| &line[word.clone()]);
        if first.is_some_and(|word| [&b"POST"[..], b"Host:"].iter().any(|w| w.eq_ignore_ascii_case(word))) {
            return Err(ProtocolError::Silent("an HTTP request, perhaps forged by a web page"));
        }
        for word in &words {
            self.args.push(start + word.start..start + word.end);
        }
        self.skip_to(start + line_len + 1);
        if !words.is_empty() {
            self.end_command();
        }
        Ok(true)
    }

    fn skip_to(&mut self, at: usize) {
        self.at = at;
        self.searched = at;
    }

    fn end_command(&mut self) {
        self.ends.push(End {
            args: self.args.len(),
            bytes: self.at,
        });
    }
}

/// A length, as strictly as Redis reads one.
fn length(digits: &[u8]) -> Option<i64> {
    match digits {
        // Nearly all lengths.
        [one @ b'0'..=b'9'] => Some(i64::from(one - b'0')),
        [tens @ b'1'..=b'9', one @ b'0'..=b'9'] => Some(i64::from(tens - b'0') * 10 + i64::from(one - b'0')),
        _ => parse_int(digits),
    }
}

/// Splits a line into arguments as the server splits a command typed by hand: at spaces, with `"a\x41\n"` and `'a b'`
/// as one argument each; `None` if a quote is not closed.
///
/// ```
/// let args = larder_engine::serve::split_line(br#"SET k "two words""#);
/// assert_eq!(args, Some(vec![b"SET".to_vec(), b"k".to_vec(), b"two words".to_vec()]));
/// ```
#[must_use]
pub fn split_line(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut line = line.to_vec();
    let words = split_words(&mut line)?;
    Some(words.into_iter().map(|word| line[word].to_vec()).collect())
}

/// Splits a line into words as a shell would: `"a b\n\x41"` and `'a b'` are one word. A word never grows by being
/// unescaped, so it is written over its own raw form; the ranges say where. `None` if a quote is not closed, or
/// closes in the middle of a word.
fn split_words(line: &mut [u8]) -> Option<Vec<Range<usize>>> {
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        at += line[at..].iter().take_while(|byte| is_space(**byte)).count();
        if at == line.len() {
            return Some(words);
        }
        let start = at;
        let (read, written) = unescape_word(line, at)?;
        words.push(start..written);
        at = read;
    }
}

/// Unescapes the word at `from` in place: where reading ended, and where writing did.
fn unescape_word(line: &mut [u8], from: usize) -> Option<(usize, usize)> {
    let (mut read, mut write) = (from, from);
    while read < line.len() && !is_space(line[read]) {
        match line[read] {
            quote @ (b'"' | b'\'') => {
                (read, write) = unescape_quoted(line, read + 1, write, quote)?;
                let ends_word = line.get(read).is_none_or(|next| is_space(*next));
                return ends_word.then_some((read, write));
            }
            plain => {
                line[write] = plain;
                (read, write) = (read + 1, write + 1);
            }
        }
    }
    Some((read, write))
}

fn unescape_quoted(line: &mut [u8], mut read: usize, mut write: usize, quote: u8) -> Option<(usize, usize)> {
    loop {
        let (byte, used) = match (&line[read..], quote) {
            ([], _) => return None,
            ([end, ..], _) if *end == quote => return Some((read + 1, write)),
            ([b'\\', b'\'', ..], b'\'') => (b'\'', 2),
            ([b'\\', b'x', high, low, ..], b'"') if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex(*high) << 4 | hex(*low), 4)
            }
            ([b'\\', escaped, ..], b'"') => (unescape(*escaped), 2),
            ([plain, ..], _) => (*plain, 1),
        };
        line[write] = byte;
        (read, write) = (read + used, write + 1);
    }
}

const fn unescape(escaped: u8) -> u8 {
    match escaped {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex(digit: u8) -> u8 {
    char::from(digit).to_digit(16).map_or(0, |value| value as u8)
}

/// As C's `isspace`.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r' | 0)
}

#[cfg(test)]
mod tests;
