//! What the Dockerfile language means, point by point: each test is a Dockerfile that builders have got wrong, and what
//! has to come out of it. Where docker's documentation and the behaviour of its builder differ, the behaviour is what
//! Dockerfiles were tried with, and the test says so.

mod configuration;
mod copying;
mod parsing;
mod remote;
mod stages;

use crate::image::kit::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

/// What was built: its files as the layers' archives have them, and its configuration.
pub struct Cake {
    pub kitchen: Kitchen,
    files: BTreeMap<String, Found>,
    /// The names of each layer.
    pub layers: Vec<Vec<String>>,
    image: Value,
    pub said: String,
}

struct Found {
    kind: tar::EntryType,
    mode: u32,
    owner: (u64, u64),
    time: u64,
    link: String,
    bytes: Vec<u8>,
    identity: usize,
}

/// A kitchen with the image bb; the context c is what the shell script makes of an empty directory.
pub fn kitchen(dockerfile: &str, script: &str) -> Option<Kitchen> {
    if !is_root() {
        return None;
    }
    let kitchen = Kitchen::new();
    kitchen.busybox("bb");
    fs::create_dir(kitchen.path("c")).unwrap();
    fs::write(kitchen.path("c/Dockerfile"), dockerfile).unwrap();
    let script = format!("umask 022; cd {}; {script}", kitchen.path("c").display());
    run("sh", ["-e", "-c", &script]).ok();
    Some(kitchen)
}

/// Builds; None where this user cannot.
#[track_caller]
pub fn bake(dockerfile: &str, script: &str) -> Option<Cake> {
    Some(Cake::of(kitchen(dockerfile, script)?, &[]))
}

#[track_caller]
pub fn bake_with(dockerfile: &str, script: &str, options: &[&str]) -> Option<Cake> {
    Some(Cake::of(kitchen(dockerfile, script)?, options))
}

/// Each of the Dockerfiles is refused with these words in the last line.
#[track_caller]
pub fn refused(script: &str, cases: &[(&str, &[&str])]) {
    for (dockerfile, words) in cases {
        let Some(kitchen) = kitchen(dockerfile, script) else { return };
        let output = kitchen.forno(["build", "-t", "cake", "c"]);
        assert_ne!(output.code, 0, "{dockerfile:?}: {output:#?}");
        let line = output.stderr.lines().last().unwrap_or_default();
        assert!(line.starts_with("forno: ") && words.iter().all(|word| line.contains(word)), "{dockerfile:?}: {line}");
    }
}

impl Cake {
    #[track_caller]
    pub fn of(kitchen: Kitchen, options: &[&str]) -> Cake {
        let said =
            kitchen.forno([&["build", "-t", "cake", "--progress", "plain"], options, &["c"]].concat()).ok().stderr;
        let mut cake = Cake { kitchen, files: BTreeMap::new(), layers: Vec::new(), image: Value::Null, said };
        cake.read();
        cake
    }

    /// The same again, after a change.
    #[track_caller]
    pub fn again(self, options: &[&str]) -> Cake {
        Cake::of(self.kitchen, options)
    }

    fn blob(&self, digest: &Value) -> Vec<u8> {
        let digest = digest.as_str().unwrap().trim_start_matches("sha256:");
        fs::read(self.kitchen.store().join("blobs/sha256").join(digest)).unwrap()
    }

    fn read(&mut self) {
        let index: Value = serde_json::from_slice(&fs::read(self.kitchen.store().join("index.json")).unwrap()).unwrap();
        let is_it = |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"] == "cake:latest";
        let entry = index["manifests"].as_array().unwrap().iter().find(is_it).unwrap();
        let manifest: Value = serde_json::from_slice(&self.blob(&entry["digest"])).unwrap();
        self.image = serde_json::from_slice(&self.blob(&manifest["config"]["digest"])).unwrap();
        for layer in manifest["layers"].as_array().unwrap() {
            let archive = self.blob(&layer["digest"]);
            self.apply(&archive);
        }
    }

    fn apply(&mut self, archive: &[u8]) {
        let mut archive = tar::Archive::new(archive);
        let mut names = Vec::new();
        for (number, entry) in archive.entries().unwrap().enumerate() {
            let mut entry = entry.unwrap();
            let path = format!("/{}", entry.path().unwrap().to_str().unwrap().trim_matches('/'));
            names.push(path.clone());
            let (above, name) = path.rsplit_once('/').unwrap();
            if name == ".wh..wh..opq" {
                self.files.retain(|file, _| !file.starts_with(&format!("{above}/")));
                continue;
            }
            if let Some(removed) = name.strip_prefix(".wh.") {
                let removed = format!("{above}/{removed}");
                self.files.retain(|file, _| *file != removed && !file.starts_with(&format!("{removed}/")));
                continue;
            }
            let header = entry.header().clone();
            let link = entry.link_name().unwrap().map(|link| link.to_str().unwrap().to_owned()).unwrap_or_default();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let mut found = Found {
                kind: header.entry_type(),
                mode: header.mode().unwrap(),
                owner: (header.uid().unwrap(), header.gid().unwrap()),
                time: header.mtime().unwrap(),
                link,
                bytes,
                identity: self.layers.len() * 100_000 + number,
            };
            if found.kind == tar::EntryType::Link {
                let first = &self.files[&format!("/{}", found.link.trim_start_matches('/'))];
                found = Found { kind: first.kind, bytes: first.bytes.clone(), identity: first.identity, ..found };
            }
            self.files.insert(path, found);
        }
        self.layers.push(names);
    }

    /// What is there: `dir 755 0:0`, `file 644 0:0 content`, `link target`, `fifo 644 0:0`, or `nothing`.
    pub fn at(&self, path: &str) -> String {
        let Some(found) = self.files.get(path) else {
            return "nothing".to_owned();
        };
        let Found { mode, owner: (uid, gid), .. } = found;
        let text = String::from_utf8_lossy(&found.bytes);
        match found.kind {
            tar::EntryType::Symlink => format!("link {}", found.link),
            tar::EntryType::Directory => format!("dir {mode:o} {uid}:{gid}"),
            tar::EntryType::Regular => format!("file {mode:o} {uid}:{gid} {}", text.trim_end()),
            tar::EntryType::Fifo => format!("fifo {mode:o} {uid}:{gid}"),
            kind => format!("{kind:?}"),
        }
    }

    #[track_caller]
    pub fn has(&self, expected: &[(&str, &str)]) {
        for (path, what) in expected {
            assert_eq!(self.at(path), *what, "{path}; there is {:?}", self.files.keys().collect::<Vec<_>>());
        }
    }

    /// What a file holds.
    #[track_caller]
    pub fn text(&self, path: &str) -> String {
        let found = self.files.get(path).unwrap_or_else(|| panic!("no {path}"));
        String::from_utf8(found.bytes.clone()).unwrap()
    }

    pub fn time(&self, path: &str) -> u64 {
        self.files[path].time
    }

    pub fn same_file(&self, a: &str, b: &str) -> bool {
        self.files[a].identity == self.files[b].identity
    }

    /// Everything below a directory.
    pub fn below(&self, path: &str) -> Vec<&str> {
        let prefix = format!("{}/", path.trim_end_matches('/'));
        self.files.keys().filter_map(|file| file.strip_prefix(&prefix)).collect()
    }

    /// Of the image's configuration file.
    pub fn config(&self, pointer: &str) -> Value {
        self.image.pointer(pointer).cloned().unwrap_or_default()
    }

    pub fn env(&self, name: &str) -> Option<String> {
        let all = self.config("/config/Env");
        let mut all = all.as_array().unwrap().iter().filter_map(|entry| entry.as_str()?.split_once('='));
        all.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    }

    /// The commands of history that are not the base image's.
    pub fn history(&self) -> Vec<String> {
        let all = self.config("/history");
        let all = all.as_array().unwrap().iter().filter_map(|entry| entry["created_by"].as_str());
        all.map(str::to_owned).collect()
    }
}
