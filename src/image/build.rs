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
pub mod guard;
pub mod hash;
pub mod http;
pub mod interrupt;
pub mod layout;
pub mod mounts;
pub mod output;
pub mod owner;
pub mod place;
pub mod progress;
pub mod remote;
pub mod run;
pub mod settings;
pub mod stages;
pub mod stubs;
pub mod tree;
pub mod trees;
pub mod unpack;
pub mod work;

pub use tree::Tree;

use crate::error::{Context, Error, Result};
use crate::image::config::{History, ImageConfig, Manifest, Platform, media_type};
use crate::image::dockerfile::Dockerfile;
use crate::image::plan::{self, Options, Place, Plan};
use crate::image::reference::Reference;
use crate::image::store::{Image, Lease, Store};
use crate::image::time;
use crate::sys::{Errno, mount, process};
use cache::Cache;
use context::Input;
use execute::Executor;
use guard::Guard;
use interrupt::Interrupt;
use output::Output;
use progress::Progress;
use settings::Settings;
use stages::{Built, Stages};
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
    /// Images that named contexts stand for, and that are not the store's to find.
    pub layouts: BTreeMap<Reference, Image>,
    pub annotations: BTreeMap<String, String>,
    pub outputs: Vec<Output>,
    /// One layer of all.
    pub squash: bool,
    pub cache_to: Vec<cache::Elsewhere>,
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
        if let Some(image) = self.layouts.get(name) {
            return Ok(image.clone());
        }
        let host = plan::platform::host();
        let image = (self.obtain)(name, platform.filter(|platform| **platform != host))?;
        self.store.hold_image(self.lease, &image)?;
        Ok(image)
    }

    /// The images that COPY and RUN --mount read from.
    fn find_sources(&self, plan: &Plan, images: &mut BTreeMap<Reference, Image>) -> Result<()> {
        for step in plan.stages.iter().flat_map(|stage| &stage.steps) {
            for place in step.operation.places() {
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
        let steps = plan.stages.iter().flat_map(|stage| &stage.steps);
        self.progress.expect(steps.filter(|step| step.operation.makes_layer()).count());
        let at_once = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let executor = Executor {
            store: self.store,
            lease: self.lease,
            trees: &trees,
            plan,
            settings: &self.settings,
            progress: &self.progress,
            interrupt: &interrupt,
            guard: Guard::new(trees.lock()?),
            context: &self.input.context,
            named: &self.named,
            images,
            remotes: remote::Remotes::default(),
            cache: Cache::new(self.store, self.lease, &self.progress, &self.settings.cache_from),
            stages: Stages::new(plan.stages.len(), at_once),
        };
        let image = self.progress.during(|| -> Result<Image> {
            let built = executor.run()?;
            interrupt.check()?;
            let image = self.keep(plan, built, &trees)?;
            for output in &self.outputs {
                output.write((self.store, self.lease), &trees, &image, &self.names, plan.epoch)?;
            }
            Ok(image)
        })?;
        executor.cache.export(&self.cache_to)?;
        Ok(image)
    }

    fn keep(&self, plan: &Plan, mut built: Built, trees: &Trees) -> Result<Image> {
        let Some(stage) = plan.stages.get(plan.target) else {
            return Err(Error::new(format!("{}: the target was not planned", plan.name)));
        };
        let mut config = stage.image.clone();
        config.created = Some(time::rfc3339(built.created));
        // The last entries are ours.
        for (entry, time) in config.history.iter_mut().rev().zip(built.times.iter().rev()) {
            entry.created = Some(time::rfc3339(*time));
        }
        if self.squash {
            built.layers = vec![output::squash(self.store, self.lease, trees, &built.layers, plan.epoch)?];
            config.history.iter_mut().for_each(|entry| entry.empty_layer = true);
            let comment = Some("squashed".to_owned());
            config.history.push(History { created: config.created.clone(), comment, ..History::default() });
        }
        config.rootfs.diff_ids = built.layers.iter().map(|layer| layer.diff_id.clone()).collect();
        let layers = built.layers.into_iter().map(|layer| layer.descriptor).collect();
        let blob = self.store.put_blob(self.lease, media_type::CONFIG, &config.to_bytes()?)?;
        let mut manifest = Manifest::new(blob, layers);
        manifest.annotations.extend(self.annotations.clone());
        let bytes = serde_json::to_vec(&manifest).context("write manifest")?;
        let descriptor = self.store.put_blob(self.lease, media_type::MANIFEST, &bytes)?;
        if self.outputs.iter().any(Output::keeps) {
            let names: Vec<Option<&Reference>> = self.names.iter().map(Some).collect();
            for name in if names.is_empty() { vec![None] } else { names } {
                self.store.enter(self.lease, &descriptor, name)?;
            }
        }
        Ok(Image { names: self.names.clone(), descriptor, manifest, config })
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
