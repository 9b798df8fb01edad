//! What the target folder already contains.

use super::error::FetchError;
use super::sums;
use crate::source::cifar;
use crate::source::error::SourceError;
use crate::source::published::Published;
use mixfeed_pipeline::Dataset;
use mixfeed_pipeline::content::content_digest;
use std::fs;
use std::io;
use std::path::Path;

/// How files that were there are known to be what they should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verified {
    /// By the checksums that were written when they were unpacked.
    Checksums,
    /// By the digest of their content.
    Content,
    /// By their form and number only: nothing is known of their content.
    Form,
}

/// What is there.
pub(super) enum Existing {
    /// Nothing, or what may be replaced.
    Nothing,
    /// The set, and how that is known.
    Set(Dataset, Verified),
}

/// With this, files of the set that are not what they should be are fetched again.
const OVERWRITE: &str = ", or fetch the set again by --overwrite";

/// Looks at the folder; `archive` is the digest of an archive other than the authors'.
pub(super) fn detect(
    output: &Path,
    set: Published,
    archive: Option<&[u8; 32]>,
    overwrite: bool,
) -> Result<Existing, FetchError> {
    let taken = |found: String, hint| FetchError::Taken { output: output.into(), found, hint };
    let entries = match fs::read_dir(output) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Existing::Nothing),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(taken("is a file".into(), ""));
        }
        entries => entries.map_err(FetchError::write(output))?,
    };
    let mut empty = true;
    for entry in entries {
        let entry = entry.map_err(FetchError::write(output))?;
        let name = entry.file_name();
        let known = set.members().chain([sums::FILE]).any(|member| name == member);
        if !known || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let found = format!("holds {}, which is not a file of {}", name.display(), set.set().files.name);
            return Err(taken(found, ""));
        }
        empty = false;
    }
    if empty || overwrite {
        return Ok(Existing::Nothing);
    }
    let wanted = archive.copied().unwrap_or_else(|| set.sha256());
    let unfit = |found: String| taken(found, OVERWRITE);
    if let Some(sums) = sums::read(output)? {
        if sums.archive != Some(hex::encode(wanted)) {
            return Err(unfit("holds the set from another archive".into()));
        }
        if let Some(file) = sums.fault(output, set)? {
            let reason = "not what was unpacked; --overwrite fetches the set again".into();
            return Err(SourceError::Set { path: output.join(file), reason }.into());
        }
        return Ok(Existing::Set(cifar::open(output, set.set())?, Verified::Checksums));
    }
    let dataset = cifar::open(output, set.set())?;
    if archive.is_some() {
        return Ok(Existing::Set(dataset, Verified::Form));
    }
    let images = [dataset.train.count(), dataset.test.count()];
    if images != set.images() {
        return Err(unfit(format!("holds {} and {} images, not {:?}", images[0], images[1], set.images())));
    }
    match set.content() {
        None => Ok(Existing::Set(dataset, Verified::Form)),
        Some(content) if content == content_digest(&dataset)? => {
            Ok(Existing::Set(dataset, Verified::Content))
        }
        Some(_) => Err(unfit("holds images that are not the authors'".into())),
    }
}
