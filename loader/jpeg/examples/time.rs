//! How long decoding takes: `cargo run --release --package mixfeed-jpeg --example time -- photo.jpg …`
//!
//! Of each file the median of many decodings in milliseconds on one CPU: whole, at each smaller scale, and random parts as a
//! random resized crop draws them, at full size.
#![allow(clippy::print_stdout, clippy::disallowed_methods)] // A program that is told its files and prints.

use mixfeed_jpeg::{Limits, Part, Scale, decode, header, simd};
use std::error::Error;
use std::time::Instant;

const ROUNDS: u64 = 300;

fn main() -> Result<(), Box<dyn Error>> {
    println!("assembly: {}", if simd() { "yes" } else { "no" });
    for path in std::env::args().skip(1) {
        let file = std::fs::read(&path)?;
        let (width, height) = header(&file)?.size(Scale::Full);
        println!("{path}: {width}x{height}, {} bytes", file.len());
        println!("  {:<10}{:8.3} ms", "header", median(|_| header(&file).map(drop))?);
        let mut out = Vec::new();
        for scale in Scale::ALL {
            let name = format!("1/{}", scale.denominator());
            println!("  {name:<10}{:8.3} ms", median(|_| run(&file, None, scale, &mut out))?);
        }
        let part = |round| random_part(width, height, round);
        let parts = median(|round| run(&file, Some(part(round)), Scale::Full, &mut out))?;
        let area = (0..ROUNDS).map(|round| part(round).bytes()).sum::<u64>() as f64 / ROUNDS as f64;
        let share = 100.0 * area / f64::from(3 * width * height);
        println!("  {:<10}{parts:8.3} ms, {share:.0} % of the image's area in the mean", "part");
        let part = Part {
            top: height.saturating_sub(224) / 2,
            left: width.saturating_sub(224) / 2,
            height: height.min(224),
            width: width.min(224),
        };
        let centre = median(|_| run(&file, Some(part), Scale::Full, &mut out))?;
        println!("  {:<10}{centre:8.3} ms", "centre 224");
    }
    Ok(())
}

fn run(
    file: &[u8],
    part: Option<Part>,
    scale: Scale,
    out: &mut Vec<u8>,
) -> Result<(), mixfeed_jpeg::JpegError> {
    let limits = Limits { side_pixels: 16_384, memory_bytes: 1 << 30 };
    decode(file, part, scale, &limits, out)
}

/// Of 8 % to 100 % of the area and of proportions from 3:4 to 4:3, anywhere.
fn random_part(width: u32, height: u32, round: u64) -> Part {
    let mut state = round;
    // SplitMix64.
    let mut random = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    };
    loop {
        let area = f64::from(width) * f64::from(height) * (0.08 + 0.92 * random());
        let ratio = (4.0_f64 / 3.0).powf(2.0 * random() - 1.0);
        let (w, h) = ((area * ratio).sqrt().round() as u32, (area / ratio).sqrt().round() as u32);
        let (x, y) = (random(), random());
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            let place = |room: u32, at: f64| (f64::from(room + 1) * at) as u32;
            return Part { top: place(height - h, y), left: place(width - w, x), height: h, width: w };
        }
    }
}

fn median<E>(mut decoding: impl FnMut(u64) -> Result<(), E>) -> Result<f64, E> {
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let started = Instant::now();
        decoding(round)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
