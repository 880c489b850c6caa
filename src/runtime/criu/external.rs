//! What of a container is the host's: CRIU neither saves it nor makes it, and has to be told what takes its place. The
//! names are runc's, so that each of the two restores what the other saved.

use super::message::{Options, Text};
use super::service::inherited_number;
use crate::bail;
use crate::error::{Context, Result};
use crate::runtime::plan::Plan;
use crate::runtime::plan::mounts::{Mount, What};
use crate::runtime::plan::namespaces::{KINDS, Namespaces};
use crate::runtime::plan::step::{JoinedNamespace, Op};
use crate::sys::process::{CLONE_NEWCGROUP, CLONE_NEWNET, CLONE_NEWPID};
use crate::sys::root::Root;
use crate::sys::{Errno, Mode, OFlag, fd};
use std::ffi::{CStr, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What masks a file.
const NULL: &str = "/dev/null";
/// The container's own view of a descriptor's path is not the host's.
const MODE_DIR: Mode = Mode::from_bits_truncate(0o755);
const MODE_FILE: Mode = Mode::from_bits_truncate(0o644);

fn path(text: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(text.to_bytes()))
}

/// For a dump. `root`: the container's, as its first process sees it.
pub fn at_dump(options: &mut Options, plan: &Plan, root: &Root) {
    let mut external = |target: &CStr, name: &str| {
        // Where it really is: a name on the way may be a link. What is not there is not mounted.
        if let Ok(place) = root.resolve(path(target)).and_then(fd::path) {
            options.external_mount(&place, name);
        }
    };
    for step in &plan.steps {
        match &step.op {
            Op::Mount(mount) if matches!(mount.what, What::Bind { .. }) => {
                external(&mount.target, &mount.target.to_string_lossy());
            }
            Op::Device(device) => external(&device.path, &device.path.to_string_lossy()),
            Op::MaskPath(target) => {
                let is_dir = |found| fd::stat(&found).is_ok_and(|stat| stat.is_dir());
                if !root.resolve(path(target)).is_ok_and(is_dir) {
                    external(target, NULL);
                }
            }
            _ => {}
        }
    }
}

/// For a restore.
pub fn at_restore(options: &mut Options, plan: &Plan, rootfs: &Root, rootfs_path: &str) {
    for step in &plan.steps {
        match &step.op {
            Op::Mount(mount) => {
                let What::Bind { source, .. } = &mount.what else { continue };
                let (target, source) = (mount.target.to_string_lossy(), source.to_string_lossy());
                options.external_mount(&target, &source);
                // runc's name for it.
                let place = rootfs.resolve(path(&mount.target)).and_then(fd::path).unwrap_or_default();
                if let Some(place) = place.strip_prefix(rootfs_path).filter(|place| *place != target) {
                    options.external_mount(place, &source);
                }
            }
            Op::Device(device) => {
                let path = device.path.to_string_lossy();
                options.external_mount(&path, &path);
            }
            _ => {}
        }
    }
    options.external_mount(NULL, NULL);
}

/// CRIU mounts on what is there, and makes no mount points.
pub fn make_mount_points(plan: &Plan, rootfs: &Root) -> Result<()> {
    let mut done: Vec<&Mount> = Vec::new();
    for step in &plan.steps {
        let Op::Mount(mount) = &step.op else { continue };
        let made = make_mount_point(mount, &done, rootfs);
        made.with(|| format!("{}: make {} to mount on", step.origin, mount.target.to_string_lossy()))?;
        done.push(mount);
    }
    Ok(())
}

fn make_mount_point(mount: &Mount, done: &[&Mount], rootfs: &Root) -> crate::sys::Result<()> {
    let target = path(&mount.target);
    let below = |above: &&&Mount| target != path(&above.target) && target.starts_with(path(&above.target));
    let source = match done.iter().rev().find(below).map(|above| (&above.what, path(&above.target))) {
        None => None,
        Some((What::Bind { source, .. }, above)) => Some((Root::open(path(source))?, above)),
        // What is in a filesystem of the container's own comes with it.
        Some(_) => return Ok(()),
    };
    let (root, target) = match &source {
        Some((root, above)) => (root, target.strip_prefix(above).unwrap_or(target)),
        None => (rootfs, target),
    };
    let is_dir = match &mount.what {
        What::Bind { source, .. } => fd::stat(fd::open(source, OFlag::O_PATH)?)?.is_dir(),
        _ => true,
    };
    if is_dir { root.create_dir_all(target, MODE_DIR) } else { root.create_file(target, MODE_FILE, MODE_DIR) }.map(drop)
}

/// The kernel's name for a kind of namespace, and CRIU's for one of ours: `extRootNetNS`.
fn key(flag: i32) -> (&'static str, String) {
    let name = KINDS.iter().find(|kind| kind.1 == flag).map_or("", |kind| kind.2);
    let (first, rest) = name.split_at(name.len().min(1));
    (name, format!("extRoot{}{rest}NS", first.to_uppercase()))
}

/// Of joined namespaces CRIU leaves those for processes and networks alone; the others it saves, and joins again.
fn is_external(namespace: &&JoinedNamespace) -> bool {
    [CLONE_NEWNET, CLONE_NEWPID].contains(&namespace.flag)
}

pub fn namespaces_at_dump(options: &mut Options, namespaces: &Namespaces) -> Result<()> {
    for namespace in namespaces.joined.iter().filter(is_external) {
        let inode = open_namespace(namespace)?.1;
        let (name, key) = key(namespace.flag);
        options.text(Text::External, &format!("{name}[{inode}]:{key}"));
    }
    Ok(())
}

/// What CRIU has to inherit.
pub fn namespaces_at_restore(options: &mut Options, namespaces: &Namespaces) -> Result<Vec<OwnedFd>> {
    let mut inherited = Vec::new();
    for namespace in &namespaces.joined {
        let (name, key) = key(namespace.flag);
        if namespace.flag == CLONE_NEWCGROUP {
            bail!("linux.namespaces[{}].path: criu cannot restore into a cgroup namespace", namespace.index);
        }
        if is_external(&namespace) {
            options.inherit(&key, inherited_number(inherited.len()));
            inherited.push(open_namespace(namespace)?.0);
        } else {
            options.join_namespace(name, &namespace.path.to_string_lossy());
        }
    }
    Ok(inherited)
}

fn open_namespace(namespace: &JoinedNamespace) -> Result<(OwnedFd, u64)> {
    let opened = fd::open(&namespace.path, OFlag::O_RDONLY);
    let found = opened.and_then(|file| fd::stat(&file).map(|stat| (file, stat.inode)));
    found.with(|| format!("linux.namespaces[{}].path: open {}", namespace.index, namespace.path.to_string_lossy()))
}

/// Saved beside the images: what the standard descriptors of the first process are.
pub const DESCRIPTORS: &CStr = c"descriptors.json";

/// Pipes, and files that the container has from outside, get another end at restore.
pub fn is_inherited(descriptor: &str) -> bool {
    ["pipe:[", "file["].iter().any(|start| descriptor.starts_with(start))
}

/// The standard descriptors of process `pid`: where each leads. A file outside the container's mounts has CRIU's name for
/// such, and CRIU is told of it.
pub fn descriptors(options: &mut Options, pid: i32) -> Result<Vec<String>> {
    let read = |file: String| -> crate::sys::Result<String> {
        let name = std::ffi::CString::new(file).map_err(|_| Errno::EINVAL)?;
        let text = fd::read_up_to(fd::open(&name, OFlag::O_RDONLY)?, 16 << 20)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    let mounts = read(format!("/proc/{pid}/mountinfo")).with(|| format!("read /proc/{pid}/mountinfo"))?;
    let mut found = Vec::new();
    for number in 0..=2 {
        let name = format!("/proc/{pid}/fd/{number}");
        // Closed by the program.
        let Ok(target) = nix::fcntl::readlink(name.as_str()) else {
            found.push(String::new());
            continue;
        };
        let mut target = target.to_string_lossy().into_owned();
        let info = read(format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
        let mount = info.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse::<u64>().ok());
        let own = |mount: u64| mounts.lines().any(|line| line.split(' ').next() == Some(mount.to_string().as_str()));
        let stat = nix::sys::stat::stat(name.as_str()).map(|stat| (stat.st_mode & FORMAT, stat.st_ino));
        if let (Some(mount), Ok((REGULAR, inode))) = (mount, stat)
            && !own(mount)
        {
            target = format!("file[{mount:x}:{inode:X}]");
            options.text(Text::External, &target);
        }
        found.push(target);
    }
    Ok(found)
}

/// Of a mode (inode(7)).
const FORMAT: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
