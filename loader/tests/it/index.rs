//! An index, from outside: what a loader reads that starts by one, and who works together.

use crate::commands::{refused, run, serving};
use crate::write;
use mixfeed_client::{BlockingStream, StreamConfig, StreamEnd, StreamSpec};
use mixfeed_pipeline::Split;
use mixfeed_testing::Serving;
use std::path::Path;

fn written(place: &Path, shards: bool) -> String {
    let write = if shards { write::shards } else { write::folder };
    write(place, &write::drawings(Split::Train, 300), &write::drawings(Split::Test, 20));
    let set = place.to_str().unwrap().to_owned();
    let index = format!("{set}/mixfeed.index");
    let output = run(&["inspect", "--data", &set, "--write-index", &index]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("mixfeed.index, ") && table.contains(" bytes, written\n"), "{table}");
    set
}

fn serve(set: &str, flags: &[&str]) -> Serving {
    serving(&[&["--data", set, "--listen", "127.0.0.1:0", "--cache", "none"], flags].concat())
}

/// Bytes that a process has read so far, from files and from everything else.
fn bytes_read(process: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{process}/io")).unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

fn batches(loaders: &[&Serving]) -> Result<Vec<[u8; 32]>, String> {
    let spec = StreamSpec { batch_size: 50, ..StreamSpec::default() };
    let loaders = loaders.iter().map(|loader| loader.address.parse().unwrap()).collect();
    let mut stream = StreamConfig::new(loaders, spec);
    stream.end = StreamEnd::Batch(6);
    let stream = BlockingStream::open(stream).map_err(|error| error.to_string())?;
    stream.map(|batch| batch.map(|batch| batch.digest()).map_err(|error| error.to_string())).collect()
}

#[test]
fn a_loader_with_an_index_reads_no_images_at_its_start_and_works_with_one_without() {
    for shards in [true, false] {
        let place = tempfile::tempdir().unwrap();
        let set = written(place.path(), shards);
        let with = serve(&set, &[]);
        let without = serve(&set, &["--no-digest-cache"]);
        let [read, all] = [&with, &without].map(|loader| bytes_read(loader.child.id()));
        assert!(read < all / 2, "{read} of {all}");
        let expected = batches(&[&without]).unwrap();
        assert_eq!(expected.len(), 6);
        assert_eq!(batches(&[&with]), Ok(expected.clone()));
        assert_eq!(batches(&[&with, &without]), Ok(expected));
    }
}

#[test]
fn a_record_that_differs_fails_its_batch_by_name_and_inspect_lists_it() {
    let place = tempfile::tempdir().unwrap();
    let set = written(place.path(), false);
    let class = place.path().join("train/class-000");
    let file = std::fs::read_dir(class).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let message = batches(&[&serve(&set, &[])]).unwrap_err();
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(
        message.contains(&format!("train/class-000/{name}: its bytes are not those in the index")),
        "{message}"
    );
    // Found beside the data or given, decoded for its content or not.
    let index = format!("{set}/mixfeed.index");
    for flags in [&["--data-index", &index][..], &["--content"]] {
        let output = run(&[&["inspect", "--data", &set], flags].concat());
        assert_eq!(output.status.code(), Some(3));
        let (table, said) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(table.contains("mixfeed.index, from which 1 records differ\n"), "{table}");
        assert!(
            table.contains(&format!("  train sample 0: train/class-000/{name}: its bytes are not")),
            "{table}"
        );
        assert!(said.contains("1 records differ from the index, first train/class-000/"), "{said}");
    }
    let output = run(&["inspect", "--json", "--data", &set]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (found["index"].as_str(), found["differing_records"][0]["sample"].as_u64()),
        (Some(&*index), Some(0))
    );
    // Made again, it is of the files as they are.
    assert!(run(&["inspect", "--data", &set, "--write-index", &index]).status.success());
    let found = run(&["inspect", "--json", "--data", &set]);
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
}

#[test]
fn an_index_is_written_over_an_index_alone_and_named_where_it_cannot_be_used() {
    let place = tempfile::tempdir().unwrap();
    let set = written(place.path(), false);
    let notes = place.path().join("notes");
    std::fs::write(&notes, "notes").unwrap();
    let notes = notes.to_str().unwrap();
    let line = refused(2, &["inspect", "--data", &set, "--write-index", notes]);
    assert!(line.contains("notes is there, and is something else"), "{line}");
    let line = refused(2, &["inspect", "--data", "synthetic:5", "--write-index", "x.index"]);
    assert!(line.contains("synthetic:5: --write-index is for image files"), "{line}");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", &set, "--data-index", notes];
    assert!(
        refused(3, &serve)
            .ends_with("notes: it is no index, as `mixfeed-loader inspect --write-index` writes it")
    );
    std::fs::write(place.path().join("mixfeed.index"), "notes").unwrap();
    let output = run(&["inspect", "--data", &set]);
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && table.contains("  warning       index not used, all files are read: "),
        "{table}"
    );
}
