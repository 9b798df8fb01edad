//! Tables that unpack to more than they say, or than any page has.

use super::*;
use ::parquet::basic::{Compression, Encoding};
use ::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
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
fn a_page_that_says_it_unpacks_to_more_than_any_is_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("train.parquet");
    for (compression, indexed) in [
        (Compression::SNAPPY, true),
        (Compression::SNAPPY, false),
        (Compression::ZSTD(Default::default()), true),
        (Compression::LZ4_RAW, false),
    ] {
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_dictionary_enabled(false)
            .set_offset_index_disabled(!indexed)
            .set_statistics_enabled(EnabledStatistics::None);
        table_with(&path, &[vec![(Some(vec![0; 130 << 20]), Some(1))]], properties);
        // The size of the page is the second field of its header: what is 130 MiB becomes 1.1 GiB.
        let mut file = std::fs::read(&path).unwrap();
        let last = (7..).find(|place| file[*place] < 0x80).unwrap();
        assert_eq!((file[4..7].to_vec(), last), (vec![0x15, 0, 0x15], 11));
        file[last] *= 9;
        std::fs::write(&path, file).unwrap();
        let message = refusal_with(place.path(), Options::default());
        assert!(message.contains("column img.bytes: the page at offset 4 unpacks to 1.1 GiB"), "{message}");
        assert!(message.ends_with("more than 1.0 GiB; write it in smaller groups of rows"), "{message}");
    }
}

#[test]
fn an_image_that_is_larger_than_any_is_bad() {
    let place = tempfile::tempdir().unwrap();
    let properties =
        WriterProperties::builder().set_compression(Compression::SNAPPY).set_dictionary_enabled(false);
    let large = (Some(vec![0; (256 << 20) + 1]), Some(1));
    let [first, last] = [0, 1].map(|at| rows(2)[at].clone());
    table_with(&place.path().join("train.parquet"), &[vec![first, large, last]], properties);
    let data = read_with(place.path(), Options { cache: Cache::None, ..Options::default() });
    let errors: Vec<_> = (0..3).filter_map(|at| data.train.image(at, &mut Vec::new()).err()).collect();
    let said = "train.parquet row 1: 268435457 bytes are more than the 268435456 of an image file";
    assert!(errors.len() == 1 && errors[0].to_string().ends_with(said), "{errors:?}");
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
