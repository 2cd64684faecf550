//! The first line of a script: `#!lua flags=no-writes,allow-oom`.
//!
//! Reference: <https://redis.io/docs/latest/develop/interact/programmability/lua-api/#script_flags>. A script
//! without that line runs as scripts did before Redis 7: it may write, and meets a full memory only at its first
//! command that needs more.

use crate::ErrorReply;

/// What a script says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Promises {
    /// There is a shebang: the flags count. Without one Redis's older rules hold.
    pub(super) stated: bool,
    pub(super) no_writes: bool,
    pub(super) allow_oom: bool,
}

/// Splits a script into what its first line promises and the code, which keeps that line's break, so that line
/// numbers stay true.
pub(super) fn split(script: &[u8]) -> Result<(Promises, &[u8]), ErrorReply> {
    if !script.starts_with(b"#!") {
        return Ok((Promises::default(), script));
    }
    let end = script
        .iter()
        .position(|&byte| byte == b'\n')
        .ok_or_else(|| ErrorReply::new("ERR Invalid script shebang"))?;
    let line = String::from_utf8_lossy(&script[..end]);
    Ok((read(&line)?, &script[end..]))
}

fn read(line: &str) -> Result<Promises, ErrorReply> {
    let mut parts = line.split_ascii_whitespace();
    let engine = parts.next().unwrap_or_default();
    if engine != "#!lua" {
        return Err(complaint("Unexpected engine in script shebang", engine));
    }
    let mut promises = Promises {
        stated: true,
        ..Promises::default()
    };
    for part in parts {
        let flags = part
            .strip_prefix("flags=")
            .ok_or_else(|| complaint("Unknown lua shebang option", part))?;
        for flag in flags.split(',').filter(|flag| !flags.is_empty() || !flag.is_empty()) {
            promises.add(flag)?;
        }
    }
    Ok(promises)
}

impl Promises {
    fn add(&mut self, flag: &str) -> Result<(), ErrorReply> {
        match flag {
            "no-writes" => self.no_writes = true,
            "allow-oom" => self.allow_oom = true,
            // Replicas and clusters are not what this engine is.
            "allow-stale" | "no-cluster" | "allow-cross-slot-keys" => {}
            _ => return Err(complaint("Unexpected flag in script shebang", flag)),
        }
        Ok(())
    }
}

fn complaint(what: &str, about: &str) -> ErrorReply {
    ErrorReply::new(format!("ERR {what}: {about}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_without_a_shebang_promises_nothing() {
        assert_eq!(
            split(b"return 1").unwrap(),
            (Promises::default(), b"return 1".as_slice())
        );
    }

    #[test]
    fn flags_are_read_and_lines_stay_where_they_were() {
        let (promises, code) = split(b"#!lua flags=allow-oom,no-writes\nreturn 1").unwrap();
        assert!(promises.stated && promises.allow_oom && promises.no_writes);
        assert_eq!(code, b"\nreturn 1");
    }

    #[test]
    fn what_is_unknown_is_named() {
        for (script, complaint) in [
            ("#!lua", "ERR Invalid script shebang"),
            ("#!python\n", "ERR Unexpected engine in script shebang: #!python"),
            ("#!lua flags=fast\n", "ERR Unexpected flag in script shebang: fast"),
            ("#!lua name=x\n", "ERR Unknown lua shebang option: name=x"),
        ] {
            assert_eq!(split(script.as_bytes()).unwrap_err().as_str(), complaint);
        }
    }
}
