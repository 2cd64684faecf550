//! What the store has to know of a command: its name, its options, whether it may be sent twice.

mod block;

use std::{fmt, sync::Arc};

use redis::{Arg, Cmd};

pub(crate) use block::Wait;

/// Longer than any name that is looked for; a longer word is none of them.
const NAME_MAX: usize = 20;

/// A command's name in upper case, without an allocation.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    bytes: [u8; NAME_MAX],
    len: u8,
}

impl Name {
    #[inline]
    pub(crate) fn of(cmd: &Cmd) -> Self {
        Self::nth(cmd, 0)
    }

    /// The word at `index` of the command; empty if there is none, or one too long to be a name.
    #[inline]
    pub(crate) fn nth(cmd: &Cmd, index: usize) -> Self {
        let mut name = Self {
            bytes: [0; NAME_MAX],
            len: 0,
        };
        if let Some(Arg::Simple(word)) = cmd.args_iter().nth(index)
            && word.len() <= NAME_MAX
        {
            name.len = word.len() as u8;
            let place = &mut name.bytes[..word.len()];
            place.copy_from_slice(word);
            place.make_ascii_uppercase();
        }
        name
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

/// The name as errors and spans show it; never an argument, which may be private.
pub(crate) fn label(cmd: &Cmd) -> Arc<str> {
    let name = Name::of(cmd);
    match name.as_bytes() {
        b"CLIENT" | b"SCRIPT" | b"CONFIG" => format!("{name} {}", Name::nth(cmd, 1)).into(),
        b"" => "a command".into(),
        _ => name.to_string().into(),
    }
}

fn words(cmd: &Cmd) -> impl Iterator<Item = &[u8]> {
    cmd.args_iter().filter_map(|arg| match arg {
        Arg::Simple(word) => Some(word),
        _ => None,
    })
}

/// Whether running `cmd` twice leaves what running it once leaves, so that it may be sent again when its first
/// outcome is unknown.
///
/// For a write this speaks of the effect: the reply of a repeated `DEL` counts what the repetition removed. What is
/// not in the table is not repeated; scripts never are.
pub(crate) fn is_idempotent(cmd: &Cmd) -> bool {
    let name = Name::of(cmd);
    let name = name.as_bytes();
    match name {
        // With these options the reply says who was first, or what was there before: the first run's answer is gone.
        b"SET" => !words(cmd)
            .skip(3)
            .any(|word| any_of(word, &[b"NX", b"GET", b"IFEQ", b"IFNE", b"IFDEQ", b"IFDNE"])),
        b"ZADD" => !words(cmd).skip(2).any(|word| any_of(word, &[b"INCR", b"NX"])),
        b"GETEX" => true,
        b"CLIENT" => matches!(
            Name::nth(cmd, 1).as_bytes(),
            b"ID" | b"INFO" | b"LIST" | b"GETNAME" | b"TRACKINGINFO"
        ),
        b"CONFIG" => matches!(Name::nth(cmd, 1).as_bytes(), b"GET" | b"SET"),
        b"SCRIPT" => matches!(Name::nth(cmd, 1).as_bytes(), b"LOAD" | b"EXISTS"),
        b"MEMORY" | b"OBJECT" | b"COMMAND" | b"PUBSUB" | b"LATENCY" | b"SLOWLOG" => true,
        _ => IDEMPOTENT.binary_search(&name).is_ok(),
    }
}

/// Whether its reply is a script's, which may look like any of the server's own.
pub(crate) fn is_script(cmd: &Cmd) -> bool {
    matches!(
        Name::of(cmd).as_bytes(),
        b"EVALSHA" | b"EVAL" | b"FCALL" | b"EVALSHA_RO" | b"EVAL_RO" | b"FCALL_RO"
    )
}

fn any_of(word: &[u8], options: &[&[u8]]) -> bool {
    options.iter().any(|option| word.eq_ignore_ascii_case(option))
}

/// Sorted, for the binary search: reads, and writes of absolute values.
const IDEMPOTENT: &[&[u8]] = &[
    b"BITCOUNT",
    b"BITFIELD_RO",
    b"BITPOS",
    b"DBSIZE",
    b"DEL",
    b"DUMP",
    b"ECHO",
    b"EXISTS",
    b"EXPIRE",
    b"EXPIREAT",
    b"EXPIRETIME",
    b"FLUSHALL",
    b"FLUSHDB",
    b"GEOADD",
    b"GEODIST",
    b"GEOHASH",
    b"GEOPOS",
    b"GEOSEARCH",
    b"GET",
    b"GETBIT",
    b"GETRANGE",
    b"HDEL",
    b"HEXISTS",
    b"HGET",
    b"HGETALL",
    b"HKEYS",
    b"HLEN",
    b"HMGET",
    b"HMSET",
    b"HRANDFIELD",
    b"HSCAN",
    b"HSET",
    b"HSTRLEN",
    b"HVALS",
    b"INFO",
    b"KEYS",
    b"LASTSAVE",
    b"LCS",
    b"LINDEX",
    b"LLEN",
    b"LOLWUT",
    b"LPOS",
    b"LRANGE",
    b"LSET",
    b"MGET",
    b"MSET",
    b"PERSIST",
    b"PEXPIRE",
    b"PEXPIREAT",
    b"PEXPIRETIME",
    b"PFADD",
    b"PFCOUNT",
    b"PING",
    b"PSETEX",
    b"PTTL",
    b"RANDOMKEY",
    b"ROLE",
    b"SADD",
    b"SCAN",
    b"SCARD",
    b"SDIFF",
    b"SDIFFSTORE",
    b"SETEX",
    b"SETRANGE",
    b"SINTER",
    b"SINTERCARD",
    b"SINTERSTORE",
    b"SISMEMBER",
    b"SMEMBERS",
    b"SMISMEMBER",
    b"SORT_RO",
    b"SRANDMEMBER",
    b"SREM",
    b"SSCAN",
    b"STRLEN",
    b"SUBSTR",
    b"SUNION",
    b"SUNIONSTORE",
    b"TIME",
    b"TOUCH",
    b"TTL",
    b"TYPE",
    b"UNLINK",
    b"XINFO",
    b"XLEN",
    b"XPENDING",
    b"XRANGE",
    b"XREAD",
    b"XREVRANGE",
    b"ZCARD",
    b"ZCOUNT",
    b"ZDIFF",
    b"ZINTER",
    b"ZINTERCARD",
    b"ZLEXCOUNT",
    b"ZMSCORE",
    b"ZRANDMEMBER",
    b"ZRANGE",
    b"ZRANGEBYLEX",
    b"ZRANGEBYSCORE",
    b"ZRANK",
    b"ZREM",
    b"ZREVRANGE",
    b"ZREVRANGEBYLEX",
    b"ZREVRANGEBYSCORE",
    b"ZREVRANK",
    b"ZSCAN",
    b"ZSCORE",
    b"ZUNION",
];

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn cmd(line: &str) -> Cmd {
        let mut cmd = Cmd::new();
        line.split(' ').for_each(|arg| _ = cmd.arg(arg));
        cmd
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(IDEMPOTENT.is_sorted());
    }

    #[test]
    fn what_may_be_repeated() {
        for line in [
            "get k",
            "SET k v EX 10",
            "MGET a b",
            "DEL k",
            "HSET h f v",
            "ZADD z 1 m",
            "CONFIG GET x",
        ] {
            assert!(is_idempotent(&cmd(line)), "{line}");
        }
        for line in [
            "INCR k",
            "SET k v NX",
            "SET k v GET",
            "LPUSH l x",
            "LPOP l",
            "SPOP s",
            "APPEND k x",
            "PUBLISH c m",
            "EVALSHA abc 0",
            "EVAL x 0",
            "FCALL f 0",
            "SETNX k v",
            "GETDEL k",
            "ZADD z INCR 1 m",
            "ZINCRBY z 1 m",
            "XADD s * a b",
            "NOSUCH k",
            "CLIENT KILL ID 1",
            "RENAME a b",
        ] {
            assert!(!is_idempotent(&cmd(line)), "{line}");
        }
    }

    #[test]
    fn a_value_that_spells_an_option_is_no_option() {
        assert!(is_idempotent(&cmd("SET NX GET")));
    }

    #[test]
    fn labels_show_names_alone() {
        assert_eq!(&*label(&cmd("set secret value")), "SET");
        assert_eq!(&*label(&cmd("config get dir")), "CONFIG GET");
    }
}
