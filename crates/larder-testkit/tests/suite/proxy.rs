//! The proxy does what its methods say.

use std::time::Duration;

use larder_testkit::{Proxy, RedisServer, eventually};
use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Long against anything that a loopback does.
const SOON: Duration = Duration::from_secs(20);

async fn connect(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).expect("a good address");
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(SOON))
        .set_response_timeout(Some(SOON));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .expect("the server is up")
}

/// While replies are held back the server has done what was asked; while requests are, it has not.
#[tokio::test]
async fn what_is_held_back_arrives_late() -> anyhow::Result<()> {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await?;
    let mut through = connect(&proxy.url()).await;

    proxy.hold_replies();
    let set = tokio::spawn({
        let mut through = through.clone();
        async move { through.set::<_, _, ()>("k", "1").await }
    });
    eventually(SOON, async || server.cli(&["GET", "k"]) == "1").await;
    assert!(!set.is_finished());
    proxy.let_pass();
    set.await??;

    proxy.hold_requests();
    let set = tokio::spawn({
        let mut through = through.clone();
        async move { through.set::<_, _, ()>("k", "2").await }
    });
    tokio::task::yield_now().await;
    assert_eq!(server.cli(&["GET", "k"]), "1");
    proxy.let_pass();
    set.await??;
    assert_eq!(through.get::<_, String>("k").await?, "2");
    Ok(())
}

#[tokio::test]
async fn a_cut_ends_connections_and_a_refusal_keeps_new_ones_out() -> anyhow::Result<()> {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await?;
    let mut through = connect(&proxy.url()).await;
    proxy.refuse(true);
    assert_eq!(through.exists::<_, u64>("k").await?, 0);
    proxy.cut();
    assert!(through.exists::<_, u64>("k").await.is_err());
    assert!(
        redis::Client::open(proxy.url())?
            .get_multiplexed_async_connection()
            .await
            .is_err()
    );
    proxy.refuse(false);
    assert_eq!(connect(&proxy.url()).await.exists::<_, u64>("k").await?, 0);
    Ok(())
}

/// Both ends of one connection through a proxy, bare.
struct Line {
    proxy: Proxy,
    client: TcpStream,
    server: TcpStream,
}

async fn line() -> anyhow::Result<Line> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = Proxy::start(listener.local_addr()?.port()).await?;
    let client = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    let (server, _) = listener.accept().await?;
    Ok(Line { proxy, client, server })
}

/// What arrives next; empty at the end of the stream.
async fn arrives(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 1024];
    let read = tokio::time::timeout(SOON, stream.read(&mut buffer)).await??;
    buffer.truncate(read);
    Ok(buffer)
}

/// Whether nothing arrives for a moment: the kernel needs microseconds.
async fn silent(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    tokio::time::timeout(Duration::from_millis(50), stream.peek(&mut byte))
        .await
        .is_err()
}

#[tokio::test]
async fn a_reset_is_an_error_on_both_ends() -> anyhow::Result<()> {
    let mut line = line().await?;
    line.proxy.reset();
    for end in [&mut line.client, &mut line.server] {
        let error = arrives(end).await.expect_err("a close would be the end of the stream");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    eventually(SOON, async || line.proxy.connections() == 0).await;
    Ok(())
}

#[tokio::test]
async fn a_half_close_ends_one_direction_alone() -> anyhow::Result<()> {
    let mut line = line().await?;
    line.proxy.end_replies();
    assert_eq!(arrives(&mut line.client).await?, b"");
    line.client.write_all(b"still here").await?;
    assert_eq!(arrives(&mut line.server).await?, b"still here");
    line.server.write_all(b"unheard").await?;
    assert_eq!(arrives(&mut line.client).await?, b"");
    line.proxy.end_requests();
    assert_eq!(arrives(&mut line.server).await?, b"");
    Ok(())
}

/// One direction is silent and the other is not; what fell in is not made up for, so the line breaks when it clears.
#[tokio::test]
async fn a_black_hole_swallows_one_direction() -> anyhow::Result<()> {
    let mut line = line().await?;
    line.proxy.swallow_replies();
    line.client.write_all(b"ask").await?;
    assert_eq!(arrives(&mut line.server).await?, b"ask");
    line.server.write_all(b"answer").await?;
    assert!(silent(&mut line.client).await);
    line.server.shutdown().await?;
    assert!(
        silent(&mut line.client).await,
        "nor does it hear that the server has closed"
    );
    line.proxy.normal();
    assert!(
        arrives(&mut line.client).await.is_err(),
        "a stream with a hole does not go on"
    );

    let mut line = self::line().await?;
    line.proxy.swallow_requests();
    line.client.write_all(b"ask").await?;
    assert!(silent(&mut line.server).await);
    line.server.write_all(b"push").await?;
    assert_eq!(arrives(&mut line.client).await?, b"push");
    Ok(())
}

#[tokio::test]
async fn a_black_hole_that_nothing_fell_into_leaves_no_trace() -> anyhow::Result<()> {
    let mut line = line().await?;
    line.proxy.swallow_replies();
    line.client.write_all(b"ask").await?;
    assert_eq!(arrives(&mut line.server).await?, b"ask");
    line.proxy.normal();
    line.server.write_all(b"answer").await?;
    assert_eq!(arrives(&mut line.client).await?, b"answer");
    Ok(())
}

#[tokio::test]
async fn slices_arrive_one_by_one() -> anyhow::Result<()> {
    let mut line = line().await?;
    let sent: Vec<u8> = (0..101).collect();
    line.proxy.slice(2, Duration::from_millis(5));
    line.client.write_all(&sent).await?;
    let mut slices = 0;
    let mut text = Vec::new();
    while text.len() < sent.len() {
        text.extend(arrives(&mut line.server).await?);
        slices += 1;
    }
    assert_eq!(text, sent);
    assert!(slices > 1, "a busy machine may merge some of the fifty, never all");
    Ok(())
}

#[tokio::test]
async fn a_delay_keeps_the_order_and_concerns_one_direction() -> anyhow::Result<()> {
    let mut line = line().await?;
    line.proxy.delay_requests(Duration::from_millis(1_500));
    line.client.write_all(b"one").await?;
    assert!(silent(&mut line.server).await);
    line.client.write_all(b"two").await?;
    line.server.write_all(b"back").await?;
    assert_eq!(arrives(&mut line.client).await?, b"back");
    let mut text = [0; 6];
    tokio::time::timeout(SOON, line.server.read_exact(&mut text)).await??;
    assert_eq!(&text, b"onetwo");
    Ok(())
}

/// A sender that nobody reads from has to wait: the proxy holds a mebibyte, not everything.
#[tokio::test]
async fn what_waits_in_the_proxy_is_bounded() -> anyhow::Result<()> {
    const TRIED: usize = 64 << 20;
    let mut line = line().await?;
    line.proxy.hold_requests();
    let mut sent = 0;
    let send = async {
        let block = vec![7; 1 << 16];
        while sent < TRIED {
            sent += line.client.write(&block).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(1), send).await.is_err(),
        "it took everything"
    );
    line.proxy.let_pass();
    let mut received = 0;
    while received < sent {
        received += arrives(&mut line.server).await?.len();
    }
    assert_eq!(received, sent, "and lost nothing of it");
    Ok(())
}

#[tokio::test]
async fn new_connections_go_where_it_points() -> anyhow::Result<()> {
    let (old, new) = (RedisServer::start().await, RedisServer::start().await);
    let proxy = Proxy::start(old.port()).await?;
    let mut before = connect(&proxy.url()).await;
    proxy.point_at(new.port());
    connect(&proxy.url()).await.set::<_, _, ()>("k", "new").await?;
    before.set::<_, _, ()>("k", "old").await?;
    assert_eq!(
        (old.cli(&["GET", "k"]), new.cli(&["GET", "k"])),
        ("old".into(), "new".into())
    );
    Ok(())
}

#[tokio::test]
async fn dropping_it_closes_every_connection() -> anyhow::Result<()> {
    let Line {
        proxy,
        mut client,
        mut server,
    } = line().await?;
    drop(proxy);
    assert_eq!(arrives(&mut client).await?, b"");
    assert_eq!(arrives(&mut server).await?, b"");
    Ok(())
}
