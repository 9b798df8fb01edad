//! Flags of `fetch`.

use crate::source::Published;
use crate::source::fetch::{Origin, Request};
use clap::Args;
use std::path::PathBuf;

/// Flags of `fetch`.
#[derive(Clone, Debug, Args)]
pub struct FetchArgs {
    /// The dataset.
    #[arg(value_name = "SET")]
    pub set: Published,
    /// Output folder; one that holds the set already is checked.
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// URL of the archive, if not its authors': https://…, http://… or file:///path.
    #[arg(long, value_name = "URL")]
    pub url: Option<Origin>,
    /// SHA-256 of an archive other than the authors', 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    pub sha256: Option<Sha256>,
    /// Fetch again what is there. Only files of the set are ever replaced.
    #[arg(long)]
    pub overwrite: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

impl FetchArgs {
    /// Returns what is asked for.
    #[must_use]
    pub fn request(&self) -> Request {
        Request {
            set: self.set,
            output: self.output.clone(),
            origin: self.url.clone(),
            sha256: self.sha256.map(|sha256| sha256.0),
            overwrite: self.overwrite,
        }
    }
}

/// A digest, as a flag gives it. (clap would take an array for several values.)
#[derive(Clone, Copy, Debug)]
pub struct Sha256([u8; 32]);

fn sha256(text: &str) -> Result<Sha256, String> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).map_err(|_not_hex| "give 64 hexadecimal digits".to_owned())?;
    Ok(Sha256(digest))
}
