//! A plan as text: what `forno build --plan` shows, and what the golden files have.

use super::{Base, Copy, Mount, Operation, Place, Plan, Run, Source, Stage, Step, platform};
use std::fmt::{self, Write};

/// One paragraph for each stage, one line for each step with the lines that it comes from; then the configuration that
/// the target gets, and the warnings.
pub fn print(plan: &Plan) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(plan, &mut out);
    out
}

fn write(plan: &Plan, out: &mut String) -> fmt::Result {
    for (number, stage) in plan.stages.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        heading(plan, number, stage, out)?;
        for step in &stage.steps {
            self::step(plan, step, out)?;
        }
    }
    if let Some(target) = plan.stages.get(plan.target) {
        writeln!(out, "\nimage")?;
        let config = serde_json::to_value(&target.image.config).unwrap_or_default();
        if let Some(author) = &target.image.author {
            writeln!(out, "  author {author}")?;
        }
        for (key, value) in config.as_object().into_iter().flatten() {
            writeln!(out, "  {key} {value}")?;
        }
        for entry in &target.image.history {
            let mark = if entry.empty_layer { ' ' } else { '+' };
            writeln!(out, "  history {mark} {:?}", entry.created_by.as_deref().unwrap_or_default())?;
        }
    }
    if !plan.warnings.is_empty() || !plan.notes.is_empty() {
        writeln!(out)?;
    }
    for warning in &plan.warnings {
        writeln!(out, "warning {}: {}: {}", warning.span, warning.rule, warning.message)?;
    }
    for note in &plan.notes {
        writeln!(out, "note {note}")?;
    }
    Ok(())
}

fn stage_name(plan: &Plan, number: usize) -> String {
    match plan.stages.get(number).and_then(|stage| stage.name.as_ref()) {
        Some(name) => format!("stage {number} ({name})"),
        None => format!("stage {number}"),
    }
}

fn heading(plan: &Plan, number: usize, stage: &Stage, out: &mut String) -> fmt::Result {
    let base = match &stage.base {
        Base::Scratch => "scratch".to_owned(),
        Base::Image(reference) => reference.familiar(),
        Base::Stage(number) => stage_name(plan, *number),
        Base::Context(name) => format!("context {name}"),
    };
    let target = if number == plan.target { ", the target" } else { "" };
    writeln!(out, "{} from {base}, {}{target}", stage_name(plan, number), platform::format(&stage.platform))
}

fn step(plan: &Plan, step: &Step, out: &mut String) -> fmt::Result {
    let trigger = if step.on_build { " (onbuild)" } else { "" };
    write!(out, "  {}{trigger}: ", step.span)?;
    match &step.operation {
        Operation::Config => writeln!(out, "config {}", step.created_by),
        Operation::MakeDir { path, user } if user.is_empty() => writeln!(out, "mkdir {path}"),
        Operation::MakeDir { path, user } => writeln!(out, "mkdir {path} for {user}"),
        Operation::Copy(copy) => self::copy(plan, copy, out),
        Operation::Run(run) => self::run(plan, run, out),
    }
}

fn place(plan: &Plan, place: &Place) -> String {
    match place {
        Place::Context => "context".to_owned(),
        Place::Named(name) => format!("context {name}"),
        Place::Stage(number) => stage_name(plan, *number),
        Place::Image(reference) => reference.familiar(),
        Place::Scratch => "scratch".to_owned(),
    }
}

fn copy(plan: &Plan, copy: &Copy, out: &mut String) -> fmt::Result {
    writeln!(out, "copy to {}", copy.destination)?;
    for source in &copy.sources {
        match source {
            Source::Path { place: from, path, pivot, unpack, .. } => {
                let pivot = if pivot.is_empty() { String::new() } else { format!(" without {pivot}") };
                let unpack = if *unpack { ", unpacked" } else { "" };
                writeln!(out, "      /{path}{pivot} of {}{unpack}", place(plan, from))?;
            }
            Source::Inline { name, content } => writeln!(out, "      <<{name} {content:?}")?,
            Source::Url { url, checksum, unpack } => {
                let unpack = if *unpack { ", unpacked" } else { "" };
                writeln!(
                    out,
                    "      {url}{}{unpack}",
                    checksum.as_ref().map(|sum| format!(" {sum}")).unwrap_or_default()
                )?;
            }
            Source::Git(git) => {
                let json = serde_json::to_value(git).unwrap_or_default();
                writeln!(out, "      git {json}")?;
            }
        }
    }
    let mut options = Vec::new();
    options.extend(copy.chown.iter().map(|chown| format!("chown {chown}")));
    options.extend(copy.chmod.iter().map(|chmod| format!("chmod {chmod}")));
    options.extend(copy.link.then(|| "link".to_owned()));
    options.extend(copy.parents.then(|| "parents".to_owned()));
    options.extend(copy.exclude.iter().map(|pattern| format!("exclude {pattern}")));
    if options.is_empty() { Ok(()) } else { writeln!(out, "      {}", options.join(", ")) }
}

fn run(plan: &Plan, run: &Run, out: &mut String) -> fmt::Result {
    writeln!(out, "run {}", serde_json::Value::from(run.args.clone()))?;
    let user = if run.user.is_empty() { "root" } else { &run.user };
    write!(out, "      in {} as {user}", run.cwd)?;
    match run.network {
        super::run::Network::Default => {}
        super::run::Network::None => write!(out, ", no network")?,
        super::run::Network::Host => write!(out, ", the host's network")?,
    }
    if run.privileged {
        write!(out, ", insecure")?;
    }
    writeln!(out)?;
    for variable in run.env.iter().chain(&run.proxies) {
        if !variable.starts_with("PATH=") {
            writeln!(out, "      env {variable}")?;
        }
    }
    if let Some(script) = &run.script {
        writeln!(out, "      script {} {:?}", script.name, script.content)?;
    }
    for mount in &run.mounts {
        let from = mount.place().map(|(from, _)| format!(" of {}", place(plan, from))).unwrap_or_default();
        let json = serde_json::to_value(mount).unwrap_or_default();
        let described: Vec<String> = json
            .as_object()
            .into_iter()
            .flatten()
            .flat_map(|(kind, fields)| {
                let fields = fields.as_object().into_iter().flatten();
                let fields = fields.filter(|(_, value)| !value.is_null()).map(|(key, value)| match value {
                    serde_json::Value::String(text) => format!("{key}={text}"),
                    value if key == "mode" => format!("mode={:o}", value.as_u64().unwrap_or_default()),
                    value => format!("{key}={value}"),
                });
                [kind.clone()].into_iter().chain(fields)
            })
            .collect();
        writeln!(out, "      mount {}{from}", described.join(" "))?;
    }
    Ok(())
}

impl Mount {
    /// What the mount is called in messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Mount::Bind { .. } => "bind",
            Mount::Cache { .. } => "cache",
            Mount::Tmpfs { .. } => "tmpfs",
            Mount::Secret { .. } => "secret",
            Mount::Ssh { .. } => "ssh",
        }
    }
}
