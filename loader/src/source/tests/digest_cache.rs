//! The digest cache: what is known of a set is used while its files are the same, and never otherwise.

use super::*;
use mixfeed_pipeline::Split;
use std::time::{Duration, SystemTime};

/// Sets the times of all files in a folder back, as if they had been there for an hour.
fn age(place: &Path) {
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    for entry in std::fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            age(&path);
        } else {
            std::fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
        }
    }
}

/// The cache files in a folder.
fn caches(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    files.filter(|path| path.file_name().unwrap().to_string_lossy().contains("digests-")).collect()
}

/// The images of a set in a place of the format.
fn written(format: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let (train, test) = (write::drawings(Split::Train, 100), write::drawings(Split::Test, 20));
    match format {
        "folder" => write::folder(place.path(), &train, &test),
        "shards" => write::shards(place.path(), &train, &test),
        _ => write::tables(place.path(), &train, &test),
    }
    age(place.path());
    place
}

/// All that a set shows: digest, labels and pixels.
fn shown(data: &Dataset) -> ([u8; 32], Vec<(u32, Vec<u8>)>) {
    let of = |samples: &std::sync::Arc<dyn mixfeed_pipeline::Samples>| -> Vec<(u32, Vec<u8>)> {
        let mut scratch = Vec::new();
        (0..samples.count())
            .map(|i| (samples.label(i), samples.image(i, &mut scratch).unwrap().to_vec()))
            .collect()
    };
    (data.digest, [of(&data.train), of(&data.test)].concat())
}

#[test]
fn a_set_that_is_known_shows_what_it_showed_whatever_is_kept() {
    for format in ["folder", "shards", "tables"] {
        let place = written(format);
        for cache in [Cache::Decoded, Cache::Encoded, Cache::None] {
            if format == "tables" && cache == Cache::None {
                continue;
            }
            let with = |no_digest_cache| Options { cache, no_digest_cache, ..Options::default() };
            let fresh = shown(&read_with(place.path(), with(true)));
            let first = shown(&read_with(place.path(), with(false)));
            assert_eq!(caches(place.path()).len(), 1, "{format}: one file, whatever is kept");
            let known = read_with(place.path(), with(false));
            // Twice, because what is kept is kept by the first that asks.
            assert!(fresh == first && shown(&known) == fresh && shown(&known) == fresh, "{format} {cache:?}");
        }
    }
}

#[test]
fn files_are_not_read_at_start_once_they_are_known() {
    let place = written("shards");
    let options = Options { cache: Cache::None, ..Options::default() };
    let data = read_with(place.path(), options.clone());
    let digest = data.digest;
    let shard = place.path().join("train-0001.tar");
    let found = std::fs::metadata(&shard).unwrap();
    drop(data);
    // Another listing would not survive this: a cache that was made for the file as it is now.
    let cache = &caches(place.path())[0];
    let known = std::fs::read(cache).unwrap();
    std::fs::write(&shard, vec![7; found.len() as usize]).unwrap();
    age(place.path());
    assert!(refusal_with(place.path(), options.clone()).contains("no tar header"));
    let rekeyed = crate::source::digest_cache::rekeyed(place.path(), &options, &known);
    std::fs::write(cache, rekeyed).unwrap();
    let data = read_with(place.path(), options);
    assert_eq!((data.train.count(), data.digest), (100, digest));
    // And what a stale cache would hide is found where the image is read.
    let error = data.train.image(60, &mut Vec::new()).unwrap_err().to_string();
    assert!(
        error.contains("train-0001.tar at offset ") && error.contains("changed since the start"),
        "{error}"
    );
}

#[test]
fn a_change_of_one_file_is_found_even_if_its_size_and_time_stay() {
    for format in ["folder", "shards", "tables"] {
        let place = written(format);
        let before = read_with(place.path(), Options::default()).digest;
        let file = match format {
            "folder" => place.path().join("train/class-000"),
            "shards" => place.path().to_path_buf(),
            _ => place.path().join("data"),
        };
        let file = std::fs::read_dir(file).unwrap().map(|entry| entry.unwrap().path());
        let file =
            file.filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.')).min().unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        // The first bytes of an image's data; a table may be refused for it, which is finding it too.
        let at = bytes.windows(4).position(|part| part == b"IDAT").unwrap() + 12;
        bytes[at] ^= 1;
        let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
        std::fs::write(&file, bytes).unwrap();
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
        match open(&Place { location: Location::Path(place.path().into()), options: Options::default() }) {
            Ok(data) => assert_ne!(data.digest, before, "{format}"),
            Err(error) => assert!(format == "tables", "{error}"),
        }
    }
}

#[test]
fn a_damaged_cache_is_as_good_as_none() {
    let place = written("shards");
    let fresh = shown(&read_with(place.path(), Options::default()));
    let cache = caches(place.path()).remove(0);
    let whole = std::fs::read(&cache).unwrap();
    for damage in (0..whole.len()).step_by(whole.len() / 40) {
        let mut damaged = whole.clone();
        damaged[damage] ^= 0x10;
        std::fs::write(&cache, damaged).unwrap();
        assert!(shown(&read_with(place.path(), Options::default())) == fresh);
        assert_eq!(std::fs::read(&cache).unwrap(), whole, "and it is made again");
        std::fs::write(&cache, &whole[..damage]).unwrap();
        assert!(shown(&read_with(place.path(), Options::default())) == fresh);
    }
}

#[test]
fn files_of_a_moment_ago_are_not_trusted_and_other_settings_have_their_own_file() {
    let place = written("folder");
    let touch = |time| {
        let file = place.path().join("train/class-000");
        let file = std::fs::read_dir(file).unwrap().next().unwrap().unwrap().path();
        std::fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
    };
    touch(SystemTime::now());
    read_with(place.path(), Options::default());
    assert_eq!(caches(place.path()).len(), 0, "a second change might not show");
    age(place.path());
    read_with(place.path(), Options { no_digest_cache: true, ..Options::default() });
    assert_eq!(caches(place.path()).len(), 0, "it was not wanted");
    read_with(place.path(), Options::default());
    read_with(place.path(), Options { order: Order::Name, ..Options::default() });
    assert_eq!(caches(place.path()).len(), 2);
}

#[test]
fn what_cannot_lie_beside_the_data_lies_in_the_users_folder() {
    let place = written("folder");
    let user = tempfile::tempdir().unwrap();
    let folder = user.path().join("new/mixfeed");
    let options = Options { user_cache: Some(folder.clone()), ..Options::default() };
    let fresh = read_with(place.path(), options.clone()).digest;
    let beside = caches(place.path()).remove(0);
    std::fs::remove_file(&beside).unwrap();
    // Nothing can be put there any more, whoever runs the test.
    std::fs::create_dir(&beside).unwrap();
    assert_eq!(read_with(place.path(), options.clone()).digest, fresh);
    let [kept] = caches(&folder).try_into().unwrap();
    let whole = std::fs::read(&kept).unwrap();
    assert_eq!(read_with(place.path(), options).digest, fresh);
    assert_eq!(std::fs::read(&kept).unwrap(), whole);
}
