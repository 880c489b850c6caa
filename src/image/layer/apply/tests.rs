use super::super::kit::{Archive, Scratch, describe, is_root, marks, open};
use super::*;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

#[test]
fn a_plain_tree() {
    let scratch = Scratch::new();
    let archive = Archive::new()
        .dir("./")
        .dir("./bin")
        .entry(b'0', "bin/tool", "", b"abc", |header| header.set_mode(0o755))
        .symlink("bin/link", "/absolute/../target")
        .link("bin/same", "./bin/tool")
        .entry(b'6', "pipe", "", b"", |_| {})
        .bytes();
    let done = scratch.apply("root", &[], &archive).unwrap();
    assert_eq!((done.entries, done.bytes, done.warnings.len()), (6, 3, 0));
    let root = scratch.path("root");
    assert_eq!(scratch.list("root"), "bin bin/link bin/same bin/tool pipe");
    let tool = root.join("bin/tool").metadata().unwrap();
    assert_eq!((tool.mode() & 0o7777, tool.nlink(), tool.mtime()), (0o755, 2, 1_000_000_000));
    assert_eq!(root.join("bin/link").read_link().unwrap().to_str(), Some("/absolute/../target"));
    assert!(root.join("pipe").metadata().unwrap().file_type().is_fifo());
    assert_eq!(root.join("bin").metadata().unwrap().mtime(), 1_000_000_000);
    assert_eq!(root.metadata().unwrap().mtime(), 1_000_000_000);
}

#[test]
fn hostile_archives_change_nothing_outside() {
    let scratch = Scratch::new();
    let before = scratch.sentinel();
    let outside = scratch.path("sentinel");
    let outside = outside.to_str().unwrap();
    let file = format!("{outside}/file");
    let up = "../sentinel/file";
    let new = || Archive::new();
    let whiteouts =
        [".wh.", ".wh..", ".wh...", "a/.wh.", "l/.wh.file", "l/.wh..wh..opq", ".wh.x/y", ".wh.l/file", ".wh./../x"];
    let mut archives = vec![
        ("dots", new().file(up, "x")),
        ("dots inside", new().dir("a").file("a/../../sentinel/file", "x")),
        ("absolute", new().file(&file, "x")),
        ("through a link", new().symlink("l", outside).file("l/file", "x").dir("l/new").file("l/new2", "x")),
        ("through a relative link", new().symlink("l", "../sentinel").file("l/file", "x")),
        ("through a deep link", new().dir("a").symlink("a/l", "../../../../../../../..").file("a/l/tmp/x", "x")),
        ("onto a link", new().symlink("l", &file).file("l", "x")),
        (
            "directory onto a link",
            new().symlink("l", outside).dir("l").entry(b'5', "l", "", b"", |h| h.set_mode(0o777)),
        ),
        ("hard link out", new().link("h", up).file("h", "x")),
        ("absolute hard link", new().link("h", &file)),
        ("hard link to a link", new().symlink("l", &file).link("h", "l").file("h", "x")),
        ("hard link through a link", new().symlink("l", outside).link("h", "l/file")),
        ("device onto a link", new().symlink("l", &file).entry(b'6', "l", "", b"", |_| {})),
        ("mode through a link", new().symlink("l", outside).entry(b'5', "l/", "", b"", |h| h.set_mode(0o4777))),
        (
            "attribute through a link",
            new().symlink("l", &file).pax(&[("SCHILY.xattr.user.x", b"1")]).entry(b'0', "l", "", b"x", |_| {}),
        ),
        (
            "sparse name",
            new()
                .pax(&[("GNU.sparse.name", up.as_bytes()), ("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"1")])
                .file("x", "x"),
        ),
        ("pax path", new().pax(&[("path", up.as_bytes())]).file("x", "x")),
        ("loop", new().symlink("a", "b").symlink("b", "a").file("a/x", "x")),
    ];
    for root in [".", "/.", "/", "./.", "a/.."] {
        archives.push(("link as root", new().dir("a").symlink(root, outside)));
        archives.push(("file as root", new().dir("a").file(root, "x")));
    }
    for name in whiteouts {
        archives.push(("whiteout", new().dir("a").symlink("l", outside).file(name, "")));
    }
    for (what, archive) in archives {
        let result = scratch.apply("root", &[], &archive.bytes());
        assert_eq!(scratch.sentinel(), before, "{what}: {result:?}");
        assert!(scratch.path("root").is_dir(), "{what}");
        assert!(!scratch.path("root").is_symlink(), "{what}");
        std::fs::remove_dir_all(scratch.path("root")).unwrap();
    }
    assert_eq!(describe(&scratch.0).lines().count(), 2, "{}", describe(&scratch.0));
}

#[test]
fn what_must_be_refused() {
    let scratch = Scratch::new();
    let new = || Archive::new();
    let long = format!("{}x", "d/".repeat(2048));
    let deep = format!("{}x", "d/".repeat(600));
    let limits = Limits { entries: 3, bytes: 4096, ..Limits::default() };
    for (want, archive) in [
        ("'..'", new().file("../x", "")),
        ("root of a layer can only be", new().symlink(".", "/etc")),
        ("whiteout of no name", new().file(".wh.", "")),
        ("whiteout of no name", new().file("a/.wh...", "")),
        ("below a whiteout", new().file(".wh.a/b", "")),
        ("path is longer", new().file(&long, "")),
        ("directories deep", new().file(&deep, "")),
        ("name is longer", new().file(&"n".repeat(256), "")),
        ("owner is not a number below", new().pax(&[("uid", b"4294967295")]).file("x", "")),
        ("owner is not a number below", new().pax(&[("gid", b"-1")]).file("x", "")),
        ("uid", new().entry(b'0', "x", "", b"", |h| h.as_old_mut().uid = [0xff; 8])),
        ("is in no layer", new().link("a", "b")),
        ("hard link to the directory", new().dir("d").link("a", "d")),
        ("more than 3 entries", new().file("a", "").file("b", "").file("c", "").file("d", "")),
        ("more than the limit of 4096", new().entry(b'0', "x", "", &[0; 5000], |_| {})),
        ("larger than 4096 bytes", new().file("x", &"x".repeat(4000)).file("y", &"y".repeat(4000))),
        ("extended header of more than", new().raw(b'x', "p", "", &[b' '; (1 << 20) + 1], |_| {})),
        ("extended header of more than", new().raw(b'L', "p", "", b"", |h| h.set_size(1 << 40))),
        ("more than 16 headers", (0..20).fold(new(), |archive, _| archive.pax(&[("a", b"b")])).file("x", "")),
        ("type 'V' is not known", new().raw(b'V', "p", "", b"", |_| {})),
        ("size is no number", new().entry(b'0', "x", "", b"", |h| h.as_old_mut().size = [0xff; 12])),
        ("layer ends inside of tar entry", new().entry(b'0', "x", "", b"", |h| h.set_size(100))),
        ("out of order", new().pax(&[("GNU.sparse.map", b"5,1,0,1"), ("GNU.sparse.size", b"9")]).file("x", "xx")),
        ("beyond its end", new().pax(&[("GNU.sparse.map", b"5,2"), ("GNU.sparse.size", b"6")]).file("x", "xx")),
        (
            "limit of 4096",
            new().pax(&[("GNU.sparse.map", b"0,2"), ("GNU.sparse.size", b"9223372036854775807")]).file("x", "xx"),
        ),
    ] {
        let error = scratch.apply_within("root", &[], &archive.bytes(), limits).map(drop).unwrap_err().to_string();
        assert!(error.contains(want), "{error} (want {want})");
        std::fs::remove_dir_all(scratch.path("root")).unwrap();
    }
    let mut broken = new().file("x", "").bytes();
    broken[0] = b'y';
    assert!(scratch.apply("root", &[], &broken).unwrap_err().to_string().contains("wrong checksum"));
}

#[test]
fn the_last_entry_wins() {
    let scratch = Scratch::new();
    let archive = Archive::new()
        .file("a", "first")
        .link("b", "a")
        .file("a", "second")
        .file("file-to-dir", "x")
        .dir("file-to-dir")
        .file("file-to-dir/x", "y")
        .dir("dir-to-file/below/it")
        .file("dir-to-file", "z")
        .file("below-a-file", "x")
        .file("below-a-file/x", "w")
        .link("a", "a")
        .bytes();
    scratch.apply("root", &[], &archive).unwrap();
    let read = |path: &str| std::fs::read_to_string(scratch.path("root").join(path)).unwrap();
    assert_eq!((read("a"), read("b")), ("second".into(), "first".into()));
    assert_eq!(
        (read("file-to-dir/x"), read("dir-to-file"), read("below-a-file/x")),
        ("y".into(), "z".into(), "w".into())
    );
}

#[test]
fn names_of_any_length_and_any_bytes() {
    let scratch = Scratch::new();
    let long = format!("{}/{}", "a".repeat(200), "b".repeat(255));
    let link = "c".repeat(3000);
    let archive = Archive::new()
        .file(&long, "long")
        .symlink("link", &link)
        .pax(&[("path", b"new\nline \xff"), ("mtime", b"5.000000007")])
        .file("x", "")
        .bytes();
    scratch.apply("root", &[], &archive).unwrap();
    assert_eq!(std::fs::read_to_string(scratch.path("root").join(long)).unwrap(), "long");
    assert_eq!(scratch.path("root/link").read_link().unwrap().to_str().unwrap(), link);
    use std::os::unix::ffi::OsStrExt;
    let odd = scratch.path("root").join(std::ffi::OsStr::from_bytes(b"new\nline \xff"));
    let stat = odd.metadata().unwrap();
    assert_eq!((stat.mtime(), stat.mtime_nsec()), (5, 7));
}

#[test]
fn sparse_files_of_every_dialect() {
    let scratch = Scratch::new();
    let map = [("GNU.sparse.map", &b"2,3,8,1"[..]), ("GNU.sparse.size", b"10"), ("GNU.sparse.name", b"v01")];
    let repeated = [
        ("GNU.sparse.size", &b"10"[..]),
        ("GNU.sparse.offset", b"2"),
        ("GNU.sparse.numbytes", b"3"),
        ("GNU.sparse.offset", b"8"),
        ("GNU.sparse.numbytes", b"1"),
    ];
    let major = [
        ("GNU.sparse.major", &b"1"[..]),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.realsize", b"10"),
        ("GNU.sparse.name", b"v10"),
    ];
    let mut data = b"2\n2\n3\n8\n1\n".to_vec();
    data.resize(512, 0);
    data.extend_from_slice(b"abcd");
    let gnu = |header: &mut tar::Header| {
        let gnu = header.as_gnu_mut().unwrap();
        for (sparse, (offset, length)) in gnu.sparse.iter_mut().zip([(2, 3), (8, 1)]) {
            sparse.set_offset(offset);
            sparse.set_length(length);
        }
        gnu.set_real_size(10);
    };
    let archive = Archive::new()
        .pax(&map)
        .file("x", "abcd")
        .pax(&repeated)
        .file("v00", "abcd")
        .pax(&major)
        .entry(b'0', "x", "", &data, |_| {})
        .entry(b'S', "gnu", "", b"abcd", gnu)
        .bytes();
    scratch.apply("root", &[], &archive).unwrap();
    assert_eq!(scratch.list("root"), "gnu v00 v01 v10");
    for name in ["gnu", "v00", "v01", "v10"] {
        assert_eq!(std::fs::read(scratch.path("root").join(name)).unwrap(), b"\0\0abc\0\0\0d\0", "{name}");
    }
}

#[test]
fn a_pax_size_counts_more_than_the_headers() {
    let scratch = Scratch::new();
    let archive =
        Archive::new().pax(&[("size", b"3")]).entry(b'0', "x", "", b"abc", |h| h.set_size(0)).file("y", "").bytes();
    scratch.apply("root", &[], &archive).unwrap();
    assert_eq!(scratch.list("root"), "x y");
}

fn whiteouts(scratch: &Scratch, name: &str) -> Vec<String> {
    let root = scratch.path(name);
    let paths = scratch.list(name);
    let is_it = |path: &&str| {
        let stat = root.join(path).symlink_metadata().unwrap();
        stat.file_type().is_char_device() && stat.rdev() == 0
    };
    paths.split(' ').filter(|path| !path.is_empty()).filter(is_it).map(str::to_owned).collect()
}

fn is_opaque(scratch: &Scratch, path: &str) -> bool {
    let path = scratch.path(path);
    let name = CString::new(path.file_name().unwrap().to_str().unwrap()).unwrap();
    marks().is_opaque(open(path.parent().unwrap()).as_fd(), &name).unwrap()
}

fn base(scratch: &Scratch) {
    let archive = Archive::new()
        .dir(".")
        .entry(b'5', "tmp", "", b"", |header| header.set_mode(0o1777))
        .dir("d")
        .dir("d/e")
        .file("d/e/f", "")
        .file("d/g", "")
        .file("h", "lower")
        .symlink("bin", "usr/bin")
        .dir("usr/bin");
    scratch.apply("base", &[], &archive.bytes()).unwrap();
}

#[test]
fn whiteouts_hide_lower_layers_and_nothing_else() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    base(&scratch);
    let archive = Archive::new()
        .file("d/.wh.g", "")
        .file(".wh.h", "")
        .file("h", "new")
        .file(".wh.missing", "")
        .file("none/.wh.missing", "")
        .dir("d/e")
        .file("d/e/new", "")
        .file("d/.wh.e", "")
        .file(".wh..wh.plnk/1.2", "")
        .file(".wh..wh.aufs", "")
        .bytes();
    scratch.apply("top", &["base"], &archive).unwrap();
    assert_eq!(whiteouts(&scratch, "top"), ["d/g"]);
    assert_eq!(scratch.list("top"), "d d/e d/e/new d/g h none");
    assert!(is_opaque(&scratch, "top/d/e"));
    assert!(!is_opaque(&scratch, "top/d"));
}

#[test]
fn an_opaque_directory_has_no_whiteouts() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    base(&scratch);
    for archive in [
        Archive::new().file("d/e/.wh.f", "").file("d/.wh..wh..opq", ""),
        Archive::new().file("d/.wh..wh..opq", "").file("d/e/.wh.f", ""),
    ] {
        scratch.apply("top", &["base"], &archive.bytes()).unwrap();
        assert!(is_opaque(&scratch, "top/d"));
        assert_eq!(whiteouts(&scratch, "top"), Vec::<String>::new());
        std::fs::remove_dir_all(scratch.path("top")).unwrap();
    }
    scratch.apply("top", &["base"], &Archive::new().file(".wh..wh..opq", "").dir("d").bytes()).unwrap();
    assert_eq!(whiteouts(&scratch, "top"), ["bin", "h", "tmp", "usr"]);
    assert!(is_opaque(&scratch, "top/d"));
}

#[test]
fn directories_taken_for_granted_are_as_they_are_below() {
    let scratch = Scratch::new();
    base(&scratch);
    scratch
        .apply("top", &["base"], &Archive::new().file("tmp/x", "").file("bin/y", "").file("new/z", "").bytes())
        .unwrap();
    assert_eq!(scratch.list("top"), "new new/z tmp tmp/x usr usr/bin usr/bin/y");
    let mode = |path: &str| scratch.path(path).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("top/tmp"), mode("top/new"), mode("top/usr/bin")), (0o1777, 0o755, 0o755));
    assert_eq!(scratch.path("top/new").metadata().unwrap().mtime(), 1_000_000_000);
    assert_eq!(scratch.path("top").metadata().unwrap().mtime(), 1_000_000_000);
}

#[test]
fn a_hard_link_to_a_lower_file_brings_it_up() {
    let scratch = Scratch::new();
    base(&scratch);
    scratch.apply("top", &["base"], &Archive::new().link("again", "h").bytes()).unwrap();
    assert_eq!(scratch.list("top"), "again h");
    assert_eq!(std::fs::read_to_string(scratch.path("top/again")).unwrap(), "lower");
    assert_eq!(scratch.path("base/h").metadata().unwrap().nlink(), 1);
}

#[test]
fn owners_modes_devices_and_attributes() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let archive = Archive::new()
        .entry(b'0', "su", "", b"x", |h| {
            h.set_mode(0o6755);
            h.set_uid(12);
            h.set_gid(34);
        })
        .pax(&[
            ("SCHILY.xattr.security.capability", &capability),
            ("SCHILY.xattr.user.empty", b""),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.security.selinux", b"x"),
        ])
        .entry(b'0', "cap", "", b"x", |h| h.set_uid(12))
        .entry(b'5', "g", "", b"", |h| {
            h.set_mode(0o2775);
            h.set_gid(50);
        })
        .file("g/inside", "")
        .entry(b'3', "null", "", b"", |h| {
            h.set_device_major(1).unwrap();
            h.set_device_minor(3).unwrap();
            h.set_mode(0o666);
        })
        .pax(&[("uid", b"4294967294")])
        .entry(b'2', "l", "x", b"", |_| {})
        .bytes();
    let done = scratch.apply("root", &[], &archive).unwrap();
    assert_eq!(done.warnings, Vec::<String>::new());
    let stat = |path: &str| scratch.path("root").join(path).symlink_metadata().unwrap();
    assert_eq!((stat("su").mode() & 0o7777, stat("su").uid(), stat("su").gid()), (0o6755, 12, 34));
    assert_eq!((stat("g").mode() & 0o7777, stat("g/inside").gid()), (0o2775, 0));
    assert_eq!((stat("null").rdev(), stat("null").mode() & 0o7777), (0x103, 0o666));
    assert_eq!(stat("l").uid(), u32::MAX - 1);
    let cap = open(&scratch.path("root/cap"));
    assert_eq!(xattr::fgetxattr(&cap, c"security.capability").unwrap().unwrap(), capability);
    assert_eq!(xattr::fgetxattr(&cap, c"user.empty").unwrap(), Some(vec![]));
    assert_eq!(xattr::fgetxattr(&cap, c"trusted.overlay.opaque").unwrap(), None);
    assert_eq!(xattr::fgetxattr(&cap, c"trusted.overlay.overlay.opaque").unwrap().unwrap(), b"y");
    assert_eq!(xattr::fgetxattr(&cap, c"security.selinux").unwrap(), None);
}
