//! Opening the sockets that a server listens on.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixStream, lookup_host};

use super::ServeConfig;

/// Connections that the kernel completes before they are accepted, as `tcp-backlog` of Redis.
const BACKLOG: u32 = 511;

/// A Unix socket whose file goes with it.
#[derive(Debug)]
pub(super) struct UnixSocket {
    pub(super) listener: UnixListener,
    pub(super) path: PathBuf,
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // Somebody may have removed it already: then there is nothing to do.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The TCP sockets that the configuration asks for.
pub(super) async fn tcp(config: &ServeConfig) -> io::Result<Vec<TcpListener>> {
    let mut addresses = config.bind.clone();
    if addresses.is_empty() && config.unix.is_none() {
        addresses.push(ServeConfig::DEFAULT_BIND.into());
    }
    let mut listeners = Vec::new();
    for address in &addresses {
        for resolved in lookup_host(address).await.map_err(|error| explain(address, &error))? {
            protect(config, address, resolved)?;
            listeners.push(open(resolved).map_err(|error| explain(address, &error))?);
        }
    }
    Ok(listeners)
}

/// Whoever reaches a server without a password owns it: as Redis's protected mode, refuse to be reached.
fn protect(config: &ServeConfig, address: &str, resolved: SocketAddr) -> io::Result<()> {
    if config.unprotected || config.password.is_some() || resolved.ip().is_loopback() {
        return Ok(());
    }
    let text = format!(
        "other machines can reach {address} and there is no password; set one with `requirepass`, \
         bind a loopback address, or say `unprotected`"
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // So that a restart need not wait for the old connections' TIME_WAIT.
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it: a client whose machine vanished is noticed in the end.
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn explain(address: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
}

/// The Unix socket that the configuration asks for. A file left by a server that is gone is replaced.
pub(super) async fn unix(config: &ServeConfig) -> io::Result<Option<UnixSocket>> {
    let Some(path) = &config.unix else {
        return Ok(None);
    };
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path).await => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    };
    let listener = listener.map_err(|error| explain(&path.display().to_string(), &error))?;
    let path = path.clone();
    Ok(Some(UnixSocket { listener, path }))
}

async fn is_abandoned(path: &Path) -> bool {
    let refused = UnixStream::connect(path).await;
    refused.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
