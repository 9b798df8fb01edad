use super::*;
use merge::Merge;
use std::io::Write as _;

#[derive(Clone, Debug, Default, Merge, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[merge(strategy = merge::option::overwrite_none)]
struct Settings {
    batch_size: Option<u32>,
    alpha: Option<f64>,
    seed: Option<u64>,
    wait: Option<Duration>,
    loaders: Option<Vec<String>>,
    #[merge(strategy = Merge::merge)]
    nested: Nested,
}

#[derive(Clone, Debug, Default, Merge, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[merge(strategy = merge::option::overwrite_none)]
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
    let message = read::<Settings>(file.path()).unwrap_err().to_string();
    assert!(message.contains(&file.path().display().to_string()), "{message}");
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn flags_win_over_the_file_and_the_file_fills_the_rest() {
    let file = file("batch-size = 64\nalpha = 0.2\nwait = \"3s\"\n[nested]\none = 1\ntwo = 2\n");
    let mut flags = Settings {
        batch_size: Some(128),
        nested: Nested { one: Some(10), two: None },
        loaders: Some(vec!["a:1".to_owned()]),
        ..Settings::default()
    };
    flags.merge(read(file.path()).unwrap());
    let expected = Settings {
        batch_size: Some(128),
        alpha: Some(0.2),
        seed: None,
        wait: Some(Duration(std::time::Duration::from_secs(3))),
        loaders: Some(vec!["a:1".to_owned()]),
        nested: Nested { one: Some(10), two: Some(2) },
    };
    assert_eq!(flags, expected);
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
    let message = read::<Settings>(Path::new("/nowhere/a.toml")).unwrap_err().to_string();
    assert!(message.contains("/nowhere/a.toml"), "{message}");
}

#[test]
fn printed_settings_can_be_read_back() {
    let settings = Settings {
        alpha: Some(1.0),
        wait: Some(Duration(std::time::Duration::from_millis(1500))),
        nested: Nested { one: Some(1), two: None },
        ..Settings::default()
    };
    let file = file(&to_toml(&settings).unwrap());
    assert_eq!(read::<Settings>(file.path()).unwrap(), settings);
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
    #[derive(Debug, Default, Deserialize, Merge)]
    #[serde(rename_all = "kebab-case", default)]
    #[merge(strategy = merge::option::overwrite_none)]
    struct Part {
        test_fraction: Option<f64>,
    }
    #[derive(Debug, Default, Deserialize, Merge)]
    #[serde(deny_unknown_fields, default)]
    #[merge(strategy = merge::option::overwrite_none)]
    struct Whole {
        seed: Option<u64>,
        #[serde(flatten)]
        #[merge(strategy = Merge::merge)]
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
        let error = read::<Whole>(file.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_flag_that_takes_a_value_has_a_twin_in_the_environment() {
    let command = clap::Command::new("a").args([
        Arg::new("batch_size").long("batch-size"),
        Arg::new("log").long("log").env("LOG"),
        Arg::new("json").long("json").action(clap::ArgAction::SetTrue),
        Arg::new("image"),
    ]);
    let command = command.mut_args(|arg| twin(arg, "PREFIX_"));
    let twins: Vec<_> =
        command.get_arguments().map(|arg| arg.get_env().and_then(|name| name.to_str())).collect();
    assert_eq!(twins, [Some("PREFIX_BATCH_SIZE"), Some("LOG"), None, None]);
}
