//! `larder shell`: lines in, replies out, one connection.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
};

use larder_testkit::RedisServer;
use rustix::process::Signal;

use crate::run::{command, larder, larder_fed, signal};

#[tokio::test]
async fn lines_are_commands_on_one_connection() {
    let server = RedisServer::start().await;
    let input = b"SET s 'two words'\r\nget s\n\nSELECT 3\nSET \xff \"\\x01\"\nDBSIZE\nEXIT\nSET late 1\n";
    let run = larder_fed(&["shell", "--store", &server.url()], input).ended(0);
    assert_eq!(run.out, "OK\ntwo words\nOK\nOK\n1\n");
    assert_eq!(
        server.cli(&["-n", "3", "EXISTS", "late"]),
        "0",
        "nothing runs after exit"
    );
}

/// What the other commands of a transaction did must be seen although one failed.
#[tokio::test]
async fn a_transaction_prints_every_result() {
    let server = RedisServer::start().await;
    let input = "MULTI\nSET s text\nINCR s\nINCR n\nEXEC\n";
    let run = larder_fed(&["shell", "--store", &server.url()], input).ended(0);
    let results = "OK\nERR value is not an integer or out of range\n\n1\n";
    assert_eq!(run.out, format!("OK\nQUEUED\nQUEUED\nQUEUED\n{results}"));
}

#[tokio::test]
async fn a_line_that_fails_is_reported_and_the_next_one_is_read() {
    let server = RedisServer::start().await;
    let input = "nonsense 1\nget \"open\nSUBSCRIBE news\nPING";
    let run = larder_fed(&["shell", "--store", &server.url()], input).ended(0);
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(
        lines[0].starts_with("(error) ERR unknown command 'nonsense'"),
        "{lines:#?}"
    );
    assert_eq!(lines[1], "(error) unbalanced quotes");
    assert!(lines[2].starts_with("(error) SUBSCRIBE is refused"), "{lines:#?}");
    assert!(lines[2].ends_with("use redis-cli for SUBSCRIBE"), "{lines:#?}");
    assert_eq!(lines[3], "PONG", "the last line needs no end");
}

#[tokio::test]
async fn a_server_that_dies_ends_it_with_a_cause() {
    let server = RedisServer::start().await;
    let run = larder_fed(&["shell", "--store", &server.url()], "PING\nSHUTDOWN NOSAVE\nPING\n").ended(1);
    assert_eq!(run.out, "PONG\n");
    run.says(&["error:", &format!("127.0.0.1:{}", server.port())]);
}

/// A program that talks to a shell waits for each answer before it goes on.
#[tokio::test]
async fn each_line_is_answered_while_the_pipe_stays_open_and_sigterm_ends_it() {
    let server = RedisServer::start().await;
    let mut child = command(&["shell", "--store", &server.url()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
    for (line, answer) in [("PING\n", "PONG\n"), ("ECHO again\n", "again\n")] {
        stdin.write_all(line.as_bytes()).expect("it reads");
        let mut answered = String::new();
        stdout.read_line(&mut answered).expect("text");
        assert_eq!(answered, answer);
    }
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
}

#[test]
fn a_shell_is_no_document() {
    larder(&["shell", "--json", "--store", "redis://127.0.0.1:1"])
        .ended(2)
        .says(&["hint:", "larder exec --json"]);
}
