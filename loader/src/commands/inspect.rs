//! `inspect`: what a data set holds, as a table for people or JSON for programs.

use super::{Failure, open_data};
use crate::config::InspectArgs;
use mixfeed_pipeline::content::content_digest;
use mixfeed_pipeline::{Dataset, SampleError, Split};
use serde_json::json;

pub(super) fn run(args: &InspectArgs) -> Result<(), Failure> {
    let dataset = open_data(&args.data, &args.source)?;
    let train = Counted::new(&dataset, Split::Train)?;
    let test = Counted::new(&dataset, Split::Test)?;
    let content = args.content.then(|| content_digest(&dataset)).transpose()?;
    let (mean, deviation) = train.moments();
    if args.json {
        let classes: Vec<_> = dataset
            .classes
            .iter()
            .enumerate()
            .map(|(i, name)| json!({ "name": name, "train": train.labels[i], "test": test.labels[i] }))
            .collect();
        let mut object = json!({
            "name": dataset.name,
            "digest": hex::encode(dataset.digest),
            "splits": { "train": dataset.train.count(), "test": dataset.test.count() },
            "classes": classes,
            "image": [dataset.image.height, dataset.image.width, dataset.image.channels],
            "mean": mean,
            "std": deviation,
            "bad_records": 0,
        });
        if let Some(content) = content {
            object["content_digest"] = json!(hex::encode(content));
        }
        println!("{object}");
        return Ok(());
    }
    let list = |values: [f64; 3]| values.map(|value| format!("{value:.4}")).join(" ");
    println!("{}  {}", dataset.name, args.data);
    println!();
    println!(
        "  images        {} train, {} test, {}",
        dataset.train.count(),
        dataset.test.count(),
        dataset.image
    );
    println!("  mean          {}   (red green blue, train, 0 to 1)", list(mean));
    println!("  std           {}", list(deviation));
    println!("  digest        {}", hex::encode(dataset.digest));
    if let Some(content) = content {
        println!("  content       {}", hex::encode(content));
    }
    println!();
    let width = dataset.classes.iter().map(String::len).max().unwrap_or(0).max("class".len());
    println!("  label  {:width$}  {:>9}  {:>9}", "class", "train", "test");
    for (label, name) in dataset.classes.iter().enumerate() {
        println!("  {label:>5}  {name:width$}  {:>9}  {:>9}", train.labels[label], test.labels[label]);
    }
    Ok(())
}

/// One pass over a split.
struct Counted {
    labels: Vec<u64>,
    pixels: u64,
    sums: [u64; 3],
    squares: [u64; 3],
}

impl Counted {
    fn new(dataset: &Dataset, split: Split) -> Result<Self, SampleError> {
        let mut counted =
            Self { labels: vec![0; dataset.classes.len()], pixels: 0, sums: [0; 3], squares: [0; 3] };
        for_each(dataset, split, |label, image| {
            counted.labels[label as usize] += 1;
            counted.pixels += image.len() as u64 / 3;
            for pixel in image.chunks_exact(3) {
                for (channel, &value) in pixel.iter().enumerate() {
                    counted.sums[channel] += u64::from(value);
                    counted.squares[channel] += u64::from(value) * u64::from(value);
                }
            }
        })?;
        Ok(counted)
    }

    /// Mean and standard deviation of each channel, on the scale of 0 to 1.
    fn moments(&self) -> ([f64; 3], [f64; 3]) {
        let n = self.pixels as f64;
        let mean = self.sums.map(|sum| sum as f64 / n);
        let deviation =
            std::array::from_fn(|i| (self.squares[i] as f64 / n - mean[i] * mean[i]).max(0.0).sqrt() / 255.0);
        (mean.map(|mean| mean / 255.0), deviation)
    }
}

fn for_each(dataset: &Dataset, split: Split, mut see: impl FnMut(u32, &[u8])) -> Result<(), SampleError> {
    let samples = dataset.samples(split);
    let mut scratch = Vec::new();
    for sample in 0..samples.count() {
        see(samples.label(sample), samples.image(sample, &mut scratch)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_pipeline::dataset::InMemory;
    use mixfeed_pipeline::{ImageShape, Samples, synthetic};
    use std::sync::Arc;

    fn of(pixels: &[[u8; 3]], labels: &[u32]) -> Dataset {
        let shape = ImageShape { height: 1, width: 1, channels: 3 };
        let samples: Arc<dyn Samples> = Arc::new(InMemory::new(shape, pixels.concat(), labels.to_vec()));
        Dataset { image: shape, train: Arc::clone(&samples), test: samples, ..synthetic::dataset(1) }
    }

    #[test]
    fn mean_and_deviation_are_those_of_the_pixels() {
        let counted = Counted::new(&of(&[[0, 255, 51], [255, 255, 51]], &[0, 1]), Split::Train).unwrap();
        let (mean, deviation) = counted.moments();
        for (value, expected) in mean.iter().chain(&deviation).zip([0.5, 1.0, 0.2, 0.5, 0.0, 0.0]) {
            assert!((value - expected).abs() < 1e-12, "{value} for {expected}");
        }
        assert_eq!(counted.labels[..3], [1, 1, 0]);
    }
}
