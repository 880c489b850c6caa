//! The walls of the house, kept: who may import whom, where `unsafe` may stand, who may name a file by its path.

use std::path::Path;

/// Who may use path-based `std::fs` calls: code that touches host paths alone (the bundle's edge, the state directory,
/// the cgroup and image stores). Everything else takes fds and `sys::root::Root`: a path inside a rootfs that is resolved
/// by string leads where the container wants (CVE-2021-29136, CVE-2021-30465, CVE-2025-52881).
const HOST_PATHS: &[&str] = &[
    "src/fuzz",               // the trees that it makes
    "src/runtime/bundle",     // opens the bundle, once
    "src/runtime/creation",   // --pid-file
    "src/runtime/criu/flags", // --image-path, --work-path
    "src/runtime/exec",       // --process
    "src/runtime/host",       // newuidmap of the PATH
    "src/runtime/labels",     // what the kernel has
    "src/runtime/store",      // the state directory
    "src/runtime/update",     // --resources
    "src/image/archive",      // what is saved and loaded
    "src/image/build.rs",     // the Dockerfile
    "src/image/build/cache",  // --cache-from, --cache-to
    "src/image/build/guard",  // a lock
    "src/image/build/output", // --output
    "src/image/build/layout", // a named context
    "src/image/build/cachemount",
    "src/image/build/context", // the context's directory, opened once
    "src/image/build/git",     // a checkout, in a scratch directory
    "src/image/build/http",    // a download, likewise
    "src/image/build/mounts",
    "src/image/build/remote", // both
    "src/image/build/run",    // the bundle of a step
    "src/image/build/trees",
    "src/image/container", // forno's own files about a container
    "src/image/container_config",
    "src/image/copy",           // two directories, opened once
    "src/image/events",         // the store's own file
    "src/image/layer/whiteout", // /proc/self
    "src/image/network",
    "src/image/rootless", // the user's runtime directory, and /proc
    "src/image/registry", // certificates and credentials
    "src/image/seccomp",
    "src/image/snapshot", // overlay's directories, as a whole
    "src/image/store",
    "src/image/user",  // /proc/self/fd
    "src/image/verbs", // what the user names
    "src/image/volume",
];

/// (below this, but not below those, this word does not stand, for this reason).
const WALLS: [(&str, &[&str], &str, &str); 16] = [
    ("src/runtime", &[], "crate::image", "the runtime never hears of images"),
    ("src/image", &[], "crate::runtime", "forno starts the runtime as a program"),
    ("src/sys", &[], "crate::runtime", "the fence knows no OCI word"),
    ("src/sys", &[], "crate::image", "the fence knows no OCI word"),
    ("src", &["src/sys"], "unsafe ", "unsafe code stands in src/sys alone"),
    ("src", &["src/sys"], "libc::", "src/sys re-exports what the others need"),
    ("src/sys", &[], "thread::", "one thread: clone and setns ask for it"),
    ("src/runtime", &[], "thread::", "one thread: clone and setns ask for it"),
    ("src", HOST_PATHS, "std::fs::", "paths are for people, fds are for the kernel"),
    ("src", HOST_PATHS, "use std::fs;", "paths are for people, fds are for the kernel"),
    ("src", HOST_PATHS, "File::open(", "paths are for people, fds are for the kernel"),
    ("src", HOST_PATHS, "File::create(", "paths are for people, fds are for the kernel"),
    ("src", HOST_PATHS, ".canonicalize()", "what a path led to is no longer true when it is used (CVE-2018-15664)"),
    ("src", &[], "unix::fs::chown", "follows the symlinks of a layer out of the root (CVE-2021-29136): use the fd"),
    ("src", HOST_PATHS, ".exists()", "what was asked of a path is no longer true when it is used"),
    ("src", &["src/sys"], "nix::mount", "a mount point is an fd (CVE-2021-30465)"),
];

#[test]
fn walls_stand() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&top.join("src"), &mut files);
    assert!(files.len() > 5, "no sources below {}", top.display());
    let mut breaches = String::new();
    for file in files {
        let name = file.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        for (below, except, word, why) in WALLS {
            let there = |prefix: &str| {
                name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
            };
            if there(below) && !except.iter().any(|prefix| there(prefix)) {
                for line in code(&text).filter(|(_, line)| line.contains(word)).map(|(number, _)| number) {
                    breaches += &format!("{name}:{line}: `{word}`: {why}\n");
                }
            }
        }
    }
    assert!(breaches.is_empty(), "\n{breaches}");
}

/// The lines with their numbers, without comments, `#[cfg(test)]` modules, and what only looks like a breach: the types
/// of `std::fs`, and a thread that sleeps.
fn code(text: &str) -> impl Iterator<Item = (usize, String)> {
    let (mut attribute, mut module) = (false, false);
    let lines = text.lines().enumerate().filter(move |(_, line)| {
        let skip = attribute || module || *line == "#[cfg(test)]";
        module = (attribute && line.ends_with('{')) || (module && *line != "}");
        attribute = *line == "#[cfg(test)]";
        !skip
    });
    lines.map(|(at, line)| {
        let line = line.split("//").next().unwrap_or("").replace("thread::sleep", "sleep");
        let mut parts = line.split("std::fs::");
        let mut kept = parts.next().unwrap_or("").to_owned();
        for part in parts {
            kept += if part.starts_with(char::is_lowercase) { "std::fs::" } else { "" };
            kept += part;
        }
        (at + 1, kept)
    })
}

fn sources(dir: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let test = path.file_name().is_some_and(|name| name == "tests.rs" || name == "kit.rs" || name == "tests");
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if test => {}
            Some("rs") => files.push(path),
            _ if path.is_dir() => sources(&path, files),
            _ => {}
        }
    }
}
