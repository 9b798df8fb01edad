//! `fetch`, as a user meets it, from a server on loopback that behaves in the ways that servers do.

mod server;

use crate::commands::{cifar, loader, refused};
use crate::write::tar_file;
use flate2::{Compression, write::GzEncoder};
use mixfeed_ops::testing;
use server::{Answer, Server};
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A folder, and an archive of a set of two records a file.
struct Bench {
    place: tempfile::TempDir,
    archive: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        Self::of(&archive_of("cifar-10-batches-bin"))
    }

    /// With other files in the archive.
    fn of(tar: &[u8]) -> Self {
        Self { place: tempfile::tempdir().unwrap(), archive: gzip(tar) }
    }

    fn output(&self) -> PathBuf {
        self.place.path().join("data/set")
    }

    fn part(&self) -> PathBuf {
        self.place.path().join("data/set.tar.gz.part")
    }

    fn flags(&self, url: &str) -> Vec<String> {
        let sha256 = hex::encode(Sha256::digest(&self.archive));
        let output = self.output().display().to_string();
        ["fetch", "cifar10", "--output", &output, "--url", url, "--sha256", &sha256].map(Into::into).into()
    }

    fn fetch(&self, url: &str) -> Output {
        let flags = self.flags(url);
        let mut command = loader(&flags.iter().map(String::as_str).collect::<Vec<_>>());
        without_proxies(&mut command);
        command.output().unwrap()
    }

    /// Fetches what must come, and returns what is told of it.
    fn done(&self, url: &str) -> String {
        let output = self.fetch(url);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        self.assert_complete();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Fetches what must not come, and returns the one line about it.
    fn failed(&self, code: i32, url: &str) -> String {
        let output = self.fetch(url);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1, "{stderr}");
        stderr
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The set is there and nothing is beside it.
    fn assert_complete(&self) {
        assert_eq!(self.names(&self.place.path().join("data")), ["set"]);
        let files = self.names(&self.output());
        assert!(
            files.contains(&"data_batch_5.bin".into()) && files.contains(&"SHA256SUMS".into()),
            "{files:?}"
        );
        assert!(!files.contains(&"more.txt".into()), "{files:?}");
    }

    /// No trace of a set.
    fn assert_nothing(&self) {
        assert_eq!(self.names(&self.place.path().join("data")), [""; 0]);
    }
}

/// Addresses on loopback go through no proxy.
fn without_proxies(command: &mut std::process::Command) {
    for name in ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// The files of a small CIFAR-10 as an archive has them, without its end mark.
fn files_of(folder: &str) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    cifar(place.path());
    let mut tar = tar_file(&format!("{folder}/"), b'5', b"");
    let mut files: Vec<_> =
        std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        tar.extend(tar_file(&format!("{folder}/{name}"), b'0', &std::fs::read(&file).unwrap()));
    }
    tar.extend(tar_file(&format!("{folder}/more.txt"), b'0', b"of no use"));
    tar
}

fn archive_of(folder: &str) -> Vec<u8> {
    [files_of(folder), vec![0; 1024]].concat()
}

#[test]
fn a_set_comes_and_is_known_the_next_time() {
    let bench = Bench::new();
    let server = Server::start(&bench.archive, [Answer::Parts]);
    let told = bench.done(&server.url());
    let output = bench.output().display().to_string();
    assert!(told.starts_with(&format!("cifar10 is in {output}\n")), "{told}");
    for line in ["10 train, 2 test", "Krizhevsky", "2009", &format!("mixfeed-loader serve --data {output}")] {
        assert!(told.contains(line), "{line} in {told}");
    }
    assert_eq!(server.asked().len(), 1);

    // The server has no answer left: nothing is asked for.
    let told = bench.done(&server.url());
    assert!(told.contains("is already in") && told.contains("by the SHA256SUMS"), "{told}");

    // A file that was changed is found, and fetched again if that is asked for.
    std::fs::write(bench.output().join("data_batch_2.bin"), vec![1; 3073]).unwrap();
    let line = bench.failed(3, &server.url());
    assert!(
        line.contains("data_batch_2.bin: not what was unpacked") && line.contains("--overwrite"),
        "{line}"
    );
    let server = Server::start(&bench.archive, [Answer::Parts]);
    let mut flags = bench.flags(&server.url());
    flags.extend(["--overwrite", "--json"].map(Into::into));
    let mut command = loader(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    without_proxies(&mut command);
    let output = command.output().unwrap();
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (object["already_there"].as_bool(), object["splits"]["train"].as_u64()),
        (Some(false), Some(10))
    );
    bench.assert_complete();
}

#[test]
fn a_download_that_is_cut_goes_on_where_it_stopped() {
    let bench = Bench::new();
    let half = bench.archive.len() / 2;
    let server = Server::start(&bench.archive, [Answer::Cut(half), Answer::Parts]);
    bench.done(&server.url());
    let asked = server.asked();
    assert!(!asked[0].contains("range:"), "{asked:?}");
    assert!(
        asked[1].contains(&format!("range: bytes={half}-")) && asked[1].contains("if-range: \"one\""),
        "{asked:?}"
    );
}

#[test]
fn a_later_command_goes_on_with_what_an_earlier_one_left() {
    let bench = Bench::new();
    let half = bench.archive.len() / 2;
    // The second connection brings nothing more, so the first command gives up.
    let server =
        Server::start(&bench.archive, [Answer::Cut(half), Answer::Status("503 Service Unavailable")]);
    let line = bench.failed(1, &server.url());
    assert!(line.contains("the server answers 503"), "{line}");
    assert_eq!(std::fs::read(bench.part()).unwrap(), bench.archive[..half]);
    let server = Server::start(&bench.archive, [Answer::Parts]);
    bench.done(&server.url());
    assert!(server.asked()[0].contains(&format!("range: bytes={half}-")));
}

#[test]
fn a_server_that_knows_no_parts_is_read_from_the_start() {
    let bench = Bench::new();
    let server = Server::start(&bench.archive, [Answer::Cut(bench.archive.len() / 3), Answer::Whole]);
    bench.done(&server.url());
}

#[test]
fn what_was_left_of_another_archive_is_thrown_away() {
    let bench = Bench::new();
    let left = |bytes: &[u8]| {
        std::fs::create_dir_all(bench.part().parent().unwrap()).unwrap();
        std::fs::write(bench.part(), bytes).unwrap();
    };
    left(&[7; 100]);
    let server = Server::start(&bench.archive, [Answer::Parts, Answer::Parts]);
    bench.done(&server.url());
    assert!(!server.asked()[1].contains("range:"), "the second time from the start");

    // Longer than the archive: there is no such part.
    std::fs::remove_dir_all(bench.output()).unwrap();
    left(&vec![7; bench.archive.len() + 1]);
    let server = Server::start(&bench.archive, [Answer::Parts, Answer::Parts]);
    bench.done(&server.url());

    // All of it: nobody need be asked.
    std::fs::remove_dir_all(bench.output()).unwrap();
    left(&bench.archive);
    bench.done("http://127.0.0.1:9/");
}

#[test]
fn another_archive_than_the_wanted_one_is_refused() {
    let bench = Bench::new();
    let other = gzip(&archive_of("cifar-100-binary"));
    let server = Server::start(&other, [Answer::Parts]);
    let line = bench.failed(3, &server.url());
    assert!(line.contains("its SHA-256 is") && line.contains("--sha256"), "{line}");
    bench.assert_nothing();
    let file = bench.place.path().join("a file.tar.gz");
    std::fs::write(&file, &other).unwrap();
    let line = bench.failed(3, &format!("file://{}", file.display()));
    assert!(line.contains("its SHA-256 is"), "{line}");
    bench.assert_nothing();
}

#[test]
fn whatever_keeps_the_archive_away_is_one_line_that_says_what_else_there_is() {
    let bench = Bench::new();
    let server = Server::start(
        &bench.archive,
        [Answer::Status("404 Not Found"), Answer::Redirect, Answer::Garbage, Answer::Huge],
    );
    let nobody = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", free.local_addr().unwrap())
    };
    for (url, reason) in [
        (server.url(), "the server answers 404"),
        (server.url(), "too many redirects"),
        // This server speaks no TLS.
        (server.url().replace("http:", "https:"), "corrupt message"),
        (server.url(), "larger than 512"),
        (nobody, "refused"),
        ("http://nowhere.invalid/".into(), ""),
        (format!("file://{}/none.tar.gz", bench.place.path().display()), "No such file"),
    ] {
        let line = bench.failed(1, &url);
        assert!(line.to_lowercase().contains(&reason.to_lowercase()), "{reason} in {line}");
        for alternative in ["--url", "--data DIR", "synthetic"] {
            assert!(line.contains(alternative), "{alternative} in {line}");
        }
        bench.assert_nothing();
    }
}

#[test]
fn an_archive_with_paths_that_lead_out_of_it_is_not_unpacked() {
    let whole = files_of("cifar-10-batches-bin");
    for name in ["../out.bin", "/tmp/out.bin", "cifar-10-batches-bin/../../out.bin"] {
        let bench = Bench::of(&[whole.clone(), tar_file(name, b'0', b"out"), vec![0; 1024]].concat());
        let server = Server::start(&bench.archive, [Answer::Parts]);
        let line = bench.failed(3, &server.url());
        assert!(line.contains(name) && line.contains("leads out of it"), "{line}");
        assert!(!bench.place.path().join("out.bin").exists());
        bench.assert_nothing();
    }
}

#[test]
fn an_archive_that_is_not_the_set_is_not_unpacked() {
    let file = "cifar-10-batches-bin/test_batch.bin";
    let whole = files_of("cifar-10-batches-bin");
    let end = vec![0; 1024];
    let link = [tar_file(file, b'2', b""), end.clone()].concat();
    let label = [files_of("x"), tar_file("x", b'0', b"")].concat();
    for (tar, reason) in [
        (whole.clone(), "its end mark is missing"),
        (link, "holds no cifar-10-batches-bin/data_batch_1.bin"),
        ([label, end.clone()].concat(), "holds no cifar-10-batches-bin/data_batch_1.bin"),
        ([whole, tar_file(file, b'0', b""), end].concat(), "holds test_batch.bin twice"),
        (vec![b'x'; 5000], "no tar header"),
    ] {
        let bench = Bench::of(&tar);
        let server = Server::start(&bench.archive, [Answer::Parts]);
        let line = bench.failed(3, &server.url());
        assert!(line.contains(reason), "{reason} in {line}");
        bench.assert_nothing();
    }
    let mut bench = Bench::new();
    bench.archive.truncate(bench.archive.len() / 2);
    let server = Server::start(&bench.archive, [Answer::Parts]);
    assert!(bench.failed(3, &server.url()).contains("the archive is damaged after"));
    // A gigabyte of zeros.
    let bench = Bench::of(&vec![0; 1 << 30]);
    let server = Server::start(&bench.archive, [Answer::Parts]);
    assert!(bench.failed(3, &server.url()).contains("unpacks to more than 512"));
}

#[test]
fn a_folder_that_holds_something_else_is_left_alone() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.output()).unwrap();
    std::fs::write(bench.output().join("thesis.txt"), "years of work").unwrap();
    let file = bench.place.path().join("a.tar.gz");
    std::fs::write(&file, &bench.archive).unwrap();
    let url = format!("file://{}", file.display());
    assert!(bench.failed(2, &url).contains("holds thesis.txt, which is not a file of cifar10"));
    let mut flags = bench.flags(&url);
    flags.push("--overwrite".into());
    let line = refused(2, &flags.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(line.contains("thesis.txt"), "{line}");
    assert_eq!(std::fs::read(bench.output().join("thesis.txt")).unwrap(), b"years of work");

    std::fs::remove_file(bench.output().join("thesis.txt")).unwrap();
    bench.done(&url);
    // The authors' archive is asked for, and another one was unpacked.
    let output = bench.output().display().to_string();
    let line = refused(2, &["fetch", "cifar10", "--output", &output]);
    assert!(line.contains("from another archive") && line.contains("--overwrite"), "{line}");
    std::fs::remove_file(bench.output().join("SHA256SUMS")).unwrap();
    let line = refused(2, &["fetch", "cifar10", "--output", &output]);
    assert!(line.contains("holds 10 and 2 images"), "{line}");
    let told = String::from_utf8(bench.fetch(&url).stdout).unwrap();
    assert!(told.contains("form and number of the records only"), "{told}");
}

#[test]
fn a_set_that_was_unpacked_by_hand_is_known_by_its_content() {
    let Some(data) = testing::require("data", testing::data()) else { return };
    let output = crate::commands::run(&["fetch", "cifar10", "--output", data.to_str().unwrap()]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains("50000 train, 10000 test") && told.contains("by the digest of their content"),
        "{told}"
    );
}
