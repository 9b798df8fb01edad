//! Tables that unpack to more than they say, or than there is room for.

use super::*;
use ::parquet::basic::{Compression, Encoding};
use ::parquet::file::properties::{WriterProperties, WriterVersion};
use mixfeed_pipeline::Split;
use write::{drawings, gzip_bomb, table_with};

fn rows(count: usize) -> Vec<write::Row> {
    let images = drawings(Split::Train, count as u64);
    images.iter().map(|image| (Some(image.png()), Some(i64::from(image.label)))).collect()
}

#[test]
fn every_compression_and_version_of_pages_is_read() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("train.parquet");
    let mut digests = Vec::new();
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::ZSTD(Default::default()),
        Compression::LZ4_RAW,
        Compression::LZ4,
    ] {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for dictionary in [true, false] {
                let properties = WriterProperties::builder()
                    .set_compression(compression)
                    .set_writer_version(version)
                    .set_dictionary_enabled(dictionary)
                    .set_encoding(Encoding::PLAIN);
                table_with(&path, &[rows(20), rows(3)], properties);
                let data = read_with(place.path(), Options { no_digest_cache: true, ..Options::default() });
                digests.push(data.digest);
            }
        }
    }
    assert_eq!(digests.len(), 24);
    assert!(digests.iter().all(|digest| *digest == digests[0]));
}

#[test]
fn a_page_that_unpacks_to_more_than_it_says_is_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("train.parquet");
    gzip_bomb(&path, 64 << 20);
    assert!(std::fs::metadata(&path).unwrap().len() < 100_000, "it is small in the file");
    let message = refusal_with(place.path(), Options::default());
    assert!(message.contains("train.parquet: column img.bytes: the page at offset 4 unpacks"), "{message}");
    assert!(message.ends_with("bytes that it says"), "{message}");
}

#[test]
fn pages_that_say_how_much_they_unpack_to_are_held_against_the_memory_there_is() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("train.parquet");
    for compression in [
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::ZSTD(Default::default()),
        Compression::LZ4_RAW,
    ] {
        let properties =
            WriterProperties::builder().set_compression(compression).set_dictionary_enabled(false);
        table_with(&path, &[vec![(Some(vec![0; 64 << 20]), Some(1))]], properties);
        let options = Options { cache_bytes: Some(32 << 20), ..Options::default() };
        let message = refusal_with(place.path(), options);
        assert!(message.contains("more than the 32.0 MiB there are"), "{message}");
    }
}

#[test]
fn values_without_a_bound_are_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_writer_version(WriterVersion::PARQUET_2_0);
    table_with(&place.path().join("train.parquet"), &[rows(20)], properties);
    let message = refusal_with(place.path(), Options::default());
    assert!(message.contains("is in DELTA_BYTE_ARRAY"), "{message}");
}
