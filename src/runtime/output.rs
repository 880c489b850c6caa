//! Standard output: whoever closed it does not want it.

use crate::error::{Context, Result};
use std::io::{ErrorKind, Write};

/// Prints, and ends well.
pub fn print(text: &str) -> Result<u8> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(0),
        written => written.context("write to standard output").map(|()| 0),
    }
}

/// Columns of equal width, as Go's tabwriter makes them for runc: at least 12, and 3 between.
#[derive(Debug)]
pub struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

const WIDTH_MIN: usize = 12;
const GAP: usize = 3;

impl<const N: usize> Table<N> {
    pub fn new(head: [&str; N]) -> Self {
        Table { rows: vec![head.map(str::to_owned)] }
    }

    pub fn row(&mut self, cells: [&str; N]) {
        self.rows.push(cells.map(str::to_owned));
    }

    pub fn text(&self) -> String {
        let width = |column: usize| {
            let longest = self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            (longest + GAP).max(WIDTH_MIN)
        };
        let widths: Vec<usize> = (0..N).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                if column + 1 == N {
                    text += cell;
                } else {
                    text += &format!("{cell:<width$}", width = widths[column]);
                }
            }
            text.push('\n');
        }
        text
    }
}
