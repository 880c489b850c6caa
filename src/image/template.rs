//! The part of Go's text/template that people write behind docker's `--format`: fields, pipelines, `if`, `with`,
//! `range`, and docker's functions. Values are JSON.

mod functions;
mod parse;

use crate::bail;
use crate::error::{Error, Result};
use serde_json::Value;
use std::fmt::Write;
use std::str::FromStr;

#[derive(Debug, Clone, PartialEq)]
pub struct Template(Vec<Node>);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Text(String),
    Print(Pipe),
    If {
        condition: Pipe,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// `if` with the value as the dot.
    With {
        value: Pipe,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Range {
        over: Pipe,
        each: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// Each command's value becomes the next one's last argument.
type Pipe = Vec<Command>;

#[derive(Debug, Clone, PartialEq)]
enum Command {
    Value(Term),
    Call(&'static functions::Function, Vec<Term>),
}

#[derive(Debug, Clone, PartialEq)]
struct Term {
    of: Base,
    /// `.A.B` behind it.
    fields: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Base {
    Dot,
    /// `$`: what the template was given.
    Whole,
    Literal(Value),
    Pipe(Pipe),
}

impl FromStr for Template {
    type Err = Error;

    fn from_str(text: &str) -> Result<Template> {
        parse::parse(text).map(Template)
    }
}

impl Template {
    pub fn render(&self, value: &Value) -> Result<String> {
        let mut out = String::new();
        Scope { whole: value }.nodes(&self.0, value, &mut out)?;
        Ok(out)
    }

    /// The fields of the value itself that the template names, in order, each once.
    pub fn fields(&self) -> Vec<String> {
        let mut fields = Vec::new();
        fields_of_nodes(&self.0, &mut fields);
        fields
    }
}

fn fields_of_nodes(nodes: &[Node], fields: &mut Vec<String>) {
    for node in nodes {
        match node {
            Node::Text(_) => {}
            Node::Print(pipe) => fields_of_pipe(pipe, fields),
            Node::If { condition: pipe, then, otherwise }
            | Node::With { value: pipe, then, otherwise }
            | Node::Range { over: pipe, each: then, otherwise } => {
                fields_of_pipe(pipe, fields);
                fields_of_nodes(then, fields);
                fields_of_nodes(otherwise, fields);
            }
        }
    }
}

fn fields_of_pipe(pipe: &Pipe, fields: &mut Vec<String>) {
    for command in pipe {
        let terms = match command {
            Command::Value(term) => std::slice::from_ref(term),
            Command::Call(_, terms) => terms,
        };
        for term in terms {
            match (&term.of, term.fields.first()) {
                (Base::Dot | Base::Whole, Some(field)) if !fields.contains(field) => fields.push(field.clone()),
                (Base::Pipe(pipe), _) => fields_of_pipe(pipe, fields),
                _ => {}
            }
        }
    }
}

struct Scope<'a> {
    whole: &'a Value,
}

impl Scope<'_> {
    fn nodes(&self, nodes: &[Node], dot: &Value, out: &mut String) -> Result<()> {
        for node in nodes {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Print(pipe) => out.push_str(&printed(&self.pipe(pipe, dot)?)),
                Node::If { condition, then, otherwise } => {
                    let chosen = if is_true(&self.pipe(condition, dot)?) { then } else { otherwise };
                    self.nodes(chosen, dot, out)?;
                }
                Node::With { value, then, otherwise } => match self.pipe(value, dot)? {
                    value if is_true(&value) => self.nodes(then, &value, out)?,
                    _ => self.nodes(otherwise, dot, out)?,
                },
                Node::Range { over, each, otherwise } => {
                    let items: Vec<Value> = match self.pipe(over, dot)? {
                        Value::Array(items) => items,
                        Value::Object(map) => sorted(&map).into_iter().map(|(_, value)| value.clone()).collect(),
                        Value::Null => Vec::new(),
                        other => bail!("range over {other}: neither a list nor a map"),
                    };
                    for item in &items {
                        self.nodes(each, item, out)?;
                    }
                    if items.is_empty() {
                        self.nodes(otherwise, dot, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn pipe(&self, pipe: &Pipe, dot: &Value) -> Result<Value> {
        let mut last: Option<Value> = None;
        for command in pipe {
            last = Some(match command {
                Command::Value(term) => self.term(term, dot)?,
                Command::Call(function, terms) => {
                    let mut arguments =
                        terms.iter().map(|term| self.term(term, dot)).collect::<Result<Vec<Value>>>()?;
                    arguments.extend(last);
                    function.call(&arguments)?
                }
            });
        }
        Ok(last.unwrap_or_default())
    }

    fn term(&self, term: &Term, dot: &Value) -> Result<Value> {
        let made;
        let (mut value, is_row) = match &term.of {
            Base::Dot => (dot, std::ptr::eq(dot, self.whole)),
            Base::Whole => (self.whole, true),
            Base::Literal(value) => (value, false),
            Base::Pipe(pipe) => {
                made = self.pipe(pipe, dot)?;
                (&made, false)
            }
        };
        for (depth, field) in term.fields.iter().enumerate() {
            value = match value {
                Value::Object(map) => match map.get(field) {
                    Some(value) => value,
                    // A slip of the pen; deeper down it may be a key of a map that is only sometimes there.
                    None if is_row && depth == 0 => {
                        let known: Vec<&str> = map.keys().map(String::as_str).collect();
                        bail!("there is no field .{field}; there are {}", known.join(", "))
                    }
                    None => &Value::Null,
                },
                Value::Null => &Value::Null,
                other => bail!("no field .{field} in {other}"),
            };
        }
        Ok(value.clone())
    }
}

/// Keys in order, as Go prints and walks a map.
fn sorted(map: &serde_json::Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// As Go's `%v` does it.
fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(printed).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut text = String::from("map[");
            for (at, (key, value)) in sorted(map).into_iter().enumerate() {
                let _ = write!(text, "{}{key}:{}", if at > 0 { " " } else { "" }, printed(value));
            }
            text + "]"
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
