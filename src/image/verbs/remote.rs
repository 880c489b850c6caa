//! What the verbs that talk to registries have in common.

use super::limits::LimitArgs;
use super::{Forno, Verb};
use crate::bail;
use crate::error::{Error, Result};
use crate::image::config::Platform;
use crate::image::layer::Limits;
use crate::image::plan::platform;
use crate::image::reference::Reference;
use crate::image::registry::progress::Progress;
use crate::image::registry::{self, Credentials, Options, Wanted};
use crate::image::store::{Image, Lease, Store};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Clone, Args)]
pub(super) struct RegistryArgs {
    /// Whether certificates are checked; false also makes plain http good enough [default: true, but for loopback]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    tls_verify: Option<bool>,
    /// The same as --tls-verify=false
    #[arg(long, conflicts_with = "tls_verify")]
    insecure: bool,
    /// The file with credentials [default: $REGISTRY_AUTH_FILE, else docker's config.json, then containers' auth.json]
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// A directory with certificates (*.crt: whom to trust; *.cert and *.key: ours) in place of those in certs.d
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<PathBuf>,
    /// How often a request that fails is sent again
    #[arg(long, value_name = "N", default_value_t = Options::default().retries)]
    retry: u32,
}

impl RegistryArgs {
    pub(super) fn options(&self) -> Options {
        Options {
            tls_verify: if self.insecure { Some(false) } else { self.tls_verify },
            authfile: self.authfile.clone(),
            cert_dir: self.cert_dir.clone(),
            retries: self.retry,
            ..Options::default()
        }
    }
}

/// Who pulls or pushes; `login` asks for it in its own way.
#[derive(Debug, Clone, Args)]
pub(super) struct TransferArgs {
    #[command(flatten)]
    registry: RegistryArgs,
    /// Name and password, in place of those that login left
    #[arg(long, value_name = "USER:PASSWORD")]
    creds: Option<String>,
    /// How many blobs are under way at the same time
    #[arg(long, value_name = "N", default_value_t = Options::default().parallel)]
    parallel: usize,
}

impl TransferArgs {
    pub(super) fn options(&self) -> Result<Options> {
        let credentials = match self.creds.as_deref().map(|text| text.split_once(':')) {
            None => None,
            Some(Some((user, password))) => {
                Some(Credentials::Basic { user: user.to_owned(), password: password.to_owned() })
            }
            Some(None) => bail!("--creds: want USER:PASSWORD"),
        };
        Ok(Options { credentials, parallel: self.parallel, ..self.registry.options() })
    }
}

/// When a verb that needs an image gets it from its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PullPolicy {
    /// Each time, so that it is the newest
    Always,
    /// When it is not here
    Missing,
    /// Not at all
    Never,
}

/// The image that a verb needs, from here or from its registry.
pub(super) fn obtain(
    store: &Store,
    lease: &Lease,
    text: &str,
    policy: PullPolicy,
    wanted: Option<&Platform>,
    quiet: bool,
) -> Result<Image> {
    let here = match policy {
        PullPolicy::Always => Err(Error::new("wanted anew")),
        _ => store.find(text).and_then(|image| match wanted {
            Some(platform) if !is_for(&image, platform) => {
                let own = format!("{}/{}", image.config.os, image.config.architecture);
                bail!("image {text} is for {own}, not for {}", platform::format(platform))
            }
            _ => Ok(image),
        }),
    };
    let name = text.parse::<Reference>();
    match (here, name) {
        (Ok(image), _) => Ok(image),
        (Err(error), Ok(name)) if policy != PullPolicy::Never && is_gettable(store, &error, policy, text) => {
            let progress = Progress::new(quiet);
            if policy == PullPolicy::Missing {
                progress.say(&format!("Unable to find image '{}' locally", name.familiar()));
            }
            let wanted = Wanted { name: &name, platform: wanted, limits: Limits::default() };
            Ok(registry::pull(store, lease, &wanted, &Options::default(), &progress)?.image)
        }
        // An id, of which no registry knows.
        (Err(_), _) if policy == PullPolicy::Always => store.find(text),
        (Err(error), _) => Err(error),
    }
}

/// Whether the registry can help with what is wrong here: an image that is damaged is not silently replaced.
fn is_gettable(store: &Store, error: &Error, policy: PullPolicy, text: &str) -> bool {
    let missing = error.to_string().starts_with("No such image");
    policy == PullPolicy::Always || missing || store.find(text).is_ok()
}

fn is_for(image: &Image, platform: &Platform) -> bool {
    (&image.config.os, &image.config.architecture) == (&platform.os, &platform.architecture)
}

#[derive(Debug, Args)]
pub(super) struct Pull {
    /// The image's name
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    name: Reference,
    /// The platform, where the registry has the image for several: OS/ARCHITECTURE[/VARIANT]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Print the image's name only
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    transfer: TransferArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

impl Verb for Pull {
    const NAME: &'static str = "pull";
    const ABOUT: &'static str = "Get an image from a registry";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let lease = store.lease()?;
        let platform = self.platform.as_deref().map(platform::parse).transpose()?;
        let wanted = Wanted { name: &self.name, platform: platform.as_ref(), limits: self.limits.into() };
        let progress = Progress::new(self.quiet);
        if !self.quiet {
            let tag =
                self.name.tag().map_or_else(|| self.name.digest().map(ToString::to_string), |tag| Some(tag.to_owned()));
            progress.say(&format!("{}: Pulling from {}", tag.unwrap_or_default(), self.name.path()));
        }
        let pulled = registry::pull(&store, &lease, &wanted, &self.transfer.options()?, &progress)?;
        let mut text = String::new();
        if !self.quiet {
            let status = if pulled.new { "Downloaded newer image" } else { "Image is up to date" };
            text = format!("Digest: {}\nStatus: {status} for {}\n", pulled.digest, self.name.familiar());
        }
        forno.print(&format!("{text}{}\n", self.name))?;
        // An image that had the name before may have no other.
        Ok(0)
    }
}
