//! Sets of very many records: what a loader holds for each of them, however it has come to know the set.

use crate::commands::{run, serving};
use crate::hostile::memory;
use crate::write;
use mixfeed_client::{BlockingStream, StreamConfig, StreamEnd, StreamSpec};
use mixfeed_pipeline::Split;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const RECORDS: usize = 40_000;

/// A set that is small beside it.
const FEW: usize = 400;

/// Different files, of which the others are hard links.
const DIFFERENT: usize = 200;

const CLASSES: usize = 40;

/// Bytes for each record that a loader may have at most, and while it serves.
struct Most {
    at_start: u64,
    serving: u64,
}

/// 1.28 million records, read for the first time, take half a gigabyte.
const READ: Most = Most { at_start: 390, serving: 100 };

const KNOWN: Most = Most { at_start: 200, serving: 100 };

const INDEXED: Most = Most { at_start: 200, serving: 150 };

/// Class folders of images of several sizes, with names as they are in a large set that is known to many.
fn folders(place: &Path, records: usize) {
    let path = |number: usize| {
        let class = number % CLASSES;
        place.join(format!("train/n{class:08}/n{class:08}_{}.png", number / CLASSES))
    };
    (0..CLASSES).for_each(|class| std::fs::create_dir_all(path(class).parent().unwrap()).unwrap());
    for (number, drawing) in write::drawings(Split::Train, DIFFERENT as u64).iter().enumerate() {
        let (width, height) = (8 + number as u32 % 23, 8 + number as u32 % 19);
        let pixels = image::imageops::crop_imm(&drawing.pixels, 0, 0, width, height).to_image();
        let image = write::Image { pixels, ..drawing.clone() };
        std::fs::write(path(number), image.png()).unwrap();
        let file = std::fs::File::options().write(true).open(path(number)).unwrap();
        // Long enough ago for its digest to be kept.
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    }
    (DIFFERENT..records)
        .for_each(|number| std::fs::hard_link(path(number % DIFFERENT), path(number)).unwrap());
}

/// Starts a loader, and reads some batches; returns the most memory that it had, and what it has.
fn start(data: &str, flags: &[&str]) -> [u64; 2] {
    let all = [&["--data", data, "--listen", "127.0.0.1:0", "--cache", "none", "--workers", "1"], flags];
    let loader = serving(&[all.concat(), vec!["--image-size", "16"]].concat());
    let mut stream = StreamConfig::new(vec![loader.address.parse().unwrap()], StreamSpec::train(1, 50));
    stream.end = StreamEnd::Batch(8);
    assert_eq!(BlockingStream::open(stream).unwrap().map(Result::unwrap).count(), 8);
    ["VmHWM", "VmRSS"].map(|field| memory(&loader.child, field))
}

#[test]
fn a_record_of_a_large_set_takes_few_bytes_when_it_is_read_known_or_in_an_index() {
    let place = tempfile::tempdir().unwrap();
    let set = |records| -> (String, PathBuf) {
        let (data, index) =
            (place.path().join(format!("{records}")), place.path().join(format!("{records}.index")));
        folders(&data, records);
        (data.to_str().unwrap().to_owned(), index)
    };
    let [few, many] = [FEW, RECORDS].map(set);
    let ways: [(&str, &[&str], Most); 3] =
        [("read", &[], READ), ("known", &[], KNOWN), ("by an index", &["--data-index"], INDEXED)];
    for (way, flags, most) in ways {
        let [little, much] = [&few, &many].map(|(data, index)| {
            let index = index.to_str().unwrap();
            if flags.is_empty() {
                return start(data, &[]);
            }
            let written = run(&["inspect", "--data", data, "--write-index", index]);
            assert!(written.status.success(), "{written:?}");
            start(data, &[flags, &[index]].concat())
        });
        let each = |at: usize| much[at].saturating_sub(little[at]) / (RECORDS - FEW) as u64;
        let (at_start, serving) = (each(0), each(1));
        let said = format!("{way}: {at_start} bytes a record at most, {serving} while it serves");
        assert!(at_start <= most.at_start && serving <= most.serving, "{said}");
        eprintln!("{said}");
    }
}
