//! How history tells what an instruction did.

use super::State;
use crate::image::dockerfile::instruction;
use crate::image::plan::{Copy, copy};

/// `|2 A=1 B=2 /bin/sh -c make`: the ARGs that are in effect, and how many there are.
pub(super) fn run_words(state: &State, args: &[String]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in &state.arguments {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut words = Vec::new();
    if !names.is_empty() {
        words.push(format!("|{}", names.len()));
        let value = |name: &str| state.variables.get(name).unwrap_or_default().to_owned();
        words.extend(names.iter().map(|name| format!("{name}={}", value(name))));
    }
    words.extend(args.iter().cloned());
    words.join(" ")
}

pub(super) fn joined(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// `["a" "b c"]`, as Go prints a list.
pub(super) fn quoted(args: &[String]) -> String {
    let quoted: Vec<String> = args.iter().map(|arg| serde_json::Value::from(arg.as_str()).to_string()).collect();
    format!("[{}]", quoted.join(" "))
}

pub(super) fn copy_words(copy: &Copy, command: &instruction::Copy, is_add: bool) -> String {
    let mut words = vec![if is_add { "ADD" } else { "COPY" }.to_owned()];
    words.extend(command.from.iter().map(|from| format!("--from={from}")));
    words.extend(copy.chown.iter().map(|chown| format!("--chown={chown}")));
    words.extend(copy.chmod.iter().map(|chmod| format!("--chmod={chmod}")));
    words.extend(copy.link.then(|| "--link".to_owned()));
    words.extend(copy.parents.then(|| "--parents".to_owned()));
    words.extend(copy.exclude.iter().map(|pattern| format!("--exclude={pattern}")));
    words.extend(copy.sources.iter().map(|source| match source {
        copy::Source::Path { written, .. } => written.clone(),
        copy::Source::Inline { name, .. } => format!("<<{name}"),
        copy::Source::Url { url, .. } => url.clone(),
        copy::Source::Git(git) => git.remote.clone(),
    }));
    words.push(copy.destination.clone());
    words.join(" ")
}
