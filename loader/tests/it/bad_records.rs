//! Records that are bad, over the wire: a real loader, and the client that a trainer has.

use crate::commands::serving;
use crate::write;
use mixfeed_client::{BlockingStream, StreamConfig, StreamEnd, StreamError, StreamSpec};
use mixfeed_pipeline::Split;
use std::path::Path;
use std::time::Duration;

/// The images of a set, of which number 5 is cut short and number 9 is not an image.
fn images() -> Vec<(Vec<u8>, u32)> {
    let mut images: Vec<_> =
        write::drawings(Split::Train, 12).iter().map(|image| (image.png(), image.label)).collect();
    let whole = images[5].0.len();
    images[5].0.truncate(whole - 40);
    images[9].0 = b"no image at all".to_vec();
    images
}

fn folder(place: &Path) {
    for (number, (file, _)) in images().iter().enumerate() {
        let class = place.join("train/all");
        std::fs::create_dir_all(&class).unwrap();
        std::fs::write(class.join(format!("{number:02}.png")), file).unwrap();
    }
}

fn shard(place: &Path) {
    let files = images().into_iter().enumerate().flat_map(|(number, (file, label))| {
        let label = label.to_string();
        let image = write::tar_file(&format!("{number:02}.png"), b'0', &file);
        [image, write::tar_file(&format!("{number:02}.cls"), b'0', label.as_bytes())].concat()
    });
    std::fs::write(place.join("train-0.tar"), files.chain([0; 1024]).collect::<Vec<_>>()).unwrap();
}

fn table(place: &Path) {
    let rows = images().into_iter().map(|(file, label)| (Some(file), Some(i64::from(label)))).collect();
    write::table(&place.join("train.parquet"), &[rows]);
}

/// Writes the images to a place.
type Writer = fn(&Path);

/// Reads batches of four in the order of the samples, from `start` to the end of the epoch.
fn read(address: &str, start: u64) -> Result<Vec<u64>, StreamError> {
    let spec = StreamSpec { batch_size: 4, shuffle: false, ..StreamSpec::default() };
    let mut stream = StreamConfig::new(vec![address.parse().unwrap()], spec);
    (stream.start, stream.end) = (start, StreamEnd::Batch(3));
    BlockingStream::open(stream)?.map(|batch| batch.map(|batch| batch.index)).collect()
}

#[test]
fn a_bad_record_fails_its_batch_with_data_loss_that_names_place_and_reason() {
    let formats: [(Writer, [&str; 2]); 3] = [
        (folder, ["train/all/05.png: cannot decode image", "train/all/09.png: cannot decode image"]),
        (shard, ["train-0.tar at offset ", "/09.png: cannot decode image"]),
        (table, ["train.parquet row 5: cannot decode image", "train.parquet row 9: cannot decode image"]),
    ];
    for (write, [cut, other]) in formats {
        let place = tempfile::tempdir().unwrap();
        write(place.path());
        // Whether the damage is known from the start (decoded) or met on the way (the others).
        for cache in ["decoded", "encoded"] {
            let data = place.path().to_str().unwrap();
            let mut loader = serving(&["--data", data, "--listen", "127.0.0.1:0", "--cache", cache]);
            let log = loader.lines();
            let lost = |start| match read(&loader.address, start).unwrap_err() {
                StreamError::DataLoss { index, message, .. } => (index, message),
                other => panic!("{other}"),
            };
            let (index, message) = lost(0);
            assert_eq!(index, 1, "{message}");
            assert!(message.starts_with("sample 5: ") && message.contains(cut), "{message}");
            let (index, message) = lost(2);
            assert_eq!(index, 2, "{message}");
            assert!(message.starts_with("sample 9: ") && message.contains(other), "{message}");
            assert!(message.contains("format could not be determined"), "{message}");
            // The loader's own log has each, in whichever order they were met.
            let lines = [(); 2]
                .map(|()| log.find("a record is damaged", Duration::from_secs(60)).expect("a line each"));
            for (index, record) in [("index=1", cut), ("index=2", other)] {
                let record = record.split_once(": ").map_or(record, |(record, _)| record).trim_end();
                let found = lines.iter().find(|line| line.contains(index) && line.contains(record));
                assert!(found.is_some_and(|line| line.contains("WARN")), "{lines:?}");
            }
        }
    }
}

/// What `inspect` finds in each format, and what its skip list leaves.
#[test]
fn inspect_lists_bad_records_and_a_loader_that_skips_them_serves_the_rest() {
    for write in [folder, shard, table] as [Writer; 3] {
        let place = tempfile::tempdir().unwrap();
        write(place.path());
        let data = place.path().to_str().unwrap();
        let list = place.path().join("skip.toml");
        let list = list.to_str().unwrap();
        let inspect = |flags: &[&str]| -> serde_json::Value {
            let output = crate::commands::run(&[&["inspect", "--json", "--data", data], flags].concat());
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice(&output.stdout).unwrap()
        };
        let found = inspect(&["--write-skip-list", list, "--content"]);
        let bad = found["bad_records"].as_array().unwrap();
        assert_eq!([&bad[0]["sample"], &bad[1]["sample"]], [5, 9], "{found}");
        assert_eq!((bad.len(), bad[0]["split"].as_str()), (2, Some("train")), "{found}");
        assert_eq!(found["forms"], serde_json::json!({ "png 32×32": 11 }), "of one no header can be read");
        assert!(found["content_digest"].is_null() && found["mean"][0].is_f64(), "{found}");

        let left = inspect(&["--skip-list", list, "--content"]);
        assert_eq!(
            (left["splits"]["train"].as_u64(), &left["bad_records"]),
            (Some(10), &serde_json::json!([]))
        );
        assert_ne!(left["digest"], found["digest"]);
        assert!(left["content_digest"].is_string(), "{left}");
        assert_eq!(left["mean"], found["mean"]);
        // What the policy leaves out is told, and goes into the same list.
        let skipped = place.path().join("skipped.toml");
        let told = inspect(&["--bad-records", "skip", "--write-skip-list", skipped.to_str().unwrap()]);
        assert_eq!(told["digest"], left["digest"]);
        let left_out = told["left_out"].as_array().unwrap();
        assert!(left_out.iter().any(|one| one["what"] == "bad records" && one["count"] == 2), "{told}");
        assert_eq!(std::fs::read_to_string(skipped).unwrap(), std::fs::read_to_string(list).unwrap());
        for cache in ["decoded", "encoded"] {
            let flags = ["--data", data, "--listen", "127.0.0.1:0", "--cache", cache, "--skip", list];
            assert_eq!(read(&serving(&flags).address, 0).unwrap(), [0, 1, 2], "10 samples are three batches");
        }
    }
}
