//! Replicas of unlike speed.

use super::*;
use std::time::Instant;

/// Seconds in which `batches` come from `loaders`, after a start that is not counted.
async fn time(loaders: &[&FakeLoader], batches: u64) -> (f64, BatchStream) {
    let mut stream = open(config(loaders, batches + 50)).await;
    for index in 0..50 {
        read_one(&mut stream, index).await;
    }
    let start = Instant::now();
    assert_eq!(read_all(&mut stream, 50).await, batches);
    (start.elapsed().as_secs_f64(), stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loader_ten_times_slower_does_not_set_the_pace() {
    let script = |millis| Script { latency: Duration::from_millis(millis), ..Script::default() };
    let (one, two) = (loader(script(5)), loader(script(5)));
    let (two_alone, _) = time(&[&one, &two], 300).await;
    let slow = loader(script(50));
    let (with_slow, stream) = time(&[&one, &two, &slow], 300).await;
    assert!(with_slow < two_alone / 0.9, "{with_slow:.2} s with the slow one, {two_alone:.2} s without");
    assert!(slow.served() > 5, "it does a share of the work: {}", slow.served());
    assert!(stream.stats().hedged < 60, "{:?}", stream.stats());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loader_that_takes_seconds_for_a_batch_holds_nobody_up_and_leaves_no_task() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let script = |millis| Script { latency: Duration::from_millis(millis), ..Script::default() };
    let (quick, slow) = (loader(script(5)), loader(script(2000)));
    let (alone, _) = time(&[&quick], 200).await;
    for _ in 0..3 {
        let (with_slow, stream) = time(&[&quick, &slow], 200).await;
        assert!(with_slow < 1.5 * alone, "{with_slow:.2} s with the slow one, {alone:.2} s without");
        // What it owes is asked of the other when it is due: once, and not again and again.
        assert!(stream.stats().hedged < 60, "{:?}", stream.stats());
        drop(stream);
        let deadline = Instant::now() + PATIENCE;
        while tasks() > before {
            assert!(Instant::now() < deadline, "{} tasks, {before} before", tasks());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_late_batch_is_asked_of_another_and_the_first_answer_wins() {
    use mixfeed_fake::{At, Fault, FaultKind};
    let late = Fault::once(At::Served(40), FaultKind::Delay(Duration::from_millis(500)));
    let (late, quick) = (loader(steady().with(late)), loader(steady()));
    let start = Instant::now();
    let mut config = config(&[&late, &quick], 200);
    config.tuning.idle_timeout = PATIENCE;
    let mut stream = open(config).await;
    assert_eq!(read_all(&mut stream, 0).await, 200);
    assert!(stream.stats().hedged > 0, "{:?}", stream.stats());
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_consumer_that_takes_nothing_is_not_flooded() {
    let one = loader(Script::default());
    let mut config = config(&[&one], 10_000);
    config.tuning.window_batches = 8;
    let bound = 8 + config.tuning.queue_batches as u64;
    let mut stream = open(config).await;
    read_one(&mut stream, 0).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(one.asked().len() as u64 <= bound + 2, "{} asked for", one.asked().len());
}
