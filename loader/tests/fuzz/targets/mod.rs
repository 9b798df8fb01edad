//! What is fed: each reader and each decoder with files to begin with, and each end of the wire with messages.

mod answers;
mod index;
mod jpeg;
mod ranges;
mod requests;
mod settings;

use crate::harness::{Target, nothing, target};
use crate::write;
use image::{DynamicImage, ImageFormat, RgbImage};
use mixfeed_loader::source::fetch::{Origin, Request, fetch};
use mixfeed_loader::source::{Cache, Location, Options, Place, Published, open};
use mixfeed_pipeline::Split;
use mixfeed_pipeline::cifar::{Layout, append_records};
use mixfeed_pipeline::decode::{decode_rgb, decode_to, shape_of};
use mixfeed_pipeline::spec::{ImageSize, Output};
use sha2::{Digest as _, Sha256};
use std::io::{Cursor, Write as _};
use std::path::Path;

/// A decoder may take 512 MiB for an image, and its change to red, green, blue as much again and for a moment
/// once more.
const DECODING_BYTES: usize = 3 * (512 << 20);

/// For readers of records: a file, its values, and as much again in between.
const READING_BYTES: usize = 64 << 20;

pub(crate) fn all() -> Vec<Target> {
    let images = |format| vec![image(format, 8, 8), image(format, 33, 17), image(format, 1, 200)];
    let jpegs = images(ImageFormat::Jpeg);
    let turned = (1..=8).map(|orientation| with_orientation(&jpegs[1], orientation));
    let turned = turned.chain(with_other_orientations(&jpegs[1]));
    vec![
        target("png", DECODING_BYTES, pngs(), mend_png, decode),
        target("jpeg", DECODING_BYTES, jpegs.iter().cloned().chain(turned).collect(), nothing, decode),
        target("jpeg-part", jpeg::BYTES, jpeg::seeds(), nothing, jpeg::run),
        target("webp", DECODING_BYTES, images(ImageFormat::WebP), nothing, decode),
        target("bmp", DECODING_BYTES, images(ImageFormat::Bmp), nothing, decode),
        target("gif", DECODING_BYTES, images(ImageFormat::Gif), nothing, decode),
        target("tiff", DECODING_BYTES, tiffs(), nothing, decode),
        target("cifar-binary", READING_BYTES, written(write::cifar10, "data_batch_1.bin"), nothing, cifar),
        target("cifar-python", READING_BYTES, written(write::batches, "data_batch_1"), nothing, pickle),
        // Sets of image files decode what they are given.
        target("tar", DECODING_BYTES, written(write::shards, "train-0000.tar"), mend_tar, tar),
        target("parquet", DECODING_BYTES, tables(), nothing, parquet),
        target("index", DECODING_BYTES, index::seeds(), index::mend, index::run),
        target("archive", READING_BYTES, archives(), mend_tar, archive),
        target("requests", requests::BYTES, requests::seeds(), nothing, requests::run),
        target("answers", answers::BYTES, answers::seeds(), nothing, answers::run),
        target("settings", READING_BYTES, settings::seeds(), nothing, settings::run),
    ]
}

fn image(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    encoded(&drawing(width, height).into(), format)
}

fn drawing(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8]))
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// In every type of pixel.
fn pngs() -> Vec<Vec<u8>> {
    let rgb = DynamicImage::from(drawing(20, 13));
    [
        rgb.clone(),
        rgb.to_luma8().into(),
        rgb.to_luma_alpha16().into(),
        rgb.to_rgba8().into(),
        rgb.to_rgb16().into(),
    ]
    .iter()
    .map(|image| encoded(image, ImageFormat::Png))
    .collect()
}

/// In types of pixels that the format alone has, too.
fn tiffs() -> Vec<Vec<u8>> {
    let rgb = DynamicImage::from(drawing(20, 13));
    [rgb.clone(), rgb.to_luma8().into(), rgb.to_rgb16().into(), rgb.to_rgb32f().into(), rgb.to_rgba8().into()]
        .iter()
        .map(|image| encoded(image, ImageFormat::Tiff))
        .collect()
}

/// With an EXIF segment that says how the camera was held.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    let (start, rest) = jpeg.split_at(2);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [start, &[0xFF, 0xE1], &length, &exif, rest].concat()
}

/// With what says it in other ways: numbers of other types and places, EXIF in two segments, XMP.
fn with_other_orientations(jpeg: &[u8]) -> Vec<Vec<u8>> {
    let cases = include_str!("../../../pipeline/tests/reference/orientation.txt");
    let jpegs = cases.lines().filter_map(|line| line.split_once(" jpeg ")?.1.split_once(' '));
    let chosen = ["two LONGs, big-endian", "a RATIONAL", "EXIF in two segments", "XMP, an element"];
    let segments = jpegs.filter(|(_, what)| chosen.contains(what)).map(|(hex, _)| hex::decode(hex).unwrap());
    segments.map(|segments| [&jpeg[..2], &segments, &jpeg[2..]].concat()).collect()
}

/// A file of a set in one of the formats.
fn written(write: fn(&Path, &[write::Image], &[write::Image]), file: &str) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &write::drawings(Split::Train, 10), &write::drawings(Split::Test, 2));
    vec![std::fs::read(folder.path().join(file)).unwrap()]
}

/// Every chunk of a PNG ends with the CRC of its type and data.
fn mend_png(file: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = file.get(at..at + 4) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let Some(end) = length.checked_add(at + 8).filter(|end| end + 4 <= file.len()) else { return };
        let crc = crc32fast::hash(&file[at + 4..end]);
        file[end..end + 4].copy_from_slice(&crc.to_be_bytes());
        at = end + 4;
    }
}

/// A header of a tar archive holds the sum of its bytes. Headers begin at blocks; what else looks like one is
/// mended too, which does no harm.
fn mend_tar(file: &mut [u8]) {
    for header in file.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
}

fn decode(input: &[u8], _: &Path) {
    let seen = shape_of(input);
    if let Ok((shape, pixels)) = decode_rgb(input) {
        assert_eq!(pixels.len(), shape.values());
        assert_eq!(seen.unwrap(), shape, "header and image agree");
    }
    if let Ok(pixels) = decode_to(input, &Output::center_crop(ImageSize { height: 32, width: 24 })) {
        assert_eq!(pixels.len(), 32 * 24 * 3);
    }
}

fn cifar(input: &[u8], _: &Path) {
    for layout in [Layout::Cifar10, Layout::Cifar100] {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        match append_records(layout, input, &mut pixels, &mut labels) {
            Ok(()) => assert_eq!(pixels.len(), labels.len() * 3072),
            Err(_) => assert!(pixels.is_empty() && labels.is_empty()),
        }
    }
}

/// As a whole set: each of its six files is the input.
fn pickle(input: &[u8], folder: &Path) {
    let folder = folder.join("pickle");
    std::fs::create_dir_all(&folder).unwrap();
    let names = (1..=5).map(|number| format!("data_batch_{number}")).chain(["test_batch".into()]);
    for name in names {
        std::fs::write(folder.join(name), input).unwrap();
    }
    read_all(&folder, Cache::None);
}

fn tar(input: &[u8], folder: &Path) {
    alone(&folder.join("tar"), "train-0000.tar", input);
}

fn parquet(input: &[u8], folder: &Path) {
    let folder = folder.join("parquet");
    write_alone(&folder, "train-00000.parquet", input);
    for cache in [Cache::Encoded, Cache::None] {
        read_all(&folder, cache);
    }
}

/// In the usual compression and in gzip.
fn tables() -> Vec<Vec<u8>> {
    let mut tables = written(write::tables, "data/train-00000-of-00001.parquet");
    let path = tempfile::NamedTempFile::new().unwrap();
    let rows: Vec<_> =
        write::drawings(Split::Train, 5).iter().map(|image| (Some(image.png()), Some(1))).collect();
    let gzip = ::parquet::basic::Compression::GZIP(Default::default());
    let properties = ::parquet::file::properties::WriterProperties::builder().set_compression(gzip);
    write::table_with(path.path(), &[rows], properties);
    tables.push(std::fs::read(path.path()).unwrap());
    tables
}

/// What `fetch` unpacks: a set with something beside it, packed and not.
fn archives() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    write::cifar10(folder.path(), &write::drawings(Split::Train, 5), &write::drawings(Split::Test, 1));
    let mut tar = write::tar_file("cifar-10-batches-bin/", b'5', b"");
    let mut files: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files {
        let name = format!("cifar-10-batches-bin/{}", file.file_name().unwrap().to_str().unwrap());
        tar.extend(write::tar_file(&name, b'0', &std::fs::read(&file).unwrap()));
    }
    tar.extend(write::tar_file("cifar-10-batches-bin/more.txt", b'0', b"of no use"));
    tar.extend([0; 1024]);
    vec![gzip(&tar), tar]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// As a file that somebody gives with its digest. What has not the mark of gzip is packed first, so that damage
/// gets past the decompression.
fn archive(input: &[u8], folder: &Path) {
    let folder = folder.join("archive");
    std::fs::create_dir_all(&folder).unwrap();
    let packed = if input.starts_with(&[0x1F, 0x8B]) { input.to_vec() } else { gzip(input) };
    let file = folder.join("set.tar.gz");
    std::fs::write(&file, &packed).unwrap();
    let output = folder.join("set");
    let request = Request {
        set: Published::Cifar10,
        output: output.clone(),
        origin: Some(Origin::File(file)),
        sha256: Some(Sha256::digest(&packed).into()),
        overwrite: false,
    };
    let fetched = fetch(&request, &mut |_, _| {});
    assert_eq!(fetched.is_ok(), output.exists(), "a set is there or it is not");
    if fetched.is_ok() {
        let files: Vec<_> =
            std::fs::read_dir(&output).unwrap().map(|file| file.unwrap().file_name()).collect();
        let known = |name: &str| {
            name.starts_with("data_batch_")
                || ["test_batch.bin", "batches.meta.txt", "readme.html", "SHA256SUMS"].contains(&name)
        };
        assert!(files.iter().all(|name| known(name.to_str().unwrap())), "{files:?}");
        std::fs::remove_dir_all(&output).unwrap();
    }
    // Nothing is left, within the folder or above it.
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "only the archive is left");
}

fn alone(folder: &Path, name: &str, input: &[u8]) {
    write_alone(folder, name, input);
    read_all(folder, Cache::None);
}

fn write_alone(folder: &Path, name: &str, input: &[u8]) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), input).unwrap();
}

/// Opens a set and reads every image of it. That it is refused, or some of them, is all right.
fn read_all(folder: &Path, cache: Cache) {
    let cache_bytes = Some(READING_BYTES as u64);
    read_all_with(folder, Options { cache, cache_bytes, no_digest_cache: true, ..Options::default() });
}

fn read_all_with(folder: &Path, options: Options) {
    let Ok(dataset) = open(&Place::from(Location::Path(folder.into())).with(options)) else { return };
    let mut scratch = Vec::new();
    for split in Split::ALL {
        let samples = dataset.samples(split);
        for sample in 0..samples.count() {
            assert!((samples.label(sample) as usize) < dataset.classes.len(), "a label names a class");
            if let Ok(image) = samples.image(sample, &mut scratch) {
                assert_eq!(image.len(), dataset.shape(split, sample).values());
            }
        }
    }
}
