//! `forno build`: a Dockerfile is parsed and planned, the plan is executed, and what comes out is an image.
//!
//! Everything that is mounted on the way is mounted in a namespace of our own, and everything that is written goes to
//! the store's place for unfinished things: nothing stays of a build that failed, was interrupted, or killed.

pub mod cache;
pub mod cachemount;
pub mod context;
pub mod copy;
pub mod execute;
pub mod git;
pub mod hash;
pub mod http;
pub mod interrupt;
pub mod mounts;
pub mod owner;
pub mod place;
pub mod progress;
pub mod remote;
pub mod run;
pub mod settings;
pub mod stubs;
pub mod tree;
pub mod trees;
pub mod unpack;
pub mod work;

pub use tree::Tree;

use crate::error::{Context, Error, Result};
use crate::image::config::{ImageConfig, Platform};
use crate::image::dockerfile::Dockerfile;
use crate::image::plan::{self, Mount, Operation, Options, Place, Plan, Source};
use crate::image::reference::Reference;
use crate::image::store::{Image, Lease, Store};
use crate::image::time;
use crate::sys::{Errno, mount, process};
use context::Input;
use execute::{Built, Executor};
use interrupt::Interrupt;
use progress::Progress;
use settings::Settings;
use std::collections::BTreeMap;
use std::fs::File;
use trees::Trees;

/// A build that is about to begin.
pub struct Build<'a> {
    pub store: &'a Store,
    pub lease: &'a Lease<'a>,
    pub input: Input,
    pub options: Options,
    pub named: BTreeMap<String, Tree>,
    pub settings: Settings,
    pub progress: Progress,
    /// Finds an image, here or in its registry; for a platform, where that is not this machine's.
    pub obtain: &'a dyn Fn(&Reference, Option<&Platform>) -> Result<Image>,
    /// What the image is going to be called.
    pub names: Vec<Reference>,
}

/// The plan, and the images that it stands on.
pub struct Planned {
    pub plan: Plan,
    images: BTreeMap<Reference, Image>,
}

impl Build<'_> {
    /// `lenient`: an image that is not here is one of which nothing is known.
    pub fn plan(&self, lenient: bool) -> Result<Planned> {
        let dockerfile = Dockerfile::parse(&self.input.name, &self.input.dockerfile)?;
        let mut images = BTreeMap::new();
        let mut find = |name: &Reference, platform: &Platform| -> Result<Option<ImageConfig>> {
            // Who only wants to know does not fetch.
            let found = if lenient { self.store.find_named(name).ok() } else { Some(self.find(name, Some(platform))?) };
            let Some(image) = found else { return Ok(None) };
            let config = image.config.clone();
            images.insert(name.clone(), image);
            Ok(Some(config))
        };
        let plan = plan::plan(&dockerfile, &self.options, &mut find)?;
        if !lenient {
            self.find_sources(&plan, &mut images)?;
        }
        Ok(Planned { plan, images })
    }

    fn find(&self, name: &Reference, platform: Option<&Platform>) -> Result<Image> {
        let host = plan::platform::host();
        let image = (self.obtain)(name, platform.filter(|platform| **platform != host))?;
        self.store.hold_image(self.lease, &image)?;
        Ok(image)
    }

    /// The images that COPY and RUN --mount read from.
    fn find_sources(&self, plan: &Plan, images: &mut BTreeMap<Reference, Image>) -> Result<()> {
        for step in plan.stages.iter().flat_map(|stage| &stage.steps) {
            let places: Vec<&Place> = match &step.operation {
                Operation::Copy(copy) => copy.sources.iter().filter_map(place_of).collect(),
                Operation::Run(run) => run.mounts.iter().filter_map(Mount::place).map(|(place, _)| place).collect(),
                _ => Vec::new(),
            };
            for place in places {
                if let Place::Image(name) = place
                    && !images.contains_key(name)
                {
                    let image = self.find(name, None).with(|| format!("{}:{}", plan.name, step.span.first))?;
                    images.insert(name.clone(), image);
                }
            }
        }
        Ok(())
    }

    /// Executes the plan.
    pub fn run(&self, planned: &Planned) -> Result<Image> {
        let interrupt = Interrupt::catch()?;
        own_mounts()?;
        let Planned { plan, images } = planned;
        let trees = Trees::new(self.store, self.lease)?;
        let executor = Executor {
            store: self.store,
            lease: self.lease,
            trees: &trees,
            plan,
            settings: &self.settings,
            progress: &self.progress,
            interrupt: &interrupt,
            context: &self.input.context,
            named: &self.named,
            images,
            remotes: remote::Remotes::default(),
            stages: Vec::new(),
        };
        let built = executor.run()?;
        interrupt.check()?;
        self.keep(plan, built)
    }

    fn keep(&self, plan: &Plan, built: Built) -> Result<Image> {
        let Some(stage) = plan.stages.get(plan.target) else {
            return Err(Error::new(format!("{}: the target was not planned", plan.name)));
        };
        let mut config = stage.image.clone();
        config.created = Some(time::rfc3339(built.created));
        config.rootfs.diff_ids = built.layers.iter().map(|layer| layer.diff_id.clone()).collect();
        // The last entries are ours.
        for (entry, time) in config.history.iter_mut().rev().zip(built.times.iter().rev()) {
            entry.created = Some(time::rfc3339(*time));
        }
        let layers = built.layers.into_iter().map(|layer| layer.descriptor).collect();
        let image = self.store.put_image(self.lease, &config, layers, self.names.first())?;
        for name in self.names.iter().skip(1) {
            self.store.enter(self.lease, &image.descriptor, Some(name))?;
        }
        Ok(image)
    }
}

fn place_of(source: &Source) -> Option<&Place> {
    match source {
        Source::Path { place, .. } => Some(place),
        _ => None,
    }
}

/// What we mount is nobody else's business, and is gone when we are, however we end.
fn own_mounts() -> Result<()> {
    match process::unshare(process::CLONE_NEWNS) {
        Err(Errno::EPERM) => return Err(Error::from(Errno::EPERM).context("build (needs root)")),
        unshared => unshared.context("unshare the mount namespace")?,
    }
    let slave = mount::Attributes { propagation: mount::SLAVE, ..mount::Attributes::default() };
    mount::mount_setattr(File::open("/").context("open /")?, true, slave).context("make mounts our own")
}
