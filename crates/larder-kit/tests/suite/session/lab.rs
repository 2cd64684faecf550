//! The ground of every check: a topology, sessions on it, perhaps with a rule of a script left out.

use std::{pin::Pin, time::Duration};

use larder_kit::session::{Session, Sessions, SessionsBuilder};
use larder_store::Store;
use larder_testkit::{Kind, Topology, for_each_topology};

use crate::immortal::no_immortal_keys;

/// A check: fails by panicking.
pub(crate) type Check = for<'a> fn(&'a Lab) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// One place of one script written otherwise.
#[derive(Clone, Copy)]
pub(crate) struct Mutation {
    pub(crate) script: &'static str,
    pub(crate) text: &'static str,
    pub(crate) other: &'static str,
}

pub(crate) struct Lab {
    pub(crate) t: Topology,
    mutation: Option<Mutation>,
}

/// Idle time and absolute time of the lab's sessions, in units.
pub(crate) const IDLE: u32 = 8;
pub(crate) const ABSOLUTE: u32 = 20;

/// Longer than any test takes: for sessions that are not to end by time.
const LONG: Duration = Duration::from_secs(3_600);

impl Lab {
    /// Settings for sessions on `store` that do not end by time.
    pub(crate) fn builder(&self, store: &Store) -> SessionsBuilder {
        let builder = Sessions::builder("web").store(store).idle(LONG).absolute(LONG);
        match self.mutation {
            Some(Mutation { script, text, other }) => builder.mutant(script, text, other),
            None => builder,
        }
    }

    /// Sessions that do not end by time.
    pub(crate) async fn sessions(&self) -> Sessions {
        self.sessions_with(|builder| builder).await
    }

    pub(crate) async fn sessions_with(&self, set: impl FnOnce(SessionsBuilder) -> SessionsBuilder) -> Sessions {
        set(self.builder(&self.t.store().await))
            .build()
            .expect("the settings are good")
    }

    /// Sessions that end: after [`IDLE`] and [`ABSOLUTE`] units.
    pub(crate) async fn mortal(&self) -> Sessions {
        let (idle, absolute) = (self.t.units(IDLE), self.t.units(ABSOLUTE));
        self.sessions_with(|builder| builder.idle(idle).absolute(absolute))
            .await
    }

    /// Sessions of another process on the same store.
    pub(crate) async fn elsewhere(&self) -> Sessions {
        self.builder(&self.t.another_store().await)
            .build()
            .expect("the settings are good")
    }

    /// The keys that match the glob `pattern`.
    pub(crate) fn keys(&self, pattern: &str) -> Vec<String> {
        let keys = self.t.wire().call(&["KEYS", pattern]).expect("KEYS answers");
        keys.list().iter().map(larder_testkit::Answer::text).collect()
    }

    /// The one key that matches.
    pub(crate) fn key(&self, pattern: &str) -> String {
        let mut keys = self.keys(pattern);
        assert_eq!(keys.len(), 1, "{pattern}: {keys:?}");
        keys.remove(0)
    }

    /// The key of a session.
    pub(crate) fn key_of(&self, session: &Session) -> String {
        self.key(&format!("session:*:s:{}", session.reference()))
    }
}

/// The session of this cookie, which stands.
pub(crate) async fn standing(sessions: &Sessions, cookie: &str) -> Session {
    let loaded = sessions.load(cookie).await.expect("the store answers");
    loaded.expect("the session stands")
}

/// Whether the session of this cookie stands.
pub(crate) async fn stands(sessions: &Sessions, cookie: &str) -> bool {
    sessions.load(cookie).await.expect("the store answers").is_some()
}

pub(crate) fn cookie(session: &Session) -> String {
    session.id().reveal().to_owned()
}

/// Runs a check on every topology, and sees that no key is left without a TTL.
pub(crate) fn everywhere(check: Check) {
    for_each_topology(async |t: Topology| run(t, check, None).await);
}

/// Runs a check on the embedded engine, with a rule of a script left out; on this thread alone, as a rule of the library that is
/// left out concerns it alone.
pub(crate) fn with(mutation: Option<Mutation>, check: Check) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let work = async { run(Topology::start(Kind::Embedded).await, check, mutation).await };
    runtime.expect("a runtime can be built").block_on(work);
}

async fn run(t: Topology, check: Check, mutation: Option<Mutation>) {
    let lab = Lab { t, mutation };
    check(&lab).await;
    no_immortal_keys(&lab.t, 0);
}

/// Checks, each also a test on every topology.
macro_rules! checks {
    ($($(#[$doc:meta])* async fn $name:ident($lab:ident) $body:block)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name($lab: &$crate::session::lab::Lab) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>> {
            Box::pin(async move { $body })
        }
    )*
        #[cfg(test)]
        mod on_every_topology {
            $(
                #[test]
                fn $name() {
                    $crate::session::lab::everywhere(super::$name);
                }
            )*
        }
    };
}
pub(crate) use checks;
