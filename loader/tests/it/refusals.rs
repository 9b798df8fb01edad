//! What is wrong with data is one line that names the place and the reason, and exit code 3, for every
//! format: one table, each row of which the binary is run on.

use crate::commands::refused;
use crate::write::{self, tar_file};
use image::{ImageFormat, RgbImage};
use mixfeed_pipeline::Split;
use std::fs;
use std::io::Cursor;
use std::path::Path;

/// A set that cannot be used, or of which a record cannot: how it is written, and what is said.
struct Case {
    write: Box<dyn Fn(&Path)>,
    flags: &'static [&'static str],
    said: &'static [&'static str],
}

fn case(write: impl Fn(&Path) + 'static, said: &'static [&'static str]) -> Case {
    Case { write: Box::new(write), flags: &[], said }
}

fn encoded(format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    write::drawings(Split::Train, 1)[0].pixels.write_to(&mut file, format).unwrap();
    file.into_inner()
}

fn png() -> Vec<u8> {
    encoded(ImageFormat::Png)
}

/// A PNG file of one pixel whose header claims another size.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    RgbImage::new(1, 1).write_to(&mut file, ImageFormat::Png).unwrap();
    let mut file = file.into_inner();
    file[16..20].copy_from_slice(&width.to_be_bytes());
    file[20..24].copy_from_slice(&height.to_be_bytes());
    let check = !file[12..29].iter().fold(!0_u32, |mut crc, byte| {
        crc ^= u32::from(*byte);
        (0..8).for_each(|_| crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()));
        crc
    });
    file[29..33].copy_from_slice(&check.to_be_bytes());
    file
}

/// A class folder with a good image and `file`.
fn image(name: &'static str, file: Vec<u8>) -> impl Fn(&Path) {
    move |place| {
        let class = place.join("train/cat");
        fs::create_dir_all(&class).unwrap();
        fs::write(class.join("a.png"), png()).unwrap();
        fs::write(class.join(name), &file).unwrap();
    }
}

/// A shard of these files.
fn shard(files: Vec<Vec<u8>>) -> impl Fn(&Path) {
    move |place| fs::write(place.join("train.tar"), [files.concat(), vec![0; 1024]].concat()).unwrap()
}

fn record(name: &str, image: &[u8], label: &[u8]) -> Vec<u8> {
    [tar_file(&format!("{name}.png"), b'0', image), tar_file(&format!("{name}.cls"), b'0', label)].concat()
}

fn table(rows: Vec<write::Row>) -> impl Fn(&Path) {
    move |place| write::table(&place.join("train.parquet"), std::slice::from_ref(&rows))
}

fn folders() -> Vec<Case> {
    let cut = |format, bytes| {
        let file = encoded(format);
        file[..file.len() - bytes].to_vec()
    };
    vec![
        case(|_| {}, &["no data of a known format; expected CIFAR-10"]),
        case(image("b.png", Vec::new()), &["sample 1: train/cat/b.png: cannot decode image"]),
        case(image("b.png", b"text".to_vec()), &["b.png: cannot decode image", "could not be determined"]),
        case(image("b.png", cut(ImageFormat::Png, 40)), &["b.png: cannot decode image"]),
        case(image("b.jpg", cut(ImageFormat::Jpeg, 40)), &["b.jpg: cannot decode image", "is cut short"]),
        case(image("b.webp", cut(ImageFormat::WebP, 40)), &["b.webp: cannot decode image"]),
        case(image("b.png", bomb(16_385, 1)), &["b.png: cannot decode image", "exceeds limit"]),
        case(image("b.png", bomb(16_000, 16_000)), &["b.png: cannot decode image", "emory limit exceeded"]),
        case(
            |place| {
                image("b.png", Vec::new())(place);
                // A hole: nothing is written.
                let file = fs::File::create(place.join("train/cat/b.png")).unwrap();
                file.set_len(1 << 40).unwrap();
            },
            &["b.png: 1099511627776 bytes are more than the 268435456 of an image file"],
        ),
        case(
            |place| {
                image("b.png", png())(place);
                std::os::unix::fs::symlink(place, place.join("train/cat/up")).unwrap();
            },
            &["folders lie more than 16 deep"],
        ),
        case(
            |place| {
                image("b.png", png())(place);
                std::os::unix::fs::symlink("/no/such/file", place.join("train/cat/c.png")).unwrap();
            },
            &["train/cat/c.png: No such file or directory"],
        ),
        case(
            |place| {
                image("b.png", png())(place);
                fs::create_dir_all(place.join("test/dog")).unwrap();
            },
            &["class folder test/dog has no counterpart among the training classes"],
        ),
    ]
}

fn shards() -> Vec<Case> {
    let good = record("0", &png(), b"1");
    let bad = &png()[..50];
    let renamed = |kind| [tar_file("1.png", kind, b""), tar_file("1.cls", b'0', b"1")].concat();
    let with = |more: Vec<u8>| shard(vec![record("0", &png(), b"1"), more]);
    let cut = good[..good.len() - 600].to_vec();
    vec![
        case(
            move |place| fs::write(place.join("train.tar"), &cut).unwrap(),
            &["train.tar: the archive ends within a header at offset 3072"],
        ),
        case(
            |place| fs::write(place.join("train.tar"), vec![7; 700]).unwrap(),
            &["no tar header at offset 0"],
        ),
        case(with(record("1", bad, b"1")), &["train.tar at offset ", "/1.png: cannot decode image"]),
        case(with(record("1", &png(), b"65536")), &["1.cls: its label is no whole number from 0 to 65535"]),
        case(with(record("1", &png(), &[b'1'; 2 << 20])), &["1.cls: 2097152 bytes are too many for a label"]),
        case(with(tar_file("1.png", b'0', &png())), &["1.png: the record has no label"]),
        case(with(tar_file("long", b'L', &[b'a'; 70_000])), &["a name of 70000 bytes, more than 65536"]),
        // Names that lead elsewhere are only names: nothing is opened by them.
        case(
            with(record("../../../etc/passwd", bad, b"1")),
            &["/../../../etc/passwd.png: cannot decode image"],
        ),
        case(with(record("/etc/passwd", bad, b"1")), &["//etc/passwd.png: cannot decode image"]),
        // Links are no files: a record of one has no image.
        case(with(renamed(b'1')), &["train.tar: 1: the record has no image"]),
        case(with(renamed(b'2')), &["train.tar: 1: the record has no image"]),
        case(
            |place| {
                // A member of 300 MiB, most of which is a hole.
                let mut image = tar_file("1.png", b'0', b"");
                let size = 300_u64 << 20;
                image[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
                image[148..156].fill(b' ');
                let sum: u32 = image[..512].iter().map(|byte| u32::from(*byte)).sum();
                image[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
                let first = [record("0", &png(), b"1"), tar_file("1.cls", b'0', b"1"), image].concat();
                fs::write(place.join("train.tar"), &first).unwrap();
                let file = fs::File::options().write(true).open(place.join("train.tar")).unwrap();
                file.set_len(first.len() as u64 + size + 1024).unwrap();
            },
            &["/1.png: 314572800 bytes are more than the 268435456 of an image file"],
        ),
    ]
}

fn tables() -> Vec<Case> {
    let row = |label| (Some(png()), label);
    vec![
        case(table(vec![row(Some(1)), row(Some(-1))]), &["train.parquet: row 1 has label -1"]),
        case(table(vec![row(None)]), &["train.parquet: row 0 has label none"]),
        case(table(vec![row(Some(1)), (None, Some(1))]), &["train.parquet row 1: its image is missing"]),
        case(
            table(vec![row(Some(1)), (Some(png()[..50].to_vec()), Some(1))]),
            &["sample 1: train.parquet row 1: cannot decode image"],
        ),
        case(|place| fs::write(place.join("train.parquet"), "PAR1").unwrap(), &["train.parquet: "]),
        case(
            |place| {
                table(vec![(Some(png()), Some(1))])(place);
                let path = place.join("train.parquet");
                let whole = fs::read(&path).unwrap();
                fs::write(&path, &whole[..whole.len() / 2]).unwrap();
            },
            &["train.parquet: Parquet error"],
        ),
    ]
}

fn cifar() -> Vec<Case> {
    let damaged = |file: &'static str, damage: fn(Vec<u8>) -> Vec<u8>| {
        move |place: &Path| {
            let (train, test) = (write::drawings(Split::Train, 20), write::drawings(Split::Test, 5));
            let write = if file.ends_with(".bin") { write::cifar10 } else { write::batches };
            write(place, &train, &test);
            let path = place.join(file);
            fs::write(&path, damage(fs::read(&path).unwrap())).unwrap();
        }
    };
    let cut = |mut file: Vec<u8>| {
        file.truncate(file.len() - 100);
        file
    };
    let label = |mut file: Vec<u8>| {
        file[0] = 10;
        file
    };
    vec![
        case(damaged("data_batch_2.bin", cut), &["data_batch_2.bin: ", "are not a whole number"]),
        case(damaged("test_batch.bin", label), &["test_batch.bin: record 0 (offset 0) has label 10"]),
        case(damaged("data_batch_2", cut), &["data_batch_2: not a pickle", "it ends too early"]),
        case(
            damaged("data_batch_2", |_| b"\x80\x02cos\nsystem\nU\x04true\x85R.".to_vec()),
            &["data_batch_2: ", "\"os\".\"system\""],
        ),
    ]
}

#[test]
fn bad_data_of_every_format_is_named_and_exits_with_3() {
    let spec = tempfile::NamedTempFile::new().unwrap();
    fs::write(spec.path(), "seed = 1\nbatch-size = 64\n").unwrap();
    let mut wrong = Vec::new();
    for Case { write, flags, said } in [folders(), shards(), tables(), cifar()].into_iter().flatten() {
        let place = tempfile::tempdir().unwrap();
        write(place.path());
        // One batch has every record: a bad set ends it, and so does a bad record.
        let replay = ["replay", "--spec", spec.path().to_str().unwrap(), "--index", "0", "--data"];
        let line = refused(3, &[&replay[..], &[place.path().to_str().unwrap()], flags].concat());
        if !said.iter().all(|words| line.contains(words)) {
            wrong.push(format!("{line}\nshould say {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
