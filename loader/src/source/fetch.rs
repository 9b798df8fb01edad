//! Fetching a published dataset: download, checksum, unpacking, and what is already there.
//!
//! The one place of the loader that reads from other machines. The folder that was asked for is there in the end
//! or not at all: its files are written beside it and renamed. What came of a download stays beside it too, as
//! `NAME.tar.gz.part`, and the next attempt goes on there.
//!
//! Deliberately not here: what the files hold (`cifar.rs`), and anything drawn for a person (`commands/fetch.rs`).

mod download;
mod error;
mod existing;
mod origin;
mod part;
mod sums;
mod unpack;

pub use download::Told;
pub use error::FetchError;
pub use existing::Verified;
pub use origin::{Origin, OriginError};

use super::cifar;
use super::published::Published;
use existing::Existing;
use mixfeed_pipeline::Dataset;
use part::Part;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// What to fetch, from where, to where.
#[derive(Clone, Debug)]
pub struct Request {
    /// The set.
    pub set: Published,
    /// The folder that its files will be in.
    pub output: PathBuf,
    /// A place other than the authors'.
    pub origin: Option<Origin>,
    /// SHA-256 of an archive other than the authors'.
    pub sha256: Option<[u8; 32]>,
    /// Whether files of the set that are in the folder are replaced.
    pub overwrite: bool,
}

/// A set that is in its folder.
#[derive(Debug)]
pub struct Fetched {
    /// The set, read.
    pub dataset: Dataset,
    /// What was there already, and how that is known to be the set; `None` after a download.
    pub already: Option<Verified>,
}

/// Brings the set into its folder; `told` hears how far the download is. Safe to be killed at any time, and to be
/// called again after that.
///
/// # Errors
/// When the folder holds something else, the archive cannot be had, is another one, or cannot be unpacked.
pub fn fetch(request: &Request, told: &mut Told<'_>) -> Result<Fetched, FetchError> {
    let Request { set, output, origin, sha256, overwrite } = request;
    let wanted = sha256.unwrap_or_else(|| set.sha256());
    match existing::detect(output, *set, sha256.as_ref(), *overwrite)? {
        Existing::Set(dataset, verified) => return Ok(Fetched { dataset, already: Some(verified) }),
        Existing::Nothing => {}
    }
    let part = beside(output, "", ".tar.gz.part")?;
    if let Some(parent) = part.parent() {
        fs::create_dir_all(parent).map_err(FetchError::write(parent))?;
    }
    let origin = origin.clone().unwrap_or_else(|| Origin::Web(set.url().into()));
    let mut part = Part::open(part)?;
    let archive = match &origin {
        Origin::Web(url) => download::download(url, &mut part, &wanted, told).and_then(|()| part.archive()),
        Origin::File(path) => download::copy(path, &wanted, told),
    };
    let archive = match archive {
        Err(error) if part.bytes() == 0 => {
            part.remove()?;
            return Err(error);
        }
        archive => archive?,
    };
    let unpacked = beside(output, ".", ".unpacked.part")?;
    let dataset = unpack_into(&unpacked, archive, *set, &origin, &wanted);
    let dataset = match dataset.and_then(|dataset| take_place(&unpacked, output).map(|()| dataset)) {
        Ok(dataset) => dataset,
        Err(error) => {
            // The error of the unpacking is the one worth reporting.
            let _ = fs::remove_dir_all(&unpacked);
            if !matches!(error, FetchError::Write { .. }) {
                // With room on the disk it would unpack; but nothing makes another archive of this one.
                part.remove()?;
            }
            return Err(error);
        }
    };
    part.remove()?;
    Ok(Fetched { dataset, already: None })
}

/// Unpacks to a new folder, and reads what came of it as the loader will.
fn unpack_into(
    folder: &Path,
    archive: File,
    set: Published,
    origin: &Origin,
    wanted: &[u8; 32],
) -> Result<Dataset, FetchError> {
    remove_folder(folder)?;
    fs::create_dir(folder).map_err(FetchError::write(folder))?;
    let files = unpack::unpack(archive, set, folder).map_err(|error| match error {
        unpack::UnpackError::Archive(reason) => FetchError::Archive { origin: origin.to_string(), reason },
        unpack::UnpackError::Write { path, source } => FetchError::Write { path, source },
    })?;
    let dataset = cifar::open(folder, set.set())?;
    sums::write(folder, set, wanted, &files)?;
    Ok(dataset)
}

/// Renames a complete folder to where it belongs. What is there is of the same set, or empty.
fn take_place(folder: &Path, output: &Path) -> Result<(), FetchError> {
    let old = beside(output, ".", ".replaced.part")?;
    remove_folder(&old)?;
    if output.exists() {
        fs::rename(output, &old).map_err(FetchError::write(output))?;
    }
    fs::rename(folder, output).map_err(FetchError::write(output))?;
    if let Some(parent) = old.parent() {
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(FetchError::write(parent))?;
    }
    remove_folder(&old)
}

fn remove_folder(path: &Path) -> Result<(), FetchError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FetchError::write(path)(error)),
        _ => Ok(()),
    }
}

/// A path in the same folder, whose name is that of `output` with something around it.
fn beside(output: &Path, before: &str, after: &str) -> Result<PathBuf, FetchError> {
    let name = output.file_name().ok_or_else(|| FetchError::Output(output.into()))?;
    let mut beside = OsString::from(before);
    beside.push(name);
    beside.push(after);
    let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(parent.join(beside))
}
