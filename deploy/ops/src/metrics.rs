//! The metrics endpoint: everything the process counts, as Prometheus text under `/metrics`.
//!
//! A small thread of its own answers, so that a process is observable whatever its other threads
//! do, and needs no runtime for it. Names and meaning of the metrics are not here: each program
//! keeps its own in one file.

use crate::address::BindError;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Histograms of durations reach from a batch of small images to a stalled minute.
const SECONDS_BUCKETS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Connections answered at a time. One scraper needs one; a person with a browser, a few.
const MAX_CONNECTIONS: usize = 16;

/// A scrape that takes longer is given up, so that silent connections cannot pile up.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a request head read before it is answered with an error.
const MAX_HEAD_BYTES: usize = 8 << 10;

/// Histograms keep every observation until it is folded into its bucket; this is how often.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// After a failed accept (no file descriptors left, most often) the next one waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// When the process started, under the name that Prometheus's own clients give it: a change is a restart.
const START_TIME: &str = "process_start_time_seconds";

/// Runtimes whose tasks are counted at each scrape, by the name of the gauge. They belong to the whole process,
/// as the recorder does.
static RUNTIMES: Mutex<BTreeMap<&'static str, Handle>> = Mutex::new(BTreeMap::new());

/// Why there is no metrics endpoint.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The address is taken or not ours.
    #[error("--metrics: {0}")]
    Bind(#[from] BindError),
    /// Metrics were installed before, by whomever.
    #[error("cannot install metrics: {0}")]
    Install(#[from] BuildError),
}

/// Installs the process-wide recorder and serves it on `address`; port 0 picks one. Returns the
/// bound address.
///
/// Counters that were touched before are lost: call this before the work starts.
///
/// # Errors
/// When the address cannot be bound, or a recorder is already installed.
pub fn install(address: SocketAddr) -> Result<SocketAddr, MetricsError> {
    let refused = |source| BindError::new(address, source);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)?
        .install_recorder()?;
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    metrics::describe_gauge!(START_TIME, "Start time of the process, in seconds since 1970.");
    metrics::gauge!(START_TIME).set(since_epoch.as_secs_f64());
    // Lives as long as the process, like the recorder it reads.
    #[allow(clippy::disallowed_methods)]
    std::thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(move || runtime.block_on(serve(listener, handle)))
        .map_err(refused)?;
    Ok(bound)
}

/// Has the gauge `name` tell at each scrape how many tasks of `runtime` have not ended. Of two runtimes under
/// one name the later counts.
pub fn count_tasks(name: &'static str, runtime: &Handle) {
    metrics::describe_gauge!(name, "Tasks that have not ended.");
    RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner).insert(name, runtime.clone());
}

fn sample_tasks() {
    for (name, runtime) in &*RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner) {
        metrics::gauge!(*name).set(runtime.metrics().num_alive_tasks() as f64);
    }
}

async fn serve(listener: TcpListener, handle: PrometheusHandle) {
    let mut upkeep = tokio::time::interval(UPKEEP_INTERVAL);
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        tokio::select! {
            _ = upkeep.tick() => handle.run_upkeep(),
            accepted = listener.accept() => match (accepted, room.clone().try_acquire_owned()) {
                (Ok((stream, _)), Ok(permit)) => {
                    let handle = handle.clone();
                    tokio::spawn(async move {
                        // A scraper that went away is its own business.
                        let _ = tokio::time::timeout(CONNECTION_TIMEOUT, answer(stream, &handle)).await;
                        drop(permit);
                    });
                }
                (Ok(_), Err(_)) => {}
                (Err(_), _) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

/// Answers one request and closes: HTTP/1.1 as far as a scrape needs it.
async fn answer(mut stream: TcpStream, handle: &PrometheusHandle) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if head.len() > MAX_HEAD_BYTES || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    let (status, body) = match (method, path) {
        (b"GET" | b"HEAD", b"/metrics") => {
            sample_tasks();
            ("200 OK", handle.render())
        }
        (b"GET" | b"HEAD", _) => ("404 Not Found", "metrics are at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "only GET\n".to_owned()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    if method != b"HEAD" {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    fn request(address: SocketAddr, text: &str) -> String {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    // One test: the recorder belongs to the whole process.
    #[test]
    fn what_is_counted_can_be_scraped() {
        let address = install("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(address.port(), 0);
        metrics::counter!("mixfeed_test_images_total", "split" => "train").increment(3);
        metrics::histogram!("mixfeed_test_step_seconds").record(0.003);

        let answer = request(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("mixfeed_test_images_total{split=\"train\"} 3\n"), "{answer}");
        assert!(answer.contains("mixfeed_test_step_seconds_bucket{le=\"0.005\"} 1\n"), "{answer}");

        assert!(answer.contains("\nprocess_start_time_seconds 1"), "{answer}");

        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        count_tasks("mixfeed_test_tasks", runtime.handle());
        let scraped = || request(address, "GET /metrics HTTP/1.1\r\n\r\n");
        let tasks: Vec<_> = (0..3).map(|_| runtime.spawn(std::future::pending::<()>())).collect();
        assert!(scraped().contains("mixfeed_test_tasks 3\n"));
        tasks[0].abort();
        runtime.block_on(tokio::task::yield_now());
        assert!(scraped().contains("mixfeed_test_tasks 2\n"));

        let head = request(address, "HEAD /metrics HTTP/1.1\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        assert!(request(address, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
        assert!(request(address, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));

        let taken = install(address).unwrap_err();
        assert!(
            taken.to_string().starts_with(&format!("--metrics: cannot listen on {address}: ")),
            "{taken}"
        );
        let twice = install("127.0.0.1:0".parse().unwrap()).unwrap_err();
        assert!(matches!(twice, MetricsError::Install(_)), "{twice}");
    }
}
