//! The pools that arguments are drawn from: few keys, so that commands meet on them, and values at the edges.

use larder_base::Random;

use crate::syntax::pick;

/// Each type has keys of its own, so that commands find something to work on; one time in six any key is taken, so
/// that they also find something else.
const STRINGS: &[&str] = &["s1", "s2", "s3"];
const HASHES: &[&str] = &["h1", "h2"];
const LISTS: &[&str] = &["l1", "l2"];
const SETS: &[&str] = &["e1", "e2", "e3"];
const SORTED_SETS: &[&str] = &["z1", "z2", "z3"];
const STREAMS: &[&str] = &["t1", "t2"];
const LOGLOGS: &[&str] = &["p1", "p2"];
/// A sorted set whose scores are all 0, since ranges by member mean nothing elsewhere.
const LEXICAL: &[&str] = &["x1"];

/// Every key that a sequence may create.
pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
    let typed = [STRINGS, HASHES, LISTS, SETS, SORTED_SETS, STREAMS, LEXICAL, LOGLOGS];
    typed.into_iter().flatten().copied().chain(["", "none"])
}

const VALUES: &[&str] = &[
    "",
    "a",
    "b",
    "ab",
    "abc",
    "hello world",
    "0",
    "1",
    "-1",
    "10",
    "007",
    "3.5",
    "-0",
    "1e3",
    "+1",
    " 1",
    "nan",
    "inf",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "\r\n\t\0",
    "\u{e9}",
];

const MEMBERS: &[&str] = &["", "a", "b", "c", "d", "1", "2", "-3", "01", "10", "a b", "\0"];

const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "-2",
    "3",
    "5",
    "10",
    "-100",
    "100",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "01",
    "+1",
    " 1",
    "1 ",
    "",
    "abc",
    "1.5",
    "-0",
    "1e3",
    "0x10",
];

/// Counts that are safe to obey: nobody repeats a member nine quintillion times.
const COUNTS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "5",
    "-1",
    "-2",
    "-7",
    "100",
    "9223372036854775807",
    "-9223372036854775808",
    "x",
    "",
    "1.5",
    "01",
];

/// Numbers of keys, without the largest integer, with which redis-server 7.0.15 computes a wrong position.
const NUMKEYS: &[&str] = &["1", "1", "2", "2", "2", "3", "0", "-1", "100", "x", "", "1.5"];

/// Offsets into strings, small or beyond every limit: the half gigabyte between is not worth testing here.
const OFFSETS: &[&str] = &["0", "1", "5", "30", "-1", "536870912", "9223372036854775807", "x", ""];

const FLOATS: &[&str] = &[
    "0",
    "1",
    "-1",
    "0.1",
    "0.2",
    "-0.3",
    "3.14159",
    "1e3",
    "-1e-3",
    "1.5e300",
    "1e17",
    "-1e17",
    "123456789.123456789",
    "5e-324",
    "1e400",
    "1e-400",
    "1e5000",
    "inf",
    "-inf",
    "+inf",
    "Infinity",
    "nan",
    "-nan",
    "-0",
    "-0.0",
    "+0.5",
    ".5",
    "5.",
    "0x10",
    "0x1.8p1",
    "",
    " 1",
    "1 ",
    "abc",
    "1e",
    "--1",
    "9007199254740993",
    "4503599627370497.5",
];

const SCORE_BOUNDS: &[&str] = &[
    "-inf", "+inf", "inf", "0", "1", "(1", "(0", "-1", "2.5", "(2.5", "1e400", "(", "", " 1", "(inf", "nan", "(nan",
    "x", "[1", "0x1", "-0", "((1",
];

const LEX_BOUNDS: &[&str] = &[
    "-", "+", "[a", "(a", "[b", "(c", "[", "(", "[1", "(d", "", "a", "x", "-a", "+a", "[a b", "[zzz",
];

/// Times to live, long enough that nothing expires in the middle of a sequence.
const SECONDS: &[&str] = &[
    "100",
    "1000",
    "100000",
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775",
    "x",
    "1.5",
    "",
    "0100",
];
const MILLISECONDS: &[&str] = &[
    "100000",
    "500000",
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "x",
    "1.5",
    "",
];
const PAST_OR_FUTURE: &[&str] = &["1", "4000000000", "4100000000", "0", "-1", "9223372036854775807", "x"];
const PAST_OR_FUTURE_MS: &[&str] = &[
    "1",
    "4000000000000",
    "4100000000000",
    "0",
    "-1",
    "9223372036854775807",
    "x",
];
const FUTURE: &[&str] = &["4000000000", "4100000000", "0", "-1", "9223372036854775807", "x"];
const FUTURE_MS: &[&str] = &["4000000000000", "4100000000000", "0", "-1", "9223372036854775807", "x"];

const PATTERNS: &[&str] = &[
    "*", "", "?", "a*", "[a-c]", "[^a]", "[c-a]", "\\*", "h?", "*1", "s[12]", "[", "[a", "a\\", "**", "*\0*", "[]",
    "[^", "[a-", "[\\]", "[a\\",
];

const CURSORS: &[&str] = &["0", "1", "5", "-1", "+3", "", "x", " 1", "18446744073709551616", "99"];

const GARBAGE: &[&str] = &[
    "",
    "x",
    "-1",
    "0",
    "nan",
    "1.5",
    " 1",
    "9223372036854775807",
    "9223372036854775808",
    "NX",
    "XX",
    "GET",
    "LIMIT",
    "COUNT",
    "WITHSCORES",
];

/// Scripts that need no key.
const RETURNS: &[&str] = &[
    "return 1",
    "return {1, 2, 'x', false, 3}",
    "return {1, nil, 3}",
    "return ARGV[1]",
    "return KEYS",
    "return {#KEYS, #ARGV}",
    "return 3.99",
    "return redis.error_reply('MY error')",
    "return redis.status_reply('FINE')",
    "return {err = 'plain'}",
    "return redis.call('NONSENSE')",
    "return redis.pcall('GET')",
    "return redis.call('GET')",
    "error('boom')",
    "this is no Lua",
    "return redis.call('PING')",
    "return redis.sha1hex(ARGV[1] or '')",
    "return tostring(1/3)",
    "return redis.call('SET', 's1', 'from a script')",
    "return redis.call('DBSIZE')",
];

/// Scripts on one key and one argument.
const CALLS: &[&str] = &[
    "return redis.call('SET', KEYS[1], ARGV[1])",
    "return redis.call('GET', KEYS[1])",
    "return redis.pcall('GET', KEYS[1])",
    "return redis.pcall('INCR', KEYS[1])",
    "return redis.call('LPUSH', KEYS[1], ARGV[1], 1, 2.5)",
    "return redis.call('LRANGE', KEYS[1], 0, -1)",
    "return redis.call('HSET', KEYS[1], 'f', ARGV[1])",
    "return redis.call('HGET', KEYS[1], 'f')",
    "return redis.call('ZADD', KEYS[1], 1.5, ARGV[1])",
    "return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')",
    "return redis.call('ZSCORE', KEYS[1], ARGV[1])",
    "return redis.call('EXISTS', KEYS[1]) + 1",
    "return redis.call('TYPE', KEYS[1])",
    "redis.setresp(3); return redis.call('HSTRLEN', KEYS[1], 'a')",
    "redis.setresp(3); return redis.call('ZSCORE', KEYS[1], ARGV[1])",
    "return redis.call('DEL', KEYS[1])",
    "return redis.pcall('BLPOP', KEYS[1], 0)",
    "return redis.pcall('BLMPOP', 0, 1, KEYS[1], 'LEFT')",
    "return redis.pcall('BZMPOP', 0, 1, KEYS[1], 'MIN')",
    "return redis.pcall('xread', 'BLOCK', 'x', 'STREAMS', KEYS[1], '$')",
    "local n = 0; for i = 1, 5 do n = redis.call('RPUSH', KEYS[1], i) end; return n",
];

/// Ids are explicit, since the two servers' clocks differ. No `ms-*` asks for a millisecond whose last number is used up:
/// Redis 7.0 answers that with an error number that an earlier command left.
const NEW_IDS: &[&str] = &[
    "1-1",
    "1-*",
    "2",
    "2-*",
    "3-5",
    "5-*",
    "4-18446744073709551615",
    "10",
    "10-*",
    "200-*",
    "0-*",
];

const STREAM_IDS: &[&str] = &[
    "0",
    "0-0",
    "1",
    "1-1",
    "2",
    "3-5",
    "5-0",
    "10",
    "1000-1",
    "18446744073709551615-18446744073709551615",
    "5-*",
    "-",
    "+",
    "",
    "x",
    "1-",
    "-1",
    "1--1",
    "9- -1",
    " +5-05",
    "1\x0001",
    "18446744073709551616",
];

const STREAM_BOUNDS: &[&str] = &[
    "-",
    "+",
    "-",
    "+",
    "0",
    "1",
    "(1",
    "1-1",
    "(1-1",
    "2",
    "(2-0",
    "5-18446744073709551615",
    "(10",
    "(",
    "(-",
    "(+",
    "(0-0",
    "(18446744073709551615-18446744073709551615",
    "x",
];

/// Scripts that fill a stream with so many entries, of one shape and of several, small and large.
const STREAM_FILLS: &[&str] = &[
    "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], i .. '-0', 'field', i) end",
    "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], i * 300 .. '-' .. i % 3, 'f' .. i % 2, string.rep('x', i % 90)) end",
    "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], '7-' .. i * 5, 'a', i * 100000, 'b', -i, 'c', string.rep('y', i * 7 % 300)) end",
    "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], i .. '-*', 'a', i * 10000000000, '12', string.rep('z', i % 5 * 1000)) end",
];

const CHANNELS: &[&str] = &["ch1", "ch2", "news"];

/// Draws from a pool.
pub(crate) fn draw(name: &str, random: &Random) -> Vec<u8> {
    match name {
        "string" => key(STRINGS, random),
        "hash" => key(HASHES, random),
        "list" => key(LISTS, random),
        "set" => key(SETS, random),
        "zset" => key(SORTED_SETS, random),
        "stream" => key(STREAMS, random),
        "loglog" => key(LOGLOGS, random),
        "setlike" => key(if random.below(4) == 0 { SETS } else { SORTED_SETS }, random),
        "lexical" => one_of(LEXICAL, random),
        "key" => any_key(random),
        "value" => value(random),
        "garbage" => one_of(GARBAGE, random),
        "sha" => sha(pick::<&str>(RETURNS, random)),
        pool => one_of(word_pool(pool), random),
    }
}

/// Draws as many arguments as it takes to leave Redis's compact encodings, or almost; `None` for other pools.
pub(crate) fn many(name: &str, random: &Random) -> Option<Vec<Vec<u8>>> {
    let around = |limit: u64| limit - 3 + random.below(6);
    let numbered =
        |count: u64, name: fn(u64) -> Vec<String>| (0..count).flat_map(name).map(String::into_bytes).collect();
    Some(match name {
        "manypairs" => numbered(around(512), |i| vec![format!("f{i}"), i.to_string()]),
        "manyscored" => numbered(around(128), |i| vec![(i / 2).to_string(), format!("m{i}")]),
        "manymembers" => numbered(around(128), |i| vec![format!("m{i}")]),
        "manyints" => numbered(around(512), |i| vec![i.to_string()]),
        _ => return None,
    })
}

fn sha(script: &str) -> Vec<u8> {
    sha1_smol::Sha1::from(script).digest().to_string().into_bytes()
}

fn word_pool(name: &str) -> &'static [&'static str] {
    match name {
        "member" => MEMBERS,
        "int" => INTEGERS,
        "count" => COUNTS,
        "numkeys" => NUMKEYS,
        "offset" => OFFSETS,
        "float" => FLOATS,
        "scorebound" => SCORE_BOUNDS,
        "lexbound" => LEX_BOUNDS,
        "ttl" => SECONDS,
        "pttl" => MILLISECONDS,
        "at" => PAST_OR_FUTURE,
        "pat" => PAST_OR_FUTURE_MS,
        "later" => FUTURE,
        "plater" => FUTURE_MS,
        "pattern" => PATTERNS,
        "cursor" => CURSORS,
        "channel" => CHANNELS,
        "newid" => NEW_IDS,
        "streamid" => STREAM_IDS,
        "streambound" => STREAM_BOUNDS,
        "streamfill" => STREAM_FILLS,
        "threshold" => &["0", "1", "2", "5", "1-1", "100", "-1", "x", ""],
        "blockcount" => &["0", "1", "50", "99", "100", "101", "150", "200", "250", "300"],
        "blockid" => &[
            "0", "1", "50", "7-250", "99", "100-1", "101", "200", "201", "7-1000", "15000", "60000-2",
        ],
        "channelpattern" => &["ch*", "n?ws", "*", ""],
        "group" => &["g", "g", "h", "g", "none"],
        "consumer" => &["c", "d", "c", "d", ""],
        "entriesread" => &["0", "1", "3", "100", "-1", "-2", "x"],
        "minidle" => &["0", "0", "0", "-1", "1000000", "9223372036854775807", "x"],
        "retrycount" => &["0", "1", "5", "-1", "x"],
        "claimcount" => &["1", "2", "3", "100", "0", "-1", "9223372036854775807", "x"],
        "nextid" => &["1-1", "2-0", "3-5", "4-0", "7-1", "1-*", "2-*", "9-*", "10-*", "200-*"],
        "timeout" => &[
            "0.001",
            "0.001",
            "-1",
            "x",
            "",
            "inf",
            "-inf",
            "nan",
            "1e18",
            "9223372036854775807",
            "1e-5000",
            "5e-324",
        ],
        "word" => &["a", "b", "c", "1", "2", "10", "-3", "", "A", "zz"],
        "returns" => RETURNS,
        "calls" => CALLS,
        "db" => &["0", "0", "1", "1", "16", "-1", "x", ""],
        "type" => &["string", "hash", "LIST", "set", "zset", "stream", "nonsense", ""],
        "commandname" => &[
            "get",
            "SET",
            "hset",
            "zunionstore",
            "lmpop",
            "del",
            "mset",
            "xnonsense",
            "eval",
            "exec",
            "ping",
            "zadd",
            "smove",
            "bitop",
            "object",
            "lrange",
        ],
        "bit" => &["0", "1", "0", "1", "2", "-1", "x"],
        "bittype" => &[
            "u1", "i1", "u2", "i5", "u8", "u8", "i8", "u16", "i33", "u63", "i64", "i64", "u64", "i0", "U8", "x", "",
        ],
        "fieldoffset" => &[
            "0",
            "0",
            "1",
            "7",
            "8",
            "100",
            "#0",
            "#1",
            "#5",
            "-1",
            "#-1",
            "#x",
            "4611686018427387904",
            "#9223372036854775807",
            "x",
            "",
        ],
        "loglogoffset" => &["0", "4", "4", "5", "8", "15", "16", "17", "18", "19"],
        "loglogbyte" => &["\0", "\u{1}", "\u{2}", "\x7f", "H", "@"],
        "loglogfill" => &[
            "for i = 1, ARGV[1] * 10 do redis.call('PFADD', KEYS[1], i) end",
            "for i = 1, ARGV[1] * 4 do redis.call('PFADD', KEYS[1], 'x' .. i, string.rep('y', i)) end",
        ],
        "bitoffset" => &["0", "1", "7", "8", "100", "-1", "4294967296", "x", ""],
        other => panic!("there is no pool `{other}`"),
    }
}

fn key(typed: &[&str], random: &Random) -> Vec<u8> {
    match random.below(6) {
        0 => any_key(random),
        _ => one_of(typed, random),
    }
}

/// Any key but the lexical one, whose scores must stay 0.
fn any_key(random: &Random) -> Vec<u8> {
    let keys: Vec<_> = keys().filter(|key| !LEXICAL.contains(key)).collect();
    one_of(&keys, random)
}

/// A value, now and then one that is longer than Redis's compact encodings allow.
fn value(random: &Random) -> Vec<u8> {
    match random.below(20) {
        0 => vec![b'x'; 64],
        1 => vec![b'y'; 65],
        _ => one_of(VALUES, random),
    }
}

fn one_of(words: &[&str], random: &Random) -> Vec<u8> {
    pick(words, random).as_bytes().to_vec()
}
