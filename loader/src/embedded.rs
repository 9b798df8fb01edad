//! A loader inside another process: the same service over the same gRPC path, on loopback unless the settings of `serve` are
//! given.

use crate::config::ServeConfig;
use crate::extensions::Extensions;
use crate::memory::{DEFAULT_STREAM_MEMORY_BYTES, WorstCase};
use crate::metrics::LoaderMetrics;
use crate::parallel::default_workers;
use crate::pool::Pool;
use crate::server::{Listen, Server, ServerError, ServerOptions};
use crate::service::{MessageSizes, Service};
use crate::source::{self, Place, SourceError};
use mixfeed_ops::{exit, logging};
use mixfeed_pipeline::fingerprint::FingerprintError;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Time that an embedded loader's streams may take to end, unless said otherwise. Their client is the same process.
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
    /// A file with a certificate, a key or a token cannot be used.
    #[error("{0}")]
    Access(String),
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

/// Says which data a service is ready to serve, and by which algorithm.
pub(crate) fn tell(service: &Service, workers: usize, started: Instant) {
    let dataset = service.dataset();
    tracing::info!(
        name = dataset.name,
        train = dataset.train.count(),
        test = dataset.test.count(),
        digest = hex::encode(&dataset.digest[..6]),
        algorithm = hex::encode(&service.fingerprint()[..6]),
        workers,
        start_seconds = logging::seconds(started.elapsed()),
        "data ready"
    );
}

/// A loader that serves from threads of this process. Dropping it ends and joins them.
#[derive(Debug)]
pub struct EmbeddedLoader {
    address: Listen,
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
        let workers = workers.unwrap_or_else(default_workers);
        WorstCase::new(service.dataset(), workers, DEFAULT_STREAM_MEMORY_BYTES, 1).log();
        let options = ServerOptions { reflection: false, grace: GRACE, tls: None, token: None };
        let listen = Listen::Tcp((Ipv4Addr::LOCALHOST, 0).into());
        Self::spawn(Serving { service, options, listen, health: None }, drain, draining)
    }

    /// Starts a loader with the settings of `serve`. Logs, metrics and signals are the caller's affair.
    ///
    /// # Errors
    /// When the data cannot be used, or the address or a thread is not to be had.
    pub fn serve(config: &ServeConfig, extensions: &Extensions) -> Result<Self, LoaderError> {
        let (tls, token) = config.access.read().map_err(|error| LoaderError::Access(error.to_string()))?;
        let (drain, draining) = watch::channel(false);
        config.warn_of_reach(&config.listen);
        let (memory, started) = (config.stream_memory_bytes, Instant::now());
        let service = prepare(&config.data, Some(config.workers), memory, draining.clone(), extensions)?;
        tell(&service, config.workers, started);
        let options = ServerOptions { reflection: config.reflection, grace: config.grace, tls, token };
        let (listen, health) = (config.listen.clone(), config.health_listen);
        Self::spawn(Serving { service, options, listen, health }, drain, draining)
    }

    fn spawn(
        serving: Serving,
        drain: watch::Sender<bool>,
        draining: watch::Receiver<bool>,
    ) -> Result<Self, LoaderError> {
        let (started, start) = mpsc::sync_channel(1);
        // The one thread of an embedded loader besides its pool.
        #[allow(clippy::disallowed_methods)]
        let thread = std::thread::Builder::new()
            .name("mixfeed-embedded".into())
            .spawn(move || run(serving, draining, &started))
            .map_err(LoaderError::Threads)?;
        let ended = std::io::Error::other("the thread ended before it served");
        let address = start.recv().map_err(|_ended| LoaderError::Threads(ended))??;
        Ok(Self { address, drain, thread: Some(thread) })
    }

    /// Returns the address to give to a client.
    ///
    /// # Panics
    /// When it listens on a socket of the file system, which it does where [`EmbeddedLoader::serve`] was told so.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let Listen::Tcp(address) = self.address else { panic!("{} is no address of TCP's", self.address) };
        address
    }

    /// Returns where it listens, be it TCP or not.
    #[must_use]
    pub fn listens_on(&self) -> &Listen {
        &self.address
    }

    /// Takes no more streams, and lets those that there are end, in the time that they have for it.
    pub fn drain(&self) {
        // An error means that the server has ended already.
        let _ = self.drain.send(true);
    }

    /// Whether the server has ended, because it was drained or for a reason that the log has.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for EmbeddedLoader {
    fn drop(&mut self) {
        Self::drain(self);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// What is served, and where.
struct Serving {
    service: Service,
    options: ServerOptions,
    listen: Listen,
    /// For probes.
    health: Option<SocketAddr>,
}

fn run(
    Serving { service, options, listen, health }: Serving,
    drain: watch::Receiver<bool>,
    started: &mpsc::SyncSender<Result<Listen, LoaderError>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(LoaderError::Threads(error)))),
    };
    let bind = async {
        let server = Server::bind(listen).await?;
        match health {
            Some(health) => server.with_health(health).await,
            None => Ok(server),
        }
    };
    runtime.block_on(async {
        match bind.await {
            Err(error) => drop(started.send(Err(error.into()))),
            Ok(server) => {
                drop(started.send(Ok(server.address().clone())));
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
    fn the_settings_of_serve_are_kept_and_it_ends_when_it_is_drained() {
        use crate::config::{Cli, Command};
        use clap::Parser as _;

        let folder = tempfile::tempdir().unwrap();
        let socket = format!("unix://{}/s", folder.path().display());
        let flags = ["mixfeed-loader", "serve", "--data=synthetic:10", "--workers=1", "--grace=5s"];
        let cli = Cli::try_parse_from(flags.into_iter().chain([&*format!("--listen={socket}")])).unwrap();
        let Some(Command::Serve(args)) = cli.command else { unreachable!() };
        let (config, _) = ServeConfig::resolve(*args).unwrap();
        let loader = EmbeddedLoader::serve(&config, &Extensions::default()).unwrap();
        assert_eq!(loader.listens_on().to_string(), socket);
        assert!(std::os::unix::net::UnixStream::connect(folder.path().join("s")).is_ok());
        assert!(!loader.is_finished());
        loader.drain();
        while !loader.is_finished() {
            std::thread::yield_now();
        }
        assert!(!folder.path().join("s").exists());
    }

    #[test]
    fn data_that_is_not_there_is_an_error() {
        assert!(matches!(EmbeddedLoader::start("/nowhere", None), Err(LoaderError::Source(_))));
    }
}
