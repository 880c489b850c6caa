//! Extended attributes, also of symbolic links and of files that must not be opened.

use super::{Errno, Result};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// As long as the kernel lets a value or a list of names be (XATTR_SIZE_MAX, XATTR_LIST_MAX).
const SIZE_MAX: usize = 1 << 16;

/// `None` where the file has no such attribute, or its filesystem none at all.
pub fn fgetxattr(file: impl AsFd, key: &CStr) -> Result<Option<Vec<u8>>> {
    let fd = file.as_fd().as_raw_fd();
    absent_is_none(read(|buffer| {
        // SAFETY: key is a C string; the kernel writes at most buffer.len() bytes into buffer.
        unsafe { libc::fgetxattr(fd, key.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) }
    }))
}

pub fn fsetxattr(file: impl AsFd, key: &CStr, value: &[u8]) -> Result<()> {
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: key is a C string; the kernel reads value.len() bytes of value.
    let result = unsafe { libc::fsetxattr(fd, key.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    Errno::result(result).map(drop)
}

pub fn fremovexattr(file: impl AsFd, key: &CStr) -> Result<()> {
    // SAFETY: key is a C string.
    Errno::result(unsafe { libc::fremovexattr(file.as_fd().as_raw_fd(), key.as_ptr()) }).map(drop)
}

pub fn flistxattr(file: impl AsFd) -> Result<Vec<CString>> {
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: the kernel writes at most buffer.len() bytes into buffer.
    names(read(|buffer| unsafe { libc::flistxattr(fd, buffer.as_mut_ptr().cast(), buffer.len()) }))
}

/// Of the name `name` in `directory`, itself where it is a symbolic link.
pub fn lgetxattrat(directory: BorrowedFd, name: &CStr, key: &CStr) -> Result<Option<Vec<u8>>> {
    let path = path_of(directory, name)?;
    absent_is_none(read(|buffer| {
        // SAFETY: path and key are C strings; the kernel writes at most buffer.len() bytes into buffer.
        unsafe { libc::lgetxattr(path.as_ptr(), key.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) }
    }))
}

pub fn lsetxattrat(directory: BorrowedFd, name: &CStr, key: &CStr, value: &[u8]) -> Result<()> {
    let path = path_of(directory, name)?;
    // SAFETY: path and key are C strings; the kernel reads value.len() bytes of value.
    let result = unsafe { libc::lsetxattr(path.as_ptr(), key.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    Errno::result(result).map(drop)
}

pub fn llistxattrat(directory: BorrowedFd, name: &CStr) -> Result<Vec<CString>> {
    let path = path_of(directory, name)?;
    names(read(|buffer| {
        // SAFETY: path is a C string; the kernel writes at most buffer.len() bytes into buffer.
        unsafe { libc::llistxattr(path.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) }
    }))
}

/// KERNEL(6.13): setxattrat(2) would take the two apart; before it, /proc leads to the directory, and the last
/// component is not followed.
fn path_of(directory: BorrowedFd, name: &CStr) -> Result<CString> {
    let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    CString::new(path).map_err(|_| Errno::EINVAL)
}

/// Most files have no attributes, so a small buffer comes first.
fn read(mut call: impl FnMut(&mut [u8]) -> isize) -> Result<Vec<u8>> {
    let mut small = [0u8; 256];
    match Errno::result(call(&mut small)) {
        Ok(length) => return Ok(small.get(..length.unsigned_abs()).unwrap_or_default().to_vec()),
        Err(Errno::ERANGE) => {}
        Err(errno) => return Err(errno),
    }
    let mut large = vec![0u8; SIZE_MAX];
    let length = Errno::result(call(&mut large))?;
    large.truncate(length.unsigned_abs());
    Ok(large)
}

fn absent_is_none(result: Result<Vec<u8>>) -> Result<Option<Vec<u8>>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::ENODATA | Errno::ENOTSUP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn names(list: Result<Vec<u8>>) -> Result<Vec<CString>> {
    let list = absent_is_none(list)?.unwrap_or_default();
    let names = list.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.filter_map(|name| CString::new(name).ok()).collect())
}
