//! WebDataset: tar shards in which files of one name and several extensions make a record.
//!
//! `000017.png` and `000017.cls` are an image and its class, a number in ASCII; `000017.json` may hold it
//! as `label` or `cls` instead; both must say the same. The files of a record follow one another; hidden ones, as macOS puts them into archives,
//! are passed over. Names of classes are the lines of `classes.txt` beside the shards, where there is one.

mod labels;

use super::bad_records::Incomplete;
use super::digest_cache::{DigestCache, Listing};
use super::encoded::MAX_CLASSES;
use super::error::SourceError;
use super::file_error::FileError;
use super::index::Index;
use super::listing::is_folder;
use super::listing::is_image;
use super::options::Options;
use super::records::{Archive, Found, MAX_RECORD_BYTES, Places, ReadError, Record, named_twice};
use super::report::Report;
use super::retry::{patiently, text_lines};
use super::splits::is_hidden_path;
use super::tar::{Entries, Entry};
use super::{encoded, shards};
use labels::{MAX_LABEL_BYTES, key_of, label, label_text};
use mixfeed_pipeline::{Dataset, Split};
use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const NAMES_FILE: &str = "classes.txt";

/// Bytes of shards that are left out whose images are counted, at most: a header is read for each of them.
const COUNTED_BYTES: u64 = 1 << 30;

/// Reads the shards of a place.
pub(super) fn open(
    place: &Path,
    files: Vec<PathBuf>,
    options: &Options,
    report: &mut Report,
) -> Result<Dataset, SourceError> {
    let mut uncounted = COUNTED_BYTES;
    let count = |path: &Path| count_images(path, &mut uncounted);
    let unlabelled = |path: &Path| patiently(|| without_labels(path));
    let divided = shards::divide(place, files, options, report, unlabelled, count)?;
    let (splits, paths): (Vec<_>, Vec<_>) = divided.into_iter().unzip();
    let (cache, known) = DigestCache::find(place, paths.clone(), options);
    let listing = known.as_ref().and_then(|known| known.listing.as_ref());
    let (archive, labels) = match listing.map(|listing| Shards::known(&paths, listing)).transpose()?.flatten()
    {
        Some(known) => known,
        None => Shards::list(&paths)?,
    };
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for ((number, image), label) in (0..).zip(&archive.images).zip(labels) {
        let records = if splits[image.file as usize] == Split::Train { &mut train } else { &mut test };
        records.push(Record { number, label });
    }
    let folder = if is_folder(place)? { place } else { place.parent().unwrap_or(place) };
    let mut classes = text_lines(&folder.join(NAMES_FILE))?;
    let max = train.iter().chain(&test).map(|record: &Record| record.label as usize + 1).max().unwrap_or(0);
    if let Some(name) = named_twice(&classes) {
        let reason = format!("it names two classes {name:?}");
        return Err(SourceError::Set { path: folder.join(NAMES_FILE), reason });
    }
    if !classes.is_empty() && classes.len() < max {
        let reason = format!("it names {} classes, but the shards have {max}", classes.len());
        return Err(SourceError::Set { path: folder.join(NAMES_FILE), reason });
    }
    classes.extend((classes.len()..max).map(|class| class.to_string()));
    let found = found(place, classes, archive, train, test);
    encoded::open(place, found, options, &cache, known, report)
}

/// Opens shards by an index, without listing them.
pub(super) fn open_indexed(
    place: &Path,
    mut index: Index,
    options: &Options,
    report: &mut Report,
) -> Result<Dataset, SourceError> {
    index.tell(report);
    let [train, test] = index.records();
    let archive = Shards::indexed(index.take_places(place), |record| index.length(record))?;
    let found = found(place, index.classes().to_vec(), archive, train, test);
    encoded::open_indexed(place, found, index, options, report)
}

fn found(
    place: &Path,
    classes: Vec<String>,
    archive: Shards,
    train: Vec<Record>,
    test: Vec<Record>,
) -> Found {
    let name = place.file_stem().map_or_else(|| "shards".into(), |name| name.to_string_lossy().into_owned());
    let incomplete = archive.incomplete.iter().map(|(file, reason)| Incomplete {
        path: archive.files[*file as usize].0.clone(),
        reason: reason.clone(),
    });
    let incomplete = incomplete.collect();
    Found { name, classes, archive: Arc::new(archive), train, test, incomplete }
}

/// Open shards, and where the images lie in them.
#[derive(Debug, Default)]
struct Shards {
    files: Vec<(PathBuf, File)>,
    images: Vec<Image>,
    /// Records that lack an image or a label: the file of each, and what it lacks.
    incomplete: Vec<(u32, String)>,
}

#[derive(Debug)]
struct Image {
    file: u32,
    offset: u64,
    size: u64,
    name: Box<str>,
}

/// The files of one record, as far as they have been seen.
#[derive(Default)]
struct Group {
    key: String,
    image: Option<Entry>,
    label: Option<u32>,
    /// Why a label that is there is none.
    wrong_label: Option<String>,
    /// How two labels that are there differ.
    two_labels: Option<String>,
}

impl Shards {
    /// Reads where the images lie, and of what classes they are.
    fn list(paths: &[PathBuf]) -> Result<(Self, Vec<u32>), SourceError> {
        let (mut shards, mut labels) = (Self::default(), Vec::new());
        for path in paths {
            let before = (shards.files.len(), shards.images.len(), labels.len(), shards.incomplete.len());
            patiently(|| {
                // What an attempt before this one has listed goes.
                shards.files.truncate(before.0);
                shards.images.truncate(before.1);
                labels.truncate(before.2);
                shards.incomplete.truncate(before.3);
                shards.append(path, &mut labels)
            })?;
        }
        Ok((shards, labels))
    }

    /// The same from what was read before, if that can be of these shards.
    fn known(paths: &[PathBuf], listing: &Listing) -> Result<Option<(Self, Vec<u32>)>, SourceError> {
        let Listing { files, offsets, sizes, names, labels, incomplete_files, incomplete } = listing;
        let count = files.len();
        let equal = [offsets.len(), sizes.len(), names.len(), labels.len()].iter().all(|len| *len == count);
        let known = |file: &u32| (*file as usize) < paths.len();
        let equal = equal && incomplete_files.len() == incomplete.len();
        if !equal
            || !files.iter().chain(incomplete_files).all(known)
            || labels.iter().any(|label| u64::from(*label) >= MAX_CLASSES)
        {
            return Ok(None);
        }
        let images = files.iter().zip(offsets).zip(sizes).zip(names).map(|(((file, offset), size), name)| {
            Image { file: *file, offset: *offset, size: *size, name: name.as_str().into() }
        });
        let files = Self::open(paths)?;
        let incomplete = incomplete_files.iter().copied().zip(incomplete.iter().cloned()).collect();
        Ok(Some((Self { files, images: images.collect(), incomplete }, labels.clone())))
    }

    /// The same from an index, with the length of each record.
    fn indexed(places: Places, length: impl Fn(usize) -> u32) -> Result<Self, SourceError> {
        let Places { names, shards, counts, offsets, incomplete } = places;
        let files = (0..).zip(&counts).flat_map(|(file, count)| std::iter::repeat_n(file, *count as usize));
        let images = files.zip(offsets).enumerate().map(|(record, (file, offset))| {
            let name = String::from_utf8_lossy(&names.get(record)).into();
            Image { file, offset, size: length(record).into(), name }
        });
        Ok(Self { images: images.collect(), files: Self::open(&shards)?, incomplete })
    }

    #[allow(clippy::disallowed_methods)]
    fn open(paths: &[PathBuf]) -> Result<Vec<(PathBuf, File)>, SourceError> {
        let open = |path: &PathBuf| {
            let open = || File::open(path).map_err(|source| SourceError::Read { path: path.clone(), source });
            Ok((path.clone(), patiently(open)?))
        };
        paths.iter().map(open).collect()
    }

    /// Lists a shard and appends its images and their labels.
    #[allow(clippy::disallowed_methods)]
    fn append(&mut self, path: &Path, labels: &mut Vec<u32>) -> Result<(), SourceError> {
        let failed = |source| SourceError::Read { path: path.into(), source };
        let unlisted = |e: FileError| e.at(path);
        let wrong = |reason: String| FileError::from(reason).at(path);
        // Two handles: one is read in order here, the other at random by the workers.
        let mut entries = Entries::new(BufReader::new(File::open(path).map_err(failed)?)).map_err(failed)?;
        self.files.push((path.into(), File::open(path).map_err(failed)?));
        let mut group = Group::default();
        while let Some(entry) = entries.next().map_err(unlisted)? {
            if is_hidden_path(&entry.name) {
                continue;
            }
            let (key, extension) = key_of(&entry.name);
            if key != group.key {
                self.finish(std::mem::take(&mut group), labels);
                group.key = key.into();
            }
            if is_image(&entry.name) {
                if group.image.is_some() {
                    return Err(wrong(format!("{}: the record has another image", entry.name)));
                }
                group.image = Some(entry);
            } else if matches!(extension, "cls" | "json") {
                let text = label_text(&mut entries, &entry).map_err(unlisted)?;
                match label(&entry, &text, extension == "json") {
                    Ok(Some(label)) => match group.label {
                        Some(other) if other != label => {
                            let name = entry.name.escape_default();
                            group.two_labels = Some(format!(
                                "{name}: its label is {label}, and another file of the record says {other}"
                            ));
                        }
                        _ => group.label = Some(label),
                    },
                    Ok(None) => {}
                    Err(reason) => group.wrong_label = Some(reason),
                }
            }
        }
        self.finish(group, labels);
        Ok(())
    }

    fn finish(&mut self, group: Group, labels: &mut Vec<u32>) {
        let Group { key, image, label, wrong_label, two_labels } = group;
        let file = self.files.len() as u32 - 1;
        let lacks = match (image, label, two_labels.or(wrong_label.filter(|_| label.is_none()))) {
            (Some(Entry { name, offset, size }), Some(label), None) => {
                self.images.push(Image { file, offset, size, name: name.into() });
                labels.push(label);
                return;
            }
            // What is neither is not a record: a README, for example.
            (None, None, None) => return,
            (_, _, Some(reason)) => reason,
            (Some(image), None, None) => {
                let name = image.name.escape_default();
                format!("{name}: the record has no label (.cls, or label in .json)")
            }
            (None, Some(_), None) => {
                format!("{}: the record has no image (png, jpg, webp, bmp, gif, tiff)", key.escape_default())
            }
        };
        self.incomplete.push((file, lacks));
    }
}

impl Archive for Shards {
    fn read(&self, record: u64, into: &mut Vec<u8>) -> Result<(), ReadError> {
        let Image { file, offset, size, .. } = &self.images[record as usize];
        into.clear();
        if *size > MAX_RECORD_BYTES {
            let text = format!("{size} bytes are more than the {MAX_RECORD_BYTES} of an image file");
            return Err(ReadError::Record(text));
        }
        into.resize(*size as usize, 0);
        self.files[*file as usize].1.read_exact_at(into, *offset).map_err(|e| {
            into.clear();
            e.into()
        })
    }

    fn path(&self, record: u64) -> String {
        let Image { file, offset, name, .. } = &self.images[record as usize];
        let shard = &self.files[*file as usize].0;
        let shard = shard.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        // A name from an archive must not be able to forge log lines.
        format!("{shard} at offset {offset}/{}", name.escape_default())
    }

    fn bytes(&self, record: u64) -> u64 {
        self.images[record as usize].size
    }

    fn listing(&self, records: &mut dyn Iterator<Item = &Record>) -> Option<Listing> {
        let mut listing = Listing { labels: vec![0; self.images.len()], ..Listing::default() };
        for record in records {
            listing.labels[record.number as usize] = record.label;
        }
        for (file, lacks) in &self.incomplete {
            listing.incomplete_files.push(*file);
            listing.incomplete.push(lacks.clone());
        }
        for Image { file, offset, size, name } in &self.images {
            listing.files.push(*file);
            listing.offsets.push(*offset);
            listing.sizes.push(*size);
            listing.names.push(name.to_string());
        }
        Some(listing)
    }

    fn places(&self) -> Option<Places> {
        let shards = self.files.iter().map(|(path, _)| path.clone()).collect();
        let mut places = Places { shards, counts: vec![0; self.files.len()], ..Places::default() };
        for Image { file, offset, name, .. } in &self.images {
            places.names.push(name.as_bytes());
            places.counts[*file as usize] += 1;
            places.offsets.push(*offset);
        }
        places.incomplete.clone_from(&self.incomplete);
        Some(places)
    }
}

/// How many images a shard has that is left out, if it can be read and has no more than `uncounted` bytes, which it takes.
#[allow(clippy::disallowed_methods)]
fn count_images(path: &Path, uncounted: &mut u64) -> Option<u64> {
    let file = File::open(path).ok()?;
    *uncounted = uncounted.checked_sub(file.metadata().ok()?.len())?;
    let mut entries = Entries::new(BufReader::new(file)).ok()?;
    let mut images = 0;
    while let Some(entry) = entries.next().ok()? {
        images += u64::from(is_image(&entry.name) && !is_hidden_path(&entry.name));
    }
    Some(images)
}

/// How many images a shard has, if none of them has a label, be it a wrong one: -1 is none. Damage is left for the
/// reading of the shard to name.
#[allow(clippy::disallowed_methods)]
fn without_labels(path: &Path) -> Result<Option<u64>, SourceError> {
    let failed = |source| SourceError::Read { path: path.into(), source };
    let mut entries = Entries::new(BufReader::new(File::open(path).map_err(failed)?)).map_err(failed)?;
    let mut images = 0;
    loop {
        let entry = match entries.next() {
            Err(FileError::Read(source)) => return Err(failed(source)),
            Err(FileError::Invalid(_)) => return Ok(None),
            Ok(entry) => entry,
        };
        let Some(entry) = entry else { return Ok(Some(images)) };
        let (_, extension) = key_of(&entry.name);
        if is_hidden_path(&entry.name) {
            continue;
        }
        images += u64::from(is_image(&entry.name));
        if !matches!(extension, "cls" | "json") {
            continue;
        }
        if entry.size > MAX_LABEL_BYTES {
            return Ok(None);
        }
        let bytes = match entries.content(&entry).map_err(FileError::from) {
            Err(FileError::Read(source)) => return Err(failed(source)),
            Err(FileError::Invalid(_)) => return Ok(None),
            Ok(bytes) => bytes,
        };
        let none = match extension {
            "cls" => bytes.trim_ascii() == b"-1",
            _ => match serde_json::from_slice::<serde_json::Value>(&bytes) {
                Ok(object) => {
                    object.get("label").or_else(|| object.get("cls")).is_none_or(|label| *label == -1)
                }
                Err(_) => false,
            },
        };
        if !none {
            return Ok(None);
        }
    }
}
