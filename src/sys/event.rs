//! Waiting for several things at once.

use super::fd::check;
use super::{Errno, Result};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// What is waited for at one descriptor.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub fd: BorrowedFd<'a>,
    pub read: bool,
    pub write: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ready {
    /// Something can be read, or the other end is gone, which a read then tells.
    pub read: bool,
    pub write: bool,
}

/// Waits until one of the descriptors is ready, or for `timeout`; all are told as not ready then, and after a signal.
pub fn poll(wanted: &[Wanted], timeout: Option<Duration>) -> Result<Vec<Ready>> {
    let mut polls: Vec<libc::pollfd> = wanted
        .iter()
        .map(|wanted| {
            let events = if wanted.read { libc::POLLIN } else { 0 } | if wanted.write { libc::POLLOUT } else { 0 };
            // A descriptor of which nothing is wanted would still wake us when its other end goes.
            let fd = if events == 0 { -1 } else { wanted.fd.as_raw_fd() };
            libc::pollfd { fd, events, revents: 0 }
        })
        .collect();
    // Rounded up, so that whoever waits for a point in time is not woken just before it.
    let timeout = timeout.map_or(-1, |time| i32::try_from(time.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
    // SAFETY: polls is an array of that many pollfds.
    match check(unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, timeout) }.into()) {
        Err(Errno::EINTR) => return Ok(vec![Ready::default(); wanted.len()]),
        result => result?,
    }
    let ready = |poll: &libc::pollfd| Ready {
        read: poll.revents & (libc::POLLIN | libc::POLLHUP | libc::POLLERR) != 0,
        write: poll.revents & (libc::POLLOUT | libc::POLLERR) != 0,
    };
    Ok(polls.iter().map(ready).collect())
}

/// Tells, by being readable, that a file was written to, renamed or removed (inotify(7)).
#[derive(Debug)]
pub struct Watch {
    fd: OwnedFd,
}

impl Watch {
    pub fn new(path: &Path) -> Result<Watch> {
        let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
        // SAFETY: no pointers.
        let fd = super::fd::owned(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) }.into())?;
        let events = libc::IN_MODIFY | libc::IN_MOVE_SELF | libc::IN_DELETE_SELF | libc::IN_ATTRIB;
        // SAFETY: path is a C string.
        check(unsafe { libc::inotify_add_watch(fd.as_raw_fd(), path.as_ptr(), events) }.into())?;
        Ok(Watch { fd })
    }

    /// Forgets what has been told so far; whether the file got another name, or lost one.
    pub fn clear(&self) -> bool {
        let mut buffer = [0u8; 4096];
        let mut moved = false;
        while let Ok(count @ 1..) = nix::unistd::read(&self.fd, &mut buffer) {
            // struct inotify_event without a name: four words, the second one says what it was.
            for event in buffer.get(..count).unwrap_or_default().chunks_exact(size_of::<libc::inotify_event>()) {
                let mask = event.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes);
                moved |= mask & (libc::IN_MOVE_SELF | libc::IN_DELETE_SELF | libc::IN_ATTRIB) != 0;
            }
        }
        moved
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_ready_is_told_and_what_is_not_wanted_is_not() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let both = |read| [Wanted { fd: reader.as_fd(), read, write: false }];
        assert_eq!(poll(&both(true), Some(Duration::ZERO)).unwrap(), [Ready::default()]);
        writer.write_all(b"x").unwrap();
        assert_eq!(poll(&both(true), None).unwrap(), [Ready { read: true, write: false }]);
        drop(writer);
        assert_eq!(poll(&both(false), Some(Duration::ZERO)).unwrap(), [Ready::default()]);
    }

    #[test]
    fn a_watch_tells_of_writes() {
        let path = std::env::temp_dir().join(format!("watch-{}", std::process::id()));
        let mut file = std::fs::File::create(&path).unwrap();
        let watch = Watch::new(&path).unwrap();
        let wanted = [Wanted { fd: watch.as_fd(), read: true, write: false }];
        assert!(!poll(&wanted, Some(Duration::ZERO)).unwrap()[0].read);
        file.write_all(b"x").unwrap();
        assert!(poll(&wanted, None).unwrap()[0].read);
        assert!(!watch.clear());
        assert!(!poll(&wanted, Some(Duration::ZERO)).unwrap()[0].read);
        std::fs::remove_file(path).unwrap();
        assert!(poll(&wanted, None).unwrap()[0].read && watch.clear());
    }
}
