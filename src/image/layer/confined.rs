//! Laying out a layer is the work of a thread that can do nothing else: whatever an archive talks it into, it reaches no
//! file outside of the layer's directory, no network, and no other program.

use crate::error::{Context, Error, Result};
use crate::sys::Errno;
use crate::sys::landlock::{self, Rules};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Runs `work` in a thread that may change what is below `root`, and read the directories of `below`.
pub fn run<T: Send>(root: BorrowedFd, below: &[OwnedFd], work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            give_up_the_rest(root, below).context("confine the thread that lays out the layer")?;
            work()
        });
        working.join().unwrap_or_else(|_| Err(Error::new("layer: the thread that lays it out died")))
    })
}

/// As far as the kernel has the means (KERNEL(5.19), and Landlock among its security modules).
fn give_up_the_rest(root: BorrowedFd, below: &[OwnedFd]) -> Result<()> {
    let version = match landlock::version() {
        Err(Errno::ENOSYS | Errno::EOPNOTSUPP) | Ok(..2) => return Ok(()),
        version => version?,
    };
    let rules = Rules::new(version)?;
    rules.allow_below(root, rules.files)?;
    for directory in below {
        rules.allow_below(directory.as_fd(), landlock::READ_FILE | landlock::READ_DIR)?;
    }
    Ok(rules.restrict_thread()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::layer::kit::Scratch;
    use std::fs::{self, File};

    #[test]
    fn nothing_outside_of_the_directory_can_be_changed_or_read() {
        if !landlock::version().is_ok_and(|version| version >= 2) {
            return eprintln!("skip: this kernel has no Landlock of version 2");
        }
        let scratch = Scratch::new();
        let (inside, outside) = (scratch.0.join("inside"), scratch.0.join("sentinel"));
        fs::create_dir_all(inside.join("a")).unwrap();
        fs::create_dir_all(scratch.0.join("below")).unwrap();
        let root: OwnedFd = File::open(&inside).unwrap().into();
        let below = [File::open(scratch.0.join("below")).unwrap().into()];
        let before = scratch.sentinel();
        let refused = run(root.as_fd(), &below, || {
            fs::write(inside.join("a/file"), "made")?;
            fs::hard_link(inside.join("a/file"), inside.join("link"))?;
            fs::read_dir(scratch.0.join("below"))?;
            Ok([
                fs::write(outside.join("file"), "changed").is_err(),
                fs::write(scratch.0.join("below/file"), "made").is_err(),
                fs::read(outside.join("file")).is_err(),
                fs::hard_link(outside.join("file"), inside.join("stolen")).is_err(),
                fs::rename(inside.join("a"), outside.join("a")).is_err(),
                fs::remove_file(outside.join("file")).is_err(),
                std::process::Command::new("/bin/true").spawn().is_err(),
                std::net::TcpStream::connect("127.0.0.1:1")
                    .is_err_and(|e| e.raw_os_error() == Some(Errno::EACCES as i32)),
            ])
        });
        assert_eq!(refused.unwrap(), [true; 8]);
        assert_eq!(scratch.sentinel(), before);
        // Other threads are as free as before.
        fs::write(outside.join("file"), "untouched").unwrap();
    }
}
