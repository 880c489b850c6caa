//! What the command line says about how to build; what it says about the language is in [`crate::image::plan::Options`].

use super::cache::Elsewhere;
use crate::image::plan::Network;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

#[derive(Debug, Clone)]
pub struct Settings {
    /// The OCI runtime.
    pub runtime: PathBuf,
    pub no_cache: bool,
    /// Stages whose steps are not taken from the cache.
    pub no_cache_stages: BTreeSet<String>,
    /// Where steps of other builds are.
    pub cache_from: Vec<Elsewhere>,
    /// Of steps that do not say.
    pub network: Network,
    /// `NAME:ADDRESS`
    pub hosts: Vec<String>,
    /// By id.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Sockets of agents, by id.
    pub agents: BTreeMap<String, PathBuf>,
    /// Bytes of /dev/shm.
    pub shm_size: Option<u64>,
    /// `NAME=SOFT[:HARD]`, as config.json has them.
    pub limits: Vec<serde_json::Value>,
    pub cgroup_parent: Option<String>,
    /// `--allow security.insecure`
    pub allow_insecure: bool,
}

#[derive(Debug, Clone)]
pub enum SecretSource {
    File(PathBuf),
    Variable(String),
}
