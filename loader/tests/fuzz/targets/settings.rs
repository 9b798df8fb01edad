//! What people write: settings files, stream specs, skip lists and tokens as files, and each line in the forms that
//! flags and keys take. What is taken is written again and read again, and comes to the same.

use super::ranges::out_of_range;
use super::requests::full_spec;
use bytesize::ByteSize;
use mixfeed_client::{CustomTransform, Endpoint, StreamSpec};
use mixfeed_loader::config::{MixupSchedule, ServeArgs, ServeConfig};
use mixfeed_loader::server::Listen;
use mixfeed_loader::source::fetch::Origin;
use mixfeed_loader::source::{Place, SkipList, Skipped, open};
use mixfeed_ops::config::Duration;
use mixfeed_ops::grpc::Token;
use mixfeed_pipeline::spec::ImageSize;
use mixfeed_pipeline::{CheckedSpec, Dataset, Split};
use mixfeed_proto::digest_of;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

thread_local! {
    // Made by what makes the seeds, before memory is watched. As large as the set of the requests.
    static DATASET: Dataset = open(&"synthetic:40".parse().unwrap()).unwrap();
}

const LINES: &str = "\
127.0.0.1:50051
[::1]:0
unix:///run/mixfeed.sock
dns:///loader.example:50051
loader-0.loader:50051
3s
1m 500ms
1.5GiB
512 MB
48x32
synthetic:20_000
/data/cifar-10-batches-bin
https://example.org/set.tar.gz
file:///data/with%20blank.tar.gz
posterise:3
0:mixup-alpha=0.2,mixup-prob=1;20:off
0123456789abcdef0123456789abcdef
";

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let serve = "data = \"synthetic:10\"\nlisten = \"127.0.0.1:0\"\nworkers = 2\nmetrics = \"127.0.0.1:9464\"\n\
        order = \"path\"\ntest-fraction = 0.1\ncache = \"encoded\"\ncache-memory = \"1GiB\"\nimage-size = \"48x32\"\n\
        skip-list = \"bad.toml\"\nstream-memory = \"512MiB\"\ngrace = \"5s\"\nreflection = true\nlog-format = \"json\"\n\
        tls-cert = \"cert.pem\"\ntls-key = \"key.pem\"\nauth-token-file = \"token\"\nhealth-listen = \"127.0.0.1:0\"\n";
    let skipped =
        Skipped { split: Split::Train, sample: 3, record: "a/b.png".into(), reason: "cut short".into() };
    let file = tempfile::NamedTempFile::new().unwrap();
    SkipList { dataset: [7; 32], records: vec![skipped] }.write(file.path()).unwrap();
    let list = std::fs::read(file.path()).unwrap();
    DATASET.with(|dataset| assert_eq!(dataset.samples(Split::Train).count(), 40));
    let spec = "split = \"train\"\nlimit = 30\nseed = 7\nbatch-size = 8\nremainder = \"drop\"\nshuffle = true\nsample-ids = true\n\
        label-noise = 0.4\n\
        pixel-type = \"f32\"\npixel-layout = \"nchw\"\n\
        [mixing]\nalpha = 0.2\nprobability = 0.5\nlambda-scope = \"sample\"\npartner-source = \"dataset\"\n\
        kind = { mixup-or-cutmix = { cutmix-alpha = 1.0, switch-probability = 0.5 } }\n\
        [[mixing-schedule]]\nepoch = 3\n\
        [shard]\nrank = 1\nworld = 2\n\
        [output]\nsize = \"24x20\"\nresize = \"letterbox:9\"\nscaled-decoding = true\n\
        [augmentation]\ncrop-padding = 4\nflip-probability = 0.5\ntrivial-augment = true\ncutout-size = 8\nerased-value = 128\n\
        grayscale-probability = 0.25\n\
        [augmentation.resized-crop]\nmin-area = 0.08\nmax-area = 1.0\nmin-ratio = 0.75\nmax-ratio = 1.5\n\
        [augmentation.rand-augment]\nnum-ops = 2\nmagnitude = 9\n\
        [augmentation.color-jitter]\nbrightness = 0.4\ncontrast = 0.4\nsaturation = 0.4\nhue = 0.1\n\
        [augmentation.random-erasing]\nprobability = 0.25\nmin-area = 0.02\nmax-area = 0.33\nmin-ratio = 0.3\nmax-ratio = 3.3\n";
    let read: StreamSpec = toml::from_str(spec).unwrap();
    assert_eq!(mixfeed_proto::v1::StreamSpec::from(&read), full_spec(), "every key is in it");
    let plain = toml::to_string(&StreamSpec::default()).unwrap();
    vec![serve.into(), list, spec.into(), plain.into(), LINES.into()]
}

pub(super) fn run(input: &[u8], folder: &Path) {
    let file = folder.join("settings.toml");
    std::fs::write(&file, input).unwrap();
    serve(&file);
    skip_list(&file);
    drop(Token::read(&file));
    let text = String::from_utf8_lossy(input);
    spec(&text);
    for line in text.lines() {
        same::<Place>(line);
        same::<Listen>(line);
        same::<Endpoint>(line);
        same::<ImageSize>(line);
        same::<Duration>(line);
        same::<CustomTransform>(line);
        same::<MixupSchedule>(line);
        // Written for people, and not always read again as they were.
        drop(line.parse::<ByteSize>());
        drop(line.parse::<Origin>());
    }
}

/// A text that is taken, written, and read again.
fn same<T: FromStr + Display + PartialEq>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let written = value.to_string();
    assert!(written.parse::<T>().is_ok_and(|again| again == value), "{text:?} is written as {written:?}");
}

fn serve(file: &Path) {
    let resolve = || ServeConfig::resolve(ServeArgs { config: Some(file.into()), ..ServeArgs::default() });
    let Ok((_, written)) = resolve() else { return };
    std::fs::write(file, &written).unwrap();
    assert_eq!(resolve().map(|(_, text)| text), Ok(written));
}

fn skip_list(file: &Path) {
    let Ok(list) = SkipList::read(file) else { return };
    list.write(file).unwrap();
    assert_eq!(SkipList::read(file).unwrap(), list);
}

/// A spec that is taken is in range, also when it came as text.
fn spec(text: &str) {
    let Ok(spec) = toml::from_str::<StreamSpec>(text) else { return };
    let written = toml::to_string(&spec);
    // TOML has no whole numbers above 2^63 - 1, so that none was read.
    let written = written.unwrap();
    let again: StreamSpec = toml::from_str(&written).unwrap();
    // By the digest: what is no number is not equal to itself.
    assert_eq!(digest_of(&again), digest_of(&spec), "{written}");
    let message = (&spec).into();
    if DATASET.with(|dataset| CheckedSpec::new(spec, dataset)).is_ok() {
        assert_eq!(out_of_range(&message), None, "{text}");
    }
}
