//! Batches that must never be handed out. Every read checks the bytes, so a test that gets to the
//! end has shown that none was.

use super::*;
use mixfeed_fake::{At, Fault, FaultKind};

async fn survives(kind: FaultKind) {
    let bad = loader(steady().with(Fault::always(At::Every(5), kind.clone())));
    let good = loader(steady());
    let mut config = config(&[&bad, &good], 20_000);
    // A quarantine longer than the test: the bad loader is met once.
    config.tuning.quarantine = PATIENCE;
    let mut stream = open(config).await;
    read_past_a_fault(&mut stream).await;
    let stats = stream.stats();
    assert_eq!((stats.corrupt, stats.replicas_serving), (1, 1), "{kind:?}");
}

#[tokio::test]
async fn a_flipped_bit_is_never_handed_out() {
    survives(FaultKind::FlipBit).await;
}

#[tokio::test]
async fn a_missing_row_is_never_handed_out() {
    survives(FaultKind::MissingRow).await;
}

#[tokio::test]
async fn a_label_or_lambda_out_of_range_is_never_handed_out() {
    survives(FaultKind::Label).await;
    survives(FaultKind::Lambda).await;
}

#[tokio::test]
async fn a_batch_that_was_not_asked_for_is_never_handed_out() {
    survives(FaultKind::Unasked).await;
}

#[tokio::test]
async fn a_batch_that_comes_twice_is_handed_out_once() {
    // The second copy is one that nobody asked for.
    survives(FaultKind::Twice).await;
}

#[tokio::test]
async fn a_loader_that_opens_its_stream_twice_or_makes_more_rows_than_there_are_is_left() {
    survives(FaultKind::Reopens).await;
    survives(FaultKind::Overdone).await;
}

#[tokio::test]
async fn an_answer_longer_than_any_batch_of_the_stream_is_not_received() {
    // A batch here has less than 1 kB, and 64 KiB are left for what is beside it.
    survives(FaultKind::Lengthy(70_000)).await;
}

#[tokio::test]
async fn the_only_loader_is_used_again_after_its_quarantine() {
    let one = loader(Script::default().with(Fault::once(At::Index(10), FaultKind::FlipBit)));
    let mut stream = open(config(&[&one], 40)).await;
    assert_eq!(read_all(&mut stream, 0).await, 40);
    assert_eq!((one.streams(), stream.stats().corrupt), (2, 1));
}

#[tokio::test]
async fn damaged_data_is_an_error_after_the_batches_before_it() {
    let damaged = Script::default().with(Fault::always(At::Index(30), FaultKind::DataLoss));
    let (one, two) = (loader(damaged.clone()), loader(damaged));
    let mut stream = open(config(&[&one, &two], 100)).await;
    for index in 0..30 {
        read_one(&mut stream, index).await;
    }
    let error = read_error(&mut stream).await;
    let text = error.to_string();
    let StreamError::DataLoss { index: 30, message, mut loaders } = error else { panic!("{text}") };
    assert_eq!(message, "record 7 is damaged");
    assert!(text.ends_with(&format!("; found by {}", loaders.join(" and "))), "{text}");
    loaders.sort();
    let mut both = [&one, &two].map(|loader| loader.address().to_string());
    both.sort();
    assert_eq!(loaders, both);
    assert!(stream.next().await.is_none());
    assert!(one.asked().contains(&30) && two.asked().contains(&30), "a second opinion is asked for");
}

#[tokio::test]
async fn damaged_data_of_one_loader_is_made_good_by_another() {
    let damaged = steady().with(Fault::always(At::Every(7), FaultKind::DataLoss));
    let (one, two) = (loader(damaged), loader(steady()));
    assert_eq!(read_all(&mut open(config(&[&one, &two], 100)).await, 0).await, 100);
}

#[tokio::test]
async fn what_one_loader_cannot_read_now_is_read_by_another_and_ends_nothing() {
    for kind in [FaultKind::Unavailable, FaultKind::Changed] {
        let away = steady().with(Fault::always(At::Every(3), kind.clone()));
        let (one, two) = (loader(away), loader(steady()));
        let mut stream = open(config(&[&one, &two], 100)).await;
        assert_eq!(read_all(&mut stream, 0).await, 100);
        assert_eq!(stream.stats().replicas_serving, 2, "{kind:?} is no reason to leave a loader alone");
    }
}

#[tokio::test]
async fn what_the_only_loader_cannot_read_now_is_asked_for_again_until_it_can() {
    for kind in [FaultKind::Unavailable, FaultKind::Changed] {
        let away = Fault { at: At::From(20), kind, times: 5 };
        let one = loader(steady().with(away));
        assert_eq!(read_all(&mut open(config(&[&one], 50)).await, 0).await, 50);
    }
}

#[tokio::test]
async fn data_that_has_changed_everywhere_is_an_error_of_its_own_after_a_time() {
    let changed = steady().with(Fault::always(At::Index(30), FaultKind::Changed));
    let (one, two) = (loader(changed.clone()), loader(changed));
    let mut config = config(&[&one, &two], 100);
    config.tuning.changed_for = Duration::from_millis(300);
    let started = std::time::Instant::now();
    let mut stream = open(config).await;
    for index in 0..30 {
        read_one(&mut stream, index).await;
    }
    let error = read_error(&mut stream).await;
    let named = matches!(&error, StreamError::DataChanged { index: 30, message, .. } if message == "record 7 is gone");
    assert!(named, "{error}");
    assert!(started.elapsed() >= Duration::from_millis(300));
    let times = |loader: &FakeLoader| loader.asked().iter().filter(|index| **index == 30).count();
    assert!(times(&one) >= 2 && times(&two) >= 2, "each was asked again");
}

#[tokio::test]
async fn a_failed_batch_is_asked_for_again() {
    let fault = Fault { at: At::Every(10), kind: FaultKind::Internal, times: 3 };
    let one = loader(Script::default().with(fault));
    assert_eq!(read_all(&mut open(config(&[&one], 50)).await, 0).await, 50);
}
