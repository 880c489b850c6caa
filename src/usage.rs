//! A command line that clap does not understand, in one line: what is wrong with it, and how it should look.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// clap writes a paragraph each for the error, for its tips, for the usage and for where help is.
pub fn line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let paragraphs = text.split("\n\n").filter(|paragraph| {
        // Nobody means to pass an option's name as a value.
        !paragraph.starts_with("For more information") && !paragraph.contains("as a value, use '-- ")
    });
    let words = |paragraph: &str| paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    paragraphs.map(words).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ").replace("Usage: ", "usage: ")
}

/// The same command line with one flag less that is written as Go's programs may write it, `--flag=true`, where that is
/// what the error is about.
pub fn without_go_boolean(mut args: Vec<OsString>, error: &clap::Error) -> Option<Vec<OsString>> {
    if error.kind() != ErrorKind::TooManyValues {
        return None;
    }
    let (Some(ContextValue::String(flag)), Some(ContextValue::String(value))) =
        (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidValue))
    else {
        return None;
    };
    let at = args.iter().position(|arg| *arg == *format!("{flag}={value}"))?;
    match value.as_str() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => args[at] = flag.into(),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => drop(args.remove(at)),
        _ => return None,
    }
    Some(args)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, ArgAction, Command};

    fn parse(args: &[&str]) -> Result<clap::ArgMatches, clap::Error> {
        let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
        let command = Command::new("oven").args([flag("hot"), flag("no-fan")]);
        command.arg(Arg::new("CAKE").required(true)).try_get_matches_from(args)
    }

    #[test]
    fn a_mistake_is_one_line_with_the_usage() {
        let line = |args: &[&str]| line(&parse(args).unwrap_err());
        assert_eq!(line(&["oven"]), "the following required arguments were not provided: <CAKE>; usage: oven <CAKE>");
        let wrong = line(&["oven", "--no-fans", "x"]);
        assert!(
            wrong.starts_with("unexpected argument '--no-fans' found; tip: a similar argument exists: '--no-fan'; ")
        );
        assert!(line(&["oven", "--blue", "x"]).starts_with("unexpected argument '--blue' found; usage: "));
    }

    #[test]
    fn flags_may_have_go_s_booleans() {
        let read = |first: &str| {
            let args: Vec<_> = ["oven", first, "x"].map(OsString::from).into();
            let error = parse(&["oven", first, "x"]).unwrap_err();
            without_go_boolean(args, &error)
                .map(|args| args.iter().map(|arg| arg.to_str().unwrap().to_owned()).collect())
        };
        assert_eq!(read("--hot=true"), Some(vec!["oven".to_owned(), "--hot".into(), "x".into()]));
        assert_eq!(read("--hot=0"), Some(vec!["oven".to_owned(), "x".into()]));
        assert_eq!(read("--hot=very"), None);
        assert_eq!(read("--cold=true"), None);
    }
}
