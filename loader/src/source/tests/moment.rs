//! What the system says at one moment is retried and never remembered; what follows from a record's bytes is.

use super::*;
use crate::source::digest_cache::{DigestCache, Listing};
use crate::source::encoded;
use crate::source::records::{Archive, Found, ReadError, Record};
use mixfeed_pipeline::{Fault, Split};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// Errors as Linux numbers them.
const ENOENT: i32 = 2;
const EIO: i32 = 5;
const ENOMEM: i32 = 12;
const EACCES: i32 = 13;
const EMFILE: i32 = 24;
const ESTALE: i32 = 116;

/// Which reads of which record fail, and how.
#[derive(Clone, Debug, Default)]
struct Faults(Arc<Mutex<HashMap<u64, (u32, i32)>>>);

impl Faults {
    fn plan(&self, record: u64, times: u32, code: i32) {
        self.0.lock().unwrap().insert(record, (times, code));
    }

    fn hit(&self, record: u64) -> Option<io::Error> {
        let mut all = self.0.lock().unwrap();
        let (times, code) = all.get_mut(&record)?;
        *times = times.checked_sub(1)?;
        Some(io::Error::from_raw_os_error(*code))
    }
}

/// Images in memory whose reading fails as planned.
#[derive(Debug)]
struct Flaky {
    images: Arc<Mutex<Vec<Vec<u8>>>>,
    faults: Faults,
}

impl Archive for Flaky {
    fn read(&self, record: u64, into: &mut Vec<u8>) -> Result<(), ReadError> {
        into.clear();
        if let Some(error) = self.faults.hit(record) {
            return Err(error.into());
        }
        into.extend_from_slice(&self.images.lock().unwrap()[record as usize]);
        Ok(())
    }

    fn path(&self, record: u64) -> String {
        format!("a/{record}.png")
    }

    fn bytes(&self, record: u64) -> u64 {
        self.images.lock().unwrap()[record as usize].len() as u64
    }

    fn listing(&self, _records: &mut dyn Iterator<Item = &Record>) -> Option<Listing> {
        None
    }
}

/// A set of ten training images and two for testing, of which number 4 is not an image.
struct Set {
    place: tempfile::TempDir,
    images: Arc<Mutex<Vec<Vec<u8>>>>,
    faults: Faults,
}

impl Set {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        // What the digest cache looks at: it has been there for an hour.
        let file = std::fs::File::create(place.path().join("list")).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
        let mut images: Vec<_> = write::drawings(Split::Train, 12).iter().map(write::Image::png).collect();
        images[4] = b"no image".to_vec();
        Self { place, images: Arc::new(Mutex::new(images)), faults: Faults::default() }
    }

    fn open(&self, options: &Options) -> Result<Dataset, SourceError> {
        let place = self.place.path();
        let (cache, known) = DigestCache::find(place, vec![place.join("list")], options);
        let records = |numbers: std::ops::Range<u64>| {
            numbers.map(|number| Record { number, label: 0 }).collect::<Vec<_>>()
        };
        let archive = Flaky { images: Arc::clone(&self.images), faults: self.faults.clone() };
        let found = Found {
            name: "flaky".into(),
            classes: vec!["a".into()],
            archive: Arc::new(archive),
            train: records(0..10),
            test: records(10..12),
            incomplete: Vec::new(),
        };
        encoded::open(place, found, options, &cache, known, &mut Report::default())
    }

    fn caches(&self) -> usize {
        let files = std::fs::read_dir(self.place.path()).unwrap();
        files.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains("digests-")).count()
    }
}

fn options(cache: Cache) -> Options {
    Options { cache, ..Options::default() }
}

fn fault(data: &Dataset, sample: u64) -> Option<Fault> {
    data.train.image(sample, &mut Vec::new()).err().map(|error| error.fault)
}

#[test]
fn a_set_whose_records_can_be_read_a_moment_later_is_the_undisturbed_one() {
    let undisturbed = Set::new().open(&options(Cache::Decoded)).unwrap().digest;
    for code in [ENOENT, EIO, ENOMEM, EACCES, EMFILE, ESTALE] {
        for cache in [Cache::Decoded, Cache::Encoded, Cache::None] {
            let set = Set::new();
            // The first, whose size is looked at; one in the middle, for long; the bad one; one of the other split.
            for (record, times) in [(0, 3), (3, 4), (4, 1), (11, 2)] {
                set.faults.plan(record, times, code);
            }
            let data = set.open(&options(cache)).unwrap();
            assert_eq!(data.digest, undisturbed, "{code} {cache:?}");
            assert_eq!(set.caches(), 1, "what was read in the end is remembered");
            let faults: Vec<_> = (0..10).filter_map(|sample| fault(&data, sample)).collect();
            assert_eq!(faults, [Fault::Damaged], "{code} {cache:?}");
        }
    }
}

#[test]
fn a_set_whose_records_cannot_be_read_is_refused_by_name_and_not_remembered() {
    for (records, said) in
        [(vec![7], ""), (vec![7, 8], " (and 1 more record)"), (vec![10, 11], " (and 1 more")]
    {
        for code in [EACCES, EIO, ENOENT] {
            let set = Set::new();
            for record in &records {
                set.faults.plan(*record, u32::MAX, code);
            }
            let error = set.open(&options(Cache::None)).unwrap_err();
            let message = error.to_string();
            assert!(matches!(error, SourceError::Unreadable { .. }), "{message}");
            let first = format!("a/{}.png: {}{said}", records[0], io::Error::from_raw_os_error(code));
            assert!(message.contains(&first), "{message}");
            assert_eq!(set.caches(), 0, "nothing of it is kept");
            // Whoever can read it finds the set that it is.
            for record in &records {
                set.faults.plan(*record, 0, code);
            }
            let digest = set.open(&options(Cache::None)).unwrap().digest;
            assert_eq!(digest, Set::new().open(&options(Cache::None)).unwrap().digest);
        }
    }
}

#[test]
fn a_set_of_which_nothing_can_be_read_is_refused_for_that() {
    let set = Set::new();
    (0..12).for_each(|record| set.faults.plan(record, u32::MAX, EMFILE));
    let message = set.open(&options(Cache::Auto)).unwrap_err().to_string();
    assert!(message.contains("a/0.png: ") && message.contains("(and 11 more records)"), "{message}");
}

#[test]
fn a_read_error_while_serving_is_one_of_the_moment() {
    for code in [EACCES, EIO, EMFILE, ENOMEM, ESTALE] {
        for cache in [Cache::Encoded, Cache::None] {
            let set = Set::new();
            // Known from the cache: nothing is kept in memory yet.
            set.open(&options(cache)).unwrap();
            let data = set.open(&options(cache)).unwrap();
            set.faults.plan(2, 2, code);
            assert_eq!(fault(&data, 2), Some(Fault::Unavailable), "{code}");
            assert_eq!(fault(&data, 2), Some(Fault::Unavailable), "{code}");
            assert_eq!(fault(&data, 2), None, "{code}: it can be read again");
        }
    }
}

#[test]
fn bytes_that_change_after_the_start_are_a_change_and_not_damage() {
    let set = Set::new();
    let data = set.open(&options(Cache::None)).unwrap();
    let whole = set.images.lock().unwrap()[2].clone();
    let others = [whole[..whole.len() / 2].to_vec(), Vec::new(), b"no image".to_vec(), whole.repeat(2)];
    for other in others {
        set.images.lock().unwrap()[2] = other;
        assert_eq!(fault(&data, 2), Some(Fault::Changed));
    }
    set.images.lock().unwrap()[2] = whole;
    assert_eq!(fault(&data, 2), None, "put back, it is what it was");
    assert_eq!(fault(&data, 4), Some(Fault::Damaged));
}

#[test]
fn a_folder_that_is_away_is_of_the_moment_and_a_file_that_is_gone_is_a_change() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("set");
    write::folder(&root, &write::drawings(Split::Train, 20), &write::drawings(Split::Test, 5));
    let data = read_with(&root, options(Cache::None));
    let class = root.join("train/class-000");
    let away = place.path().join("away");
    for folder in [root.clone(), root.join("train"), class.clone()] {
        std::fs::rename(&folder, &away).unwrap();
        assert_eq!(fault(&data, 0), Some(Fault::Unavailable), "{}", folder.display());
        std::fs::rename(&away, &folder).unwrap();
        assert_eq!(fault(&data, 0), None);
    }
    let file = std::fs::read_dir(&class).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    std::fs::rename(&file, &away).unwrap();
    assert_eq!(fault(&data, 0), Some(Fault::Changed));
    std::fs::create_dir(&file).unwrap();
    assert_eq!(fault(&data, 0), Some(Fault::Changed), "a folder of its name is not it");
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&away, &file).unwrap();
    assert_eq!(fault(&data, 0), None);
}

#[test]
fn every_replica_that_skips_leaves_out_the_same_whatever_it_keeps() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("set");
    write::folder(&root, &write::drawings(Split::Train, 20), &write::drawings(Split::Test, 5));
    let class = root.join("train/class-000");
    let file = std::fs::read_dir(&class).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    let whole = std::fs::read(&file).unwrap();
    // The header is in order: only whoever decodes it knows.
    std::fs::write(&file, &whole[..whole.len() - 30]).unwrap();
    let skip = |cache, no_digest_cache| {
        let bad_records = "skip=1".parse().unwrap();
        read_with(&root, Options { cache, bad_records, no_digest_cache, ..Options::default() })
    };
    let first = skip(Cache::Decoded, true);
    for cache in [Cache::None, Cache::Encoded, Cache::Decoded] {
        assert_eq!(skip(cache, true).digest, first.digest, "{cache:?}");
        // One that does not know all damage left its findings behind.
        read_with(&root, options(Cache::None));
        assert_eq!(skip(cache, false).digest, first.digest, "{cache:?}");
    }
    let refused = Options { bad_records: "skip=0".parse().unwrap(), ..Options::default() };
    let message = refusal_with(&root, refused);
    assert!(
        message.contains("1 bad records are more than --bad-records skip=0 allows, first train/class-000/")
    );
}

#[test]
fn records_without_label_or_image_are_left_out_of_shards_and_tables_when_bad_ones_are() {
    let place = tempfile::tempdir().unwrap();
    let images = write::drawings(Split::Train, 6);
    let (png, label) = (|i: usize| images[i].png(), |i: usize| images[i].label.to_string());
    let file = |name: &str, bytes: &[u8]| tar_file(name, b'0', bytes);
    let good = |i: usize| {
        [file(&format!("{i}.png"), &png(i)), file(&format!("{i}.cls"), label(i).as_bytes())].concat()
    };
    let lacking: [(&str, Vec<u8>); 5] = [
        ("2.png: the record has no label", file("2.png", &png(2))),
        ("2: the record has no image", file("2.cls", b"1")),
        ("2.cls: its label is no whole number", [file("2.png", &png(2)), file("2.cls", b"cat")].concat()),
        ("2.json: EOF", [file("2.png", &png(2)), file("2.json", b"{")].concat()),
        ("2.png: the record has no label", [file("2.png", &png(2)), file("2.json", b"{\"id\":1}")].concat()),
    ];
    let skip = || Options { bad_records: "skip".parse().unwrap(), ..Options::default() };
    let path = place.path().join("train.tar");
    let write = |records: &[Vec<u8>]| {
        std::fs::write(&path, [records.concat(), vec![0; 1024]].concat()).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    };
    write(&[good(0), good(1), good(3)]);
    let expected = read_with(place.path(), skip()).digest;
    for (said, record) in lacking {
        write(&[good(0), good(1), record, good(3)]);
        // Twice: the second time by the digest cache.
        for _ in 0..2 {
            let message = refusal_with(place.path(), Options::default());
            assert!(message.contains(said) && message.contains("--bad-records skip"), "{message}");
            let data = read_with(place.path(), skip());
            assert_eq!((data.train.count(), data.digest), (3, expected), "{said}");
            let none = Options { bad_records: "skip=0".parse().unwrap(), ..Options::default() };
            assert!(refusal_with(place.path(), none).contains(said));
        }
    }
    let table = tempfile::tempdir().unwrap();
    let row = |i: usize, label: Option<i64>| (Some(png(i)), label);
    write::table(
        &table.path().join("train.parquet"),
        &[vec![row(0, Some(0)), row(1, None), row(2, Some(-3))]],
    );
    assert!(refusal_with(table.path(), Options::default()).contains("row 1 has label none"));
    let data = read_with(table.path(), skip());
    assert_eq!(data.train.count(), 1);
    assert!(data.train.image(0, &mut Vec::new()).is_ok());
}
