//! `--progress=rawjson`: an object a line, as BuildKit's client writes its SolveStatus.

use crate::image::digest::Digest;
use crate::image::time;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub(super) enum Phase {
    Started,
    Cached,
    Done,
    Failed(String),
}

fn digest(number: usize) -> Digest {
    Digest::of(format!("step {number}").as_bytes())
}

fn now() -> String {
    time::rfc3339(time::now())
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

pub(super) fn vertex(number: usize, place: &str, title: &str, phase: Phase) -> String {
    let mut vertex = json!({"digest": digest(number), "name": format!("[{place}] {title}"), "started": now()});
    match phase {
        Phase::Started => {}
        Phase::Cached => {
            vertex["completed"] = now().into();
            vertex["cached"] = true.into();
        }
        Phase::Done => vertex["completed"] = now().into(),
        Phase::Failed(error) => {
            vertex["completed"] = now().into();
            vertex["error"] = error.into();
        }
    }
    line(&json!({"vertexes": [vertex]}))
}

pub(super) fn log(number: usize, bytes: &[u8]) -> String {
    line(
        &json!({"logs": [{"vertex": digest(number), "stream": 1, "data": STANDARD.encode(bytes), "timestamp": now()}]}),
    )
}

pub(super) fn note(text: &str) -> String {
    line(&json!({"warnings": [{"level": 1, "short": STANDARD.encode(text.as_bytes())}]}))
}
