//! Replies, invalidations and messages reach a client in the order in which things happened.

use super::common::{Raw, serve};
use larder_engine::{Engine, serve::ServeConfig};

/// What the heartbeat of a near tier rests on.
#[tokio::test]
async fn an_invalidation_of_an_earlier_write_precedes_a_later_pong() {
    let (_server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let mut reader = Raw::connect(port).await;
    let mut writer = Raw::connect(port).await;
    reader.ask("HELLO 3").await;
    reader.ask("CLIENT TRACKING ON NOLOOP").await;
    let invalidation = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
    for i in 0..200 {
        assert_ne!(reader.ask("GET k").await, "", "tracked from now on");
        writer.send(format!("SET k {i}\r\n")).await;
        assert_eq!(writer.until("\r\n").await, "+OK\r\n");
        assert_eq!(
            reader.ask("PING").await,
            format!("{invalidation}+PONG\r\n"),
            "round {i}"
        );
    }
}

#[tokio::test]
async fn what_a_command_causes_for_its_own_client_follows_its_reply() {
    let (_server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let mut raw = Raw::connect(port).await;
    raw.ask("HELLO 3").await;
    raw.ask("SUBSCRIBE c").await;
    assert_eq!(
        raw.ask("PUBLISH c x\r\nECHO y").await,
        ":1\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n$1\r\ny\r\n"
    );
    raw.ask("CLIENT TRACKING ON").await;
    raw.ask("GET k").await;
    assert_eq!(
        raw.ask("SET k 1").await,
        "+OK\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
    );
}

#[tokio::test]
async fn an_idle_subscriber_is_sent_messages_at_once_and_in_order() {
    let (_server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let mut subscriber = Raw::connect(port).await;
    let mut publisher = Raw::connect(port).await;
    subscriber.ask("SUBSCRIBE c").await;
    let mut expected = String::new();
    for i in 1_000..2_000 {
        publisher.send(format!("PUBLISH c {i}\r\n")).await;
        expected += &format!("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\n{i}\r\n");
    }
    assert_eq!(subscriber.until("1999\r\n").await, expected);
}

#[tokio::test]
async fn silenced_replies_do_not_silence_messages() {
    let (_server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let mut raw = Raw::connect(port).await;
    raw.ask("HELLO 3").await;
    raw.ask("SUBSCRIBE c").await;
    let answer = raw.ask("CLIENT REPLY OFF\r\nPUBLISH c x\r\nCLIENT REPLY ON").await;
    assert_eq!(answer, ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n+OK\r\n");
}

#[tokio::test]
async fn a_pipeline_is_answered_in_order_however_long_it_is() {
    const COMMANDS: usize = 20_000;
    let (_server, port) = serve(&Engine::new(), ServeConfig::new()).await;
    let mut raw = Raw::connect(port).await;
    let value = "v".repeat(500);
    raw.ask(&format!("SET k {value}")).await;
    // Replies of ten megabytes and more, which the client begins to read only when it has sent everything.
    let pipeline = "INCR n\r\nGET k\r\n".repeat(COMMANDS);
    raw.send(pipeline).await;
    let expected: String = (1..=COMMANDS).map(|n| format!(":{n}\r\n$500\r\n{value}\r\n")).collect();
    let answer = raw.until(&format!(":{COMMANDS}\r\n$500\r\n{value}\r\n")).await;
    assert!(
        answer == expected,
        "{} bytes instead of {}",
        answer.len(),
        expected.len()
    );
}
