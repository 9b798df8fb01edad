//! What networks do to connections, by a proxy in front of each loader.

use super::*;
use mixfeed_fake::Proxy;
use std::time::Instant;

/// A loader behind a proxy, beside one that is not.
fn behind() -> (FakeLoader, Proxy, FakeLoader) {
    let (far, near) = (loader(steady()), loader(steady()));
    let proxy = Proxy::start(far.address()).unwrap();
    (far, proxy, near)
}

fn through(proxy: &Proxy, near: Option<&FakeLoader>, batches: u64) -> StreamConfig {
    let mut config = config(&near.into_iter().collect::<Vec<_>>(), batches);
    config.loaders.insert(0, proxy.address().into());
    config
}

#[tokio::test]
async fn a_line_that_falls_deaf_loses_its_work_to_the_others() {
    let (_far, proxy, near) = behind();
    let mut config = through(&proxy, Some(&near), 300);
    config.tuning.hedge = false;
    let mut stream = open(config).await;
    for index in 0..60 {
        read_one(&mut stream, index).await;
    }
    proxy.go_deaf();
    let start = Instant::now();
    assert_eq!(read_all(&mut stream, 60).await, 240);
    assert!(
        stream.stats().reassigned > 0 && start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_line_that_was_deaf_for_a_while_is_used_again() {
    let (_far, proxy, _) = behind();
    let mut stream = open(through(&proxy, None, 200)).await;
    read_one(&mut stream, 0).await;
    proxy.go_deaf();
    let line = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        proxy.hear();
    };
    let (read, ()) = tokio::join!(read_all(&mut stream, 1), line);
    assert_eq!(read, 199);
}

#[tokio::test]
async fn a_reset_costs_no_batch() {
    let (_far, proxy, near) = behind();
    let mut stream = open(through(&proxy, Some(&near), 400)).await;
    for index in 0..400 {
        if index % 100 == 50 {
            proxy.reset();
        }
        read_one(&mut stream, index).await;
    }
    assert!(proxy.connections() > 2, "{}", proxy.connections());
}

#[tokio::test]
async fn a_connection_cut_anywhere_costs_no_batch() {
    let (_far, proxy, _) = behind();
    let mut stream = open(through(&proxy, None, 150)).await;
    for index in 0..150 {
        if index % 15 == 5 {
            proxy.cut_after(index * 31 % 2000);
        }
        read_one(&mut stream, index).await;
    }
    assert!(proxy.connections() > 5, "{}", proxy.connections());
}

#[tokio::test]
async fn a_bit_flipped_on_the_way_is_never_handed_out_wherever_it_falls() {
    // It may fall into pixels, a checksum, an index, a length or a frame: each batch that comes is
    // compared with what it must be.
    let (_far, proxy, near) = behind();
    let mut config = through(&proxy, Some(&near), 600);
    config.tuning.quarantine = Duration::from_millis(20);
    let mut stream = open(config).await;
    for index in 0..600 {
        if index % 10 == 0 {
            proxy.flip_bit_after(index * 97 % 3000);
        }
        read_one(&mut stream, index).await;
    }
    assert!(stream.stats().corrupt > 0, "{:?}", stream.stats());
}

#[tokio::test]
async fn a_long_line_is_kept_full() {
    let far = loader(Script { window_batches: 32, ..Script::default() });
    let proxy = Proxy::start(far.address()).unwrap();
    proxy.set_latency(Duration::from_millis(20));
    let mut stream = open(through(&proxy, None, 1000)).await;
    read_one(&mut stream, 0).await;
    let start = Instant::now();
    assert_eq!(read_all(&mut stream, 1).await, 999);
    // One at a time would take 40 s; 64 at a time need 16 round trips.
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_narrow_line_does_not_set_the_pace() {
    let (far, proxy, near) = behind();
    // About ten batches a second; the other loader makes hundreds.
    proxy.set_bandwidth(10_000);
    let start = Instant::now();
    assert_eq!(read_all(&mut open(through(&proxy, Some(&near), 600)).await, 0).await, 600);
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}, {} came through", start.elapsed(), far.served());
}
