//! `cargo xtask demo`: the whole road once, on this machine. Two loader processes feed one trainer
//! process, which trains with and without mixup; a table says what came of it.
//!
//! Sizes are chosen so that all of it, builds included, takes less than a quarter of an hour on two
//! cores. It shows that everything works together; it is no measurement of what mixup gains.

mod report;

use crate::children::Children;
use crate::{libtorch, place, process, programs, say};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Training images of a demo: at some 500 images a second on two cores, an epoch of each arm
/// takes 20 seconds.
const LIMIT: u64 = 10_000;

/// Epochs of a demo: three are the fewest in which the curves have a shape.
const EPOCHS: u64 = 3;

/// Where CIFAR-10 is looked for when it is not given, and fetched to; the folder of the official archive.
const USUAL_DATA: &str = "data/cifar-10-batches-bin";

const LOADERS: usize = 2;

/// What may be chosen about a demo.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// A folder with CIFAR-10 in the binary layout.
    pub(crate) data: Option<PathBuf>,
    /// Epochs of each training.
    pub(crate) epochs: Option<u64>,
    /// Training images.
    pub(crate) limit: Option<u64>,
}

/// What is learnt from.
struct Data {
    /// As the programs take it.
    place: String,
    real: bool,
}

/// Runs the demo.
pub(crate) fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    let (epochs, limit) = (options.epochs.unwrap_or(EPOCHS), options.limit.unwrap_or(LIMIT));
    check_given(options.data.as_deref())?;
    libtorch::prepare(libtorch::Kind::Cpu)?;
    let programs = programs::build()?;
    let data = data(options.data.as_deref(), limit, &programs)?;
    let built_seconds = started.elapsed().as_secs_f64();
    let folder = place::at("demo");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;

    say::part("drawing what mixing makes");
    let preview = folder.join("preview.png");
    let mut draw = Command::new(programs.join("mixfeed-loader"));
    draw.args(["preview", "--data", &data.place, "--output"]).arg(&preview);
    process::run(&mut draw)?;

    say::part(&format!("starting {LOADERS} loaders"));
    let children = Children::new()?;
    let mut addresses = Vec::new();
    for number in 1..=LOADERS {
        let mut loader = Command::new(programs.join("mixfeed-loader"));
        loader.args(["serve", "--data", &data.place, "--listen", "127.0.0.1:0", "--workers", "1"]);
        let log = folder.join(format!("loader-{number}.log"));
        let address = children.start_loader(&mut loader, &log)?;
        say::line(&format!("loader {number} at {address}, its log in {}", place::short(&log)));
        addresses.push(address);
    }

    say::part(&format!("training without and with mixup, {epochs} epochs of {limit} images each"));
    let output = folder.join("compare");
    let mut trainer = Command::new(programs.join("mixfeed-trainer"));
    trainer.args(["compare", "--trials", "1", "--preset", "article", "--overwrite", "--json"]);
    trainer.args(["--loaders", &addresses.join(","), "--epochs", &epochs.to_string()]);
    trainer.args(["--limit", &limit.to_string(), "--output"]).arg(&output);
    let (status, stdout) = children.run_trainer(&mut trainer)?;
    if !status.success() {
        bail!("the trainer ended with {status}");
    }
    let result: Value = serde_json::from_str(stdout.trim()).context("the trainer's result is not JSON")?;
    children.end()?;

    say::result(&report::of(&result, data.real)?);
    say::result(&format!("mixed images: {}", place::short(&preview)));
    let total = started.elapsed().as_secs_f64();
    say::result(&format!("took {total:.0} s, of which {built_seconds:.0} s to download and build"));
    Ok(())
}

/// Refuses a folder without data, before anything takes time.
fn check_given(folder: Option<&Path>) -> Result<()> {
    match folder {
        Some(folder) if !is_cifar10(folder) => bail!(
            "{} holds no data_batch_1.bin: give the folder with CIFAR-10 in the binary layout",
            folder.display()
        ),
        _ => Ok(()),
    }
}

fn is_cifar10(folder: &Path) -> bool {
    folder.join("data_batch_1.bin").exists()
}

/// Decides what to learn from: real data where it is to be had, and never silently anything else.
fn data(given: Option<&Path>, limit: u64, programs: &Path) -> Result<Data> {
    let folder = given.map_or_else(|| place::at(USUAL_DATA), Path::to_owned);
    if !is_cifar10(&folder) {
        say::part("fetching CIFAR-10");
        let mut fetch = Command::new(programs.join("mixfeed-loader"));
        fetch.args(["fetch", "cifar10", "--output"]).arg(&folder);
        if let Err(error) = process::run(&mut fetch) {
            return Ok(synthetic(limit, &error));
        }
    }
    let folder = folder.canonicalize()?;
    Ok(Data { place: folder.display().to_string(), real: true })
}

/// Says loudly that what follows is not the real thing, and why.
fn synthetic(limit: u64, error: &anyhow::Error) -> Data {
    say::line("");
    say::line("****************************************************************************");
    say::line("* CIFAR-10 is not here, so this demo learns from SYNTHETIC drawings.");
    say::line(&format!("* ({error:#}; see above)"));
    say::line("* For the real thing, unpack CIFAR-10 (binary version) so that there is");
    say::line(&format!("*   {USUAL_DATA}/data_batch_1.bin"));
    say::line("* or name its folder: cargo xtask demo --data DIR");
    say::line("****************************************************************************");
    Data { place: format!("synthetic:{limit}"), real: false }
}
