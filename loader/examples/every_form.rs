//! Writes a set of images in each form that a loader reads, to compare what they cost.
//!
//!     cargo run --release -p mixfeed-loader --example every_form -- data/cifar-10-batches-bin /tmp/forms
//!     for form in cifar10 batches folder shards tables; do
//!         mixfeed-loader bench --data /tmp/forms/$form --measure start
//!     done
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::unwrap_used)]

// The writer of the tests, so that what is measured is what is tested.
#[allow(dead_code)]
#[path = "../src/source/tests/write.rs"]
mod write;

use mixfeed_pipeline::Split;
use std::path::Path;

type Writer = fn(&Path, &[write::Image], &[write::Image]);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, place] = arguments.as_slice() else { panic!("usage: every_form DATA FOLDER") };
    let data = mixfeed_loader::source::open(&data.parse().unwrap()).unwrap();
    let [train, test] = Split::ALL.map(|split| {
        let (samples, mut scratch) = (data.samples(split), Vec::new());
        let image = |sample| write::Image {
            label: samples.label(sample),
            pixels: image::RgbImage::from_raw(
                data.shape(split, sample).width,
                data.shape(split, sample).height,
                samples.image(sample, &mut scratch).unwrap().to_vec(),
            )
            .unwrap(),
        };
        (0..samples.count()).map(image).collect::<Vec<_>>()
    });
    let forms: [(&str, Writer); 5] = [
        ("cifar10", write::cifar10),
        ("batches", write::batches),
        ("folder", write::folder),
        ("shards", write::shards),
        ("tables", write::tables),
    ];
    for (form, write) in forms {
        let place = Path::new(place).join(form);
        std::fs::create_dir_all(&place).unwrap();
        write(&place, &train, &test);
        println!("{}", place.display());
    }
}
