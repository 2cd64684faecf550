//! A change that the database refuses: read, repaired and replayed from the command line, while the others flow.

use larder_testkit::eventually;
use serde_json::json;

use super::desk::{Desk, NAMESPACE, SOON, Server, named};

/// Has the database refuse `name = 'poison'`, and accept it again.
struct Cause {
    begin: &'static str,
    end: &'static str,
}

const OF_POSTGRES: Cause = Cause {
    begin: "ALTER TABLE users ADD CONSTRAINT clean CHECK (name <> 'poison')",
    end: "ALTER TABLE users DROP CONSTRAINT clean",
};

const OF_SQLITE: Cause = Cause {
    begin: "CREATE TRIGGER clean BEFORE INSERT ON users WHEN NEW.name = 'poison' \
            BEGIN SELECT RAISE(ABORT, 'CHECK clean: no poison'); END",
    end: "DROP TRIGGER clean",
};

async fn a_poison_row_is_tended(desk: Desk, cause: Cause) {
    desk.run(cause.begin).await;
    let service = desk.service::<u64>(|behind| behind).await;
    for id in 0..40 {
        let name = if id == 17 { "poison" } else { "fine" };
        service.put(&id, named(name)).await.expect("is accepted");
    }
    let worker = desk.worker(&[]).await;
    desk.comes_to("SELECT count(*) FROM users", 39).await;
    eventually(SOON, async || service.lag().await.expect("answers").dead_letters == 1).await;
    worker.says("dead letter ").await;
    worker.says("larder dlq show ").await;

    let [id] = desk.letters().try_into().expect("one");
    let listed = desk.dlq("list", &[]).ended(0);
    assert!(
        listed.out.contains(&id) && listed.out.contains("clean"),
        "{}",
        listed.out
    );
    let shown = desk.dlq("show", &[&id]).ended(0);
    for part in ["key    17", "what   put", "clean", r#"{"name":"poison"}"#] {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }
    let letter = &desk.dlq("show", &["--json", &id]).ended(0).json()["letters"][0];
    assert_eq!(
        (&letter["key"], &letter["value"]),
        (&json!("17"), &json!({"name": "poison"})),
        "{letter}"
    );

    // Refused again it is kept.
    let refused = desk
        .larder(&["dlq", "replay", "--namespace", NAMESPACE], &[&id])
        .ended(1);
    refused.says(&[&id, "clean", "refused again, and kept"]);
    assert_eq!(desk.letters(), std::slice::from_ref(&id));

    desk.run(cause.end).await;
    let document = desk
        .larder(&["dlq", "replay", "--namespace", NAMESPACE], &["--all", "--json"])
        .ended(0)
        .json();
    assert_eq!(document["replayed"], json!([id]), "{document}");
    assert_eq!(desk.name(17).await.as_deref(), Some("poison"));
    assert_eq!(desk.letters(), Vec::<String>::new());
    desk.dlq("list", &[]).ended(0).says(&["no dead letters"]);
    // A service reads it, too: what it had cached of the row is gone.
    let read = service.get(&17).await.expect("reads").expect("it is there");
    assert_eq!(
        *read,
        json!({"id": 17, "name": "poison"})
            .as_object()
            .expect("an object")
            .clone()
    );
    desk.larder(&["dlq", "replay", "--namespace", NAMESPACE], &[&id])
        .ended(1)
        .says(&["no dead letter", &id]);
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_row_of_postgres_is_tended() {
    a_poison_row_is_tended(Desk::postgres(Server::redis().await).await, OF_POSTGRES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_row_of_sqlite_is_tended() {
    a_poison_row_is_tended(Desk::sqlite(Server::larder()).await, OF_SQLITE).await;
}

/// What was written after a change that died stands, when that is replayed.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_keeps_its_place_among_the_writes_of_its_key() {
    let desk = Desk::sqlite(Server::redis().await).await;
    desk.run(OF_SQLITE.begin).await;
    let service = desk.service::<u64>(|behind| behind).await;
    let once = || desk.larder(&["worker", "--namespace", NAMESPACE], &["--once"]).ended(0);
    service.put(&1, named("poison")).await.expect("is accepted");
    once();
    service.put(&1, named("newer")).await.expect("is accepted");
    once();
    desk.run(OF_SQLITE.end).await;
    desk.larder(&["dlq", "replay", "--namespace", NAMESPACE], &["--all"])
        .ended(0);
    assert_eq!(desk.name(1).await.as_deref(), Some("newer"));
    assert_eq!(desk.letters(), Vec::<String>::new());
}

/// A key or a value that clears the screen of whoever looks at it would hide what it is.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_keys_and_values_are_shown_without_what_steers_a_terminal() {
    let mut desk = Desk::postgres(Server::redis().await).await;
    desk.run("CREATE TABLE notes (id text PRIMARY KEY, name text)").await;
    desk.run(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no %', NEW.id; END $$; \
              CREATE TRIGGER no BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION no(); \
              UPDATE larder_tables SET namespace = 'other'",
    )
    .await;
    desk.table = "notes".to_owned();
    desk.larder(&["sql", "prepare"], &["--namespace", NAMESPACE]).ended(0);
    let service = desk.service::<String>(|behind| behind).await;
    let hostile = [
        "\u{1b}[2J\u{9b}31m",
        "a\r\nb",
        "\u{202e}gnp.exe",
        "'; DROP TABLE notes; --",
        "\0",
        "1",
        "2",
    ];
    for key in hostile {
        service.put(&key.to_owned(), named(key)).await.expect("is accepted");
    }
    let worker = desk.worker(&[]).await;
    let letters = || desk.letters().len();
    eventually(SOON, async || letters() == hostile.len()).await;
    let (_, said) = worker.end();
    let ids = desk.letters();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let shown = desk.dlq("show", &ids).ended(0).out;
    let listed = desk.dlq("list", &[]).ended(0).out;
    for text in [&said, &shown, &listed] {
        let steers = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}');
        assert!(!text.contains(steers), "{text:?}");
    }
    assert_eq!(listed.lines().count(), hostile.len(), "a letter is a line: {listed}");
    let documents = desk.dlq("show", &[&["--json"], &ids[..]].concat()).ended(0).json();
    let values: Vec<&str> = documents["letters"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|letter| letter["value"]["name"].as_str())
        .collect();
    assert!(
        hostile.iter().all(|key| values.contains(key)),
        "programs read them as they are: {documents}"
    );

    let dropped = desk.dlq("drop", &[ids[0], "63-9-9"]).ended(1);
    dropped.says(&["no dead letter 63-9-9"]);
    assert_eq!(letters(), hostile.len() - 1);
    let document = desk.dlq("drop", &["--all", "--json"]).ended(0).json();
    assert_eq!(
        document["dropped"].as_array().map(Vec::len),
        Some(hostile.len() - 1),
        "{document}"
    );
    assert_eq!(letters(), 0);
    assert_eq!(desk.count("SELECT count(*) FROM notes").await, 0);
}
