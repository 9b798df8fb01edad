//! `replay`: builds one batch of a run again, from its spec and its index alone.

use super::data::open_data;
use super::failure::Failure;
use super::page::{Page, check_output};
use super::spec::{SpecFile, read_toml};
use crate::batch::bytes_of;
use crate::config::{ReplayArgs, SourceArgs};
use crate::extensions::Extensions;
use merge::Merge as _;
use mixfeed_ops::{eprintln, exit, println};
use mixfeed_pipeline::augment::View;
use mixfeed_pipeline::{BatchBuffer, BatchPlan, CheckedSpec, Dataset, Samples, Scratch, StreamSpec, collate};
use mixfeed_proto::{batch_checksum, batch_digest, digest_of};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

/// Images in a row of the picture.
const COLUMNS: u32 = 8;

/// What is read of a run's `run.toml`. The rest belongs to the trainer.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RunFile {
    dataset: DatasetRecord,
    algorithm: AlgorithmRecord,
    stream: StreamSpec,
    batches_per_epoch: u64,
    settings: SettingsRecord,
}

#[derive(Deserialize)]
struct DatasetRecord {
    digest: String,
}

#[derive(Deserialize)]
struct AlgorithmRecord {
    fingerprint: String,
}

#[derive(Deserialize)]
struct SettingsRecord {
    data: Option<String>,
    epochs: Option<u64>,
    steps: Option<u64>,
    #[serde(flatten)]
    source: SourceArgs,
}

impl RunFile {
    fn batches(&self) -> Option<u64> {
        let SettingsRecord { epochs, steps, .. } = self.settings;
        let all = epochs.map(|epochs| epochs.saturating_mul(self.batches_per_epoch));
        [all, steps].into_iter().flatten().min()
    }
}

/// What to build, and what it must be built from.
struct Wanted {
    file: SpecFile,
    data: String,
    source: SourceArgs,
    recorded: Option<(DatasetRecord, AlgorithmRecord)>,
    /// Batches that the run asked for, as far as it says.
    batches: Option<u64>,
}

impl Wanted {
    fn new(args: &ReplayArgs) -> Result<Self, Failure> {
        if let Some(run) = &args.run {
            if run.join("compare.toml").exists() && !run.join("run.toml").exists() {
                let text =
                    format!("{} holds a comparison: give the folder of one of its trainings", run.display());
                return Err(Failure::usage(text));
            }
            return Self::of_run(args, &run.join("run.toml"));
        }
        let file = args.spec.as_ref().ok_or_else(|| Failure::usage("give --run or --spec"))?;
        let text: toml::Table = read_toml(file)?;
        // A run's own file tells what the batch must be built from, too.
        if ["stream", "dataset", "algorithm", "settings"].iter().all(|key| text.contains_key(*key)) {
            return Self::of_run(args, file);
        }
        let file = SpecFile::read(file)?;
        let data = args.data.clone().ok_or_else(Self::needs_data)?;
        Ok(Self { file, data, source: args.source.clone(), recorded: None, batches: None })
    }

    fn needs_data() -> Failure {
        Failure::usage("--data is missing: say where the data of this stream is")
    }

    fn of_run(args: &ReplayArgs, file: &Path) -> Result<Self, Failure> {
        let run: RunFile = read_toml(file)?;
        let batches = run.batches();
        let data = args.data.clone().or(run.settings.data).ok_or_else(Self::needs_data)?;
        let mut source = args.source.clone();
        source.merge(run.settings.source);
        let file = SpecFile::of_run(file, run.stream);
        Ok(Self { file, data, source, recorded: Some((run.dataset, run.algorithm)), batches })
    }

    /// Refuses to build something else than the run had.
    fn compare(&self, dataset: &Dataset, extensions: &Extensions) -> Result<(), Failure> {
        let Some((recorded, algorithm)) = &self.recorded else { return Ok(()) };
        let digest = hex::encode(dataset.digest);
        if digest != recorded.digest {
            let message = format!("{}: its digest is {digest}, the run had {}", self.data, recorded.digest);
            return Err(Failure::new(exit::DATA, message));
        }
        let fingerprint = hex::encode(extensions.fingerprint().map_err(Failure::other)?);
        if fingerprint != algorithm.fingerprint {
            let message =
                format!("this loader's algorithm is {fingerprint}, the run had {}", algorithm.fingerprint);
            return Err(Failure::other(message));
        }
        Ok(())
    }
}

pub(super) fn run(args: &ReplayArgs, extensions: &Extensions) -> Result<(), Failure> {
    let output = args.output.as_deref();
    output.map(|path| check_output(path, args.data.as_deref())).transpose()?;
    let wanted = Wanted::new(args)?;
    output.map(|path| check_output(path, Some(&wanted.data))).transpose()?;
    let dataset = open_data(&wanted.data, &wanted.source, extensions)?;
    wanted.compare(&dataset, extensions)?;
    let checked = wanted.file.check(&dataset, extensions)?;
    let plan = BatchPlan::new(&checked, args.index);
    let samples = dataset.samples(checked.spec().split).as_ref();
    let mut batch = BatchBuffer::default();
    collate(&checked, &plan, samples, &mut Scratch::default(), &mut batch)?;
    let spec_digest = digest_of(&wanted.file.spec);
    let bytes = bytes_of(&batch, &spec_digest, args.index);
    let (digest, checksum) = (hex::encode(batch_digest(&bytes)), batch_checksum(&bytes));
    let beyond = wanted.batches.filter(|batches| args.index >= *batches);
    if let Some(batches) = beyond {
        eprintln!(
            "note: the run asks for {batches} batches, from 0 on: it never trains on batch {}",
            args.index
        );
    }
    if let Some(path) = &args.output {
        let title =
            format!("batch {} (epoch {}) of {}, digest {digest}", args.index, plan.epoch, dataset.name);
        Page::of_batch(title, COLUMNS, &dataset, &checked, args.index)?.save(path)?;
    }
    if args.json {
        println!(
            "{}",
            json!({
                "index": args.index,
                "epoch": plan.epoch,
                "spec_digest": hex::encode(spec_digest),
                "digest": digest,
                "checksum": checksum,
                "beyond_run": wanted.batches.map(|batches| args.index >= batches),
                "rows": rows(&plan, &checked, &dataset, samples),
            })
        );
        return Ok(());
    }
    println!("batch     {}  (epoch {}, {} rows)", args.index, plan.epoch, plan.rows.len());
    println!("digest    {digest}");
    println!("checksum  {checksum:08x}");
    println!("spec      {}", hex::encode(spec_digest));
    if let Some(path) = &args.output {
        println!("picture   {}", path.display());
    }
    Ok(())
}

fn rows(plan: &BatchPlan, checked: &CheckedSpec, dataset: &Dataset, samples: &dyn Samples) -> Vec<Value> {
    let class = |label: u32| &dataset.classes[label as usize];
    // Label noise may replace a label by itself, which is nothing to tell.
    let replaced = |sample, label| Some(samples.label(sample)).filter(|own| *own != label);
    let number = |sample| checked.number_of_all(sample);
    plan.rows
        .iter()
        .map(|row| {
            let label = row.label(samples);
            let mut object = json!({ "sample": number(row.sample), "class": class(label) });
            if let Some(own) = replaced(row.sample, label) {
                object["true_class"] = json!(class(own));
            }
            if let Some(record) = samples.record(row.sample) {
                object["record"] = json!(record);
            }
            if row.view != View::PLAIN {
                object["view"] = json!(row.view);
            }
            if let Some(partner) = row.partner {
                object["partner"] = json!(number(partner.sample));
                if let Some(record) = samples.record(partner.sample) {
                    object["partner_record"] = json!(record);
                }
                let label = partner.label(samples);
                object["partner_class"] = json!(class(label));
                if let Some(own) = replaced(partner.sample, label) {
                    object["partner_true_class"] = json!(class(own));
                }
                object["lambda"] = json!(partner.blend.lambda.to_unit());
                if partner.view != View::PLAIN {
                    object["partner_view"] = json!(partner.view);
                }
                if let Some(region) = partner.blend.pasted {
                    object["pasted"] = json!(region);
                }
            }
            object
        })
        .collect()
}
