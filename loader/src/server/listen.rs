//! Where a loader listens: the address, and the listener that it becomes.

use mixfeed_ops::address::{self, AddressError};
use mixfeed_ops::grpc::{Listener, Reach};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tokio::net::{TcpListener, UnixListener};

/// Where to listen: `host:port`, or `unix:///path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// TCP; port 0 picks a free one.
    Tcp(SocketAddr),
    /// A Unix socket, made anew and removed at the end.
    Unix(PathBuf),
}

/// Text that is no place to listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// It is none of TCP's.
    #[error("{0}; or unix:///path for a socket")]
    Address(#[from] AddressError),
    /// The path of a socket has no root.
    #[error(
        "`{0}` is no address to listen on: the path of a socket is absolute, as in unix:///run/loader.sock"
    )]
    Path(String),
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        if let Some(path) = text.strip_prefix("unix://") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err(ListenError::Path(text.into()))
            };
        }
        Ok(Self::Tcp(address::listen(text)?))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl Listen {
    /// Who can reach it.
    pub(crate) fn reach(&self) -> Reach {
        match self {
            Self::Tcp(address) => Reach::of(*address),
            Self::Unix(_) => Reach::Socket,
        }
    }

    /// Takes the address; it comes back with the port that was picked.
    pub(super) async fn bind(&self) -> std::io::Result<(Listener, Self)> {
        match self {
            Self::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                let bound = listener.local_addr()?;
                Ok((Listener::Tcp(listener), Self::Tcp(bound)))
            }
            Self::Unix(path) => {
                // A socket that nobody listens on any more is replaced; one in use is not.
                if std::os::unix::net::UnixStream::connect(path).is_ok() {
                    return Err(std::io::ErrorKind::AddrInUse.into());
                }
                remove(path);
                Ok((Listener::Unix(UnixListener::bind(path)?), self.clone()))
            }
        }
    }
}

/// Removes a socket, and nothing but a socket.
#[allow(clippy::disallowed_methods)]
pub(super) fn remove(path: &Path) {
    use std::os::unix::fs::FileTypeExt as _;
    if std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket()) {
        drop(std::fs::remove_file(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_listen_are_read() {
        assert_eq!("127.0.0.1:0".parse::<Listen>().unwrap().to_string(), "127.0.0.1:0");
        assert_eq!("[::1]:5".parse::<Listen>().unwrap().to_string(), "[::1]:5");
        assert_eq!("unix:///run/x.sock".parse::<Listen>().unwrap().to_string(), "unix:///run/x.sock");
        let local = "localhost:50051".parse::<Listen>().unwrap().to_string();
        assert!(local.ends_with(":50051") && !local.contains("localhost"), "{local}");
        for wrong in ["", "50051", ":50051", "localhost", "unix://relative", "127.0.0.1"] {
            let error = wrong.parse::<Listen>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{wrong}` is no address to listen on: ")), "{error}");
        }
    }
}
