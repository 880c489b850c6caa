//! `os[/architecture[/variant]]`, with the names that images use.

use crate::bail;
use crate::error::Result;
use crate::image::config::{Platform, host_architecture};

const SYSTEMS: [&str; 4] = ["linux", "windows", "freebsd", "darwin"];
/// What people write, what images say, and the variant that it implies.
const ARCHITECTURES: [(&str, &str, &str); 22] = [
    ("amd64", "amd64", ""),
    ("x86_64", "amd64", ""),
    ("x86-64", "amd64", ""),
    ("386", "386", ""),
    ("i386", "386", ""),
    ("i686", "386", ""),
    ("arm64", "arm64", ""),
    ("aarch64", "arm64", ""),
    ("arm", "arm", "v7"),
    ("armhf", "arm", "v7"),
    ("armel", "arm", "v6"),
    ("ppc64le", "ppc64le", ""),
    ("ppc64", "ppc64", ""),
    ("s390x", "s390x", ""),
    ("riscv64", "riscv64", ""),
    ("mips64le", "mips64le", ""),
    ("mips64", "mips64", ""),
    ("mipsle", "mipsle", ""),
    ("mips", "mips", ""),
    ("loong64", "loong64", ""),
    ("loongarch64", "loong64", ""),
    ("wasm", "wasm", ""),
];

pub fn host() -> Platform {
    new("linux", host_architecture(), "")
}

pub fn new(os: &str, architecture: &str, variant: &str) -> Platform {
    let variant = Some(variant.to_owned()).filter(|variant| !variant.is_empty());
    Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant, ..Platform::default() }
}

/// One word alone is a system or an architecture.
pub fn parse(text: &str) -> Result<Platform> {
    let lower = text.to_ascii_lowercase();
    let parts: Vec<&str> = lower.split('/').collect();
    let known = |name: &str| ARCHITECTURES.iter().find(|(written, ..)| *written == name);
    let (os, architecture, variant) = match parts.as_slice() {
        [os] if SYSTEMS.contains(os) => (*os, host_architecture(), ""),
        [architecture] if known(architecture).is_some() => ("linux", *architecture, ""),
        [os, architecture] => (*os, *architecture, ""),
        [os, architecture, variant] => (*os, *architecture, *variant),
        _ => bail!("platform {text:?}: want OS/ARCHITECTURE[/VARIANT], such as linux/arm64"),
    };
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if !parts.iter().all(word) {
        bail!("platform {text:?}: want OS/ARCHITECTURE[/VARIANT], such as linux/arm64");
    }
    let (architecture, implied) =
        known(architecture).map_or((architecture, ""), |(_, name, variant)| (*name, *variant));
    let variant = match (architecture, variant) {
        // The first of its kind is what the name alone means.
        ("arm64", "v8" | "8") | ("amd64", "v1") => "",
        (_, "") => implied,
        ("arm", "5" | "6" | "7" | "8") => {
            ["v5", "v6", "v7", "v8"].into_iter().find(|name| name.ends_with(variant)).unwrap_or(variant)
        }
        (_, variant) => variant,
    };
    Ok(new(os, architecture, variant))
}

pub fn format(platform: &Platform) -> String {
    let variant = platform.variant.as_ref().map(|variant| format!("/{variant}")).unwrap_or_default();
    format!("{}/{}{variant}", platform.os, platform.architecture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_named_as_images_name_them() {
        let host = host_architecture();
        for (text, want) in [
            ("linux/amd64", "linux/amd64"),
            ("Linux/x86_64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/amd64/v2", "linux/amd64/v2"),
            ("arm64", "linux/arm64"),
            ("linux", &format!("linux/{host}")),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(format(&parse(text).unwrap()), want, "{text}");
        }
        for text in ["", "/", "linux/", "/amd64", "a/b/c/d", "linux/am d64", "cp/m", "z80"] {
            assert_eq!(parse(text).is_err(), text != "cp/m", "{text:?}");
        }
    }
}
