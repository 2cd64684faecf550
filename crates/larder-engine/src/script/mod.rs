//! Scripts: Lua 5.1 inside the engine, as Redis 7.0 runs it.
//!
//! Reference: <https://redis.io/docs/latest/develop/interact/programmability/eval-intro/>. A script runs to its end
//! under the engine's lock, so it is atomic; `TIME` stands still meanwhile. Each is compiled once and kept by the
//! SHA1 of its text until `SCRIPT FLUSH`. The interpreter is made when the first script comes.
//!
//! # Differences from Redis
//! - **An endless script.** Redis goes on answering `SCRIPT KILL` beside a script that takes longer than 5 s. In one
//!   process nobody could send that, so a script is ended by itself after 5 s, and after 30 s if it has already
//!   written: then half of its writes are done, which is the lesser evil beside an engine that never answers
//!   (`EngineBuilder::script_time` sets the first, the second is six times that).
//!   `SCRIPT KILL` therefore always answers `NOTBUSY`.
//! - **Read-only tables.** `redis`, `string`, `_G` and their like are shown through empty tables, so
//!   `getmetatable` of them is `false`.
//! - **Patterns** of more than 4,096 bytes are refused as `pattern too complex`: Lua's matcher recurses once per
//!   item. `string.rep` makes no more than 512 MiB.
//!   One match that goes back and forth for ever (`a?` many times over a long text) is not ended by the time limit,
//!   which is looked at between calls; Redis does not end it either.
//! - **Memory.** A script that holds more than 512 MiB (1 GiB with garbage) ends with `not enough memory`, one whose
//!   callbacks nest so deep (`gsub` in `gsub`) that 512 KiB of machine stack are used, with `stack overflow`.
//! - A result that nests deeper than 512 tables ends in Redis's error `reached lua stack limit` sooner than there.

mod api;
mod budget;
mod convert;
mod guard;
mod interpreter;
mod lib;
mod native;
mod number;
mod run;
mod shebang;
mod stack;

use std::mem;

use ahash::HashMap;
use larder_base::{Clock, Random};

use crate::{ErrorReply, client::Resp, command::CommandResult, ctx::Ctx};
use interpreter::{Function, Interpreter};
use run::{Run, Watch};
use shebang::Promises;

/// The SHA1 of a script's text, in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Sha([u8; 40]);

impl Sha {
    pub(crate) fn of(script: &[u8]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 40];
        let digest = sha1_smol::Sha1::from(script).digest().bytes();
        for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        Self(text)
    }

    /// A SHA1 as a client wrote it, in any case; `None` if it cannot be one.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut text: [u8; 40] = text.try_into().ok()?;
        text.make_ascii_lowercase();
        Some(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        // A client may send any 40 bytes; only those of a known script get as far as a text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// What a call names its script by.
#[derive(Clone, Copy)]
pub(crate) enum Named<'a> {
    Text(&'a [u8]),
    Sha(&'a [u8]),
}

struct Script {
    function: Function,
    promises: Promises,
}

/// The scripts of an engine.
pub(crate) struct Scripts {
    clock: Clock,
    random: Random,
    /// Boxed, because it is taken out of the engine's state while a script runs on that state.
    loaded: Option<Box<Loaded>>,
}

struct Loaded {
    interpreter: Interpreter,
    scripts: HashMap<Sha, Script>,
}

impl Scripts {
    pub(crate) const fn new(clock: Clock, random: Random) -> Self {
        Self {
            clock,
            random,
            loaded: None,
        }
    }

    /// Compiles and keeps a script, unless it is there already.
    pub(crate) fn load(&mut self, text: &[u8]) -> Result<Sha, ErrorReply> {
        let sha = Sha::of(text);
        let mut loaded = self.take();
        let result = loaded.load(sha, text).map(|_| sha);
        self.loaded = Some(loaded);
        result
    }

    /// The interpreter and its scripts, made if this is the first script.
    fn take(&mut self) -> Box<Loaded> {
        self.loaded.take().unwrap_or_else(|| {
            Box::new(Loaded {
                interpreter: Interpreter::new(self.random.next_u64()),
                scripts: HashMap::default(),
            })
        })
    }

    pub(crate) fn exists(&self, sha: &[u8]) -> bool {
        let Some((loaded, sha)) = self.loaded.as_ref().zip(Sha::parse(sha)) else {
            return false;
        };
        loaded.scripts.contains_key(&sha)
    }

    /// Forgets every script, and the interpreter with them.
    pub(crate) fn flush(&mut self) {
        self.loaded = None;
    }

    /// How many scripts are kept.
    pub(crate) fn len(&self) -> usize {
        self.loaded.as_ref().map_or(0, |loaded| loaded.scripts.len())
    }

    /// Bytes that the interpreter holds.
    pub(crate) fn memory(&self) -> usize {
        self.loaded.as_ref().map_or(0, |loaded| loaded.interpreter.memory())
    }
}

impl Loaded {
    fn load(&mut self, sha: Sha, text: &[u8]) -> Result<&Script, ErrorReply> {
        use std::collections::hash_map::Entry;
        match self.scripts.entry(sha) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(slot) => {
                let (promises, code) = shebang::split(text)?;
                let function = self.interpreter.compile(code)?;
                Ok(slot.insert(Script { function, promises }))
            }
        }
    }
}

/// Runs a script for the client of `ctx`.
pub(crate) fn run(
    ctx: &mut Ctx<'_>,
    named: Named<'_>,
    keys: &[&[u8]],
    args: &[&[u8]],
    read_only: bool,
) -> CommandResult {
    let (sha, text) = match named {
        Named::Text(text) => (Sha::of(text), Some(text)),
        Named::Sha(sha) => (Sha::parse(sha).ok_or(ErrorReply::NO_SCRIPT)?, None),
    };
    let mut loaded = match text {
        Some(_) => ctx.core.scripts.take(),
        None => ctx.core.scripts.loaded.take().ok_or(ErrorReply::NO_SCRIPT)?,
    };
    let result = loaded.run(ctx, sha, text, keys, args, read_only);
    ctx.core.scripts.loaded = Some(loaded);
    result
}

impl Loaded {
    fn run(
        &mut self,
        ctx: &mut Ctx<'_>,
        sha: Sha,
        text: Option<&[u8]>,
        keys: &[&[u8]],
        args: &[&[u8]],
        read_only: bool,
    ) -> CommandResult {
        let script = match (self.scripts.get(&sha), text) {
            (Some(script), _) => script,
            (None, Some(text)) => self.load(sha, text)?,
            (None, None) => return Err(ErrorReply::NO_SCRIPT),
        };
        let (function, promises) = (script.function, script.promises);
        let watch = Watch::start(&ctx.core.scripts.clock, ctx.core.settings.script.time_max);
        // `SELECT` and the protocol version inside a script are the script's own.
        let before = ctx.db;
        let resp = mem::replace(&mut ctx.resp, Resp::V2);
        let result = Run::new(ctx, keys, promises, read_only, watch).and_then(|mut run| {
            self.interpreter
                .call(function, &mut run, keys, args)
                .map_err(|failure| failure.reply(sha.as_str()))
        });
        ctx.select(before);
        ctx.resp = resp;
        result
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{Reply, testing::Shell};

    fn impatient() -> Shell {
        Shell::with(|builder| builder.script_time(Duration::from_millis(10)))
    }

    fn error(reply: &Reply) -> &str {
        match reply {
            Reply::Error(error) => error.as_str(),
            other => panic!("{other:?} is no error"),
        }
    }

    #[test]
    fn an_endless_script_ends_and_the_engine_goes_on() {
        let shell = impatient();
        for script in [
            "while true do end",
            "while true do pcall(function() while true do end end) end",
            "local co = coroutine.wrap(function() while true do end end) co()",
            "while true do redis.call('PING') end",
            "while true do xpcall(function() while true do end end, function() while true do end end) end",
            "while true do string.rep('', 1000000) end",
            "while true do coroutine.wrap(function() for i = 1, 30000 do end end)() end",
            "local text = string.rep('a', 1000000) while true do pcall(string.find, text, 'b+') end",
        ] {
            let reply = shell.run(&format!("EVAL \"{script}\" 0"));
            assert!(
                error(&reply).contains("Script ran longer than 10 ms and was ended"),
                "{reply:?}"
            );
            assert_eq!(shell.run("EVAL \"return 1\" 0"), Reply::Int(1));
        }
    }

    #[test]
    fn what_would_overflow_in_the_libraries_is_refused() {
        let shell = Shell::new();
        for (script, expected) in [
            ("return {unpack({}, 0, 2147483647)}", "too many results to unpack"),
            (
                "return {unpack({}, -2147483648, 2147483647)}",
                "too many results to unpack",
            ),
            ("return {unpack({1}, -1, 2147483646)}", "too many results to unpack"),
            ("return #string.rep('x', 1e10)", "resulting string too large"),
            (
                "return string.find(string.rep('a', 300000), string.rep('.?', 300000))",
                "pattern too complex",
            ),
            (
                "return ('a'):match('^' .. string.rep('a?', 2048) .. '$')",
                "pattern too complex",
            ),
            (
                "return (string.gsub('a', string.rep('a?', 2049), ''))",
                "pattern too complex",
            ),
            (
                "return string.gmatch('a', string.rep('a?', 2049))()",
                "pattern too complex",
            ),
        ] {
            let reply = shell.run(&format!("EVAL \"{script}\" 0"));
            assert!(error(&reply).contains(expected), "{script}: {reply:?}");
        }
        let widest = "return #string.match(string.rep('a', 2048), string.rep('a?', 2048))";
        assert_eq!(shell.run(&format!("EVAL \"{widest}\" 0")), Reply::Int(2048));
        let plain = "return string.find(string.rep('.', 9000), string.rep('.', 9000), 1, true)";
        assert_eq!(shell.run(&format!("EVAL \"{plain}\" 0")), Reply::Int(1));
    }

    #[test]
    fn a_script_that_takes_all_memory_ends_and_gives_it_back() {
        let shell = Shell::new();
        for script in [
            "local s = string.rep('x', 1000000) while true do s = s .. s end",
            "local s = string.rep('x', 1000000) coroutine.wrap(function() while true do s = s .. s end end)()",
            "local t = {} for i = 1, 10000 do t[i] = string.rep('x', 50000000) .. i end",
            "local t = {} for i = 1, 10000 do t[i] = redis.call('ECHO', string.rep('x', 20000000) .. i) end",
        ] {
            let reply = shell.run(&format!("EVAL \"{script}\" 0"));
            assert!(error(&reply).contains("not enough memory"), "{script}: {reply:?}");
            let small = shell.run("EVAL \"return collectgarbage('count') < 100000\" 0");
            assert_eq!(small, Reply::Int(1), "{script}");
        }
    }

    #[test]
    fn callbacks_that_nest_leave_stack_for_what_they_call() {
        let shell = Shell::new();
        let script = "local js = string.rep('[', 999) .. string.rep(']', 999) local d = 0 \
                      local function f() d = d + 1 if d >= 190 then return #tostring(cjson.decode(js)) end \
                      return (string.gsub('x', 'x', f)) end return f()";
        let reply = shell.run(&format!("EVAL \"{script}\" 0"));
        assert!(error(&reply).contains("stack overflow"), "{reply:?}");
        let shallow = script.replace("190", "20");
        let reply = shell.run(&format!("EVAL \"{shallow}\" 0"));
        assert!(matches!(reply, Reply::Bulk(_)), "{reply:?}");
    }

    #[test]
    fn a_script_that_has_written_gets_more_time() {
        let shell = impatient();
        let reply = shell.run("EVAL \"redis.call('SET', 'k', 'v') while true do end\" 0");
        assert!(
            error(&reply).contains("Script ran longer than 60 ms and was ended"),
            "{reply:?}"
        );
        assert_eq!(shell.run("GET k"), Reply::bulk("v"));
    }

    #[test]
    fn a_full_memory_stops_a_script_before_its_first_write_only() {
        let shell = Shell::with(|builder| builder.maxmemory(1));
        shell.run("EVAL \"#!lua flags=allow-oom\nreturn redis.call('SET', 'k', 'v')\" 0");
        let refused = "OOM command not allowed when used memory > 'maxmemory'.";
        assert!(error(&shell.run("EVAL \"return redis.call('SET', 'a', '1')\" 0")).starts_with(refused));
        assert_eq!(
            shell.run("EVAL \"redis.call('DEL', 'x') return redis.call('SET', 'a', '1')\" 0"),
            Reply::Ok
        );
        let stated = shell.run("EVAL \"#!lua\nreturn 1\" 0");
        assert_eq!(error(&stated), refused);
        assert_eq!(shell.run("EVAL \"#!lua flags=no-writes\nreturn 1\" 0"), Reply::Int(1));
    }
}
