//! The reference page lists every flag of both programs as their help does: this test makes it of the same definitions.

use clap::{Arg, Command, CommandFactory as _};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// What makes the page anew.
const UPDATE: &str = "MIXFEED_UPDATE_REFERENCE";
const BEGIN: &str = "<!-- made from the help texts; MIXFEED_UPDATE_REFERENCE=1 cargo xtask test -- -p mixfeed-trainer reference -->\n";

/// Each command, and the one whose flags it takes besides its own.
fn page() -> String {
    let programs = [mixfeed_loader::config::Cli::command(), mixfeed_trainer::cli::Cli::command()];
    let mut page = String::new();
    for mut program in programs {
        program.build();
        let train = program.find_subcommand("train").cloned();
        for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
            let base = train.as_ref().filter(|_| command.get_name() == "compare");
            section(&mut page, program.get_name(), command, base);
        }
    }
    page
}

fn section(page: &mut String, program: &str, command: &Command, base: Option<&Command>) {
    let known: BTreeSet<&str> =
        base.into_iter().flat_map(Command::get_arguments).map(|arg| arg.get_id().as_str()).collect();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    writeln!(page, "\n### {program} {}\n\n{}\n", command.get_name(), escaped(&about)).unwrap();
    if let Some(base) = base {
        writeln!(page, "Takes the flags of `{}`, too.\n", base.get_name()).unwrap();
    }
    page.push_str("| flag | variable | meaning |\n|---|---|---|\n");
    let own = |arg: &&Arg| {
        !arg.is_hide_set() && !known.contains(arg.get_id().as_str()) && arg.get_long() != Some("help")
    };
    for arg in command.get_arguments().filter(own) {
        let value = arg.get_value_names().filter(|_| arg.get_action().takes_values());
        let value =
            value.map_or(String::new(), |names| names.iter().map(|name| format!(" {name}")).collect());
        let flag = match arg.get_long() {
            Some(long) => format!("--{long}{value}"),
            None => value.trim_start().to_owned(),
        };
        let variable = arg.get_env().map(|name| format!("`{}`", name.display())).unwrap_or_default();
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let choices: Vec<_> = arg.get_possible_values();
        let choices = choices.iter().filter(|value| !value.is_hide_set()).map(|it| it.get_name());
        let choices = choices.collect::<Vec<_>>().join(", ");
        let takes_choice = !choices.is_empty() && choices != "true, false";
        let choices = if takes_choice { format!(" ({choices})") } else { String::new() };
        let default: Vec<_> = arg.get_default_values().iter().map(|it| it.display().to_string()).collect();
        let shows_default = arg.get_action().takes_values() && !default.is_empty();
        let default =
            if shows_default { format!(" [default: {}]", default.join(", ")) } else { String::new() };
        let meaning = escaped(&format!("{help}{choices}{default}"));
        writeln!(page, "| `{}` | {variable} | {meaning} |", flag.replace('|', "\\|")).unwrap();
    }
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[test]
fn the_reference_page_lists_every_flag() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/docs/REFERENCE.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (by_hand, made) = text.split_once(BEGIN).unwrap();
    let page = page();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&file, format!("{by_hand}{BEGIN}{page}")).unwrap();
        return;
    }
    let differs = page.lines().zip(made.lines()).find(|(one, other)| one != other);
    assert_eq!(differs, None, "set {UPDATE}=1 to make the page anew");
    assert_eq!(page.len(), made.len(), "set {UPDATE}=1 to make the page anew");
}
