//! What the user sees of it: a bar for each blob on a terminal, a line for each elsewhere.

use crate::image::units;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};

const BAR: &str = "{prefix}: {msg:<12} [{bar:30}] {bytes}/{total_bytes}";
const LINE: &str = "{prefix}: {msg}";

#[derive(Debug)]
pub enum Progress {
    Quiet,
    Lines,
    Bars(MultiProgress),
}

impl Progress {
    /// On standard error, which leaves standard output to results.
    pub fn new(quiet: bool) -> Progress {
        match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Progress::Quiet,
            (false, false) => Progress::Lines,
            (false, true) => Progress::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr())),
        }
    }

    pub fn say(&self, text: &str) {
        match self {
            Progress::Quiet => {}
            Progress::Lines => line(text),
            // Where nobody can be told, nobody is.
            Progress::Bars(bars) => drop(bars.println(text)),
        }
    }

    /// Something of `total` bytes that has just begun.
    pub fn begin(&self, name: &str, doing: &str, total: u64) -> Bar {
        let bar = match self {
            Progress::Quiet => None,
            Progress::Lines => {
                line(&format!("{name}: {doing} {}", units::size(total)));
                None
            }
            Progress::Bars(bars) => {
                let bar = bars.add(ProgressBar::new(total));
                bar.set_style(style(BAR));
                bar.set_prefix(name.to_owned());
                bar.set_message(doing.to_owned());
                Some(bar)
            }
        };
        Bar { name: name.to_owned(), bar, lines: matches!(self, Progress::Lines) }
    }

    /// Something that there is nothing to do about.
    pub fn skip(&self, name: &str, why: &str) {
        self.say(&format!("{name}: {why}"));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// One thing's progress.
#[derive(Debug, Clone)]
pub struct Bar {
    name: String,
    bar: Option<ProgressBar>,
    lines: bool,
}

impl Bar {
    pub fn at(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        }
    }

    pub fn doing(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
        }
    }

    pub fn done(&self, what: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_style(style(LINE));
                bar.finish_with_message(what.to_owned());
            }
            None if self.lines => line(&format!("{}: {what}", self.name)),
            None => {}
        }
    }
}
