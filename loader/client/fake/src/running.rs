//! A service on a loopback port, on a thread with a runtime of its own, until it is dropped.

use mixfeed_proto::limits;
use mixfeed_proto::v1::loader_service_server::{LoaderService, LoaderServiceServer};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use tokio::sync::oneshot;
use tonic::transport::server::TcpIncoming;

#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts the service that `make` makes on its thread; it ends also when `ends` does.
    pub(crate) fn start<S: LoaderService>(
        address: SocketAddr,
        make: impl FnOnce() -> S + Send + 'static,
        ends: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serve = move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let service = LoaderServiceServer::new(make())
                    .max_encoding_message_size(limits::MAX_MESSAGE_BYTES)
                    .max_decoding_message_size(limits::MAX_REQUEST_BYTES);
                let server = tonic::transport::Server::builder()
                    .add_service(service)
                    .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
                tokio::select! {
                    _ = server => {}
                    () = ends => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("fake-loader".into()).spawn(serve)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
