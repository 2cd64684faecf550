//! The smallest correct client of the protocol: one method a script, and nothing decided here.

use std::collections::BTreeMap;

use larder_base::Random;
use larder_testkit::{Answer, Wire};

use super::scripts::Scripts;

/// A token, or none.
pub(crate) type Token = [u8; 16];

/// No token: no lease, nothing to replace.
pub(crate) const NO_TOKEN: Token = [0; 16];

/// All keys of the checks live in one partition.
const SLOT: &str = "ns:{ns.1}:";

pub(crate) struct Client {
    pub(crate) wire: Wire,
    random: Random,
    shas: BTreeMap<&'static str, String>,
    /// Whether the scripts that invalidate also write to the log.
    pub(crate) log: bool,
}

/// What is said with a value when it is stored.
#[derive(Clone, Copy)]
pub(crate) struct Put<'a> {
    pub(crate) soft: u64,
    pub(crate) hard: u64,
    pub(crate) flags: u8,
    pub(crate) version: u64,
    pub(crate) tags: &'a [&'a str],
    pub(crate) cost: u32,
}

impl Default for Put<'_> {
    fn default() -> Self {
        Self {
            soft: 60_000,
            hard: 120_000,
            flags: 1,
            version: 0,
            tags: &[],
            cost: 1,
        }
    }
}

impl<'a> Put<'a> {
    pub(crate) fn tags(tags: &'a [&'a str]) -> Self {
        Self {
            tags,
            ..Self::default()
        }
    }

    pub(crate) fn soft(soft: u64) -> Self {
        Self {
            soft,
            ..Self::default()
        }
    }
}

/// How `get` is asked.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) mode: &'static str,
    pub(crate) token: Option<Token>,
    pub(crate) lease: u64,
    pub(crate) replaces: Token,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            mode: "lease",
            token: None,
            lease: 2_000,
            replaces: NO_TOKEN,
        }
    }
}

/// One argument of a script: bytes, text or a number.
pub(crate) struct Arg(Vec<u8>);

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}
impl From<&[u8]> for Arg {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}
impl From<Vec<u8>> for Arg {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}
impl<const N: usize> From<[u8; N]> for Arg {
    fn from(bytes: [u8; N]) -> Self {
        Self(bytes.to_vec())
    }
}
impl From<u64> for Arg {
    fn from(number: u64) -> Self {
        Self(number.to_string().into_bytes())
    }
}

/// A list of arguments of mixed kinds.
macro_rules! args {
    ($($arg:expr),* $(,)?) => { vec![$(Arg::from($arg)),*] };
}

/// The log keeps about so many items in the checks.
const LOG_MAX: u64 = 1_000;

impl Client {
    pub(crate) fn new(mut wire: Wire, scripts: &Scripts, random: Random) -> Self {
        let shas = scripts.iter().map(|(name, text)| {
            let sha = wire
                .call(&["SCRIPT", "LOAD", text])
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, sha.text())
        });
        let shas = shas.collect();
        Self {
            wire,
            random,
            shas,
            log: false,
        }
    }

    pub(crate) fn token(&self) -> Token {
        self.random.bytes()
    }

    fn eight(&self) -> [u8; 8] {
        self.random.bytes()
    }

    pub(crate) fn e(&self, key: &str) -> String {
        format!("{SLOT}e:{key}")
    }

    /// One of the partition's own keys: `m`, `t0`, `t1`, `l`.
    pub(crate) fn p(&self, name: &str) -> String {
        format!("{SLOT}{name}")
    }

    pub(crate) fn keys(&self, key: &str) -> Vec<String> {
        vec![self.e(key), self.p("m"), self.p("t0"), self.p("t1")]
    }

    fn partition(&self) -> Vec<String> {
        self.keys("").split_off(1)
    }

    fn with_log(&self, mut keys: Vec<String>) -> Vec<String> {
        if self.log {
            keys.push(self.p("l"));
        }
        keys
    }

    /// Runs a script; an error reply is `Err`.
    pub(crate) fn try_run(&mut self, script: &str, keys: &[String], args: Vec<Arg>) -> Result<Answer, String> {
        let mut call = vec![b"EVALSHA".to_vec(), self.shas[script].clone().into_bytes()];
        call.push(keys.len().to_string().into_bytes());
        call.extend(keys.iter().map(|key| key.clone().into_bytes()));
        call.extend(args.into_iter().map(|arg| arg.0));
        self.wire.call(&call)
    }

    #[track_caller]
    pub(crate) fn run(&mut self, script: &str, keys: &[String], args: Vec<Arg>) -> Answer {
        self.try_run(script, keys, args)
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// A plain command.
    #[track_caller]
    pub(crate) fn c<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Answer {
        self.wire.call(args).unwrap_or_else(|error| panic!("{error}"))
    }

    // -- readers

    pub(crate) fn try_get(&mut self, key: &str, ask: Ask) -> Result<(Token, Answer), String> {
        let token = ask.token.unwrap_or_else(|| self.token());
        let candidate = self.eight();
        let args = args![ask.mode, token, ask.lease, candidate, ask.replaces];
        Ok((token, self.try_run("get", &self.keys(key), args)?))
    }

    #[track_caller]
    pub(crate) fn get_with(&mut self, key: &str, ask: Ask) -> (Token, Answer) {
        self.try_get(key, ask).unwrap_or_else(|error| panic!("get: {error}"))
    }

    #[track_caller]
    pub(crate) fn get(&mut self, key: &str) -> (Token, Answer) {
        self.get_with(key, Ask::default())
    }

    /// The first word of what `get` answers.
    #[track_caller]
    pub(crate) fn state(&mut self, key: &str) -> String {
        word(&self.get(key).1)
    }

    /// The first word of what `get` answers when it may not write.
    #[track_caller]
    pub(crate) fn peek(&mut self, key: &str) -> String {
        word(
            &self
                .get_with(
                    key,
                    Ask {
                        mode: "peek",
                        ..Ask::default()
                    },
                )
                .1,
        )
    }

    #[track_caller]
    pub(crate) fn early(&mut self, key: &str) -> (Token, Answer) {
        self.get_with(
            key,
            Ask {
                mode: "early",
                ..Ask::default()
            },
        )
    }

    pub(crate) fn try_fill(&mut self, key: &str, token: Token, value: &[u8], put: Put<'_>) -> Result<Answer, String> {
        let mut args = args![
            token,
            put.soft,
            put.hard,
            u64::from(put.flags),
            put.version.to_be_bytes(),
            SCHEMA
        ];
        args.extend(args![u64::from(put.cost), body(value), put.tags.len() as u64]);
        args.extend(put.tags.iter().map(|tag| Arg::from(*tag)));
        self.try_run("fill", &self.keys(key), args)
    }

    /// The words of what `fill` answers: `OK ..` or `REJ why ..`.
    #[track_caller]
    pub(crate) fn fill_with(&mut self, key: &str, token: Token, value: &[u8], put: Put<'_>) -> Answer {
        self.try_fill(key, token, value, put)
            .unwrap_or_else(|error| panic!("fill: {error}"))
    }

    #[track_caller]
    pub(crate) fn fill(&mut self, key: &str, token: Token, value: &[u8]) -> Answer {
        self.fill_with(key, token, value, Put::default())
    }

    /// Takes the lease on an absent key and fills it.
    #[track_caller]
    pub(crate) fn stored(&mut self, key: &str, value: &[u8], put: Put<'_>) -> Token {
        let (token, answer) = self.get(key);
        assert_eq!(word(&answer), "LEASE");
        assert_eq!(word(&self.fill_with(key, token, value, put)), "OK");
        token
    }

    #[track_caller]
    pub(crate) fn extend(&mut self, key: &str, token: Token) -> Answer {
        self.run("extend", &self.keys(key), args![token, 60_000, 120_000, 7])
    }

    #[track_caller]
    pub(crate) fn revalidate(&mut self, key: &str, uid: &[u8]) -> Answer {
        self.run("revalidate", &self.keys(key), args![uid])
    }

    #[track_caller]
    pub(crate) fn release(&mut self, key: &str, token: Token) -> i64 {
        self.run("release", &[self.e(key)], args![token]).int()
    }

    #[track_caller]
    pub(crate) fn renew(&mut self, key: &str, token: Token, lease: u64) -> Answer {
        self.run("renew", &[self.e(key)], args![token, lease])
    }

    // -- invalidations

    #[track_caller]
    pub(crate) fn inv(&mut self, key: &str) -> i64 {
        self.log_keyed("inv", key)
    }

    #[track_caller]
    pub(crate) fn mark_stale(&mut self, key: &str) -> i64 {
        self.log_keyed("mark_stale", key)
    }

    #[track_caller]
    fn log_keyed(&mut self, script: &str, key: &str) -> i64 {
        let keys = self.with_log(vec![self.e(key)]);
        let args = if self.log { args![LOG_MAX, key] } else { Vec::new() };
        self.run(script, &keys, args).int()
    }

    pub(crate) fn try_invtag(&mut self, tags: &[&str], rnd: [u8; 8]) -> Result<Answer, String> {
        let mut args = args![rnd, LOG_MAX];
        args.extend(tags.iter().map(|tag| Arg::from(*tag)));
        let keys = self.with_log(self.partition());
        self.try_run("invtag", &keys, args)
    }

    #[track_caller]
    pub(crate) fn invtag(&mut self, tags: &[&str]) {
        let rnd = self.eight();
        self.try_invtag(tags, rnd)
            .unwrap_or_else(|error| panic!("invtag: {error}"));
    }

    #[track_caller]
    pub(crate) fn rotate_from(&mut self, expected: &[u8], new: [u8; 8]) -> i64 {
        let keys = self.with_log(self.partition());
        self.run("rotate", &keys, args![expected, new, LOG_MAX]).int()
    }

    /// `clear`: reads the incarnation and replaces it.
    #[track_caller]
    pub(crate) fn rotate(&mut self) -> i64 {
        let expected = self.incarnation();
        let new = self.eight();
        self.rotate_from(&expected, new)
    }

    #[track_caller]
    pub(crate) fn incarnation(&mut self) -> Vec<u8> {
        match self.c(&["GET", &self.p("m")]) {
            Answer::Nil => vec![0; 8],
            m => m.bytes()[..8].to_vec(),
        }
    }

    #[track_caller]
    pub(crate) fn rotate_tags(&mut self) {
        self.run("rotate_tags", &self.partition().split_off(1), Vec::new());
    }

    // -- writers

    /// Opens a hold; with it, 1 if it is alone and 2 if not.
    #[track_caller]
    pub(crate) fn begin_with(&mut self, key: &str, ms: u64, replaces: Token) -> (Token, Answer) {
        let (token, candidate) = (self.token(), self.eight());
        let mut args = args![token, ms, candidate, replaces];
        if self.log {
            args.extend(args![LOG_MAX, key]);
        }
        let keys = self.with_log(self.keys(key));
        (token, self.run("begin", &keys, args))
    }

    #[track_caller]
    pub(crate) fn begin(&mut self, key: &str) -> Token {
        self.begin_with(key, 10_000, NO_TOKEN).0
    }

    /// Whether the own hold was there, and how many others are.
    #[track_caller]
    pub(crate) fn endw(&mut self, key: &str, token: Token) -> (i64, i64) {
        let mut args = args![token];
        if self.log {
            args.extend(args![LOG_MAX, key]);
        }
        let keys = self.with_log(vec![self.e(key)]);
        let answer = self.run("endw", &keys, args);
        (answer.list()[0].int(), answer.list()[1].int())
    }

    pub(crate) fn try_endput(
        &mut self,
        key: &str,
        token: Token,
        value: &[u8],
        tags: &[&str],
    ) -> Result<Answer, String> {
        let mut args = args![token, 60_000, 120_000, 1, [0; 8], [0; 4], 1, body(value), LOG_MAX, key];
        args.extend(args![tags.len() as u64]);
        args.extend(tags.iter().map(|tag| Arg::from(*tag)));
        let keys = self.with_log(self.keys(key));
        self.try_run("endput", &keys, args)
    }

    #[track_caller]
    pub(crate) fn endput(&mut self, key: &str, token: Token, value: &[u8]) -> Answer {
        self.try_endput(key, token, value, &[])
            .unwrap_or_else(|error| panic!("endput: {error}"))
    }

    pub(crate) fn try_put(&mut self, key: &str, value: &[u8], tags: &[&str]) -> Result<Answer, String> {
        let (token, candidate) = (self.token(), self.eight());
        let mut args = args![token, 60_000, 120_000, 1, [0; 8], [0; 4], 1, body(value), LOG_MAX, key];
        args.extend(args![candidate, tags.len() as u64]);
        args.extend(tags.iter().map(|tag| Arg::from(*tag)));
        let keys = self.with_log(self.keys(key));
        self.try_run("put", &keys, args)
    }

    #[track_caller]
    pub(crate) fn put(&mut self, key: &str, value: &[u8]) -> Answer {
        self.try_put(key, value, &[])
            .unwrap_or_else(|error| panic!("put: {error}"))
    }

    /// Runs `heal` over a key's scripts' keys; the number of keys dropped.
    #[track_caller]
    pub(crate) fn heal(&mut self, key: &str) -> i64 {
        self.run("heal", &self.keys(key), args!["string", "string", "hash", "hash"])
            .int()
    }
}

/// A schema that means nothing here.
pub(crate) const SCHEMA: [u8; 4] = [0, 1, 0, 2];

/// A payload: checksum, codec, bytes.
pub(crate) fn body(value: &[u8]) -> Vec<u8> {
    let mut body = crc32c::crc32c(value).to_be_bytes().to_vec();
    body.push(1);
    body.extend_from_slice(value);
    body
}

/// The first word of an answer.
#[track_caller]
pub(crate) fn word(answer: &Answer) -> String {
    answer.list()[0].text()
}

/// The second word: why a fill or a store was refused.
#[track_caller]
pub(crate) fn why(answer: &Answer) -> String {
    answer.list()[1].text()
}
