//! What is listed and cannot be reached is named, and no set is served without it.

use super::*;
use mixfeed_ops::testing::logged;
use mixfeed_pipeline::{Fault, Split};
use std::os::unix::fs::symlink;

/// A way of writing a set to a folder.
type Writer = fn(&Path, &[write::Image], &[write::Image]);

fn options() -> Options {
    Options { no_digest_cache: true, ..Options::default() }
}

/// Whether an entry is to become a link.
type Pick = fn(&Path) -> bool;

/// Puts links in place of the entries that `pick` takes, and what they stand for into `store`.
fn linked(place: &Path, store: &Path, pick: Pick) -> Vec<PathBuf> {
    let mut links = Vec::new();
    let mut folders = vec![place.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if pick(&path) {
                let target = store.join(links.len().to_string());
                std::fs::rename(&path, &target).unwrap();
                symlink(&target, &path).unwrap();
                links.push(path);
            } else if path.is_dir() {
                folders.push(path);
            }
        }
    }
    links.sort();
    links
}

fn is_file(path: &Path) -> bool {
    path.is_file()
}

fn is_class(path: &Path) -> bool {
    path.to_str().unwrap().contains("class-")
}

fn is_split(path: &Path) -> bool {
    path.is_dir()
}

#[test]
fn a_shard_a_table_a_class_or_a_split_whose_target_is_away_is_refused_by_name() {
    let (train, test) = (write::drawings(Split::Train, 20), write::drawings(Split::Test, 10));
    let ways: [(Writer, Pick); 5] = [
        (write::shards, is_file),
        (write::tables, is_file),
        (write::tables, is_split),
        (write::folder, is_class),
        (write::folder, is_split),
    ];
    for (written, pick) in ways {
        let (place, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        written(place.path(), &train, &test);
        let whole = read_with(place.path(), options()).digest;
        let links = linked(place.path(), store.path(), pick);
        assert_eq!(read_with(place.path(), options()).digest, whole, "links are followed");
        for link in links {
            let target = std::fs::read_link(&link).unwrap();
            std::fs::rename(&target, store.path().join("away")).unwrap();
            let mut message = String::new();
            let log = logged(|| message = refusal_with(place.path(), options()));
            assert!(message.starts_with(&format!("{}: No such file", link.display())), "{message}");
            assert_eq!(log.matches("retrying").count(), 5, "{log}");
            std::fs::rename(store.path().join("away"), &target).unwrap();
            assert_eq!(read_with(place.path(), options()).digest, whole, "it is back");
        }
    }
}

#[test]
fn names_of_classes_that_are_away_are_not_replaced_by_numbers() {
    let place = tempfile::tempdir().unwrap();
    write::shards(place.path(), &write::drawings(Split::Train, 20), &write::drawings(Split::Test, 10));
    symlink("nowhere.txt", place.path().join("classes.txt")).unwrap();
    assert!(refusal_with(place.path(), options()).contains("classes.txt: No such file"));
}

#[test]
fn a_link_to_an_image_that_is_away_is_tried_again_and_is_a_bad_record_then() {
    let (place, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write::folder(place.path(), &write::drawings(Split::Train, 20), &write::drawings(Split::Test, 10));
    let (shelf, link) = (store.path().join("shelf"), place.path().join("train/class-000/zz.png"));
    std::fs::create_dir(&shelf).unwrap();
    symlink(shelf.join("x.png"), store.path().join("y.png")).unwrap();
    symlink(store.path().join("y.png"), &link).unwrap();
    let gone = format!("it is a link to {}, which is not there", shelf.join("x.png").display());
    let bad = || {
        let mut found = None;
        let log = logged(|| found = Some(read_with(place.path(), options())));
        let data = found.unwrap();
        let errors: Vec<_> =
            (0..21).filter_map(|sample| data.train.image(sample, &mut Vec::new()).err()).collect();
        (data.digest, errors, log)
    };
    let (digest, errors, log) = bad();
    assert_eq!(log.matches("retrying").count(), 5, "{log}");
    assert!(log.contains(&gone), "{log}");
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    assert_eq!((error.fault, &error.reason), (Fault::Damaged, &gone));
    assert!(error.record.ends_with("train/class-000/zz.png"), "{}", error.record);
    // What it leads to may lie on a disk that is away.
    std::fs::remove_dir(&shelf).unwrap();
    let message = refusal_with(place.path(), options());
    assert!(message.contains("train/class-000/zz.png: No such file"), "{message}");
    assert!(message.ends_with("a set is served when all its files can be read"), "{message}");
    std::fs::create_dir(&shelf).unwrap();
    std::fs::write(shelf.join("x.png"), write::drawings(Split::Train, 1)[0].png()).unwrap();
    let (other, errors, _) = bad();
    assert!(errors.is_empty() && other != digest, "{errors:?}");
}
