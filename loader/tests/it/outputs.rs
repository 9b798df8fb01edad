//! Where results go: standard output, and files that a command was asked to write.

use super::commands::{cifar, loader, refused, run};

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    for stdout in
        [std::fs::File::open("/dev/null"), std::fs::OpenOptions::new().write(true).open("/dev/full")]
    {
        let stdout = stdout.unwrap();
        for flags in [&["inspect", "--data", "synthetic:5", "--json"][..], &["--help"]] {
            let output = loader(flags).stdout(stdout.try_clone().unwrap()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{flags:?}: {said}");
            assert!(said.starts_with("error: cannot write the result: "), "{said}");
        }
    }
}

#[test]
fn results_never_take_the_place_of_something_else() {
    let folder = tempfile::tempdir().unwrap();
    cifar(folder.path());
    let data = folder.path().to_str().unwrap();
    let line = refused(2, &["preview", "--data", data, "--output", &format!("{data}/page.png")]);
    assert!(line.contains("page.png lies in the data"), "{line}");

    let other = tempfile::tempdir().unwrap();
    let notes = other.path().join("notes.png");
    std::fs::write(&notes, "notes").unwrap();
    let notes = notes.to_str().unwrap();
    for flags in [
        &["preview", "--data", data, "--output", notes][..],
        &["replay", "--data", data, "--spec", "s.toml", "--index", "0", "--output", notes],
        &["inspect", "--data", data, "--write-skip-list", notes],
    ] {
        let line = refused(2, flags);
        assert!(line.contains("notes.png is there, and is something else"), "{line}");
    }
    assert_eq!(std::fs::read(notes).unwrap(), b"notes");
    // Its own kind it does replace.
    let (page, list) = (other.path().join("page.png"), other.path().join("skip.toml"));
    for _ in 0..2 {
        assert!(run(&["preview", "--data", data, "--output", page.to_str().unwrap()]).status.success());
        assert!(
            run(&["inspect", "--data", data, "--write-skip-list", list.to_str().unwrap()]).status.success()
        );
    }
}

#[test]
fn inspect_and_preview_show_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    cifar(folder.path());
    let path = folder.path().to_str().unwrap();
    let output = run(&["inspect", "--data", path, "--content", "--json"]);
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["splits"]["train"], 10);
    assert_eq!(object["classes"][2]["train"], 2);
    assert_eq!(object["content_digest"].as_str().unwrap().len(), 64);
    assert!((object["mean"][0].as_f64().unwrap() - 0.49).abs() < 0.01, "{object}");

    let table = String::from_utf8(run(&["inspect", "--data", path]).stdout).unwrap();
    assert!(table.contains("10 train, 2 test, 32×32×3") && table.contains("airplane"), "{table}");

    let elsewhere = tempfile::tempdir().unwrap();
    let picture = elsewhere.path().join("page.png");
    let mut flags = vec!["preview", "--data", path, "--output", picture.to_str().unwrap(), "--rows", "2"];
    flags.extend(["--resized-crop", "0.3", "--trivial-augment", "--color-jitter", "0.2,0.2,0.2,0.1"]);
    flags.extend(["--rand-augment", "--grayscale-prob", "0.5"]);
    flags.extend(["--erase-prob", "0.5", "--cutout", "8", "--erased-value", "128"]);
    let output = run(&flags);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = image::open(&picture).unwrap().into_rgb8();
    let colours: std::collections::HashSet<_> = page.pixels().collect();
    assert!(page.width() > 900 && colours.len() > 100, "{} by {}", page.width(), page.height());
}
