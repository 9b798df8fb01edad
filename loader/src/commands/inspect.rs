//! `inspect`: what a dataset holds, as a table for people or JSON for programs.

mod count;

use super::data::{describe_shape, open_with_report};
use super::failure::Failure;
use crate::config::InspectArgs;
use crate::extensions::Extensions;
use crate::source::{IndexFile, Options, Report, SkipList, Skipped};
use count::{Counted, Sides};
use mixfeed_ops::exit;
use mixfeed_ops::text::printable;
use mixfeed_ops::{files, println};
use mixfeed_pipeline::content::content_digest;
use mixfeed_pipeline::{Dataset, Fault, SampleError, Split};
use serde_json::{Value, json};

/// Bad records that the table names. JSON and skip list have all.
const NAMED: usize = 20;

/// Forms of images that the table names, most frequent first.
const FORMS: usize = 8;

/// What there is to say.
struct Findings {
    dataset: Dataset,
    report: Report,
    train: Counted,
    test: Counted,
    content: Option<[u8; 32]>,
    bad: Vec<Skipped>,
    /// Records that are not those in the index.
    differing: Vec<Skipped>,
}

pub(super) fn run(args: &InspectArgs, extensions: &Extensions) -> Result<(), Failure> {
    if let Some(path) = &args.write_skip_list {
        files::check_output(path, None, SkipList::is_one)
            .map_err(|reason| Failure::usage(format!("--write-skip-list: {reason}")))?;
    }
    if let Some(path) = &args.write_index {
        files::check_output(path, None, IndexFile::is_one)
            .map_err(|reason| Failure::usage(format!("--write-index: {reason}")))?;
    }
    let options = args.source.options().map_err(Failure::usage)?;
    let write_index = args.write_index.is_some();
    let options = Options { image_size: args.image_size, write_index, ..options };
    let (dataset, report) = open_with_report(&args.data, options, extensions)?;
    let mut train = Counted::new(&dataset, Split::Train);
    let mut test = Counted::new(&dataset, Split::Test);
    let (mut bad, mut differing) = (Vec::new(), Vec::new());
    for (split, counted) in [(Split::Train, &mut train), (Split::Test, &mut test)] {
        for error in std::mem::take(&mut counted.bad) {
            let found = match error.fault {
                Fault::Damaged => &mut bad,
                Fault::Changed if report.opened_by.is_some() => &mut differing,
                // A moment's read error is no property of the set.
                // And no transform is asked for here.
                Fault::Changed | Fault::Unavailable | Fault::Transform => return Err(error.into()),
            };
            let SampleError { sample, record, reason, .. } = error;
            found.push(Skipped { split, sample, record, reason });
        }
    }
    let is_whole = bad.is_empty() && differing.is_empty();
    let content = (args.content && is_whole).then(|| content_digest(&dataset)).transpose()?;
    if let (Some(path), Some(index)) = (&args.write_index, &report.index) {
        index.write(path)?;
    }
    let findings = Findings { dataset, report, train, test, content, bad, differing };
    if args.json {
        println!("{}", findings.as_json(args.content));
    } else {
        findings.print(args);
    }
    if let Some(path) = &args.write_skip_list {
        findings.skip_list().write(path)?;
    }
    findings.must_be_those_of_the_index()
}

impl Findings {
    /// All that is bad: found so here, or left out by the policy. A list is of the whole set.
    fn skip_list(&self) -> SkipList {
        let records = self.report.skipped.iter().chain(&self.bad).cloned().collect();
        SkipList { dataset: self.dataset.whole_digest.unwrap_or(self.dataset.digest), records }
    }

    fn must_be_those_of_the_index(&self) -> Result<(), Failure> {
        let (Some(path), Some(first)) = (&self.report.opened_by, self.differing.first()) else {
            return Ok(());
        };
        let (path, count) = (path.display(), self.differing.len());
        let Skipped { record, reason, .. } = first;
        let message = format!("{path}: {count} records differ from the index, first {record}: {reason}");
        Err(Failure::new(exit::DATA, message))
    }

    fn as_json(&self, with_content: bool) -> Value {
        let Self { dataset, report, train, test, content, bad, differing } = self;
        let classes: Vec<_> = dataset
            .classes
            .iter()
            .enumerate()
            .map(|(i, name)| json!({ "name": name, "train": train.labels[i], "test": test.labels[i] }))
            .collect();
        let (mean, deviation) = train.moments().unzip();
        let sizes = Sides::of(dataset);
        let mut object = json!({
            "name": dataset.name,
            "digest": hex::encode(dataset.digest),
            "splits": { "train": dataset.train.count(), "test": dataset.test.count() },
            "taken": { "train": report.train, "test": report.test },
            "columns": report.columns,
            "left_out": report.left_out,
            "warnings": report.warnings,
            "classes": classes,
            "image": dataset.image.map(|image| [image.height, image.width, image.channels]),
            "sizes": sizes,
            "mean": mean,
            "std": deviation,
            "forms": forms(dataset).into_iter().collect::<serde_json::Map<_, _>>(),
            "bad_records": bad,
            "index": report.opened_by,
            "differing_records": differing,
        });
        if with_content {
            object["content_digest"] = json!(content.map(hex::encode));
        }
        object
    }

    fn print(&self, args: &InspectArgs) {
        let Self { dataset, report, train, test, content, bad, differing } = self;
        let list = |values: [f64; 3]| values.map(|value| format!("{value:.4}")).join(" ");
        println!("{}  {}", dataset.name, args.data);
        println!();
        println!(
            "  images        {} train, {} test, {}",
            dataset.train.count(),
            dataset.test.count(),
            describe_shape(dataset)
        );
        if let Some(Sides { height, width }) = Sides::of(dataset) {
            println!("  height        {height}");
            println!("  width         {width}");
        }
        println!("  train         {}", report.train);
        println!("  test          {}", report.test);
        if let Some(columns) = &report.columns {
            println!("  columns       {columns}");
        }
        for (number, left_out) in report.left_out.iter().enumerate() {
            println!("  {:12}  {left_out}", if number == 0 { "left out" } else { "" });
        }
        for warning in &report.warnings {
            println!("  warning       {warning}");
        }
        if let Some((mean, deviation)) = train.moments() {
            println!("  mean          {}   (red green blue, train, 0 to 1)", list(mean));
            println!("  std           {}", list(deviation));
        }
        let forms = forms(dataset);
        for (number, (form, count)) in forms.iter().take(FORMS).enumerate() {
            println!("  {:12}  {count}  {form}", if number == 0 { "files" } else { "" });
        }
        if let Some(more @ 1..) = forms.len().checked_sub(FORMS) {
            println!("  {:12}  and {more} other forms; --json has all", "");
        }
        println!("  bad records   {}", bad.len());
        println!("  digest        {}", hex::encode(dataset.digest));
        if let Some(path) = &report.opened_by {
            println!("  index         {}, from which {} records differ", path.display(), differing.len());
        }
        if let (Some(path), Some(index)) = (&args.write_index, &report.index) {
            println!("  index         {}, {} bytes, written", path.display(), index.bytes());
        }
        if args.content {
            let none = || String::from("none, because of records that are bad or differ from the index");
            let content = content.map_or_else(none, hex::encode);
            println!("  content       {content}");
        }
        println!();
        let classes: Vec<_> = dataset.classes.iter().map(|class| printable(class)).collect();
        let width = classes.iter().map(|class| class.chars().count()).max().unwrap_or(0).max("class".len());
        println!("  label  {:width$}  {:>9}  {:>9}", "class", "train", "test");
        for (label, name) in classes.iter().enumerate() {
            println!("  {label:>5}  {name:width$}  {:>9}  {:>9}", train.labels[label], test.labels[label]);
        }
        name(differing, "records that differ from the index");
        name(bad, "bad records");
        if let Some(path) = args.write_skip_list.as_ref().filter(|_| !bad.is_empty()) {
            println!("  {} takes them for --skip-list", path.display());
        }
    }
}

/// Names records that fail the batches that they are in.
fn name(records: &[Skipped], what: &str) {
    if records.is_empty() {
        return;
    }
    println!();
    println!("  {what}, which fail the batches that they are in:");
    for Skipped { split, sample, record, reason } in records.iter().take(NAMED) {
        println!("  {split} sample {sample}: {}: {}", printable(record), printable(reason));
    }
    if let Some(more @ 1..) = records.len().checked_sub(NAMED) {
        println!("  and {more} more; --json has all");
    }
}

/// In what formats the images of both splits come, and how many of each, most frequent first; where all are of one size,
/// with that.
fn forms(dataset: &Dataset) -> Vec<(String, Value)> {
    let mut all = dataset.train.formats();
    for (format, count) in dataset.test.formats() {
        *all.entry(format).or_default() += count;
    }
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let size = dataset.image.map_or_else(String::new, |it| format!(" {}×{}", it.height, it.width));
    all.into_iter().map(|(format, count)| (format!("{format}{size}"), json!(count))).collect()
}
