//! The loaders that a command reads from: processes somewhere, or one inside this process.
//!
//! Both are reached over the same gRPC path, so that nothing after this file knows the difference.

use crate::config::{Audit, RunConfig, Source, UsageError};
use crate::error::TrainError;
use crate::feed::Feed;
use crate::machine::stop::Stop;
use crate::run::run_folder::RunFolder;
use mixfeed_client::{
    BatchStream, Endpoint, Expected, LoaderHistory, LoaderRecord, Security, Split, StreamConfig, StreamEnd,
    StreamError, StreamInfo, StreamSpec,
};
use mixfeed_loader::embedded::{EmbeddedLoader, LoaderError};
use mixfeed_loader::source::Place;
use mixfeed_ops::grpc::{Credentials, TlsCredentials};
use mixfeed_ops::{files, memory};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Loaders, ready to be read from.
pub struct Loaders {
    endpoints: Vec<Endpoint>,
    timeout: Duration,
    security: Security,
    audit: Audit,
    /// What all streams of the run have found out about the loaders.
    history: LoaderHistory,
    run_id: String,
    /// One thread, which receives and checks batches while the training computes. There from
    /// starting to dropping.
    runtime: Option<Runtime>,
    embedded: Option<EmbeddedLoader>,
    /// Makes what loaders contradict each other about from a trusted copy of the data.
    arbiter: Option<EmbeddedLoader>,
}

/// As much as the file with what a run has found out about its loaders can have.
const HISTORY_BYTES: u64 = 16 << 20;

/// An address, and what was said there of the stream.
pub type Answer = (Endpoint, Result<StreamInfo, StreamError>);

/// Which batches to read.
#[derive(Clone, Copy, Debug)]
pub struct StreamRequest<'a> {
    /// What shapes them.
    pub spec: &'a StreamSpec,
    /// Index of the first.
    pub start: u64,
    /// Where they end.
    pub end: StreamEnd,
    /// What an earlier stream of the same run read, so that this one reads no other data.
    pub expected: Option<Expected>,
}

/// What a later stream of the same run has to find.
#[must_use]
pub fn same_as(info: &StreamInfo) -> Expected {
    Expected {
        dataset_digest: info.dataset.digest,
        algorithm_fingerprint: info.algorithm_fingerprint,
        classes_digest: Some(info.dataset.classes_digest()),
    }
}

impl Loaders {
    /// Takes the addresses as they are, or starts a loader in this process.
    ///
    /// # Errors
    /// When the data for a loader in this process cannot be read.
    pub fn start(source: &Source, timeout: Duration) -> Result<Self, TrainError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("mixfeed-client")
            .enable_all()
            .build()
            .map_err(|source| TrainError::Threads { source })?;
        let (endpoints, embedded) = match source {
            Source::Loaders(endpoints) => (endpoints.clone(), None),
            Source::Embedded { data, options, workers } => {
                let place: Place = data.parse().map_err(LoaderError::from)?;
                let loader = EmbeddedLoader::start_at(&place.with(options.clone()), *workers)?;
                // What reading took beyond the data.
                memory::give_back();
                (vec![Endpoint::from(loader.address())], Some(loader))
            }
        };
        Ok(Loaders {
            endpoints,
            timeout,
            security: Security::default(),
            audit: Audit::default(),
            history: LoaderHistory::default(),
            run_id: run_id(),
            runtime: Some(runtime),
            embedded,
            arbiter: None,
        })
    }

    /// The same from the settings of a run.
    ///
    /// # Errors
    /// As for [`Loaders::start`], and when a certificate or token cannot be used.
    pub fn of(config: &RunConfig) -> Result<Self, TrainError> {
        // A loader inside this process is met over loopback, in plain text and without a token.
        let security = match &config.source {
            Source::Loaders(_) => security(&config.credentials.read()?)?,
            Source::Embedded { .. } => Security::default(),
        };
        let mut loaders = Self::start(&config.source, config.loader_timeout)?;
        if let (Some(_), Some(runtime)) = (config.metrics, &loaders.runtime) {
            mixfeed_ops::metrics::count_tasks(crate::report::metrics::TASKS, runtime.handle());
        }
        loaders.security = security;
        loaders.audit = config.audit.clone();
        if let Some(data) = &config.audit.data {
            let place: Place = data.parse().map_err(LoaderError::from)?;
            loaders.arbiter = Some(EmbeddedLoader::start_at(&place, None)?);
        }
        Ok(loaders)
    }

    /// Opens a stream of batches over all of them, which `stop` ends. A stream of a run that has begun
    /// names what the first one found, so that no part of a run reads other data than the rest.
    ///
    /// # Errors
    /// When no loader is to be had in time, or none accepts the stream, or the end was asked for.
    ///
    /// # Panics
    /// In an async task: it blocks.
    pub fn open(&self, request: StreamRequest<'_>, stop: &Stop) -> Result<Feed, TrainError> {
        let runtime = self.runtime.as_ref().expect("there until dropping");
        let feed = Feed::open(self.config(self.endpoints.clone(), request), runtime.handle(), stop)?;
        self.compare_copy(&feed, request, stop)?;
        Ok(feed)
    }

    /// Whether the trusted copy of the data is what the loaders serve; otherwise it could decide nothing.
    fn compare_copy(&self, feed: &Feed, request: StreamRequest<'_>, stop: &Stop) -> Result<(), TrainError> {
        let (Some(arbiter), Some(runtime)) = (&self.arbiter, &self.runtime) else { return Ok(()) };
        let request = StreamRequest {
            start: 0,
            end: StreamEnd::Batch(0),
            expected: Some(same_as(feed.info())),
            ..request
        };
        let config = StreamConfig {
            arbiter: None,
            security: Security::default(),
            history: LoaderHistory::default(),
            ..self.config(vec![arbiter.address().into()], request)
        };
        match Feed::open(config, runtime.handle(), stop) {
            Err(TrainError::Stream(StreamError::Mismatch { detail })) => {
                let text = format!("--audit-data is not what the loaders serve: {detail}");
                Err(UsageError::new(&text).into())
            }
            compared => compared.map(drop),
        }
    }

    /// Asks each address by itself whether it would serve a stream, all at once, and gives their answers in
    /// the order of the addresses.
    ///
    /// # Errors
    /// When the end was asked for.
    ///
    /// # Panics
    /// In an async task: it blocks.
    pub fn ask_each(&self, request: StreamRequest<'_>, stop: &Stop) -> Result<Vec<Answer>, TrainError> {
        let runtime = self.runtime.as_ref().expect("there until dropping");
        let ask = |endpoint: &Endpoint| {
            let stream = BatchStream::open(self.config(vec![endpoint.clone()], request));
            runtime.spawn(async move { stream.await.map(|stream| stream.info().clone()) })
        };
        let asked: Vec<_> = self.endpoints.iter().map(|endpoint| (endpoint.clone(), ask(endpoint))).collect();
        runtime.block_on(async {
            let mut answers = Vec::new();
            for (endpoint, answer) in asked {
                let answer = tokio::select! {
                    asked = stop.wait() => return Err(TrainError::Stopped(asked)),
                    answer = answer => answer.expect("asking never panics"),
                };
                answers.push((endpoint, answer));
            }
            Ok(answers)
        })
    }

    fn config(&self, endpoints: Vec<Endpoint>, request: StreamRequest<'_>) -> StreamConfig {
        let StreamRequest { spec, start, end, expected } = request;
        let mut config = StreamConfig {
            start,
            end,
            loader_timeout: self.timeout,
            run_id: self.run_id.clone(),
            expected,
            security: self.security.clone(),
            history: self.history.clone(),
            arbiter: self.arbiter.as_ref().map(|arbiter| arbiter.address().into()),
            ..StreamConfig::new(endpoints, *spec)
        };
        // A test stream is opened after each epoch; that its loaders are there is no news.
        config.tuning.quiet = spec.split == Split::Test;
        config.tuning.audit_every = self.audit.every;
        config.tuning.audit_policy = self.audit.policy;
        config
    }

    /// One in so many batches is audited; 0 for none.
    #[must_use]
    pub fn audits_every(&self) -> u64 {
        self.audit.every
    }

    /// What the run has found out about its loaders.
    #[must_use]
    pub fn history(&self) -> &LoaderHistory {
        &self.history
    }

    /// Takes up what an earlier process has found out about the loaders of the run in `folder`. A file that cannot be read is
    /// said and passed over: it shapes no batch.
    pub(crate) fn recall(&mut self, folder: &RunFolder) {
        let path = folder.path().join(RunFolder::LOADERS);
        let read = files::read_bounded(&path, HISTORY_BYTES);
        let records = match read {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => Err(error.to_string()),
            Ok(bytes) => {
                serde_json::from_slice::<Vec<LoaderRecord>>(&bytes).map_err(|error| error.to_string())
            }
        };
        match records {
            Ok(records) => self.history = LoaderHistory::new(records),
            Err(reason) => {
                tracing::warn!(file = %path.display(), reason, "cannot read what the run has found out about its loaders");
            }
        }
        for LoaderRecord { loader, conviction, .. } in self.history.convicted() {
            tracing::warn!(
                loader,
                reason = conviction,
                "loader not used: the run found it to be wrong; --forget-loaders gives it another chance"
            );
        }
    }

    /// Writes it down, for a process that goes on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn remember(&self, folder: &RunFolder) -> Result<(), TrainError> {
        let records = self.history.records();
        if self.is_embedded() || records.is_empty() {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(&records).expect("records are plain data");
        Ok(folder.write(RunFolder::LOADERS, &format!("{text}\n"))?)
    }

    /// Whether the loader runs inside this process.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// The random name under which loaders log this run.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.run_id
    }
}

impl Drop for Loaders {
    fn drop(&mut self) {
        // Not waited for: a name that is being looked up may take seconds.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The same in the client's terms, which knows no files.
fn security(credentials: &Credentials) -> Result<Security, StreamError> {
    let mut security = Security::default();
    if let Some(TlsCredentials { ca, identity }) = &credentials.tls {
        security =
            security.with_tls(ca, identity.as_ref().map(|(certificate, key)| (&**certificate, &**key)));
    }
    match &credentials.token {
        Some(token) => security.with_token(token.expose()),
        None => Ok(security),
    }
}

/// Sixteen random digits. They name a run in logs and shape nothing.
fn run_id() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::stop::StopCause;
    use mixfeed_ops::signals::Signal;

    #[test]
    fn the_wish_to_end_ends_the_wait_for_a_loader() {
        // Nobody listens there, and the timeout is longer than any test run.
        let source = Source::Loaders(vec!["127.0.0.1:9".parse().unwrap()]);
        let loaders = Loaders::start(&source, Duration::from_secs(86_400)).unwrap();
        let stop = Stop::default();
        let wish = stop.clone();
        // A test may start a thread.
        #[allow(clippy::disallowed_methods)]
        let thread = std::thread::spawn(move || wish.request(Signal::Terminate));
        let spec = StreamSpec::default();
        let request = StreamRequest { spec: &spec, start: 0, end: StreamEnd::Never, expected: None };
        let ended = loaders.open(request, &stop).err();
        assert!(
            matches!(ended, Some(TrainError::Stopped(StopCause::Signal(Signal::Terminate)))),
            "{ended:?}"
        );
        thread.join().unwrap();
    }
}
