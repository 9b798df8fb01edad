//! Where a loader listens: the address, and the listener that it becomes.

use mixfeed_ops::address::{self, AddressError};
use mixfeed_ops::grpc::{Listener, Reach};
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
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
        "`{0}` is not an address to listen on: the path of a socket is absolute, as in unix:///run/loader.sock"
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
                Socket::remove_stale(path);
                Ok((Listener::Unix(UnixListener::bind(path)?), self.clone()))
            }
        }
    }
}

/// The file of a bound socket. Dropped, it is gone, unless another loader has taken its place meanwhile.
pub(super) struct Socket {
    path: PathBuf,
    /// Device and number of the file. None where it could not be looked at: then it stays.
    file: Option<(u64, u64)>,
    /// Held so that no other file gets this one's number.
    _pin: Option<OwnedFd>,
}

impl Socket {
    /// The file of a socket that was just bound, if this is the address of one.
    pub(super) fn of(listen: &Listen) -> Option<Self> {
        match listen {
            Listen::Tcp(_) => None,
            Listen::Unix(path) => {
                let _pin = pin(path);
                Some(Self { path: path.clone(), file: identity(path), _pin })
            }
        }
    }

    /// Removes a socket that nobody listens on, and nothing but a socket.
    #[allow(clippy::disallowed_methods)]
    fn remove_stale(path: &Path) {
        if identity(path).is_some() {
            drop(std::fs::remove_file(path));
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.file.is_some() && self.file == identity(&self.path) {
            Self::remove_stale(&self.path);
        }
    }
}

/// Device and number of a socket's file; none where there is no socket.
#[allow(clippy::disallowed_methods)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    let metadata = std::fs::symlink_metadata(path).ok().filter(|found| found.file_type().is_socket())?;
    Some((metadata.dev(), metadata.ino()))
}

/// Linux gives the number of a removed file to the next one, unless somebody holds it.
#[cfg(target_os = "linux")]
fn pin(path: &Path) -> Option<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn pin(_path: &Path) -> Option<OwnedFd> {
    None
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
            assert!(error.starts_with(&format!("`{wrong}` is not an address to listen on: ")), "{error}");
        }
    }

    #[tokio::test]
    async fn a_socket_that_another_has_taken_over_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listen = Listen::Unix(path.clone());
        let bind = async || (listen.bind().await.unwrap(), Socket::of(&listen).unwrap());
        let (bound, old) = bind().await;
        // It drains: it listens no more, and its file is there.
        drop(bound);
        let (_bound, new) = bind().await;
        drop(old);
        assert!(path.exists(), "it is the new one's");
        drop(new);
        assert!(!path.exists());

        // Removed, moved away, or in place of it something else.
        let (_bound, removed) = bind().await;
        std::fs::remove_file(&path).unwrap();
        drop(removed);
        let (_bound, moved) = bind().await;
        std::fs::rename(&path, folder.path().join("t")).unwrap();
        drop(moved);
        assert!(folder.path().join("t").exists());
        let (_bound, replaced) = bind().await;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "a file").unwrap();
        drop(replaced);
        assert!(path.exists());
    }
}
