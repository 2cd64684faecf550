//! The scripts of sessions, and how their replies read.

use larder_store::{Script, ScriptHandle};
use redis::Value;

use super::error::SessionError;
use crate::reply;

/// One handle per script, so that a test can leave out a rule of one.
#[derive(Clone, Debug)]
pub(super) struct Texts {
    pub(super) create: ScriptHandle,
    pub(super) open: ScriptHandle,
    pub(super) rotate: ScriptHandle,
    pub(super) delete: ScriptHandle,
    pub(super) list: ScriptHandle,
    pub(super) revoke: ScriptHandle,
    pub(super) login: ScriptHandle,
}

static CREATE: Script = Script::new("session_create", include_str!("create.lua"));
static USE: Script = Script::new("session_use", include_str!("use.lua"));
static ROTATE: Script = Script::new("session_rotate", include_str!("rotate.lua"));
static DELETE: Script = Script::new("session_delete", include_str!("delete.lua"));
static LIST: Script = Script::new("session_list", include_str!("list.lua"));
static REVOKE: Script = Script::new("session_revoke", include_str!("revoke.lua"));
static LOGIN: Script = Script::new("session_login", include_str!("login.lua"));

impl Texts {
    pub(super) fn new() -> Self {
        Self {
            create: (&CREATE).into(),
            open: (&USE).into(),
            rotate: (&ROTATE).into(),
            delete: (&DELETE).into(),
            list: (&LIST).into(),
            revoke: (&REVOKE).into(),
            login: (&LOGIN).into(),
        }
    }

    /// The same with one place of one script written otherwise.
    #[cfg(feature = "mutants")]
    pub(super) fn mutate(&mut self, name: &str, text: &str, other: &str) {
        let all = [
            &mut self.create,
            &mut self.open,
            &mut self.rotate,
            &mut self.delete,
            &mut self.list,
            &mut self.revoke,
            &mut self.login,
        ];
        let script = all.into_iter().find(|script| script.name() == name);
        let script = script.unwrap_or_else(|| panic!("there is no script {name}"));
        let source = script.source(true);
        assert_eq!(source.matches(text).count(), 1, "{text:?} in {name}");
        *script = Script::loaded(name, source.replacen(text, other, 1));
    }
}

/// The word with which a reply begins, and what follows it. Words that every caller answers alike are errors already.
pub(super) fn verdict(value: &Value) -> Result<(Verdict, &[Value]), SessionError> {
    let items = reply::items(value, 1, "session")?;
    let rest = &items[1..];
    let verdict = match word(&items[0]) {
        Some("OK") => Verdict::Ok,
        Some("CHANGED") => Verdict::Changed,
        Some("LARGE") => Verdict::Large,
        Some("COUNT") => Verdict::Count,
        Some("FULL") => Verdict::Full,
        Some("LOGIN") => return Err(SessionError::LoginEnded),
        Some("GONE") => return Err(SessionError::Gone),
        Some("DAMAGED") => return Err(SessionError::Damaged),
        _ => return Err(reply::unexpected("session").into()),
    };
    Ok((verdict, rest))
}

/// The last item of a reply.
pub(super) fn last(value: Value) -> Option<Value> {
    match value {
        Value::Array(mut items) => items.pop(),
        _ => None,
    }
}

/// What a script decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    Changed,
    Large,
    Count,
    Full,
}

fn word(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// The bytes of a text.
pub(super) fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::BulkString(bytes) => bytes,
        Value::SimpleString(text) => text.as_bytes(),
        _ => &[],
    }
}

/// A text; what is not UTF-8 is replaced.
pub(super) fn text(value: &Value) -> String {
    String::from_utf8_lossy(bytes(value)).into_owned()
}

/// The item at `at` as a whole number.
pub(super) fn number(items: &[Value], at: usize) -> Result<i64, SessionError> {
    let item = items.get(at).ok_or_else(|| reply::unexpected("session"))?;
    Ok(reply::integer(item)?)
}
