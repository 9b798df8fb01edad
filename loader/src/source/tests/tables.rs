//! Tables whose images are read where they lie: the same set in every layout, whatever is kept, and what is found when a
//! page differs.

use super::formats::batches;
use super::*;
use ::parquet::basic::{Compression, Encoding};
use ::parquet::data_type::{ByteArray, ByteArrayType, Int32Type};
use ::parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use mixfeed_pipeline::{Fault, Split};
use std::sync::Arc;
use write::{Row, drawings, table_with};

const UNCOMPRESSED: Compression = Compression::UNCOMPRESSED;

/// Rows of a page in these tests.
const PAGE: usize = 7;

fn rows(count: u64) -> Vec<Row> {
    drawings(Split::Train, count)
        .iter()
        .map(|image| (Some(image.png()), Some(i64::from(image.label))))
        .collect()
}

/// Pages of a few rows, with an index of their offsets or without.
fn pages(compression: Compression, indexed: bool) -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(compression)
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::PLAIN)
        .set_write_batch_size(1)
        .set_data_page_row_count_limit(PAGE)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(!indexed)
}

fn keeping(cache: Cache, cache_bytes: Option<u64>) -> Options {
    Options { cache, cache_bytes, no_digest_cache: true, ..Options::default() }
}

fn images(data: &Dataset) -> Vec<Result<Vec<u8>, String>> {
    let image = |sample| {
        let mut scratch = Vec::new();
        data.train.image(sample, &mut scratch).map(<[u8]>::to_vec).map_err(|error| error.to_string())
    };
    (0..data.train.count()).map(image).collect()
}

/// Where the pages of a file begin, by its own index of them.
fn offsets(path: &Path) -> Vec<u64> {
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let column = reader.metadata().row_group(0).column(0);
    let range = column.offset_index_range().unwrap();
    let bytes = &std::fs::read(path).unwrap()[range.start as usize..range.end as usize];
    let index = ::parquet::file::page_index::index_reader::decode_offset_index(bytes).unwrap();
    index.page_locations().iter().map(|page| page.offset as u64).collect()
}

#[test]
fn a_set_is_the_same_in_every_layout_of_pages_and_whatever_is_kept() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("train.parquet");
    let mut rows = rows(60);
    (rows[3].0, rows[20].0, rows[59].0) = (None, None, None);
    let (first, second) = rows.split_at(45);
    let groups = [first.to_vec(), second.to_vec()];
    let mut expected = None;
    for compression in [UNCOMPRESSED, Compression::SNAPPY, Compression::GZIP(Default::default())] {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for indexed in [true, false] {
                for dictionary_bytes in [0, 5_000, 1 << 20] {
                    let properties = pages(compression, indexed)
                        .set_writer_version(version)
                        .set_dictionary_enabled(dictionary_bytes > 0)
                        .set_dictionary_page_size_limit(dictionary_bytes.max(1));
                    table_with(&path, &groups, properties);
                    // All of it, and no more than one page at a time.
                    for options in [keeping(Cache::Auto, None), keeping(Cache::None, Some(1))] {
                        let data = read_with(place.path(), options);
                        let found = (data.digest, images(&data));
                        assert_eq!(*expected.get_or_insert_with(|| found.clone()), found, "{compression}");
                    }
                }
            }
        }
    }
    let (_, images) = expected.unwrap();
    let bad: Vec<usize> = (0..60).filter(|at| images[*at].is_err()).collect();
    assert_eq!(bad, [3, 20, 59]);
    assert!(images[20].as_ref().unwrap_err().ends_with("train.parquet row 20: its image is missing"));
}

#[test]
fn batches_are_the_same_whatever_is_kept_and_whether_digests_are_known() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("train.parquet");
    table_with(&path, &[rows(50), rows(70)], pages(Compression::ZSTD(Default::default()), true));
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3600)).unwrap();
    let mut expected = None;
    for no_digest_cache in [true, false, false] {
        for (cache, bytes) in [
            (Cache::Auto, None),
            (Cache::Decoded, None),
            (Cache::Encoded, None),
            (Cache::Encoded, Some(30_000)),
            (Cache::None, None),
            (Cache::None, Some(0)),
        ] {
            let options = Options { no_digest_cache, test_fraction: 0.2, ..keeping(cache, bytes) };
            let data = read_with(place.path(), options);
            let found = (data.digest, batches(&data));
            assert!(*expected.get_or_insert_with(|| found.clone()) == found, "{cache:?} {bytes:?}");
        }
    }
}

#[test]
fn a_column_without_missing_values_is_read_as_well() {
    let place = tempfile::tempdir().unwrap();
    let (nested, flat) = (place.path().join("a"), place.path().join("b"));
    let rows = rows(40);
    std::fs::create_dir(&nested).and_then(|()| std::fs::create_dir(&flat)).unwrap();
    table_with(&nested.join("train.parquet"), std::slice::from_ref(&rows), pages(UNCOMPRESSED, true));
    let schema =
        Arc::new(parse_message_type("message row { required binary image; required int32 label; }").unwrap());
    let file = std::fs::File::create(flat.join("train.parquet")).unwrap();
    let properties = pages(Compression::LZ4_RAW, false).build();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let images: Vec<ByteArray> = rows.iter().map(|(image, _)| image.clone().unwrap().into()).collect();
    let labels: Vec<i32> = rows.iter().map(|(_, label)| label.unwrap() as i32).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&images, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int32Type>().write_batch(&labels, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let [nested, flat] = [nested, flat].map(|folder| read_with(&folder, keeping(Cache::None, None)));
    assert_eq!(nested.digest, flat.digest);
    assert_eq!(self::images(&nested), self::images(&flat));
}

#[test]
fn a_damaged_page_is_refused_by_name_and_so_is_one_that_is_damaged_later() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("train.parquet");
    for compression in [Compression::SNAPPY, Compression::ZSTD(Default::default())] {
        for (cut, said) in [(true, "has a damaged header"), (false, "is damaged: ")] {
            table_with(&path, &[rows(30)], pages(compression, true));
            let whole = std::fs::read(&path).unwrap();
            let [first, second, third] = offsets(&path)[..3].try_into().unwrap();
            assert_eq!(first, 4);
            let mut damaged = whole.clone();
            let from = if cut { second } else { second + 60 };
            damaged[from as usize..third as usize].fill(0xFF);
            std::fs::write(&path, &damaged).unwrap();
            let message = refusal_with(place.path(), keeping(Cache::Auto, None));
            let expected = format!("train.parquet: column img.bytes: the page at offset {second} {said}");
            assert!(message.contains(&expected) && message.lines().count() == 1, "{message}");
            // Under a running loader the images of the page are not what they were, and the others are.
            std::fs::write(&path, &whole).unwrap();
            let data = read_with(place.path(), keeping(Cache::None, Some(1)));
            std::fs::write(&path, &damaged).unwrap();
            let error = |sample| data.train.image(sample, &mut Vec::new()).err();
            for sample in 0..30 {
                let error = error(sample);
                assert_eq!(error.is_some(), (7..14).contains(&sample), "{sample} {error:?}");
                assert!(error.is_none_or(|error| error.fault == Fault::Changed
                    && error.to_string().contains(&expected)
                    && error.record == format!("train.parquet row {sample}")));
            }
            std::fs::write(&path, &whole[..second as usize + 9]).unwrap();
            assert_eq!(error(8).unwrap().fault, Fault::Changed);
            std::fs::write(&path, &whole).unwrap();
            assert!((0..30).all(|sample| error(sample).is_none()), "put back, it is what it was");
        }
    }
}

#[test]
fn a_changed_byte_under_an_index_is_found_in_its_record() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("train.parquet");
    let rows = rows(30);
    table_with(&path, &[rows[..20].to_vec(), rows[20..].to_vec()], pages(UNCOMPRESSED, true));
    let making = Options { write_index: true, ..keeping(Cache::Auto, None) };
    let at = Place { location: Location::Path(place.path().into()), options: making };
    let index = open_with_report(&at, &[]).unwrap().1.index.unwrap();
    index.write(&place.path().join("mixfeed.index")).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let image = rows[23].0.as_ref().unwrap();
    let start = bytes.windows(image.len()).position(|part| part == image).unwrap();
    bytes[start + image.len() / 2] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let options = Options { cache: Cache::None, ..Options::default() };
    let data = read_with(place.path(), options.clone());
    let errors = |data: &Dataset| -> Vec<_> {
        (0..30).filter_map(|sample| data.train.image(sample, &mut Vec::new()).err()).collect()
    };
    let found = errors(&data);
    assert_eq!((found.len(), found[0].sample, found[0].fault), (1, 23, Fault::Changed));
    let said = "train.parquet row 23: its bytes are not those in the index";
    assert!(found[0].to_string().ends_with(said), "{}", found[0]);
    // A length in place of a byte of an image: nothing of the page can be told from the rest.
    bytes[start - 4..start].fill(0x7F);
    std::fs::write(&path, &bytes).unwrap();
    let found = errors(&read_with(place.path(), options));
    assert_eq!(found.iter().map(|error| error.sample).collect::<Vec<_>>(), [20, 21, 22, 23, 24, 25, 26]);
    assert!(found.iter().all(|error| error.fault == Fault::Changed
        && error.to_string().contains("column img.bytes: the page at offset ")));
}

#[test]
fn an_offset_index_that_is_damaged_or_lies_is_no_harm() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("train.parquet");
    table_with(&path, &[rows(30)], pages(Compression::SNAPPY, true));
    let whole = std::fs::read(&path).unwrap();
    let digest = read_with(place.path(), keeping(Cache::None, None)).digest;
    let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    let range = reader.metadata().row_group(0).column(0).offset_index_range().unwrap();
    let mut kept = 0;
    for at in range.start as usize..range.end as usize {
        for value in [0, 0xFF, whole[at] ^ 2] {
            let mut damaged = whole.clone();
            damaged[at] = value;
            std::fs::write(&path, &damaged).unwrap();
            let place =
                Place { location: Location::Path(place.path().into()), options: keeping(Cache::None, None) };
            match open(&place) {
                Ok(data) => {
                    assert_eq!(data.digest, digest);
                    kept += 1;
                }
                Err(error) => assert!(error.to_string().contains("the page at offset "), "{error}"),
            }
        }
    }
    assert!(kept > 0);
}
