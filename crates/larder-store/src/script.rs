//! Lua scripts: their hash once, their calls compact, and `NOSCRIPT` nobody's concern.

use std::{
    borrow::Cow,
    collections::HashSet,
    fmt,
    ops::Deref,
    sync::{Arc, LazyLock, OnceLock},
};

use parking_lot::Mutex;
use redis::Cmd;
use smallvec::SmallVec;

/// A Lua script, known to the store by the SHA-1 of its text. Meant for a `static`; one whose text comes at run time is
/// [`loaded`](Self::loaded). [`Scripts`](crate::Scripts) keeps several of them by name.
///
/// A shebang line such as `#!lua flags=allow-oom` is left out for servers before 7.0, which do not know it.
///
/// ```
/// use larder_store::{Script, ScriptCall, Store};
///
/// static ADD: Script = Script::new("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])");
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder_store::StoreError> {
/// let store = Store::open("embedded:").await?;
/// let sum = store.call(&ScriptCall::new(&ADD).key("visits").arg("5")).await?;
/// assert_eq!(sum, redis::Value::Int(5));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Script {
    name: &'static str,
    source: Cow<'static, str>,
    shas: OnceLock<Shas>,
}

#[derive(Debug)]
struct Shas {
    whole: String,
    stripped: String,
}

impl Script {
    /// A script under the name by which errors and spans know it.
    #[must_use]
    pub const fn new(name: &'static str, source: &'static str) -> Self {
        Self {
            name,
            source: Cow::Borrowed(source),
            shas: OnceLock::new(),
        }
    }

    /// A script whose text was read at run time, from a file or a configuration.
    ///
    /// The name stays in memory for the life of the process, once however often it is given: it is a label of metrics.
    /// The text goes with the last handle.
    ///
    /// ```
    /// use larder_store::{Script, ScriptCall, Store};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder_store::StoreError> {
    /// let store = Store::open("embedded:").await?;
    /// let echo = Script::loaded("echo", String::from("return ARGV[1]"));
    /// let said = store.call(&ScriptCall::new(&echo).arg("hello")).await?;
    /// assert_eq!(said, larder_store::redis::Value::BulkString(b"hello".to_vec()));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn loaded(name: &str, source: impl Into<String>) -> ScriptHandle {
        ScriptHandle(Held::Shared(Arc::new(Self {
            name: interned(name),
            source: Cow::Owned(source.into()),
            shas: OnceLock::new(),
        })))
    }

    /// The name given to [`new`](Self::new).
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The text for a server that knows shebang lines, or does not.
    #[must_use]
    pub fn source(&self, shebang: bool) -> &str {
        match self.source.strip_prefix("#!") {
            // The line break stays, so that line numbers in errors are right.
            Some(rest) if !shebang => rest.find('\n').map_or("", |end| &rest[end..]),
            _ => &self.source,
        }
    }

    /// The SHA-1 of [`source`](Self::source), in hex.
    #[must_use]
    pub fn sha(&self, shebang: bool) -> &str {
        let shas = self.shas.get_or_init(|| Shas {
            whole: sha1_hex(self.source(true)),
            stripped: sha1_hex(self.source(false)),
        });
        if shebang { &shas.whole } else { &shas.stripped }
    }
}

/// The same name for the life of the process.
fn interned(name: &str) -> &'static str {
    static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    let mut names = NAMES.lock();
    if let Some(known) = names.get(name) {
        return known;
    }
    let kept: &'static str = Box::leak(name.into());
    names.insert(kept);
    kept
}

/// A [`Script`] to call: a `static`, or one [`loaded`](Script::loaded) at run time. A cheap clone.
#[derive(Clone, Debug)]
pub struct ScriptHandle(Held);

#[derive(Clone, Debug)]
enum Held {
    Static(&'static Script),
    Shared(Arc<Script>),
}

impl Deref for ScriptHandle {
    type Target = Script;

    fn deref(&self) -> &Script {
        match &self.0 {
            Held::Static(script) => script,
            Held::Shared(script) => script,
        }
    }
}

impl From<&'static Script> for ScriptHandle {
    fn from(script: &'static Script) -> Self {
        Self(Held::Static(script))
    }
}

/// Of a `static` whose text is put together at its first use.
impl From<&'static LazyLock<Script>> for ScriptHandle {
    fn from(script: &'static LazyLock<Script>) -> Self {
        Self::from(&**script)
    }
}

impl From<&Self> for ScriptHandle {
    fn from(handle: &Self) -> Self {
        handle.clone()
    }
}

fn sha1_hex(text: &str) -> String {
    sha1_smol::Sha1::from(text).digest().to_string()
}

/// Keys and arguments of most calls fit without an allocation of their own.
const INLINE_ARGS: usize = 12;

/// One call of a script, with its keys and arguments.
#[derive(Clone)]
pub struct ScriptCall {
    script: ScriptHandle,
    keys: usize,
    /// Where each key and argument ends in `bytes`; keys come first.
    ends: SmallVec<[u32; INLINE_ARGS]>,
    bytes: Vec<u8>,
}

/// Without what it carries: arguments are tokens and data, which are for nobody's log.
impl fmt::Debug for ScriptCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptCall")
            .field("script", &self.script.name())
            .field("keys", &self.keys)
            .field("args", &(self.ends.len() - self.keys))
            .finish_non_exhaustive()
    }
}

impl ScriptCall {
    /// A call without keys and arguments yet.
    #[must_use]
    pub fn new(script: impl Into<ScriptHandle>) -> Self {
        Self {
            script: script.into(),
            keys: 0,
            ends: SmallVec::new(),
            bytes: Vec::with_capacity(256),
        }
    }

    /// Adds a key. Keys come before arguments.
    ///
    /// # Panics
    /// If an argument was added before.
    #[must_use]
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        assert_eq!(
            self.keys,
            self.ends.len(),
            "the keys of a script's call come before its arguments"
        );
        self.keys += 1;
        self.push(key.as_ref());
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<[u8]>) -> Self {
        self.push(arg.as_ref());
        self
    }

    /// Adds a whole number as an argument.
    #[must_use]
    pub fn int(self, number: i64) -> Self {
        self.arg(itoa::Buffer::new().format(number))
    }

    /// The script called.
    #[must_use]
    pub fn script(&self) -> &Script {
        &self.script
    }

    fn push(&mut self, part: &[u8]) {
        self.bytes.extend_from_slice(part);
        let end = u32::try_from(self.bytes.len()).expect("a call is below the 512 MiB that a server accepts");
        self.ends.push(end);
    }

    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let part = &self.bytes[start..end as usize];
            start = end as usize;
            part
        })
    }

    /// `EVALSHA sha numkeys key.. arg..` as a command of the `redis` crate.
    pub(crate) fn command(&self, shebang: bool) -> Cmd {
        let mut cmd = Cmd::with_capacity(self.ends.len() + 3, self.bytes.len() + 52);
        cmd.arg("EVALSHA").arg(self.script.sha(shebang)).arg(self.keys);
        self.parts().for_each(|part| _ = cmd.arg(part));
        cmd
    }

    /// The same as plain arguments, for `run`.
    #[cfg(feature = "embedded")]
    pub(crate) fn with_args<R>(&self, run: impl FnOnce(&[&[u8]]) -> R) -> R {
        let mut digits = itoa::Buffer::new();
        let mut args: SmallVec<[&[u8]; INLINE_ARGS + 3]> = SmallVec::new();
        args.push(b"EVALSHA");
        args.push(self.script.sha(true).as_bytes());
        args.push(digits.format(self.keys).as_bytes());
        args.extend(self.parts());
        run(&args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PLAIN: Script = Script::new("plain", "return KEYS[1]");
    static FLAGGED: Script = Script::new("flagged", "#!lua flags=allow-oom\nreturn 1");

    #[test]
    fn the_hash_is_the_servers() {
        // From `SCRIPT LOAD` of redis-server 7.0.15.
        assert_eq!(PLAIN.sha(true), "4a2267357833227dd98abdedb8cf24b15a986445");
        assert_eq!(PLAIN.sha(true), PLAIN.sha(false));
    }

    #[test]
    fn a_call_does_not_show_what_it_carries() {
        let call = ScriptCall::new(&PLAIN).key("key:7").arg("token").int(42);
        let shown = format!("{call:?}");
        assert_eq!(shown, r#"ScriptCall { script: "plain", keys: 1, args: 2, .. }"#);
    }

    #[test]
    fn the_shebang_goes_for_old_servers_and_the_line_numbers_stay() {
        assert_eq!(FLAGGED.source(false), "\nreturn 1");
        assert_ne!(FLAGGED.sha(true), FLAGGED.sha(false));
    }

    #[test]
    fn a_script_of_run_time_is_as_a_static_one_and_its_name_is_kept_once() {
        let (one, other) = (
            Script::loaded("plain", "return KEYS[1]"),
            Script::loaded("plain", "return 1"),
        );
        assert_eq!(one.sha(true), PLAIN.sha(true));
        assert_ne!(one.sha(true), other.sha(true));
        assert!(std::ptr::eq(one.name(), other.name()));
        let call = ScriptCall::new(&one);
        drop(one);
        assert_eq!(call.script().source(true), "return KEYS[1]");
    }

    #[test]
    fn a_call_is_packed_as_the_server_wants_it() {
        let call = ScriptCall::new(&PLAIN).key("k").arg("").int(-7);
        let args: Vec<Vec<u8>> = call
            .command(true)
            .args_iter()
            .map(|arg| match arg {
                redis::Arg::Simple(bytes) => bytes.to_vec(),
                _ => unreachable!("no cursor was added"),
            })
            .collect();
        let sha = PLAIN.sha(true).as_bytes();
        assert_eq!(args, [b"EVALSHA".as_slice(), sha, b"1", b"k", b"", b"-7"]);
    }
}
