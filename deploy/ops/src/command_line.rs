//! Reading the command line, with what clap's own messages leave out.
//!
//! clap says of a wrong value which flag it is for, also where nobody gave that flag: the value came from its
//! environment twin then, and that is what has to be named. And a word that stands by itself may have lost its flag.

use crate::stderr::Stderr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Parser};
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};

/// The flag that a word which stands by itself most often belongs to.
const DATA: &str = "data";

/// Reads the process's command line and environment; ends the process as clap does where they are wrong, or where help
/// or version was asked for.
#[must_use]
pub fn parse<C: Parser>() -> C {
    // The one place where a process reads its command line.
    #[allow(clippy::disallowed_methods)]
    let arguments: Vec<OsString> = std::env::args_os().collect();
    C::try_parse_from(&arguments).unwrap_or_else(|error| {
        let mut command = C::command();
        command.build();
        let note = note(&error, &command, &arguments);
        // Where nobody reads, nothing is said; the exit code says it.
        if error.use_stderr() {
            let text = error.render();
            let text = if io::stderr().is_terminal() { text.ansi().to_string() } else { text.to_string() };
            let _ = Stderr.write_all(text.as_bytes());
        } else {
            let _ = error.print();
        }
        if let Some(note) = note {
            crate::eprintln!("\n{note}");
        }
        std::process::exit(error.exit_code())
    })
}

/// What is to be said beside clap's own words; `command` is built.
fn note(error: &clap::Error, command: &Command, arguments: &[OsString]) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let called = called(command, arguments);
    let wrong = text(ContextKind::InvalidArg)?;
    match error.kind() {
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let arg = called.get_arguments().find(|arg| arg.to_string() == wrong)?;
            let variable = arg.get_env()?.to_string_lossy();
            let note = format!("note: the value is that of the environment variable {variable}");
            (!is_given(arg, arguments)).then_some(note)
        }
        ErrorKind::UnknownArgument if !wrong.starts_with('-') => {
            let takes_data = called.get_arguments().any(|arg| arg.get_long() == Some(DATA));
            takes_data.then(|| format!("note: for data, did you mean `--{DATA} {wrong}`?"))
        }
        _ => None,
    }
}

/// The command whose flags these are.
fn called<'a>(command: &'a Command, arguments: &[OsString]) -> &'a Command {
    let name = arguments.get(1).and_then(|name| name.to_str());
    name.and_then(|name| command.find_subcommand(name)).unwrap_or(command)
}

fn is_given(arg: &Arg, arguments: &[OsString]) -> bool {
    let long = arg.get_long().map(|long| format!("--{long}"));
    let short = arg.get_short().map(|short| format!("-{short}"));
    arguments.iter().filter_map(|argument| argument.to_str()).any(|argument| {
        let is_long = long.as_deref().is_some_and(|long| argument.split('=').next() == Some(long));
        is_long || short.as_deref().is_some_and(|short| argument.starts_with(short))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        command: Sub,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Sub {
        Serve {
            #[arg(long, env = "MIXFEED_OPS_TEST_UNSET")]
            workers: Option<u32>,
            #[arg(long)]
            data: Option<String>,
            #[arg(long, short = 'o', env = "MIXFEED_OPS_TEST_UNSET_TOO", value_parser = crate::address::listen)]
            output: Option<std::net::SocketAddr>,
        },
        Stop {
            #[arg(long)]
            trainer: Option<String>,
        },
    }

    /// The note on an error that `told` brings about, where the command line was `real`.
    fn noted(told: &[&str], real: &[&str]) -> Option<String> {
        let error = Cli::try_parse_from(told).unwrap_err();
        let real: Vec<_> = real.iter().map(OsString::from).collect();
        let mut command = Cli::command();
        command.build();
        note(&error, &command, &real)
    }

    #[test]
    fn a_value_that_nobody_gave_as_a_flag_is_the_environments() {
        for (flag, value, variable) in [
            ("--workers", "many", "MIXFEED_OPS_TEST_UNSET"),
            ("--output", "9464", "MIXFEED_OPS_TEST_UNSET_TOO"),
        ] {
            let given = ["it", "serve", flag, value];
            let note = noted(&given, &["it", "serve"]).unwrap();
            assert!(note.ends_with(&format!("environment variable {variable}")), "{note}");
            assert_eq!(noted(&given, &given), None);
            assert_eq!(noted(&given, &["it", "serve", &format!("{flag}={value}")]), None);
        }
        assert_eq!(noted(&["it", "serve", "-o", "x"], &["it", "serve", "-ox"]), None);
    }

    #[test]
    fn a_word_by_itself_may_be_the_data() {
        let given = ["it", "serve", "CIFAR"];
        assert_eq!(noted(&given, &given).unwrap(), "note: for data, did you mean `--data CIFAR`?");
        for given in [&["it", "stop", "CIFAR"][..], &["it", "serve", "--dta"], &["it", "nonsense"]] {
            assert_eq!(noted(given, given), None, "{given:?}");
        }
    }
}
