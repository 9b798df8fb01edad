//! `doctor`: what this machine can do, and whether each loader answers.

use super::setup;
use crate::cli::DoctorArgs;
use crate::config::Source;
use crate::error::TrainError;
use crate::evaluate::test_spec;
use crate::feed::loaders::{Answer, Loaders, StreamRequest};
use crate::machine::device;
use crate::report::table::Table;
use mixfeed_client::{ImageSize, Output, StreamEnd, StreamError, StreamInfo, has_remedy};
use mixfeed_ops::config::Duration;
use mixfeed_ops::logging::LogFormat;
use mixfeed_ops::{print, println};

/// What loaders say goes into the table; the client's own log would say it twice. What is odd about data that is read
/// here is said nowhere else.
const LOG_FILTER: &str = "error,mixfeed_data=warn";

/// A loader that answers does so at once.
const LOADER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

pub(super) fn run(args: DoctorArgs) -> Result<(), TrainError> {
    setup::start_logs(LogFormat::default(), LOG_FILTER)?;
    print!("{}", machine());
    let mut settings = args.from.settings();
    if settings.loaders.is_none() && settings.data.is_none() {
        println!(
            "\nThis machine can train. No loader was tried: give --loaders ADDR,… to have them asked, or\n\
             --data WHERE to have a loader inside the trainer read a folder (or synthetic)."
        );
        return Ok(());
    }
    settings.loader_timeout = settings.loader_timeout.or(Some(Duration(LOADER_TIMEOUT)));
    let config = settings.check()?;
    let loaders = Loaders::of(&config)?;
    // Whatever size they have.
    let spec = test_spec(1, Some(Output::center_crop(ImageSize { height: 1, width: 1 })));
    let request = StreamRequest { spec: &spec, start: 0, end: StreamEnd::Batch(0), expected: None };
    let answers = loaders.ask_each(request, &setup::stop_on_signals()?)?;

    let is_embedded = matches!(config.source, Source::Embedded { .. });
    println!();
    for answer in &answers {
        println!("{}", told(answer, is_embedded));
    }
    let serving: Vec<_> = answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()).collect();
    if let Some(first) = serving.first() {
        print!("\n{}", data(first));
    }
    let missing = answers.len() - serving.len();
    if missing > 0 {
        let silent = |(_, answer): &Answer| matches!(answer, Err(StreamError::NoLoader { detail, .. }) if !has_remedy(detail));
        let remedy =
            if answers.iter().any(silent) { ": start them, or leave them out of --loaders" } else { "" };
        return Err(TrainError::LoadersMissing { missing, all: answers.len(), remedy });
    }
    let is_other =
        |what: fn(&StreamInfo) -> [u8; 32]| serving.iter().any(|info| what(info) != what(serving[0]));
    if is_other(|info| info.dataset.digest) {
        return Err(TrainError::LoadersDiffer("data"));
    }
    if is_other(|info| info.algorithm_fingerprint) {
        return Err(TrainError::LoadersDiffer("algorithm"));
    }
    println!("\nEverything is ready to train.");
    Ok(())
}

fn machine() -> Table {
    let gpus = match device::gpus() {
        Ok(1) => "1, used unless --device says otherwise".to_owned(),
        Ok(count) => format!("{count}, the first is used unless --device says otherwise"),
        Err(reason) => format!("none, so training runs on the CPU ({reason})"),
    };
    let mkldnn = if tch::utils::has_mkldnn() { "with oneDNN" } else { "without oneDNN, so slow on a CPU" };
    Table::of_pairs([
        ("libtorch", format!("{}, {mkldnn}", device::LIBTORCH)),
        ("processor", device::cpu_model()),
        ("CPU threads", device::default_threads().to_string()),
        ("GPU", gpus),
    ])
}

/// What one address answered, with what to do about it.
fn told((endpoint, answer): &Answer, is_embedded: bool) -> String {
    let name = if is_embedded { "loader in this process".to_owned() } else { format!("loader {endpoint}") };
    match answer {
        Ok(StreamInfo { dataset, algorithm_version, algorithm_fingerprint, .. }) => format!(
            "{name}: ready, serves {} ({}), algorithm {algorithm_version} ({})",
            dataset.name,
            short(dataset.digest),
            short(*algorithm_fingerprint)
        ),
        Err(StreamError::NoLoader { waited, detail }) => {
            // It names the address again.
            let detail = detail.strip_prefix(&format!("{endpoint}: ")).unwrap_or(detail);
            let advice = advice(detail).map(|advice| format!("\n    {advice}")).unwrap_or_default();
            format!("{name}: NO ANSWER in {:.0} s\n    {detail}{advice}", waited.as_secs_f64())
        }
        Err(error) => format!("{name}: CANNOT BE USED\n    {error}"),
    }
}

/// What to do about a loader that does not answer, unless that is said already.
fn advice(detail: &str) -> Option<&'static str> {
    if has_remedy(detail) {
        return None;
    }
    let detail = detail.to_lowercase();
    Some(if detail.contains("refused") {
        "nothing listens there: start `mixfeed-loader serve --listen ADDR` with this address"
    } else if detail.contains("dns") || detail.contains("lookup") || detail.contains("resolve") {
        "the name is not known here: check its spelling, or give an IP address"
    } else if detail.contains("no such file") {
        "there is no such socket: start `mixfeed-loader serve --listen unix:///PATH` with this path"
    } else {
        "is the loader running, is the address right, does a firewall let it through"
    })
}

fn data(info: &StreamInfo) -> Table {
    let dataset = &info.dataset;
    Table::of_pairs([
        ("dataset", dataset.name.clone()),
        ("samples", format!("{} to train on, {} to test on", dataset.train_samples, dataset.test_samples)),
        ("images", dataset.images.clone()),
        ("classes", dataset.classes.join(", ")),
    ])
}

/// As much of a digest as tells two apart at a glance.
fn short(digest: [u8; 32]) -> String {
    blake3::Hash::from(digest).to_hex()[..12].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_client::with_remedy;

    #[test]
    fn each_kind_of_silence_has_its_advice() {
        for (detail, expected) in [
            ("tcp connect error: Connection refused (os error 111)", "nothing listens there"),
            ("dns error: failed to lookup address information", "the name is not known"),
            ("connect error: No such file or directory (os error 2)", "no such socket"),
            ("deadline has elapsed", "is the loader running"),
        ] {
            assert!(advice(detail).unwrap().contains(expected), "{detail}");
        }
        for told in
            ["invalid peer certificate: certificate not valid for name \"b\"; DnsName(\"a\")", "broken pipe"]
        {
            assert_eq!(advice(&with_remedy(told.to_owned(), true)), None, "{told}");
        }
    }
}
