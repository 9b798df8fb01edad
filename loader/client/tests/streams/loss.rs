//! Replicas that go away, and come.

use super::*;
use mixfeed_fake::{At, Fault, FaultKind};
use std::time::Instant;

#[tokio::test]
async fn a_killed_loader_costs_no_batch() {
    let (dying, surviving) = (loader(steady()), loader(steady()));
    let mut stream = open(config(&[&dying, &surviving], 300)).await;
    for index in 0..100 {
        read_one(&mut stream, index).await;
    }
    let start = Instant::now();
    dying.kill();
    read_one(&mut stream, 100).await;
    assert_eq!(read_all(&mut stream, 101).await, 199);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(stream.stats().replicas_serving, 1);
}

#[tokio::test]
async fn a_loader_that_stops_in_the_middle_of_everything_loses_its_work() {
    let (stopped, surviving) = (loader(steady()), loader(steady()));
    let mut config = config(&[&stopped, &surviving], 300);
    config.tuning.hedge = false;
    let mut stream = open(config).await;
    for index in 0..50 {
        read_one(&mut stream, index).await;
    }
    stopped.freeze();
    let start = Instant::now();
    assert_eq!(read_all(&mut stream, 50).await, 250);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert!(stream.stats().reassigned > 0);
}

#[tokio::test]
async fn a_stalled_stream_on_a_live_connection_loses_its_work_too() {
    let stall = Fault::once(At::Index(20), FaultKind::Stall);
    let (stalling, other) = (loader(steady().with(stall.clone())), loader(steady().with(stall)));
    let mut config = config(&[&stalling, &other], 100);
    config.tuning.hedge = false;
    assert_eq!(read_all(&mut open(config).await, 0).await, 100);
}

#[tokio::test]
async fn the_only_loader_may_stall_and_serve_again() {
    let one = loader(Script::default().with(Fault::once(At::Index(20), FaultKind::Stall)));
    let mut stream = open(config(&[&one], 60)).await;
    assert_eq!(read_all(&mut stream, 0).await, 60);
    assert_eq!(one.streams(), 2);
}

#[tokio::test]
async fn a_loader_slower_than_the_idle_timeout_is_given_more_time() {
    // Three times slower than allowed at first; the time doubles until it fits.
    let slow = Script { latency: Duration::from_millis(500), ..Script::default() };
    let one = loader(slow);
    let mut config = config(&[&one], 4);
    config.tuning.idle_timeout = Duration::from_millis(170);
    assert_eq!(read_all(&mut open(config).await, 0).await, 4);
}

#[tokio::test]
async fn a_draining_loader_hands_over_without_an_error() {
    let (draining, other) = (loader(steady()), loader(steady()));
    let mut stream = open(config(&[&draining, &other], 400)).await;
    for index in 0..400 {
        if index % 100 == 50 {
            draining.drain();
        }
        read_one(&mut stream, index).await;
    }
    assert!(draining.streams() > 1, "it is used again once it accepts streams");
}

#[tokio::test]
async fn a_broken_stream_is_opened_again() {
    let one = loader(Script::default().with(Fault::once(At::Index(10), FaultKind::Break)));
    let mut stream = open(config(&[&one], 40)).await;
    assert_eq!(read_all(&mut stream, 0).await, 40);
    assert_eq!(one.streams(), 2);
}

#[tokio::test]
async fn the_stream_waits_when_all_loaders_are_gone_and_goes_on_when_one_is_back() {
    let one = loader(Script::default());
    let address = one.address();
    let mut stream = open(config(&[&one], 200)).await;
    read_one(&mut stream, 0).await;
    one.kill();
    let mut index = 1;
    // What had arrived before is still handed out.
    while let Ok(batch) = tokio::time::timeout(Duration::from_millis(300), stream.next()).await {
        assert_sound(&batch.unwrap().unwrap(), index);
        index += 1;
    }
    assert!(index < 200);
    let _restarted = FakeLoader::start_at(address, Script::default()).unwrap();
    assert_eq!(read_all(&mut stream, index).await, 200 - index);
}

#[tokio::test]
async fn a_stream_without_any_loader_ends_after_the_timeout_and_names_each() {
    let (one, two) = (loader(steady()), loader(steady()));
    let names = [one.address().to_string(), two.address().to_string()];
    let mut config = config(&[&one, &two], u64::MAX);
    config.loader_timeout = Duration::from_millis(500);
    let mut stream = open(config).await;
    read_one(&mut stream, 0).await;
    one.kill();
    two.kill();
    let error = read_error(&mut stream).await;
    assert!(
        matches!(&error, StreamError::NoLoader { waited, detail }
        if *waited >= Duration::from_millis(500) && names.iter().all(|name| detail.contains(name))),
        "{error}"
    );
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_loader_that_comes_later_gets_work() {
    let first = loader(steady());
    let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    let mut config = config(&[&first], 1000);
    config.loaders.push(address.into());
    drop(reserved);
    let mut stream = open(config).await;
    for index in 0..50 {
        read_one(&mut stream, index).await;
    }
    let late = FakeLoader::start_at(address, steady()).unwrap();
    assert_eq!(read_all(&mut stream, 50).await, 950);
    assert!(late.served() > 100, "{}", late.served());
}

#[tokio::test]
async fn replacing_loaders_one_by_one_never_disturbs_the_stream() {
    let mut loaders: Vec<_> = (0..3).map(|_| Some(loader(steady()))).collect();
    let all: Vec<_> = loaders.iter().flatten().collect();
    let mut stream = open(config(&all, 900)).await;
    let mut index = 0;
    for slot in &mut loaders {
        for _ in 0..200 {
            read_one(&mut stream, index).await;
            index += 1;
        }
        let old = slot.take().unwrap();
        let address = old.address();
        old.drain();
        old.kill();
        *slot = Some(FakeLoader::start_at(address, steady()).unwrap());
    }
    assert_eq!(read_all(&mut stream, index).await, 300);
    assert!(loaders.iter().flatten().all(|loader| loader.served() > 0));
}

#[tokio::test]
async fn the_addresses_of_a_name_are_replicas_and_a_lost_one_is_asked_for_again() {
    let one = loader(steady());
    let (port, address) = (one.address().port(), one.address());
    let mut config = config(&[&one], 300);
    config.loaders = vec![format!("dns:///localhost:{port}").parse().unwrap()];
    let mut stream = open(config).await;
    for index in 0..100 {
        read_one(&mut stream, index).await;
    }
    one.kill();
    let _restarted = FakeLoader::start_at(address, steady()).unwrap();
    assert_eq!(read_all(&mut stream, 100).await, 200);
}
