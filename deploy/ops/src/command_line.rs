//! Reading the command line, with what clap's own messages leave out.
//!
//! clap says of a wrong value which flag it is for, also where nobody gave that flag: the value came from its
//! environment twin then, and that is what has to be named. And a word that stands by itself may have lost its flag.
//! Variables that are named like twins, and are none, are kept for the log ([`warn_of_unknown_variables`]).

use crate::stderr::Stderr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Parser};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;

/// The flag that a word which stands by itself most often belongs to.
const DATA: &str = "data";

/// Reads the process's command line and environment; ends the process as clap does where they are wrong, or where help
/// or version was asked for.
#[must_use]
pub fn parse<C: Parser>() -> C {
    // The one place where a process reads its command line.
    #[allow(clippy::disallowed_methods)]
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let mut command = C::command();
    command.build();
    #[allow(clippy::disallowed_methods)]
    let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    // Parsed once.
    let _ = UNKNOWN.set(unknown(&command, variables));
    C::try_parse_from(&arguments).unwrap_or_else(|error| {
        let note = note(&error, &command, &arguments);
        let is_error = error.use_stderr();
        let is_terminal = if is_error { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
        let text = error.render();
        let text = if is_terminal { text.ansi().to_string() } else { text.to_string() };
        if is_error {
            // Where nobody reads, nothing is said; the exit code says it.
            let _ = Stderr.write_all(text.as_bytes());
        } else {
            crate::print!("{text}");
        }
        if let Some(note) = note {
            crate::eprintln!("\n{note}");
        }
        std::process::exit(error.exit_code())
    })
}

/// Logs the variables that look like an environment twin of this program's flags, and are none: a misspelled one would
/// have no effect, and nobody would know.
pub(crate) fn warn_of_unknown_variables() {
    for (variable, meant) in UNKNOWN.get().into_iter().flatten() {
        tracing::warn!(variable, did_you_mean = meant, "unknown environment variable");
    }
}

static UNKNOWN: OnceLock<Vec<(String, Option<String>)>> = OnceLock::new();

/// Those among `variables` that are named like twins of a flag of `command`, and what may have been meant.
fn unknown(command: &Command, variables: impl Iterator<Item = String>) -> Vec<(String, Option<String>)> {
    let prefix = format!("{}_", command.get_name().to_uppercase().replace('-', "_"));
    let twins: BTreeSet<String> = std::iter::once(command)
        .chain(command.get_subcommands())
        .flat_map(Command::get_arguments)
        .filter_map(|arg| Some(arg.get_env()?.to_string_lossy().into_owned()))
        .collect();
    // The program's name is two words; with the first alone, it is a twin that lacks the second.
    let family = prefix.split_once('_').map_or("", |(first, _)| first);
    let lacks_program = |name: &str| {
        let rest = name.strip_prefix(family)?.strip_prefix('_')?;
        Some(format!("{prefix}{rest}")).filter(|twin| twins.contains(twin))
    };
    let mut unknown = Vec::new();
    for name in variables.filter(|name| !twins.contains(name) && !is_service_link(name)) {
        if let Some(meant) = lacks_program(&name) {
            unknown.push((name, Some(meant)));
        } else if name.starts_with(&prefix) {
            let plain = |name: &str| name.replace('_', "").trim_end_matches('S').to_owned();
            let meant = twins.iter().find(|twin| plain(twin) == plain(&name)).cloned();
            unknown.push((name, meant));
        }
    }
    unknown.sort();
    unknown
}

/// Kubernetes sets such variables for each Service, named after it (`MIXFEED_LOADER_SERVICE_HOST`,
/// `MIXFEED_LOADER_PORT_50051_TCP`).
fn is_service_link(name: &str) -> bool {
    let parts = ["_SERVICE_PORT", "_PORT_"];
    name.ends_with("_SERVICE_HOST") || name.ends_with("_PORT") || parts.iter().any(|part| name.contains(part))
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

    #[test]
    fn variables_that_no_flag_has_are_found_with_what_may_be_meant() {
        let twins = ["MIXFEED_TRAINER_EPOCHS", "MIXFEED_TRAINER_MIXUP_ALPHA", "MIXFEED_TRAINER_LOG"];
        let args = twins.map(|name| Arg::new(name).long(name).env(name));
        let command = Command::new("mixfeed-trainer").subcommand(Command::new("train").args(args));
        let variables = [
            "PATH",
            "MIXFEED_LOADER_DATA",
            "MIXFEED_TEST_DATA",
            "MIXFEED_TRAINER_SERVICE_HOST",
            "MIXFEED_TRAINER_SERVICE_PORT_GRPC",
            "MIXFEED_TRAINER_PORT",
            "MIXFEED_TRAINER_PORT_50061_TCP_ADDR",
            "MIXFEED_TRAINER_EPOCHS",
            "MIXFEED_TRAINER_EPOCH",
            "MIXFEED_TRAINER_MIXUPALPHA",
            "MIXFEED_TRAINER_LAMBDA",
            "MIXFEED_LOG",
        ];
        let found = unknown(&command, variables.into_iter().map(str::to_owned));
        let found: Vec<_> = found.iter().map(|(name, meant)| (name.as_str(), meant.as_deref())).collect();
        let expected = [
            ("MIXFEED_LOG", Some("MIXFEED_TRAINER_LOG")),
            ("MIXFEED_TRAINER_EPOCH", Some("MIXFEED_TRAINER_EPOCHS")),
            ("MIXFEED_TRAINER_LAMBDA", None),
            ("MIXFEED_TRAINER_MIXUPALPHA", Some("MIXFEED_TRAINER_MIXUP_ALPHA")),
        ];
        assert_eq!(found, expected);
    }
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
