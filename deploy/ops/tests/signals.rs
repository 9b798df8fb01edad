//! Signals sent to a real process: this test program, started once more in another role.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

use mixfeed_ops::{signals, testing};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Names the role; not set in the process that tests.
const ROLE: &str = "MIXFEED_OPS_SIGNALS_ROLE";

/// How this program is started in it.
const ARGUMENTS: [&str; 5] = ["--exact", "role", "--nocapture", "--test-threads", "1"];

/// Starts `role`, and returns once it has taken over the signals.
fn start(role: &str) -> (Child, BufReader<ChildStdout>) {
    started(Command::new(std::env::current_exe().unwrap()).args(ARGUMENTS), role)
}

fn started(command: &mut Command, role: &str) -> (Child, BufReader<ChildStdout>) {
    let mut child = command.env(ROLE, role).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    wait_for(&mut lines, "ready");
    (child, lines)
}

fn wait_for(lines: &mut BufReader<ChildStdout>, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the process ended without saying {text}");
    }
}

fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// What the other process does; in this one, nothing.
#[test]
fn role() {
    match std::env::var(ROLE).as_deref() {
        Ok("asynchronous") => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let first = signals::first().unwrap();
                println!("ready");
                println!("first: {:?}", first.await);
                std::future::pending::<()>().await;
            });
        }
        Ok("kept") => {
            signals::keep_user_signals().unwrap();
            println!("ready");
            // Until the test says that it has sent them.
            std::io::stdin().read_line(&mut String::new()).unwrap();
            signals::on_first(|signal| println!("first: {signal:?}"), || println!("save")).unwrap();
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
        Ok("blocking") => {
            signals::on_first(|signal| println!("first: {signal:?}"), || println!("save")).unwrap();
            println!("ready");
            loop {
                std::thread::park();
            }
        }
        _ => {}
    }
}

fn both_ways(role: &str) {
    let (mut child, mut lines) = start(role);
    send(&child, "-TERM");
    wait_for(&mut lines, "first: Terminate");
    send(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130), "the second signal says the code");

    let (mut child, mut lines) = start(role);
    send(&child, "-INT");
    wait_for(&mut lines, "first: Interrupt");
    send(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143), "the second signal says the code");

    // Those that end nothing, first and last.
    let (mut child, mut lines) = start(role);
    ["-USR1", "-USR2", "-USR1"].into_iter().for_each(|signal| send(&child, signal));
    send(&child, "-TERM");
    wait_for(&mut lines, "first: Terminate");
    ["-USR1", "-USR2"].into_iter().for_each(|signal| send(&child, signal));
    send(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

/// A terminal that is gone may send SIGHUP any number of times, and a supervisor SIGTERM with it.
fn hangups(role: &str) {
    if testing::require("hangup", testing::hangup()).is_none() {
        return;
    }
    let (mut child, mut lines) = start(role);
    send(&child, "-HUP");
    wait_for(&mut lines, "first: Hangup");
    ["-HUP", "-HUP", "-TERM", "-HUP"].into_iter().for_each(|signal| send(&child, signal));
    assert!(child.try_wait().unwrap().is_none(), "none of these is impatient");
    send(&child, "-INT");
    // Whichever of the two is heard last: those that wait are told in no order.
    let code = child.wait().unwrap().code();
    assert!([Some(130), Some(143)].contains(&code), "{code:?}");

    let (mut child, mut lines) = start(role);
    send(&child, "-TERM");
    wait_for(&mut lines, "first: Terminate");
    send(&child, "-HUP");
    send(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn the_first_signal_is_told_and_the_second_ends_an_asynchronous_program() {
    both_ways("asynchronous");
}

#[test]
fn the_first_signal_is_told_and_the_second_ends_a_blocking_program() {
    both_ways("blocking");
}

#[test]
fn a_hangup_is_no_sign_of_impatience() {
    hangups("asynchronous");
    hangups("blocking");
}

#[test]
fn a_wish_to_save_is_told_each_time() {
    let (mut child, mut lines) = start("blocking");
    for signal in ["-USR1", "-USR2", "-USR1"] {
        send(&child, signal);
        wait_for(&mut lines, "save");
    }
    send(&child, "-TERM");
    wait_for(&mut lines, "first: Terminate");
    send(&child, "-USR2");
    wait_for(&mut lines, "save");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_wish_to_save_that_comes_before_anybody_listens_is_told_later() {
    for signal in ["-USR1", "-USR2"] {
        let (mut child, mut lines) = started(
            Command::new(std::env::current_exe().unwrap()).args(ARGUMENTS).stdin(Stdio::piped()),
            "kept",
        );
        send(&child, signal);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"go on\n").unwrap();
        wait_for(&mut lines, "save");
        send(&child, signal);
        wait_for(&mut lines, "save");
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_hangup_that_was_ignored_from_the_start_stays_ignored() {
    for role in ["asynchronous", "blocking"] {
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(std::env::current_exe().unwrap());
        let (mut child, mut lines) = started(shell.args(ARGUMENTS), role);
        send(&child, "-HUP");
        send(&child, "-TERM");
        wait_for(&mut lines, "first: Terminate");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
