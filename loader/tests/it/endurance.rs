//! A loader among clients that are many, slow, idle, or come and go: everybody gets a fair share, and what was held
//! for them is given back to the last task and descriptor, however often.
//!
//! Those who mean harm are in `hostile.rs`.

mod held;

use crate::hostile::frames::{END_HEADERS, HEADERS, RST_STREAM, call, frame, greeting};
use crate::service::{Open, opening, spec};
use held::Watched;
use mixfeed_client::{BlockingStream, StreamConfig, StreamSpec};
use mixfeed_ops::testing;
use mixfeed_proto::v1;
use mixfeed_proto::v1::loader_service_client::LoaderServiceClient;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tonic::Code;

/// What is served where the real images are not at hand, and by loaders whose memory is held against their bound.
const DRAWINGS: &str = "synthetic:480";

/// No client gets less than the mean over this.
const FAIR: f64 = 1.2;

/// How much longer the best of several rounds may take in company: other tests run on the same machine.
const UNDISTURBED: f64 = 2.0;

/// What memory may grow by from the second to the tenth time: a fiftieth, or this much where that is less, as it is of
/// a loader that serves drawings. What grows is no object that somebody holds: it settles, wherever the heap's
/// small pieces have come to lie.
const GROWTH_SHARE: u64 = 50;
const GROWTH_KIB: u64 = 1024;

/// How often, and without `--slow`.
const TIMES: usize = 10;
const FEW_TIMES: usize = 3;

/// Batches that a client may have asked for, or hold.
const WINDOW: u64 = 8;

/// Batches of a round, whose time is taken.
const ROUND: usize = 100;

/// Descriptors of a loader that has room for all its connections.
const DESCRIPTORS: u32 = 4096;

/// The real images, or else drawings.
fn data() -> String {
    testing::data().map_or_else(|_missing| DRAWINGS.to_owned(), |folder| folder.to_str().unwrap().to_owned())
}

fn loader() -> Watched {
    Watched::start(&data(), &["--workers", "1"], DESCRIPTORS)
}

fn client(loader: &Watched) -> BlockingStream {
    client_of(&loader.serving.address)
}

fn client_of(address: &str) -> BlockingStream {
    let spec = StreamSpec { batch_size: 32, ..StreamSpec::default() };
    let mut config = StreamConfig::new(vec![address.parse().unwrap()], spec);
    config.loader_timeout = Duration::from_secs(30);
    // Sixteen clients of a debug build on a shared machine may wait for a while.
    config.tuning.idle_timeout = Duration::from_secs(20);
    config.tuning.window_batches = WINDOW;
    BlockingStream::open(config).unwrap()
}

fn read(client: &mut BlockingStream, batches: usize) -> Duration {
    let started = Instant::now();
    for _ in 0..batches {
        client.next().unwrap().unwrap();
    }
    started.elapsed()
}

/// The best of three rounds.
fn pace(client: &mut BlockingStream) -> Duration {
    (0..3).map(|_| read(client, ROUND)).min().unwrap()
}

/// The best of up to a hundred rounds, as soon as it is below `most`: what other programs take passes, what idle clients would
/// take stays.
fn pace_below(client: &mut BlockingStream, most: Duration) -> Duration {
    let mut best = pace(client);
    for _ in 3..100 {
        if best < most {
            break;
        }
        best = best.min(read(client, ROUND));
    }
    best
}

/// A connection that greets.
fn greeted(loader: &Watched) -> TcpStream {
    let mut stream = TcpStream::connect(&loader.serving.address).unwrap();
    stream.write_all(&greeting()).unwrap();
    stream
}

/// Batches that each of `clients` gets, once all read, while they get `each` on average.
fn shares(loader: &Watched, clients: usize, each: u64) -> Vec<u64> {
    let counts: Vec<_> = (0..clients).map(|_| AtomicU64::new(0)).collect();
    let (all_read, enough) = (Barrier::new(clients + 1), AtomicBool::new(false));
    let address = &loader.serving.address;
    let now = || counts.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        for count in &counts {
            scope.spawn(|| {
                let mut client = client_of(address);
                read(&mut client, 2);
                all_read.wait();
                while !enough.load(Ordering::Relaxed) {
                    read(&mut client, 1);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        all_read.wait();
        // What they have in hand at the start is not of the loader's choice.
        while now().iter().sum::<u64>() < WINDOW * clients as u64 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let before = now();
        let end = before.iter().sum::<u64>() + each * clients as u64;
        while now().iter().sum::<u64>() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        let shares = now().iter().zip(&before).map(|(now, before)| now - before).collect();
        enough.store(true, Ordering::Relaxed);
        shares
    })
}

#[test]
fn sixteen_clients_of_one_loader_get_a_fair_share_each() {
    let loader = loader();
    let shares = shares(&loader, 16, if slow() { 1000 } else { 60 });
    let mean = shares.iter().sum::<u64>() as f64 / shares.len() as f64;
    let min = *shares.iter().min().unwrap() as f64;
    assert!(min >= mean / FAIR, "{shares:?}");
    eprintln!("16 clients: {mean:.0} batches on average, {:.3} of that at least", min / mean);
    loader.is_as_before();
}

#[test]
fn a_client_that_rests_between_batches_keeps_its_place_and_slows_nobody() {
    // Longer than the loader waits for the answer to its pings; without `--slow`, as long as a test may take.
    let (rest, batches) = if slow() { (Duration::from_secs(60), 3) } else { (Duration::from_secs(2), 2) };
    let loader = loader();
    let mut fast = client(&loader);
    let alone = pace(&mut fast);
    let rested = AtomicBool::new(false);
    let mut in_company = Duration::MAX;
    let mut taken = 3 * ROUND;
    let address = &loader.serving.address;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut slow = client_of(address);
            for _ in 0..batches {
                read(&mut slow, 1);
                std::thread::sleep(rest);
            }
            // It has what it asked for, and the next comes from the same stream.
            read(&mut slow, 2 * WINDOW as usize);
            let stats = slow.stats();
            assert_eq!((stats.reassigned, stats.corrupt, stats.replicas_serving), (0, 0, 1), "{stats:?}");
            rested.store(true, Ordering::Relaxed);
        });
        while !rested.load(Ordering::Relaxed) {
            in_company = in_company.min(read(&mut fast, ROUND));
            taken += ROUND;
            // One that rests has its window built, and no more.
            let built = loader.metric("mixfeed_loader_batches_total") as usize;
            let max = taken + batches + 4 * WINDOW as usize + 2 * WINDOW as usize;
            assert!(built <= max, "{built} batches built, {taken} taken");
        }
    });
    assert!(in_company < alone.mul_f64(UNDISTURBED), "{in_company:?} beside a slow client, {alone:?} alone");
    eprintln!("{ROUND} batches: {in_company:?} beside a slow client, {alone:?} alone");
    drop(fast);
    loader.is_as_before();
}

#[test]
fn a_thousand_idle_connections_cost_those_who_read_nothing() {
    let loader = loader();
    let mut client = client(&loader);
    let alone = pace(&mut client);
    let before = loader.resident();
    let idle: Vec<_> = (0..1000).map(|_| greeted(&loader)).collect();
    loader.has_more_descriptors(idle.len());
    let in_company = pace_below(&mut client, alone.mul_f64(UNDISTURBED));
    let each = loader.resident().saturating_sub(before) / 1000;
    assert!(in_company < alone.mul_f64(UNDISTURBED), "{in_company:?} beside a thousand, {alone:?} alone");
    eprintln!(
        "{ROUND} batches: {in_company:?} beside 1,000 idle connections of {each} bytes each, {alone:?} alone"
    );
    drop((idle, client));
    loader.is_as_before();
}

/// Opens streams of batches of this size until there is no memory for another, asks each for all that it may be
/// asked for, and reads nothing; and takes all connections that are left.
async fn takes_all(loader: &Watched, batch_size: u32) -> (Vec<Open>, Vec<TcpStream>) {
    let (mut streams, mut connections) = (Vec::new(), 0);
    let refused = 'full: loop {
        let address = format!("http://{}", loader.serving.address);
        let mut connection = LoaderServiceClient::connect(address).await.unwrap();
        connections += 1;
        // As many as one connection may have, less one: the next is opened to find out that it cannot be.
        for _ in 0..63 {
            let spec = v1::StreamSpec { batch_size, ..spec() };
            match Open::by(&mut connection, opening(spec)).await {
                Ok(stream) => streams.push(stream),
                Err(status) => break 'full status,
            }
        }
    };
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.metadata().contains_key("grpc-retry-pushback-ms"), "it says when to come again");
    for stream in &streams {
        stream.want(0..1024).await;
    }
    let idle: Vec<_> = (connections..1024).map(|_| greeted(loader)).collect();
    loader.has_more_descriptors(1024);
    (streams, idle)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_loader_at_all_its_limits_has_no_more_memory_than_it_said() {
    const STREAM_MEMORY: u64 = 128 << 20;
    // Streams of many rows are few, and of one row, many.
    for batch_size in if slow() { vec![128, 1] } else { vec![128] } {
        let flags = ["--workers", "2", "--stream-memory", "128MiB"];
        let loader = Watched::start(DRAWINGS, &flags, DESCRIPTORS);
        let (at_first, bound) = (loader.resident(), loader.metric("mixfeed_loader_memory_bound_bytes"));
        let (streams, idle) = takes_all(&loader, batch_size).await;
        // All is built that nobody reads.
        let mut built = 0;
        loop {
            let now = loader.metric("mixfeed_loader_batches_total");
            if now == built && now >= 2 * streams.len() as u64 {
                break;
            }
            built = now;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let (max, mib) = (loader.most_resident(), |bytes: u64| bytes >> 20);
        eprintln!(
            "{} streams of {batch_size} a batch, 1,024 connections: {} MiB of {} MiB, {} MiB at first",
            streams.len(),
            mib(max),
            mib(bound),
            mib(at_first)
        );
        assert!(max <= bound, "{} MiB, at most {} MiB", mib(max), mib(bound));
        // The limits were reached: large batches fill their memory.
        assert!(batch_size == 1 || max > at_first + STREAM_MEMORY / 2, "{} MiB", mib(max));
        assert!(loader.metric("mixfeed_loader_refused_streams_total") > 0);
        drop((streams, idle));
        loader.is_as_before();
    }
}

/// Does it ten times: after each, the loader holds what it held at the start, and memory grows from the second to
/// the tenth by no more than a hair. Where tests may not take minutes, it is done less often, and tasks and
/// descriptors alone are looked at.
fn ten_times(what: &str, loader: &Watched, mut scenario: impl FnMut()) {
    if !slow() {
        return (0..FEW_TIMES).for_each(|_| {
            scenario();
            loader.is_as_before();
        });
    }
    let mut resident = Vec::new();
    for _ in 0..TIMES {
        scenario();
        loader.is_as_before();
        resident.push(loader.resident_at_rest() >> 10);
    }
    let (second, tenth) = (resident[1], resident[TIMES - 1]);
    let percent = 100.0 * (tenth as f64 / second as f64 - 1.0);
    eprintln!(
        "{what}: KiB resident after each time {resident:?}, {percent:+.2} % from the second to the tenth"
    );
    assert!(tenth <= second + GROWTH_KIB.max(second / GROWTH_SHARE), "{what}: {resident:?} KiB");
}

/// Whether tests may take minutes. Those here have a shorter form, so that none is left out.
fn slow() -> bool {
    testing::slow().is_ok()
}

/// A tenth of it, unless tests may take minutes.
fn many(number: usize) -> usize {
    if slow() { number } else { number / 10 }
}

#[test]
fn connections_that_idle_are_given_back_ten_times() {
    let loader = loader();
    ten_times("1,000 idle connections", &loader, || {
        let idle: Vec<_> = (0..many(1000)).map(|_| greeted(&loader)).collect();
        loader.has_more_descriptors(idle.len());
        read(&mut client(&loader), 10);
        drop(idle);
    });
}

#[test]
fn connections_that_come_and_go_are_given_back_ten_times() {
    let loader = loader();
    ten_times("10,000 connections", &loader, || {
        for _ in 0..many(10_000) {
            let mut connection = greeted(&loader);
            connection.shutdown(Shutdown::Write).unwrap();
            // The next comes when this one is gone, so that each time takes the same.
            connection.read_to_end(&mut Vec::new()).unwrap();
        }
        read(&mut client(&loader), 10);
    });
}

#[test]
fn calls_that_are_opened_and_cancelled_are_given_back_ten_times() {
    let loader = loader();
    ten_times("10,000 cancelled calls", &loader, || {
        for _ in 0..many(10_000) / 100 {
            let mut connection = greeted(&loader);
            for number in 0..100 {
                let stream = 2 * number + 1;
                let headers = frame(HEADERS, END_HEADERS, stream, &call(&[]));
                let reset = frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
                // It may be closed for too many resets, which is as good.
                if connection.write_all(&[headers, reset].concat()).is_err() {
                    break;
                }
            }
        }
        read(&mut client(&loader), 10);
    });
}

#[test]
fn sixteen_clients_are_given_back_ten_times() {
    let loader = loader();
    ten_times("16 clients", &loader, || {
        shares(&loader, 16, many(100) as u64);
    });
}

#[test]
fn streams_that_nobody_reads_to_their_end_are_given_back_ten_times() {
    let loader = loader();
    ten_times("200 streams left in the middle", &loader, || {
        for _ in 0..many(200) {
            // It goes with a window of batches built, on the way, or asked for.
            read(&mut client(&loader), 1);
        }
    });
}

#[test]
fn dialers_beyond_all_descriptors_are_given_back_ten_times() {
    let loader = Watched::start(&data(), &["--workers", "1"], 64);
    ten_times("200 dialers at 64 descriptors", &loader, || {
        let dialers: Vec<_> =
            (0..200).map(|_| TcpStream::connect(&loader.serving.address).unwrap()).collect();
        // Most are closed at once; the rest lose their places when they do not greet in time, or when they go.
        assert!(loader.descriptors() <= 64);
        drop(dialers);
        read(&mut client(&loader), 10);
    });
    assert!(loader.metric("mixfeed_loader_refused_connections_total{reason=\"full\"}") > 0);
    assert!(loader.metric("mixfeed_loader_refused_connections_total{reason=\"silent\"}") > 0);
}
