//! Carries out a plan: each step from the cache, or anew.

use super::cache::{self, Cache, Layer, Record};
use super::copy::Copier;
use super::guard::Guard;
use super::hash::content;
use super::interrupt::Interrupt;
use super::output::layers;
use super::progress::{Progress, Step as Shown};
use super::settings::Settings;
use super::stages::{Built, Stages};
use super::tree::{Pattern, Tree};
use super::trees::{Mounted, Trees};
use super::work::Work;
use super::{owner, place, remote, run};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::digest::{Digest, chain_ids};
use crate::image::dockerignore::Ignore;
use crate::image::plan::{Base, Copy, Operation, Place, Plan, Run, Source, Stage, Step};
use crate::image::reference::Reference;
use crate::image::store::{Image, Lease, Store};
use crate::image::time;
use crate::sys::tree::Time;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub struct Executor<'a> {
    pub store: &'a Store,
    pub lease: &'a Lease<'a>,
    pub trees: &'a Trees<'a>,
    pub plan: &'a Plan,
    pub settings: &'a Settings,
    pub progress: &'a Progress,
    pub interrupt: &'a Interrupt,
    pub guard: Guard,
    pub context: &'a Tree,
    /// `--build-context`
    pub named: &'a BTreeMap<String, Tree>,
    pub images: &'a BTreeMap<Reference, Image>,
    pub remotes: remote::Remotes,
    pub cache: Cache<'a>,
    pub stages: Stages,
}

/// A tree of the host's, or one that is mounted.
pub enum Got<'a> {
    Host(&'a Tree),
    Mounted(Arc<Mounted>),
}

impl Got<'_> {
    pub fn get(&self) -> &Tree {
        match self {
            Got::Host(tree) => tree,
            Got::Mounted(mounted) => &mounted.tree,
        }
    }
}

/// How exactly the content of what a step reads is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// The name of a stack of layers stands for what is in it: nothing has to be laid out.
    AtLayers,
    AtFiles,
}

impl<'a> Executor<'a> {
    /// Builds every stage; the one that is the target.
    pub fn run(&self) -> Result<Built> {
        let stage = |number: usize| match self.plan.stages.get(number) {
            Some(stage) => self.stage(stage),
            None => bail!("{}: no stage {number}", self.plan.name),
        };
        self.stages.run(stage, || self.interrupt.give_up())?;
        self.stages.get(self.plan.target)
    }

    fn stage(&self, stage: &Stage) -> Result<Built> {
        let mut built = self.base(stage)?;
        let count = stage.steps.iter().filter(|step| step.operation.makes_layer()).count();
        let mut number = 0;
        for step in &stage.steps {
            self.interrupt.check()?;
            if !step.operation.makes_layer() {
                built.times.push(built.created);
                continue;
            }
            number += 1;
            self.wait_for(&step.operation)?;
            let turn = self.stages.turn()?;
            self.interrupt.check()?;
            let name = stage.name.clone().unwrap_or_else(|| format!("stage-{}", stage.index));
            let shown = self.progress.begin(&format!("{name} {number}/{count}"), &step.title);
            let record = match self.step(stage, step, &built, &shown) {
                Ok((record, true)) => {
                    shown.cached();
                    record
                }
                Ok((record, false)) => {
                    shown.done();
                    record
                }
                Err(error) => {
                    let line = format!("{}:{}", self.plan.name, step.span.first);
                    let error = error.context(super::progress::shortened(&step.title)).context(line);
                    shown.failed(&error);
                    return Err(error);
                }
            };
            drop(turn);
            built.created = record.created;
            built.times.push(record.created);
            built.layers.push(record.layer);
        }
        Ok(built)
    }

    /// For the stages that a step reads from.
    fn wait_for(&self, operation: &Operation) -> Result<()> {
        for place in operation.places() {
            if let Place::Stage(number) = place {
                self.stages.get(*number)?;
            }
        }
        Ok(())
    }

    fn base(&self, stage: &Stage) -> Result<Built> {
        Ok(match &stage.base {
            Base::Scratch => Built { created: self.plan.epoch.unwrap_or_else(time::now), ..Built::default() },
            Base::Stage(number) => {
                let below = self.stages.get(*number)?;
                Built { base: below.layers.len(), ..below }
            }
            Base::Image(reference) => {
                let image = self.image(reference)?;
                let created = image.config.created.as_deref().and_then(time::parse_rfc3339).unwrap_or(0);
                let layers = layers(image);
                let created = self.plan.epoch.unwrap_or(created);
                Built { base: layers.len(), layers, times: Vec::new(), created }
            }
            // Its files are the first step's.
            Base::Context(_) => Built { created: self.plan.epoch.unwrap_or_else(time::now), ..Built::default() },
        })
    }

    fn image(&self, reference: &Reference) -> Result<&Image> {
        self.images.get(reference).ok_or_else(|| Error::new(format!("No such image: {}", reference.familiar())))
    }

    /// The layers of a stage or an image.
    pub fn layers_of(&self, place: &Place) -> Result<Vec<Layer>> {
        Ok(match place {
            Place::Stage(number) => self.stages.get(*number)?.layers,
            Place::Image(reference) => layers(self.image(reference)?),
            Place::Context | Place::Named(_) | Place::Scratch => Vec::new(),
        })
    }

    /// What messages call it.
    pub fn name_of(&self, place: &Place) -> String {
        match place {
            Place::Context => "the context".to_owned(),
            Place::Named(name) => format!("context {name}"),
            Place::Scratch => "scratch".to_owned(),
            Place::Image(reference) => reference.familiar(),
            Place::Stage(number) => match self.plan.stages.get(*number).map(|stage| (&stage.name, stage.index)) {
                Some((Some(name), _)) => format!("stage {name}"),
                Some((None, index)) => format!("stage {index}"),
                None => format!("stage {number}"),
            },
        }
    }

    pub fn tree(&self, place: &Place) -> Result<Got<'a>> {
        match place {
            Place::Context => Ok(Got::Host(self.context)),
            Place::Named(name) => match self.named.get(name) {
                Some(tree) => Ok(Got::Host(tree)),
                None => bail!("context {name} was not given"),
            },
            place => Ok(Got::Mounted(self.trees.of_layers(&self.layers_of(place)?, &self.name_of(place))?)),
        }
    }

    /// The step's record, and whether it came from the cache.
    fn step(&self, stage: &Stage, step: &Step, built: &Built, shown: &Shown) -> Result<(Record, bool)> {
        let filtered = stage.name.as_ref().is_some_and(|name| self.settings.no_cache_stages.contains(name));
        let may_hit = !self.settings.no_cache && !filtered;
        let parent = if independent(&step.operation) { None } else { built.chain_id() };
        let mut keys = Vec::new();
        for look in [Look::AtLayers, Look::AtFiles] {
            let (contents, exact) = self.contents(&step.operation, look)?;
            let key = cache::key(parent.as_ref(), &step.operation, &contents, self.plan.epoch)?;
            keys.push(key.clone());
            if may_hit && let Some(record) = self.cache.find(&key) {
                for key in &keys {
                    self.cache.keep(key, &record)?;
                }
                return Ok((record, true));
            }
            if exact {
                break;
            }
        }
        let layer = self.execute(&step.operation, &built.layers, shown)?;
        let record = Record { layer, created: self.plan.epoch.unwrap_or_else(time::now) };
        for key in &keys {
            self.cache.keep(key, &record)?;
        }
        Ok((record, false))
    }

    /// Digests of what the operation reads, in order; and whether looking closer could say more.
    fn contents(&self, operation: &Operation, look: Look) -> Result<(Vec<Digest>, bool)> {
        let mut digests = Vec::new();
        let mut exact = true;
        let mut look_at = |place: &Place, path: &str, deep: bool, exclude: &Ignore| -> Result<Digest> {
            let of_layers = matches!(place, Place::Stage(_) | Place::Image(_));
            if of_layers && look == Look::AtLayers {
                exact = false;
                let layers: Vec<Digest> = self.layers_of(place)?.into_iter().map(|layer| layer.diff_id).collect();
                let top = chain_ids(&layers).pop().map(|id| id.to_string()).unwrap_or_default();
                return Ok(Digest::of(format!("layers {top}").as_bytes()));
            }
            let tree = self.tree(place)?;
            let pattern = Pattern { text: path, deep };
            Ok(content(tree.get(), pattern, exclude).with(|| format!("/{path}"))?.0)
        };
        match operation {
            Operation::Config | Operation::MakeDir { .. } => {}
            Operation::Copy(copy) => {
                let exclude = Ignore::new(copy.exclude.iter().map(String::as_str))?;
                for source in &copy.sources {
                    match source {
                        Source::Path { place, path, .. } => digests.push(look_at(place, path, copy.parents, &exclude)?),
                        Source::Inline { .. } => {}
                        // A checksum is in the operation.
                        Source::Url { checksum: Some(_), .. } => {}
                        Source::Url { url, .. } => digests.push(remote::digest(self, url).with(|| url.clone())?),
                        Source::Git(git) => {
                            let commit = remote::commit(self, git).with(|| git.remote.clone())?;
                            digests.push(Digest::of(format!("commit {commit}").as_bytes()));
                        }
                    }
                }
            }
            Operation::Run(run) => {
                for mount in &run.mounts {
                    if let (crate::image::plan::Mount::Bind { .. }, Some((place, source))) = (mount, mount.place())
                        && *place != Place::Scratch
                    {
                        let literal = escaped(source.trim_start_matches('/'));
                        digests.push(look_at(place, &literal, false, &Ignore::default())?);
                    }
                }
            }
        }
        Ok((digests, exact))
    }

    fn execute(&self, operation: &Operation, layers: &[Layer], shown: &Shown) -> Result<Layer> {
        match operation {
            Operation::Config => bail!("nothing to execute"),
            Operation::Run(run) => self.run_step(run, layers, shown),
            Operation::MakeDir { path, user } => {
                let work = Work::begin(self.store, self.lease, self.trees, layers, None)?;
                let root = work.root()?;
                let owner = if user.is_empty() { (0, 0) } else { self.owner(&root, user, shown)? };
                let made = place::Made::parent(owner, None, self.now());
                place::make_dirs(&root, Path::new(path), made)?;
                drop(root);
                work.finish(self.plan.epoch)
            }
            Operation::Copy(copy) => self.copy_step(copy, layers, shown),
        }
    }

    fn run_step(&self, run: &Run, layers: &[Layer], shown: &Shown) -> Result<Layer> {
        run::execute(self, run, layers, shown)
    }

    fn owner(&self, root: &crate::sys::root::Root, text: &str, shown: &Shown) -> Result<(u32, u32)> {
        let (owner, warning) = owner::resolve(root, text)?;
        warning.iter().for_each(|warning| shown.warn(warning));
        Ok(owner)
    }

    /// The time of things that are made and not copied.
    fn now(&self) -> Option<Time> {
        self.plan.epoch.map(|seconds| Time { seconds, nanoseconds: 0 })
    }

    fn copy_step(&self, copy: &Copy, layers: &[Layer], shown: &Shown) -> Result<Layer> {
        let below: &[Layer] = if copy.link { &[] } else { layers };
        let owner = match &copy.chown {
            None => None,
            Some(chown) if copy.link && !is_numeric(chown) => {
                let mounted = self.trees.of_layers(layers, "the image")?;
                Some(self.owner(&mounted.tree.root, chown, shown).context("flag --chown")?)
            }
            Some(_) => None,
        };
        let work = Work::begin(self.store, self.lease, self.trees, below, None)?;
        let root = work.root()?;
        let owner = match (&copy.chown, owner) {
            (Some(chown), None) => Some(self.owner(&root, chown, shown).context("flag --chown")?),
            (_, owner) => owner,
        };
        let mut copier = Copier::new(&root, owner, copy.chmod.as_ref());
        copier.overwrite = copy.link;
        copier.now = self.now();
        let exclude = Ignore::new(copy.exclude.iter().map(String::as_str))?;
        for source in &copy.sources {
            self.interrupt.check()?;
            self.copy_source(copy, source, &mut copier, &exclude)?;
        }
        copier.finish()?;
        drop(root);
        work.finish(self.plan.epoch)
    }

    fn copy_source(&self, copy: &Copy, source: &Source, copier: &mut Copier, exclude: &Ignore) -> Result<()> {
        let to = copy.destination.as_str();
        match source {
            Source::Inline { name, content } => copier.inline(name, content, to).with(|| format!("<<{name}")),
            Source::Path { place, path, pivot, unpack, .. } => {
                let tree = self.tree(place)?;
                let pattern = Pattern { text: path, deep: copy.parents };
                let found = tree.get().select(pattern).with(|| format!("/{path}"))?;
                if found.len() > 1 && !to.ends_with('/') && !copy.parents && !place::is_dir(copier.root, Path::new(to))
                {
                    bail!("/{path}: several files match; the destination {to} must be a directory and end with '/'");
                }
                for path in found {
                    let to =
                        if copy.parents { copier.with_parents(tree.get(), &path, pivot, to)? } else { to.to_owned() };
                    if *unpack && super::unpack::is_archive(tree.get(), &path)? {
                        super::unpack::unpack(copier, tree.get(), &path, &to)
                            .with(|| format!("/{}", path.display()))?;
                        continue;
                    }
                    copier.copy(tree.get(), &path, &to, exclude)?;
                }
                Ok(())
            }
            Source::Url { url, checksum, unpack } => {
                let source = remote::Url { url, checksum: checksum.as_deref(), unpack: *unpack };
                remote::add_url(self, &source, copier, to).with(|| url.clone())
            }
            Source::Git(git) => remote::add_git(self, git, copier, to, exclude).with(|| git.remote.clone()),
        }
    }
}

/// `--link`, unless the owner has to be looked up in what is below.
fn independent(operation: &Operation) -> bool {
    match operation {
        Operation::Copy(copy) => copy.link && copy.chown.as_ref().is_none_or(|chown| is_numeric(chown)),
        _ => false,
    }
}

fn is_numeric(chown: &str) -> bool {
    chown.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
}

/// A name as a pattern that means only it.
fn escaped(path: &str) -> String {
    path.chars().flat_map(|c| if matches!(c, '*' | '?' | '[' | '\\') { vec!['\\', c] } else { vec![c] }).collect()
}
