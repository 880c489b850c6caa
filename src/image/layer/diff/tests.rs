use super::super::kit::{Archive, Scratch, describe, is_root, marks};
use super::*;

#[test]
fn applying_a_diff_gives_the_same_tree_and_the_same_diff() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let archive = Archive::new()
        .entry(b'5', "d", "", b"", |header| header.set_mode(0o2770))
        .entry(b'0', "d/su", "", b"abc", |header| {
            header.set_mode(0o4755);
            header.set_uid(3_000_000);
        })
        .link("again", "d/su")
        .symlink("l", &"t".repeat(300))
        .link("l2", "l")
        .entry(b'6', "pipe", "", b"", |_| {})
        .pax(&[("mtime", b"7.25"), ("SCHILY.xattr.user.b", b"2"), ("SCHILY.xattr.user.a", b"\n1")])
        .file(&"é".repeat(100), "x")
        .bytes();
    scratch.apply("one", &[], &archive).unwrap();
    let layer = scratch.diff("one", None);
    scratch.apply("two", &[], &layer).unwrap();
    assert_eq!(describe(&scratch.path("one")), describe(&scratch.path("two")));
    assert!(scratch.diff("two", None) == layer);
}

#[test]
fn marks_of_the_overlay_become_names() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let lower = Archive::new().file("gone", "").file("d/gone", "").file("o/hidden", "").bytes();
    scratch.apply("lower", &[], &lower).unwrap();
    let upper = Archive::new().file(".wh.gone", "").file("d/.wh.gone", "").file("o/.wh..wh..opq", "").file("o/new", "");
    let upper = upper.bytes();
    scratch.apply("upper", &["lower"], &upper).unwrap();
    let root = super::super::kit::open(&scratch.path("upper"));
    xattr::lsetxattrat(root.as_fd(), c"d", c"trusted.overlay.impure", b"y").unwrap();
    xattr::lsetxattrat(root.as_fd(), c"d", c"trusted.overlay.overlay.kept", b"y").unwrap();
    let layer = scratch.diff("upper", None);
    let mut archive = tar::Archive::new(&layer[..]);
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        names.push(entry.path().unwrap().display().to_string());
        for extension in entry.pax_extensions().unwrap().into_iter().flatten() {
            names.push(extension.unwrap().key().unwrap().to_owned());
        }
    }
    let want = ["d/", "SCHILY.xattr.trusted.overlay.kept", "d/.wh.gone", ".wh.gone", "o/", "o/.wh..wh..opq", "o/new"];
    assert_eq!(names, want);
    scratch.apply("again", &["lower"], &layer).unwrap();
    assert_eq!(describe(&scratch.path("upper")), describe(&scratch.path("again")));
    assert!(marks().is_opaque(super::super::kit::open(&scratch.path("again")).as_fd(), c"o").unwrap());
}

#[test]
fn later_times_are_clamped_and_earlier_ones_kept() {
    let scratch = Scratch::new();
    let archive = Archive::new().pax(&[("mtime", b"5.5")]).file("old", "").file("new", "").bytes();
    scratch.apply("one", &[], &archive).unwrap();
    let layer = scratch.diff("one", Some(1000));
    scratch.apply("two", &[], &layer).unwrap();
    use std::os::unix::fs::MetadataExt;
    let time = |path: &str| scratch.path(path).metadata().map(|stat| (stat.mtime(), stat.mtime_nsec())).unwrap();
    assert_eq!((time("two/old"), time("two/new")), ((5, 500_000_000), (1000, 0)));
}
