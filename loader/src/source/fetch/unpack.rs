//! From an archive (tar in gzip) to the files of a set. Only files that the set is known to have are written, under
//! names of our own; a name that leads out of the archive's folder makes the whole archive suspicious.

use crate::source::published::Published;
use crate::source::tar::{Entries, Entry};
use bytesize::ByteSize;
use flate2::read::GzDecoder;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, Write as _};
use std::path::{Component, Path, PathBuf};

/// Bytes of all that is in an archive, at most: CIFAR has 185 MB. What unpacks to more is a bomb.
const MAX_UNPACKED: ByteSize = ByteSize::mib(512);

/// Why an archive was not unpacked.
pub(super) enum UnpackError {
    /// It is not what it should be.
    Archive(String),
    /// The disk.
    Write { path: PathBuf, source: io::Error },
}

/// Writes the files of `set` into `folder`, and returns the SHA-256 of each.
pub(super) fn unpack(
    archive: File,
    set: Published,
    folder: &Path,
) -> Result<BTreeMap<&'static str, [u8; 32]>, UnpackError> {
    let wrong = UnpackError::Archive;
    let tar = inflate(archive, folder)?;
    let mut entries = Entries::new(BufReader::new(tar)).map_err(|e| wrong(e.to_string()))?;
    let mut files = BTreeMap::new();
    while let Some(entry) = entries.next().map_err(|e| wrong(e.to_string()))? {
        let Some(name) = member(set, &entry.name).map_err(wrong)? else { continue };
        if files.contains_key(name) {
            return Err(wrong(format!("the archive holds {name} twice")));
        }
        let digest = write(&mut entries, &entry, &folder.join(name))?;
        files.insert(name, digest);
    }
    match set.needed().find(|name| !files.contains_key(name)) {
        None => Ok(files),
        Some(name) => Err(wrong(format!("the archive holds no {}/{name}", set.set().files.folder))),
    }
}

/// The archive without its compression, in a file without a name on the same disk.
fn inflate(archive: File, folder: &Path) -> Result<File, UnpackError> {
    let failed = |source| UnpackError::Write { path: folder.into(), source };
    let mut tar = tempfile::tempfile_in(folder).map_err(failed)?;
    let mut inflated = GzDecoder::new(BufReader::new(archive)).take(MAX_UNPACKED.as_u64() + 1);
    let mut buffer = vec![0; 64 << 10];
    let mut bytes = 0;
    loop {
        let read = inflated.read(&mut buffer).map_err(|e| {
            UnpackError::Archive(format!("the archive is damaged after {bytes} unpacked bytes: {e}"))
        })?;
        bytes += read as u64;
        if bytes > MAX_UNPACKED.as_u64() {
            return Err(UnpackError::Archive(format!("the archive unpacks to more than {MAX_UNPACKED}")));
        }
        if read == 0 {
            break;
        }
        tar.write_all(&buffer[..read]).map_err(failed)?;
    }
    tar.rewind().map_err(failed)?;
    Ok(tar)
}

/// Finds which file of the set an archive's name means; none for what is of no use.
fn member(set: Published, name: &str) -> Result<Option<&'static str>, String> {
    let mut parts = Vec::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::CurDir => {}
            _ => return Err(format!("the archive holds {name:?}, a path that leads out of it")),
        }
    }
    Ok(match parts[..] {
        [folder, file] if folder == set.set().files.folder => set.members().find(|member| file == *member),
        _ => None,
    })
}

fn write<R: io::Read + io::Seek>(
    entries: &mut Entries<R>,
    entry: &Entry,
    path: &Path,
) -> Result<[u8; 32], UnpackError> {
    // Its size is within the archive, and that is bounded above.
    let bytes = entries.content(entry).map_err(|e| UnpackError::Archive(e.to_string()))?;
    let failed = |source| UnpackError::Write { path: path.into(), source };
    let mut file = File::create_new(path).map_err(failed)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(Sha256::digest(&bytes).into())
}
