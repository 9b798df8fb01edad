//! Writes the same images in each format. The tests of the binary use this file too.

use ::parquet::basic::Compression;
use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use image::{ImageFormat, RgbImage};
use mixfeed_pipeline::synthetic;
use mixfeed_pipeline::{Dataset, Split};
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

/// An image with its class.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) label: u32,
    pub(crate) pixels: RgbImage,
}

impl Image {
    pub(crate) fn png(&self) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        self.pixels.write_to(&mut file, ImageFormat::Png).unwrap();
        file.into_inner()
    }

    /// Red, green and blue planes.
    pub(crate) fn planes(&self) -> Vec<u8> {
        (0..3).flat_map(|channel| self.pixels.pixels().map(move |pixel| pixel.0[channel])).collect()
    }
}

/// The drawings of a split of the synthetic set.
pub(crate) fn drawings(split: Split, count: u64) -> Vec<Image> {
    let data: Dataset = synthetic::dataset(5 * count);
    let samples = data.samples(split);
    let mut scratch = Vec::new();
    (0..count)
        .map(|sample| {
            let pixels = samples.image(sample, &mut scratch).unwrap().to_vec();
            Image { label: samples.label(sample), pixels: RgbImage::from_raw(32, 32, pixels).unwrap() }
        })
        .collect()
}

/// `train/CLASS/NUMBER.png`, and the same for test. Names of classes are of equal order and number.
pub(crate) fn folder(place: &Path, train: &[Image], test: &[Image]) {
    for (split, images) in [("train", train), ("test", test)] {
        for (number, image) in images.iter().enumerate() {
            let class = place.join(split).join(format!("class-{:03}", image.label));
            std::fs::create_dir_all(&class).unwrap();
            std::fs::write(class.join(format!("{number:05}.png")), image.png()).unwrap();
        }
    }
}

/// The binary version of CIFAR-10: the training images in five files.
pub(crate) fn cifar10(place: &Path, train: &[Image], test: &[Image]) {
    let records = |images: &[Image]| -> Vec<u8> {
        images.iter().flat_map(|image| [vec![image.label as u8], image.planes()].concat()).collect()
    };
    for (number, images) in train.chunks(train.len().div_ceil(5)).enumerate() {
        std::fs::write(place.join(format!("data_batch_{}.bin", number + 1)), records(images)).unwrap();
    }
    std::fs::write(place.join("test_batch.bin"), records(test)).unwrap();
}

/// The Python version of CIFAR-10, as protocol 2 of Python 2 writes it.
pub(crate) fn batches(place: &Path, train: &[Image], test: &[Image]) {
    let size = |size: usize| (size as u32).to_le_bytes();
    let batch = |images: &[Image]| -> Vec<u8> {
        let data: Vec<u8> = images.iter().flat_map(Image::planes).collect();
        let labels = images.iter().flat_map(|image| [b'K', image.label as u8]);
        let mut file = b"\x80\x02}q\x01(U\x0bbatch_labelU\x04someU\x06labels](".to_vec();
        file.extend(labels);
        file.extend(b"eU\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n");
        file.extend(b"K\x00\x85U\x01b\x87R(K\x01J");
        file.extend(size(images.len()));
        file.extend(b"M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN");
        file.extend(b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T");
        file.extend(size(data.len()));
        file.extend(data);
        file.extend(b"tbu.");
        file
    };
    for (number, images) in train.chunks(train.len().div_ceil(5)).enumerate() {
        std::fs::write(place.join(format!("data_batch_{}", number + 1)), batch(images)).unwrap();
    }
    std::fs::write(place.join("test_batch"), batch(test)).unwrap();
}

/// A file in a tar archive, padded to whole blocks.
pub(crate) fn tar_file(name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
    header[148..156].fill(b' ');
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header.extend(bytes);
    header.resize(header.len().div_ceil(512) * 512, 0);
    header
}

/// WebDataset: two shards for training, one for testing; labels as text and as JSON in turn.
pub(crate) fn shards(place: &Path, train: &[Image], test: &[Image]) {
    let shard = |images: &[Image]| -> Vec<u8> {
        let files = images.iter().enumerate().flat_map(|(number, image)| {
            let label = match number % 2 {
                0 => tar_file(&format!("{number:05}.cls"), b'0', image.label.to_string().as_bytes()),
                _ => tar_file(
                    &format!("{number:05}.json"),
                    b'0',
                    format!("{{\"label\":{}}}", image.label).as_bytes(),
                ),
            };
            [tar_file(&format!("{number:05}.png"), b'0', &image.png()), label].concat()
        });
        files.chain([0; 1024]).collect()
    };
    for (number, images) in train.chunks(train.len().div_ceil(2)).enumerate() {
        std::fs::write(place.join(format!("train-{number:04}.tar")), shard(images)).unwrap();
    }
    std::fs::write(place.join("test-0000.tar"), shard(test)).unwrap();
}

/// Tables as Hugging Face has them, with two groups of rows for training.
pub(crate) fn tables(place: &Path, train: &[Image], test: &[Image]) {
    let rows = |images: &[Image]| -> Vec<Row> {
        images.iter().map(|image| (Some(image.png()), Some(i64::from(image.label)))).collect()
    };
    let (first, second) = train.split_at(train.len() / 2);
    let data = place.join("data");
    std::fs::create_dir(&data).unwrap();
    table(&data.join("train-00000-of-00001.parquet"), &[rows(first), rows(second)]);
    table(&data.join("test-00000-of-00001.parquet"), &[rows(test)]);
}

/// A table in gzip whose one image is `zeros` bytes long, a thousandth of that in the file, and whose page says that
/// it unpacks to less.
pub(crate) fn gzip_bomb(path: &Path, zeros: usize) {
    let properties = WriterProperties::builder()
        .set_compression(Compression::GZIP(Default::default()))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(::parquet::file::properties::EnabledStatistics::None);
    table_with(path, &[vec![(Some(vec![0; zeros]), Some(1))]], properties);
    let mut file = std::fs::read(path).unwrap();
    // The first page follows the mark "PAR1". Its first field is its type, the second one its size: the lowest bits of
    // that come first, and the highest, in the last byte, become one.
    assert_eq!(file[4..7], [0x15, 0, 0x15]);
    let last = (7..).find(|place| file[*place] < 0x80).unwrap();
    file[last] = 1;
    std::fs::write(path, file).unwrap();
}

/// An encoded image and its label, either of which may be missing.
pub(crate) type Row = (Option<Vec<u8>>, Option<i64>);

/// A table of groups of rows.
pub(crate) fn table(path: &Path, groups: &[Vec<Row>]) {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
    table_with(path, groups, properties);
}

/// The same, written in another way.
pub(crate) fn table_with(path: &Path, groups: &[Vec<Row>], properties: WriterPropertiesBuilder) {
    table_of_splits(path, groups, None, properties);
}

/// The same with a column of such a name, which has these values by turns.
pub(crate) fn table_of_splits(
    path: &Path,
    groups: &[Vec<Row>],
    splits: Option<(&str, &[&str])>,
    properties: WriterPropertiesBuilder,
) {
    let more = splits.map_or(String::new(), |(name, _)| format!("required binary {name} (UTF8);"));
    let schema = "message row { optional group img { optional binary bytes; optional binary path (UTF8); }
        optional int64 label; ";
    let schema = &format!("{schema} {more} }}");
    let names: Vec<String> = (0..10).map(|class| format!("\"name-{class}\"")).collect();
    let info = format!("{{\"info\":{{\"features\":{{\"label\":{{\"names\":[{}]}}}}}}}}", names.join(","));
    let metadata = vec![KeyValue::new("huggingface".into(), info)];
    let properties = properties.set_key_value_metadata(Some(metadata)).build();
    let file = std::fs::File::create(path).unwrap();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    for rows in groups {
        let mut group = writer.next_row_group().unwrap();
        let images: Vec<ByteArray> =
            rows.iter().filter_map(|(image, _)| image.clone().map(Into::into)).collect();
        let labels: Vec<i64> = rows.iter().filter_map(|(_, label)| *label).collect();
        // 2 is an image that is there, 1 a struct without bytes.
        let there: Vec<i16> = rows.iter().map(|(image, _)| if image.is_some() { 2 } else { 1 }).collect();
        let known: Vec<i16> = rows.iter().map(|(_, label)| i16::from(label.is_some())).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&images, Some(&there), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&[], Some(&vec![1; rows.len()]), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&labels, Some(&known), None).unwrap();
        column.close().unwrap();
        if let Some((_, splits)) = splits {
            let values: Vec<ByteArray> =
                splits.iter().cycle().take(rows.len()).map(|split| (*split).into()).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
}
