//! Reads two epochs from the loaders named on the command line, and prints how fast they came and one digest
//! over all of them.
//!
//!     cargo run --release -p mixfeed-client --example read -- 127.0.0.1:50051 127.0.0.1:50052
//!
//! The digest is the same for any number of loaders, whatever happens to them meanwhile.

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use mixfeed_client::{BlockingStream, Endpoint, StreamConfig, StreamEnd, StreamSpec};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let loaders =
        std::env::args().skip(1).map(|text| text.parse::<Endpoint>()).collect::<Result<Vec<_>, _>>()?;
    let mut config = StreamConfig::new(loaders, StreamSpec::default());
    config.end = StreamEnd::Epoch(2);
    let mut stream = BlockingStream::open(config)?;
    let info = stream.info();
    println!(
        "{}: {} samples in {} batches",
        info.dataset.name, info.samples_per_epoch, info.batches_per_epoch
    );
    let start = Instant::now();
    let (mut images, mut all) = (0, [0_u8; 32]);
    for batch in stream.by_ref() {
        let batch = batch?;
        images += batch.rows;
        for (sum, byte) in all.iter_mut().zip(batch.digest()) {
            *sum = sum.rotate_left(1) ^ byte;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let digest: String = all.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{images} images in {seconds:.2} s, {:.0} a second; digest {digest}", images as f64 / seconds);
    println!("{:?}", stream.stats());
    Ok(())
}
