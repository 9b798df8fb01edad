//! Loaders that lie, and what is remembered of them from one stream of a run to the next.

use super::*;
use mixfeed_client::{AuditPolicy, Expected, LoaderHistory, Split};
use mixfeed_fake::{At, Fault, FaultKind, Proxy};
use std::time::Instant;

/// Lies in each tenth batch.
fn liar(kind: FaultKind) -> Script {
    steady().with(Fault::always(At::Every(10), kind))
}

fn audited(loaders: &[&FakeLoader], batches: u64, every: u64) -> StreamConfig {
    let mut config = config(loaders, batches);
    config.tuning.audit_every = every;
    config
}

#[tokio::test]
async fn an_audit_of_every_batch_finds_a_loader_that_lies_and_nothing_of_it_is_handed_out() {
    for kind in [FaultKind::OtherPixels, FaultKind::ForgedPixels] {
        let (wrong, good, also) = (loader(liar(kind.clone())), loader(steady()), loader(steady()));
        let config = audited(&[&wrong, &good, &also], 200, 1);
        let history = config.history.clone();
        let mut stream = open(config).await;
        assert_eq!(read_all(&mut stream, 0).await, 200);
        let stats = stream.stats();
        assert!(stats.corrupt >= 1 && stats.audited >= 50, "{kind:?}: {stats:?}");
        assert_eq!(stats.replicas_serving, 2);
        let convicted = history.convicted();
        assert_eq!(convicted.len(), 1, "{convicted:?}");
        assert_eq!(convicted[0].loader, wrong.address().to_string());
    }
}

#[tokio::test]
async fn an_audit_with_one_loader_goes_on_and_counts_what_it_could_not_compare() {
    let one = loader(Script::default());
    let mut stream = open(audited(&[&one], 50, 1)).await;
    assert_eq!(read_all(&mut stream, 0).await, 50);
    assert_eq!((stream.stats().audited, stream.stats().unaudited), (0, 50));
}

#[tokio::test]
async fn no_answer_passes_alone_while_a_loader_with_a_second_opinion_is_being_connected() {
    let lie = Fault::always(At::Index(0), FaultKind::OtherPixels);
    let (first, quick) = (loader(steady()), loader(steady().with(lie)));
    let line = Proxy::start(first.address()).unwrap();
    line.set_latency(Duration::from_millis(20));
    let mut config = audited(&[&quick], 20, 1);
    config.loaders.insert(0, line.address().into());
    let mut stream = open(config).await;
    assert_eq!(read_all(&mut stream, 0).await, 20);
    assert!(stream.stats().undecided == 1, "{:?}", stream.stats());
}

#[tokio::test]
async fn what_one_loader_alone_vouches_for_is_counted_for_training_only() {
    for (split, counted) in [(Split::Train, 20), (Split::Test, 0)] {
        let one = loader(Script::default());
        let mut config = config(&[&one], 20);
        config.spec.split = split;
        let history = config.history.clone();
        let mut stream = open(config).await;
        while let Some(batch) = tokio::time::timeout(PATIENCE, stream.next()).await.expect("goes on") {
            batch.unwrap();
        }
        drop(stream);
        let batches = || history.records().iter().map(|record| record.unconfirmed.batches).sum::<u64>();
        let told = async {
            while batches() != counted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, told).await.expect("it is remembered when the stream ends");
    }
}

#[tokio::test]
async fn who_contradicts_whom_is_said_and_the_first_loader_is_believed_when_there_is_no_third() {
    let (good, wrong) = (loader(steady()), loader(liar(FaultKind::OtherPixels)));
    let start = Instant::now();
    let mut stream = open(audited(&[&good, &wrong], 100, 1)).await;
    assert_eq!(read_all(&mut stream, 0).await, 100);
    let stats = stream.stats();
    assert!(stats.undecided >= 5 && stats.replicas_serving == 2, "{stats:?}");
    assert!(start.elapsed() < Duration::from_secs(10), "nothing stands still: {:?}", start.elapsed());
}

#[tokio::test]
async fn a_stream_that_is_to_stop_ends_when_loaders_contradict_each_other() {
    let (good, wrong) = (loader(steady()), loader(liar(FaultKind::OtherPixels)));
    let mut config = audited(&[&good, &wrong], 100, 1);
    config.tuning.audit_policy = AuditPolicy::Stop;
    let error = read_error(&mut open(config).await).await;
    let named = |loaders: &[String]| {
        [&good, &wrong].iter().all(|loader| loaders.contains(&loader.address().to_string()))
    };
    assert!(matches!(&error, StreamError::Undecided { loaders, .. } if named(loaders)), "{error}");
}

#[tokio::test]
async fn a_stream_that_is_to_stop_ends_with_the_conviction_and_tells_what_came_from_the_liar() {
    let wrong = steady().with(Fault::always(At::From(40), FaultKind::OtherPixels));
    let (wrong, good, also) = (loader(wrong), loader(steady()), loader(steady()));
    let mut config = audited(&[&wrong, &good, &also], 400, 4);
    config.tuning.audit_policy = AuditPolicy::Stop;
    let mut stream = open(config).await;
    let error = loop {
        match tokio::time::timeout(PATIENCE, stream.next()).await.expect("goes on") {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("a liar is found"),
        }
    };
    let StreamError::Convicted { loader, unconfirmed, .. } = &error else { panic!("{error}") };
    assert_eq!(*loader, wrong.address().to_string());
    assert!(unconfirmed.batches > 0 && unconfirmed.first <= unconfirmed.last, "{unconfirmed:?}");
}

#[tokio::test]
async fn a_trusted_loader_decides_where_two_contradict_each_other_and_does_nothing_else() {
    // It lies when all are there.
    let wrong = steady().with(Fault::always(At::From(200), FaultKind::OtherPixels));
    let (wrong, good, also) = (loader(wrong), loader(steady()), loader(steady()));
    let arbiter = loader(steady());
    let mut config = audited(&[&wrong, &good, &also], 400, 1);
    config.tuning.window_batches = 32;
    config.arbiter = Some(arbiter.address().into());
    let history = config.history.clone();
    let mut stream = open(config).await;
    assert_eq!(read_all(&mut stream, 0).await, 400);
    assert_eq!(history.convicted().len(), 1);
    assert_eq!(history.convicted()[0].loader, wrong.address().to_string());
    let asked = arbiter.asked();
    assert!(!asked.is_empty() && asked.iter().all(|index| *index >= 200), "{asked:?}");
    assert_eq!(stream.stats().replicas_serving, 2, "the arbiter is none of those that serve");
}

#[tokio::test]
async fn a_trusted_loader_is_a_second_opinion_where_there_is_no_other() {
    let (wrong, arbiter) = (loader(liar(FaultKind::OtherPixels)), loader(steady()));
    let mut config = audited(&[&wrong], 200, 1);
    config.arbiter = Some(arbiter.address().into());
    config.loader_timeout = Duration::from_secs(2);
    config.tuning.idle_timeout = Duration::from_millis(50);
    let history = config.history.clone();
    let mut stream = open(config).await;
    let error = read_error(&mut stream).await;
    assert!(matches!(&error, StreamError::NoLoader { detail, .. } if detail.contains("differs")), "{error}");
    assert_eq!(history.convicted().len(), 1, "{:?}", stream.stats());
}

#[tokio::test]
async fn what_came_from_a_convicted_loader_and_was_not_handed_out_is_thrown_away() {
    let wrong = steady().with(Fault::always(At::From(1), FaultKind::OtherPixels));
    let (wrong, good, also) = (loader(wrong), loader(steady()), loader(steady()));
    let mut config = audited(&[&wrong, &good, &also], 60, 1);
    // The window is full before the first batch is taken.
    config.tuning.window_batches = 60;
    let mut stream = open(config).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(read_all(&mut stream, 0).await, 60);
    assert_eq!(stream.stats().replicas_serving, 2);
    assert!(stream.stats().discarded > 0, "{:?}", stream.stats());
}

#[tokio::test]
async fn a_loader_that_was_found_out_is_not_asked_by_the_next_stream_of_the_run_whatever_its_address() {
    let wrong = Script { instance: Some([7; 16]), ..liar(FaultKind::OtherPixels) };
    let elsewhere = loader(wrong.clone());
    let (wrong, good, also) = (loader(wrong), loader(steady()), loader(steady()));
    let mut first = audited(&[&wrong, &good, &also], 100, 1);
    let history = first.history.clone();
    assert_eq!(read_all(&mut open(first.clone()).await, 0).await, 100);
    let streams = wrong.streams();
    assert_eq!(streams, 1);
    // What was written down and read again counts as much.
    for history in [history.clone(), LoaderHistory::new(history.records())] {
        first.history = history;
        first.tuning.audit_every = 0;
        first.loaders[0] = wrong.address().into();
        let mut again = open(first.clone()).await;
        assert_eq!(read_all(&mut again, 0).await, 100);
        assert_eq!((wrong.streams(), again.stats().replicas_seen), (streams, 2));
        first.loaders[0] = elsewhere.address().into();
        assert_eq!(read_all(&mut open(first.clone()).await, 0).await, 100);
        assert_eq!(elsewhere.served(), 0, "it is the same process");
    }
}

#[tokio::test]
async fn one_process_under_two_names_is_one_loader_and_its_other_name_takes_over() {
    let twin = Script { instance: Some([5; 16]), ..steady() };
    let (one, other) = (loader(twin.clone()), loader(twin));
    let mut stream = open(audited(&[&one, &other], 200, 1)).await;
    for index in 0..50 {
        read_one(&mut stream, index).await;
    }
    let stats = stream.stats();
    assert_eq!((stats.replicas_serving, stats.audited), (1, 0), "nobody vouches for itself");
    let start = Instant::now();
    let (used, left) = if one.streams() > 0 { (one, other) } else { (other, one) };
    drop(used);
    assert_eq!(read_all(&mut stream, 50).await, 150);
    assert!(left.served() > 0 && start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_only_loader_is_tried_again_soon_however_often_a_bit_was_flipped() {
    let flips = [20, 40, 60, 80].map(|index| Fault::once(At::Index(index), FaultKind::FlipBit));
    let script = flips.into_iter().fold(Script::default(), Script::with);
    let one = loader(script);
    let mut config = config(&[&one], 100);
    config.tuning.quarantine = Duration::from_secs(600);
    let start = Instant::now();
    let mut stream = open(config).await;
    assert_eq!(read_all(&mut stream, 0).await, 100);
    assert_eq!(stream.stats().corrupt, 4);
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_answer_that_is_nothing_is_a_fault() {
    let (empty, good) = (loader(liar(FaultKind::Nothing)), loader(steady()));
    let mut config = config(&[&empty, &good], 20_000);
    config.tuning.quarantine = PATIENCE;
    let mut stream = open(config).await;
    read_past_a_fault(&mut stream).await;
    assert_eq!((stream.stats().corrupt, stream.stats().replicas_serving), (1, 1));
}

#[tokio::test]
async fn a_loader_with_other_classes_is_refused() {
    let mut other = steady();
    other.data.classes = 11;
    let (one, other) = (loader(steady()), loader(other));
    let mut config = config(&[&one, &other], 60);
    let mut stream = open(config.clone()).await;
    assert_eq!(read_all(&mut stream, 0).await, 60);
    assert_eq!((other.streams(), stream.stats().replicas_seen), (0, 1));
    // So it is when an earlier process of the run has seen the classes.
    config.history = LoaderHistory::default();
    let dataset = stream.info().dataset.clone();
    config.loaders.remove(0);
    config.expected = Some(Expected {
        dataset_digest: dataset.digest,
        algorithm_fingerprint: stream.info().algorithm_fingerprint,
        classes_digest: Some(dataset.classes_digest()),
    });
    let error = fails_to_open(config).await;
    assert!(matches!(&error, StreamError::Mismatch { detail } if detail.contains("classes")), "{error}");
}

#[tokio::test]
async fn a_later_stream_of_a_run_waits_for_its_loader_while_another_stands_in_its_place() {
    let right = loader(steady());
    let address = right.address();
    let mut config = config(&[&right], 20);
    let mut stream = open(config.clone()).await;
    assert_eq!(read_all(&mut stream, 0).await, 20);
    config.expected = Some(Expected {
        dataset_digest: stream.info().dataset.digest,
        algorithm_fingerprint: stream.info().algorithm_fingerprint,
        classes_digest: None,
    });
    drop((stream, right));
    let mut foreign = steady();
    foreign.data.digest = [9; 32];
    let wrong = FakeLoader::start_at(address, foreign).unwrap();
    let opening = tokio::spawn(open(config));
    while wrong.described() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(wrong);
    let _right = FakeLoader::start_at(address, steady()).unwrap();
    assert_eq!(read_all(&mut opening.await.unwrap(), 0).await, 20);
}

#[tokio::test]
async fn a_liar_that_takes_an_honest_loaders_id_is_convicted_alone_and_the_other_takes_its_place() {
    let claimed = Some([5; 16]);
    let wrong = loader(Script { instance: claimed, ..liar(FaultKind::OtherPixels) });
    let (good, arbiter) = (loader(Script { instance: claimed, ..steady() }), loader(steady()));
    let mut config = audited(&[&wrong, &good], 200, 1);
    config.arbiter = Some(arbiter.address().into());
    let history = config.history.clone();
    assert_eq!(read_all(&mut open(config).await, 0).await, 200);
    let convicted: Vec<_> = history.convicted().into_iter().map(|record| record.loader).collect();
    assert_eq!(convicted, [wrong.address().to_string()]);
    assert!(good.served() > 100, "{}", good.served());
}
