//! HEALTHCHECK.

use super::duration;
use super::flags::{Flags, Kind};
use super::instruction::CommandLine;
use super::lex::Line;
use crate::bail;
use crate::error::{Context, Result};

/// docker's daemon accepts nothing shorter, except 0 for its default.
const SHORTEST: i64 = 1_000_000;

const FLAGS: &[(&str, Kind)] = &[
    ("interval", Kind::Value),
    ("timeout", Kind::Value),
    ("start-period", Kind::Value),
    ("start-interval", Kind::Value),
    ("retries", Kind::Value),
];

#[derive(Debug, Clone, PartialEq)]
pub enum Healthcheck {
    /// The base image's check is switched off.
    None,
    Cmd {
        command: CommandLine,
        /// Nanoseconds, like the others; 0 is docker's default.
        interval: i64,
        timeout: i64,
        start_period: i64,
        start_interval: i64,
        retries: i64,
    },
}

pub(super) fn parse(line: &Line, command: impl FnOnce(&str) -> Result<CommandLine>) -> Result<Healthcheck> {
    let (kind, rest) = line.rest.split_once(char::is_whitespace).unwrap_or((&line.rest, ""));
    let rest = rest.trim_start();
    match kind.to_ascii_uppercase().as_str() {
        "" => bail!("requires at least one argument: NONE or CMD"),
        "NONE" if rest.is_empty() => return Ok(Healthcheck::None),
        "NONE" => bail!("NONE takes no arguments"),
        "CMD" => {}
        _ => bail!("unknown type {kind:?}; want CMD or NONE"),
    }
    let flags = Flags::parse(&line.flags, FLAGS)?;
    let command = command(rest)?;
    if matches!(&command, CommandLine::Exec(args) if args.is_empty())
        || matches!(&command, CommandLine::Shell(text) if text.is_empty())
    {
        bail!("no command behind CMD");
    }
    Ok(Healthcheck::Cmd {
        command,
        interval: period(&flags, "interval")?,
        timeout: period(&flags, "timeout")?,
        start_period: period(&flags, "start-period")?,
        start_interval: period(&flags, "start-interval")?,
        retries: retries(flags.value("retries").unwrap_or_default())?,
    })
}

fn period(flags: &Flags, name: &str) -> Result<i64> {
    let Some(text) = flags.value(name).filter(|text| !text.is_empty()) else {
        return Ok(0);
    };
    let nanoseconds = duration::parse(text).with(|| format!("flag --{name}"))?;
    if nanoseconds != 0 && nanoseconds < SHORTEST {
        bail!("flag --{name}: {text} is shorter than 1ms");
    }
    Ok(nanoseconds)
}

fn retries(text: &str) -> Result<i64> {
    match text.parse::<i32>() {
        _ if text.is_empty() => Ok(0),
        Ok(number) if number >= 0 => Ok(i64::from(number)),
        Ok(_) => bail!("flag --retries: {text} is negative"),
        Err(_) => bail!("flag --retries: {text:?} is no number"),
    }
}
