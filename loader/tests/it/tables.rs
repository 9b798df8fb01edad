//! A table of more rows than anybody holds in memory twice.

use crate::commands::serving;
use crate::write;
use ::parquet::basic::Compression;
use ::parquet::file::properties::WriterProperties;
use mixfeed_client::{BlockingStream, StreamConfig, StreamEnd, StreamSpec};
use mixfeed_pipeline::Split;
use std::path::Path;
use std::time::{Duration, SystemTime};

const ROWS: usize = 2_000_000;
const FILES: usize = 4;

/// Rows of a group.
const GROUP: usize = 50_000;

/// Bytes of memory that a loader may have had at most.
const MOST: u64 = 512 << 20;

/// Images of four by four pixels, in pages of a thousand.
fn tables(place: &Path) {
    let drawings = write::drawings(Split::Train, 64);
    let small = |image: &write::Image| {
        let pixels = image::imageops::crop_imm(&image.pixels, 8, 8, 4, 4).to_image();
        write::Image { pixels, ..image.clone() }.png()
    };
    let images: Vec<Vec<u8>> = drawings.iter().map(small).collect();
    for file in 0..FILES {
        let rows: Vec<Vec<write::Row>> = (0..ROWS / FILES / GROUP)
            .map(|group| {
                let row = |at: usize| (Some(images[(at + file) % 64].clone()), Some((at % 10) as i64));
                (group * GROUP..(group + 1) * GROUP).map(row).collect()
            })
            .collect();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_dictionary_enabled(false)
            .set_data_page_row_count_limit(1000);
        let path = place.join(format!("train-{file:05}-of-{FILES:05}.parquet"));
        write::table_with(&path, &rows, properties);
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    }
}

/// Starts a loader; returns the most memory that it had, and some batches from all over the set.
fn start(data: &Path, flags: &[&str]) -> (u64, Vec<[u8; 32]>) {
    let all = [&["--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"], flags];
    let loader = serving(&all.concat());
    let spec = StreamSpec { batch_size: 100, ..StreamSpec::default() };
    let mut stream = StreamConfig::new(vec![loader.address.parse().unwrap()], spec);
    stream.end = StreamEnd::Batch(20);
    let batches = BlockingStream::open(stream).unwrap().map(|batch| batch.unwrap().digest()).collect();
    let status = std::fs::read_to_string(format!("/proc/{}/status", loader.child.id())).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB")).unwrap();
    (most.trim().parse::<u64>().unwrap() << 10, batches)
}

#[test]
fn two_million_rows_are_served_in_bounded_memory_read_known_or_by_an_index() {
    if mixfeed_ops::testing::require("slow", mixfeed_ops::testing::slow()).is_none() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    tables(place.path());
    let none = ["--cache", "none"];
    let (_, expected) = start(place.path(), &none);
    let kept = tempfile::tempdir().unwrap();
    let index = kept.path().join("index");
    let inspect = std::process::Command::new(env!("CARGO_BIN_EXE_mixfeed-loader"))
        .args(["inspect", "--data", place.path().to_str().unwrap(), "--write-index", index.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(inspect.status.success(), "{inspect:?}");
    let indexed = [&none[..], &["--data-index", index.to_str().unwrap()]].concat();
    for flags in [&none[..], &indexed, &["--cache", "encoded", "--cache-memory", "1MiB"]] {
        let (most, batches) = start(place.path(), flags);
        assert!(most < MOST, "{most} with {flags:?}");
        assert!(batches == expected, "{flags:?}");
    }
}
