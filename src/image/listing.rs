//! What the verbs that list things have in common: a row is a JSON object with docker's names, and a template makes text
//! of it. The usual table is a template too.

use super::template::Template;
use crate::error::{Context, Result};
use clap::Args;
use serde_json::Value;

/// docker's tables have no narrower column.
const COLUMN_MIN: usize = 10;
const GAP: usize = 3;

#[derive(Debug, Default, Args)]
pub struct FormatArgs {
    /// `json`, `table`, `table TEMPLATE`, or a Go template such as '{{.ID}}' or '{{json .}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

impl FormatArgs {
    pub fn is_given(&self) -> bool {
        self.format.is_some()
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Listing {
    /// The usual table's columns, with tabs between them.
    pub table: &'static str,
    /// Fields whose header is not their name in capitals.
    pub headers: &'static [(&'static str, &'static str)],
}

impl Listing {
    pub fn show(&self, format: &FormatArgs, rows: &[Value]) -> Result<String> {
        let format = format.format.as_deref().unwrap_or("table");
        match (format, format.strip_prefix("table")) {
            ("json", _) => lines("{{json .}}", rows),
            ("table", _) => self.table(self.table, rows),
            (_, Some(columns)) if columns.starts_with([' ', '\\', '{']) => self.table(columns.trim_start(), rows),
            _ => lines(format, rows),
        }
    }

    fn table(&self, columns: &str, rows: &[Value]) -> Result<String> {
        let template = parse(columns)?;
        let header = |field: &str| {
            let given = self.headers.iter().find(|(name, _)| *name == field);
            Value::from(given.map_or_else(|| field.to_uppercase(), |(_, header)| (*header).to_owned()))
        };
        let header: serde_json::Map<String, Value> =
            template.fields().into_iter().map(|field| (field.clone(), header(&field))).collect();
        let mut lines = vec![template.render(&Value::Object(header))?];
        for row in rows {
            lines.push(template.render(row)?);
        }
        Ok(align(&lines))
    }
}

fn parse(template: &str) -> Result<Template> {
    // A shell hands the two characters over as they are.
    let text = template.replace("\\t", "\t").replace("\\n", "\n");
    text.parse().with(|| format!("--format {template:?}"))
}

fn lines(template: &str, rows: &[Value]) -> Result<String> {
    let template = parse(template)?;
    rows.iter().map(|row| Ok(template.render(row)? + "\n")).collect()
}

/// One line per object by the template, without a table.
pub fn render(template: &str, objects: &[Value]) -> Result<String> {
    if template == "json" { lines("{{json .}}", objects) } else { lines(template, objects) }
}

/// Puts what stands between tabs into columns.
fn align(lines: &[String]) -> String {
    let cells: Vec<Vec<&str>> = lines.iter().map(|line| line.split('\t').collect()).collect();
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let longest = cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        COLUMN_MIN.max(longest.unwrap_or(0) + GAP)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &cells {
        let last = row.len().saturating_sub(1);
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            text.push_str(cell);
            if at < last {
                text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count())));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LISTING: Listing = Listing { table: "{{.ID}}\t{{.Name}}", headers: &[("ID", "THING ID")] };

    fn show(format: Option<&str>) -> Result<String> {
        let rows = [json!({"ID": "1", "Name": "x"}), json!({"ID": "a-long-identifier", "Name": ""})];
        LISTING.show(&FormatArgs { format: format.map(str::to_owned) }, &rows)
    }

    #[test]
    fn a_table_has_headers_and_columns() {
        let usual = "THING ID            NAME\n1                   x\na-long-identifier   \n";
        assert_eq!(show(None).unwrap(), usual);
        assert_eq!(show(Some("table")).unwrap(), usual);
        assert_eq!(
            show(Some("table {{.Name}}\\t{{.ID}}")).unwrap(),
            "NAME      THING ID\nx         1\n          a-long-identifier\n"
        );
    }

    #[test]
    fn templates_and_json_have_one_line_each() {
        assert_eq!(show(Some("{{.ID}}:{{.Name}}")).unwrap(), "1:x\na-long-identifier:\n");
        assert!(show(Some("json")).unwrap().starts_with("{\"ID\":\"1\",\"Name\":\"x\"}\n"));
        assert!(show(Some("{{.Nmae}}")).unwrap_err().to_string().contains(".Nmae"));
    }
}
