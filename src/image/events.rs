//! What happened to containers, volumes and networks: a line of JSON for each event, in docker's words, appended to
//! `events.json` in the store by the process that did it. There is nobody else who could be asked.

use super::container::config::Config;
use super::store::Store;
use crate::error::{Context, Result};
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

const FILE: &str = "events.json";
/// What was before is kept once more, and then forgotten.
const OLD: &str = "events.json.1";
const SIZE_MAX: u64 = 4 << 20;

/// Tells of a container. Whoever acts does not fail because nobody can be told.
pub fn of_container(store: &Store, config: &Config, action: &str, more: &[(&str, String)]) {
    let mut attributes = Map::new();
    attributes.extend(config.labels.iter().map(|(key, value)| (key.clone(), json!(value))));
    attributes.insert("image".to_owned(), json!(config.image));
    attributes.insert("name".to_owned(), json!(config.name));
    tell(store, "container", &config.id, action, attributes, more);
}

/// Tells of something else: a volume or a network by its name.
pub fn of(store: &Store, kind: &str, id: &str, action: &str) {
    tell(store, kind, id, action, Map::new(), &[]);
}

fn tell(
    store: &Store,
    kind: &str,
    id: &str,
    action: &str,
    mut attributes: Map<String, Value>,
    more: &[(&str, String)],
) {
    attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), json!(value))));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut event = json!({
        "Type": kind,
        "Action": action,
        "Actor": {"ID": id, "Attributes": attributes},
        "scope": "local",
        "time": now.as_secs(),
        "timeNano": u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
    });
    if kind == "container" {
        event["status"] = json!(action);
        event["id"] = json!(id);
        event["from"] = event["Actor"]["Attributes"]["image"].clone();
    }
    // A full disk must not stop anybody.
    let _ = append(store, &format!("{event}\n"));
}

/// One write, so that two at a time do not mix.
fn append(store: &Store, line: &str) -> std::io::Result<()> {
    let mut file = open(store)?;
    if file.metadata()?.len() > SIZE_MAX {
        std::fs::rename(path(store), store.path().join(OLD))?;
        file = open(store)?;
    }
    file.write_all(line.as_bytes())
}

fn open(store: &Store) -> std::io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).open(path(store))
}

/// The file that is being written.
pub fn path(store: &Store) -> PathBuf {
    store.path().join(FILE)
}

/// Reads events from the oldest one on, and what is added while they are read.
pub struct Reader {
    path: PathBuf,
    old: Option<BufReader<File>>,
    current: BufReader<File>,
    line: Vec<u8>,
}

impl Reader {
    pub fn open(store: &Store) -> Result<Reader> {
        let old = File::open(store.path().join(OLD)).ok().map(BufReader::new);
        let current = BufReader::new(open(store).with(|| format!("open {FILE}"))?);
        Ok(Reader { path: path(store), old, current, line: Vec::new() })
    }

    /// The next event; `None` where nothing more has happened yet.
    pub fn next_event(&mut self) -> Result<Option<Value>> {
        loop {
            let source = self.old.as_mut().unwrap_or(&mut self.current);
            if source.read_until(b'\n', &mut self.line).with(|| format!("read {FILE}"))? == 0 {
                if self.old.take().is_some() {
                    continue;
                }
                return Ok(None);
            }
            if self.line.last() == Some(&b'\n') {
                let event = serde_json::from_slice(&self.line);
                self.line.clear();
                // What is none was cut off when the machine or the disk gave out.
                if let Ok(event) = event {
                    return Ok(Some(event));
                }
            }
        }
    }

    /// Goes on with the file that has the name now.
    pub fn reopen(&mut self) -> Result<()> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(&self.path);
        self.current = BufReader::new(file.with(|| format!("open {FILE}"))?);
        Ok(())
    }
}
