//! `verify`, as a user meets it.

use crate::commands::{refused, run, serving};
use mixfeed_fake::{Liar, Lie};

#[test]
fn a_stream_is_found_to_be_what_its_spec_says() {
    let verify = |flags: &[&str]| -> serde_json::Value {
        let output = run(&[&["verify", "--data", "synthetic:5000", "--json"], flags].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let found = verify(&["--mixup-alpha", "1", "--mixup-prob", "0.5", "--batch-size", "64"]);
    assert_eq!((found["passed"].as_bool(), found["checks"].as_array().unwrap().len()), (Some(true), 3));
    assert_eq!(found["checks"][0]["found"], "5000 samples in 79 batches", "{found}");
    assert!(found["checks"][2]["p_value"].as_f64().is_some_and(|p| p > 1e-6), "{found}");

    let found = verify(&["--mixup-alpha", "0", "--cutmix-alpha", "1", "--mixup-prob", "1"]);
    let names: Vec<_> = found["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
    let expected =
        ["each sample once", "mixed fraction", "fraction of CutMix", "share of CutMix", "lambda of CutMix"];
    assert_eq!(names, expected, "{found}");

    let found = verify(&["--label-noise", "0.4", "--mixup-prob", "0", "--epochs", "2"]);
    let names: Vec<_> = found["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
    assert_eq!(names, ["each sample once", "label noise", "one label a sample"], "{found}");
    // 1,800 of 5,000 expected, standard deviation 33.9; the check itself says how likely what it found is.
    assert!(found["checks"][1]["found"].as_str().unwrap().ends_with("expected 0.36000"), "{found}");

    // The spec of a file, which may ask for more than flags can.
    let spec = tempfile::NamedTempFile::new().unwrap();
    let text = "seed = 3\nbatch-size = 64\nremainder = \"drop\"\n[shard]\nrank = 1\nworld = 4\n";
    std::fs::write(spec.path(), text).unwrap();
    let found = verify(&["--spec", spec.path().to_str().unwrap(), "--epochs", "2"]);
    assert_eq!(found["checks"][0]["found"], "4992 samples in 78 batches, 8 left out", "{found}");
    assert_eq!(found["checks"].as_array().unwrap().len(), 1, "nothing is mixed: {found}");

    let table = String::from_utf8(run(&["verify", "--data", "synthetic:5000"]).stdout).unwrap();
    assert!(table.contains("ok      each sample once") && table.contains("lambda's distribution"), "{table}");
    let line = refused(2, &["verify", "--data", "synthetic:10", "--mixup-prob", "2"]);
    assert!(line.contains("--mixup-prob is 2, it must be 0 to 1"), "{line}");
}

#[test]
fn what_is_found_too_unlikely_exits_with_1() {
    // So strict a person takes all that is a matter of chance for a fault.
    let flags = ["verify", "--data", "synthetic:5000", "--significance", "1"];
    let output = run(&[&flags[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["passed"].as_bool(), Some(false));
    let passed: Vec<_> =
        found["checks"].as_array().unwrap().iter().map(|check| check["passed"].as_bool()).collect();
    assert_eq!(passed, [Some(true), Some(false), Some(false)], "no chance is in the first: {found}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "error: 2 of 3 checks failed\n");
    let table = String::from_utf8(run(&flags).stdout).unwrap();
    assert!(table.contains("FAILED  lambda's distribution"), "{table}");
}

#[test]
fn an_error_in_a_spec_names_the_file_and_the_key_as_it_stands_there() {
    let spec = tempfile::NamedTempFile::new().unwrap();
    let path = spec.path().to_str().unwrap();
    let own = "[mixing]\nalpha = 0.2\nprobability = 1.0\n\
               kind = { mixup-or-cutmix = { cutmix-alpha = -1.0, switch-probability = 0.5 } }\n";
    for (text, expected) in [
        ("batch-size = 0\n", ": batch-size: 0 is not allowed, 1 to 65536"),
        ("[stream]\nbatch-size = 0\n", ": stream.batch-size: 0 is not allowed, 1 to 65536"),
        ("limit = 51\n", ": limit: 51 is not allowed, "),
        (own, ": mixing.kind.mixup-or-cutmix.cutmix-alpha: -1 is not allowed, 0 to 1000"),
        (
            "[augmentation]\nflip-probability = 2.0\n",
            ": augmentation.flip-probability: 2 is not allowed, 0 to 1",
        ),
        ("batch-size = \"many\"\n", ": invalid type: string \"many\", expected u32 in `batch-size`"),
        ("[stream.mixing]\nalpha = true\n", "in `stream.mixing.alpha`"),
        ("batch_size = 8\n", ": unknown field `batch_size`, expected one of"),
        ("seed = 1\nbatch-size =\n", " line 2: "),
    ] {
        std::fs::write(spec.path(), text).unwrap();
        for command in [&["verify"][..], &["replay", "--index", "0"]] {
            let line = refused(2, &[command, &["--data", "synthetic:50", "--spec", path]].concat());
            assert!(line.contains(&format!("{path}{expected}")) || line.ends_with(expected), "{line}");
        }
    }
}

#[test]
fn loaders_are_compared_with_what_is_made_here() {
    let honest = serving(&["--data", "synthetic:500", "--listen", "127.0.0.1:0", "--workers", "1"]);
    let liar = Liar::start(&honest.address, Lie::OddPixels).unwrap();
    let verify = |against: &str| {
        let flags =
            ["verify", "--data", "synthetic:500", "--batch-size", "10", "--json", "--against", against];
        let output = run(&flags);
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), found["checks"].as_array().unwrap().last().unwrap().clone())
    };
    let (code, check) = verify(&honest.address);
    assert_eq!((code, check["passed"].as_bool()), (Some(0), Some(true)), "{check}");
    assert_eq!(check["found"], "100 of 150 batches compared, all equal");
    let (code, check) = verify(&liar.address());
    assert_eq!((code, check["passed"].as_bool()), (Some(1), Some(false)), "{check}");
    assert!(check["found"].as_str().unwrap().contains("differs"), "{check}");
    let line = refused(2, &["verify", "--data", "synthetic:500", "--against", "nowhere"]);
    assert!(line.contains("port is missing"), "{line}");
}
