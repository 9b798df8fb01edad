//! A loader of one's own: every command of `mixfeed-loader`, with a source and a transform added to them.
//!     cargo run -p mixfeed-loader --example custom -- preview --data gradients:100 \
//!         --custom-augmentation posterise:1 --output preview.png
//!     cargo run -p mixfeed-loader --example custom -- serve --data gradients:10000
//!     mixfeed-trainer train --loaders 127.0.0.1:50051 --custom-augmentation posterise:1
use clap::Parser as _;
use mixfeed_loader::extensions::{CustomSource, Extensions};
use mixfeed_loader::{commands, config::Cli};
use mixfeed_pipeline::augment::{CustomAugmentation, Parameters};
use mixfeed_pipeline::{Dataset, ImageShape, dataset::InMemory, key};
use std::{error::Error, process::ExitCode, sync::Arc};

/// Keeps 1 to 8 bits of every value.
struct Posterise;

impl CustomAugmentation for Posterise {
    fn name(&self) -> &'static str {
        "posterise"
    }
    fn version(&self) -> u32 {
        1
    }
    fn plan(&self, key: key::Key, _image: ImageShape) -> Parameters {
        [1 + key::below(key.words::<1>()[0], 8) as u32, 0, 0, 0]
    }
    fn apply(&self, [bits, ..]: Parameters, _image: ImageShape, pixels: &mut [u8]) {
        let mask = !(0xFF >> bits);
        pixels.iter_mut().for_each(|value| *value &= mask as u8);
    }
}

/// Gradients down or to the right, as many as `--data gradients:N` says.
struct Gradients;

impl CustomSource for Gradients {
    fn name(&self) -> &'static str {
        "gradients"
    }
    fn version(&self) -> u32 {
        1
    }
    fn open(&self, count: &str) -> Result<Dataset, Box<dyn Error + Send + Sync>> {
        let image = ImageShape { height: 32, width: 32, channels: 3 };
        let value = |n: u32, at: u32| (n * 7 + [at / 96, at / 3 % 32][n as usize % 2] * 4) as u8;
        let split = |count: u32| {
            let pixels = (0..count).flat_map(|n| (0..32 * 32 * 3).map(move |at| value(n, at))).collect();
            Arc::new(InMemory::new(image, pixels, (0..count).map(|n| n % 2).collect()))
        };
        let classes = vec!["down".into(), "right".into()];
        Ok(Dataset::new("gradients", classes, image, split(count.parse()?), split(100))?)
    }
}

pub(crate) fn extensions() -> Extensions {
    Extensions::default().with_augmentation(&Posterise).with_source(&Gradients)
}

fn main() -> ExitCode {
    commands::run_with(Cli::parse(), &extensions())
}

#[cfg(test)]
#[test]
fn the_transform_and_the_source_conform() -> Result<(), mixfeed_loader::conformance::Violation> {
    use mixfeed_loader::conformance;
    conformance::transform(&Posterise)?;
    conformance::source(&Gradients, "100")
}
