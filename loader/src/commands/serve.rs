//! `serve`: the service as a process, from its settings to its graceful end.

use super::failure::Failure;
use crate::config::{ServeArgs, ServeConfig};
use crate::embedded::{prepare, tell};
use crate::extensions::Extensions;
use crate::memory::WorstCase;
use crate::metrics::TASKS;
use crate::parallel::default_workers;
use crate::server::{Server, ServerError, ServerOptions};
use mixfeed_ops::println;
use mixfeed_ops::{logging, memory, metrics, signals, stdin};
use std::future::Future;
use std::time::Instant;
use tokio::sync::watch;

/// Threads that wait for the network, at most. Copying frames to sockets is their only work, and workers need the other
/// CPUs.
const NETWORK_THREADS: usize = 2;

/// CPUs for each of them. On two CPUs a second one would take turns with the workers and with a client that lives there
/// too, which makes batches late.
const CPUS_PER_NETWORK_THREAD: usize = 2;

pub(super) fn run(args: ServeArgs, extensions: &Extensions) -> Result<(), Failure> {
    let print_config = args.print_config;
    let (config, text) = ServeConfig::resolve(args).map_err(Failure::usage)?;
    if print_config {
        println!("{}", text.trim_end());
        return Ok(());
    }
    logging::init(config.log_format, &config.log).map_err(Failure::usage)?;
    if let Some(address) = config.metrics {
        let address = metrics::install(address).map_err(Failure::other)?;
        tracing::info!(%address, "metrics");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads((default_workers() / CPUS_PER_NETWORK_THREAD).clamp(1, NETWORK_THREADS))
        .thread_name("mixfeed-net")
        .enable_all()
        .build()
        .map_err(Failure::other)?;
    metrics::count_tasks(TASKS, runtime.handle());
    runtime.block_on(serve(&config, extensions))
}

async fn serve(config: &ServeConfig, extensions: &Extensions) -> Result<(), Failure> {
    // Read first: a mistake there is one of the command line.
    let (tls, token) = config.access.read().map_err(Failure::usage)?;
    let mut asked = Box::pin(asked_to_stop(config.stop_with_stdin)?);
    let started = Instant::now();
    let (drain, draining) = watch::channel(false);
    // The port is taken before the data is read, so that a mistake there shows at once. Nobody is
    // answered before the data is there.
    let of = |flag: &'static str| move |error: ServerError| Failure::other(format!("{flag}: {error}"));
    let mut server = Server::bind(config.listen.clone()).await.map_err(of("--listen"))?;
    if let Some(address) = config.health_listen {
        server = server.with_health(address).await.map_err(of("--health-listen"))?;
    }
    config.warn_of_reach(server.address());
    tracing::info!(data = %config.data, "reading data");
    let service = {
        let (data, workers, memory, draining) =
            (config.data.clone(), config.workers, config.stream_memory_bytes, draining.clone());
        let extensions = extensions.clone();
        let prepared =
            tokio::task::spawn_blocking(move || prepare(&data, Some(workers), memory, draining, &extensions));
        tokio::select! {
            prepared = prepared => prepared.map_err(Failure::other)??,
            signal = &mut asked => {
                tracing::info!(signal, "stopped while reading data");
                // Nobody was served yet, and a read that hangs would not let the process end.
                std::process::exit(mixfeed_ops::exit::DONE.into());
            }
        }
    };
    // What reading took beyond the data.
    memory::give_back();
    tell(&service, config.workers, started);
    let memory_at_most =
        WorstCase::new(service.dataset(), config.workers, config.stream_memory_bytes, server.connections());
    memory_at_most.log();
    service.metrics().memory_bound.set(memory_at_most.total() as f64);
    metrics::tell_build(service.fingerprint());
    metrics::tell_dataset(&service.dataset().name, &service.dataset().digest);
    let address = server.address().clone();
    if let Some(address) = server.health_address() {
        tracing::info!(%address, "health");
    }
    let (tls_on, token_on) = (tls.is_some(), token.is_some());
    let options = ServerOptions { reflection: config.reflection, grace: config.grace, tls, token };
    let serving = server.serve(service, options, draining);
    let stopping = async {
        let signal = asked.await;
        metrics::set_ready(false);
        tracing::info!(
            signal,
            grace_seconds = logging::seconds(config.grace),
            "draining; a second signal ends at once"
        );
        // An error means that the server has ended by itself.
        let _ = drain.send(true);
        std::future::pending::<()>().await;
    };
    metrics::set_ready(true);
    tracing::info!(%address, tls = tls_on, token = token_on, "listening");
    tokio::select! {
        result = serving => result.map_err(Failure::other)?,
        () = stopping => {}
        () = memory::give_back_what_is_freed() => {}
    }
    tracing::info!("stopped");
    Ok(())
}

/// Resolves with what asks this process to stop.
fn asked_to_stop(by_stdin: bool) -> Result<impl Future<Output = String>, Failure> {
    let signal = signals::first().map_err(Failure::other)?;
    let ended = by_stdin.then(stdin::ended).transpose();
    let ended = ended.map_err(|error| Failure::usage(format!("--stop-with-stdin: {error}")))?;
    Ok(async move {
        match ended {
            Some(ended) => tokio::select! {
                signal = signal => format!("{signal:?}"),
                () = ended => "end of standard input".to_owned(),
            },
            None => format!("{:?}", signal.await),
        }
    })
}
