//! The user of a container: `USER[:GROUP]`, names or numbers, as the image's own /etc/passwd and /etc/group know them
//! (image-spec config.md, "User"). The files are a stranger's: they may be links, devices, or endless.

use crate::bail;
use crate::error::{Context, Result};
use crate::sys::Errno;
use crate::sys::root::Root;
use crate::sys::tree::{self, Kind};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;

/// A larger one is no list of users.
const FILE_MAX: u64 = 4 << 20;
/// What a 32 bit number would make of a larger one is root, or somebody else (CVE-2024-40635).
const ID_MAX: u32 = i32::MAX as u32;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    pub additional_gids: Vec<u32>,
    /// From /etc/passwd.
    pub home: Option<String>,
}

impl Identity {
    /// All groups of the process. The first one is among the additional ones, so that a file's mode cannot be
    /// got around by dropping it (CVE-2022-36109).
    pub fn groups(&self) -> Vec<u32> {
        let others = self.additional_gids.iter().copied().filter(|gid| *gid != self.gid);
        std::iter::once(self.gid).chain(others).collect()
    }
}

/// Who `user` is in the file system at `root`; nobody in particular, "", is root.
pub fn resolve(root: &Root, user: &str) -> Result<Identity> {
    find(root, user).with(|| format!("user {user:?}"))
}

fn find(root: &Root, text: &str) -> Result<Identity> {
    let (user, group) = match text.split_once(':') {
        Some((_, "")) => bail!("empty group"),
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let passwd = read(root, "etc/passwd")?;
    let number = id(user)?;
    let entry = fields(&passwd).find(|entry| match number {
        // Numbers are numbers, also where somebody is called 0.
        Some(uid) => entry.get(2).and_then(|field| field.parse().ok()) == Some(uid),
        None => entry.first() == Some(&user),
    });
    let field = |at: usize| entry.as_ref().and_then(|entry| entry.get(at).copied());
    let in_file = |at: usize| field(at).map(|field| id(field).map(|id| id.unwrap_or(0))).transpose();
    let Some(uid) = number.map_or_else(|| in_file(2), |uid| Ok(Some(uid)))? else {
        bail!("not in the image's /etc/passwd; use a number, or add the user");
    };
    let home = field(5).filter(|home| home.starts_with('/')).map(str::to_owned);
    let groups = read(root, "etc/group")?;
    if let Some(group) = group {
        let gid = match id(group)? {
            Some(gid) => gid,
            None => named_group(&groups, group)?,
        };
        return Ok(Identity { uid, gid, additional_gids: Vec::new(), home });
    }
    let gid = in_file(3)?.unwrap_or(0);
    let mut additional_gids = Vec::new();
    if let Some(name) = field(0) {
        let of_user = |entry: &Vec<&str>| entry.get(3).is_some_and(|members| members.split(',').any(|m| m == name));
        for entry in fields(&groups).filter(of_user) {
            if let Some(Ok(Some(gid))) = entry.get(2).map(|gid| id(gid)) {
                additional_gids.push(gid);
            }
        }
    }
    Ok(Identity { uid, gid, additional_gids, home })
}

fn named_group(groups: &str, name: &str) -> Result<u32> {
    let entry = fields(groups).find(|entry| entry.first() == Some(&name));
    match entry.and_then(|entry| id(entry.get(2)?).ok()?) {
        Some(gid) => Ok(gid),
        None => bail!("group {name:?} is not in the image's /etc/group"),
    }
}

/// `None` where it is a name.
fn id(text: &str) -> Result<Option<u32>> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(id) if id <= ID_MAX && !text.starts_with('+') => Ok(Some(id)),
        _ => bail!("{text} is not a number from 0 to {ID_MAX}"),
    }
}

fn fields(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split(':').collect())
}

/// Empty where there is none. Nothing is opened that is not a regular file: a device could do anything, a fifo block.
fn read(root: &Root, path: &str) -> Result<String> {
    let read = || -> Result<String> {
        let found = match root.resolve(path) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(String::new()),
            found => found?,
        };
        if tree::stat(&found)?.kind != Kind::Regular {
            bail!("not a regular file");
        }
        let file = File::open(format!("/proc/self/fd/{}", found.as_raw_fd()))?;
        let mut bytes = Vec::new();
        file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_MAX {
            bail!("larger than {FILE_MAX} bytes");
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().with(|| format!("the image's /{path}"))
}

#[cfg(test)]
mod tests;
