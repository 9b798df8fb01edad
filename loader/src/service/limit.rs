//! Whether the first samples of a split are fit to learn from: `limit` takes them in the order of the set, which in class
//! folders is class after class.

use mixfeed_pipeline::{CheckedSpec, Dataset, Samples, Split};

/// What to say of a stream to train on that has fewer classes than the split that its limit is of.
pub(super) fn warning(checked: &CheckedSpec, dataset: &Dataset) -> Option<String> {
    let limit = checked.spec().limit;
    if limit == 0 {
        return None;
    }
    let samples = dataset.samples(Split::Train).as_ref();
    let of = |count| classes(samples, count, dataset.classes.len());
    let found = of(checked.samples());
    // Most limits are found to have all without a look at the rest.
    let all = if found == dataset.classes.len() { found } else { of(samples.count()) };
    (found < all).then(|| {
        format!(
            "the first {limit} training samples have {found} of {all} classes: raise --limit, or start loaders of class \
             folders with --order name"
        )
    })
}

/// How many classes the first so many samples have, of so many that there are.
fn classes(samples: &dyn Samples, count: u64, all: usize) -> usize {
    let (mut seen, mut found) = (vec![false; all], 0);
    for sample in 0..count {
        if !std::mem::replace(&mut seen[samples.label(sample) as usize], true) {
            found += 1;
            if found == all {
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_pipeline::dataset::InMemory;
    use mixfeed_pipeline::{ImageShape, StreamSpec};
    use std::sync::Arc;

    #[test]
    fn a_limit_that_leaves_out_classes_is_told_with_the_counts() {
        let image = ImageShape { height: 1, width: 1, channels: 3 };
        let samples = |labels: Vec<u32>| Arc::new(InMemory::new(image, vec![0; 3 * labels.len()], labels));
        // Of four classes three have a training image, class after class.
        let (train, test) = (samples([[0; 5], [1; 5], [3; 5]].concat()), samples(vec![0; 9]));
        let names = ["a", "b", "c", "d"].map(Into::into).to_vec();
        let dataset = Dataset::new("set", names, image, train, test).unwrap();
        let said = |limit| {
            let spec = StreamSpec { limit, ..StreamSpec::default() };
            warning(&CheckedSpec::new(spec, &dataset).unwrap(), &dataset)
        };
        assert!(said(5).unwrap().starts_with("the first 5 training samples have 1 of 3 classes: raise"));
        assert!(said(10).unwrap().contains("have 2 of 3 classes"));
        for limit in [0, 11, 15] {
            assert_eq!(said(limit), None);
        }
    }
}
