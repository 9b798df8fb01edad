//! Watching and stopping a training from another process.

use super::authority::Authority;
use super::{error_line, json, stderr, trainer};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

/// A training that would go on for hours.
struct Training {
    child: Child,
    log: std::io::Lines<BufReader<ChildStderr>>,
    /// Where it listens.
    address: String,
}

impl Training {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = trainer(folder);
        command.args(["train", "--data", "synthetic:200", "--model", "linear", "--batch-size", "8"]);
        command.args(["--epochs", "100000", "--threads", "1", "--output", "run", "--json"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut training = Training { child, log, address: String::new() };
        training.address = training.address_of("serving progress");
        training
    }

    /// The address in the next log line that says this.
    fn address_of(&mut self, what: &str) -> String {
        let line = self.log.by_ref().map_while(Result::ok).find(|line| line.contains(what));
        let line = line.unwrap_or_else(|| panic!("no line says {what}"));
        line.split_whitespace().find_map(|word| word.strip_prefix("address=")).unwrap().to_owned()
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Its result, when it ends by itself.
    fn result(mut self) -> Output {
        let mut stdout = Vec::new();
        self.child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        let log: String = self.log.by_ref().map_while(Result::ok).map(|line| line + "\n").collect();
        Output { status: self.child.wait().unwrap(), stdout, stderr: log.into_bytes() }
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn call(folder: &Path, command: &str, address: &str) -> Command {
    let mut call = trainer(folder);
    call.args([command, "--trainer", address]);
    call
}

#[test]
fn a_training_is_watched_and_stopped_from_outside_and_can_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut training = Training::start(folder.path(), &["--listen", "127.0.0.1:0"]);

    let mut watch = call(folder.path(), "watch", &training.address);
    let mut watch = watch.args(["--interval", "100ms"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut seen = BufReader::new(watch.stdout.take().unwrap()).lines().map_while(Result::ok);
    let what = seen.find(|line| line.contains("linear on synthetic")).expect("it says what is trained");
    assert!(what.contains("cpu, 1 CPU thread ·") && what.contains("run"), "{what}");
    assert!(seen.any(|line| line.starts_with("epoch 1 done: training loss ")), "epochs are told");
    assert!(seen.any(|line| line.contains(" images/s ") && line.contains("data wait")), "and progress");

    assert!(training.is_running());
    let stop = call(folder.path(), "stop", &training.address).output().unwrap();
    assert!(stop.status.success(), "{}", stderr(&stop));
    let ending = String::from_utf8(stop.stdout).unwrap().trim().to_owned();
    assert_eq!(seen.last().as_deref(), Some(&*ending), "both hear how it ended");
    assert!(watch.wait().unwrap().success());

    let output = training.result();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let result = json(&output);
    let step = result["steps"].as_u64().unwrap();
    assert!(ending.starts_with(&format!("stopped after step {step}: test accuracy ")), "{ending}");
    assert_eq!((result["finished"].as_bool(), step > 0), (Some(false), true));
    assert!(ending.contains(result["checkpoint"].as_str().unwrap()));
    assert!(folder.path().join("run/checkpoint-last.safetensors").exists());

    let mut resume = trainer(folder.path());
    resume.args(["train", "--output", "run", "--resume", "--json", "--steps", &(step + 3).to_string()]);
    let result = json(&resume.output().unwrap());
    assert_eq!(
        (result["resumed_from_step"].as_u64(), result["steps"].as_u64()),
        (Some(step), Some(step + 3))
    );
    assert_eq!(result["finished"], true);
}

#[test]
fn a_trainer_that_others_can_reach_refuses_to_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut training = Training::start(folder.path(), &["--listen", "0.0.0.0:0"]);
    let port = training.address.rsplit_once(':').unwrap().1.to_owned();
    let output = call(folder.path(), "stop", &format!("127.0.0.1:{port}")).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let line = error_line(&output);
    assert!(
        line.contains("refuses") && line.contains(&training.address) && line.contains("SIGTERM"),
        "{line}"
    );
    assert!(training.is_running(), "and goes on");
}

#[test]
fn a_training_is_well_also_while_it_waits_for_loaders() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = trainer(folder.path());
    command.args(["train", "--loaders", "127.0.0.1:9", "--output", "run", "--listen", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut training = Training { child, log, address: String::new() };
    training.address = training.address_of("serving progress");
    let output = call(folder.path(), "healthcheck", &training.address).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("answers: step 0 of "));
    assert!(training.is_running());
}

#[test]
fn nobody_who_answers_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["watch", "stop", "healthcheck"] {
        let output = call(folder.path(), command, "127.0.0.1:9").output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let line = error_line(&output);
        assert!(line.contains("127.0.0.1:9") && line.contains("--listen"), "{line}");
    }
    let output = call(folder.path(), "watch", "127.0.0.1:9").args(["--interval", "1h"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error_line(&output).contains("--interval"));
}

#[test]
fn the_metrics_say_how_many_loaders_are_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = trainer(folder.path());
    command.args(["train", "--data", "synthetic:200", "--model", "linear", "--epochs", "100000"]);
    command.args(["--threads", "1", "--output", "run", "--metrics", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut training = Training { child, log, address: String::new() };
    let address = training.address_of("serving metrics");
    assert!(training.log.by_ref().map_while(Result::ok).any(|line| line.contains("epoch done")));
    let page = page(&address).unwrap();
    for told in ["mixfeed_build_info{", "mixfeed_dataset_info{", "mixfeed_trainer_saved_timestamp_seconds 1"]
    {
        assert!(page.contains(told), "{told} not in:\n{page}");
    }
    let wanted = page.lines().find_map(|line| line.strip_prefix("mixfeed_trainer_loaders_wanted "));
    // One loader inside the process, for which is waited more or less.
    let wanted: f64 = wanted.unwrap_or_else(|| panic!("not in:\n{page}")).parse().unwrap();
    assert!((1.0..=100.0).contains(&wanted), "{wanted}");
}

/// What is on the page of metrics, if anybody still answers.
fn page(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    Some(page)
}

#[test]
fn a_training_that_diverged_stays_until_it_was_scraped() {
    let folder = tempfile::tempdir().unwrap();
    let loader = mixfeed_testing::free_addresses(1).remove(0);
    let mut command = trainer(folder.path());
    command.args(["train", "--loaders", &loader, "--lr", "1e6", "--batch-size", "8", "--steps", "8"]);
    command.args(["--threads", "1", "--output", "run", "--metrics", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut training = Training { child, log, address: String::new() };
    let address = training.address_of("serving metrics");
    // Somebody scrapes, once, before there is a loader: the next time is waited for.
    page(&address).unwrap();
    let flags = ["--data", "synthetic:64", "--workers", "1", "--listen", &loader];
    let _loader = mixfeed_testing::Serving::start(&crate::support::loader_binary(), &flags);
    assert!(training.log.by_ref().map_while(Result::ok).any(|line| line.contains("scraped once more")));
    assert!(training.is_running());
    assert!(page(&address).unwrap().contains("\nmixfeed_trainer_diverged 1\n"));
    assert_eq!(training.result().status.code(), Some(5));
}

const TOKEN: &str = "a-token-for-tests-0123456789";

/// Beyond its own machine, and ended from there: by those who prove themselves.
#[test]
fn a_training_with_tls_and_a_token_is_watched_and_ended_by_those_who_have_both() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    ours.sign("trainer", &["127.0.0.1"], false);
    let token = ours.token(TOKEN);
    let (certificate, key) = (ours.file("trainer.pem"), ours.file("trainer.key"));
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--listen-tls-cert", &certificate, "--listen-tls-key", &key];
    let asks = ["--listen", "0.0.0.0:0", "--listen-require-auth", "--listen-auth-token-file", &token];
    let training = Training::start(folder.path(), &[&asks[..], &flags].concat());
    let address = training.address.replace("0.0.0.0", "127.0.0.1");

    let ask = |command: &str, flags: &[&str]| {
        let output = call(folder.path(), command, &address).args(flags).output().unwrap();
        assert!(!stderr(&output).contains(TOKEN));
        (output.status.code(), output)
    };
    let (ca, other_ca) = (ours.file("ca.pem"), theirs.file("ca.pem"));
    let other_token = theirs.token("another-token-0123456789");
    for (command, flags, code, said) in [
        ("healthcheck", &["--tls-ca", &ca][..], 2, "give --auth-token-file with the trainer's"),
        ("stop", &["--tls-ca", &ca, "--auth-token-file", &other_token], 2, "is not the trainer's"),
        ("stop", &["--tls-ca", &other_ca, "--auth-token-file", &token], 1, "no trainer answers at"),
        ("stop", &["--auth-token-file", &token], 1, "give --tls-ca"),
        ("watch", &["--tls-ca", "/nowhere.pem"], 2, "cannot read /nowhere.pem"),
    ] {
        let (ended, output) = ask(command, flags);
        let line = error_line(&output);
        assert!(ended == Some(code) && line.contains(said), "{command} {flags:?}: {line}");
    }
    let proof = ["--tls-ca", &ca, "--auth-token-file", &token];
    let (code, output) = ask("healthcheck", &proof);
    assert_eq!(code, Some(0), "{}", stderr(&output));
    let (code, output) = ask("stop", &proof);
    assert_eq!(code, Some(0), "{}", stderr(&output));
    let result = training.result();
    let log = stderr(&result);
    assert!(!log.contains(TOKEN) && !log.contains("can be reached from other machines"), "{log}");
    assert_eq!(json(&result)["finished"], false);
}

/// Trust in a certificate ends with it, at this end as well as at that of whoever is asked for one.
#[test]
fn certificates_of_the_past_and_of_others_open_nothing() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    ours.sign("old", &["127.0.0.1"], true);
    ours.sign("trainer", &["127.0.0.1"], false);
    ours.sign("me", &["me"], false);
    theirs.sign("me", &["me"], false);
    let folder = tempfile::tempdir().unwrap();
    let (ca, old, old_key) = (ours.file("ca.pem"), ours.file("old.pem"), ours.file("old.key"));
    let (certificate, key) = (ours.file("trainer.pem"), ours.file("trainer.key"));
    let listen = ["--listen", "127.0.0.1:0"];
    let code = |address: &str, flags: &[&str]| {
        call(folder.path(), "healthcheck", address).args(flags).output().unwrap().status.code()
    };

    let flags = ["--listen-tls-cert", &old, "--listen-tls-key", &old_key];
    let expired = Training::start(folder.path(), &[&listen[..], &flags].concat());
    assert_eq!(code(&expired.address, &["--tls-ca", &ca]), Some(1));
    drop(expired);

    let flags = ["--listen-tls-cert", &certificate, "--listen-tls-key", &key, "--listen-tls-client-ca", &ca];
    let mutual = Training::start(folder.path(), &[&listen[..], &flags, &["--overwrite"]].concat());
    let with = |authority: &Authority| {
        let (mine, key) = (authority.file("me.pem"), authority.file("me.key"));
        code(&mutual.address, &["--tls-ca", &ca, "--tls-cert", &mine, "--tls-key", &key])
    };
    assert_eq!((with(&ours), with(&theirs)), (Some(0), Some(1)));
    assert_eq!(code(&mutual.address, &["--tls-ca", &ca]), Some(1));
}

#[test]
fn what_cannot_be_asked_of_callers_is_refused_before_anything_begins() {
    let folder = tempfile::tempdir().unwrap();
    for (flags, said) in [
        (&["--listen-require-auth"][..], "need --listen"),
        (
            &["--listen", "0.0.0.0:0", "--listen-require-auth"],
            "--listen-require-auth: there is neither TLS nor",
        ),
        (&["--listen", "127.0.0.1:0", "--listen-tls-cert", "x.pem"], "--listen-tls-key go together"),
        (&["--listen", "127.0.0.1:0", "--listen-auth-token-file", "none"], "cannot read none"),
    ] {
        let mut command = trainer(folder.path());
        let output = command.args(["train", "--data", "synthetic:100"]).args(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {}", stderr(&output));
        assert!(error_line(&output).contains(said), "{flags:?}: {}", stderr(&output));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was written");
}

#[test]
fn an_address_that_is_taken_is_named_with_its_flag_and_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    for flag in ["--listen", "--metrics"] {
        let mut command = trainer(folder.path());
        let output = command.args(["train", "--data", "synthetic:10", flag, &address]).output().unwrap();
        let line = error_line(&output);
        assert!(line.contains(&format!("{flag}: cannot listen on {address}: ")), "{line}");
        assert!(
            line.ends_with("; give another address (port 0 picks a free one), or end what listens there")
        );
    }
}
