//! process.terminal and consoleSize.

use super::Steps;
use super::step::{Op, Origin};
use crate::runtime::spec::Process;

const ORIGIN: Origin = Origin::Field("process.terminal");

fn size(process: &Process) -> Option<(u16, u16)> {
    process.console_size.as_ref().map(|size| (size.height, size.width)).filter(|size| size.0 > 0 && size.1 > 0)
}

pub(super) fn plan(steps: &mut Steps, process: &Process) {
    if process.terminal {
        steps.add(ORIGIN, Op::Console { size: size(process), bind: true });
    }
}

/// A further process has a terminal of its own; /dev/console stays the first one's.
pub(super) fn plan_exec(steps: &mut Steps, process: &Process) {
    if process.terminal {
        steps.add(ORIGIN, Op::Console { size: size(process), bind: false });
    }
}
