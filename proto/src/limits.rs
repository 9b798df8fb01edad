//! Bounds that both ends of the wire keep, each with its reason.

pub use mixfeed_streamspec::{MAX_BATCH_BYTES, MAX_BATCH_SIZE, MAX_IMAGE_BYTES};

/// Pixel bytes of one message. A larger batch travels in parts, so that neither side has more than this on its hands
/// before it knows what it is for.
pub const MAX_MESSAGE_PIXELS: u64 = 64 << 20;

/// Bytes of a row beside its pixels: label, partner's label and lambda.
const TARGET_BYTES: u64 = 3 * 4;

/// Bytes of the numbers of a row's two samples.
pub const SAMPLE_IDS_BYTES: u64 = 2 * 8;

/// Bytes of a row beside its pixels.
#[must_use]
pub const fn bytes_beside_pixels(sample_ids: bool) -> u64 {
    TARGET_BYTES + if sample_ids { SAMPLE_IDS_BYTES } else { 0 }
}

/// Bytes of one encoded message, either way: its pixels, what else the rows of the largest batch have, and room for the
/// message around them.
pub const MAX_MESSAGE_BYTES: usize =
    (MAX_MESSAGE_PIXELS + bytes_beside_pixels(true) * MAX_BATCH_SIZE as u64 + (64 << 10)) as usize;

/// Bytes of one encoded request. The largest is a [`MAX_INDICES_PER_REQUEST`] list twice over.
pub const MAX_REQUEST_BYTES: usize = 64 << 10;

/// Indices asked for on one stream and not yet answered. Far above what hides any latency, far
/// below what costs memory.
pub const MAX_WANTED: u32 = 1024;

/// Indices in one request, wanted and withdrawn each.
pub const MAX_INDICES_PER_REQUEST: u32 = 1024;

/// Characters of a run id.
pub const MAX_RUN_ID_CHARS: usize = 64;

/// The value of a wire lambda that stands for 1.
pub const LAMBDA_ONE: u32 = 65_536;

/// Samples left out that a description names, at most.
pub const MAX_LEFT_OUT: usize = 1 << 16;

/// Bad records that a description names, at most.
pub const MAX_BAD_RECORDS: usize = 10;

/// Bytes of the place of a bad record, and of its reason, at most.
pub const MAX_BAD_RECORD_BYTES: usize = 1000;

/// Bytes of the answer to `Describe` that are read: a million class names of ten characters fit, and what they are decoded into
/// stays below 200 MB.
pub const MAX_DESCRIPTION_BYTES: usize = 16 << 20;

/// Classes of a dataset.
pub const MAX_CLASSES: usize = 1 << 20;

/// The beginning of a text, of whole characters and at most so many bytes.
#[must_use]
pub fn cut(text: &str, most_bytes: usize) -> &str {
    let mut end = most_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
