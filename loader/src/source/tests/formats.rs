//! The same images give the same content and the same batches, whatever file they lie in.

use super::*;
use mixfeed_pipeline::content::content_digest;
use mixfeed_pipeline::spec::{Augmentation, ImageSize, Mixing, StreamSpec};
use mixfeed_pipeline::{BatchBuffer, BatchPlan, CheckedSpec, Scratch, Split, collate, conformance};

const BY_NAME: Options = Options {
    train: None,
    test: None,
    order: Order::Name,
    test_fraction: 0.0,
    cache: Cache::Auto,
    cache_bytes: None,
    image_size: None,
    skip_list: None,
    data_index: None,
    write_index: false,
    bad_records: BadRecords::Fail,
    no_digest_cache: false,
    user_cache: None,
};

/// Every batch of two epochs, mixed and augmented, and of the test split.
pub(super) fn batches(data: &Dataset) -> Vec<BatchBuffer> {
    let train = StreamSpec {
        mixing: Some(Mixing::mixup(1.0, 0.5)),
        augmentation: Augmentation { crop_padding: 4, flip_probability: 0.5, ..Augmentation::NONE },
        ..StreamSpec::train(7, 16)
    };
    let test = StreamSpec { split: Split::Test, shuffle: false, ..StreamSpec::train(7, 16) };
    let build = |spec: StreamSpec| {
        let checked = CheckedSpec::new(spec, data).unwrap();
        (0..2 * checked.epochs().batches()).map(move |index| {
            let mut out = BatchBuffer::default();
            let plan = BatchPlan::new(&checked, index);
            let samples = data.samples(spec.split).as_ref();
            collate(&checked, &plan, samples, &mut Scratch::default(), &mut out).unwrap();
            out
        })
    };
    build(train).chain(build(test)).collect()
}

/// Writes the images in every format; the second of each is how it is to be read.
fn written(place: &Path) -> Vec<(&'static str, Options)> {
    let (train, test) = (write::drawings(Split::Train, 100), write::drawings(Split::Test, 20));
    let inside = |name: &str| {
        let folder = place.join(name);
        std::fs::create_dir(&folder).unwrap();
        folder
    };
    write::cifar10(&inside("binary"), &train, &test);
    write::batches(&inside("batches"), &train, &test);
    write::folder(&inside("folder"), &train, &test);
    write::shards(&inside("shards"), &train, &test);
    write::tables(&inside("tables"), &train, &test);
    let names = ["binary", "batches", "shards", "tables"];
    names.map(|name| (name, Options::default())).into_iter().chain([("folder", BY_NAME)]).collect()
}

#[test]
fn one_set_of_images_gives_one_content_digest_and_equal_batches_in_every_format() {
    let place = tempfile::tempdir().unwrap();
    let mut first: Option<(Vec<BatchBuffer>, [u8; 32])> = None;
    for (name, options) in written(place.path()) {
        for cache in [Cache::Auto, Cache::Decoded, Cache::Encoded, Cache::None] {
            let data = read_with(&place.path().join(name), Options { cache, ..options.clone() });
            assert_eq!((data.train.count(), data.test.count(), data.classes.len()), (100, 20, 10), "{name}");
            conformance::dataset(&data).unwrap();
            let this = (batches(&data), content_digest(&data).unwrap());
            match &first {
                None => first = Some(this),
                Some(first) => assert!(*first == this, "{name} with cache {cache:?} differs"),
            }
        }
    }
}

#[test]
fn the_dataset_digest_depends_on_what_changes_the_set_and_on_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let (train, test) = (write::drawings(Split::Train, 100), write::drawings(Split::Test, 20));
    write::folder(place.path(), &train, &test);
    let digest = |options| read_with(place.path(), options).digest;
    let base = digest(Options::default());
    for cache in [Cache::Decoded, Cache::Encoded, Cache::None] {
        assert_eq!(digest(Options { cache, ..Options::default() }), base);
    }
    assert_eq!(digest(Options { cache_bytes: Some(10_000), ..Options::default() }), base);
    assert_ne!(digest(BY_NAME), base);
    let size = Some(ImageSize { height: 16, width: 24 });
    let scaled = read_with(place.path(), Options { image_size: size, ..Options::default() });
    assert_ne!(scaled.digest, base);
    let checked = CheckedSpec::new(StreamSpec::train(1, 4), &scaled).unwrap();
    assert_eq!((checked.image().height, checked.image().width), (16, 24));

    std::fs::write(place.path().join("train/class-000/more.png"), train[0].png()).unwrap();
    assert_ne!(digest(Options::default()), base);
}

#[test]
fn a_folder_without_splits_is_divided_by_key() {
    let place = tempfile::tempdir().unwrap();
    write::folder(place.path(), &write::drawings(Split::Train, 100), &[]);
    let classes = place.path().join("train");
    let whole = read_with(&classes, Options::default());
    assert_eq!((whole.train.count(), whole.test.count()), (100, 0));
    let divided = Options { test_fraction: 0.3, ..Options::default() };
    let data = read_with(&classes, divided.clone());
    assert_eq!(data.train.count() + data.test.count(), 100);
    assert!((15..46).contains(&data.test.count()), "{}", data.test.count());
    assert_ne!(whole.digest, data.digest);
    // By hand, the division is the same everywhere.
    assert_eq!(read_with(&classes, divided).digest, data.digest);
}

#[test]
fn files_come_in_the_order_of_torchvision() {
    let place = tempfile::tempdir().unwrap();
    let image = &write::drawings(Split::Train, 1)[0];
    // ImageFolder sorts folders by their whole path and files by name: "a-b" stands before "a/b".
    for path in
        ["b/2.png", "b/10.png", "a/x/1.png", "a/x-y/3.png", "a/x/w/0.png", "a/z.png", "a/.hidden/4.png"]
    {
        let path = place.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, image.png()).unwrap();
    }
    std::fs::write(place.path().join("a/notes.txt"), "no image").unwrap();
    std::fs::write(place.path().join("a/x/w/0.png"), "no image either").unwrap();
    let data = read_with(place.path(), Options::default());
    assert_eq!((data.train.count(), data.classes.as_slice()), (6, &["a".to_string(), "b".to_string()][..]));
    // The damaged one tells its number by its error: z, x/1, x-y/3, x/w/0.
    let error = data.train.image(3, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("a/x/w/0.png: cannot decode image"), "{error}");
}
