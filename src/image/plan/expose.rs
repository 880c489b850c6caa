//! The ports of EXPOSE.

use crate::bail;
use crate::error::Result;
use std::net::IpAddr;

/// A port or a range of them. The address and the host's port that `docker run -p` knows are accepted and mean nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    pub first: u16,
    pub last: u16,
    /// In lower case.
    pub protocol: String,
    /// The protocol was not written in lower case.
    pub odd_case: bool,
    /// An address or a port of the host was given.
    pub odd_format: bool,
}

impl Ports {
    /// `[[address:]host:]port[-port][/protocol]`
    pub fn parse(text: &str) -> Result<Ports> {
        let parts: Vec<&str> = text.split(':').collect();
        let (address, host, port) = match parts.as_slice() {
            [port] => (String::new(), "", *port),
            [address @ .., host, port] => (address.join(":"), *host, *port),
            [] => bail!("no port"),
        };
        let (port, written) = port.split_once('/').unwrap_or((port, ""));
        let protocol = if written.is_empty() { "tcp".to_owned() } else { written.to_ascii_lowercase() };
        if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
            bail!("port {text:?}: unknown protocol {written:?}; want tcp, udp or sctp");
        }
        let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(&address);
        if !bare.is_empty() && bare.parse::<IpAddr>().is_err() {
            bail!("port {text:?}: {bare:?} is no address");
        }
        let Some((first, last)) = range(port) else {
            bail!("port {text:?}: want a number from 0 to 65535, or a range of them");
        };
        if !host.is_empty() {
            match range(host) {
                Some((low, high)) if first == last || high - low == last - first => {}
                _ => bail!("port {text:?}: the host's ports {host:?} do not fit"),
            }
        }
        let odd_case = !written.is_empty() && written != protocol;
        let odd_format = !address.is_empty() || !host.is_empty();
        Ok(Ports { first, last, protocol, odd_case, odd_format })
    }

    /// As the image's configuration names them: `80/tcp`.
    pub fn each(&self) -> impl Iterator<Item = String> {
        (self.first..=self.last).map(|port| format!("{port}/{}", self.protocol))
    }
}

impl std::fmt::Display for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match (self.first, self.last) {
            (first, last) if first == last => write!(f, "{first}/{}", self.protocol),
            (first, last) => write!(f, "{first}-{last}/{}", self.protocol),
        }
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse::<u16>().ok() } else { None }
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_ranges() {
        for (text, want) in [
            ("80", "80/tcp"),
            ("80/udp", "80/udp"),
            ("80/", "80/tcp"),
            ("8000-8002/TCP", "8000-8002/tcp"),
            ("0", "0/tcp"),
            ("1.2.3.4:80:90", "90/tcp"),
            ("[::1]:80:90/sctp", "90/sctp"),
            ("::1:80:90", "90/tcp"),
            ("8000-8010:80", "80/tcp"),
            ("8000-8001:90-91", "90-91/tcp"),
        ] {
            assert_eq!(Ports::parse(text).unwrap().to_string(), want, "{text}");
        }
        assert_eq!(Ports::parse("7-9").unwrap().each().collect::<Vec<_>>(), ["7/tcp", "8/tcp", "9/tcp"]);
        assert!(Ports::parse("80/UDP").unwrap().odd_case);
        assert!(Ports::parse("8080:80").unwrap().odd_format);
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in
            ["", "x", "65536", "-1", "+80", "9-8", "80-", "80/icmp", "1.2.3:80:80", "80-81:90-95", "80:", "/tcp"]
        {
            assert!(Ports::parse(text).is_err(), "{text:?}");
        }
    }
}
