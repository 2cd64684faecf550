//! What a service's log sees of a cache: spans of what it waits for, and no keys unless asked.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::{
    fmt::Write as _,
    io,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder::{Cache, Store};
use larder_testkit::RedisServer;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// Everything that was said, a line each.
static SAID: Mutex<String> = Mutex::new(String::new());

struct Listener(AtomicU64);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").expect("a string takes it");
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("larder")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut said = SAID.lock().unwrap();
        said.push_str(span.metadata().name());
        span.record(&mut Line(&mut said));
        said.push('\n');
        Id::from_u64(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut said = SAID.lock().unwrap();
        said.push_str("event");
        event.record(&mut Line(&mut said));
        said.push('\n');
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

async fn use_a_cache(server: &RedisServer) {
    let store = Store::open(&server.url()).await.unwrap();
    let users: Cache<String, u64> = Cache::builder("user")
        .store(&store)
        .ttl(Duration::from_secs(300))
        .build()
        .await
        .unwrap();
    let key = "private-key".to_owned();
    users
        .get_or_load(&key, || async { Ok::<_, io::Error>(7) })
        .await
        .unwrap();
    users
        .get_or_load_many(&["other".to_owned()], |_| async { Ok::<_, io::Error>(vec![]) })
        .await;
    users.invalidate(&key).await.unwrap();
    users.clear().await.unwrap();
}

/// One test, because a process has one subscriber, and one switch for keys.
#[tokio::test]
async fn spans_name_what_is_waited_for_and_keys_show_only_if_asked_for() {
    tracing::subscriber::set_global_default(Listener(AtomicU64::new(0))).unwrap();
    let server = RedisServer::start().await;
    use_a_cache(&server).await;
    let said = std::mem::take(&mut *SAID.lock().unwrap());
    for line in [
        "load namespace=user\n",
        "load namespace=user keys=1\n",
        "invalidate namespace=user count=1\n",
        "command=script:get\n",
        "command=script:fill\n",
        "command=script:inv\n",
    ] {
        assert!(said.contains(line), "{line} in\n{said}");
    }
    assert!(said.contains("event message=invalidating key=user:#"), "{said}");
    assert!(!said.contains("private-key"), "{said}");

    larder::show_keys(true);
    use_a_cache(&server).await;
    let said = SAID.lock().unwrap();
    assert!(said.contains("key=user:private-key"), "{said}");
}
