//! One stream out of many, in order and exactly once.

use super::*;
use mixfeed_client::{PixelType, Remainder, RowShard, Split};
use mixfeed_fake::{At, Fault, FaultKind};
use std::collections::HashMap;

#[tokio::test]
async fn one_loader_serves_a_whole_stream() {
    let one = loader(Script::default());
    let mut stream = open(config(&[&one], 200)).await;
    assert_eq!(read_all(&mut stream, 0).await, 200);
    assert_eq!((one.served(), stream.stats().batches, stream.stats().replicas_seen), (200, 200, 1));
}

#[tokio::test]
async fn three_loaders_share_the_work_and_the_bytes_are_the_same() {
    let loaders = [loader(steady()), loader(steady()), loader(steady())];
    let mut stream = open(config(&[&loaders[0], &loaders[1], &loaders[2]], 300)).await;
    assert_eq!(read_all(&mut stream, 0).await, 300);
    for loader in &loaders {
        assert!(loader.served() > 50, "each gets a share: {:?}", loaders.each_ref().map(FakeLoader::served));
    }
    assert_eq!(stream.stats().replicas_seen, 3);
}

#[tokio::test]
async fn an_epoch_holds_every_sample_once_even_when_a_loader_dies_in_it() {
    let (mut seen, dying) = (HashMap::new(), loader(steady()));
    let surviving = loader(steady());
    let mut config = config(&[&dying, &surviving], 0);
    config.end = StreamEnd::Epoch(2);
    let mut stream = open(config).await;
    assert_eq!((stream.info().samples_per_epoch, stream.info().batches_per_epoch), (1000, 63));
    let mut dying = Some(dying);
    for index in 0..126 {
        if index == 40 {
            dying.take().unwrap().kill();
        }
        let batch = read_one(&mut stream, index).await;
        assert_eq!((batch.epoch, batch.rows), (index / 63, if index % 63 == 62 { 8 } else { 16 }));
        for image in batch.pixels.chunks(4 * 4 * 3) {
            let sample = u64::from_le_bytes(image[..8].try_into().unwrap());
            *seen.entry((batch.epoch, sample)).or_insert(0) += 1;
        }
    }
    assert!(stream.next().await.is_none());
    assert_eq!(seen.len(), 2000);
    assert!(seen.values().all(|count| *count == 1));
}

#[tokio::test]
async fn answers_in_any_order_are_handed_out_in_order() {
    // Every third batch of one loader is late, so that those behind it arrive first.
    let late = Fault::always(At::Every(3), FaultKind::Delay(Duration::from_millis(15)));
    let (late, quick) = (loader(Script::default().with(late)), loader(Script::default()));
    let mut stream = open(config(&[&late, &quick], 150)).await;
    assert_eq!(read_all(&mut stream, 0).await, 150);
}

#[tokio::test]
async fn a_stream_starts_anywhere() {
    let one = loader(Script::default());
    let mut config = config(&[&one], 140);
    config.start = 100;
    let mut stream = open(config).await;
    assert_eq!(read_all(&mut stream, 100).await, 40);
    assert!(one.asked().iter().all(|index| (100..140).contains(index)));
}

#[tokio::test]
async fn an_empty_stream_ends_at_once() {
    let one = loader(Script::default());
    let mut config = config(&[&one], 5);
    config.start = 5;
    assert_eq!(read_all(&mut open(config).await, 5).await, 0);
    assert_eq!(one.served(), 0);
}

#[tokio::test]
async fn the_same_batch_has_the_same_digest_from_any_set_of_loaders() {
    let mut digests = Vec::new();
    for count in 1..=3 {
        let loaders: Vec<_> = (0..count).map(|_| loader(steady())).collect();
        let mut stream = open(config(&loaders.iter().collect::<Vec<_>>(), 20)).await;
        let mut all = Vec::new();
        for index in 0..20 {
            all.push(read_one(&mut stream, index).await.digest());
        }
        digests.push(all);
    }
    assert!(digests.iter().all(|other| *other == digests[0]));
    assert_eq!(digests[0].iter().collect::<std::collections::HashSet<_>>().len(), 20);
}

#[tokio::test]
async fn the_other_forms_of_a_stream_pass_the_gate() {
    let one = loader(Script::default());
    let plain = spec();
    for (spec, rows, batches) in [
        (StreamSpec { split: Split::Test, shuffle: false, ..plain }, 200, 13),
        (StreamSpec { limit: 100, ..plain }, 100, 7),
        (StreamSpec { remainder: Remainder::Drop, ..plain }, 992, 62),
        (StreamSpec { pixel_type: PixelType::F32, ..plain }, 1000, 63),
        (StreamSpec { shard: Some(RowShard { rank: 1, world: 3 }), ..plain }, 313, 63),
    ] {
        let mut config = config(&[&one], 0);
        (config.spec, config.end) = (spec, StreamEnd::Epoch(1));
        let mut stream = open(config).await;
        let (mut seen_rows, mut seen) = (0, 0);
        while let Some(batch) = stream.next().await {
            seen_rows += batch.unwrap().rows;
            seen += 1;
        }
        assert_eq!((seen_rows, seen), (rows, batches));
    }
}

#[tokio::test]
async fn a_loader_behind_a_socket_file_serves() {
    // A relay stands in for a loader that listens on a socket file.
    let one = loader(Script::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loader.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let address = one.address();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = tokio::net::TcpStream::connect(address).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    let mut config = config(&[&one], 30);
    config.loaders = vec![format!("unix://{}", path.display()).parse().unwrap()];
    assert_eq!(read_all(&mut open(config).await, 0).await, 30);
}
