//! Which files of a folder are those of a run: nothing else there is ever removed or replaced.
//!
//! Names such as `metrics.csv` are used by other programs, too. A file is taken for the run's when the folder holds the
//! record of a run, and such a run writes files of that name.

use super::{CURVES, METRICS, RUN, RunFolder};
use crate::run::checkpoint::NAMES;
use std::fs;
use std::path::Path;

/// Pictures are drawn in two forms.
const CURVES_SVG: &str = "curves.svg";
const GRID_SVG: &str = "grid.svg";

/// What a command leaves in its folder.
struct Kind {
    /// By which it is known.
    record: &'static str,
    files: &'static [&'static str],
}

const KINDS: [Kind; 2] = [
    Kind {
        record: RUN,
        files: &[METRICS, CURVES, CURVES_SVG, RunFolder::LOADERS, NAMES[0], NAMES[1], NAMES[2]],
    },
    Kind {
        record: RunFolder::COMPARE,
        files: &[
            RunFolder::COMPARISON,
            RunFolder::COMPARISON_CSV,
            RunFolder::GRID,
            GRID_SVG,
            CURVES,
            CURVES_SVG,
            RunFolder::LOADERS,
        ],
    },
];

/// What is in a folder under names that runs use.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RunFiles {
    /// Files of a run, its record last: whoever removes them in this order may be interrupted.
    pub(super) own: Vec<&'static str>,
    /// A file that no run left there.
    pub(super) foreign: Option<&'static str>,
}

impl RunFiles {
    /// Looks into a folder, which need not be there.
    pub(super) fn of(folder: &Path) -> Self {
        let is_there = |name: &&str| folder.join(name).symlink_metadata().is_ok();
        let is_run = |kind: &&Kind| is_record(&folder.join(kind.record));
        let mut own: Vec<_> = KINDS.iter().filter(is_run).flat_map(|kind| kind.files).copied().collect();
        own.extend(KINDS.iter().filter(is_run).map(|kind| kind.record));
        let all = KINDS.iter().flat_map(|kind| kind.files.iter().chain([&kind.record])).copied();
        let foreign = all.into_iter().filter(|name| !own.contains(name)).find(is_there);
        own.retain(is_there);
        own.dedup();
        RunFiles { own, foreign }
    }
}

/// Whether a file is the record of a run of any release.
fn is_record(path: &Path) -> bool {
    let Ok(text) = fs::read_to_string(path) else { return false };
    let Ok(record) = text.parse::<toml::Table>() else { return false };
    record.get("format").is_some_and(toml::Value::is_integer)
        && record.get("release").is_some_and(toml::Value::is_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "format = 1\nrelease = \"0.1.0\"\n";

    fn found(files: &[(&str, &str)]) -> RunFiles {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        RunFiles::of(folder.path())
    }

    #[test]
    fn files_are_a_runs_where_its_record_is_and_of_its_kind() {
        let own = |own: &[&'static str]| RunFiles { own: own.to_vec(), foreign: None };
        let foreign = |name, own: &[&'static str]| RunFiles { own: own.to_vec(), foreign: Some(name) };
        assert_eq!(found(&[("notes.txt", ""), ("events.out.tfevents.1.host", "")]), own(&[]));
        assert_eq!(found(&[(RUN, RECORD), (METRICS, ""), (CURVES, "")]), own(&[METRICS, CURVES, RUN]));
        let comparison = [(RunFolder::COMPARE, RECORD), (CURVES, ""), (RunFolder::GRID, "")];
        assert_eq!(found(&comparison), own(&[RunFolder::GRID, CURVES, RunFolder::COMPARE]));
        // Lightning's table, a picture of somebody's own, another program's settings.
        assert_eq!(found(&[(METRICS, "epoch,loss\n")]), foreign(METRICS, &[]));
        assert_eq!(found(&[(CURVES, "png")]), foreign(CURVES, &[]));
        for text in ["", "format = \"tar\"\n", "format = 1\n", "[run]\nformat = 1\nrelease = \"1\"\n", "\0"] {
            assert_eq!(found(&[(RUN, text)]), foreign(RUN, &[]), "{text:?}");
        }
        // Beside a training, a file of a kind that trainings do not write.
        assert_eq!(found(&[(RUN, RECORD), (RunFolder::GRID, "")]), foreign(RunFolder::GRID, &[RUN]));
        assert_eq!(RunFiles::of(Path::new("/no/such/folder")), own(&[]));
    }

    #[test]
    fn a_link_is_a_file_wherever_it_points() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/no/such/file", folder.path().join(METRICS)).unwrap();
        assert_eq!(RunFiles::of(folder.path()).foreign, Some(METRICS));
    }
}
