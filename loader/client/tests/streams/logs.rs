//! What the log says: transitions, not attempts.

use super::*;
use mixfeed_fake::{At, Fault, FaultKind};
use std::io::Write;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Collects what this thread logs, for as long as the guard lives.
    fn collect() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn lines_with(&self, text: &str) -> Vec<String> {
        let all = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        all.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_batch_that_a_loader_could_not_make_is_named_once_with_loader_and_reason() {
    for kind in [FaultKind::DataLoss, FaultKind::Unavailable, FaultKind::Changed, FaultKind::Internal] {
        let (log, _guard) = Log::collect();
        let failing = loader(steady().with(Fault { at: At::Every(5), kind: kind.clone(), times: 6 }));
        let good = loader(steady());
        let mut stream = open(config(&[&failing, &good], 20_000)).await;
        // Until it was asked for one of those, however late it was met; and then on, past all that it fails.
        let (mut index, mut end) = (0, u64::MAX);
        while index < end {
            read_one(&mut stream, index).await;
            index += 1;
            if end == u64::MAX && !log.lines_with("loader failed to make a batch").is_empty() {
                end = index + 200;
            }
        }
        let lines = log.lines_with("loader failed to make a batch");
        assert_eq!(lines.len(), 1, "{kind:?}: {lines:?}");
        let address = failing.address().to_string();
        assert!(lines[0].contains("WARN") && lines[0].contains(&address), "{lines:?}");
        assert!(["record 7", "a worker failed"].iter().any(|reason| lines[0].contains(reason)), "{lines:?}");
    }
}

#[tokio::test]
async fn a_stream_that_gets_nowhere_says_so_and_what_was_last_heard_of_its_loader() {
    let (log, _guard) = Log::collect();
    let away = Fault { at: At::From(5), kind: FaultKind::Unavailable, times: u32::MAX };
    let failing = loader(steady().with(away));
    let mut config = config(&[&failing], 200);
    config.tuning.idle_timeout = Duration::from_millis(100);
    let mut stream = open(config).await;
    for index in 0..5 {
        read_one(&mut stream, index).await;
    }
    let said = async {
        while log.lines_with("waiting for a").is_empty() {
            let _ = tokio::time::timeout(Duration::from_millis(50), stream.next()).await;
        }
    };
    tokio::time::timeout(PATIENCE, said).await.expect("it says so");
    let lines = log.lines_with("waiting for a");
    assert!(lines[0].contains("WARN") && lines[0].contains("record 7"), "{lines:?}");
}

#[tokio::test]
async fn a_loader_that_is_gone_is_named_once_in_plain_words() {
    let (log, _guard) = Log::collect();
    let (good, gone) = (loader(steady()), loader(steady()));
    let config = config(&[&good, &gone], 400);
    // As training and evaluation, with what the run knows of its loaders between them.
    let mut streams = [open(config.clone()).await, open(config).await];
    for stream in &mut streams {
        read_one(stream, 0).await;
    }
    gone.kill();
    for stream in &mut streams {
        for index in 1..400 {
            read_one(stream, index).await;
        }
    }
    let lines = log.lines_with("loader lost");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("the connection ended: the loader is gone"), "{lines:?}");
}

#[tokio::test]
async fn each_change_of_a_replica_makes_one_line_that_names_it_and_the_run() {
    let (log, _guard) = Log::collect();
    let steady_one = loader(steady());
    let changing = loader(steady());
    let address = changing.address();
    let mut stream = open(config(&[&steady_one, &changing], 3000)).await;
    let mut index = 0;
    let mut read = async |stream: &mut BatchStream, batches| {
        for _ in 0..batches {
            read_one(stream, index).await;
            index += 1;
        }
    };
    read(&mut stream, 50).await;
    changing.kill();
    // Long enough for several attempts to connect.
    read(&mut stream, 400).await;
    let restarted = FakeLoader::start_at(address, steady()).unwrap();
    while log.lines_with("loader resumed").is_empty() {
        read(&mut stream, 10).await;
    }
    restarted.add_fault(Fault::once(At::From(0), FaultKind::FlipBit));
    while log.lines_with("loader quarantined").is_empty() {
        read(&mut stream, 10).await;
    }
    let name = format!("loader={address}");
    for message in ["loader connected", "loader lost", "loader resumed", "loader quarantined"] {
        let lines: Vec<_> = log.lines_with(message).into_iter().filter(|line| line.contains(&name)).collect();
        assert_eq!(lines.len(), 1, "{message}: {lines:?}");
        assert!(lines[0].contains("run_id=test"), "{lines:?}");
    }
    assert!(log.lines_with("loader unreachable").is_empty());
}

#[tokio::test]
async fn an_unreachable_loader_is_named_once_however_often_it_is_tried() {
    let (log, _guard) = Log::collect();
    let gone = closed_port();
    let mut config = StreamConfig::new(vec![gone.into()], spec());
    config.loader_timeout = Duration::from_secs(1);
    config.tuning.retry_cap = Duration::from_millis(10);
    fails_to_open(config).await;
    let lines = log.lines_with("loader unreachable");
    assert!(lines.len() == 1 && lines[0].contains(&gone.to_string()), "{lines:?}");
}

#[tokio::test]
async fn a_refused_loader_is_named_once_with_what_differs() {
    let (log, _guard) = Log::collect();
    let mut other = steady();
    other.data.digest = [9; 32];
    let (good, other) = (loader(steady()), loader(other));
    assert_eq!(read_all(&mut open(config(&[&good, &other], 100)).await, 0).await, 100);
    let lines = log.lines_with("loader refused");
    assert!(lines.len() == 1 && lines[0].contains("serves dataset 0909"), "{lines:?}");
}
