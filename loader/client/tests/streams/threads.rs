//! The blocking form.

use super::*;
use mixfeed_client::BlockingStream;

#[test]
fn a_thread_reads_a_stream_to_its_end() {
    let (one, two) = (loader(steady()), loader(steady()));
    let stream = BlockingStream::open(config(&[&one, &two], 100)).unwrap();
    assert_eq!(stream.info().dataset.classes.len(), 10);
    let mut index = 0;
    for batch in stream {
        assert_sound(&batch.unwrap(), index);
        index += 1;
    }
    assert_eq!(index, 100);
}

#[test]
fn dropping_a_stream_in_the_middle_ends_its_thread_and_its_loaders_streams() {
    let one = loader(steady());
    for _ in 0..3 {
        let mut stream = BlockingStream::open(config(&[&one], u64::MAX)).unwrap();
        assert_sound(&stream.next().unwrap().unwrap(), 0);
        drop(stream);
    }
    let start = std::time::Instant::now();
    while one.open_streams() > 0 {
        assert!(start.elapsed() < PATIENCE, "a stream is still open");
        std::thread::yield_now();
    }
    assert_eq!(one.streams(), 3);
}

#[test]
fn errors_of_opening_reach_the_thread() {
    let mut config = StreamConfig::new(vec!["127.0.0.1:1".parse().unwrap()], spec());
    config.loader_timeout = Duration::from_millis(200);
    assert!(matches!(BlockingStream::open(config), Err(StreamError::NoLoader { .. })));
}

#[test]
fn an_interrupt_ends_the_waiting_for_a_loader_and_for_a_batch() {
    let soon = |interrupt: mixfeed_client::Interrupt| {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            interrupt.interrupt();
        })
    };
    let config = StreamConfig::new(vec!["127.0.0.1:1".parse().unwrap()], spec());
    let waiting = soon(config.interrupt.clone());
    assert!(matches!(BlockingStream::open(config), Err(StreamError::Interrupted)));
    waiting.join().unwrap();

    let one = loader(steady());
    let config = self::config(&[&one], u64::MAX);
    let interrupt = config.interrupt.clone();
    let mut stream = BlockingStream::open(config).unwrap();
    assert_sound(&stream.next().unwrap().unwrap(), 0);
    one.freeze();
    let waiting = soon(interrupt);
    let end = stream.by_ref().find_map(Result::err);
    assert!(matches!(end, Some(StreamError::Interrupted)));
    assert!(stream.next().is_none());
    waiting.join().unwrap();
}
