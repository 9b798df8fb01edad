//! Batches that come in parts: the same batches, and nothing that is amiss with a part gets through.

use super::*;
use mixfeed_fake::{At, Fault, FaultKind, PartFault};

/// A batch has 768 bytes of pixels, the last of an epoch 384.
fn in_parts(message_bytes: usize) -> Script {
    Script { message_bytes, ..steady() }
}

#[tokio::test]
async fn batches_in_parts_of_any_size_are_those_that_come_whole() {
    for message_bytes in [50, 100, 383, 384, 767, 768] {
        let (parts, whole) = (loader(in_parts(message_bytes)), loader(steady()));
        assert_eq!(read_all(&mut open(config(&[&parts], 130)).await, 0).await, 130, "{message_bytes}");
        assert_eq!(
            read_all(&mut open(config(&[&parts, &whole], 130)).await, 0).await,
            130,
            "{message_bytes}"
        );
        assert!(whole.served() > 0 && parts.served() > 130);
    }
}

#[tokio::test]
async fn parts_that_are_amiss_are_never_handed_out_and_their_loader_is_left() {
    for fault in [
        PartFault::Missing,
        PartFault::Twice,
        PartFault::Swapped,
        PartFault::TooMany,
        PartFault::Empty,
        PartFault::OfAnother,
        PartFault::Between,
        PartFault::Failure,
        PartFault::NoEnd,
        PartFault::FlipBit,
    ] {
        let bad = loader(in_parts(200).with(Fault::always(At::Every(5), FaultKind::Parts(fault))));
        let good = loader(in_parts(200));
        let mut config = config(&[&bad, &good], 100);
        // A quarantine longer than the test: the bad loader is met once.
        config.tuning.quarantine = PATIENCE;
        let mut stream = open(config).await;
        assert_eq!(read_all(&mut stream, 0).await, 100, "{fault:?}");
        let stats = stream.stats();
        assert_eq!((stats.corrupt, stats.replicas_serving), (1, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn a_loader_that_is_lost_between_parts_costs_the_batch_and_is_not_blamed() {
    for fault in [PartFault::Break, PartFault::Drain, PartFault::Stall] {
        // Of a later batch that it happens to be asked for.
        let lost = loader(in_parts(200).with(Fault::once(At::From(5), FaultKind::Parts(fault))));
        let other = loader(in_parts(200));
        let mut stream = open(config(&[&lost, &other], 100)).await;
        assert_eq!(read_all(&mut stream, 0).await, 100, "{fault:?}");
        let stats = stream.stats();
        assert_eq!(stats.corrupt, 0, "{fault:?}");
        assert!(stats.reassigned + stats.hedged >= 1, "{fault:?}: {stats:?}");
    }
}

#[tokio::test]
async fn the_only_loader_is_asked_again_for_what_it_lost_between_parts() {
    let one = loader(in_parts(200).with(Fault::once(At::Index(5), FaultKind::Parts(PartFault::Break))));
    let mut stream = open(config(&[&one], 40)).await;
    assert_eq!(read_all(&mut stream, 0).await, 40);
    assert_eq!((one.streams(), stream.stats().corrupt), (2, 0));
}

#[tokio::test]
async fn late_batches_in_parts_are_hedged_and_compared() {
    let slow = Fault { at: At::Every(7), kind: FaultKind::Delay(Duration::from_millis(300)), times: 4 };
    let (slow, quick) = (loader(in_parts(200).with(slow)), loader(in_parts(300)));
    let mut config = config(&[&slow, &quick], 200);
    config.tuning.audit_every = 2;
    let mut stream = open(config).await;
    assert_eq!(read_all(&mut stream, 0).await, 200);
    let stats = stream.stats();
    // On a busy machine the slow one's opinions are done without, or come late.
    assert!(stats.hedged >= 1 && stats.audited >= 1 && stats.corrupt == 0, "{stats:?}");
}
