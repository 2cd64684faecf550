//! Carrying one connection through the weather.
//!
//! Each direction is a reader and a writer with a bounded queue between them, so that a delay lets later bytes set out
//! while earlier ones are on their way.

use std::{io, time::Duration};

use larder_base::Clock;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{mpsc, watch},
};

use super::weather::{Direction, Weather};

/// What is read at once.
const PART: usize = 16 * 1024;

/// Parts on their way in one direction: with [`PART`] a mebibyte, well above what a test asks for at once. A sender that is
/// ahead by more has to wait, as with a full socket.
const PARTS_MAX: usize = 64;

type Seen = watch::Receiver<Weather>;

/// Bytes, and when they have travelled long enough.
struct Part {
    due: Duration,
    bytes: Vec<u8>,
}

/// Why a connection is over.
enum Over {
    Closed,
    Reset,
}

/// Carries one connection, opened in the weather `born`, until its ends close it, or it is cut or reset.
pub(super) async fn carry(mut client: TcpStream, mut server: TcpStream, seen: Seen, born: Weather) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let over = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let ways = async {
            let requests = way(from_client, to_server, &born, seen.clone(), Direction::Requests);
            let replies = way(from_server, to_client, &born, seen.clone(), Direction::Replies);
            tokio::try_join!(requests, replies)
        };
        tokio::select! {
            ended = ways => after(ended.is_ok(), seen.clone()).await,
            over = told(seen.clone(), &born) => over,
        }
    };
    if matches!(over, Over::Reset) {
        client.set_zero_linger()?;
        server.set_zero_linger()?;
    }
    Ok(())
}

/// A black hole hides that the other end is gone, for as long as it is there.
async fn after(well: bool, mut seen: Seen) -> Over {
    let hidden = seen.borrow().swallows();
    if !hidden {
        return if well { Over::Closed } else { Over::Reset };
    }
    // An error means that the proxy is gone, and this task with it.
    let _ = seen.wait_for(|weather| !weather.swallows()).await;
    Over::Reset
}

/// Waits until the connection is to be cut or reset.
async fn told(mut seen: Seen, born: &Weather) -> Over {
    let changed = seen
        .wait_for(|now| now.cut != born.cut || now.reset != born.reset)
        .await;
    match changed {
        Ok(now) if now.reset != born.reset => Over::Reset,
        _ => Over::Closed,
    }
}

/// One direction, until its end has been passed on.
async fn way(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    born: &Weather,
    seen: Seen,
    direction: Direction,
) -> io::Result<()> {
    let (queue, parts) = mpsc::channel(PARTS_MAX);
    tokio::try_join!(
        read(from, queue, seen.clone(), direction),
        write(to, parts, born, seen, direction)
    )?;
    Ok(())
}

async fn read(
    mut from: ReadHalf<'_>,
    queue: mpsc::Sender<Part>,
    mut seen: Seen,
    direction: Direction,
) -> io::Result<()> {
    let clock = Clock::system();
    let mut buffer = vec![0; PART];
    loop {
        let read = from.read(&mut buffer).await;
        if seen.borrow().way(direction).swallow {
            return hole(from, seen, direction).await;
        }
        let read = read?;
        if read == 0 {
            return Ok(());
        }
        let part = Part {
            due: clock.monotonic() + seen.borrow_and_update().way(direction).delay,
            bytes: buffer[..read].to_vec(),
        };
        if queue.send(part).await.is_err() {
            // The writer has ended, and says why.
            return Ok(());
        }
    }
}

/// Swallows until the weather clears; the stream has a hole then, and cannot go on.
async fn hole(mut from: ReadHalf<'_>, mut seen: Seen, direction: Direction) -> io::Result<()> {
    let swallow = async {
        let mut buffer = vec![0; PART];
        while from.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = swallow => {}
        _ = seen.wait_for(|weather| !weather.way(direction).swallow) => {}
    }
    Err(io::ErrorKind::ConnectionReset.into())
}

async fn write(
    mut to: WriteHalf<'_>,
    mut parts: mpsc::Receiver<Part>,
    born: &Weather,
    mut seen: Seen,
    direction: Direction,
) -> io::Result<()> {
    let mut until_ended = seen.clone();
    let born = born.way(direction).ended;
    let ended = tokio::select! {
        delivered = deliver(&mut to, &mut parts, &mut seen, direction) => delivered.map(|()| false),
        _ = until_ended.wait_for(|weather| weather.way(direction).ended != born) => Ok(true),
    }?;
    to.shutdown().await?;
    if ended {
        // The sender does not know: it goes on, into the void.
        while parts.recv().await.is_some() {}
    }
    Ok(())
}

async fn deliver(
    to: &mut WriteHalf<'_>,
    parts: &mut mpsc::Receiver<Part>,
    seen: &mut Seen,
    direction: Direction,
) -> io::Result<()> {
    let clock = Clock::system();
    while let Some(part) = parts.recv().await {
        clock.sleep(part.due.saturating_sub(clock.monotonic())).await;
        pass(seen, direction).await?;
        let slices = seen.borrow().slices;
        let size = slices.map_or(part.bytes.len(), |slices| slices.bytes);
        for slice in part.bytes.chunks(size) {
            to.write_all(slice).await?;
            if let Some(slices) = slices {
                clock.sleep(slices.pause).await;
                tokio::task::yield_now().await;
            }
        }
    }
    // The end of the stream is held back like everything else.
    pass(seen, direction).await
}

/// Waits while this direction is held.
async fn pass(seen: &mut Seen, direction: Direction) -> io::Result<()> {
    match seen.wait_for(|weather| !weather.way(direction).hold).await {
        Ok(_) => Ok(()),
        Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
    }
}
