//! What a loader binary of one's own adds to the commands: transforms and sources, each by a name and a version.
//!
//! They are put together once, in `main`, and handed down; there is no registry behind anyone's back. Loaders
//! with other extensions are other loaders: a transform enters the algorithm fingerprint, and a source the
//! dataset digest, so that a client that holds one kind refuses the other.
//!
//! What is deliberately not here: plug-ins that are loaded at run time, and extensions of the loader that a
//! trainer embeds. See `examples/custom.rs`.

pub use crate::source::CustomSource;

use mixfeed_pipeline::augment::{Custom, CustomAugmentation};
use mixfeed_pipeline::fingerprint::{FingerprintError, fingerprint_with};
use mixfeed_pipeline::spec::is_name;
use mixfeed_pipeline::{CheckedSpec, Dataset, SpecError, StreamSpec};
use std::fmt;

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

    /// Checks a spec against a dataset; custom transforms are these.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn check(&self, spec: StreamSpec, dataset: &Dataset) -> Result<CheckedSpec, SpecError> {
        CheckedSpec::with_custom(spec, dataset, &self.augmentations)
    }

    /// Returns the sources.
    #[must_use]
    pub fn sources(&self) -> &[&'static dyn CustomSource] {
        &self.sources
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

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl CustomSource for One {
        fn name(&self) -> &'static str {
            "one"
        }

        fn version(&self) -> u32 {
            1
        }

        fn open(&self, _rest: &str) -> Result<Dataset, Box<dyn std::error::Error + Send + Sync>> {
            Err("it is opened by nobody".into())
        }
    }

    #[test]
    #[should_panic(expected = "two of this name")]
    fn two_sources_of_one_name_are_a_mistake_of_the_author() {
        drop(Extensions::default().with_source(&One).with_source(&One));
    }

    #[test]
    fn without_extensions_the_fingerprint_is_the_plain_one() {
        let plain = mixfeed_pipeline::fingerprint::algorithm_fingerprint().unwrap();
        assert_eq!(Extensions::default().fingerprint().unwrap(), plain);
    }
}
