//! An image as LXD and Incus import it: one archive of metadata.yaml and the root file system below rootfs/.

use crate::error::{Context, Result};
use crate::image::config::ImageConfig;
use crate::image::layer::diff::{Options, pack};
use crate::image::time;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

/// The kernel's names of what images have Go's names for.
const ARCHITECTURES: [(&str, &str); 6] = [
    ("amd64", "x86_64"),
    ("arm64", "aarch64"),
    ("arm", "armv7l"),
    ("386", "i686"),
    ("ppc64le", "ppc64le"),
    ("loong64", "loongarch64"),
];

fn metadata(name: &str, config: &ImageConfig) -> String {
    let known = ARCHITECTURES.iter().find(|(go, _)| *go == config.architecture);
    let architecture = known.map_or(config.architecture.as_str(), |(_, kernel)| kernel);
    let created = config.created.as_deref().and_then(time::parse_rfc3339).unwrap_or(0);
    // JSON's strings are YAML's, too.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        "architecture: {}\ncreation_date: {created}\nproperties:\n  architecture: {}\n  description: {}\n  name: {}\n  os: {}\ntemplates: {{}}\n",
        quoted(architecture),
        quoted(&config.architecture),
        quoted(&format!("{name} ({architecture})")),
        quoted(name),
        quoted(&config.os),
    )
}

pub fn archive(name: &str, config: &ImageConfig, root: &OwnedFd, options: Options, mut out: impl Write) -> Result<()> {
    let text = metadata(name, config);
    let mut header = tar::Header::new_ustar();
    header.set_path("metadata.yaml").context("name metadata.yaml")?;
    header.set_mode(0o644);
    header.set_size(text.len() as u64);
    header.set_cksum();
    let padding = vec![0; text.len().next_multiple_of(512) - text.len()];
    let entry = [header.as_bytes(), text.as_bytes(), &padding].concat();
    out.write_all(&entry).context("write metadata.yaml")?;
    pack(root.as_fd(), c".", b"rootfs", &mut out, options)?;
    out.flush().context("write archive")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_are_what_lxd_asks_for() {
        let config = ImageConfig {
            created: Some("1970-01-01T00:01:40Z".to_owned()),
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            ..ImageConfig::default()
        };
        let text = metadata("a\"b", &config);
        assert!(text.starts_with("architecture: \"x86_64\"\ncreation_date: 100\nproperties:\n"), "{text}");
        assert!(text.contains(r#"  name: "a\"b""#), "{text}");
    }
}
