//! How the log is written: commands as RESP arrays, in groups that carry a checksum.
//!
//! A file of Redis's append-only format is a sequence of RESP arrays, one a command. Redis 7 lets lines that begin with
//! `#` stand between commands and passes over them. Each group of commands that reaches the disk together has such a
//! line before it:
//!
//! ```text
//! #LD <bytes of the group, 16 hex digits> <CRC-32C of the group, 8> <CRC-32C of the line up to here, 8>\r\n
//! ```
//!
//! Redis reads the commands and not the line; this engine finds by it a flipped bit anywhere, and tells a group that a
//! crash cut short (the file ends before the group does) from damage (all is there and the sum is wrong).

use crate::ErrorReply;

/// What a group's line begins with.
pub(super) const GROUP: &[u8] = b"#LD ";

/// Bytes of a group's line.
pub(super) const GROUP_LINE: usize = GROUP.len() + 16 + 1 + 8 + 1 + 8 + 2;

/// The part of the line that its own checksum covers.
const SUMMED: usize = GROUP.len() + 16 + 1 + 8;

/// Appends a command.
pub(crate) fn put_command(out: &mut Vec<u8>, args: &[&[u8]]) {
    put_header(out, b'*', args.len());
    for arg in args {
        put_header(out, b'$', arg.len());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

fn put_header(out: &mut Vec<u8>, sigil: u8, len: usize) {
    out.push(sigil);
    out.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Makes a group of commands: the line, then the commands.
pub(crate) fn group(commands: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(GROUP_LINE + commands.len());
    out.extend_from_slice(GROUP);
    out.extend_from_slice(format!("{:016x} {:08x}", commands.len(), crc32c::crc32c(commands)).as_bytes());
    out.extend_from_slice(format!(" {:08x}\r\n", crc32c::crc32c(&out)).as_bytes());
    out.extend_from_slice(commands);
    out
}

/// What a group's line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupLine {
    pub(super) len: u64,
    pub(super) sum: u32,
}

impl GroupLine {
    /// Reads a line; `None` if a bit of it is not as it was written.
    pub(super) fn parse(line: &[u8; GROUP_LINE]) -> Option<Self> {
        let sum = crc32c::crc32c(&line[..SUMMED]);
        let expected = format!(" {sum:08x}\r\n");
        if !line.starts_with(GROUP) || line[SUMMED..] != *expected.as_bytes() {
            return None;
        }
        let hex = |range: std::ops::Range<usize>| u64::from_str_radix(std::str::from_utf8(&line[range]).ok()?, 16).ok();
        Some(Self {
            len: hex(GROUP.len()..GROUP.len() + 16)?,
            sum: u32::try_from(hex(GROUP.len() + 17..SUMMED)?).ok()?,
        })
    }
}

/// The commands that one request caused, in the order of their effects.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    commands: usize,
    /// The database that a reader of the log is in after what was written so far; `None` at the start of a file.
    selected: Option<usize>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.commands == 0
    }

    /// Adds a command that ran in database `db`.
    #[inline(never)]
    pub(crate) fn add(&mut self, db: usize, args: &[&[u8]]) {
        if self.selected != Some(db) {
            self.selected = Some(db);
            put_command(&mut self.bytes, &[b"SELECT", itoa::Buffer::new().format(db).as_bytes()]);
        }
        put_command(&mut self.bytes, args);
        self.commands += 1;
    }

    /// Appends what was added to `out` and forgets it; several commands as one transaction, so that a crash leaves all or none.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        let is_many = self.commands > 1;
        if is_many {
            put_command(out, &[b"MULTI"]);
        }
        out.extend_from_slice(&self.bytes);
        if is_many {
            put_command(out, &[b"EXEC"]);
        }
        self.clear();
    }

    pub(crate) fn clear(&mut self) {
        /// A buffer beyond this is given back.
        const KEPT_MAX: usize = 64 << 10;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_MAX);
        self.commands = 0;
    }

    /// What comes next is the start of a file, or follows something that was not written.
    pub(crate) fn forget_selected(&mut self) {
        self.selected = None;
    }
}

/// What a command that writes is told while the log is broken. It was not run.
pub(crate) fn refusal(reason: &str) -> ErrorReply {
    ErrorReply::new(format!(
        "MISCONF Errors writing to the AOF file: {reason}. Writes are refused and reads go on. Free space or mend the \
         disk, then run BGREWRITEAOF, which writes a new log from memory, or start again from the log."
    ))
}

/// What a command is told that was run, and whose effects did not get to the log.
pub(crate) fn doubt(reason: &str) -> ErrorReply {
    ErrorReply::new(format!(
        "MISCONF Errors writing to the AOF file: {reason}. What this command wrote is in memory and not in the log: a \
         restart may lose it. Further writes are refused until BGREWRITEAOF has written a new log."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_line_reads_back_and_any_flipped_bit_is_seen() {
        let group = group(b"*1\r\n$4\r\nPING\r\n");
        let line: [u8; GROUP_LINE] = group[..GROUP_LINE].try_into().unwrap();
        let read = GroupLine::parse(&line).expect("as written");
        assert_eq!(read.len, 14);
        assert_eq!(read.sum, crc32c::crc32c(&group[GROUP_LINE..]));
        for bit in 0..GROUP_LINE * 8 {
            let mut flipped = line;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(GroupLine::parse(&flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn several_commands_of_one_request_are_a_transaction() {
        let mut batch = Batch::default();
        let mut out = Vec::new();
        batch.add(0, &[b"DEL", b"a"]);
        batch.flush(&mut out);
        assert_eq!(out, b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n");
        out.clear();
        batch.add(0, &[b"DEL", b"a"]);
        batch.add(0, &[b"DEL", b"b"]);
        batch.flush(&mut out);
        assert_eq!(
            out,
            b"*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n*1\r\n$4\r\nEXEC\r\n"
        );
        assert!(batch.is_empty());
    }
}
