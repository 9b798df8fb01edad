//! Custom sources: what one is, and how little of what it says is taken on trust.
//!
//! They are handed in by whoever opens data; a loader binary holds them in its
//! [`Extensions`](crate::extensions::Extensions).

use super::error::SourceError;
use super::place::Place;
use mixfeed_pipeline::dataset::digest_with;
use mixfeed_pipeline::{Dataset, Split};
use std::path::Path;

/// A custom source: images from a place that only it understands.
pub trait CustomSource: Send + Sync {
    /// Returns its name, by the rules of [`CustomAugmentation::name`](mixfeed_pipeline::augment::CustomAugmentation::name). `--data NAME:REST` is read by this
    /// source, whatever files there may be.
    fn name(&self) -> &'static str;

    /// Returns its version, 1 or more. It moves with every change of what it makes of the same data.
    fn version(&self) -> u32;

    /// Reads the data at `rest`, which is what follows the colon; it is empty where there is none.
    /// [`Dataset::new`] reads all samples for the digest; one that is put together otherwise needs a digest
    /// that no other data has.
    ///
    /// # Errors
    /// When there is no such data, or it is damaged. The message is printed after the name.
    fn open(&self, rest: &str) -> Result<Dataset, Box<dyn std::error::Error + Send + Sync>>;
}

/// The source that a place names, and what follows the name.
pub(super) fn named<'a>(
    sources: &[&'static dyn CustomSource],
    place: &'a Path,
) -> Option<(&'static dyn CustomSource, &'a str)> {
    let text = place.to_str()?;
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let source = sources.iter().find(|source| source.name() == name)?;
    Some((*source, rest))
}

/// Reads the data at `rest`.
pub(super) fn open(place: &Place, source: &dyn CustomSource, rest: &str) -> Result<Dataset, SourceError> {
    checked(source, rest).map_err(|reason| SourceError::Custom { place: place.to_string(), reason })
}

/// Reads the data, and does not trust it further than it must: what is wrong would otherwise show only
/// at the client, as damage.
fn checked(source: &dyn CustomSource, rest: &str) -> Result<Dataset, String> {
    let mut dataset = source.open(rest).map_err(|e| e.to_string())?;
    if dataset.train.count() == 0 {
        return Err("it has no training images".into());
    }
    let classes = dataset.classes.len();
    for split in Split::ALL {
        let samples = dataset.samples(split);
        if let Some(sample) = (0..samples.count()).find(|sample| samples.label(*sample) as usize >= classes) {
            let label = samples.label(sample);
            return Err(format!("{split} sample {sample} has label {label}, of {classes} classes"));
        }
    }
    let shape = dataset.shape(Split::Train, 0);
    let (wanted, first) =
        (shape.values(), dataset.train.image(0, &mut Vec::new()).map_err(|e| e.to_string())?.len());
    if first != wanted {
        return Err(format!("its first image has {first} bytes, a shape of {shape} has {wanted}"));
    }
    dataset.digest = digest_with(&dataset.digest, &format!("source {} {}", source.name(), source.version()));
    Ok(dataset)
}

#[cfg(test)]
mod tests {
    use super::super::{Options, open_with};
    use super::*;
    use mixfeed_pipeline::ImageShape;
    use mixfeed_pipeline::dataset::InMemory;
    use std::sync::Arc;

    /// A version, and the label of its only image.
    struct One(u32, u32);

    impl CustomSource for One {
        fn name(&self) -> &'static str {
            "one"
        }

        fn version(&self) -> u32 {
            self.0
        }

        fn open(&self, rest: &str) -> Result<Dataset, Box<dyn std::error::Error + Send + Sync>> {
            let value = rest.parse()?;
            let image = ImageShape { height: 1, width: 1, channels: 3 };
            let samples = Arc::new(InMemory::new(image, vec![value; 3], vec![self.1]));
            Ok(Dataset::new("one", vec!["a".into()], image, samples.clone(), samples)?)
        }
    }

    static ONE: One = One(1, 0);

    fn opened(source: &'static One, place: &str) -> Result<Dataset, String> {
        open_with(&place.parse().unwrap(), &[source]).map_err(|e| e.to_string())
    }

    #[test]
    fn a_source_is_found_by_name_and_names_what_is_wrong() {
        for other in ["synthetic:5", "/data/one:7", "ones:7", "."] {
            assert!(named(&[&ONE], Path::new(other)).is_none(), "{other}");
        }
        assert_eq!(opened(&ONE, "one:7").unwrap().train.count(), 1);
        assert_eq!(opened(&ONE, "one:x").unwrap_err(), "one:x: invalid digit found in string");
        assert_eq!(opened(&ONE, "one").unwrap_err(), "one: cannot parse integer from empty string");
        static WRONG: One = One(1, 3);
        assert_eq!(opened(&WRONG, "one:7").unwrap_err(), "one:7: train sample 0 has label 3, of 1 classes");
    }

    #[test]
    fn the_digest_covers_source_version_and_data() {
        static LATER: One = One(2, 0);
        let base = opened(&ONE, "one:7").unwrap().digest;
        assert_eq!(opened(&ONE, "one:7").unwrap().digest, base);
        assert_ne!(opened(&ONE, "one:8").unwrap().digest, base);
        assert_ne!(opened(&LATER, "one:7").unwrap().digest, base);
    }

    #[test]
    fn options_for_image_files_are_refused() {
        let options = Options { test_fraction: 0.5, ..Default::default() };
        let place: Place = "one:7".parse().unwrap();
        assert!(matches!(open_with(&place.with(options), &[&ONE]), Err(SourceError::Options { .. })));
    }
}
