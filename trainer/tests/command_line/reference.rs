//! The reference page lists every flag of both programs as their help does: this test makes it of the same definitions.

use clap::{Arg, Args as _, Command, CommandFactory as _};
use mixfeed_loader::config::{AugmentationArgs, SourceArgs};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// What makes the page anew.
const UPDATE: &str = "MIXFEED_UPDATE_REFERENCE";
const BEGIN: &str = "<!-- made from the help texts; MIXFEED_UPDATE_REFERENCE=1 cargo xtask test -- -p mixfeed-trainer reference -->\n";

/// Flags that several commands take, each group told once.
fn groups() -> [(&'static str, &'static str, Command); 2] {
    let (data, augmentation) = (Command::new("data"), Command::new("augmentation"));
    [
        ("Data flags", "How a dataset is read", SourceArgs::augment_args(data)),
        (
            "Augmentation flags",
            "How images are augmented and mixed",
            AugmentationArgs::augment_args(augmentation),
        ),
    ]
}

fn page() -> String {
    let mut page = String::new();
    let groups = groups();
    for (title, about, group) in &groups {
        writeln!(page, "\n### {title}\n\n{about}.\n").unwrap();
        rows(&mut page, group.get_arguments());
    }
    for mut program in [mixfeed_loader::config::Cli::command(), mixfeed_trainer::cli::Cli::command()] {
        program.build();
        let train = program.find_subcommand("train").cloned();
        for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let name = format!("{} {}", program.get_name(), command.get_name());
            writeln!(page, "\n### {name}\n\n{}.\n", escaped(&about)).unwrap();
            let all = ids(command);
            let mut known = BTreeSet::from(["help".to_owned(), "version".to_owned()]);
            let mut said = Vec::new();
            for (title, _, group) in &groups {
                if ids(group).is_subset(&all) {
                    let title = title.to_lowercase();
                    said.push(format!("the [{title}](#{})", title.replace(' ', "-")));
                    known.extend(ids(group));
                }
            }
            if let Some(train) = train.as_ref().filter(|_| command.get_name() == "compare") {
                said = vec!["the flags of `train`".to_owned()];
                known.extend(ids(train));
            }
            if !said.is_empty() {
                writeln!(page, "Takes {}, and:\n", said.join(" and ")).unwrap();
            }
            rows(&mut page, command.get_arguments().filter(|arg| !known.contains(arg.get_id().as_str())));
        }
    }
    page
}

fn ids(command: &Command) -> BTreeSet<String> {
    command.get_arguments().map(|arg| arg.get_id().to_string()).collect()
}

fn rows<'a>(page: &mut String, args: impl Iterator<Item = &'a Arg>) {
    page.push_str("| flag | variable | meaning |\n|---|---|---|\n");
    for arg in args.filter(|arg| !arg.is_hide_set()) {
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
