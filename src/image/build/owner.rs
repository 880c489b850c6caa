//! `--chown`, and the owner of a WORKDIR.

use crate::error::Result;
use crate::image::user;
use crate::sys::root::Root;

/// Owner and group of new files, and a warning where a name is not known.
///
/// A number alone is the group's number too. docker's builder takes a name that the image does not have for root's, as
/// long as there is an /etc/passwd, whatever its documentation says; we do the same, and say so.
pub fn resolve(root: &Root, text: &str) -> Result<((u32, u32), Option<String>)> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let mut warning = None;
    let (uid, own_gid) = match number(user) {
        Some(uid) => (uid, uid),
        None if user.is_empty() => (0, 0),
        None => match user::resolve(root, user) {
            Ok(identity) => (identity.uid, identity.gid),
            Err(_) if root.resolve("etc/passwd").is_ok() => {
                warning = Some(format!("user {user:?} is not in the image's /etc/passwd: the files are root's"));
                (0, 0)
            }
            Err(error) => return Err(error),
        },
    };
    let gid = match group.map(|group| (number(group), group)) {
        None => own_gid,
        Some((Some(gid), _)) => gid,
        Some((None, group)) => match user::resolve(root, &format!("0:{group}")) {
            Ok(identity) => identity.gid,
            Err(_) if root.resolve("etc/group").is_ok() => {
                warning = Some(format!("group {group:?} is not in the image's /etc/group: the files are root's"));
                0
            }
            Err(error) => return Err(error),
        },
    };
    Ok(((uid, gid), warning))
}
