//! Which replicas a stream is opened on, and which are refused.

use super::*;
use mixfeed_client::{Endpoint, Expected, Mixing};
use mixfeed_fake::{At, Fault, FaultKind, Point};
use std::time::Instant;

fn other_data() -> Script {
    let mut script = steady();
    script.data.digest = [9; 32];
    script
}

fn other_algorithm() -> Script {
    let mut script = steady();
    script.data.fingerprint = [8; 32];
    script
}

#[tokio::test]
async fn the_first_loader_of_the_list_decides_and_the_others_are_not_used() {
    for _ in 0..5 {
        let (first, data, algorithm) = (loader(steady()), loader(other_data()), loader(other_algorithm()));
        let mut stream = open(config(&[&first, &data, &algorithm], 60)).await;
        assert_eq!(stream.info().dataset.digest, [1; 32]);
        assert_eq!(read_all(&mut stream, 0).await, 60);
        assert_eq!((data.served(), algorithm.served(), data.streams()), (0, 0, 0));
    }
}

#[tokio::test]
async fn an_unreachable_first_loader_does_not_hold_up_the_choice() {
    let second = loader(steady());
    let mut config = config(&[&second], 20);
    config.loaders.insert(0, closed_port().into());
    let start = Instant::now();
    assert_eq!(read_all(&mut open(config).await, 0).await, 20);
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_resumed_run_uses_only_loaders_that_serve_what_it_read_before() {
    let (other, same) = (loader(other_data()), loader(steady()));
    let mut config = config(&[&other, &same], 40);
    config.expected =
        Some(Expected { dataset_digest: [1; 32], algorithm_fingerprint: [2; 32], classes_digest: None });
    assert_eq!(read_all(&mut open(config).await, 0).await, 40);
    assert_eq!(other.streams(), 0);
}

#[tokio::test]
async fn a_resumed_run_without_a_matching_loader_says_what_differs() {
    let (data, algorithm) = (loader(other_data()), loader(other_algorithm()));
    let mut config = config(&[&data, &algorithm], 40);
    config.expected =
        Some(Expected { dataset_digest: [1; 32], algorithm_fingerprint: [2; 32], classes_digest: None });
    let error = fails_to_open(config).await;
    let StreamError::Mismatch { detail } = &error else { panic!("{error}") };
    for part in
        ["dataset 0909", "algorithm 0808", &data.address().to_string(), &algorithm.address().to_string()]
    {
        assert!(detail.contains(part), "{detail}");
    }
}

#[tokio::test]
async fn no_loader_within_the_timeout_is_an_error_that_names_each() {
    let gone = [closed_port(), closed_port()].map(Endpoint::from);
    let mut config = StreamConfig::new(gone.to_vec(), spec());
    config.loader_timeout = Duration::from_millis(400);
    let error = fails_to_open(config).await;
    assert!(error.is_transient());
    let StreamError::NoLoader { waited, detail } = &error else { panic!("{error}") };
    assert!(*waited >= Duration::from_millis(400) && *waited < Duration::from_secs(3), "{waited:?}");
    assert!(gone.iter().all(|endpoint| detail.contains(&endpoint.to_string())), "{detail}");
    assert!(detail.contains("refused"), "the cause is told: {detail}");
}

#[tokio::test]
async fn a_name_without_address_is_named_in_the_error() {
    let mut config = StreamConfig::new(vec!["dns:///no-such-host.invalid:1".parse().unwrap()], spec());
    config.loader_timeout = Duration::from_millis(300);
    let error = fails_to_open(config).await;
    assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
}

#[tokio::test]
async fn a_refused_spec_ends_the_opening_with_the_loaders_words() {
    let refuse =
        Fault::always(At::From(0), FaultKind::RefuseOpen("mixing.alpha is -1, 0 to 1000 allowed".into()));
    let (one, two) = (loader(steady().with(refuse.clone())), loader(steady().with(refuse)));
    let mut config = config(&[&one, &two], 10);
    config.loaders.push(closed_port().into());
    let error = fails_to_open(config).await;
    assert!(
        matches!(&error, StreamError::Refused { message, .. } if message.contains("alpha is -1")),
        "{error}"
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn one_loader_that_refuses_the_spec_does_not_matter_when_another_accepts_it() {
    let refuse = Fault::always(At::From(0), FaultKind::RefuseOpen("unknown field".into()));
    let (old, new) = (loader(steady().with(refuse)), loader(steady()));
    let mut stream = open(config(&[&old, &new], 50)).await;
    assert_eq!(read_all(&mut stream, 0).await, 50);
    assert_eq!(old.served(), 0);
}

/// A loader of an earlier release.
fn older() -> Script {
    let mut script = steady().with(Fault::always(At::From(0), FaultKind::KnowsNoMixing));
    script.data.release = "0.0.1".into();
    script
}

#[tokio::test]
async fn an_older_loader_is_named_as_such_and_serves_the_specs_that_it_knows() {
    let (old, new) = (loader(older()), loader(steady()));
    let mut mixed = config(&[&old], 20);
    mixed.spec.mixing = Some(Mixing::mixup(0.2, 0.2));
    let error = fails_to_open(mixed.clone()).await;
    let StreamError::Refused { loader, message } = &error else { panic!("{error}") };
    assert_eq!(*loader, old.address().to_string());
    let expected =
        "the spec has a field that it does not know: its release 0.0.1 is older than this client's, ";
    assert!(
        message.starts_with(expected) && message.contains("update the loader, or leave out"),
        "{message}"
    );
    // Beside one that knows it, and with a spec that both know.
    mixed.loaders.push(new.address().into());
    assert_eq!(read_all(&mut open(mixed).await, 0).await, 20);
    assert_eq!((old.served(), new.served() >= 20), (0, true));
    assert_eq!(read_all(&mut open(config(&[&old, &new], 60)).await, 0).await, 60);
    assert!(old.served() > 0, "both serve it");
}

#[tokio::test]
async fn a_batch_beyond_the_loaders_limits_is_refused_before_anything_is_opened() {
    let mut script = steady();
    script.data.image = mixfeed_client::ImageShape { height: 1000, width: 1000, channels: 3 };
    let one = loader(script);
    let mut config = config(&[&one], 1);
    config.spec.batch_size = 400;
    let error = fails_to_open(config).await;
    assert!(matches!(&error, StreamError::Refused { message, .. } if message.contains("limit")), "{error}");
    assert_eq!(one.streams(), 0);
}

#[tokio::test]
async fn a_loader_that_is_still_starting_is_waited_for() {
    let starting = Fault { at: At::From(0), kind: FaultKind::Starting, times: 3 };
    let one = loader(steady().with(starting));
    assert_eq!(read_all(&mut open(config(&[&one], 20)).await, 0).await, 20);
}

#[tokio::test]
async fn a_loader_that_falls_silent_before_the_stream_is_open_is_tried_again() {
    for point in [Point::Describe, Point::Call, Point::Opening] {
        let one = loader(steady().with(Fault::once(At::From(0), FaultKind::Mute(point))));
        let mut config = config(&[&one], 20);
        config.tuning.connect_timeout = Duration::from_millis(300);
        assert_eq!(read_all(&mut open(config).await, 0).await, 20, "{point:?}");
    }
}

#[tokio::test]
async fn a_loader_that_answers_nothing_does_not_hold_up_the_others() {
    let (frozen, live) = (loader(steady()), loader(steady()));
    frozen.freeze();
    let start = Instant::now();
    assert_eq!(read_all(&mut open(config(&[&frozen, &live], 30)).await, 0).await, 30);
    assert!(start.elapsed() < Duration::from_millis(2500), "{:?}", start.elapsed());
}

#[tokio::test]
async fn settings_that_make_no_sense_are_errors_at_once() {
    let one = loader(Script::default());
    let good = config(&[&one], 10);
    let mut none = good.clone();
    none.loaders.clear();
    let mut empty_batch = good.clone();
    empty_batch.spec.batch_size = 0;
    let mut backwards = good.clone();
    backwards.start = 11;
    let mut run_id = good;
    run_id.run_id = "line\nbreak".into();
    for config in [none, empty_batch, backwards, run_id] {
        assert!(matches!(fails_to_open(config).await, StreamError::Config(_)));
    }
}

#[tokio::test]
async fn a_loader_replaced_by_one_with_another_algorithm_is_refused_and_the_stream_goes_on() {
    let (replaced, steady_one) = (loader(steady()), loader(steady()));
    let address = replaced.address();
    let mut stream = open(config(&[&replaced, &steady_one], 400)).await;
    for index in 0..100 {
        read_one(&mut stream, index).await;
    }
    replaced.kill();
    let upgraded = FakeLoader::start_at(address, other_algorithm()).unwrap();
    assert_eq!(read_all(&mut stream, 100).await, 300);
    assert_eq!((upgraded.served(), upgraded.streams()), (0, 0));
}

#[tokio::test]
async fn a_loader_whose_batches_have_another_shape_gives_none_whatever_digest_it_claims() {
    let of = |data| Script { data, ..steady() };
    let larger = mixfeed_client::ImageShape { height: 4, width: 5, channels: 3 };
    for data in [
        FakeData { train_samples: 990, ..FakeData::default() },
        FakeData { image: larger, ..FakeData::default() },
    ] {
        let (first, leaving) = (loader(steady()), loader(steady()));
        let address = leaving.address();
        let mut stream = open(config(&[&first, &leaving], 20_000)).await;
        let mut index = read_until_met(&mut stream, 0, &leaving).await;
        leaving.kill();
        let successor = FakeLoader::start_at(address, of(data)).unwrap();
        index = read_until_met(&mut stream, index, &successor).await;
        for index in index..index + 100 {
            read_one(&mut stream, index).await;
        }
        assert_eq!((successor.streams(), successor.served()), (0, 0));
    }
}

#[tokio::test]
async fn the_shape_of_a_stream_is_that_of_the_first_loader_of_the_list_however_late_it_opens() {
    let late = steady().with(Fault::once(At::From(0), FaultKind::Mute(Point::Opening)));
    let smaller = Script { data: FakeData { train_samples: 990, ..FakeData::default() }, ..steady() };
    let (first, quick) = (loader(late), loader(smaller));
    let mut config = config(&[&first, &quick], 200);
    config.tuning.connect_timeout = Duration::from_millis(300);
    let mut stream = open(config).await;
    assert_eq!(stream.info().samples_per_epoch, FakeData::default().train_samples);
    assert_eq!(read_all(&mut stream, 0).await, 200);
    assert_eq!((quick.streams(), quick.served()), (0, 0));
}

/// Reads on until that loader was asked what it is; returns the next index.
async fn read_until_met(stream: &mut BatchStream, mut index: u64, met: &FakeLoader) -> u64 {
    while met.described() == 0 {
        read_one(stream, index).await;
        index += 1;
    }
    index
}

#[tokio::test]
async fn a_loader_that_opens_streams_and_delivers_nothing_does_not_keep_a_stream_waiting_for_ever() {
    let one = loader(steady().with(Fault::always(At::From(0), FaultKind::Break)));
    let mut config = config(&[&one], 10);
    config.loader_timeout = Duration::from_millis(300);
    config.tuning.idle_timeout = Duration::from_millis(20);
    let mut stream = open(config).await;
    assert!(matches!(read_error(&mut stream).await, StreamError::NoLoader { .. }));
}
