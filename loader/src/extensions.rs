//! What a loader binary of one's own adds to the commands: transforms and sources, each by a name and a version.
//!
//! They are put together once, in `main`, and handed down; there is no registry behind anyone's back. Loaders
//! with other extensions are other loaders: a transform enters the algorithm fingerprint, and a source the
//! dataset digest, so that a client that holds one kind refuses the other.
//!
//! What is deliberately not here: plug-ins that are loaded at run time, and extensions of the loader that a
//! trainer embeds. See `examples/custom.rs`.

use crate::source::{Location, Place, SourceError};
use mixfeed_pipeline::augment::{Custom, CustomAugmentation};
use mixfeed_pipeline::dataset::digest_with;
use mixfeed_pipeline::fingerprint::{FingerprintError, fingerprint_with};
use mixfeed_pipeline::spec::is_name;
use mixfeed_pipeline::{CheckedSpec, Dataset, SpecError, Split, StreamSpec};
use std::fmt;

/// A source of one's own: images from a place that only it understands.
pub trait CustomSource: Send + Sync {
    /// Returns its name, by the rules of [`CustomAugmentation::name`]. `--data NAME:REST` is read by this
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

/// What is added. The default adds nothing.
#[derive(Clone, Default)]
pub struct Extensions {
    augmentations: Vec<Custom>,
    sources: Vec<&'static dyn CustomSource>,
}

impl Extensions {
    /// Adds a transform, which a stream asks for by name and version.
    ///
    /// # Panics
    /// When its name is none, or there is one of that name.
    #[must_use]
    pub fn with_augmentation(mut self, transform: &'static dyn CustomAugmentation) -> Self {
        let transform = Custom::new(transform);
        let taken = self.augmentations.iter().any(|other| other.name() == transform.name());
        assert!(!taken, "{}: there are two augmentations of this name", transform.name());
        self.augmentations.push(transform);
        self
    }

    /// Adds a source.
    ///
    /// # Panics
    /// When its name or version is none, or there is one of that name.
    #[must_use]
    pub fn with_source(mut self, source: &'static dyn CustomSource) -> Self {
        let name = source.name();
        assert!(is_name(name) && name != "synthetic", "{name:?} cannot name a source");
        assert!(source.version() > 0, "{name}: a version is 1 or more");
        assert!(self.sources.iter().all(|other| other.name() != name), "{name}: there are two of this name");
        self.sources.push(source);
        self
    }

    /// Returns the algorithm's fingerprint, which covers all transforms.
    ///
    /// # Errors
    /// When the probe batches cannot be built.
    pub fn fingerprint(&self) -> Result<[u8; 32], FingerprintError> {
        fingerprint_with(&self.augmentations)
    }

    /// Checks a spec against a data set; custom transforms are these.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn check(&self, spec: StreamSpec, dataset: &Dataset) -> Result<CheckedSpec, SpecError> {
        CheckedSpec::with_custom(spec, dataset, &self.augmentations)
    }

    /// Reads a place that one of the sources knows by name.
    pub(crate) fn open(&self, place: &Place) -> Option<Result<Dataset, SourceError>> {
        let Location::Path(path) = &place.location else { return None };
        let text = path.to_str()?;
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let source = self.sources.iter().find(|source| source.name() == name)?;
        if place.options.are_for_image_files() {
            return Some(Err(SourceError::Options(Box::new(place.clone()))));
        }
        Some(open(*source, rest).map_err(|reason| SourceError::Custom { place: text.into(), reason }))
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources: Vec<_> = self.sources.iter().map(|source| source.name()).collect();
        f.debug_struct("Extensions")
            .field("augmentations", &self.augmentations)
            .field("sources", &sources)
            .finish()
    }
}

/// Reads the data, and does not trust it further than it must: what is wrong would otherwise show only
/// at the client, as damage.
fn open(source: &dyn CustomSource, rest: &str) -> Result<Dataset, String> {
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
    let wanted = dataset.image.values();
    let first = dataset.train.image(0, &mut Vec::new()).map_err(|e| e.to_string())?.len();
    if first != wanted {
        return Err(format!("its first image has {first} bytes, a shape of {} has {wanted}", dataset.image));
    }
    dataset.digest = digest_with(&dataset.digest, &format!("source {} {}", source.name(), source.version()));
    Ok(dataset)
}

#[cfg(test)]
mod tests {
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
        let extensions = Extensions::default().with_source(source);
        extensions.open(&place.parse().unwrap()).unwrap().map_err(|e| e.to_string())
    }

    #[test]
    fn a_source_is_found_by_name_and_names_what_is_wrong() {
        let extensions = Extensions::default().with_source(&ONE);
        for other in ["synthetic:5", "/data/one:7", "ones:7", "."] {
            assert!(extensions.open(&other.parse().unwrap()).is_none(), "{other}");
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
        let options = crate::source::Options { test_fraction: 0.5, ..Default::default() };
        let place: Place = "one:7".parse().unwrap();
        let refused = Extensions::default().with_source(&ONE).open(&place.with(options)).unwrap();
        assert!(matches!(refused, Err(SourceError::Options(_))));
    }

    #[test]
    #[should_panic(expected = "two of this name")]
    fn two_sources_of_one_name_are_a_mistake_of_the_author() {
        drop(Extensions::default().with_source(&ONE).with_source(&ONE));
    }

    #[test]
    fn without_extensions_the_fingerprint_is_the_plain_one() {
        let plain = mixfeed_pipeline::fingerprint::algorithm_fingerprint().unwrap();
        assert_eq!(Extensions::default().fingerprint().unwrap(), plain);
    }
}
