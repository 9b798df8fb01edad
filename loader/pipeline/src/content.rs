//! The content digest: the name of what a dataset shows, whatever file it lies in and in whatever order.
//!
//! ```
//! use mixfeed_pipeline::content::content_digest;
//! use mixfeed_pipeline::synthetic;
//!
//! assert_eq!(content_digest(&synthetic::dataset(20))?, content_digest(&synthetic::dataset(20))?);
//! assert_ne!(content_digest(&synthetic::dataset(20))?, content_digest(&synthetic::dataset(21))?);
//! # Ok::<(), mixfeed_pipeline::SampleError>(())
//! ```

use crate::dataset::{Dataset, SampleError};
use mixfeed_streamspec::Split;

/// Returns BLAKE3 over the sorted hashes of all samples, so that neither format nor order matters. A
/// sample's hash covers split, label, size and decoded pixels; names of classes are left out.
///
/// # Errors
/// When a sample cannot be read.
pub fn content_digest(dataset: &Dataset) -> Result<[u8; 32], SampleError> {
    let (mut hashes, mut scratch) = (Vec::new(), Vec::new());
    for split in Split::ALL {
        let samples = dataset.samples(split);
        for sample in 0..samples.count() {
            let mut hasher = blake3::Hasher::new();
            let shape = dataset.shape(split, sample);
            for word in [split as u32, samples.label(sample), shape.height, shape.width, shape.channels] {
                hasher.update(&word.to_le_bytes());
            }
            hasher.update(samples.image(sample, &mut scratch)?);
            hashes.push(*hasher.finalize().as_bytes());
        }
    }
    hashes.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"mixfeed content 1");
    for hash in &hashes {
        hasher.update(hash);
    }
    Ok(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{InMemory, Samples};
    use crate::synthetic;
    use mixfeed_streamspec::ImageShape;
    use std::sync::Arc;

    fn digest(pixels: &[[u8; 3]], labels: &[u32]) -> [u8; 32] {
        let shape = ImageShape { height: 1, width: 1, channels: 3 };
        let samples: Arc<dyn Samples> = Arc::new(InMemory::new(shape, pixels.concat(), labels.to_vec()));
        let dataset = Dataset {
            image: Some(shape),
            train: Arc::clone(&samples),
            test: samples,
            ..synthetic::dataset(1)
        };
        content_digest(&dataset).unwrap()
    }

    #[test]
    fn content_does_not_depend_on_order_but_on_labels_and_pixels() {
        let base = digest(&[[1, 2, 3], [4, 5, 6]], &[0, 1]);
        assert_eq!(base, digest(&[[4, 5, 6], [1, 2, 3]], &[1, 0]));
        assert_ne!(base, digest(&[[4, 5, 6], [1, 2, 3]], &[0, 1]));
        assert_ne!(base, digest(&[[1, 2, 3], [4, 5, 7]], &[0, 1]));
    }
}
