//! `forno build`: a Dockerfile becomes an image.

use super::remote::{self, PullPolicy};
use super::{Forno, Verb};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::build::context::{self, DockerfileAt};
use crate::image::build::progress::{Mode, Progress};
use crate::image::build::settings::{SecretSource, Settings};
use crate::image::build::{Build as Job, Tree};
use crate::image::config::Platform;
use crate::image::plan::run::Network;
use crate::image::plan::{self, NamedContext, Options, platform};
use crate::image::reference::Reference;
use crate::image::time;
use clap::{Args, ValueEnum};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProgressArg {
    /// What fits the terminal
    Auto,
    /// Lines, for logs
    Plain,
    /// Nothing but errors
    Quiet,
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
    /// The context: a directory, or - for an archive (or a Dockerfile alone) at standard input
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
    /// The platform that the image is for
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// Take nothing from the cache
    #[arg(long)]
    no_cache: bool,
    /// Take nothing from the cache for these stages
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    no_cache_filter: Vec<String>,
    /// Something that RUN --mount=type=secret sees, and nobody else
    #[arg(long, value_name = "id=ID[,src=FILE|,env=NAME]")]
    secret: Vec<String>,
    /// The socket of an agent for RUN --mount=type=ssh
    #[arg(long, value_name = "ID[=SOCKET]")]
    ssh: Vec<String>,
    /// Another context: NAME=DIR, or NAME=docker-image://IMAGE
    #[arg(long, value_name = "NAME=CONTEXT")]
    build_context: Vec<String>,
    /// The network of RUN
    #[arg(long, value_enum, default_value_t = NetworkArg::Default)]
    network: NetworkArg,
    /// An entry of /etc/hosts for RUN
    #[arg(long, value_name = "NAME:ADDRESS")]
    add_host: Vec<String>,
    /// When to get images from their registries
    #[arg(long, value_name = "WHEN", value_enum, num_args = 0..=1, require_equals = true,
        default_value_t = PullPolicy::Missing, default_missing_value = "always")]
    pull: PullPolicy,
    /// The size of /dev/shm for RUN
    #[arg(long, value_name = "BYTES")]
    shm_size: Option<String>,
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
        let input = context::open(&self.context, &at, &scratch)?;
        let (contexts, named) = self.contexts()?;
        let mut options = self.options(contexts)?;
        options.ignore = input.context.ignore.clone();
        let quiet = self.quiet || self.progress == ProgressArg::Quiet;
        let progress = Progress::new(if quiet { Mode::Quiet } else { Mode::Plain });
        let settings = self.settings(forno)?;
        if let Some(name) = self.tag.iter().find(|name| name.digest().is_some()) {
            bail!("--tag {}: a new image's name cannot have a digest", name.familiar());
        }
        let obtain = |name: &Reference, platform: Option<&Platform>| {
            remote::obtain(&store, &lease, &name.familiar(), self.pull, platform, quiet)
        };
        let job = Job {
            obtain: &obtain,
            store: &store,
            lease: &lease,
            input,
            options,
            named,
            settings,
            progress,
            names: self.tag.clone(),
        };
        let planned = job.plan(self.plan || self.check)?;
        if self.plan {
            forno.print(&plan::print(&planned.plan))?;
            return Ok(0);
        }
        if self.check {
            return check(forno, &planned.plan);
        }
        self.show_warnings(forno, &job.progress, &planned.plan)?;
        let image = job.run(&planned)?;
        drop(scratch);
        if let Some(path) = &self.iidfile {
            std::fs::write(path, image.id().as_str()).with(|| format!("write {}", path.display()))?;
        }
        if self.quiet {
            forno.print(&format!("{}\n", image.id()))?;
        } else {
            let names: Vec<String> = self.tag.iter().map(Reference::familiar).collect();
            let named = if names.is_empty() { String::new() } else { format!(" as {}", names.join(", ")) };
            job.progress.note(&format!("built {}{named}", image.id()));
        }
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

fn pairs(option: &str, given: &[String]) -> Result<BTreeMap<String, String>> {
    let mut pairs = BTreeMap::new();
    for entry in given {
        match entry.split_once('=') {
            Some((name, value)) if !name.is_empty() => pairs.insert(name.to_owned(), value.to_owned()),
            _ => bail!("{option} {entry}: want NAME=VALUE"),
        };
    }
    Ok(pairs)
}

impl Build {
    fn show_warnings(&self, forno: &Forno, progress: &Progress, plan: &plan::Plan) -> Result<()> {
        for warning in &plan.warnings {
            let place = format!("{}:{}", plan.name, warning.span.first);
            progress.note(&format!("WARNING {place}: {}: {}", warning.rule, warning.message));
        }
        for note in &plan.notes {
            forno.warn(note);
        }
        match plan.warnings.first() {
            Some(first) if plan.warnings_are_errors => {
                bail!(
                    "{}:{}: {}: {} (the check directive makes it an error)",
                    plan.name,
                    first.span.first,
                    first.rule,
                    first.message
                )
            }
            _ => Ok(()),
        }
    }

    fn options(&self, contexts: BTreeMap<String, NamedContext>) -> Result<Options> {
        let mut options = Options::new(platform::host());
        options.build_args = self.build_args()?;
        // A given argument is nearer than the environment.
        if let Some(epoch) = time::source_date_epoch()? {
            options.build_args.entry("SOURCE_DATE_EPOCH".to_owned()).or_insert_with(|| epoch.to_string());
        }
        options.target = self.target.clone();
        options.target_platform = self.platform.as_deref().map(platform::parse).transpose().context("--platform")?;
        options.labels = pairs("--label", &self.label)?;
        options.contexts = contexts;
        options.all_stages = self.check;
        Ok(options)
    }

    fn build_args(&self) -> Result<BTreeMap<String, String>> {
        let mut args = BTreeMap::new();
        for path in &self.build_arg_file {
            let text = std::fs::read_to_string(path).with(|| format!("read {}", path.display()))?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            let lines: Vec<String> = lines.map(str::to_owned).collect();
            args.extend(pairs(&format!("--build-arg-file {}:", path.display()), &lines)?);
        }
        for entry in &self.build_arg {
            match entry.split_once('=') {
                Some(("", _)) => bail!("--build-arg {entry}: want NAME=VALUE"),
                Some((name, value)) => drop(args.insert(name.to_owned(), value.to_owned())),
                None => {
                    if let Ok(value) = std::env::var(entry) {
                        args.insert(entry.clone(), value);
                    }
                }
            }
        }
        Ok(args)
    }

    fn contexts(&self) -> Result<(BTreeMap<String, NamedContext>, BTreeMap<String, Tree>)> {
        let (mut contexts, mut trees) = (BTreeMap::new(), BTreeMap::new());
        for (name, place) in pairs("--build-context", &self.build_context)? {
            if let Some(image) = place.strip_prefix("docker-image://") {
                let image = image.parse().with(|| format!("--build-context {name}"))?;
                contexts.insert(name, NamedContext::Image(image));
                continue;
            }
            let tree = context::directory(std::path::Path::new(&place)).with(|| format!("--build-context {name}"))?;
            contexts.insert(name.clone(), NamedContext::Tree);
            trees.insert(name, tree);
        }
        Ok((contexts, trees))
    }

    fn settings(&self, forno: &Forno) -> Result<Settings> {
        if let Some(right) =
            self.allow.iter().find(|right| !matches!(right.as_str(), "security.insecure" | "network.host"))
        {
            bail!("--allow {right}: unknown; want security.insecure or network.host");
        }
        let network = match self.network {
            NetworkArg::Default | NetworkArg::Host => Network::Host,
            NetworkArg::None => Network::None,
        };
        let shm_size = self.shm_size.as_deref().map(crate::image::dockerfile::mount::size).transpose();
        Ok(Settings {
            runtime: forno.runtime(),
            no_cache: self.no_cache,
            no_cache_stages: self.no_cache_filter.iter().map(|name| name.to_lowercase()).collect(),
            network,
            hosts: self.add_host.clone(),
            secrets: self.secrets()?,
            agents: self.agents()?,
            shm_size: shm_size.context("--shm-size")?,
            limits: Vec::new(),
            cgroup_parent: self.cgroup_parent.clone(),
            allow_insecure: self.allow.iter().any(|right| right == "security.insecure"),
        })
    }

    /// `id=x[,src=FILE]`, `id=x,env=NAME`; alone, the id is the name of the variable or the file.
    fn secrets(&self) -> Result<BTreeMap<String, SecretSource>> {
        let mut secrets = BTreeMap::new();
        for text in &self.secret {
            let (mut id, mut file, mut variable) = (None, None, None);
            for field in text.split(',') {
                match field.split_once('=') {
                    Some(("id", value)) => id = Some(value),
                    Some(("src" | "source", value)) => file = Some(value),
                    Some(("env", value)) => variable = Some(value),
                    Some(("type", "file" | "env")) => {}
                    _ => bail!("--secret {text}: unknown field {field:?}; want id=, src= or env="),
                }
            }
            let Some(id) = id.filter(|id| !id.is_empty()) else {
                bail!("--secret {text}: want id=ID");
            };
            let source = match (file, variable) {
                (Some(_), Some(_)) => bail!("--secret {text}: src= and env= at once"),
                (Some(file), None) => SecretSource::File(PathBuf::from(file)),
                (None, Some(name)) => SecretSource::Variable(name.to_owned()),
                (None, None) if std::env::var_os(id).is_some() => SecretSource::Variable(id.to_owned()),
                (None, None) => SecretSource::File(PathBuf::from(id)),
            };
            secrets.insert(id.to_owned(), source);
        }
        Ok(secrets)
    }

    fn agents(&self) -> Result<BTreeMap<String, PathBuf>> {
        let mut agents = BTreeMap::new();
        for text in &self.ssh {
            let (id, socket) = match text.split_once('=') {
                Some((id, socket)) => (id, PathBuf::from(socket)),
                None => match std::env::var_os("SSH_AUTH_SOCK") {
                    Some(socket) => (text.as_str(), PathBuf::from(socket)),
                    None => bail!("--ssh {text}: SSH_AUTH_SOCK is not set; say which socket with {text}=SOCKET"),
                },
            };
            let socket = socket.canonicalize().with(|| format!("--ssh {text}: {}", socket.display()))?;
            agents.insert(id.to_owned(), socket);
        }
        Ok(agents)
    }
}
