//! `forno build`: a Dockerfile becomes an image.

mod parse;

use super::options::values;
use super::remote::{self, PullPolicy};
use super::{Forno, Verb};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::build::Build as Job;
use crate::image::build::context::{self, DockerfileAt};
use crate::image::build::output::Output;
use crate::image::build::progress::{Mode, Progress};
use crate::image::config::Platform;
use crate::image::plan;
use crate::image::reference::Reference;
use crate::image::registry::Compressor;
use crate::image::store::Image;
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProgressArg {
    /// What fits the terminal
    Auto,
    /// Lines, for logs
    Plain,
    /// A picture that moves
    Tty,
    /// Nothing but errors
    Quiet,
    /// JSON, for programs
    Rawjson,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NetworkArg {
    /// That of the host
    Default,
    Host,
    /// Nothing but a loopback device
    None,
}

#[derive(Debug, Args)]
pub(super) struct Build {
    /// The context: a directory, a git repository, a URL, or - for an archive (or a Dockerfile alone) at standard input
    #[arg(value_name = "CONTEXT")]
    context: String,
    /// The image's name; may be given several times
    #[arg(short, long, value_name = "NAME[:TAG]")]
    tag: Vec<Reference>,
    /// The Dockerfile, - for standard input [default: CONTEXT/Dockerfile]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The value of an ARG; without a value, that of the variable here
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// A file of build arguments, one a line
    #[arg(long, value_name = "FILE")]
    build_arg_file: Vec<PathBuf>,
    /// The stage to build [default: the last one]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// A label of the image
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// An annotation of the image's manifest
    #[arg(long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
    /// The platform that the image is for
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// Take nothing from the cache
    #[arg(long)]
    no_cache: bool,
    /// Take nothing from the cache for these stages
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    no_cache_filter: Vec<String>,
    /// Take steps from what --cache-to has written, too
    #[arg(long, value_name = "NAME|DIR|type=TYPE,ref=NAME,src=DIR")]
    cache_from: Vec<String>,
    /// Write the steps of this build to a registry (type=registry) or a directory (type=local), which begins with / or .
    #[arg(long, value_name = "NAME|DIR|type=TYPE,ref=NAME,dest=DIR")]
    cache_to: Vec<String>,
    /// Something that RUN --mount=type=secret sees, and nobody else
    #[arg(long, value_name = "id=ID[,src=FILE|,env=NAME]")]
    secret: Vec<String>,
    /// The socket of an agent for RUN --mount=type=ssh
    #[arg(long, value_name = "ID[=SOCKET]")]
    ssh: Vec<String>,
    /// Another context: a directory, docker-image://IMAGE, oci-layout://DIR[:TAG], a git repository or a URL
    #[arg(long, value_name = "NAME=CONTEXT")]
    build_context: Vec<String>,
    /// Where the result goes: a directory, - for an archive at standard output, or type=TYPE,dest=PATH with image, registry,
    /// local, tar, oci or docker [default: type=image]
    #[arg(short, long, value_name = "OUTPUT")]
    output: Vec<String>,
    /// Keep the image here (which is what happens anyway)
    #[arg(long)]
    load: bool,
    /// Send the image to the registries of its names, too
    #[arg(long)]
    push: bool,
    /// Make one layer of all
    #[arg(long)]
    squash: bool,
    /// The network of RUN
    #[arg(long, value_enum, default_value_t = NetworkArg::Default)]
    network: NetworkArg,
    /// An entry of /etc/hosts for RUN
    #[arg(long, value_name = "NAME:ADDRESS", value_parser = values::extra_host)]
    add_host: Vec<String>,
    /// When to get images from their registries
    #[arg(long, value_name = "WHEN", value_enum, num_args = 0..=1, require_equals = true,
        default_value_t = PullPolicy::Missing, default_missing_value = "always")]
    pull: PullPolicy,
    /// The size of /dev/shm for RUN
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    shm_size: Option<u64>,
    /// A limit of each process of RUN, as in `ulimit`
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = super::options::limits::ulimit)]
    ulimit: Vec<(String, u64, u64)>,
    /// Below which cgroup RUN is
    #[arg(long, value_name = "CGROUP")]
    cgroup_parent: Option<String>,
    /// What a Dockerfile may ask for: security.insecure
    #[arg(long, value_name = "RIGHT")]
    allow: Vec<String>,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = ProgressArg::Auto)]
    progress: ProgressArg,
    /// Print nothing but the image's id
    #[arg(short, long)]
    quiet: bool,
    /// Write the image's id to a file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
    /// Write what was built to a file, as JSON
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    plan: bool,
    /// Say what is dubious in the Dockerfile, and do nothing
    #[arg(long, conflicts_with = "plan")]
    check: bool,
}

impl Verb for Build {
    const NAME: &'static str = "build";
    const ABOUT: &'static str = "Build an image from a Dockerfile";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let lease = store.lease()?;
        let scratch = store.scratch_dir()?;
        let at = match &self.file {
            None => DockerfileAt::Context,
            Some(path) if path.as_os_str() == "-" => DockerfileAt::Stdin,
            Some(path) => DockerfileAt::Path(path.clone()),
        };
        let (outputs, names) = self.outputs()?;
        let input = context::open(&self.context, &at, scratch.path())?;
        let contexts = self.contexts(&store, &lease, scratch.path())?;
        let mut options = self.options(contexts.named)?;
        options.ignore = input.context.ignore.clone();
        let quiet = matches!(self.mode(), Mode::Quiet | Mode::RawJson);
        let obtain = |name: &Reference, platform: Option<&Platform>| {
            remote::obtain(&store, &lease, &name.familiar(), self.pull, platform, quiet)
        };
        let job = Job {
            obtain: &obtain,
            store: &store,
            lease: &lease,
            input,
            options,
            named: contexts.trees,
            layouts: contexts.images,
            settings: self.settings(forno)?,
            progress: Progress::new(self.mode()),
            names,
            annotations: parse::pairs("--annotation", &self.annotation)?,
            outputs,
            squash: self.squash,
            cache_to: parse::cache("--cache-to", "dest", &self.cache_to)?,
        };
        let planned = job.plan(self.plan || self.check)?;
        if self.plan {
            forno.print(&plan::print(&planned.plan))?;
            return Ok(0);
        }
        if self.check {
            return check(forno, &planned.plan);
        }
        show_warnings(forno, &job.progress, &planned.plan)?;
        let image = job.run(&planned)?;
        drop(scratch);
        self.tell(forno, &job, &image)?;
        Ok(0)
    }
}

fn check(forno: &Forno, plan: &plan::Plan) -> Result<u8> {
    let mut text = String::new();
    for warning in &plan.warnings {
        text.push_str(&format!("{}:{}: {}: {}\n", plan.name, warning.span.first, warning.rule, warning.message));
    }
    if plan.warnings.is_empty() {
        text.push_str("no warnings\n");
    }
    forno.print(&text)?;
    Ok(u8::from(!plan.warnings.is_empty()))
}

fn show_warnings(forno: &Forno, progress: &Progress, plan: &plan::Plan) -> Result<()> {
    for warning in &plan.warnings {
        let place = format!("{}:{}", plan.name, warning.span.first);
        progress.note(&format!("WARNING {place}: {}: {}", warning.rule, warning.message));
    }
    for note in &plan.notes {
        forno.warn(note);
    }
    match plan.warnings.first() {
        Some(first) if plan.warnings_are_errors => {
            let (place, line) = (&plan.name, first.span.first);
            bail!("{place}:{line}: {}: {} (the check directive makes it an error)", first.rule, first.message)
        }
        _ => Ok(()),
    }
}

impl Build {
    fn mode(&self) -> Mode {
        match self.progress {
            _ if self.quiet => Mode::Quiet,
            ProgressArg::Auto => Mode::auto(),
            ProgressArg::Plain => Mode::Plain,
            ProgressArg::Tty => Mode::Tty,
            ProgressArg::Quiet => Mode::Quiet,
            ProgressArg::Rawjson => Mode::RawJson,
        }
    }

    /// Where it goes, and what it is called.
    fn outputs(&self) -> Result<(Vec<Output>, Vec<Reference>)> {
        let (mut outputs, mut names) = (Vec::new(), self.tag.clone());
        for text in &self.output {
            let (output, more) = Output::parse(text).with(|| format!("--output {text}"))?;
            for name in more {
                names.push(name.parse().with(|| format!("--output {text}"))?);
            }
            outputs.push(output);
        }
        if outputs.is_empty() || self.load {
            outputs.push(Output::Image);
        }
        if self.push {
            outputs.push(Output::Registry { compressor: Compressor::Gzip, kept: false });
        }
        if names.is_empty() && outputs.iter().any(|output| matches!(output, Output::Registry { .. })) {
            bail!("an image without a name goes to no registry; give it one with --tag");
        }
        if let Some(name) = names.iter().find(|name| name.digest().is_some()) {
            bail!("--tag {}: a new image's name cannot have a digest", name.familiar());
        }
        Ok((outputs, names))
    }

    /// Says what was built, in each of the ways that were asked for.
    fn tell(&self, forno: &Forno, job: &Job, image: &Image) -> Result<()> {
        if let Some(path) = &self.iidfile {
            std::fs::write(path, image.id().as_str()).with(|| format!("write {}", path.display()))?;
        }
        let names: Vec<String> = job.names.iter().map(Reference::familiar).collect();
        if let Some(path) = &self.metadata_file {
            let full: Vec<String> = job.names.iter().map(Reference::to_string).collect();
            let metadata = json!({
                "containerimage.config.digest": image.id(),
                "containerimage.descriptor": image.descriptor,
                "containerimage.digest": image.descriptor.digest,
                "image.name": full.join(","),
            });
            let text = serde_json::to_string_pretty(&metadata).context("write metadata")?;
            std::fs::write(path, text + "\n").with(|| format!("write {}", path.display()))?;
        }
        if self.quiet {
            return forno.print(&format!("{}\n", image.id()));
        }
        let named = if names.is_empty() { String::new() } else { format!(" as {}", names.join(", ")) };
        job.progress.note(&format!("built {}{named}", image.id()));
        Ok(())
    }
}
