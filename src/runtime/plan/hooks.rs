//! hooks that run before the program does (runtime-spec, config.md, "POSIX-platform Hooks"). prestart and createRuntime
//! are the parent's, who is in the runtime's namespaces; createContainer and startContainer the child's.

use super::Steps;
use super::step::{Op, Origin};
use crate::error::Result;
use crate::runtime::spec::{Hook, Spec};

fn some(hooks: &Option<Vec<Hook>>) -> Option<Vec<Hook>> {
    hooks.clone().filter(|hooks| !hooks.is_empty())
}

pub(super) fn create(steps: &mut Steps, spec: &Spec) -> Result<()> {
    let Some(hooks) = spec.hooks.as_ref() else { return Ok(()) };
    if some(&hooks.prestart).or_else(|| some(&hooks.create_runtime)).is_some() {
        steps.add(Origin::Field("hooks"), Op::AskHooks);
    }
    if let Some(hooks) = some(&hooks.create_container) {
        steps.add(Origin::Field("hooks.createContainer"), Op::Hooks { kind: "createContainer", hooks });
    }
    Ok(())
}

pub(super) fn start(steps: &mut Steps, spec: &Spec) -> Result<()> {
    if let Some(hooks) = spec.hooks.as_ref().and_then(|hooks| some(&hooks.start_container)) {
        steps.add(Origin::Field("hooks.startContainer"), Op::Hooks { kind: "startContainer", hooks });
    }
    Ok(())
}
