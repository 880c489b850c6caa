//! process: who the program is, where it runs and what it is given.

use super::step::{Label, Op, Origin};
use super::{Facts, Steps, capabilities, cstring, seccomp};
use crate::error::Result;
use crate::runtime::seccomp::Filter;
use crate::runtime::spec::Process;
use crate::sys::process::Strings;
use std::ffi::CString;

/// What runc and crun give where config.json says nothing; our caller's would be a surprise.
const UMASK_DEFAULT: u32 = 0o022;

const CWD: Origin = Origin::Field("process.cwd");
const ARGS: Origin = Origin::Field("process.args");
const USER: Origin = Origin::Field("process.user");
const CAPABILITIES: Origin = Origin::Field("process.capabilities");

pub(super) fn session(steps: &mut Steps, facts: &Facts) -> Result<()> {
    steps.always(Op::Setsid);
    if !facts.no_new_keyring {
        // Or the container could read the keys of whoever started it.
        steps.always(Op::SessionKeyring(cstring(&format!("_ses.{}", facts.id), Origin::Always)?));
    }
    Ok(())
}

pub(super) fn make_cwd(steps: &mut Steps, process: &Process) -> Result<()> {
    if super::mounts::clean(&process.cwd) != "/" {
        steps.add(CWD, Op::MakeCwd(cstring(&process.cwd, CWD)?));
    }
    Ok(())
}

/// Where the program runs, and whether it is there: after pivot_root the kernel's own lookup is right.
pub(super) fn place(steps: &mut Steps, process: &Process) -> Result<()> {
    steps.add(CWD, Op::Chdir(cstring(&process.cwd, CWD)?));
    let env = environment(process);
    if !env.iter().any(|entry| entry.starts_with("HOME=")) {
        steps.add(USER, Op::Home(process.user.uid));
    }
    let Some(name) = process.args.iter().flatten().next() else { return Ok(()) };
    let path = env.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or_default();
    let directories: Result<Vec<CString>> =
        path.split(':').filter(|_| !path.is_empty() && !name.contains('/')).map(|part| cstring(part, ARGS)).collect();
    steps.add(ARGS, Op::FindProgram { name: cstring(name, ARGS)?, directories: directories? });
    Ok(())
}

pub(super) fn before_ready(steps: &mut Steps, process: &Process) {
    let umask = process.user.umask.unwrap_or(UMASK_DEFAULT);
    steps.add(Origin::Field("process.user.umask"), Op::Umask(umask));
    if process.no_new_privileges {
        steps.add(Origin::Field("process.noNewPrivileges"), Op::NoNewPrivileges);
    }
}

/// From the container's root to the program that runs in it.
pub(super) fn become_user(
    steps: &mut Steps,
    process: &Process,
    filter: Option<Filter>,
    preserved: u32,
    held: Option<u64>,
) -> Result<()> {
    labels(steps, process)?;
    let filter = if process.no_new_privileges {
        filter
    } else {
        close_the_rest(steps, &filter, preserved);
        seccomp::without_listener(steps, filter);
        None
    };
    let sets = capabilities::parse(steps, process, held)?;
    let user = &process.user;
    let groups = user.additional_gids.clone().unwrap_or_default();
    steps.add(Origin::Field("process.user.additionalGids"), Op::AdditionalGroups(groups));
    steps.add(Origin::Field("process.user.gid"), Op::Gid(user.gid));
    // Dropping from the bounding set takes a capability that goes with the user.
    steps.add(CAPABILITIES, Op::BoundingSet(sets.bounding));
    if user.uid != 0 {
        steps.add(USER, Op::OwnStdio(user.uid));
    }
    steps.add(Origin::Field("process.user.uid"), Op::Uid(user.uid));
    steps.add(CAPABILITIES, Op::Capabilities(sets.thread));
    // Last: the kernel takes it from the permitted and inheritable ones.
    steps.add(CAPABILITIES, Op::AmbientSet(sets.ambient));
    steps.add(CWD, Op::ChdirAgain(cstring(&process.cwd, CWD)?));
    if process.no_new_privileges {
        close_the_rest(steps, &filter, preserved);
        seccomp::without_listener(steps, filter);
    }
    let args: Result<Vec<CString>> = process.args.iter().flatten().map(|arg| cstring(arg, ARGS)).collect();
    let origin = Origin::Field("process.env");
    let env: Result<Vec<CString>> = environment(process).iter().map(|entry| cstring(entry, origin)).collect();
    steps.add(ARGS, Op::Exec { args: Strings::new(args?), env: Strings::new(env?) });
    Ok(())
}

/// CVE-2024-21626. Before the filter, which may well refuse close_range(2); what we open after it is close-on-exec anyway.
fn close_the_rest(steps: &mut Steps, filter: &Option<Filter>, preserved: u32) {
    if filter.as_ref().is_none_or(|filter| filter.listener.is_none()) {
        steps.always(Op::CloseRange { first: preserved.saturating_add(3) });
    }
}

/// Each name once: the last value wins, at the place of the first.
fn environment(process: &Process) -> Vec<&str> {
    let mut entries: Vec<&str> = Vec::new();
    for entry in process.env.iter().flatten() {
        let name = entry.split('=').next();
        match entries.iter_mut().find(|other| other.split('=').next() == name) {
            Some(other) => *other = entry,
            None => entries.push(entry),
        }
    }
    entries
}

fn labels(steps: &mut Steps, process: &Process) -> Result<()> {
    if !process.apparmor_profile.is_empty() {
        let origin = Origin::Field("process.apparmorProfile");
        let value = cstring(&format!("exec {}", process.apparmor_profile), origin)?;
        steps.add(origin, Op::Label(Label { files: &[c"attr/apparmor/exec", c"attr/exec"], value }));
    }
    if !process.selinux_label.is_empty() {
        let origin = Origin::Field("process.selinuxLabel");
        let value = cstring(&process.selinux_label, origin)?;
        steps.add(origin, Op::Label(Label { files: &[c"attr/exec"], value }));
    }
    Ok(())
}
