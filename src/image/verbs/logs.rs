//! `forno logs`: what a container has said.

use super::{Forno, Verb};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::container::log::{Entry, LOG, Range, Reader, Stream};
use crate::image::container::{Container, launch};
use crate::image::time;
use crate::image::verbs::options::values;
use crate::sys::event::{self, Wanted, Watch};
use clap::Args;
use std::io::Write;
use std::os::fd::AsFd;

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// A name or an id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Go on with what is said from now on
    #[arg(short, long)]
    follow: bool,
    /// Only the last so many lines
    #[arg(short = 'n', long, value_name = "N", default_value = "all")]
    tail: String,
    /// Only what was said since: a time, or so long ago (10m)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was said until: a time, or so long ago
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Show when
    #[arg(short, long)]
    timestamps: bool,
}

impl Verb for Logs {
    const NAME: &'static str = "logs";
    const ABOUT: &'static str = "Show what a container has said";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let container = store.container(&self.container)?;
        if container.config()?.log.driver == "none" {
            bail!("container {} keeps no log (--log-driver none)", self.container);
        }
        let tail = match self.tail.as_str() {
            "all" | "-1" => None,
            number => Some(number.parse().map_err(|_| Error::new(format!("--tail {number:?}: want a number or all")))?),
        };
        let point = |text: &Option<String>| text.as_deref().map(point_in_time).transpose();
        let range = Range { tail, since: point(&self.since)?, until: point(&self.until)? };
        let mut reader = Reader::open(container.directory())?;
        if let Some(lines) = range.tail {
            reader.tail(lines)?;
        }
        if !self.show(&mut reader, &range)? || !self.follow {
            return Ok(0);
        }
        self.follow(&container, &mut reader, &range)?;
        Ok(0)
    }
}

impl Logs {
    /// Shows what there is; `false`: nobody wants more.
    fn show(&self, reader: &mut Reader, range: &Range) -> Result<bool> {
        while let Some(entry) = reader.next_entry()? {
            if range.is_past(&entry) {
                return Ok(false);
            }
            if range.has(&entry) && !self.print(&entry)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn print(&self, entry: &Entry) -> Result<bool> {
        let line = if self.timestamps { format!("{} {}", entry.time, entry.log) } else { entry.log.clone() };
        let written = match entry.stream {
            Stream::Stdout => std::io::stdout().lock().write_all(line.as_bytes()),
            Stream::Stderr => std::io::stderr().lock().write_all(line.as_bytes()),
        };
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
            written => written.map(|()| true).context("write"),
        }
    }

    fn follow(&self, container: &Container, reader: &mut Reader, range: &Range) -> Result<()> {
        loop {
            // Connected first: what is written before the supervisor ends is seen after that.
            let Some(channel) = launch::connect(container, false)? else {
                self.show(reader, range)?;
                return Ok(());
            };
            let Ok(watch) = Watch::new(&container.directory().join(LOG)) else {
                return Ok(());
            };
            loop {
                if !self.show(reader, range)? {
                    return Ok(());
                }
                std::io::stdout().flush().context("write")?;
                let wanted = [
                    Wanted { fd: watch.as_fd(), read: true, write: false },
                    Wanted { fd: channel.as_fd(), read: true, write: false },
                ];
                let ready = event::poll(&wanted, None).context("wait for more")?;
                if ready.get(1).is_some_and(|ready| ready.read) && is_over(&channel)? {
                    self.show(reader, range)?;
                    return Ok(());
                }
                // A file that was turned over is another one from now on.
                if watch.clear() {
                    break;
                }
            }
        }
    }
}

fn is_over(channel: &std::os::fd::OwnedFd) -> Result<bool> {
    use crate::image::container::channel::{Event, receive};
    Ok(matches!(receive(channel.as_fd())?, None | Some(Event::Ended { last: true, .. })))
}

/// `2024-02-29T12:00:00Z`, `1709208000`, or so long ago: `10m`.
pub(super) fn point_in_time(text: &str) -> Result<i64> {
    if let Some(seconds) = time::parse_rfc3339(text).or_else(|| text.split('.').next()?.parse().ok()) {
        return Ok(seconds);
    }
    match values::duration(text) {
        Ok(nanoseconds) => Ok(time::now() - nanoseconds / 1_000_000_000),
        Err(_) => bail!("{text:?}: want a time such as 2024-02-29T12:00:00Z, or 10m for ten minutes ago"),
    }
}
