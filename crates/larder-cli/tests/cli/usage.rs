//! Wrong usage exits 2 and says what to do.

use std::process::Stdio;

use crate::run::{command, finish, larder};

#[test]
fn no_command_and_unknown_flags_are_wrong_usage() {
    larder(&[]).ended(2).says(&["Usage"]);
    larder(&["demo", "--colour"]).ended(2).says(&["--colour"]);
    larder(&["demo", "--users", "0"]).ended(2).says(&["--users"]);
    larder(&["demo", "--load-delay", "2"]).ended(2).says(&["such as 2s"]);
    larder(&["demo", "--db", "x.db"]).ended(2).says(&["--table"]);
}

#[test]
fn an_unknown_scene_is_wrong_usage_and_lists_the_known_ones() {
    larder(&["demo", "--scene", "warm,hot"])
        .ended(2)
        .says(&["`hot`", "hint:", "cold, warm"]);
}

#[test]
fn help_and_version_are_success() {
    assert!(larder(&["--help"]).ended(0).out.contains("demo"));
    assert!(larder(&["demo", "--help"]).ended(0).out.contains("--load-delay"));
    assert!(larder(&["--version"]).ended(0).out.starts_with("larder "));
}

#[test]
fn an_unreachable_store_is_a_failure_with_address_cause_and_hint() {
    // Port 1 is reserved and refuses at once.
    let failed = larder(&["demo", "--store", "redis://127.0.0.1:1"]).ended(1);
    failed.says(&["error:", "127.0.0.1:1", "refused", "hint:"]);
}

#[test]
fn a_failure_under_json_is_a_document_too() {
    let failed = larder(&["demo", "--json", "--scene", "nothing"]).ended(2);
    let document = failed.json();
    assert!(
        document["error"][0]
            .as_str()
            .is_some_and(|error| error.contains("`nothing`")),
        "{document}"
    );
    assert!(document["hint"].is_string(), "{document}");
}

#[test]
fn the_scenes_are_listed_as_text_and_as_json() {
    let text = larder(&["demo", "--list"]).ended(0).out;
    for scene in [
        "cold",
        "warm",
        "batch",
        "stampede",
        "race",
        "through",
        "around",
        "behind",
        "outage",
        "tags",
        "counters",
        "lock",
        "limit",
        "transaction",
        "pipeline",
        "sessions",
        "leaderboard",
        "queue",
        "timeline",
        "ttl",
        "plain",
    ] {
        assert!(text.lines().any(|line| line.starts_with(scene)), "{scene} is in {text}");
    }
    let listed = larder(&["demo", "--list", "--json"]).ended(0).json();
    assert_eq!(listed["scenes"].as_array().map(Vec::len), Some(text.lines().count()));
}

#[test]
fn a_store_url_that_cannot_be_meant_is_wrong_usage() {
    larder(&["demo", "--store", "http://127.0.0.1"])
        .ended(2)
        .says(&["redis://"]);
    larder(&["demo", "--store", "redis+cluster://127.0.0.1"])
        .ended(2)
        .says(&["not built yet"]);
    for command in ["demo", "verify", "health"] {
        larder(&[command, "--store", "foo"])
            .ended(2)
            .says(&["--store", "redis://", "names none"]);
    }
}

#[test]
fn wrong_usage_under_json_is_a_document_too() {
    let refused = larder(&["serve", "--maxclients", "0", "--json"]).ended(2);
    let said = refused.json()["error"][0].to_string();
    assert!(said.contains("--maxclients"), "{said}");
    let help = larder(&["serve", "--help", "--json"]).ended(0);
    assert!(help.out.contains("Usage: larder serve"), "{help:#?}");
}

#[test]
fn output_that_cannot_be_written_is_a_failure_and_a_reader_that_left_is_none() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let mut list = command(&["demo", "--list"]);
    finish(list.stdout(full).stdin(Stdio::null()))
        .ended(1)
        .says(&["could not be written", "hint:"]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut list = command(&["demo", "--list"]);
    finish(list.stdout(writer).stdin(Stdio::null())).ended(0);
}
