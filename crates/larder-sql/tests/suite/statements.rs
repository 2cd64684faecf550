//! How many statements reach a database: the driver tells of every one.

use std::sync::{Mutex, OnceLock};

use tracing::{Event, Level, Subscriber, field::Visit};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Starts to listen; statements that ran before are not counted.
pub(crate) fn listen() {
    static LISTENING: OnceLock<()> = OnceLock::new();
    LISTENING.get_or_init(|| tracing_subscriber::registry().with(Statements).init());
}

/// How many statements since [`listen`] had `part` in their text.
pub(crate) fn count(part: &str) -> usize {
    let seen = SEEN.lock().expect("nobody panics with it");
    seen.iter().filter(|statement| statement.contains(part)).count()
}

struct Statements;

impl<S: Subscriber> Layer<S> for Statements {
    fn enabled(&self, about: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        about.target() == "sqlx::query" && *about.level() <= Level::DEBUG
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        SEEN.lock().expect("nobody panics with it").push(text.0);
    }
}

struct Text(String);

impl Visit for Text {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        if matches!(field.name(), "db.statement" | "summary") {
            self.0.push_str(value);
        }
    }

    fn record_debug(&mut self, _: &tracing::field::Field, _: &dyn std::fmt::Debug) {}
}
