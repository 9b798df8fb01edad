//! Many trainers that learn as one: the same weights for 1, 2 and 4 of them, when one is lost and others go on, and one line
//! with its exit code on each where they cannot begin.

#[path = "group/chaos.rs"]
mod chaos;

use super::{json, stderr, trainer};
use crate::resume::step_of;
use crate::support::LoaderProcess;
use mixfeed_ops::testing;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Lines, Read as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use tokio::net::TcpSocket;

/// Two epochs of five steps, the last of which has four rows: one for each virtual shard.
const SMALL: [(&str, &str); 7] = [
    ("--batch-size", "16"),
    ("--epochs", "2"),
    ("--threads", "1"),
    ("--workers", "1"),
    ("--data", "synthetic:68"),
    ("--virtual-shards", "4"),
    ("--test-limit", "13"),
];

/// A network with batch normalisation.
const NORMALISED: [&str; 6] = ["--model", "fast-resnet", "--optimizer", "sgd", "--lr", "0.01"];

/// With a line for each checkpoint.
const DEBUG: [&str; 2] = ["--log", "info,mixfeed_trainer=debug"];

/// A training with these flags; what they leave open is that of a small one.
fn small(flags: &[&str]) -> Vec<String> {
    let has_loaders = flags.contains(&"--loaders");
    let is_open = |(flag, _): &&(&str, &str)| {
        !(flags.contains(flag) || has_loaders && ["--data", "--workers"].contains(flag))
    };
    let open = SMALL.iter().filter(is_open).flat_map(|(flag, value)| [*flag, *value]);
    ["train"].into_iter().chain(open).chain(flags.iter().copied()).map(str::to_owned).collect()
}

/// A trainer of a group, killed when it is dropped.
struct Rank {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    /// The lines that were looked at.
    said: Vec<String>,
}

impl Rank {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Rank { child, log, said: Vec::new() }
    }

    /// The value of a field in the next line that says this.
    fn field(&mut self, says: &str, field: &str) -> String {
        self.next_field(says, field).unwrap_or_else(|| panic!("no line says {says}: {:#?}", self.said))
    }

    /// The same, unless the trainer ends before it says so.
    fn next_field(&mut self, says: &str, field: &str) -> Option<String> {
        for line in self.log.by_ref().map_while(Result::ok) {
            let found = line.contains(says).then(|| value(&line, field));
            self.said.push(line);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// The same of a line that was looked at before.
    fn earlier_field(&self, says: &str, field: &str) -> String {
        value(self.said.iter().find(|line| line.contains(says)).unwrap(), field)
    }

    fn send(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    fn output(mut self) -> Output {
        self.said.extend(self.log.by_ref().map_while(Result::ok));
        let log: String = self.said.iter().map(|line| format!("{line}\n")).collect();
        let mut stdout = Vec::new();
        self.child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        Output { status: self.child.wait().unwrap(), stdout, stderr: log.into_bytes() }
    }
}

fn value(line: &str, field: &str) -> String {
    let is_it = |word: &str| word.strip_prefix(field)?.strip_prefix('=').map(str::to_owned);
    line.split_whitespace().find_map(is_it).unwrap()
}

impl Drop for Rank {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a group; `arguments` gives each rank's. Rank 0 works in `folder`, each other one in a folder of its own.
fn start(folder: &Path, world: u32, arguments: &dyn Fn(u32) -> Vec<String>) -> Vec<Rank> {
    let mut address = "127.0.0.1:0".to_owned();
    let mut ranks = Vec::new();
    for rank in 0..world {
        let place = if rank == 0 { folder.to_owned() } else { folder.join(format!("of-rank-{rank}")) };
        std::fs::create_dir_all(&place).unwrap();
        let mut command = trainer(&place);
        let number = [rank, world].map(|number| number.to_string());
        command.args(arguments(rank)).args(["--json", "--output", "run"]);
        command.args(["--group", &address, "--rank", &number[0], "--world", &number[1]]);
        let mut started = Rank::start(command);
        if rank == 0 && address.ends_with(":0") {
            address = started.field("joining the group", "store");
        }
        ranks.push(started);
    }
    ranks
}

fn alone(folder: &Path, more: &[&str]) -> Value {
    json(&trainer(folder).args(small(more)).args(["--json", "--output", "alone"]).output().unwrap())
}

/// All ends well: rank 0 has a result, the others have done what they should, and written nothing.
fn result(folder: &Path, ranks: Vec<Rank>) -> Value {
    let mut outputs = ranks.into_iter().map(Rank::output);
    let result = json(&outputs.next().unwrap());
    for (rank, output) in (1..).zip(outputs) {
        assert!(output.status.success() && output.stdout.is_empty(), "rank {rank}: {}", stderr(&output));
        let own = std::fs::read_dir(folder.join(format!("of-rank-{rank}"))).unwrap();
        assert!(own.map(|file| file.unwrap().file_name()).all(|name| name == "net.pt"), "rank {rank} writes");
    }
    result
}

/// What must not depend on who computed what.
fn learnt(result: &Value) -> Vec<&Value> {
    ["weights_digest", "train_loss", "test_accuracy", "test_loss", "images", "steps"]
        .map(|key| &result[key])
        .into()
}

#[test]
fn one_two_and_four_trainers_end_with_the_same_bits() {
    let mixed = ["--mixup-prob", "0.5", "--label-smoothing", "0.1", "--clip-norm", "1"];
    for network in [
        &[&["--model", "article-cnn"], &mixed[..]].concat()[..],
        // Batch normalisation, an average, and more test images than one of them scores.
        &[&NORMALISED[..], &["--ema", "0.5"]].concat(),
        // Batch normalisation, dropout and a buffer that is no statistic.
        &["--model", "net.pt"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let network_file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/network.pt");
        for place in
            [".", "two", "four", "two/of-rank-1", "four/of-rank-1", "four/of-rank-2", "four/of-rank-3"]
        {
            std::fs::create_dir_all(folder.path().join(place)).unwrap();
            std::fs::copy(&network_file, folder.path().join(place).join("net.pt")).unwrap();
        }
        let golden = alone(folder.path(), network);
        for (world, name) in [(2, "two"), (4, "four")] {
            let place = folder.path().join(name);
            let result = result(&place, start(&place, world, &|_| small(network)));
            assert_eq!(learnt(&result), learnt(&golden), "{network:?}, world {world}");
        }
        let whole = alone(&folder.path().join("two"), &[network, &["--virtual-shards", "1"]].concat());
        assert_ne!(whole["weights_digest"], golden["weights_digest"], "{network:?}: the sum is another");
    }
}

#[test]
fn loaders_may_be_lost_while_trainers_share_their_batches() {
    let folder = tempfile::tempdir().unwrap();
    let model = ["--model", "linear", "--epochs", "8"];
    let golden = alone(folder.path(), &model);
    let mut loaders: Vec<_> = (0..3).map(|_| LoaderProcess::start("synthetic:68", 1)).collect();
    let addresses: Vec<_> = loaders.iter().map(|loader| loader.address.clone()).collect();
    let addresses = addresses.join(",");
    let mut ranks = start(folder.path(), 2, &|_| small(&[&model[..], &["--loaders", &addresses]].concat()));
    let _ = ranks[0].field("epoch done", "epoch");
    loaders.remove(1).kill();
    assert_eq!(learnt(&result(folder.path(), ranks)), learnt(&golden));
}

/// From four to two to one, each time after a loss, with checkpoints in between.
#[test]
fn a_lost_trainer_ends_the_others_with_7_and_the_run_goes_on_with_fewer() {
    let more = ["--epochs", "4", "--checkpoint-every", "1", "--resume", "auto"];
    let more = [&NORMALISED[..], &more, &DEBUG].concat();
    let folder = tempfile::tempdir().unwrap();
    let golden = alone(folder.path(), &more);
    let mut at = 0;
    for (world, lost) in [(4, 2), (2, 1)] {
        let mut ranks = start(folder.path(), world, &|_| small(&more));
        while ranks[0].field("checkpoint written", "step").parse::<u64>().unwrap() < at + 3 {}
        ranks.remove(lost).send("-KILL");
        for (place, rank) in ranks.into_iter().enumerate() {
            let output = rank.output();
            assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
            assert!(error_line(&output).contains("the group was lost: rank"), "{}", stderr(&output));
            assert_eq!(
                stderr(&output).contains("checkpoint written; --resume"),
                place == 0,
                "{}",
                stderr(&output)
            );
        }
        let step = step_of(&folder.path().join("run/checkpoint-last.safetensors"));
        assert!((at + 3..20).contains(&step), "lost at step {step}");
        at = step;
    }
    let resumed =
        trainer(folder.path()).args(small(&more)).args(["--json", "--output", "run"]).output().unwrap();
    let resumed = json(&resumed);
    assert_eq!(resumed["resumed_from_step"], at);
    assert_eq!(learnt(&resumed), learnt(&golden));
}

#[test]
fn a_trainer_that_hangs_ends_the_others_in_time() {
    if testing::require("slow", testing::slow()).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let more =
        ["--model", "linear", "--epochs", "100000", "--group-timeout", "10s", "--loader-timeout", "1s"];
    let mut ranks = start(folder.path(), 2, &|_| small(&more));
    let _ = ranks[0].field("epoch done", "epoch");
    ranks[1].send("-STOP");
    let output = ranks.remove(0).output();
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert!(stderr(&output).contains("checkpoint written; --resume"), "{}", stderr(&output));
}

#[test]
fn a_call_ends_all_of_them_after_one_step_and_signals_end_each() {
    let folder = tempfile::tempdir().unwrap();
    let long =
        ["--model", "linear", "--epochs", "100000", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"];
    let mut ranks = start(folder.path(), 2, &|_| small(&long));
    let _ = ranks[0].field("epoch done", "epoch");
    for rank in &ranks {
        rank.send("-TERM");
    }
    let codes: Vec<_> = ranks.into_iter().map(|rank| rank.output().status.code()).collect();
    assert_eq!(codes, [Some(143), Some(143)]);

    let mut ranks =
        start(folder.path(), 2, &|_| [small(&long), vec!["--resume".into(), "auto".into()]].concat());
    let address = ranks[0].earlier_field("serving progress", "address");
    let _ = ranks[0].field("epoch done", "epoch");
    let stopped = trainer(folder.path()).args(["stop", "--trainer", &address]).output().unwrap();
    assert!(stopped.status.success(), "{}", stderr(&stopped));
    let result = result(folder.path(), ranks);
    assert_eq!(result["finished"], false);
    assert!(result["test_accuracy"].is_number());
}

/// The one line that says what is wrong, on any rank.
fn error_line(output: &Output) -> String {
    super::error_line(output)
}

#[test]
fn ranks_that_would_not_learn_the_same_are_refused_on_each_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let linear = ["--model", "linear"];
    let with = |more: &[&'static str]| small(&[&linear[..], more].concat());
    let three = |ranks: Vec<String>| vec![ranks.clone(), ranks.clone(), ranks];
    for (ranks, expected) in [
        (vec![with(&["--lr", "0.1"]), with(&["--lr", "0.2"])], "rank 1 has --lr 0.2, rank 0 has 0.1"),
        (vec![with(&[]), with(&["--threads", "2"])], "rank 1 has --threads 2, rank 0 has 1"),
        (vec![with(&[]), with(&["--epochs", "3"])], "rank 1 has --epochs 3, rank 0 has 2"),
        (vec![with(&[]), with(&["--data", "synthetic:69"])], "rank 1 and rank 0 differ in the dataset"),
        (three(with(&[])), "a group of 3 does not divide --virtual-shards 4"),
        (vec![with(&[]), with(&["--lr", "0"])], "--lr is 0"),
        (vec![with(&["--lr", "0"]), with(&[])], "--lr is 0"),
        (vec![with(&["--resume"]), with(&["--resume"])], "--resume"),
    ] {
        let (_reserved, ranks) = start_all(folder.path(), &ranks);
        for (rank, output) in ranks.into_iter().map(Rank::output).enumerate() {
            assert_eq!(output.status.code(), Some(2), "rank {rank}, {expected}: {}", stderr(&output));
            assert!(error_line(&output).contains(expected), "rank {rank}: {}", stderr(&output));
        }
        assert!(!folder.path().join("run").exists(), "nothing is left of {expected}");
    }
}

/// Starts all of a group at once, at a port that nobody else gets while the socket lives: it does not listen, so that rank 0 may.
fn start_all(folder: &Path, arguments: &[Vec<String>]) -> (TcpSocket, Vec<Rank>) {
    let reserved = TcpSocket::new_v4().unwrap();
    reserved.set_reuseaddr(true).unwrap();
    reserved.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = reserved.local_addr().unwrap().to_string();
    let world = arguments.len().to_string();
    let command = |rank: usize| {
        let mut command = trainer(folder);
        command.args(&arguments[rank]).args(["--json", "--output", "run", "--rank", &rank.to_string()]);
        Rank::start({
            command.args(["--group", &address, "--world", &world]);
            command
        })
    };
    let ranks = (0..arguments.len()).map(command).collect();
    (reserved, ranks)
}

#[test]
fn who_cannot_meet_ends_in_time_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |flags: &[&str], code: i32, expected: &str| {
        let output = trainer(folder.path()).args(small(&["--output", "run"])).args(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {}", stderr(&output));
        assert!(error_line(&output).contains(expected), "{}", stderr(&output));
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let short = ["--world", "2", "--group-timeout", "1s"];
    let with = |more: &[&'static str]| [&short[..], more].concat();
    refused(
        &[&with(&["--rank", "0", "--group"])[..], &[&address]].concat(),
        1,
        "cannot serve the group's store",
    );
    // Something that is no store: it takes the connection and says nothing.
    refused(&[&with(&["--rank", "1", "--group"])[..], &[&address]].concat(), 7, "the group did not meet at");
    drop(taken);
    refused(&[&with(&["--rank", "1", "--group"])[..], &[&address]].concat(), 7, "no store answers there");
    refused(&with(&["--rank", "0", "--group", "127.0.0.1:0"]), 7, "rank 1 did not come");
    refused(&["--rank", "0"], 2, "--group is missing");
    refused(&["--rank", "2", "--world", "2", "--group", &address], 2, "rank 2 is not one of a group of 2");
}

#[test]
fn two_trainers_of_one_rank_are_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = trainer(folder.path());
    first.args(small(&["--model", "linear", "--output", "run"]));
    first.args(["--group", "127.0.0.1:0", "--rank", "0", "--world", "4"]);
    let mut first = Rank::start(first);
    let address = first.field("joining the group", "store");
    let second = || {
        let mut second = trainer(folder.path());
        second.args(small(&["--model", "linear", "--group", &address, "--rank", "1", "--world", "4"]));
        Rank::start(second)
    };
    for rank in [second(), second(), first] {
        let output = rank.output();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(error_line(&output).contains("two trainers say that they are rank 1"), "{}", stderr(&output));
    }
}

/// As torchrun, PyTorchJob and others say it.
#[test]
fn the_environment_of_an_engine_makes_a_group() {
    let folder = tempfile::tempdir().unwrap();
    let golden = alone(folder.path(), &["--model", "linear"]);
    let command = |rank: &str, port: &str| {
        let mut command = trainer(folder.path());
        command.args(small(&["--model", "linear", "--json", "--output", "run"]));
        command.envs([
            ("MASTER_ADDR", "127.0.0.1"),
            ("MASTER_PORT", port),
            ("WORLD_SIZE", "2"),
            ("RANK", rank),
        ]);
        Rank::start(command)
    };
    let mut first = command("0", "0");
    let store = first.field("joining the group", "store");
    let second = command("1", store.rsplit(':').next().unwrap());
    assert!(second.output().status.success());
    assert_eq!(learnt(&json(&first.output())), learnt(&golden));
}
