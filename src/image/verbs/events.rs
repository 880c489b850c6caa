//! `forno events`: what happens to containers, volumes and networks, as it happens.

use super::{Forno, Verb};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::events::{self, Reader};
use crate::image::{listing, time};
use crate::sys::event::{self, Wanted, Watch};
use clap::Args;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct Events {
    /// Only what fits: type, event, container, image, label, volume, network
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// What happened since, too: a time, or so long ago (10m)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only until: a time, or so long ago
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// `json`, or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

impl Verb for Events {
    const NAME: &'static str = "events";
    const ABOUT: &'static str = "Show what happens to containers, volumes and networks";

    fn run(self, forno: &Forno) -> Result<u8> {
        let filters = Filters::parse(&self.filter)?;
        let point = |text: &Option<String>| text.as_deref().map(super::logs::point_in_time).transpose();
        let (since, until) = (point(&self.since)?, point(&self.until)?);
        let store = forno.store()?;
        let mut reader = Reader::open(&store)?;
        let mut watch = Watch::new(&events::path(&store)).context("watch events")?;
        let from = since.unwrap_or_else(time::now);
        // Without --since only what comes from now on is told.
        let mut fresh = since.is_some();
        loop {
            while let Some(event) = reader.next_event()? {
                let at = event["time"].as_i64().unwrap_or(0);
                if until.is_some_and(|until| at > until) {
                    return Ok(0);
                }
                if fresh && at >= from && filters.fit(&event) {
                    forno.print(&self.line(&event)?)?;
                }
            }
            fresh = true;
            let left = until.map(|until| u64::try_from(until.saturating_sub(time::now())).unwrap_or(0));
            if left == Some(0) {
                return Ok(0);
            }
            let wanted = [Wanted { fd: watch.as_fd(), read: true, write: false }];
            event::poll(&wanted, left.map(Duration::from_secs)).context("wait for events")?;
            if watch.clear() {
                reader.reopen()?;
                watch = Watch::new(&events::path(&store)).context("watch events")?;
            }
        }
    }
}

impl Events {
    fn line(&self, event: &Value) -> Result<String> {
        match &self.format {
            Some(template) => listing::render(template, std::slice::from_ref(event)),
            None => Ok(printed(event)),
        }
    }
}

/// `2024-02-29T12:00:00.123456789Z container start ID (image=box, name=web)`
fn printed(event: &Value) -> String {
    let nanoseconds = event["timeNano"].as_u64().unwrap_or(0);
    let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    let stamp = time::rfc3339(i64::try_from(seconds).unwrap_or(0));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let attributes = event["Actor"]["Attributes"].as_object();
    let mut words: Vec<String> =
        attributes.into_iter().flatten().map(|(key, value)| format!("{key}={}", text(value))).collect();
    words.sort();
    let more = if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) };
    format!(
        "{}.{rest:09}Z {} {} {}{more}\n",
        stamp.trim_end_matches('Z'),
        text(&event["Type"]),
        text(&event["Action"]),
        text(&event["Actor"]["ID"]),
    )
}

const KEYS: [&str; 7] = ["type", "event", "container", "image", "label", "volume", "network"];

struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    fn parse(texts: &[String]) -> Result<Filters> {
        let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for text in texts {
            match text.split_once('=') {
                Some((key, value)) if KEYS.contains(&key) => {
                    map.entry(key.to_owned()).or_default().push(value.to_owned());
                }
                Some((key, _)) => bail!("--filter {text}: there is no {key}; there are {}", KEYS.join(", ")),
                None => bail!("--filter {text}: want KEY=VALUE"),
            }
        }
        Ok(Filters(map))
    }

    fn fit(&self, event: &Value) -> bool {
        self.0.iter().all(|(key, values)| values.iter().any(|value| fits(event, key, value)))
    }
}

fn fits(event: &Value, key: &str, value: &str) -> bool {
    let (kind, id) = (&event["Type"], event["Actor"]["ID"].as_str().unwrap_or_default());
    let attributes = &event["Actor"]["Attributes"];
    match key {
        "type" => kind == value,
        "event" => event["Action"].as_str().is_some_and(|action| action.split(':').next() == Some(value)),
        "image" => attributes["image"] == value,
        "label" => match value.split_once('=') {
            Some((name, value)) => attributes[name] == value,
            None => !attributes[value].is_null(),
        },
        "container" => kind == "container" && (id.starts_with(value) || attributes["name"] == value),
        kind_wanted => kind == kind_wanted && id == value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_told_and_filtered_as_docker_does() {
        let event = json!({"Type": "container", "Action": "die", "timeNano": 1_700_000_000_000_000_005u64,
            "Actor": {"ID": "abc", "Attributes": {"name": "web", "image": "box", "exitCode": "3"}}});
        let line = "2023-11-14T22:13:20.000000005Z container die abc (exitCode=3, image=box, name=web)\n";
        assert_eq!(printed(&event), line);
        let fit = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            Filters::parse(&texts).unwrap().fit(&event)
        };
        assert!(fit(&[]) && fit(&["type=container", "event=start", "event=die"]) && fit(&["container=web"]));
        assert!(!fit(&["event=start"]) && !fit(&["container=shop"]) && !fit(&["volume=abc"]) && fit(&["image=box"]));
        assert!(Filters::parse(&["colour=red".to_owned()]).is_err());
    }
}
