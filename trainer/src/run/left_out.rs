//! Whether a run can go on with its dataset less some records.
//!
//! The order of an epoch is that of all records, those left out passed over. So the batches before the first of them are
//! the same with it and without, and a run that has met none of them goes on as if they had been left out from its
//! start: same batches, same weights. Whether that is so is not argued here but looked at: the plan of every batch that
//! was learnt from is made both ways.

use crate::config::Training;
use crate::run::run_folder::{DatasetRecord, RunFile};
use mixfeed_client::{Augmentation, LeftOutInfo, StreamInfo, StreamSpec};
use mixfeed_pipeline::dataset::digest_without;
use mixfeed_pipeline::{BatchPlan, CheckedSpec, LeftOut};

/// Checks that a run of `steps` steps can go on with the dataset of `info`, which is its own less more records. Gives
/// how many more.
///
/// # Errors
/// Says why not.
pub(crate) fn more_than_before(
    run: &RunFile,
    info: &StreamInfo,
    training: &Training,
    steps: u64,
) -> Result<u64, String> {
    let now = &info.dataset.left_out;
    let whole = now.whole_digest.ok_or("it is another dataset")?;
    let (before, whole_before) = before(&run.dataset)?;
    let [train, test, train_before, test_before]: [LeftOut; 4] =
        [&now.train, &now.test, &before.train, &before.test].map(|numbers| numbers.iter().copied().collect());
    // Digests tell that the numbers are those that were left out, and of which set.
    if digest_without(&whole, &train, &test) != info.dataset.digest {
        return Err("its records left out are too many to be compared".into());
    }
    if whole != whole_before || info.dataset.classes != run.dataset.classes {
        return Err("it is another dataset".into());
    }
    if run.expected().is_none_or(|expected| expected.algorithm_fingerprint != info.algorithm_fingerprint) {
        return Err("its batches are computed otherwise".into());
    }
    for (split, before, now) in [("train", &train_before, &train), ("test", &test_before, &test)] {
        if let Some(back) = before.numbers().iter().find(|number| !now.contains(**number)) {
            return Err(format!("{split} sample {back}, which the run left out, is not left out any more"));
        }
    }
    let all = info.dataset.train_samples + train.count();
    let plans = [&train_before, &train].map(|left_out| checked(training, info, all, left_out));
    let [with, without] = plans;
    let (with, without) = (with?, without?);
    let per_epoch = [&with, &without].map(|checked| checked.epochs().batches());
    let schedule = &training.recipe.schedule;
    let depends = schedule.kind.depends_on_end() || schedule.warmup_epochs.is_some_and(|epochs| epochs > 0.0);
    if per_epoch[0] != per_epoch[1] && steps > 0 && depends {
        return Err(
            "an epoch has fewer batches without them, and the schedule of learning rates depends on that"
                .into(),
        );
    }
    for index in 0..steps {
        let (with, without) = (BatchPlan::new(&with, index), BatchPlan::new(&without, index));
        if let Some(met) = samples(&with, &train_before).find(|number| train.contains(*number)) {
            return Err(format!("train sample {met} was in batch {index}, which the run has learnt from"));
        }
        let same = samples(&with, &train_before).eq(samples(&without, &train));
        if !same || with.epoch != without.epoch {
            return Err(format!("batch {index}, which the run has learnt from, would be another one"));
        }
    }
    let count = |train: &LeftOut, test: &LeftOut| train.count() + test.count();
    Ok(count(&train, &test) - count(&train_before, &test_before))
}

/// What the run left out so far, and the digest of the set with it.
fn before(dataset: &DatasetRecord) -> Result<(LeftOutInfo, [u8; 32]), String> {
    let unknown = || "what the run left out is not known".to_owned();
    let digest = |text: &str| blake3::Hash::from_hex(text).ok().map(|hash| *hash.as_bytes());
    let own = digest(&dataset.digest).ok_or_else(unknown)?;
    let Some(record) = &dataset.left_out else { return Ok((LeftOutInfo::default(), own)) };
    let whole = digest(&record.whole_digest).ok_or_else(unknown)?;
    let (train, test) = (record.train.clone(), record.test.clone());
    let of = |numbers: &[u64]| numbers.iter().copied().collect::<LeftOut>();
    if digest_without(&whole, &of(&train), &of(&test)) != own {
        return Err(unknown());
    }
    Ok((LeftOutInfo { whole_digest: Some(whole), train, test }, whole))
}

/// The training stream over `all` samples less some, as loaders plan it.
fn checked(
    training: &Training,
    info: &StreamInfo,
    all: u64,
    left_out: &LeftOut,
) -> Result<CheckedSpec, String> {
    // Which samples are chosen does not depend on it, nor on custom transforms, which this program lacks.
    let classes = info.dataset.classes.len() as u32;
    let spec = StreamSpec { augmentation: Augmentation::NONE, ..training.stream };
    CheckedSpec::of(spec, Some(info.image), classes, all, left_out, &[]).map_err(|e| e.to_string())
}

/// The samples of a batch, partners too, by their numbers among all.
fn samples<'a>(plan: &'a BatchPlan, left_out: &'a LeftOut) -> impl Iterator<Item = u64> + 'a {
    let of_row =
        plan.rows.iter().flat_map(|row| [Some(row.sample), row.partner.map(|partner| partner.sample)]);
    of_row.flatten().map(|sample| left_out.number_of_all(sample))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{RunConfig, Settings};
    use mixfeed_client::{DatasetInfo, ImageShape};
    use tch::Device;

    const ALL: u64 = 100;

    fn config() -> RunConfig {
        Settings { data: Some("x".to_owned()), batch_size: Some(8), ..Settings::default() }.check().unwrap()
    }

    /// A set of a hundred training and ten test samples less these.
    fn info(train: &[u64], test: &[u64]) -> StreamInfo {
        let of = |numbers: &[u64]| numbers.iter().copied().collect::<LeftOut>();
        let whole = [7; 32];
        let samples = ALL - train.len() as u64;
        StreamInfo {
            dataset: DatasetInfo {
                name: "set".to_owned(),
                digest: digest_without(&whole, &of(train), &of(test)),
                classes: ["a", "b"].map(str::to_owned).to_vec(),
                train_samples: samples,
                test_samples: 10 - test.len() as u64,
                left_out: LeftOutInfo {
                    whole_digest: (train.len() + test.len() > 0).then_some(whole),
                    train: train.to_vec(),
                    test: test.to_vec(),
                },
                ..DatasetInfo::default()
            },
            algorithm_version: 1,
            algorithm_fingerprint: [2; 32],
            image: ImageShape { height: 32, width: 32, channels: 3 },
            samples_per_epoch: samples,
            batches_per_epoch: samples.div_ceil(8),
        }
    }

    fn run(train: &[u64], test: &[u64]) -> RunFile {
        RunFile::of(&config(), &info(train, test), Device::Cpu)
    }

    /// In which batch of the first epoch each sample is met first, as base or partner.
    fn met(sample: u64) -> u64 {
        let (training, info) = (config().training, info(&[], &[]));
        let all = checked(&training, &info, ALL, &LeftOut::default()).unwrap();
        let none = LeftOut::default();
        let mut batches = (0..13).map(|index| BatchPlan::new(&all, index));
        batches.position(|plan| samples(&plan, &none).any(|number| number == sample)).unwrap() as u64
    }

    fn go_on(before: (&[u64], &[u64]), now: (&[u64], &[u64]), steps: u64) -> Result<u64, String> {
        more_than_before(&run(before.0, before.1), &info(now.0, now.1), &config().training, steps)
    }

    #[test]
    fn a_record_that_was_not_met_may_be_left_out_and_one_that_was_may_not() {
        for sample in [0, 1, 37, 99] {
            let met = met(sample);
            assert_eq!(
                go_on((&[], &[]), (&[sample], &[]), met),
                Ok(1),
                "sample {sample}, met in batch {met}"
            );
            let refused = go_on((&[], &[]), (&[sample], &[]), met + 1).unwrap_err();
            let expected = format!("train sample {sample} was in batch {met}, which the run has learnt from");
            assert_eq!(refused, expected);
            assert!(go_on((&[], &[]), (&[sample], &[]), 1000).is_err(), "epochs have all samples");
        }
        assert_eq!(go_on((&[], &[]), (&[], &[3, 4]), 1000), Ok(2), "test samples are not learnt from");
    }

    #[test]
    fn records_may_be_added_one_after_the_other_and_none_comes_back() {
        let mut samples: Vec<u64> = (0..ALL).collect();
        samples.sort_by_key(|sample| std::cmp::Reverse(met(*sample)));
        let (last, other) = (samples[0], samples[1]);
        let both = [last.min(other), last.max(other)];
        assert_eq!(go_on((&[last], &[]), (&both, &[1]), met(other)), Ok(2));
        let refused = go_on((&both, &[]), (&[last], &[]), 0).unwrap_err();
        assert_eq!(
            refused,
            format!("train sample {other}, which the run left out, is not left out any more")
        );
        assert!(go_on((&both, &[]), (&[], &[]), 0).unwrap_err().contains("another dataset"));
    }

    #[test]
    fn another_set_or_algorithm_is_no_such_set() {
        let (run, training) = (run(&[], &[]), config().training);
        let changed = |change: fn(&mut StreamInfo)| {
            let mut info = info(&[5], &[]);
            change(&mut info);
            more_than_before(&run, &info, &training, 0).unwrap_err()
        };
        assert!(changed(|info| info.algorithm_fingerprint = [3; 32]).contains("computed otherwise"));
        assert!(changed(|info| info.dataset.classes.reverse()).contains("another dataset"));
        assert!(changed(|info| info.dataset.left_out.train = vec![6]).contains("too many to be compared"));
        assert!(changed(|info| info.dataset.left_out.whole_digest = Some([8; 32])).contains("compared"));
        let other = |info: &mut StreamInfo| {
            let left_out = [5].into_iter().collect();
            info.dataset.left_out.whole_digest = Some([8; 32]);
            info.dataset.digest = digest_without(&[8; 32], &left_out, &LeftOut::default());
        };
        assert!(changed(other).contains("another dataset"));
    }
}
