//! Sources from outside: what is at a place, and the same images in every format.

mod away;
mod bad;
mod bombs;
mod columns;
mod digest_cache;
mod divided;
mod formats;
mod index;
mod layouts;
mod left_out;
mod mixed;
mod moment;
mod tables;
mod write;

use super::place::SYNTHETIC_SAMPLES;
use super::*;
use std::path::{Path, PathBuf};
pub(super) use write::tar_file;

/// Reads a place with `options`, which must succeed.
fn read_with(path: &Path, options: Options) -> Dataset {
    open(&Place { location: Location::Path(path.into()), options }).unwrap()
}

/// Reads a place with `options`, which must fail; returns the message.
fn refusal_with(path: &Path, options: Options) -> String {
    open(&Place { location: Location::Path(path.into()), options }).unwrap_err().to_string()
}

#[test]
fn places_are_told_apart() {
    let location = |text: &str| text.parse::<Place>().unwrap().location;
    assert_eq!(location("synthetic"), Location::Synthetic(SYNTHETIC_SAMPLES));
    assert_eq!(location("synthetic:1_000"), Location::Synthetic(1000));
    assert_eq!(location("data/cifar"), Location::Path("data/cifar".into()));
    assert_eq!(location("./synthetic"), Location::Path("./synthetic".into()));
    for wrong in ["synthetic:", "synthetic:0", "synthetic:x", "synthetic:-1"] {
        let message = wrong.parse::<Place>().unwrap_err().to_string();
        assert!(message.contains("whole number from 1"), "{message}");
    }
}

#[test]
fn folders_without_data_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nowhere");
    let message = |path: &Path| open(&Location::Path(path.into()).into()).unwrap_err().to_string();
    assert!(message(&missing).ends_with("nowhere: no such file or folder"));
    assert!(message(folder.path()).contains("no data of a known format"));
}
