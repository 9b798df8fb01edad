//! An archive from another machine, or from a file: whole, and the one that was wanted, or an error.
//!
//! A download that is cut goes on where it stopped (RFC 9110, section 14): at once within one process, and with
//! what an earlier one left. Whether the pieces are of one archive is for the checksum to say; if not, and if
//! what was left is to blame, it is fetched once more from the start.

use super::error::FetchError;
use super::part::Part;
use bytesize::ByteSize;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{Read, Seek as _};
use std::path::Path;
use std::time::Duration;
use ureq::Agent;
use ureq::http::{Response, StatusCode, header};

/// Time to find a machine and connect to it. Long enough for a slow link, short enough for who has none.
const CONNECT: Duration = Duration::from_secs(15);

/// Time without a byte after which a connection is given up.
const SILENCE: Duration = Duration::from_secs(30);

/// How often a download goes on after it was cut; the command may be given again after that.
const RESUMPTIONS: u32 = 20;

/// Longest pause before that. The first time there is none, and each later one is a second longer.
const LONGEST_PAUSE: u32 = 5;

/// Machines that may send us on to the next one.
const REDIRECTS: u32 = 5;

/// Bytes of an archive, at most: three times what there is to fetch.
const MAX_ARCHIVE: ByteSize = ByteSize::mib(512);

/// Bytes that there are, and how many there will be, if that is known.
pub type Told<'a> = dyn FnMut(u64, Option<u64>) + 'a;

/// How an attempt ended early.
enum AttemptError {
    /// The connection: another attempt may do better.
    Cut(String),
    /// Anything that another attempt does not change.
    Final(FetchError),
}

/// Downloads the archive into `part`.
pub(super) fn download(
    url: &str,
    part: &mut Part,
    wanted: &[u8; 32],
    told: &mut Told<'_>,
) -> Result<(), FetchError> {
    let mut from_earlier = part.bytes() > 0;
    if from_earlier && part.digest() == *wanted {
        return Ok(());
    }
    loop {
        complete(url, part, told)?;
        let found = part.digest();
        if found == *wanted {
            return Ok(());
        }
        part.restart()?;
        if !from_earlier {
            return Err(other(url, &found, wanted));
        }
        from_earlier = false;
    }
}

/// Opens a file that holds the archive.
pub(super) fn copy(path: &Path, wanted: &[u8; 32], told: &mut Told<'_>) -> Result<File, FetchError> {
    let origin = path.display().to_string();
    let failed = |reason: String| FetchError::Download { origin: origin.clone(), reason };
    let read = |source: std::io::Error| failed(source.to_string());
    let mut file = File::open(path).map_err(read)?;
    let total = file.metadata().map_err(read)?.len();
    check_size(total).map_err(failed)?;
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 64 << 10]);
    loop {
        let read = file.read(&mut buffer).map_err(read)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
        told(bytes, Some(total));
    }
    let found = hash.finalize().into();
    if found != *wanted {
        return Err(other(&origin, &found, wanted));
    }
    file.rewind().map_err(read)?;
    Ok(file)
}

/// Gets all that is missing, over several connections where one does not last.
fn complete(url: &str, part: &mut Part, told: &mut Told<'_>) -> Result<(), FetchError> {
    let agent = agent(url);
    let mut validator = None;
    let mut resumptions = 0;
    let began_at = part.bytes();
    loop {
        match attempt(&agent, url, part, &mut validator, told) {
            Ok(()) => return Ok(()),
            Err(AttemptError::Final(error)) => return Err(error),
            // Where nothing has come at all there is nothing to go on with: the machine is not reachable.
            Err(AttemptError::Cut(reason)) if resumptions == RESUMPTIONS || part.bytes() == began_at => {
                let kept = match part.bytes() {
                    0 => String::new(),
                    bytes => format!(" ({} are kept, the next attempt goes on there)", ByteSize(bytes)),
                };
                return Err(FetchError::Download { origin: url.into(), reason: reason + &kept });
            }
            Err(AttemptError::Cut(_)) => {
                std::thread::sleep(Duration::from_secs(resumptions.min(LONGEST_PAUSE).into()));
                resumptions += 1;
            }
        }
    }
}

fn agent(url: &str) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        // Nobody sends us on from an encrypted place to one that is not.
        .https_only(url.starts_with("https:"))
        .max_redirects(REDIRECTS)
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .user_agent(concat!("mixfeed/", env!("CARGO_PKG_VERSION")));
    config.build().into()
}

/// Reads over one connection what is missing. `validator` is what the server calls the version that it sends.
fn attempt(
    agent: &Agent,
    url: &str,
    part: &mut Part,
    validator: &mut Option<String>,
    told: &mut Told<'_>,
) -> Result<(), AttemptError> {
    let never = |reason: String| AttemptError::Final(FetchError::Download { origin: url.into(), reason });
    let mut request = agent.get(url);
    if part.bytes() > 0 {
        request = request.header(header::RANGE, format!("bytes={}-", part.bytes()));
        if let Some(validator) = validator.as_ref() {
            request = request.header(header::IF_RANGE, validator);
        }
    }
    let mut response = request.call().map_err(|error| AttemptError::Cut(error.to_string()))?;
    let total = match response.status() {
        StatusCode::OK => {
            // All of it, because that was asked for, or because the server knows no parts or has another version.
            part.restart().map_err(AttemptError::Final)?;
            *validator = strong_validator(&response);
            field(&response, header::CONTENT_LENGTH).and_then(|length| length.parse().ok())
        }
        StatusCode::PARTIAL_CONTENT => {
            let range = field(&response, header::CONTENT_RANGE).unwrap_or_default();
            let (first, total) = content_range(range)
                .filter(|(first, _)| *first == part.bytes())
                .ok_or_else(|| never(format!("the server sends {range:?}, not what was asked for")))?;
            debug_assert_eq!(first, part.bytes());
            total
        }
        StatusCode::RANGE_NOT_SATISFIABLE if part.bytes() > 0 => {
            // Nothing is missing, as far as the server knows; or what there is is of something else.
            let total =
                field(&response, header::CONTENT_RANGE).and_then(|range| range.strip_prefix("bytes */"));
            if total.and_then(|total| total.parse().ok()) == Some(part.bytes()) {
                return Ok(());
            }
            part.restart().map_err(AttemptError::Final)?;
            return Err(AttemptError::Cut("the server has fewer bytes than have come".into()));
        }
        status => return Err(never(format!("the server answers {status}"))),
    };
    check_size(total.unwrap_or(0)).map_err(never)?;
    let mut body = response.body_mut().as_reader();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = body.read(&mut buffer).map_err(|error| AttemptError::Cut(error.to_string()))?;
        if read == 0 {
            break;
        }
        check_size(part.bytes() + read as u64).map_err(never)?;
        part.append(&buffer[..read]).map_err(AttemptError::Final)?;
        told(part.bytes(), total);
    }
    match total {
        Some(total) if part.bytes() < total => {
            Err(AttemptError::Cut(format!("the connection ended at {} of {total} bytes", part.bytes())))
        }
        _ => Ok(()),
    }
}

/// The entity tag, unless it is a weak one, which says nothing of bytes.
fn strong_validator<B>(response: &Response<B>) -> Option<String> {
    field(response, header::ETAG).filter(|tag| tag.starts_with('"')).map(Into::into)
}

fn field<B>(response: &Response<B>, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// Reads "bytes FIRST-LAST/TOTAL"; the total may be "*".
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, total.parse().ok()))
}

fn check_size(bytes: u64) -> Result<(), String> {
    if bytes <= MAX_ARCHIVE.as_u64() {
        return Ok(());
    }
    Err(format!("it is larger than {MAX_ARCHIVE} (at least {})", ByteSize(bytes)))
}

fn other(origin: &str, found: &[u8; 32], wanted: &[u8; 32]) -> FetchError {
    FetchError::Checksum { origin: origin.into(), found: hex::encode(found), wanted: hex::encode(wanted) }
}
