//! The calling end: another process's training.

use super::{RemoteError, Status};
use mixfeed_client::{with_remedy, with_token_remedy};
use mixfeed_ops::grpc::{Bearer, Credentials, root_cause};
use mixfeed_proto::v1;
use mixfeed_proto::v1::trainer_service_client::TrainerServiceClient;
use std::error::Error as _;
use std::time::Duration;
use tokio::runtime::Runtime;
use tonic::Streaming;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

/// A trainer that answers does so at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Quiet time after which the connection is checked, and the time that the check may take.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A trainer somewhere.
pub struct Trainer {
    address: String,
    /// Whether TLS is spoken with it.
    tls: bool,
    /// Whether a token is sent.
    token: bool,
    client: TrainerServiceClient<InterceptedService<Channel, Bearer>>,
    runtime: Runtime,
}

/// Its statuses, until training ends.
pub struct Watching<'a> {
    trainer: &'a Trainer,
    stream: Streaming<v1::WatchResponse>,
}

impl Trainer {
    /// Connects to the trainer that listens at `address` (`host:port`).
    ///
    /// # Errors
    /// When nobody answers, or it does not prove itself.
    pub fn connect(address: &str, credentials: &Credentials) -> Result<Self, RemoteError> {
        let unreachable = |problem: String| RemoteError::Unreachable { address: address.to_owned(), problem };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| unreachable(error.to_string()))?;
        let endpoint = credentials
            .endpoint(address)
            .map_err(&unreachable)?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        let tls = credentials.tls.is_some();
        let channel = runtime
            .block_on(endpoint.connect())
            .map_err(|error| unreachable(with_remedy(root_cause(&error), tls)))?;
        let bearer = credentials.bearer().map_err(&unreachable)?;
        let client = TrainerServiceClient::with_interceptor(channel, bearer);
        let token = credentials.token.is_some();
        Ok(Trainer { address: address.to_owned(), tls, token, client, runtime })
    }

    /// Asks how training goes.
    ///
    /// # Errors
    /// When the trainer does not answer within `patience`.
    pub fn status(&self, patience: Duration) -> Result<Status, RemoteError> {
        let mut request = tonic::Request::new(v1::GetStatusRequest {});
        request.set_timeout(patience);
        let mut client = self.client.clone();
        let answer =
            self.runtime.block_on(client.get_status(request)).map_err(|status| self.unanswered(&status))?;
        Ok(answer.into_inner().status.unwrap_or_default())
    }

    /// Hears how training goes, not more often than once in an `interval`.
    ///
    /// # Errors
    /// When the trainer refuses or is gone.
    pub fn watch(&self, interval: Duration) -> Result<Watching<'_>, RemoteError> {
        let interval_milliseconds = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
        let mut client = self.client.clone();
        let call = client.watch(v1::WatchRequest { interval_milliseconds });
        let stream = self.runtime.block_on(call).map_err(|status| self.unanswered(&status))?.into_inner();
        Ok(Watching { trainer: self, stream })
    }

    /// Asks for the end of the training.
    ///
    /// # Errors
    /// When the trainer refuses or is gone.
    pub fn stop(&self) -> Result<(), RemoteError> {
        let mut client = self.client.clone();
        let call = client.stop(v1::StopRequest {});
        self.runtime.block_on(call).map(drop).map_err(|status| self.unanswered(&status))
    }

    /// Why a call was not answered. What speaks TLS, or no HTTP/2 at all, shows it only then.
    fn unanswered(&self, status: &tonic::Status) -> RemoteError {
        match self.error(status) {
            RemoteError::Lost { address, problem } => {
                let cause = status.source().map(|cause| format!("{problem}: {}", root_cause(cause)));
                let problem = with_remedy(cause.unwrap_or(problem), self.tls);
                RemoteError::Unreachable { address, problem }
            }
            other => other,
        }
    }

    fn error(&self, status: &tonic::Status) -> RemoteError {
        let address = self.address.clone();
        let text = status.message().to_owned();
        match status.code() {
            tonic::Code::Unauthenticated => {
                RemoteError::Refused { address, reason: with_token_remedy(&text, "trainer", self.token) }
            }
            tonic::Code::PermissionDenied | tonic::Code::ResourceExhausted | tonic::Code::InvalidArgument => {
                RemoteError::Refused { address, reason: text }
            }
            tonic::Code::Unimplemented => {
                RemoteError::Unreachable { address, problem: "something else listens there".to_owned() }
            }
            _ => RemoteError::Lost { address, problem: text },
        }
    }
}

impl Watching<'_> {
    /// Waits for the next status; none after the one that says how training ended.
    ///
    /// # Errors
    /// When the trainer is gone.
    pub fn next(&mut self) -> Result<Option<Status>, RemoteError> {
        let message = self.trainer.runtime.block_on(self.stream.message());
        let message = message.map_err(|status| self.trainer.error(&status))?;
        Ok(message.and_then(|message| message.status))
    }
}
