//! Indexes, put beside a set of each kind: whatever one says, a record is that of the set, or an error.

use super::{READING_BYTES, read_all_with};
use crate::write;
use mixfeed_loader::source::{Cache, Location, Options, Place, open_with_report};
use mixfeed_pipeline::Split;
use std::path::Path;

/// How a set is written, and the name of its folder.
type Form = (fn(&Path, &[write::Image], &[write::Image]), &'static str);

const FORMS: [Form; 2] = [(write::folder, "folder"), (write::shards, "shards")];

fn written(place: &Path, (write, _): Form) {
    std::fs::create_dir_all(place).unwrap();
    write(place, &write::drawings(Split::Train, 10), &write::drawings(Split::Test, 2));
}

/// One of each kind.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let seed = |form| {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), form);
        let options = Options { write_index: true, no_digest_cache: true, ..Options::default() };
        let place = Place::from(Location::Path(folder.path().into())).with(options);
        let index = open_with_report(&place, &[]).unwrap().1.index.unwrap();
        let file = folder.path().join("mixfeed.index");
        index.write(&file).unwrap();
        std::fs::read(file).unwrap()
    };
    FORMS.map(seed).into()
}

/// An index ends with the hash of what is before it.
pub(super) fn mend(file: &mut [u8]) {
    let Some((bytes, hash)) = file.split_last_chunk_mut::<32>() else { return };
    *hash = blake3::hash(bytes).into();
}

pub(super) fn run(input: &[u8], folder: &Path) {
    let index = folder.join("set.index");
    std::fs::write(&index, input).unwrap();
    for form in FORMS {
        let place = folder.join("index").join(form.1);
        if !place.exists() {
            written(&place, form);
        }
        let options =
            Options { cache: Cache::None, cache_bytes: Some(READING_BYTES as u64), ..Options::default() };
        read_all_with(&place, Options { data_index: Some(index.clone()), ..options });
    }
}
