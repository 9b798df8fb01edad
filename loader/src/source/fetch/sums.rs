//! `SHA256SUMS` beside the files of a set that was fetched, as `sha256sum -c` reads it: how a later call, or a
//! person, knows that they are still what was unpacked.

use super::error::FetchError;
use crate::source::error::SourceError;
use crate::source::published::Published;
use crate::source::retry;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Name of the file.
pub(super) const FILE: &str = "SHA256SUMS";

/// In front of the digest of the archive, in a comment.
const ARCHIVE: &str = "archive SHA-256 ";

pub(super) fn write(
    folder: &Path,
    set: Published,
    archive: &[u8; 32],
    files: &BTreeMap<&str, [u8; 32]>,
) -> Result<(), FetchError> {
    let mut text = format!("# {}, {ARCHIVE}{}\n", set.set().files.name, hex::encode(archive));
    for (name, digest) in files {
        text.push_str(&format!("{}  {name}\n", hex::encode(digest)));
    }
    let path = folder.join(FILE);
    let written = File::create_new(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(FetchError::write(&path))
}

/// What the file says, as it was written.
pub(super) struct Sums {
    /// Digest of the archive, hexadecimal.
    pub(super) archive: Option<String>,
    files: Vec<(String, String)>,
}

/// Reads the file, if it is there.
pub(super) fn read(folder: &Path) -> Result<Option<Sums>, SourceError> {
    let Some(bytes) = retry::read(&folder.join(FILE))? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    let archive =
        text.lines().filter(|line| line.starts_with('#')).find_map(|line| line.split(ARCHIVE).nth(1));
    let files = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once("  "));
    Ok(Some(Sums {
        archive: archive.map(|digest| digest.trim().to_owned()),
        files: files.map(|(digest, name)| (name.to_owned(), digest.to_owned())).collect(),
    }))
}

impl Sums {
    /// Names the first file of the set that is not what was unpacked.
    pub(super) fn fault(&self, folder: &Path, set: Published) -> Result<Option<&'static str>, SourceError> {
        for name in set.members() {
            let known = self.files.iter().find(|(file, _)| file == name).map(|(_, digest)| digest);
            let found = retry::read(&folder.join(name))?.map(|bytes| hex::encode(Sha256::digest(&bytes)));
            // The authors' archives may be without some of the files that are not needed.
            let both_missing =
                known.is_none() && found.is_none() && !set.needed().any(|needed| needed == name);
            if !both_missing && found.as_ref() != known {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}
