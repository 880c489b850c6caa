//! The languages of single options.

use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::container::config::{Publish, Restart, RestartPolicy};
use crate::image::container::spec::ALL_CAPABILITIES;
use std::net::IpAddr;
use std::path::Path;

/// `no`, `on-failure[:N]`, `always`, `unless-stopped`
pub(crate) fn restart(text: &str) -> Result<Restart> {
    let (policy, maximum) = match text.split_once(':') {
        Some((policy, maximum)) => (policy, Some(maximum)),
        None => (text, None),
    };
    let policy = match policy {
        "" | "no" => RestartPolicy::No,
        "on-failure" => RestartPolicy::OnFailure,
        "always" => RestartPolicy::Always,
        "unless-stopped" => RestartPolicy::UnlessStopped,
        _ => bail!("want no, on-failure[:N], always or unless-stopped"),
    };
    let maximum = match (policy, maximum) {
        (_, None) => 0,
        (RestartPolicy::OnFailure, Some(maximum)) => match maximum.parse() {
            Ok(maximum) => maximum,
            Err(_) => bail!("{maximum:?} is no number"),
        },
        (_, Some(_)) => bail!("only on-failure has a number"),
    };
    Ok(Restart { policy, maximum })
}

/// `1m30s`, `500ms`: nanoseconds.
pub(crate) fn duration(text: &str) -> Result<i64> {
    const UNITS: [(&str, f64); 6] = [("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];
    let wrong = || Error::new(format!("{text:?} is no duration: want 30s, 1m30s, 500ms"));
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').ok_or_else(wrong)?;
        let (number, more) = rest.split_at(digits);
        let letters = more.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(more.len());
        let (unit, more) = more.split_at(letters);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        sum += number.parse::<f64>().map_err(|_| wrong())? * factor;
        rest = more;
    }
    if text.is_empty() || sum > 9e18 {
        return Err(wrong());
    }
    Ok(sum as i64)
}

/// `512m`, `1.5g`, `64`: bytes.
pub(crate) fn bytes(text: &str) -> Result<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let shift = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => bail!("{text:?} is no size: want bytes, or a number with k, m, g or t"),
    };
    let number: f64 = number.parse().map_err(|_| Error::new(format!("{text:?} is no size")))?;
    Ok((number * (1u64 << shift) as f64) as u64)
}

pub(crate) fn label(entry: &str) -> (String, String) {
    let (key, value) = entry.split_once('=').unwrap_or((entry, ""));
    (key.to_owned(), value.to_owned())
}

pub(crate) fn key_value(option: &str, entry: &str) -> Result<(String, String)> {
    match entry.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => bail!("{option} {entry}: want NAME=VALUE"),
    }
}

/// A file of entries, one a line; empty lines and comments do not count.
pub(crate) fn lines_of(file: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(file).context("read")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

/// `NET_ADMIN`, `cap_net_admin`, `ALL`: the kernel's spelling.
pub(crate) fn capability(name: &str) -> Result<String> {
    let upper = name.to_ascii_uppercase();
    if upper == "ALL" {
        return Ok(upper);
    }
    let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    if !ALL_CAPABILITIES.contains(&full.as_str()) {
        bail!("unknown capability {name}");
    }
    Ok(full)
}

/// `c 1:3 rwm`, `b *:* r`: a rule of the OCI runtime's configuration.
pub(crate) fn device_rule(text: &str) -> Result<serde_json::Value> {
    let wrong = || Error::new(format!("{text:?}: want something like \"c 1:3 rwm\""));
    let [kind, numbers, access] = text.split_whitespace().collect::<Vec<_>>()[..] else {
        return Err(wrong());
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(wrong)?;
    let known = matches!(kind, "a" | "b" | "c") && access.bytes().all(|letter| b"rwm".contains(&letter));
    let mut rule = serde_json::json!({"allow": true, "type": kind, "access": access});
    for (key, number) in [("major", major), ("minor", minor)] {
        if number != "*" {
            rule[key] = number.parse::<u32>().map_err(|_| wrong())?.into();
        }
    }
    if known { Ok(rule) } else { Err(wrong()) }
}

/// `name:address`, `name=address`
pub(crate) fn extra_host(entry: &str) -> Result<String> {
    let Some((name, address)) = entry.split_once([':', '=']) else {
        bail!("--add-host {entry}: want NAME:ADDRESS");
    };
    let address = address.trim_start_matches('[').trim_end_matches(']');
    if name.is_empty() || (address != "host-gateway" && address.parse::<IpAddr>().is_err()) {
        bail!("--add-host {entry}: {address:?} is no address");
    }
    Ok(format!("{name}:{address}"))
}

fn protocol(text: &str) -> Result<(&str, String)> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    match protocol.to_ascii_lowercase().as_str() {
        known @ ("tcp" | "udp") => Ok((ports, known.to_owned())),
        other => bail!("protocol {other}: want tcp or udp"),
    }
}

/// `80`, `8000-8010`
fn range(text: &str) -> Result<(u16, u16)> {
    let port = |text: &str| -> Result<u16> {
        text.parse().ok().filter(|port| *port > 0).ok_or_else(|| Error::new(format!("{text:?} is no port")))
    };
    match text.split_once('-') {
        None => port(text).map(|port| (port, port)),
        Some((first, last)) => match (port(first)?, port(last)?) {
            (first, last) if first <= last => Ok((first, last)),
            _ => bail!("{text}: the range goes backwards"),
        },
    }
}

/// `80`, `80-90/udp`: each as `port/protocol`.
pub(crate) fn exposed(text: &str) -> Result<Vec<String>> {
    let (ports, protocol) = protocol(text)?;
    let (first, last) = range(ports)?;
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// `[ip:][host[-last]:]container[-last][/protocol]`
pub(crate) fn publish(text: &str) -> Result<Vec<Publish>> {
    let (ports, protocol) = protocol(text)?;
    // An IPv6 address is in brackets.
    let (ip, ports) = match ports.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some((ip, rest)) => (ip, rest),
        None => match ports.matches(':').count() {
            2 => ports.split_once(':').unwrap_or_default(),
            _ => ("", ports),
        },
    };
    if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
        bail!("{ip:?} is no address");
    }
    let (host, container) = match ports.split_once(':') {
        Some((host, container)) => (host, container),
        None => ("", ports),
    };
    let (first, last) = range(container)?;
    let count = last - first;
    let host_first = match host {
        "" => None,
        host => {
            let (host_first, host_last) = range(host)?;
            if host_last - host_first != count {
                bail!("the two ranges differ in length");
            }
            Some(host_first)
        }
    };
    let one = |offset: u16| Publish {
        host_ip: ip.to_owned(),
        host_port: host_first.map_or(0, |port| port + offset),
        container_port: first + offset,
        protocol: protocol.clone(),
    };
    Ok((0..=count).map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        let one = |text: &str| -> Vec<(String, u16, u16, String)> {
            let ports = publish(text).unwrap().into_iter();
            ports.map(|port| (port.host_ip, port.host_port, port.container_port, port.protocol)).collect()
        };
        let port = |ip: &str, host, container, protocol: &str| (ip.to_owned(), host, container, protocol.to_owned());
        assert_eq!(one("80"), [port("", 0, 80, "tcp")]);
        assert_eq!(one("8080:80"), [port("", 8080, 80, "tcp")]);
        assert_eq!(one("127.0.0.1:8080:80/udp"), [port("127.0.0.1", 8080, 80, "udp")]);
        assert_eq!(one("127.0.0.1::80"), [port("127.0.0.1", 0, 80, "tcp")]);
        assert_eq!(one("[::1]:8080:80"), [port("::1", 8080, 80, "tcp")]);
        assert_eq!(one("8080-8081:80-81"), [port("", 8080, 80, "tcp"), port("", 8081, 81, "tcp")]);
        for text in ["", "x", "0", "65536", "1-2:1-3", "2-1", "1.2.3:80:80", "80/icmp", "80:", "1:2:3:4"] {
            assert!(publish(text).is_err(), "{text}");
        }
        assert_eq!(exposed("80-81/udp").unwrap(), ["80/udp", "81/udp"]);
    }

    #[test]
    fn sizes_and_durations() {
        for (text, size) in [("64", 64), ("1k", 1024), ("1.5G", 3 << 29), ("2MiB", 2 << 20), ("10mb", 10 << 20)] {
            assert_eq!(bytes(text).unwrap(), size);
        }
        for text in ["", "x", "1x", "-1"] {
            assert!(bytes(text).is_err() && duration(text).is_err(), "{text}");
        }
        assert_eq!(duration("1m30s").unwrap(), 90_000_000_000);
        assert_eq!(duration("1.5s500ms").unwrap(), 2_000_000_000);
        assert!(duration("30").is_err());
    }

    #[test]
    fn policies_and_capabilities() {
        assert_eq!(restart("on-failure:3").unwrap(), Restart { policy: RestartPolicy::OnFailure, maximum: 3 });
        for text in ["sometimes", "always:1", "on-failure:x"] {
            assert!(restart(text).is_err(), "{text}");
        }
        assert_eq!(capability("net_admin").unwrap(), "CAP_NET_ADMIN");
        assert!(capability("nothing").is_err());
        assert_eq!(
            device_rule("c 1:* rw").unwrap(),
            serde_json::json!({"allow": true, "type": "c", "access": "rw", "major": 1})
        );
        assert!(device_rule("c 1 rw").is_err() && device_rule("x 1:3 rw").is_err() && device_rule("c 1:3 q").is_err());
        assert_eq!(extra_host("a:[::1]").unwrap(), "a:::1");
        assert!(extra_host("a:b").is_err());
    }
}
