//! Reading a file of the log: commands one by one, each with the place where it begins.

use std::io::{self, Read};

use super::format::{GROUP, GROUP_LINE, GroupLine};

/// A command as the log has it.
pub(super) type Command = Vec<Vec<u8>>;

/// Why a file cannot be read on.
#[derive(Debug)]
pub(super) enum Flaw {
    /// The file ends inside something that is right so far, as a crash leaves it.
    Torn,
    /// Something that no writer wrote.
    Damaged(String),
    Io(io::Error),
}

impl From<io::Error> for Flaw {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn damaged<T>(what: impl Into<String>) -> Result<T, Flaw> {
    Err(Flaw::Damaged(what.into()))
}

/// A line that says a length is no longer than this.
const LENGTH_MAX: usize = 32;

/// An annotation of Redis is no longer than this.
const ANNOTATION_MAX: usize = 1_024;

/// Redis's limit of a string.
const BULK_MAX: u64 = 512 << 20;

/// After a command without an end, so many bytes are searched for further commands.
const SEARCHED_MAX: usize = 1 << 20;

/// Reads the commands of one file.
pub(super) struct Commands<R> {
    window: Window<R>,
    len: u64,
    /// Where the command that was given last begins, or the flaw.
    began: u64,
    /// Where the group ends that is being read; what lies before it is checked.
    group_end: u64,
}

impl<R: Read> Commands<R> {
    /// Reads `input`, a file of `len` bytes.
    pub(super) fn new(input: R, len: u64) -> Self {
        Self {
            window: Window::new(input),
            len,
            began: 0,
            group_end: 0,
        }
    }

    /// Where the command that was given last begins; after a flaw, where the flaw is.
    pub(super) const fn began(&self) -> u64 {
        self.began
    }

    /// The next command; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Command>, Flaw> {
        loop {
            self.began = self.window.offset;
            if self.window.offset < self.group_end {
                return self.in_group().map(Some);
            }
            if !self.window.holds(1)? {
                return Ok(None);
            }
            match self.window.bytes()[0] {
                b'*' => return self.bare().map(Some),
                b'#' => self.annotation()?,
                0 => return Err(self.unless_zeros("zeros where a command should begin")?),
                other => return damaged(format!("`{}` where a command should begin", [other].escape_ascii())),
            }
        }
    }

    /// A command of a group, whose checksum was right: what does not fit was written so.
    fn in_group(&mut self) -> Result<Command, Flaw> {
        match self.command() {
            Err(Flaw::Torn) => damaged("a group ends inside a command"),
            Ok(_) if self.window.offset > self.group_end => damaged("a command goes beyond its group"),
            read => read,
        }
    }

    /// A command in no group, as Redis writes them. A length with a flipped bit swallows what follows, to the end of
    /// the file: only if no further command is in there was the file cut short.
    fn bare(&mut self) -> Result<Command, Flaw> {
        let began = self.began;
        match self.command() {
            Err(Flaw::Torn) => {
                self.window.holds(SEARCHED_MAX)?;
                if has_command(self.window.bytes()) {
                    return damaged(format!(
                        "the command that begins at byte {began} does not end before others begin"
                    ));
                }
                Err(Flaw::Torn)
            }
            read => read,
        }
    }

    /// A line that begins with `#`: the start of a group, or a time that Redis notes.
    fn annotation(&mut self) -> Result<(), Flaw> {
        self.window.holds(ANNOTATION_MAX)?;
        let bytes = self.window.bytes();
        if bytes.starts_with(GROUP) || GROUP.starts_with(bytes) {
            return self.group();
        }
        let Some(end) = bytes.iter().take(ANNOTATION_MAX).position(|byte| *byte == b'\n') else {
            let is_short = bytes.len() < ANNOTATION_MAX;
            return Err(if is_short {
                Flaw::Torn
            } else {
                self.unless_zeros("a line without an end")?
            });
        };
        let line = &bytes[..=end];
        if !line.starts_with(b"#TS:") {
            let what = format!("a note that is not known: `{}`", line.trim_ascii_end().escape_ascii());
            return Err(self.unless_zeros(&what)?);
        }
        let len = line.len();
        self.window.skip(len);
        Ok(())
    }

    /// Checks the group that begins here, and steps to its first command.
    fn group(&mut self) -> Result<(), Flaw> {
        let Some(line) = self.window.bytes().first_chunk::<GROUP_LINE>() else {
            return Err(Flaw::Torn);
        };
        let Some(line) = GroupLine::parse(line) else {
            return Err(self.unless_zeros("the line before a group is not as it was written")?);
        };
        let end = (self.began + GROUP_LINE as u64).saturating_add(line.len);
        if end > self.len {
            return Err(Flaw::Torn);
        }
        let whole = GROUP_LINE + line.len as usize;
        self.window.holds(whole)?;
        let commands = &self.window.bytes()[GROUP_LINE..whole];
        if crc32c::crc32c(commands) != line.sum {
            // Commands end with a line break. A file system may make a file longer before it fills it.
            let is_unfilled = commands.ends_with(&[0]);
            self.window.skip(whole);
            if is_unfilled && self.window.rest_is_zero()? {
                return Err(Flaw::Torn);
            }
            return damaged(format!("the checksum of the {} bytes from here is wrong", line.len));
        }
        self.window.skip(GROUP_LINE);
        self.group_end = end;
        Ok(())
    }

    /// A tail of zeros is what some file systems leave after a crash: torn. Anything else there is damage.
    fn unless_zeros(&mut self, what: &str) -> Result<Flaw, Flaw> {
        let first = self.window.bytes().iter().position(|byte| *byte == 0);
        if let Some(first) = first {
            self.window.skip(first);
            if self.window.rest_is_zero()? {
                return Ok(Flaw::Torn);
            }
        }
        Ok(Flaw::Damaged(what.into()))
    }

    fn command(&mut self) -> Result<Command, Flaw> {
        let count = self.length(b'*')?;
        if count == 0 {
            return damaged("a command without a name");
        }
        let mut args = Vec::new();
        for _ in 0..count {
            let len = self.length(b'$')?;
            if len > BULK_MAX {
                return damaged(format!("a string of {len} bytes"));
            }
            if self.window.offset + len + 2 > self.len {
                return Err(Flaw::Torn);
            }
            let len = len as usize;
            if !self.window.holds(len + 2)? {
                return Err(Flaw::Torn);
            }
            let bytes = self.window.bytes();
            if &bytes[len..len + 2] != b"\r\n" {
                return damaged("a string that does not end where its length says");
            }
            args.push(bytes[..len].to_vec());
            self.window.skip(len + 2);
        }
        Ok(args)
    }

    /// A line of a sign and a length.
    fn length(&mut self, sigil: u8) -> Result<u64, Flaw> {
        self.window.holds(LENGTH_MAX)?;
        let bytes = self.window.bytes();
        let bytes = &bytes[..bytes.len().min(LENGTH_MAX)];
        let digits = bytes
            .get(1..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (start, end) = bytes.split_at(bytes.len().min(1 + digits));
        let is_right =
            start.first().is_none_or(|first| *first == sigil) && (end.starts_with(b"\r\n") || b"\r\n".starts_with(end));
        if !is_right || (digits == 0 && !end.is_empty()) {
            return damaged(format!(
                "no length where `{}` and a length should be",
                char::from(sigil)
            ));
        }
        if end.len() < 2 {
            return if bytes.len() < LENGTH_MAX {
                Err(Flaw::Torn)
            } else {
                damaged("a length without an end")
            };
        }
        let number = std::str::from_utf8(&start[1..])
            .ok()
            .and_then(|digits| digits.parse().ok());
        let Some(number) = number else {
            return damaged("a length beyond any");
        };
        self.window.skip(1 + digits + 2);
        Ok(number)
    }
}

/// Whether a command begins somewhere in these bytes, after a line break.
fn has_command(bytes: &[u8]) -> bool {
    let skip_digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let begins = |bytes: &[u8]| {
        let Some(rest) = bytes.strip_prefix(b"\r\n*") else {
            return false;
        };
        let digits = skip_digits(rest);
        digits > 0 && rest[digits..].starts_with(b"\r\n$")
    };
    (0..bytes.len()).any(|i| bytes[i] == b'\r' && begins(&bytes[i..]))
}

/// The part of a file that is being looked at.
struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    at: usize,
    /// Where in the file the window begins.
    offset: u64,
}

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

impl<R: Read> Window<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            at: 0,
            offset: 0,
        }
    }

    /// What was read and not yet skipped.
    fn bytes(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Reads until the window has so many bytes; `false` if the file ends before.
    fn holds(&mut self, wanted: usize) -> io::Result<bool> {
        while self.buffer.len() - self.at < wanted {
            if self.at > 0 {
                self.buffer.drain(..self.at);
                self.at = 0;
            }
            let more = (wanted - self.buffer.len()).max(CHUNK) as u64;
            if (&mut self.input).take(more).read_to_end(&mut self.buffer)? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn skip(&mut self, bytes: usize) {
        self.at += bytes;
        self.offset += bytes as u64;
    }

    fn rest_is_zero(&mut self) -> io::Result<bool> {
        while self.holds(1)? {
            if self.bytes().iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            let len = self.bytes().len();
            self.skip(len);
        }
        Ok(true)
    }
}
