//! A test is a few lines: `Kitchen::new()` is a place with a store of its own; `kitchen.forno(["images"])` runs the
//! program and gives an [`Output`] whose methods say what must be. The place is gone when the test is over; a test that
//! leaves something mounted fails.
//!
//! $FORNO names another program to test; $RUNTIME another OCI runtime for bundles (default: runc).

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub use serde_json::{Value, json};

pub struct Kitchen {
    path: PathBuf,
}

impl Kitchen {
    pub fn new() -> Kitchen {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("forno-tests-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Kitchen { path }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// A command that runs `forno` on this place's store.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.arg("--root").arg(self.store()).env_remove("SOURCE_DATE_EPOCH").current_dir(&self.path);
        command
    }

    #[track_caller]
    pub fn forno<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        Output::of(self.command().args(args), None)
    }

    #[track_caller]
    pub fn forno_stdin<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, input: &[u8]) -> Output {
        Output::of(self.command().args(args), Some(input))
    }

    /// A root file system of busybox, in the directory `name`.
    pub fn rootfs(&self, name: &str) -> PathBuf {
        let root = self.path(name);
        for directory in ["bin", "etc", "tmp", "srv/data", "var"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        fs::copy("/bin/busybox", root.join("bin/busybox")).expect("install busybox-static");
        for applet in ["cat", "echo", "env", "grep", "id", "ls", "pwd", "sh", "sleep", "stat", "touch", "true"] {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        let passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv:/bin/sh\n";
        fs::write(root.join("etc/passwd"), passwd).unwrap();
        fs::write(root.join("etc/group"), "root:x:0:\nadm:x:4:web\nweb:x:34:\n").unwrap();
        fs::write(root.join("srv/data/file"), "from the image\n").unwrap();
        root
    }

    /// Imports a busybox root file system; its image's id.
    pub fn busybox(&self, name: &str) -> String {
        let root = self.rootfs(&format!("rootfs-{}", name.replace([':', '/'], "-")));
        self.forno([OsStr::new("import"), root.as_os_str(), OsStr::new(name)]).ok().stdout.trim().to_owned()
    }

    /// An image of one small layer and of a configuration that is the one given, as somebody else's tool would write it:
    /// directly into the layout.
    pub fn image_with(&self, name: &str, config: Value) -> Layout {
        let layout = Layout::new(&self.path("layout"));
        let layer = tar(&[("file", b"data")]);
        layout.image(name, config, &[layer]);
        layout
    }

    /// Every path in the store but the locks.
    pub fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        walk(&self.store(), &self.store(), &mut files);
        files.retain(|file| !file.starts_with("locks/"));
        files.sort();
        files
    }
}

fn walk(root: &Path, directory: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        files.push(path.strip_prefix(root).unwrap().display().to_string());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(root, &path, files);
        }
    }
}

impl Drop for Kitchen {
    fn drop(&mut self) {
        let place = self.path.display().to_string();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let left: Vec<&str> = mounts.lines().filter(|line| line.contains(&place)).collect();
        if !std::thread::panicking() {
            assert!(left.is_empty(), "left mounted: {left:#?}");
        }
        // What a failing test left is unmounted before anything is removed.
        for line in left.iter().rev() {
            let target = line.split(' ').nth(4).unwrap_or_default();
            let _ = Command::new("umount").args(["--lazy", target]).status();
        }
        let removed = Command::new("rm").args(["-rf", "--one-file-system", &place]).status();
        if !std::thread::panicking() {
            assert!(removed.is_ok_and(|status| status.success()));
        }
    }
}

pub fn program() -> PathBuf {
    std::env::var_os("FORNO").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_forno")), PathBuf::from)
}

#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    #[track_caller]
    pub fn of(command: &mut Command, input: Option<&[u8]>) -> Output {
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        let spawned = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut pipe = child.stdin.take();
        let output = std::thread::scope(|scope| {
            // A program that does not want all of it is none of our business.
            scope.spawn(move || pipe.as_mut().zip(input).map(|(pipe, input)| pipe.write_all(input)));
            child.wait_with_output().unwrap()
        });
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        Output { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    #[track_caller]
    pub fn ok(self) -> Output {
        self.code_is(0)
    }

    #[track_caller]
    pub fn code_is(self, code: i32) -> Output {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Fails with one line that has all these words.
    #[track_caller]
    pub fn fails(self, words: &[&str]) -> Output {
        assert_ne!(self.code, 0, "{self:#?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:#?}");
        assert!(self.stderr.starts_with("forno: "), "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {self:#?}");
        }
        self
    }

    #[track_caller]
    pub fn stdout_is(self, text: &str) -> Output {
        assert_eq!(self.stdout, text, "{self:#?}");
        self
    }

    #[track_caller]
    pub fn stdout_has(self, text: &str) -> Output {
        assert!(self.stdout.contains(text), "no {text:?} in {self:#?}");
        self
    }

    #[track_caller]
    pub fn stdout_lacks(self, text: &str) -> Output {
        assert!(!self.stdout.contains(text), "{text:?} in {self:#?}");
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Runs another program of this machine.
#[track_caller]
pub fn run<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Output {
    Output::of(Command::new(program).args(args), None)
}

/// Whether a program is installed; where it is not, the test says so.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if !found {
        skip(&format!("this machine: {program} is not installed"));
    }
    found
}

/// Mounts and owners need it.
pub fn is_root() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !root {
        skip("this user: not root");
    }
    root
}

pub fn skip(reason: &str) {
    let thread = std::thread::current();
    // Written past the capture of the test harness, which would keep it from everyone's eyes.
    let _ = writeln!(std::io::stderr(), "skip {}: {reason}", thread.name().unwrap_or("?"));
}

/// An archive of regular files.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ::tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = ::tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // As it is: also what no honest program would write.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        archive.append(&header, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 1).unwrap()
}

pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    let hex: String = sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// An OCI layout written by hand, so that it can be wrong.
pub struct Layout {
    path: PathBuf,
}

impl Layout {
    pub fn new(path: &Path) -> Layout {
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Layout { path: path.to_owned() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a blob; its descriptor.
    pub fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = sha256(bytes);
        fs::write(self.path.join("blobs/sha256").join(&digest[7..]), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// Writes an image whose `config` is the inner part of its configuration; the manifest's descriptor.
    pub fn image(&self, name: &str, config: Value, layers: &[Vec<u8>]) -> Value {
        let diff_ids: Vec<String> = layers.iter().map(|layer| sha256(layer)).collect();
        let config = json!({"architecture": architecture(), "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = self.blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let layers: Vec<Value> =
            layers.iter().map(|layer| self.blob("application/vnd.oci.image.layer.v1.tar", layer)).collect();
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
        let descriptor = self.blob(media_type, manifest.to_string().as_bytes());
        self.enter(name, descriptor.clone());
        descriptor
    }

    /// Adds an entry to index.json.
    pub fn enter(&self, name: &str, mut descriptor: Value) {
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        let path = self.path.join("index.json");
        let mut index: Value = fs::read(&path).map_or_else(
            |_| json!({"schemaVersion": 2, "manifests": []}),
            |bytes| serde_json::from_slice(&bytes).unwrap(),
        );
        index["manifests"].as_array_mut().unwrap().push(descriptor);
        fs::write(path, index.to_string()).unwrap();
    }
}

pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A bundle that is run by the OCI runtime, and unbundled when it is dropped.
pub struct Bundle<'a> {
    kitchen: &'a Kitchen,
    pub path: PathBuf,
}

impl<'a> Bundle<'a> {
    #[track_caller]
    pub fn of(kitchen: &'a Kitchen, args: &[&str]) -> Bundle<'a> {
        let path = kitchen.path("bundle");
        let (image, rest) = args.split_first().unwrap();
        let path_text = path.to_str().unwrap();
        let (options, command): (Vec<&str>, Vec<&str>) = match rest.iter().position(|arg| !arg.starts_with("--")) {
            Some(at) => (rest[..at].to_vec(), rest[at..].to_vec()),
            None => (rest.to_vec(), Vec::new()),
        };
        let args = [vec!["bundle"], options, vec![*image, path_text], command].concat();
        kitchen.forno(args).ok();
        Bundle { kitchen, path }
    }

    #[track_caller]
    pub fn run(&self) -> Output {
        let runtime = std::env::var("RUNTIME").unwrap_or_else(|_| "runc".to_owned());
        let id = self.path.parent().and_then(Path::file_name).unwrap().to_str().unwrap();
        let state = self.kitchen.path("runtime");
        let mut command = Command::new(runtime);
        command.arg("--root").arg(state).args(["run", "--bundle"]).arg(&self.path).arg(id);
        Output::of(&mut command, None)
    }
}

impl Drop for Bundle<'_> {
    fn drop(&mut self) {
        let output = self.kitchen.forno([OsStr::new("unbundle"), self.path.as_os_str()]);
        if !std::thread::panicking() {
            output.ok();
            assert!(!self.path.exists());
        }
    }
}
