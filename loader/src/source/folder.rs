//! A folder of class folders with image files, as torchvision's `ImageFolder` reads it.
//!
//! Split folders divide it, or the class folders lie at the top: [`layout`] finds out. Classes are the folders' names in
//! order of their bytes; files come class after class, in a class folder after folder, in a folder by name. What is
//! hidden is not looked at; files that are no images are counted.

mod layout;
pub(super) mod tree;

use super::digest_cache::DigestCache;
use super::encoded;
use super::error::SourceError;
use super::index::Index;
use super::listing::{Kind, is_folder, list};
use super::names::Names;
use super::options::Options;
use super::records::{Archive, Found, MAX_RECORD_BYTES, Places, ReadError, Record};
use super::report::{Report, ending, named};
use super::splits::{PLACE, are_several};
use mixfeed_ops::files::open_regular;
use mixfeed_pipeline::Dataset;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{ErrorKind, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tree::{MAX_DEPTH, Tree};

/// Reads the folder, in which, or in whose place, there are files with the endings `others`.
pub(super) fn open(
    place: &Path,
    others: &BTreeMap<String, u64>,
    options: &Options,
    report: &mut Report,
) -> Result<Dataset, SourceError> {
    let unknown =
        |report: &mut Report| SourceError::Unknown { path: place.into(), hint: hint(place, others, report) };
    read(place, options, report)?.ok_or_else(|| unknown(report))
}

/// What to do about a place that is no dataset, if that can be told.
fn hint(path: &Path, others: &BTreeMap<String, u64>, report: &mut Report) -> String {
    if !path.is_dir() {
        return " in this file; give the folder that holds the set".into();
    }
    if report.left_out.is_empty() {
        others.iter().for_each(|(ending, count)| report.leave_out_ending(ending, *count, "images"));
    }
    let found: Vec<String> = report.left_out.iter().map(ToString::to_string).collect();
    if found.is_empty() { String::new() } else { format!("; found {}", found.join(", ")) }
}

/// Reads the folder, if it is one with images in class folders.
fn read(place: &Path, options: &Options, report: &mut Report) -> Result<Option<Dataset>, SourceError> {
    if !is_folder(place)? {
        return Ok(None);
    }
    let tree = Tree::new(place);
    let layout::Layout { train, test, classes } = layout::find(&tree, options, report)?;
    let refused = |reason: String| SourceError::Set { path: place.into(), reason };
    let is_told = options.train.is_none();
    if is_told
        && !train.is_empty()
        && let Some(reason) = layout::alike::nested(&tree, &train, &classes)?
    {
        return Err(refused(reason));
    }
    layout::alike::leave_out_beside(&tree, &train, test.as_deref(), report)?;
    if let [class] = classes.as_slice() {
        let folder = if train.is_empty() { class.clone() } else { format!("{train}/{class}") };
        let within = tree.folders_with_images(&folder)?;
        if within.len() > 1 {
            report.warnings.push(format!(
                "{folder}/ is the only class, and folders in it have images: {}; --train {folder} takes them for classes",
                named(&within)
            ));
        }
    }
    let mut files = Files::new(place, Names::default());
    let train_records = files.collect(Path::new(&train), &classes)?;
    let test_records = test.as_ref().map(|test| files.collect(Path::new(test), &classes)).transpose()?;
    if let Some(divided) = files.divided.take().filter(|_| is_told) {
        let flag = if train.is_empty() { PLACE } else { &train };
        return Err(refused(format!(
            "{divided}: give it as the place, or --train {flag} to take it for a class"
        )));
    }
    for (ending, count) in std::mem::take(&mut files.others) {
        report.leave_out_ending(&ending, count, "images");
    }
    let mut looked_at = vec!["", train.as_str()];
    looked_at.extend(test.as_deref());
    looked_at.dedup();
    for folder in looked_at {
        let loose = tree.count_loose_images(folder)?;
        if loose > 0 {
            let what = if folder.is_empty() {
                "image files at the top".into()
            } else {
                format!("image files in {folder}/")
            };
            report.leave_out(what, loose, "in no class folder");
        }
    }
    if files.paths.len() == 0 {
        return Ok(None);
    }
    report.train.from = said(&train);
    report.test.from = test.as_deref().map(said).unwrap_or_default();
    let full = (0..files.paths.len()).map(|number| files.full_path(number as u64)).collect();
    let (cache, known) = DigestCache::find(place, full, options);
    let (train, test) = (train_records, test_records.unwrap_or_default());
    let found = found(place, classes, files, train, test);
    encoded::open(place, found, options, &cache, known, report).map(Some)
}

/// Opens the folder by an index, without listing it.
pub(super) fn open_indexed(
    place: &Path,
    mut index: Index,
    options: &Options,
    report: &mut Report,
) -> Result<Dataset, SourceError> {
    index.tell(report);
    let [train, test] = index.records();
    let paths = index.take_places(place).names;
    let files = Files::new(place, paths);
    let found = found(place, index.classes().to_vec(), files, train, test);
    encoded::open_indexed(place, found, index, options, report)
}

fn found(place: &Path, classes: Vec<String>, files: Files, train: Vec<Record>, test: Vec<Record>) -> Found {
    let name = place.file_name().map_or_else(|| "images".into(), |name| name.to_string_lossy().into_owned());
    Found { name, classes, archive: Arc::new(files), train, test, incomplete: Vec::new() }
}

fn said(folder: &str) -> String {
    if folder.is_empty() { "class folders at the top".into() } else { format!("{folder}/") }
}

/// The files of a folder, by their paths within it.
#[derive(Debug)]
struct Files {
    root: PathBuf,
    paths: Names,
    /// Files that are no images, by their endings.
    others: BTreeMap<String, u64>,
    /// A folder in a class that has splits inside, in words.
    divided: Option<String>,
}

impl Files {
    fn new(place: &Path, paths: Names) -> Self {
        Self { root: place.into(), paths, others: BTreeMap::new(), divided: None }
    }

    /// Appends the images of each class folder in `within`, and returns them as records.
    fn collect(&mut self, within: &Path, classes: &[String]) -> Result<Vec<Record>, SourceError> {
        let mut records = Vec::new();
        for (label, class) in classes.iter().enumerate() {
            let first = self.paths.len() as u64;
            let folder = within.join(class);
            // A class may have no test images.
            if !is_folder(&self.root.join(&folder))? {
                continue;
            }
            let mut paths = Vec::new();
            self.walk(&folder, 0, &mut paths)?;
            let key = |path: &PathBuf| {
                (path.parent().map(|p| p.as_os_str().to_owned()), path.file_name().map(ToOwned::to_owned))
            };
            paths.sort_by_cached_key(key);
            paths.iter().for_each(|path| self.paths.push(path.as_os_str().as_bytes()));
            let numbers = first..self.paths.len() as u64;
            records.extend(numbers.map(|number| Record { number, label: label as u32 }));
        }
        Ok(records)
    }

    /// Appends the paths of the images in a folder, and counts what is none.
    fn walk(&mut self, folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), SourceError> {
        let full = self.root.join(folder);
        if depth > MAX_DEPTH {
            let reason = format!("folders lie more than {MAX_DEPTH} deep");
            return Err(SourceError::Set { path: full, reason });
        }
        let (mut own, mut inner, before) = (0, Vec::new(), paths.len());
        for entry in list(&full)? {
            let path = folder.join(&entry.name);
            if entry.is_image() {
                own += 1;
                paths.push(path);
            } else if entry.kind == Kind::Folder {
                let so_far = paths.len();
                self.walk(&path, depth + 1, paths)?;
                if paths.len() > so_far {
                    inner.push(entry.name.to_string_lossy().into_owned());
                }
            } else {
                *self.others.entry(ending(&path)).or_default() += 1;
            }
        }
        // An image of its own now and then makes no class.
        if own <= (paths.len() - before) / 10 + 1 && are_several(&inner) {
            let inner: Vec<String> = inner.iter().map(|name| format!("{name}/")).collect();
            self.divided = Some(format!("{}/ has splits inside, {}", folder.display(), named(&inner)));
        }
        Ok(())
    }

    fn full_path(&self, record: u64) -> PathBuf {
        self.root.join(OsStr::from_bytes(&self.paths.get(record as usize)))
    }
}

/// Links to links that are followed, as Linux does.
const MAX_LINKS: usize = 40;

/// Where a link leads in the end, if it is one.
#[allow(clippy::disallowed_methods)]
fn link_target(link: &Path) -> Option<PathBuf> {
    let follow = |link: &Path| Some(link.parent()?.join(std::fs::read_link(link).ok()?));
    let mut target = follow(link)?;
    for _ in 0..MAX_LINKS {
        let Some(next) = follow(&target) else { break };
        target = next;
    }
    Some(target)
}

impl Archive for Files {
    #[allow(clippy::disallowed_methods)]
    fn read(&self, record: u64, into: &mut Vec<u8>) -> Result<(), ReadError> {
        into.clear();
        let path = self.full_path(record);
        let mut file = open_regular(&path).map_err(|error| {
            // A folder that is away takes all its files along for as long; a file that is gone from a folder that is
            // there was removed, and so was what a link leads to.
            let removed = |path: &Path| path.parent().is_some_and(Path::is_dir);
            match error.kind() {
                ErrorKind::InvalidData => ReadError::Record(error.to_string()),
                ErrorKind::NotFound => match link_target(&path) {
                    Some(target) if removed(&target) => ReadError::Nothing(format!(
                        "it is a link to {}, which is not there",
                        target.display()
                    )),
                    None if removed(&path) => ReadError::Changed(error),
                    _ => error.into(),
                },
                _ => error.into(),
            }
        })?;
        let found = file.metadata()?;
        let length = found.len();
        if length > MAX_RECORD_BYTES {
            let text = format!("{length} bytes are more than the {MAX_RECORD_BYTES} of an image file");
            return Err(ReadError::Record(text));
        }
        // The length is known, so one call reads the file and none is needed to see that it ends there.
        into.resize(length as usize, 0);
        file.read_exact(into).map_err(|e| {
            into.clear();
            e.into()
        })
    }

    fn path(&self, record: u64) -> String {
        String::from_utf8_lossy(&self.paths.get(record as usize)).into_owned()
    }

    #[allow(clippy::disallowed_methods)]
    fn bytes(&self, record: u64) -> u64 {
        std::fs::metadata(self.full_path(record)).map_or(0, |found| found.len())
    }

    fn places(&self) -> Option<Places> {
        Some(Places { names: self.paths.clone(), ..Places::default() })
    }
}
