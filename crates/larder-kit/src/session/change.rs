//! A change of several fields, made in one step.

use std::{fmt, sync::Arc};

use redis::Value;
use serde::Serialize;

use super::{
    error::SessionError,
    figures::Count,
    script::{self, Verdict},
    session::Session,
};
use crate::{
    mutant::{self, Mutant},
    reply,
};

/// A change of a session's fields: all of it is made, in one step and one round trip, or nothing.
///
/// ```
/// # use larder_kit::session::Sessions;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = larder_store::Store::open("embedded:").await?;
/// # let mut session = Sessions::builder("web").store(&store).build()?.create().await?;
/// session.change().set("city", "Uruk").incr("visits", 1).remove("hint").save().await?;
/// assert_eq!(session.get::<i64>("visits")?, Some(1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is changed before `save`"]
pub struct Change<'a> {
    session: &'a mut Session,
    steps: Vec<Step>,
    /// The first value that could not be written.
    failed: Option<SessionError>,
}

struct Step {
    op: Op,
    field: String,
    value: Vec<u8>,
}

/// Without the value: what is in a session is for nobody's log.
impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.op.name(), self.field)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Is,
    No,
    Set,
    Del,
    Add,
}

impl Op {
    const fn name(self) -> &'static str {
        match self {
            Self::Is => "is",
            Self::No => "no",
            Self::Set => "set",
            Self::Del => "del",
            Self::Add => "add",
        }
    }
}

impl<'a> Change<'a> {
    pub(super) const fn of(session: &'a mut Session) -> Self {
        Self {
            session,
            steps: Vec::new(),
            failed: None,
        }
    }

    fn step(mut self, op: Op, field: &str, value: Vec<u8>) -> Self {
        let field = field.to_owned();
        self.steps.push(Step { op, field, value });
        self
    }

    /// Sets a field.
    pub fn set<T: Serialize + ?Sized>(mut self, field: &str, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => self.step(Op::Set, field, json),
            Err(source) => {
                self.failed.get_or_insert(SessionError::Encode {
                    field: field.to_owned(),
                    source: Arc::new(source),
                });
                self
            }
        }
    }

    /// Removes a field.
    pub fn remove(self, field: &str) -> Self {
        self.step(Op::Del, field, Vec::new())
    }

    /// Adds to a whole number, which begins at 0.
    pub fn incr(self, field: &str, by: i64) -> Self {
        self.step(Op::Add, field, by.to_string().into_bytes())
    }

    /// Makes the change only if this field still is as it was loaded; say it before the field's own change.
    pub fn if_unchanged(self, field: &str) -> Self {
        match self.session.fields.get(field).cloned() {
            Some(seen) => self.step(Op::Is, field, seen),
            None => self.step(Op::No, field, Vec::new()),
        }
    }

    /// Makes the change, and renews the idle time: one round trip.
    ///
    /// # Errors
    /// [`SessionError::Gone`] if the session has ended, [`SessionError::TooLarge`], [`SessionError::Changed`],
    /// [`SessionError::NotACounter`], [`SessionError::Encode`]: nothing was changed. [`SessionError::Store`]: see
    /// [`is_unknown_outcome`](SessionError::is_unknown_outcome).
    ///
    /// # Cancel safety
    /// The change may have been made, as a whole.
    pub async fn save(self) -> Result<(), SessionError> {
        let Self { session, steps, failed } = self;
        if let Some(failed) = failed {
            return Err(failed);
        }
        let saved = save(session, steps).await;
        session.inner.count(match &saved {
            Ok(()) => Count::Saved,
            Err(SessionError::Gone) => Count::SaveGone,
            Err(SessionError::Store(_)) => Count::SaveFailed,
            Err(_) => Count::Refused,
        });
        saved
    }
}

async fn save(session: &mut Session, steps: Vec<Step>) -> Result<(), SessionError> {
    let mut call = session.inner.using(&session.id, "");
    for step in &steps {
        call = call.arg(step.op.name()).arg(&step.field).arg(&step.value);
    }
    let reply = session.inner.store.call(&call).await?;
    let (verdict, rest) = script::verdict(&reply)?;
    match verdict {
        Verdict::Ok => {
            // With a change of another in between, what was loaded is not the whole of that version.
            let version = script::number(rest, 1)?;
            if version == session.version + 1 || mutant::lives(Mutant::S1) {
                session.version = version;
            }
            apply(session, steps, rest.get(2))
        }
        Verdict::Changed => {
            let field = rest.first().map(script::text).unwrap_or_default();
            match rest.get(1) {
                Some(Value::BulkString(now)) => _ = session.fields.insert(field.clone(), now.clone()),
                _ => _ = session.fields.remove(&field),
            }
            Err(SessionError::Changed { field })
        }
        Verdict::Large => Err(session.inner.too_large(rest)?),
        Verdict::Count => Err(SessionError::NotACounter {
            field: rest.first().map(script::text).unwrap_or_default(),
        }),
        Verdict::Full => Err(reply::unexpected("session_use").into()),
    }
}

/// Does to what was loaded what was done to what is stored.
fn apply(session: &mut Session, steps: Vec<Step>, results: Option<&Value>) -> Result<(), SessionError> {
    let mut results = match results {
        Some(Value::Array(results)) => results.iter(),
        _ => return Err(reply::unexpected("session_use").into()),
    };
    for Step { op, field, value } in steps {
        match op {
            Op::Is | Op::No => {}
            Op::Set => _ = session.fields.insert(field, value),
            Op::Del => _ = session.fields.remove(&field),
            Op::Add => {
                let result = results.next().ok_or_else(|| reply::unexpected("session_use"))?;
                session.fields.insert(field, script::bytes(result).to_vec());
            }
        }
    }
    Ok(())
}
