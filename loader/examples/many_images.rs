//! Writes WebDataset shards of as many tiny images as wanted, or class folders with as many files, to measure how long a large
//! set takes to start. Of the files most are hard links to the first few thousand, so that they take no room.
//!
//!     cargo run --release -p mixfeed-loader --example many_images -- 1200000 /tmp/many
//!     mixfeed-loader serve --data /tmp/many --cache none     # twice: the second start knows the digests
//!     cargo run --release -p mixfeed-loader --example many_images -- 1280000 /tmp/many-files folders
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use image::{ImageFormat, Rgb, RgbImage};
use std::fs::File;
use std::io::{BufWriter, Cursor, Result, Write};
use std::path::{Path, PathBuf};

/// Images of a shard.
const SHARD: u64 = 100_000;

const CLASSES: u64 = 1000;

/// Different images; they come again and again.
const DIFFERENT: u64 = 4096;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = || std::io::Error::other("usage: many_images COUNT FOLDER [folders]");
    let count: u64 = arguments.next().and_then(|text| text.parse().ok()).ok_or_else(usage)?;
    let folder = arguments.next().ok_or_else(usage)?;
    let images: Vec<Vec<u8>> = (0..DIFFERENT).map(png).collect::<Result<_>>()?;
    if arguments.next().is_some_and(|form| form == "folders") {
        return folders(count, &images, Path::new(&folder));
    }
    std::fs::create_dir_all(&folder)?;
    for first in (0..count).step_by(SHARD as usize) {
        let path = Path::new(&folder).join(format!("train-{:05}.tar", first / SHARD));
        let mut shard = BufWriter::new(File::create(path)?);
        for number in first..count.min(first + SHARD) {
            file(&mut shard, &format!("{number:08}.png"), &images[(number % DIFFERENT) as usize])?;
            file(&mut shard, &format!("{number:08}.cls"), (number % CLASSES).to_string().as_bytes())?;
        }
        shard.write_all(&[0; 1024])?;
        shard.flush()?;
    }
    println!("{count} images in {folder}");
    Ok(())
}

/// A thousand class folders, with files as they are named in a large set that is known to many.
fn folders(count: u64, images: &[Vec<u8>], folder: &Path) -> Result<()> {
    for number in 0..count {
        let (path, first) = (path(folder, number), number % DIFFERENT);
        if number < CLASSES {
            std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        }
        if number < DIFFERENT {
            std::fs::write(path, &images[first as usize])?;
        } else {
            std::fs::hard_link(self::path(folder, first), path)?;
        }
    }
    println!("{count} images in {}", folder.display());
    Ok(())
}

fn path(folder: &Path, number: u64) -> PathBuf {
    let class = number % CLASSES;
    folder.join(format!("train/n{class:08}/n{class:08}_{}.png", number / CLASSES))
}

/// A slope of colours of 32 by 32 pixels.
fn png(number: u64) -> Result<Vec<u8>> {
    let colour = |x: u32, y: u32| Rgb([x as u8 * 4, y as u8 * 4, 0].map(|value: u8| value ^ number as u8));
    let mut image = RgbImage::from_fn(32, 32, colour);
    image.put_pixel(0, 0, Rgb([(number >> 8) as u8; 3]));
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Png).map_err(std::io::Error::other)?;
    Ok(file.into_inner())
}

/// Writes a file with its header, padded to whole blocks.
fn file(shard: &mut impl Write, name: &str, bytes: &[u8]) -> Result<()> {
    let mut header = [0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    shard.write_all(&header)?;
    shard.write_all(bytes)?;
    shard.write_all(&[0; 512][..bytes.len().next_multiple_of(512) - bytes.len()])
}
