//! The metrics endpoint: everything the process counts, as Prometheus text under `/metrics`, and for probes
//! whether it is alive (`/healthz`) and ready for work (`/readyz`).
//!
//! A small thread of its own answers, so that a process is observable whatever its other threads
//! do, and needs no runtime for it. Names and meaning of the metrics are not here: each program
//! keeps its own in one file.

mod process;

use crate::address::BindError;
use crate::build;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
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

/// Which release, commit and algorithm: always 1, the text is in the labels.
const BUILD_INFO: &str = "mixfeed_build_info";

/// Which data set, likewise.
const DATASET_INFO: &str = "mixfeed_dataset_info";

/// Bytes of a digest that labels show: as many as the lines of the log do.
const DIGEST_BYTES: usize = 6;

/// How often whoever waits for a scrape looks whether it should go on waiting.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Whether the process is ready for work, for `/readyz`.
static READY: AtomicBool = AtomicBool::new(false);

/// Scrapes that were answered.
static SCRAPES: (Mutex<u64>, Condvar) = (Mutex::new(0), Condvar::new());

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

/// Tells which release this is and, by its fingerprint, the algorithm that its batches are made with.
pub fn tell_build(fingerprint: &[u8; 32]) {
    metrics::describe_gauge!(BUILD_INFO, "Release, commit and algorithm fingerprint, in the labels.");
    let algorithm = short(fingerprint);
    metrics::gauge!(
        BUILD_INFO, "version" => build::RELEASE, "commit" => build::COMMIT, "algorithm" => algorithm
    )
    .set(1.0);
}

/// Tells the data set that is served, or trained on.
pub fn tell_dataset(name: &str, digest: &[u8; 32]) {
    metrics::describe_gauge!(DATASET_INFO, "Name and digest of the data set, in the labels.");
    metrics::gauge!(DATASET_INFO, "name" => name.to_owned(), "digest" => short(digest)).set(1.0);
}

fn short(digest: &[u8; 32]) -> String {
    digest[..DIGEST_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Says whether the process is ready for work. It is not until this is called.
pub fn set_ready(ready: bool) {
    READY.store(ready, Ordering::Relaxed);
}

/// Waits until what is counted now has been scraped, for a process that is about to end and has something left to
/// tell: `at_most` so long, as long as `go_on` says, and not at all where nobody has scraped before. Returns whether
/// it was scraped.
pub fn wait_for_scrape(at_most: Duration, go_on: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    let mut scrapes = SCRAPES.0.lock().unwrap_or_else(PoisonError::into_inner);
    let before = *scrapes;
    while before > 0 && *scrapes == before && started.elapsed() < at_most && go_on() {
        scrapes = SCRAPES.1.wait_timeout(scrapes, LOOK_INTERVAL).unwrap_or_else(PoisonError::into_inner).0;
    }
    *scrapes > before
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
    let is_scrape = method == b"GET" && path == b"/metrics";
    let (status, body) = match (method, path) {
        (b"GET" | b"HEAD", b"/metrics") => {
            sample_tasks();
            ("200 OK", handle.render() + &process::page())
        }
        // That it is answered at all is what is asked.
        (b"GET" | b"HEAD", b"/healthz") => ("200 OK", "alive\n".to_owned()),
        (b"GET" | b"HEAD", b"/readyz") if READY.load(Ordering::Relaxed) => ("200 OK", "ready\n".to_owned()),
        (b"GET" | b"HEAD", b"/readyz") => ("503 Service Unavailable", "not ready\n".to_owned()),
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
    stream.shutdown().await?;
    if is_scrape {
        *SCRAPES.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        SCRAPES.1.notify_all();
    }
    Ok(())
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
        // Nobody scrapes here yet, who could be waited for.
        assert!(!wait_for_scrape(Duration::MAX, || true));
        metrics::counter!("mixfeed_test_images_total", "split" => "train").increment(3);
        metrics::histogram!("mixfeed_test_step_seconds").record(0.003);

        let answer = request(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("mixfeed_test_images_total{split=\"train\"} 3\n"), "{answer}");
        assert!(answer.contains("mixfeed_test_step_seconds_bucket{le=\"0.005\"} 1\n"), "{answer}");

        assert!(answer.contains("\nprocess_start_time_seconds 1"), "{answer}");
        #[cfg(target_os = "linux")]
        for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"] {
            let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
            assert!(value.parse::<f64>().unwrap() >= 0.0, "{name} {value}");
        }

        tell_build(&[0xab; 32]);
        tell_dataset("a \"name\"", &[1; 32]);
        let scraped = request(address, "GET /metrics HTTP/1.1\r\n\r\n");
        for told in ["algorithm=\"abababababab\"", "name=\"a \\\"name\\\"\"", "digest=\"010101010101\""] {
            assert!(scraped.contains(told), "{told} not in {scraped}");
        }

        let status = |path: &str| request(address, &format!("GET {path} HTTP/1.1\r\n\r\n"));
        assert!(status("/healthz").starts_with("HTTP/1.1 200 "));
        assert!(status("/readyz").starts_with("HTTP/1.1 503 "));
        set_ready(true);
        assert!(status("/readyz").starts_with("HTTP/1.1 200 "));

        // Who waits is let go by a scrape, by whatever ends the wait, or by the time.
        #[allow(clippy::disallowed_methods)]
        let waiting = std::thread::spawn(|| wait_for_scrape(Duration::MAX, || true));
        while !waiting.is_finished() {
            status("/metrics");
        }
        assert!(waiting.join().unwrap());
        assert!(!wait_for_scrape(Duration::MAX, || false));
        assert!(!wait_for_scrape(Duration::ZERO, || true));

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
