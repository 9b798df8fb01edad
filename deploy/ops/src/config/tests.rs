use super::*;
use std::io::Write as _;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Settings {
    batch_size: Option<u32>,
    alpha: Option<f64>,
    seed: Option<u64>,
    wait: Option<Duration>,
    loaders: Option<Vec<String>>,
    nested: Option<Nested>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Nested {
    one: Option<u32>,
    two: Option<u32>,
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn error(text: &str) -> String {
    let file = file(text);
    let message = layered(Settings::default(), Some(file.path())).unwrap_err().to_string();
    assert!(message.contains(&file.path().display().to_string()), "{message}");
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn flags_win_over_the_file_and_the_file_fills_the_rest() {
    let file = file("batch-size = 64\nalpha = 0.2\nwait = \"3s\"\n[nested]\none = 1\ntwo = 2\n");
    let flags = Settings {
        batch_size: Some(128),
        nested: Some(Nested { one: Some(10), two: None }),
        loaders: Some(vec!["a:1".to_owned()]),
        ..Settings::default()
    };
    let merged = layered(flags, Some(file.path())).unwrap();
    let expected = Settings {
        batch_size: Some(128),
        alpha: Some(0.2),
        seed: None,
        wait: Some(Duration(std::time::Duration::from_secs(3))),
        loaders: Some(vec!["a:1".to_owned()]),
        nested: Some(Nested { one: Some(10), two: Some(2) }),
    };
    assert_eq!(merged, expected);
}

#[test]
fn without_a_file_the_flags_are_the_settings() {
    let flags = Settings { seed: Some(u64::MAX), ..Settings::default() };
    assert_eq!(layered(flags.clone(), None).unwrap(), flags);
}

#[test]
fn a_value_that_is_not_a_number_survives_the_merge() {
    let file = file("alpha = 0.2\n");
    let merged =
        layered(Settings { alpha: Some(f64::NAN), ..Settings::default() }, Some(file.path())).unwrap();
    assert!(merged.alpha.unwrap().is_nan());
}

#[test]
fn an_unknown_key_is_named_with_its_place() {
    let message = error("alpha = 0.2\nbatchsize = 3\n");
    assert!(message.contains("line 2") && message.contains("batchsize"), "{message}");
    let message = error("[nested]\nthree = 3\n");
    assert!(message.contains("line 2") && message.contains("three"), "{message}");
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    let message = error("\nwait = \"3\"\n");
    assert!(message.contains("line 2") && message.contains("give a unit"), "{message}");
    assert!(error("batch-size = -1\n").contains("line 1"));
    assert!(error("batch-size = \n").contains("line 1"));
}

#[test]
fn a_missing_file_is_named() {
    let message = layered(Settings::default(), Some(Path::new("/nowhere/a.toml"))).unwrap_err().to_string();
    assert!(message.contains("/nowhere/a.toml"), "{message}");
}

#[test]
fn printed_settings_can_be_read_back() {
    let settings = Settings {
        alpha: Some(1.0),
        wait: Some(Duration(std::time::Duration::from_millis(1500))),
        nested: Some(Nested { one: Some(1), two: None }),
        ..Settings::default()
    };
    let file = file(&to_toml(&settings).unwrap());
    assert_eq!(layered(Settings::default(), Some(file.path())).unwrap(), settings);
}

#[test]
fn durations_need_a_unit() {
    for (text, millis) in [("3s", 3000), ("500ms", 500), ("10m", 600_000), ("1h 30m", 5_400_000), ("0s", 0)] {
        assert_eq!(text.parse::<Duration>().unwrap().get().as_millis(), millis, "{text}");
    }
    for text in ["3", "0", " 10 ", "1.5"] {
        assert!(text.parse::<Duration>().unwrap_err().to_string().contains("give a unit, as in 3s or 500ms"));
    }
    for text in ["", "s", "3 parsecs", "-3s"] {
        assert!(text.parse::<Duration>().unwrap_err().to_string().contains("as in 3s"), "{text}");
    }
}

#[test]
fn errors_of_settings_from_several_structs_name_key_and_line() {
    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case", default)]
    struct Part {
        test_fraction: Option<f64>,
    }
    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Whole {
        seed: Option<u64>,
        #[serde(flatten)]
        part: Part,
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    for (text, expected) in [
        ("seed = 1\nsede = 64\n", " line 2: unknown field `sede`"),
        ("seed = 1\nseed = 2\n", " line 2: "),
        ("seed = \"x\"\n", " line 1: "),
        ("seed = 1\n\ntest-fraction = \"x\"\n", " line 3: test-fraction: invalid type"),
    ] {
        std::fs::write(file.path(), text).unwrap();
        let error = layered(Whole::default(), Some(file.path())).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
