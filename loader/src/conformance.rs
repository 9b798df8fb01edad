//! Conformance: what custom sources and transforms must keep to, as checks that their authors run in tests.
//!
//! ```
//! # use mixfeed_pipeline::{Dataset, synthetic};
//! # struct Drawings;
//! # impl mixfeed_loader::extensions::CustomSource for Drawings {
//! #     fn name(&self) -> &'static str {
//! #         "drawings"
//! #     }
//! #     fn version(&self) -> u32 {
//! #         1
//! #     }
//! #     fn open(&self, count: &str) -> Result<Dataset, Box<dyn std::error::Error + Send + Sync>> {
//! #         Ok(synthetic::dataset(count.parse()?))
//! #     }
//! # }
//! // `Drawings` implements `CustomSource`: this reads `--data drawings:100` as a loader would.
//! mixfeed_loader::conformance::source(&Drawings, "100")?;
//! # Ok::<(), mixfeed_loader::conformance::Violation>(())
//! ```

pub use mixfeed_pipeline::conformance::{Violation, dataset, transform};

use crate::extensions::{CustomSource, Extensions};
use crate::parallel::in_chunks;
use crate::source::open_with;
use mixfeed_pipeline::{Dataset, Samples, Split};

/// Checks that a source opens `rest`, the same each time, that what it opens conforms ([`dataset`]), and that many
/// threads may read it at once.
///
/// # Errors
/// Names the first rule that is not kept.
///
/// # Panics
/// When name or version are none ([`Extensions::with_source`]), or where the source does.
pub fn source(source: &'static dyn CustomSource, rest: &str) -> Result<(), Violation> {
    let extensions = Extensions::default().with_source(source);
    let failed = |error: &dyn std::fmt::Display| Violation::new(error.to_string());
    let place = format!("{}:{rest}", source.name()).parse().map_err(|error| failed(&error))?;
    let open = || open_with(&place, extensions.sources()).map_err(|error| failed(&error));
    let [first, again] = [open()?, open()?];
    let named = |set: &Dataset| (set.name.clone(), set.classes.clone(), set.image, set.digest);
    if named(&first) != named(&again) {
        return Err(Violation::new(
            "it opens one place as two datasets: name, classes, shape or digest differ",
        ));
    }
    dataset(&first)?;
    for split in Split::ALL {
        let [one, other] = [&first, &again].map(|set| read_at_once(set.samples(split).as_ref()));
        if one != other {
            return Err(Violation::new(format!(
                "{split} split: threads read other images of one opening than of another"
            )));
        }
    }
    Ok(())
}

/// Hashes all images, on all CPUs; of one that fails, its message.
fn read_at_once(samples: &dyn Samples) -> Vec<Result<blake3::Hash, String>> {
    let read = |sample: usize| {
        let mut scratch = Vec::new();
        let image = samples.image(sample as u64, &mut scratch);
        image.map(blake3::hash).map_err(|error| error.to_string())
    };
    in_chunks(samples.count() as usize, |range| range.map(read).collect::<Vec<_>>()).concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_pipeline::synthetic;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Drawings, as many as it is told, and some more at each opening.
    struct Drawings {
        more: u64,
        openings: AtomicU64,
    }

    impl CustomSource for Drawings {
        fn name(&self) -> &'static str {
            "drawings"
        }

        fn version(&self) -> u32 {
            1
        }

        fn open(&self, count: &str) -> Result<Dataset, Box<dyn std::error::Error + Send + Sync>> {
            let more = self.more * self.openings.fetch_add(1, Ordering::Relaxed);
            Ok(synthetic::dataset(count.parse::<u64>()? + more))
        }
    }

    #[test]
    fn a_source_conforms_when_one_place_is_one_data_set() {
        static CALM: Drawings = Drawings { more: 0, openings: AtomicU64::new(0) };
        static GROWING: Drawings = Drawings { more: 1, openings: AtomicU64::new(0) };
        assert_eq!(source(&CALM, "100"), Ok(()));
        let refused = |calm: &'static Drawings, rest| source(calm, rest).unwrap_err().to_string();
        assert!(refused(&GROWING, "100").contains("opens one place as two datasets"));
        assert!(refused(&CALM, "many").starts_with("drawings:many: "), "{}", refused(&CALM, "many"));
    }
}
