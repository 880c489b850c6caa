//! How `--help` reads: in docker's order and words, so that who knows one knows the other.

use crate::image::build::guard;
use crate::image::container::launch;
use crate::image::rootless;
use crate::reaper;
use clap::{Arg, Command};
use std::fmt::Write;

/// In the order of what people do with them.
const COMMON: [&str; 13] =
    ["run", "exec", "ps", "build", "pull", "push", "images", "login", "logout", "stop", "rm", "version", "info"];
/// Each has verbs of its own.
const MANAGEMENT: [&str; 6] = ["generate", "image", "manifest", "network", "system", "volume"];
/// Programs call them, nobody types them.
const HIDDEN: [&str; 4] = [guard::VERB, reaper::VERB, rootless::VERB, launch::VERB];

const GAP: usize = 2;

pub(super) fn is_hidden(name: &str) -> bool {
    HIDDEN.contains(&name)
}

/// The help of `forno` itself, whose verbs are known.
pub(super) fn of_all(command: Command) -> Command {
    let verbs: Vec<(String, String)> = command.get_subcommands().map(line).collect();
    let width = verbs.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + GAP;
    let mut text = String::from("Usage:  {usage}\n\n{about}\n");
    let mut group = |heading: &str, of_group: &mut dyn Iterator<Item = &(String, String)>| {
        let _ = write!(text, "\n{heading}:\n");
        for (name, about) in of_group {
            let _ = writeln!(text, "  {name:width$}{about}");
        }
    };
    let named =
        |list: &'static [&'static str]| list.iter().filter_map(|name| verbs.iter().find(|(known, _)| known == name));
    group("Common Commands", &mut named(&COMMON));
    group("Management Commands", &mut named(&MANAGEMENT));
    let is_other = |(name, _): &&(String, String)| {
        !COMMON.contains(&name.as_str()) && !MANAGEMENT.contains(&name.as_str()) && !is_hidden(name)
    };
    group("Commands", &mut verbs.iter().filter(is_other));
    text += "\nGlobal Options:\n{options}\n\nRun 'forno COMMAND --help' for more information on a command.\n";
    command.override_usage("forno [OPTIONS] COMMAND").help_template(text).term_width(UNBOUND)
}

/// Each option has one line, however wide the terminal is.
const UNBOUND: usize = 0;

fn line(command: &Command) -> (String, String) {
    (command.get_name().to_owned(), command.get_about().map(ToString::to_string).unwrap_or_default())
}

/// The help of one verb, with its arguments.
pub(super) fn of_verb(command: Command) -> Command {
    let path = command.get_bin_name().map_or_else(|| format!("forno {}", command.get_name()), str::to_owned);
    of_one(command, &path)
}

fn of_one(mut command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    for name in &names {
        command = command.mut_subcommand(name, |below| of_one(below, &format!("{path} {name}")));
    }
    command = by_name(command);
    let mut usage = path.to_owned();
    let mut text = String::from("Usage:  {usage}\n\n{about}\n");
    if !names.is_empty() {
        usage += " COMMAND";
        text += "\nCommands:\n{subcommands}\n";
    }
    let has_options = command.get_opts().next().is_some() || command.get_arguments().any(is_flag);
    if has_options {
        usage += " [OPTIONS]";
        text += "\nOptions:\n{options}\n";
    }
    for argument in command.get_positionals() {
        usage += &format!(" {}", positional(argument));
    }
    if !names.is_empty() {
        let _ = write!(text, "\nRun '{path} COMMAND --help' for more information on a command.\n");
    }
    command.override_usage(usage).help_template(text)
}

/// Sorts options by their long names.
fn by_name(command: Command) -> Command {
    let mut names: Vec<String> = command.get_arguments().filter_map(Arg::get_long).map(str::to_owned).collect();
    names.sort();
    command.mut_args(|argument| {
        let place = argument.get_long().and_then(|name| names.iter().position(|known| known == name));
        argument.display_order(place.unwrap_or(0))
    })
}

fn is_flag(argument: &Arg) -> bool {
    !argument.is_positional() && argument.get_id() != "help"
}

/// `NAME`, `[NAME]`, `NAME [NAME...]`
fn positional(argument: &Arg) -> String {
    let id = argument.get_id().as_str().to_uppercase();
    let name = argument.get_value_names().and_then(|names| names.first()).map_or(id, ToString::to_string);
    if name.contains(' ') {
        // It says itself what follows it.
        return name.replace(" [COMMAND [ARG...]]", " [COMMAND] [ARG...]");
    }
    let many = argument.get_num_args().is_some_and(|count| count.max_values() > 1)
        || matches!(argument.get_action(), clap::ArgAction::Append);
    match (argument.is_required_set(), many) {
        (true, false) => name,
        (true, true) => format!("{name} [{name}...]"),
        (false, false) => format!("[{name}]"),
        (false, true) => format!("[{name}...]"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::command;
    use super::*;

    #[test]
    fn verbs_stand_in_groups_and_programs_own_are_hidden() {
        let help = command().render_help().to_string();
        assert!(help.starts_with("Usage:  forno [OPTIONS] COMMAND\n"), "{help}");
        assert!(!help.contains(launch::VERB), "{help}");
        let at = |words: &str| help.find(words).unwrap_or_else(|| panic!("{words:?} in {help}"));
        assert!(at("Common Commands:") < at("\n  run ") && at("\n  run ") < at("Management Commands:"));
        assert!(at("Management Commands:") < at("\n  volume ") && at("\n  volume ") < at("\nCommands:"));
        assert!(at("\nCommands:") < at("\n  wait ") && at("\n  wait ") < at("Global Options:"));
        for verb in command().get_subcommands().map(Command::get_name).filter(|name| !is_hidden(name)) {
            assert_eq!(help.matches(&format!("\n  {verb} ")).count(), 1, "{verb}");
        }
    }

    #[test]
    fn usage_lines_are_dockers() {
        for (words, usage) in [
            (&["run"][..], "forno run [OPTIONS] IMAGE [COMMAND] [ARG...]"),
            (&["rm"], "forno rm [OPTIONS] CONTAINER [CONTAINER...]"),
            (&["pause"], "forno pause CONTAINER [CONTAINER...]"),
            (&["volume"], "forno volume COMMAND"),
            (&["volume", "create"], "forno volume create [OPTIONS] [VOLUME]"),
            (&["network", "rm"], "forno network rm NETWORK [NETWORK...]"),
        ] {
            let args = std::iter::once("forno").chain(words.iter().copied()).chain(["--help"]);
            let help = command().try_get_matches_from(args).unwrap_err().to_string();
            assert_eq!(help.lines().next(), Some(format!("Usage:  {usage}").as_str()), "{help}");
        }
    }
}
