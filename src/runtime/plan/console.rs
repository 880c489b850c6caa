//! process.terminal and consoleSize.

use super::step::{Op, Origin};
use super::{Facts, Steps};
use crate::runtime::spec::Process;

const ORIGIN: Origin = Origin::Field("process.terminal");

fn size(process: &Process, facts: &Facts) -> Option<(u16, u16)> {
    let wanted = process.console_size.as_ref().map(|size| (size.height, size.width));
    facts.terminal_size.or(wanted).filter(|size| size.0 > 0 && size.1 > 0)
}

pub(super) fn plan(steps: &mut Steps, process: &Process, facts: &Facts) {
    if process.terminal {
        steps.add(ORIGIN, Op::Console { size: size(process, facts), bind: true });
    }
}

/// A further process has a terminal of its own; /dev/console stays the first one's.
pub(super) fn plan_exec(steps: &mut Steps, process: &Process, facts: &Facts) {
    if process.terminal {
        steps.add(ORIGIN, Op::Console { size: size(process, facts), bind: false });
    }
}
