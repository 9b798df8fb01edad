//! Sources: from a place that a user names to a [`Dataset`]. The only files of the loader that
//! read files.
//!
//! A place is `synthetic[:N]`, what a custom source knows by its name, or a path whose format is detected
//! ([`formats`]). Each format has a file that reads it. Records that are image files of their own ([`records`]) share all that
//! follows: splits by names ([`splits`]), order, digest, decoding, memory ([`encoded`]). What was taken for what is in a
//! [`Report`].

mod bad_records;
mod batches;
mod checks;
mod cifar;
mod custom;
mod digest_cache;
mod encoded;
mod error;
pub mod fetch;
mod file_error;
mod folder;
mod formats;
mod index;
mod index_file;
mod listing;
mod memory;
mod names;
mod numbered;
mod options;
mod parquet;
mod pickle;
mod place;
mod published;
mod reading;
mod record_cache;
mod records;
mod report;
mod retry;
mod set_files;
mod shards;
mod sizes;
mod skip_list;
mod splits;
mod tar;
#[cfg(test)]
mod tests;
mod webdataset;

pub use custom::CustomSource;
pub use error::SourceError;
pub use index_file::IndexFile;
pub use options::{BadRecords, Cache, Options, Order};
pub use place::{Location, Place};
pub use published::Published;
pub use report::{Columns, LeftOut, Report, Taken};
pub use skip_list::{SkipList, Skipped};

use formats::Format;
use index::{Choice, Holders};
use mixfeed_pipeline::{Dataset, synthetic};

/// Reads the data at `place`, by one of the `custom` sources if it names one, and logs what was taken for what.
///
/// # Errors
/// When there is none, or it is damaged.
pub fn open_with(place: &Place, custom: &[&'static dyn CustomSource]) -> Result<Dataset, SourceError> {
    let (dataset, report) = open_with_report(place, custom)?;
    report.log();
    Ok(dataset)
}

/// The same, with what was taken for what, and without a word in the log.
///
/// # Errors
/// As [`open_with`].
pub fn open_with_report(
    place: &Place,
    custom: &[&'static dyn CustomSource],
) -> Result<(Dataset, Report), SourceError> {
    let mut report = Report::default();
    let dataset = read(place, custom, &mut report)?;
    report.count(&dataset);
    Ok((dataset, report))
}

/// Reads the data at `place`, and logs what was taken for what.
///
/// # Errors
/// When there is none, or it is damaged.
pub fn open(place: &Place) -> Result<Dataset, SourceError> {
    open_with(place, &[])
}

fn read(
    place: &Place,
    custom: &[&'static dyn CustomSource],
    report: &mut Report,
) -> Result<Dataset, SourceError> {
    let options = &place.options;
    let dataset = match indexed(place, custom, report)? {
        Some(dataset) => dataset,
        None => read_files(place, custom, report)?,
    };
    if options.test_fraction > 0.0 {
        report.test.from = format!("{} of {}, by key", options.test_fraction, report.train.from);
    }
    Ok(dataset)
}

/// Opens the data by an index, if there is one.
fn indexed(
    place: &Place,
    custom: &[&'static dyn CustomSource],
    report: &mut Report,
) -> Result<Option<Dataset>, SourceError> {
    let options = &place.options;
    let Location::Path(path) = &place.location else { return Ok(None) };
    if custom::named(custom, path).is_some() {
        return Ok(None);
    }
    match index::find(path, options, parquet::count_rows)? {
        Choice::Read => Ok(None),
        Choice::Unusable(reason) => {
            report.warnings.push(reason);
            Ok(None)
        }
        Choice::Index(file, index) => {
            report.opened_by = Some(file);
            let open = match index.holders() {
                Holders::Files => folder::open_indexed,
                Holders::Shards => webdataset::open_indexed,
                Holders::Tables => parquet::open_indexed,
            };
            open(path, *index, options, report).map(Some)
        }
    }
}

fn read_files(
    place: &Place,
    custom: &[&'static dyn CustomSource],
    report: &mut Report,
) -> Result<Dataset, SourceError> {
    let options = &place.options;
    let format = formats::detect(place, custom, report)?;
    let no_index = match &format {
        Format::Shards(..) | Format::Folders(..) | Format::Tables(..) => None,
        Format::Synthetic(_) | Format::Custom(..) | Format::Cifar(..) | Format::Batches(..) => {
            Some("there are no image files in it, and it needs none")
        }
    };
    if let Some(reason) = no_index.filter(|_| options.write_index) {
        return Err(SourceError::NoIndex { place: place.to_string(), reason });
    }
    Ok(match format {
        Format::Synthetic(samples) => synthetic::dataset(samples),
        Format::Custom(source, rest) => custom::open(place, source, rest)?,
        Format::Cifar(set, folder) => cifar::open(&folder, set)?,
        Format::Batches(set, folder) => batches::open(&folder, set)?,
        Format::Tables(path, files) => parquet::open(path, files, options, report)?,
        Format::Shards(path, files) => webdataset::open(path, files, options, report)?,
        Format::Folders(path, others) => folder::open(path, &others, options, report)?,
    })
}
