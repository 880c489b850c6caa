//! What a template can call: Go's own functions where they make sense on JSON, and those that docker adds.

use super::{is_true, printed};
use crate::bail;
use crate::error::{Context, Result};
use serde_json::Value;
use std::cmp::Ordering;

pub(super) struct Function {
    pub(super) name: &'static str,
    /// The fewest and the most arguments.
    takes: (usize, usize),
    apply: fn(&[Value]) -> Result<Value>,
}

const MANY: usize = usize::MAX;

#[rustfmt::skip]
const FUNCTIONS: [Function; 20] = [
    Function { name: "and", takes: (1, MANY), apply: |a| Ok(first(a, |v| !is_true(v))) },
    Function { name: "eq", takes: (2, MANY), apply: |a| Ok(a.iter().skip(1).any(|v| a.first() == Some(v)).into()) },
    Function { name: "ge", takes: (2, 2), apply: |a| Ok(compare(a)?.is_ge().into()) },
    Function { name: "gt", takes: (2, 2), apply: |a| Ok(compare(a)?.is_gt().into()) },
    Function { name: "index", takes: (1, MANY), apply: index },
    Function { name: "join", takes: (2, 2), apply: join },
    Function { name: "json", takes: (1, 1), apply: |a| Ok(serde_json::to_string(&a[0]).context("write JSON")?.into()) },
    Function { name: "le", takes: (2, 2), apply: |a| Ok(compare(a)?.is_le().into()) },
    Function { name: "len", takes: (1, 1), apply: |a| length(&a[0]) },
    Function { name: "lower", takes: (1, 1), apply: |a| Ok(printed(&a[0]).to_lowercase().into()) },
    Function { name: "lt", takes: (2, 2), apply: |a| Ok(compare(a)?.is_lt().into()) },
    Function { name: "ne", takes: (2, 2), apply: |a| Ok((a.first() != a.get(1)).into()) },
    Function { name: "not", takes: (1, 1), apply: |a| Ok((!is_true(&a[0])).into()) },
    Function { name: "or", takes: (1, MANY), apply: |a| Ok(first(a, is_true)) },
    Function { name: "print", takes: (0, MANY), apply: |a| Ok(a.iter().map(printed).collect::<String>().into()) },
    Function { name: "println", takes: (0, MANY), apply: println },
    Function { name: "split", takes: (2, 2), apply: split },
    Function { name: "title", takes: (1, 1), apply: title },
    Function { name: "truncate", takes: (2, 2), apply: truncate },
    Function { name: "upper", takes: (1, 1), apply: |a| Ok(printed(&a[0]).to_uppercase().into()) },
];

pub(super) fn find(name: &str) -> Result<&'static Function> {
    static TABLE: [Function; FUNCTIONS.len()] = FUNCTIONS;
    match TABLE.iter().find(|function| function.name == name) {
        Some(function) => Ok(function),
        None => bail!("function {name:?} is not known"),
    }
}

impl Function {
    pub(super) fn call(&self, arguments: &[Value]) -> Result<Value> {
        let (fewest, most) = self.takes;
        if arguments.len() < fewest || arguments.len() > most {
            bail!("function {} does not take {} arguments", self.name, arguments.len());
        }
        (self.apply)(arguments).context(self.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The first argument that decides, else the last.
fn first(arguments: &[Value], decides: impl Fn(&Value) -> bool) -> Value {
    arguments.iter().find(|value| decides(value)).or(arguments.last()).cloned().unwrap_or_default()
}

fn compare(arguments: &[Value]) -> Result<Ordering> {
    let ordering = match (&arguments[0], &arguments[1]) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    };
    match ordering {
        Some(ordering) => Ok(ordering),
        None => bail!("{} and {} cannot be compared", arguments[0], arguments[1]),
    }
}

fn index(arguments: &[Value]) -> Result<Value> {
    let (mut value, keys) = (&arguments[0], &arguments[1..]);
    for key in keys {
        value = match (value, key) {
            (Value::Array(items), Value::Number(number)) => {
                match number.as_u64().and_then(|at| items.get(usize::try_from(at).ok()?)) {
                    Some(item) => item,
                    None => bail!("{number} is beyond the list's {} items", items.len()),
                }
            }
            (Value::Object(map), Value::String(key)) => map.get(key).unwrap_or(&Value::Null),
            (Value::Null, _) => &Value::Null,
            (value, key) => bail!("{value} has no {key}"),
        };
    }
    Ok(value.clone())
}

fn join(arguments: &[Value]) -> Result<Value> {
    match &arguments[0] {
        Value::Array(items) => Ok(items.iter().map(printed).collect::<Vec<_>>().join(&printed(&arguments[1])).into()),
        Value::Null => Ok("".into()),
        other => bail!("{other} is not a list"),
    }
}

fn length(value: &Value) -> Result<Value> {
    match value {
        Value::Null => Ok(0.into()),
        Value::String(text) => Ok(text.len().into()),
        Value::Array(items) => Ok(items.len().into()),
        Value::Object(map) => Ok(map.len().into()),
        other => bail!("{other} has no length"),
    }
}

fn println(arguments: &[Value]) -> Result<Value> {
    Ok((arguments.iter().map(printed).collect::<Vec<_>>().join(" ") + "\n").into())
}

fn split(arguments: &[Value]) -> Result<Value> {
    let (text, between) = (printed(&arguments[0]), printed(&arguments[1]));
    Ok(text.split(between.as_str()).map(Value::from).collect::<Vec<_>>().into())
}

fn title(arguments: &[Value]) -> Result<Value> {
    let text = printed(&arguments[0]);
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    Ok((first + characters.as_str()).into())
}

fn truncate(arguments: &[Value]) -> Result<Value> {
    let Some(most) = arguments[1].as_u64().and_then(|most| usize::try_from(most).ok()) else {
        bail!("{} is no length", arguments[1]);
    };
    Ok(printed(&arguments[0]).chars().take(most).collect::<String>().into())
}
