//! What decoding gives, of each kind of JPEG: Pillow's pixels, the same for every part, and errors for damaged files.
//!
//! `../fixtures.py` made the files and wrote down what Pillow decodes of them.
#![allow(clippy::unwrap_used)]

mod damage;
mod parts;
mod pixels;

use mixfeed_jpeg::{JpegError, Limits, Part, Scale, decode};
use std::fs;
use std::path::{Path, PathBuf};

const LIMITS: Limits = Limits { side_pixels: 16_384, memory_bytes: 64 << 20 };

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(fixtures().join(format!("{name}.jpg"))).unwrap()
}

/// The names of all kinds, in one order everywhere.
fn names() -> Vec<String> {
    let paths = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path());
    let jpegs = paths.filter(|path| path.extension().is_some_and(|end| end == "jpg"));
    let mut names: Vec<_> =
        jpegs.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert!(names.len() > 40);
    names
}

fn part(file: &[u8], part: Option<Part>, scale: Scale) -> Result<Vec<u8>, JpegError> {
    // What the buffer held before must not show.
    let mut out = vec![0xA5; 100];
    decode(file, part, scale, &LIMITS, &mut out).map(|()| out)
}

fn whole(file: &[u8], scale: Scale) -> Result<Vec<u8>, JpegError> {
    part(file, None, scale)
}

/// What `part` is of the pixels of the whole image, which has `width` columns.
fn cut(whole: &[u8], width: u32, part: Part) -> Vec<u8> {
    let rows = whole.chunks_exact(3 * width as usize).skip(part.top as usize).take(part.height as usize);
    let (from, to) = (3 * part.left as usize, 3 * (part.left + part.width) as usize);
    rows.flat_map(|row| &row[from..to]).copied().collect()
}
