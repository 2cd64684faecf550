//! Ports for servers that come and go.

use std::{net::TcpListener, ops::Range};

use larder_base::Random;

/// Ports that the kernel gives to nobody who asks for any: Linux takes those from 32,768 on, for outgoing connections too.
/// One of these stays free while its server is down between two lives, and a client that tries it again and again is not
/// connected to itself. So does the one 10,000 above, which a server in cluster mode takes as well.
const PORTS: Range<u16> = 10_000..22_000;

/// Between choosing a free port and the server's taking it another process may take it. Five in a row means
/// that something else is wrong.
pub(crate) const PORTS_TRIED_MAX: u32 = 5;

/// A loopback port that nothing listens on at this moment.
pub(crate) fn free_port() -> u16 {
    let random = Random::system();
    let any = || PORTS.start + random.below(PORTS.len() as u64) as u16;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(any)
        .take(PORTS.len())
        .find(is_free)
        .expect("loopback has a free port")
}
