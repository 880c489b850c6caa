//! createContainer and startContainer hooks.

use super::Child;
use super::fault::{At, Fault, HOOK_STATUS_SHIFT, Part};
use crate::runtime::hooks::{End, run};
use crate::runtime::spec::Hook;
use crate::sys::fd;
use crate::sys::process::Exit;

impl Child {
    pub(super) fn hooks(&self, hooks: &[Hook]) -> Result<(), Fault> {
        let (before, after) = &self.state;
        let state = [before.as_slice(), b"created\",\"pid\":", self.pid.to_string().as_bytes(), after].concat();
        for (index, hook) in hooks.iter().enumerate() {
            let (end, output) = run(hook, &state, None).at_detail(Part::HookStart, index)?;
            if end.is_good() {
                continue;
            }
            // Whoever wrote the hook wants to see its words; they do not cross to the parent.
            if fd::rewind(&output).is_ok()
                && let Ok(stderr) = fd::borrow(2)
            {
                let _ = fd::copy_all(&output, stderr);
            }
            let detail = |status: i32| index as i32 | status << HOOK_STATUS_SHIFT;
            return Err(match end {
                End::Exit(Exit::Code(code)) => Fault::new(Part::HookExit, detail(code.into())),
                End::Exit(Exit::Signal(signal)) => Fault::new(Part::HookSignal, detail(signal)),
                End::Timeout => Fault::new(Part::HookTimeout, detail(0)),
                End::NotStarted(errno) => Fault { part: Part::HookStart, detail: detail(0), errno: errno as i32 },
            });
        }
        Ok(())
    }
}
