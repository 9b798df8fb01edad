//! A loader inside another process: the same service over the same gRPC path, on loopback.

use crate::extensions::Extensions;
use crate::metrics::LoaderMetrics;
use crate::parallel::default_workers;
use crate::pool::Pool;
use crate::server::{Listen, Server, ServerError, ServerOptions};
use crate::service::{MessageSizes, Service};
use crate::source::{self, Place, SourceError};
use mixfeed_ops::exit;
use mixfeed_pipeline::fingerprint::FingerprintError;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// Memory for batches of all streams, unless said otherwise. Several trainers' worth of windows
/// (2.4 MB for two workers and batches of 128 CIFAR images) by far.
pub const DEFAULT_STREAM_MEMORY_BYTES: u64 = 768 << 20;

/// Time that an embedded loader's streams may take to end. Their client is the same process.
const GRACE: Duration = Duration::from_secs(2);

/// Why a loader did not start or ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum LoaderError {
    /// The data cannot be used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The probe batches could not be built.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// The server failed.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The system started no thread.
    #[error("cannot start threads: {0}")]
    Threads(#[source] std::io::Error),
}

impl LoaderError {
    /// The exit code of a command that ends with it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Source(error) => error.exit_code(),
            _ => exit::FAILURE,
        }
    }
}

/// Reads the data and starts the pool: a service ready to be served.
///
/// # Errors
/// When the data cannot be used, or the system starts no thread.
pub fn prepare(
    place: &Place,
    workers: Option<usize>,
    stream_memory_bytes: u64,
    drain: watch::Receiver<bool>,
    extensions: &Extensions,
) -> Result<Service, LoaderError> {
    let fingerprint = extensions.fingerprint()?;
    let dataset = Arc::new(source::open_with(place, extensions.sources())?);
    let metrics = Arc::new(LoaderMetrics::default());
    let workers = workers.unwrap_or_else(default_workers);
    let pool = Pool::start(&dataset, workers, &metrics).map_err(LoaderError::Threads)?;
    let service = Service::new(dataset, fingerprint, pool, metrics, stream_memory_bytes, drain);
    Ok(service.with_extensions(extensions.clone()))
}

/// A loader that serves from threads of this process. Dropping it ends and joins them.
#[derive(Debug)]
pub struct EmbeddedLoader {
    address: SocketAddr,
    drain: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedLoader {
    /// Starts a loader of the data at `data` (see [`Place`]), which needs nothing said about it.
    ///
    /// # Errors
    /// As for [`EmbeddedLoader::start_at`].
    pub fn start(data: &str, workers: Option<usize>) -> Result<Self, LoaderError> {
        Self::start_at(&data.parse()?, workers)
    }

    /// Starts a loader of the data at `place` on a free port of the loopback interface.
    ///
    /// # Errors
    /// When the data cannot be used, or no port or thread is to be had.
    pub fn start_at(place: &Place, workers: Option<usize>) -> Result<Self, LoaderError> {
        Self::start_with(place, workers, &Extensions::default())
    }

    /// Starts a loader that has extensions, as [`EmbeddedLoader::start_at`] starts one without.
    ///
    /// # Errors
    /// As for [`EmbeddedLoader::start_at`].
    pub fn start_with(
        place: &Place,
        workers: Option<usize>,
        extensions: &Extensions,
    ) -> Result<Self, LoaderError> {
        Self::start_sending(place, workers, extensions, MessageSizes::default())
    }

    /// The same, with pixels divided among messages in another way than usual: for tests of whoever reads them.
    ///
    /// # Errors
    /// As for [`EmbeddedLoader::start_at`].
    pub fn start_sending(
        place: &Place,
        workers: Option<usize>,
        extensions: &Extensions,
        sizes: MessageSizes,
    ) -> Result<Self, LoaderError> {
        let (drain, draining) = watch::channel(false);
        let service = prepare(place, workers, DEFAULT_STREAM_MEMORY_BYTES, draining.clone(), extensions)?
            .with_message_sizes(sizes);
        let (started, start) = mpsc::sync_channel(1);
        // The one thread of an embedded loader besides its pool.
        #[allow(clippy::disallowed_methods)]
        let thread = std::thread::Builder::new()
            .name("mixfeed-embedded".into())
            .spawn(move || run(service, draining, &started))
            .map_err(LoaderError::Threads)?;
        let ended = std::io::Error::other("the thread ended before it served");
        let address = start.recv().map_err(|_ended| LoaderError::Threads(ended))??;
        Ok(Self { address, drain, thread: Some(thread) })
    }

    /// Returns the address to give to a client.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for EmbeddedLoader {
    fn drop(&mut self) {
        // An error means that the server has ended already.
        let _ = self.drain.send(true);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn run(
    service: Service,
    drain: watch::Receiver<bool>,
    started: &mpsc::SyncSender<Result<SocketAddr, LoaderError>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(LoaderError::Threads(error)))),
    };
    runtime.block_on(async {
        match Server::bind(Listen::Tcp((Ipv4Addr::LOCALHOST, 0).into())).await {
            Err(error) => drop(started.send(Err(error.into()))),
            Ok(server) => {
                let Listen::Tcp(address) = *server.address() else { unreachable!("bound to TCP above") };
                drop(started.send(Ok(address)));
                let options = ServerOptions { reflection: false, grace: GRACE, tls: None, token: None };
                if let Err(error) = server.serve(service, options, drain).await {
                    tracing::error!(%error, "embedded loader failed");
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_answers_and_stops() {
        let loader = EmbeddedLoader::start("synthetic:10", Some(1)).unwrap();
        let address = loader.address();
        assert!(std::net::TcpStream::connect(address).is_ok());
        drop(loader);
        assert!(std::net::TcpStream::connect(address).is_err());
    }

    #[test]
    fn data_that_is_not_there_is_an_error() {
        assert!(matches!(EmbeddedLoader::start("/nowhere", None), Err(LoaderError::Source(_))));
    }
}
