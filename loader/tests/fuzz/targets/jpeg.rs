//! Parts of JPEG files, which have to be what the whole has there. Whole files go through `decode` like every format.

use mixfeed_jpeg::{Limits, Part, Scale, decode, header};
use std::path::Path;

/// The whole and a part, twice.
pub(super) const BYTES: usize = 4 * (LIMITS.memory_bytes as usize);

const LIMITS: Limits = Limits { side_pixels: 16_384, memory_bytes: 32 << 20 };

/// One of each kind.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("jpeg/tests/fixtures");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "jpg"));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Which part, and at which scale, follows from the input.
pub(super) fn run(input: &[u8], _: &Path) {
    let Ok(header) = header(input) else { return };
    let digest = blake3::hash(input);
    let mut numbers =
        digest.as_bytes().chunks_exact(4).map(|four| u32::from_le_bytes(four.try_into().unwrap()));
    let mut below = |bound: u32| numbers.next().unwrap() % bound;
    let scale = Scale::ALL[below(4) as usize];
    let (width, height) = header.size(scale);
    let (top, left) = (below(height), below(width));
    let part = Part { top, left, height: 1 + below(height - top), width: 1 + below(width - left) };
    let (mut whole, mut got) = (Vec::new(), Vec::new());
    let of_part = decode(input, Some(part), scale, &LIMITS, &mut got);
    let of_whole = decode(input, None, scale, &LIMITS, &mut whole);
    if of_whole.is_ok() {
        let rows = whole.chunks_exact(3 * width as usize).skip(top as usize).take(part.height as usize);
        let columns = 3 * left as usize..3 * (left + part.width) as usize;
        assert_eq!(of_part, Ok(()));
        assert!(
            got.chunks_exact(columns.len()).eq(rows.map(|row| &row[columns.clone()])),
            "{part} {scale:?}"
        );
    }
}
