//! config.md, Mounts, and its table of options: the rows that tests/runtime/mounts.rs leaves out.

use crate::kit::*;

#[track_caller]
fn refused(bundle: Bundle, says: &str) {
    bundle.try_create().fails().bolo_says(says);
    bundle.leaves_nothing();
}

#[test]
fn a_mount_without_a_destination_is_refused() {
    for mount in [json!({"type": "tmpfs", "source": "x"}), json!({"destination": "", "type": "tmpfs", "source": "x"})] {
        bolo_only!("others mount on the root, or say so in no words");
        refused(Bundle::sh("true").push("/mounts", mount), "mounts[6].destination");
    }
}

#[test]
fn a_relative_destination_starts_at_the_root() {
    let bundle = Bundle::sh("").tmpfs("mnt/deep", &["size=8k"]);
    bundle.set("/process/cwd", "/tmp").shows_mount("/mnt/deep").has(&["size=8k"]);
}

/// Each undoes the word before it.
#[test]
fn every_word_has_its_opposite() {
    let pairs = [
        ("ro", "rw", "rw", "ro"),
        ("nosuid", "suid", "rw", "nosuid"),
        ("nodev", "dev", "rw", "nodev"),
        ("noexec", "exec", "rw", "noexec"),
        ("noatime", "atime", "relatime", "noatime"),
        ("nodiratime", "diratime", "relatime", "nodiratime"),
        ("sync", "async", "rw", "sync"),
        ("strictatime", "nostrictatime", "relatime", "noatime"),
        ("relatime", "norelatime", "rw", "noatime"),
    ];
    let bundle = pairs.iter().enumerate().fold(Bundle::sh(""), |bundle, (number, (first, second, ..))| {
        bundle.tmpfs(&format!("/mnt/{number}"), &[first, second])
    });
    let text = bundle.args(["cat", "/proc/self/mountinfo"]).run().text();
    for (number, (_, _, has, lacks)) in pairs.iter().enumerate() {
        MountPoint::find(&text, &format!("/mnt/{number}")).unwrap().has(&[has]).lacks(&[lacks]);
    }
}

#[test]
fn options_do_what_they_say() {
    let script = "for m in dev nodev; do cp -a /dev/null /$m/null 2>/dev/null || mknod /$m/null c 1 3
        (echo x > /$m/null) 2>/dev/null && echo $m works; done
        for m in exec noexec; do cp /bin/busybox /$m/busybox; /$m/busybox echo $m works; done 2>/dev/null
        for m in rw ro; do (touch /$m/file) 2>/dev/null && echo $m works; done";
    let bundle = ["dev", "nodev", "exec", "noexec", "rw", "ro"]
        .iter()
        .fold(Bundle::sh(script), |bundle, word| bundle.tmpfs(&format!("/{word}"), &[word]));
    bundle.capabilities(&["CAP_MKNOD", "CAP_CHOWN"]).run().code_is(1).stdout_is("dev works\nexec works\nrw works");
}

#[test]
fn bind_takes_one_mount_and_rbind_those_below() {
    let bundle = Bundle::sh("ls -A /one/below; ls -A /all/below");
    let shelf = bundle.host_dir("shelf");
    bundle.host_dir("shelf/below");
    let at = shelf.join("below").display().to_string();
    let mount = format!("mount -t tmpfs x {at}; touch {at}/loaf; exec \"$@\"");
    let bundle = bundle.bind(&shelf, "/one", &[]).mount("/all", "bind", &shelf, &["rbind"]);
    bundle.call_run(&[]).under(["unshare", "-m", "sh", "-ec", &mount, "sh"]).run().stdout_is("loaf");
    let bundle = bundle.args(["sh", "-c", "ls -A /one/below"]);
    bundle.call_run(&[]).under(["unshare", "-m", "sh", "-ec", &mount, "sh"]).run().stdout_is("");
}

#[test]
fn nosymfollow_follows_no_links() {
    not_on!("runc<1.2 crun", "unknown word");
    let script = "echo rye > /mnt/loaf; ln -s loaf /mnt/link; cat /mnt/link";
    Bundle::sh(script).tmpfs("/mnt", &["nosymfollow"]).run().fails().stdout_is("");
    Bundle::sh(script).tmpfs("/mnt", &["nosymfollow", "symfollow"]).run().stdout_is("rye");
}

/// What another mount does to the two sides of a bind, which is what the words are about.
#[test]
fn propagation_words_do_what_they_say() {
    // The source is shared on the host's side; then something is mounted below the source.
    let seen = |word: &str| {
        let bundle = Bundle::sh("echo ready; read x; ls -A /mnt/late");
        let shelf = bundle.host_dir("shelf");
        bundle.host_dir("shelf/late");
        let input = bundle.path("input");
        let s = shelf.display();
        let script = format!(
            "mount --bind {s} {s}; mount --make-shared {s}; mkfifo {i}; \"$@\" < {i} & exec 3> {i}
            sleep 0.7; mount -t tmpfs x {s}/late; touch {s}/late/loaf; echo go >&3; exec 3>&-; wait",
            i = input.display()
        );
        let bundle = bundle.set("/linux/rootfsPropagation", "rslave").bind(&shelf, "/mnt", &[word]);
        bundle.call_run(&[]).under(["unshare", "-m", "sh", "-ec", &script, "sh"]).run().text()
    };
    for word in ["slave", "rslave", "shared", "rshared"] {
        assert_eq!(seen(word), "ready\nloaf", "{word} receives");
    }
    for word in ["private", "rprivate", "unbindable", "runbindable"] {
        assert_eq!(seen(word), "ready", "{word} receives nothing");
    }
}

/// A tmpfs with `before` in a directory, and both bound recursively with `words`: the mount below shows what they do.
fn below(before: &str, words: &[&str]) -> MountPoint {
    let bundle = Bundle::sh("cat /proc/self/mountinfo");
    let shelf = bundle.host_dir("shelf");
    bundle.host_dir("shelf/below");
    let mount = format!("mount -t tmpfs -o {before} x {}/below; exec \"$@\"", shelf.display());
    let options = [&["rbind"], words].concat();
    let bundle = bundle.mount("/copy", "bind", &shelf, &options);
    let text = bundle.call_run(&[]).under(["unshare", "-m", "sh", "-ec", &mount, "sh"]).run().text();
    MountPoint::find(&text, "/copy/below").unwrap_or_else(|| panic!("no /copy/below: {text}"))
}

#[test]
fn every_recursive_word_reaches_the_mounts_below() {
    let words = [
        ("rw", "rro", "ro", "rw"),
        ("ro", "rrw", "rw", "ro"),
        ("rw", "rnosuid", "nosuid", "suid"),
        ("nosuid", "rsuid", "rw", "nosuid"),
        ("rw", "rnodev", "nodev", "dev"),
        ("nodev", "rdev", "rw", "nodev"),
        ("rw", "rnoexec", "noexec", "exec"),
        ("noexec", "rexec", "rw", "noexec"),
        ("rw", "rnoatime", "noatime", "relatime"),
        ("noatime", "ratime", "rw", "noatime"),
        ("noatime", "rrelatime", "relatime", "noatime"),
        ("rw", "rnodiratime", "nodiratime", "diratime"),
        ("nodiratime", "rdiratime", "rw", "nodiratime"),
        ("rw", "rstrictatime", "rw", "relatime"),
    ];
    for (before, word, has, lacks) in words {
        below(before, &[word]).has(&[has]).lacks(&[lacks]);
    }
    // Each takes away what the other one set.
    below("rw", &["rstrictatime", "rnostrictatime"]).has(&["rw"]);
    below("rw", &["rrelatime", "rnorelatime"]).has(&["rw"]);
    if !peer::RUNTIME.is("crun runc<1.1") {
        below("rw", &["rnosymfollow"]).has(&["nosymfollow"]);
        below("rw", &["rnosymfollow", "rsymfollow"]).lacks(&["nosymfollow"]);
    }
}

#[test]
fn remount_changes_a_mount() {
    let bundle = Bundle::sh("").tmpfs("/mnt", &["size=4k", "nosuid"]).tmpfs("/mnt", &["remount", "ro", "size=8k"]);
    let point = bundle.shows_mount("/mnt");
    point.has(&["ro", "size=8k"]);
}

fn mapped(options: &[&str], mappings: Option<Value>) -> (Bundle, std::path::PathBuf) {
    let bundle = Bundle::sh("stat -c %u:%g /mnt/loaf");
    let shelf = bundle.host_dir("shelf");
    std::fs::write(shelf.join("loaf"), "rye").unwrap();
    std::os::unix::fs::chown(shelf.join("loaf"), Some(5), Some(6)).unwrap();
    let mut mount = json!({"destination": "/mnt", "type": "bind", "source": shelf, "options": options});
    if let Some(map) = mappings {
        mount["uidMappings"] = map.clone();
        mount["gidMappings"] = map;
    }
    (bundle.push("/mounts", mount), shelf)
}

#[test]
fn idmap_maps_the_owner() {
    not_on!("runc<1.2", "no idmapped mounts");
    let map = json!([{"containerID": 0, "hostID": 1000, "size": 100}]);
    for word in ["idmap", "ridmap"] {
        mapped(&["bind", word], Some(map.clone())).0.run().stdout_is("1005:1006");
    }
    let (bundle, _) = mapped(&["bind"], Some(map));
    bundle.run().stdout_is("1005:1006");
}

#[test]
fn ridmap_maps_the_owners_below() {
    not_on!("runc<1.2", "no idmapped mounts");
    let map = json!([{"containerID": 0, "hostID": 1000, "size": 100}]);
    for (word, below) in [("idmap", "5:6"), ("ridmap", "1005:1006")] {
        let (bundle, shelf) = mapped(&["rbind", word], Some(map.clone()));
        bundle.host_dir("shelf/below");
        let at = shelf.join("below").display().to_string();
        let mount = format!("mount -t tmpfs x {at}; touch {at}/loaf; chown 5:6 {at}/loaf; exec \"$@\"");
        let bundle = bundle.args(["stat", "-c", "%u:%g", "/mnt/loaf", "/mnt/below/loaf"]);
        let output = bundle.call_run(&[]).under(["unshare", "-m", "sh", "-ec", &mount, "sh"]).run();
        output.stdout_is(&format!("1005:1006\n{below}"));
    }
}

#[test]
fn idmap_without_mappings_uses_the_user_namespace() {
    not_on!("runc<1.2", "no idmapped mounts");
    for word in ["idmap", "ridmap"] {
        mapped(&["bind", word], None).0.user_namespace(100_000).run().stdout_is("5:6");
    }
}

#[test]
fn idmap_without_any_mapping_is_refused() {
    not_on!("runc<1.2", "no idmapped mounts");
    for word in ["idmap", "ridmap"] {
        refused(mapped(&["bind", word], None).0, "mounts[6]");
    }
}

#[test]
fn mappings_of_one_kind_alone_are_refused() {
    not_on!("runc<1.2", "no idmapped mounts");
    not_on!("crun", "takes them");
    let map = json!([{"containerID": 0, "hostID": 1000, "size": 100}]);
    for kind in ["uidMappings", "gidMappings"] {
        let (bundle, _) = mapped(&["bind"], None);
        refused(bundle.set(&format!("/mounts/6/{kind}"), map.clone()), "mounts[6]");
    }
}

#[test]
fn every_option_of_features_is_known() {
    not_on!("runc<1.2 crun<1.9", "no features");
    let scene = Scene::new();
    let features = scene.call(["features"]).run().json();
    let words = features["mountOptions"].as_array().expect("mountOptions");
    assert!(words.len() > 40, "{words:?}");
    for word in words {
        let word = word.as_str().expect("a word");
        // These need more than one word of their own, and have their tests above.
        let alone = !["remount", "idmap", "ridmap", "tmpcopyup"].contains(&word);
        if !alone
            || word == "defaults" && peer::RUNTIME.is("runc")
            || word.contains("symfollow") && peer::RUNTIME.is("crun")
        {
            continue;
        }
        let bundle = scene.sh("true");
        let shelf = scene.host_dir("shelf");
        let bundle = bundle.mount("/mnt", "bind", &shelf, &["bind", word]);
        let output = bundle.run();
        assert_eq!(output.code, 0, "{word}: {output}");
    }
}
