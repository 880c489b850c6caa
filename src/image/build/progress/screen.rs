//! `--progress=tty`: steps that are done scroll away above, those that go on are drawn again and again below.

use super::{Outcome, Running, TAIL_LINES};
use crate::sys::tty;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{Duration, Instant};

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// Lines of output below each step that goes on.
const LINES: usize = 5;
const WIDTH: usize = 80;
const HEIGHT: usize = 24;
/// Output that came so soon is not worth a flicker.
const PATIENCE: Duration = Duration::from_millis(150);

#[derive(Debug, Clone, Copy)]
enum Style {
    Good,
    Bad,
    Place,
    Faint,
}

/// What is drawn at the moment.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// Lines of the moving part.
    height: usize,
    /// For above the moving part, when it is drawn the next time.
    waiting: String,
}

pub(super) struct Totals {
    pub(super) expected: usize,
    pub(super) done: usize,
    pub(super) cached: usize,
    pub(super) began: Instant,
    pub(super) frame: usize,
}

fn styled(style: Style, text: &str) -> String {
    if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return text.to_owned();
    }
    let code = match style {
        Style::Good => "32",
        Style::Bad => "31",
        Style::Place => "36",
        Style::Faint => "2",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Columns and rows.
fn size() -> (usize, usize) {
    match tty::size(io::stderr()) {
        Ok((rows, columns)) if rows > 0 && columns > 0 => (usize::from(columns), usize::from(rows)),
        _ => (WIDTH, HEIGHT),
    }
}

/// What fits, and what a terminal would not take for an order.
fn fitted(text: &str, width: usize) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => drop(chars.by_ref().find(|c| c.is_ascii_alphabetic())),
            '\t' => plain.push_str("    "),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    if plain.chars().count() <= width {
        return plain;
    }
    plain.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1}s")
    } else {
        format!("{:.0}m{:02.0}s", (seconds / 60.0).floor(), seconds % 60.0)
    }
}

/// ` ✔ builder 2/5  RUN make                    3.2s`
fn row(mark: &str, running: &Running, right: &str, width: usize) -> String {
    let fixed = 3 + running.place.chars().count() + 2 + 2 + right.chars().count();
    let room = width.saturating_sub(fixed + 1);
    let title = fitted(&running.title, room);
    let gap = room.saturating_sub(title.chars().count());
    let place = styled(Style::Place, &running.place);
    format!(" {mark} {place}  {title}{}  {}\n", " ".repeat(gap), styled(Style::Faint, right))
}

/// A step that is over, for good.
pub(super) fn ended(running: &Running, outcome: &Outcome) -> String {
    let (width, _) = size();
    let time = seconds(running.began.elapsed());
    match outcome {
        Outcome::Cached => row(&styled(Style::Good, "✔"), running, "cached", width),
        Outcome::Done => row(&styled(Style::Good, "✔"), running, &time, width),
        Outcome::Failed(_) => {
            let mut text = row(&styled(Style::Bad, "✘"), running, &time, width);
            for line in running.tail.iter().skip(running.tail.len().saturating_sub(TAIL_LINES)) {
                let _ = writeln!(text, "   {} {}", styled(Style::Bad, "│"), fitted(line, width.saturating_sub(6)));
            }
            text
        }
    }
}

impl Screen {
    /// Text that stays.
    pub(super) fn above(&mut self, text: &str) {
        self.waiting.push_str(text);
    }

    /// Takes the moving part away.
    pub(super) fn clear(&mut self) {
        let text = self.erase() + &std::mem::take(&mut self.waiting);
        // Whoever closed the terminal does not stop the build.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    fn erase(&mut self) -> String {
        let height = std::mem::take(&mut self.height);
        if height == 0 { String::new() } else { format!("\x1b[{height}A\r\x1b[J") }
    }

    pub(super) fn draw(&mut self, running: &[Running], totals: &Totals) {
        let (width, height) = size();
        let mut text = self.erase() + &std::mem::take(&mut self.waiting);
        let mut moving = String::new();
        let mark = SPINNER.get(totals.frame % SPINNER.len()).copied().unwrap_or_default();
        // All of it has to fit, or what scrolled away could not be drawn again.
        let mut room = height.saturating_sub(3);
        for step in running {
            if room == 0 {
                break;
            }
            let time = seconds(step.began.elapsed());
            moving.push_str(&row(mark, step, &time, width));
            room -= 1;
            let lines = if step.began.elapsed() < PATIENCE { 0 } else { LINES.min(room) };
            for line in step.tail.iter().skip(step.tail.len().saturating_sub(lines)) {
                let _ = writeln!(
                    moving,
                    "   {}",
                    styled(Style::Faint, &format!("│ {}", fitted(line, width.saturating_sub(6))))
                );
                room -= 1;
            }
        }
        let Totals { expected, done, cached, began, .. } = totals;
        let cached = if *cached > 0 { format!(", {cached} of them cached") } else { String::new() };
        let line = format!("   {done} of {expected} steps done{cached}, {}", seconds(began.elapsed()));
        let _ = writeln!(moving, "{}", styled(Style::Faint, &fitted(&line, width.saturating_sub(1))));
        self.height = moving.lines().count();
        text.push_str(&moving);
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_give_no_orders() {
        assert_eq!(fitted("a\x1b[31mb\x07\tc", 80), "ab    c");
        assert_eq!(fitted("abcdef", 4), "abc…");
        assert_eq!(fitted("ÄÖÜ", 3), "ÄÖÜ");
        assert_eq!(
            (seconds(Duration::from_millis(1250)), seconds(Duration::from_secs(125))),
            ("1.2s".into(), "2m05s".into())
        );
    }

    #[test]
    fn a_row_has_the_width_of_the_terminal() {
        let tail = std::collections::VecDeque::new();
        let running =
            Running { number: 1, place: "a 1/2".into(), title: "RUN ".repeat(50), began: Instant::now(), tail };
        let text = row("✔", &running, "cached", 80);
        let plain = fitted(&text, 1000);
        assert_eq!(plain.chars().count(), 79, "{plain:?}");
    }
}
