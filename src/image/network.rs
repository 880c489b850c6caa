//! The networks of containers.

use super::container::config::Config;
use super::container::spec;
use super::container::state::Endpoint;
use super::store::Store;
use crate::error::Result;
use crate::sys::event::{Ready, Wanted};
use crate::sys::process::pid_t;

/// A container's part in a network, while it runs.
pub struct Attached {
    namespace: Option<String>,
    endpoint: Option<Endpoint>,
}

/// What has to be done before there is a container.
pub fn prepare(
    store: &Store,
    config: &Config,
    _take: &mut dyn FnMut(Option<&Endpoint>) -> Result<()>,
) -> Result<Attached> {
    let other = config.network.mode.strip_prefix("container:");
    let namespace = other.map(|other| spec::namespace_of(store, other, "network")).transpose()?;
    Ok(Attached { namespace, endpoint: None })
}

pub fn clean(_store: &Store, _config: &Config) -> Result<()> {
    Ok(())
}

impl Attached {
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    pub fn name_server(&self) -> Option<&str> {
        None
    }

    pub fn attach(&mut self, _pid: pid_t) -> Result<()> {
        Ok(())
    }

    pub fn detach(&mut self) {}

    pub fn extend_wanted<'a>(&'a self, _wanted: &mut Vec<Wanted<'a>>) {}

    pub fn serve(&mut self, _ready: &[Ready]) {}
}
