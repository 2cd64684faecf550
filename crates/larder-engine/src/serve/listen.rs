//! Opening the sockets that a server listens on.

use std::{
    io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixStream, lookup_host};

use super::ServeConfig;

/// Why a server cannot listen where it was told to: the cause within the [`io::Error`] of
/// [`Server::start`](super::Server::start), with the kind that the system gave it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Other machines can reach the address, and no password keeps them out.
    #[error(
        "other machines can reach {address} and there is no password; set one with `requirepass`, bind a loopback address, \
         or say `unprotected`"
    )]
    Exposed {
        /// What was asked for.
        address: String,
    },
    /// A TCP address that is taken, or none of this machine, or not an address.
    #[error("cannot listen on {address}: {why}")]
    Tcp {
        /// What was asked for.
        address: String,
        /// What the system said.
        why: io::Error,
    },
    /// A path at which no Unix socket can be made.
    #[error("cannot listen on {}: {why}", path.display())]
    Unix {
        /// What was asked for.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
}

impl ListenError {
    /// The cause of what [`Server::start`](super::Server::start) returned, if it is one of these.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<ListenError> for io::Error {
    fn from(error: ListenError) -> Self {
        let kind = match &error {
            ListenError::Exposed { .. } => io::ErrorKind::PermissionDenied,
            ListenError::Tcp { why, .. } | ListenError::Unix { why, .. } => why.kind(),
        };
        Self::new(kind, error)
    }
}

/// Connections that the kernel completes before they are accepted, as `tcp-backlog` of Redis.
const BACKLOG: u32 = 511;

/// A Unix socket whose file goes with it.
#[derive(Debug)]
pub(super) struct UnixSocket {
    pub(super) listener: UnixListener,
    pub(super) path: PathBuf,
    file: FileId,
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // Somebody may have removed it already, or put something else there, which is not ours to remove. The
        // listener is still open and holds its inode, so no other file can have the same number.
        if FileId::of(&self.path).is_ok_and(|found| found == self.file) {
            // If it cannot be removed, the next server finds it abandoned.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Tells a file from another that has taken its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::symlink_metadata(path)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
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
        let failed = |why| ListenError::Tcp {
            address: address.clone(),
            why,
        };
        for resolved in lookup_host(address).await.map_err(failed)? {
            protect(config, address, resolved)?;
            listeners.push(open(resolved).map_err(failed)?);
        }
    }
    Ok(listeners)
}

/// Whoever reaches a server without a password owns it: as Redis's protected mode, refuse to be reached.
fn protect(config: &ServeConfig, address: &str, resolved: SocketAddr) -> Result<(), ListenError> {
    if config.unprotected || config.password.is_some() || resolved.ip().is_loopback() {
        return Ok(());
    }
    let address = address.to_owned();
    Err(ListenError::Exposed { address })
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

/// The Unix socket that the configuration asks for. A socket left by a server that is gone is replaced.
pub(super) async fn unix(config: &ServeConfig) -> io::Result<Option<UnixSocket>> {
    let Some(path) = &config.unix else {
        return Ok(None);
    };
    let failed = |why| ListenError::Unix {
        path: path.clone(),
        why,
    };
    Ok(Some(bind_unix(path).await.map_err(failed)?))
}

async fn bind_unix(path: &Path) -> io::Result<UnixSocket> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_abandoned(path, error).await?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    Ok(UnixSocket {
        listener,
        path: path.to_owned(),
        file: FileId::of(path)?,
    })
}

/// Removes a socket that nobody listens on. Anything else stays: connecting to an ordinary file is refused just as
/// connecting to a dead socket is, and the file may be somebody's only copy.
async fn remove_abandoned(path: &Path, in_use: io::Error) -> io::Result<()> {
    if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
        let text = "the path exists and is not a socket; choose another, or move what is there away";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    let refused = UnixStream::connect(path).await;
    if refused.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
        std::fs::remove_file(path)
    } else {
        Err(in_use)
    }
}
