//! What becomes of records that reading the set has found bad, by their bytes: they are named before anybody is served,
//! and fail the batches that they are in, or are left out.
//!
//! Leaving them out is the same as a [skip list](super::SkipList) that names them: what is left has a digest of its own.

use super::error::{SourceError, more};
use super::options::BadRecords;
use super::report::LeftOut;
use super::skip_list::{SkipList, Skipped};
use mixfeed_pipeline::Split;
use std::path::{Path, PathBuf};

/// Records that are named one by one; the rest is counted.
const NAMED: usize = 10;

/// Records that were left out of which the report of a set tells.
const TOLD: usize = 3;

/// How to see all, and to be rid of them.
const REMEDY: &str = "`mixfeed-loader inspect --write-skip-list FILE` lists them; `--skip-list FILE` or \
                      `--bad-records skip` leaves them out";

/// A record that lacks its image or its label, so that it is no sample at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Incomplete {
    /// The file that it lies in.
    pub(super) path: PathBuf,
    /// Which it is, and what it lacks.
    pub(super) reason: String,
}

/// Refuses a set with records that are no samples, unless such are skipped.
pub(super) fn check_complete(policy: BadRecords, incomplete: &[Incomplete]) -> Result<(), SourceError> {
    match (policy, incomplete.first()) {
        (BadRecords::Fail, Some(Incomplete { path, reason })) => {
            let more = more(incomplete.len() - 1);
            let reason = format!("{reason}{more}; --bad-records skip leaves such records out");
            Err(SourceError::Set { path: path.clone(), reason })
        }
        _ => Ok(()),
    }
}

/// Applies the policy to what the reading found: adds what is to be left out to `list`, and names it.
pub(super) fn apply(
    policy: BadRecords,
    place: &Path,
    incomplete: &[Incomplete],
    bad: Vec<Skipped>,
    list: &mut SkipList,
) -> Result<(), SourceError> {
    let listed = [Split::Train, Split::Test].map(|split| list.samples(split));
    let is_listed = |bad: &Skipped| listed[usize::from(bad.split == Split::Test)].contains(bad.sample);
    let bad: Vec<_> = bad.into_iter().filter(|bad| !is_listed(bad)).collect();
    let count = (bad.len() + incomplete.len()) as u64;
    match policy {
        BadRecords::Fail => {
            name(&[], &bad, "bad record: every batch with it fails");
            if count > 0 {
                tracing::warn!(bad_records = count, "batches will fail: {REMEDY}");
            }
        }
        BadRecords::Skip { max } if count > max => {
            let first = match (incomplete.first(), bad.first()) {
                (Some(Incomplete { path, reason }), _) => format!("{}: {reason}", path.display()),
                (None, Some(Skipped { record, reason, .. })) => format!("{record}: {reason}"),
                (None, None) => unreachable!("there are some"),
            };
            let text =
                format!("{count} bad records are more than --bad-records skip={max} allows, first {first}");
            return Err(SourceError::Set { path: place.into(), reason: text });
        }
        BadRecords::Skip { .. } => {
            name(incomplete, &bad, "bad record, left out");
            list.records.extend(bad);
        }
    }
    Ok(())
}

/// What is to be said of records that were left out, where there are any.
pub(super) fn left_out(what: &str, incomplete: &[Incomplete], bad: &[Skipped]) -> Option<LeftOut> {
    let count = incomplete.len() + bad.len();
    let file =
        |path: &Path| path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let incomplete = incomplete.iter().map(|Incomplete { path, reason }| format!("{}: {reason}", file(path)));
    let bad = bad.iter().map(|Skipped { record, reason, .. }| format!("{record}: {reason}"));
    let first: Vec<String> = incomplete.chain(bad).take(TOLD).collect();
    let more = match count - first.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (count > 0).then(|| LeftOut {
        what: what.into(),
        count: count as u64,
        why: format!("{}{more}", first.join("; ")),
        named: false,
        warn: true,
    })
}

fn name(incomplete: &[Incomplete], bad: &[Skipped], what: &str) {
    for Incomplete { path, reason } in incomplete.iter().take(NAMED) {
        tracing::warn!(file = %path.display(), reason, "{what}");
    }
    let named = incomplete.len().min(NAMED);
    for Skipped { split, sample, record, reason } in bad.iter().take(NAMED - named) {
        tracing::warn!(%split, sample, record, reason, "{what}");
    }
    let more = (incomplete.len() + bad.len()).saturating_sub(NAMED);
    if more > 0 {
        tracing::warn!("and {more} more bad records");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_ops::testing::logged;

    fn bad(count: u64) -> Vec<Skipped> {
        let skipped = |sample| Skipped {
            split: Split::Train,
            sample,
            record: format!("train/a/{sample}.png"),
            reason: "cut short".into(),
        };
        (0..count).map(skipped).collect()
    }

    fn list() -> SkipList {
        SkipList { dataset: [7; 32], records: Vec::new() }
    }

    fn lacking(count: usize) -> Vec<Incomplete> {
        vec![Incomplete { path: "x.tar".into(), reason: "a/7.png: the record has no label".into() }; count]
    }

    #[test]
    fn known_bad_records_are_named_with_the_way_out_and_no_more_than_a_few() {
        for (count, lines) in [(0, 0), (1, 2), (10, 11), (25, 12)] {
            let mut left = list();
            let log =
                logged(|| apply(BadRecords::Fail, Path::new("set"), &[], bad(count), &mut left).unwrap());
            assert_eq!(log.lines().count(), lines, "{log}");
            assert!(left.records.is_empty() && log.lines().all(|line| line.contains("WARN")), "{log}");
            if count > 0 {
                for part in ["train/a/0.png", "\"cut short\"", "--write-skip-list", "--bad-records skip"] {
                    assert!(log.contains(part), "{part}: {log}");
                }
            }
            assert_eq!(log.contains("and 15 more"), count == 25, "{log}");
        }
    }

    #[test]
    fn what_is_skipped_joins_the_list_unless_it_is_more_than_allowed() {
        let skip = |text: &str, lacking: &[Incomplete], left: &mut SkipList| {
            let mut outcome = Ok(());
            let log = logged(|| {
                outcome = apply(text.parse().unwrap(), Path::new("set"), lacking, bad(3), left);
            });
            (outcome.map_err(|e| e.to_string()), log)
        };
        let mut left = list();
        let (outcome, log) = skip("skip=4", &lacking(1), &mut left);
        assert!(
            outcome.is_ok() && log.lines().count() == 4 && log.contains("the record has no label"),
            "{log}"
        );
        assert_eq!(left.records, bad(3));
        let (outcome, log) = skip("skip=0", &[], &mut left);
        assert!(outcome.is_ok() && log.is_empty(), "the list has them all: {log}");
        for (text, count) in [("skip=2", 0), ("skip=3", 1)] {
            let message = skip(text, &lacking(count), &mut list()).0.unwrap_err();
            assert!(message.contains(&format!("{} bad records are more than", 3 + count)), "{message}");
        }
    }

    #[test]
    fn of_what_is_left_out_number_and_first_reasons_are_told() {
        assert_eq!(left_out("bad records", &[], &[]), None);
        let said = |lacking: &[Incomplete], bad: &[Skipped]| {
            left_out("bad records", lacking, bad).unwrap().to_string()
        };
        assert_eq!(said(&[], &bad(1)), "bad records: 1 (train/a/0.png: cut short)");
        let lacks = "x.tar: a/7.png: the record has no label";
        assert_eq!(
            said(&lacking(2), &bad(5)),
            format!("bad records: 7 ({lacks}; {lacks}; train/a/0.png: cut short and 4 more)")
        );
    }

    #[test]
    fn a_record_that_is_no_sample_is_refused_by_name_unless_such_are_skipped() {
        let message = check_complete(BadRecords::Fail, &lacking(3)).unwrap_err();
        assert!(check_complete("skip=0".parse().unwrap(), &lacking(3)).is_ok(), "how many is counted later");
        let expected = "x.tar: a/7.png: the record has no label (and 2 more records); --bad-records skip leaves such records out";
        assert_eq!(message.to_string(), expected);
    }
}
