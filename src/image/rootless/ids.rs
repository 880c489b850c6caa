//! Which ids a user has: their own, and the ranges of /etc/subuid and /etc/subgid (subuid(5)).

use crate::error::{Context, Result};
use crate::idmap;
use crate::sys::identity;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::OnceLock;

/// The kernel takes so many lines (user_namespaces(7)); one is the user's own id.
const RANGES_MAX: usize = 339;

/// What is to be written for the user's namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Maps {
    pub uids: String,
    pub gids: String,
    /// More than the user's own ids.
    pub ranges: bool,
}

impl Maps {
    /// The user is root, and the ranges follow from 1 on. Without any, or without who writes them, root is alone.
    pub(super) fn of_user() -> Maps {
        let (uid, gid) = (identity::effective_uid(), identity::effective_gid());
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let user = name_of(uid, &read("/etc/passwd"));
        let (uids, gids) = (
            ranges(&read("/etc/subuid"), uid, user.as_deref()),
            // By the user too, not by the group.
            ranges(&read("/etc/subgid"), uid, user.as_deref()),
        );
        let programs = ["newuidmap", "newgidmap"].iter().all(|name| idmap::program(name).is_some());
        let ranges = programs && !uids.is_empty() && !gids.is_empty();
        let text = |own: u32, more: &[(u32, u32)]| {
            let mut text = format!("0 {own} 1\n");
            let mut next = 1u32;
            for (first, count) in more.iter().filter(|_| ranges).take(RANGES_MAX) {
                text.push_str(&format!("{next} {first} {count}\n"));
                next = next.saturating_add(*count);
            }
            text
        };
        Maps { uids: text(uid, &uids), gids: text(gid, &gids), ranges }
    }
}

/// What getpwuid(3) would say; where users are kept elsewhere, whoever the session says.
fn name_of(uid: u32, passwd: &str) -> Option<String> {
    let known = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    known.or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty() && name != "root"))
}

/// The first id and the count of each range of the user, who stands there by number or by name.
fn ranges(text: &str, uid: u32, name: Option<&str>) -> Vec<(u32, u32)> {
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let is_it = owner.parse() == Ok(uid) || name.is_some_and(|name| name == owner);
        let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (is_it && count > 0).then_some((first, count))
    };
    text.lines().filter_map(range).collect()
}

/// Which ids outside the ids in here are; (inside, outside, count).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Owners {
    uids: Vec<(u32, u32, u32)>,
    gids: Vec<(u32, u32, u32)>,
}

impl Owners {
    pub fn of_this_process() -> Result<Owners> {
        let read = |path: &str| Ok::<_, crate::error::Error>(lines(&std::fs::read_to_string(path).context(path)?));
        Ok(Owners { uids: read("/proc/self/uid_map")?, gids: read("/proc/self/gid_map")? })
    }

    /// For those of our threads that cannot look: they lay out layers, and reach no other file.
    pub fn remember(&self) {
        // Namespaces are joined before anything else is done, and do not change.
        let _ = ALONE.set(self.is_alone());
    }

    /// Whether every id that means something there means the same here.
    pub fn include(&self, other: &Owners) -> bool {
        let all = |ours: &[(u32, u32, u32)], theirs: &[(u32, u32, u32)]| theirs.iter().all(|line| ours.contains(line));
        all(&self.uids, &other.uids) && all(&self.gids, &other.gids)
    }

    /// The host's own root.
    pub fn is_host(&self) -> bool {
        self.uids == [(0, 0, u32::MAX)]
    }

    /// Nobody but root is there to own files.
    pub fn is_alone(&self) -> bool {
        let alone = |lines: &[(u32, u32, u32)]| matches!(lines, [(_, _, 1)]);
        alone(&self.uids) || alone(&self.gids)
    }

    pub fn has(&self, uid: u32, gid: u32) -> bool {
        let is_in = |lines: &[(u32, u32, u32)], id: u32| {
            lines.iter().any(|(inside, _, count)| id.checked_sub(*inside).is_some_and(|offset| offset < *count))
        };
        is_in(&self.uids, uid) && is_in(&self.gids, gid)
    }

    /// Root in here is one user outside: a user's own namespace, not a container with a range of its own.
    fn of_one_user(&self) -> Option<u32> {
        match self.uids.first() {
            Some((0, outside, 1)) if *outside != 0 => Some(*outside),
            _ => None,
        }
    }
}

impl fmt::Display for Owners {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let text = |lines: &[(u32, u32, u32)]| {
            let words = lines.iter().map(|(inside, outside, count)| format!("{inside} is {outside} ({count})"));
            words.collect::<Vec<_>>().join(", ")
        };
        write!(f, "user {}; group {}", text(&self.uids), text(&self.gids))
    }
}

fn lines(text: &str) -> Vec<(u32, u32, u32)> {
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(|word| word.parse().ok());
        Some((numbers.next()??, numbers.next()??, numbers.next()??))
    };
    text.lines().filter_map(line).collect()
}

/// Who owns a file of an image here: where there is nobody but root, root does.
pub fn owner(owner: (u32, u32)) -> (u32, u32) {
    if is_alone() { (0, 0) } else { owner }
}

/// Whether all files are root's, because there is nobody else.
pub fn is_alone() -> bool {
    ALONE.get().copied().unwrap_or_else(|| Owners::of_this_process().is_ok_and(|owners| owners.is_alone()))
}

static ALONE: OnceLock<bool> = OnceLock::new();

/// Whether our root is not the host's.
pub fn in_namespace() -> bool {
    // Without /proc nobody knows; the kernel refuses what is not allowed.
    Owners::of_this_process().is_ok_and(|owners| !owners.is_host())
}

/// Whether we are root in a user's own namespace: that user's files are ours.
pub fn is_users_root() -> bool {
    identity::effective_uid() == 0 && Owners::of_this_process().is_ok_and(|owners| owners.of_one_user().is_some())
}

/// The user outside.
pub(super) fn user() -> u32 {
    let outside = || Owners::of_this_process().ok()?.of_one_user();
    match identity::effective_uid() {
        0 => outside().unwrap_or(0),
        uid => uid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_given_by_name_or_by_number() {
        let text = "# none\nana:100000:65536\n1000:500000:10\nbob:700000:5\nana:bad:1\nana:1:0\n";
        assert_eq!(ranges(text, 1000, Some("ana")), [(100_000, 65536), (500_000, 10)]);
        assert_eq!(ranges(text, 7, None), []);
        let passwd = "root:x:0:0::/:/bin/sh\nana:x:1000:1000::/:/bin/sh\n";
        assert_eq!(name_of(1000, passwd).as_deref(), Some("ana"));
    }

    #[test]
    fn a_map_that_grew_means_the_same_for_what_was_there() {
        let owners = |uids: &str| Owners { uids: lines(uids), gids: lines(uids) };
        let (alone, grown) = (owners("         0       1000          1\n"), owners("0 1000 1\n1 100000 65536\n"));
        assert!(grown.include(&alone) && !alone.include(&grown) && grown.include(&grown));
        assert!(alone.is_alone() && !grown.is_alone() && !grown.is_host());
        assert!(owners("0 0 4294967295\n").is_host());
        assert!(grown.has(65536, 65536) && !grown.has(0, 65537) && !grown.has(65537, 0));
        assert_eq!((grown.of_one_user(), owners("0 100000 65536\n").of_one_user()), (Some(1000), None));
        assert!(!owners("0 1000 1\n1 200000 65536\n").include(&grown));
    }
}
