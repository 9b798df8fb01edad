use super::*;

#[test]
fn flags_win_over_the_file_and_the_file_over_the_preset() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    let text = "epochs = 5\nbatch-size = 64\nloaders = [\"a:1\"]\nloader-timeout = \"3s\"\n";
    std::fs::write(&path, text).unwrap();
    let flags = Settings { epochs: Some(2), data: Some("synthetic".to_owned()), ..Settings::default() };
    let settings = flags.over(Some(&path)).unwrap();
    assert_eq!(settings.loaders, None, "--data puts the file's loaders out of force");
    let config = settings.check().unwrap();
    assert_eq!((config.training.epochs, config.training.stream.batch_size), (2, 64));
    assert_eq!(config.loader_timeout, std::time::Duration::from_secs(3));
    assert_eq!(config.training.preset, Preset::Article);
}

#[test]
fn a_key_that_is_no_setting_is_an_error_that_lists_those_that_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    for key in ["epoch", "learning-rate", "batch_size"] {
        std::fs::write(&path, format!("seed = 1\n{key} = 2\n")).unwrap();
        let error = Settings::default().over(Some(&path)).unwrap_err().to_string();
        let expected =
            format!("line 2: unknown field `{key}`, expected one of `loaders`, `data`, `workers`, ");
        assert!(error.contains(&expected), "{error}");
        for name in ["`epochs`", "`batch-size`", "`lr`", "`test-fraction`", "`eval-every`"] {
            assert!(error.contains(name), "{name} in {error}");
        }
    }
}

#[test]
fn flags_that_say_how_data_is_read_are_refused_beside_loaders_and_a_files_are_put_out_of_force() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    std::fs::write(&path, "data = \"synthetic\"\nworkers = 2\ntest = \"dev\"\n").unwrap();
    let loaders = || Settings { loaders: Some(vec!["a:1".to_owned()]), ..Settings::default() };
    assert!(loaders().over(Some(&path)).unwrap().check().is_ok());
    let source = SourceArgs { test: Some("dev".to_owned()), ..SourceArgs::default() };
    for (given, flag) in [
        (Settings { source, ..loaders() }, "--test is for a loader inside this process"),
        (Settings { workers: Some(3), ..loaders() }, "--workers is for a loader inside this process"),
    ] {
        for file in [None, Some(path.as_path())] {
            let error = given.clone().over(file).unwrap().check().unwrap_err().to_string();
            assert!(error.starts_with(flag), "{error}");
        }
    }
}

#[test]
fn every_key_is_a_setting_that_a_file_may_hold() {
    let complete = Settings { data: Some("synthetic".to_owned()), ..Settings::default() }.complete();
    let table = toml::Table::try_from(&complete).unwrap();
    let keys = Settings::keys();
    assert!(table.keys().all(|key| keys.contains(key)), "{:?}", table);
}

#[test]
fn an_address_is_taken_by_its_name_also_in_a_file() {
    let read = |text: &str| toml::from_str::<Settings>(text);
    let settings = read("metrics = 'localhost:9464'\nlisten = '127.0.0.1:0'").unwrap();
    assert!(settings.metrics.unwrap().ip().is_loopback() && settings.listen.is_some());
    for key in ["metrics", "listen"] {
        let error = read(&format!("{key} = '9464'")).unwrap_err().to_string();
        assert!(error.contains("`9464` is not an address to listen on: give HOST:PORT"), "{error}");
    }
}

#[test]
fn a_key_that_is_no_setting_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    for (text, expected) in [
        ("seed = 1\nbatchsize = 64\n", "settings.toml line 2: unknown field `batchsize`"),
        ("seed = 1\nepochs = \"x\"\n", "settings.toml line 2: invalid type"),
        ("seed = 1\n\ntest-fraction = \"x\"\n", "settings.toml line 3: test-fraction: invalid type"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Settings::default().over(Some(&path)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
