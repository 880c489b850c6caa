//! `forno update`: changes limits and the restart policy of containers, whether they run or not.

use super::each::each;
use super::options::limits::LimitArgs;
use super::options::values::restart;
use super::{Forno, Verb};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::container::Container;
use crate::image::container::config::Restart;
use crate::image::container::runtime::Runtime;
use crate::image::events;
use crate::image::store::Store;
use clap::Args;
use serde_json::{Value, json};

/// What the OCI runtime is told.
const RESOURCES: &str = "update.json";

#[derive(Debug, Args)]
pub(super) struct Update {
    #[command(flatten)]
    limits: LimitArgs,
    /// When to start the container again: no, on-failure[:N], always, unless-stopped
    #[arg(long, value_name = "POLICY", value_parser = restart)]
    restart: Option<Restart>,
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Update {
    const NAME: &'static str = "update";
    const ABOUT: &'static str = "Change the limits of containers";

    fn run(self, forno: &Forno) -> Result<u8> {
        let resources = self.limits.resources()?;
        let store = forno.store()?;
        each(forno, &store, &self.containers, |container| self.change(forno, &store, container, &resources))
    }
}

impl Update {
    fn change(&self, forno: &Forno, store: &Store, container: &Container, resources: &Value) -> Result<()> {
        let _lock = container.lock()?;
        let mut config = container.config()?;
        if let Some(policy) = self.restart {
            if config.auto_remove && policy != Restart::default() {
                bail!("container {}: it is removed when it ends, and cannot be started again", config.name);
            }
            config.restart = policy;
        }
        if resources.as_object().is_some_and(|changed| !changed.is_empty()) {
            merge(&mut config.resources, resources);
            if container.state()?.is_alive() {
                let file = container.directory().join(RESOURCES);
                std::fs::write(&file, serde_json::to_vec(resources)?).with(|| format!("write {RESOURCES}"))?;
                let changed = Runtime::new(&forno.runtime(), container).update(&file);
                // It has been read.
                let _ = std::fs::remove_file(&file);
                changed?;
            }
        }
        container.set_config(store, &config)?;
        events::of_container(store, &config, "update", &[]);
        Ok(())
    }
}

/// Each value that is given takes the place of the old one.
fn merge(into: &mut Value, new: &Value) {
    let Some(new) = new.as_object() else {
        *into = new.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in new {
        merge(&mut into[key], value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_changes() {
        let mut old = json!({"memory": {"limit": 1, "swap": 2}, "pids": {"limit": 3}});
        merge(&mut old, &json!({"memory": {"limit": 9}, "cpu": {"shares": 4}}));
        assert_eq!(old, json!({"memory": {"limit": 9, "swap": 2}, "pids": {"limit": 3}, "cpu": {"shares": 4}}));
        let mut nothing = Value::Null;
        merge(&mut nothing, &json!({"pids": {"limit": 1}}));
        assert_eq!(nothing, json!({"pids": {"limit": 1}}));
    }
}
