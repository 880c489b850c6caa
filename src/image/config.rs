//! What an image consists of besides its layers: descriptors, the manifest, the index and the image configuration
//! (image-spec descriptor.md, manifest.md, image-index.md, config.md), with what docker adds to them. Fields that are
//! not known here survive reading and writing.

use super::digest::{Digest, chain_ids};
use crate::bail;
use crate::error::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub type Annotations = BTreeMap<String, String>;
type Other = Map<String, Value>;

pub mod media_type {
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

    pub fn is_index(name: &str) -> bool {
        name == INDEX || name == DOCKER_LIST
    }

    /// Layers that a registry gives; those "nondistributable" are to be had elsewhere, from whoever their makers are.
    pub fn is_layer(name: &str) -> bool {
        const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
        [LAYER, LAYER_GZIP, LAYER_ZSTD, DOCKER_LAYER, DOCKER_LAYER_GZIP, DOCKER_LAYER_ZSTD].contains(&name)
    }

    pub fn is_manifest(name: &str) -> bool {
        name == MANIFEST || name == DOCKER_MANIFEST
    }
}

/// The annotation by which an entry of an OCI layout's index.json carries its name.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The annotation of such an entry that says in which image index the registry had it: the digest by which others know
/// the image.
pub const INDEX_DIGEST: &str = "rs.bolo.forno.index";

/// Bounds on documents that come from outside; a manifest of a real image is a few kilobytes.
pub const MANIFEST_BYTES_MAX: u64 = 4 << 20;
pub const CONFIG_BYTES_MAX: u64 = 8 << 20;

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
    #[serde(flatten)]
    pub other: Other,
}

impl Descriptor {
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Descriptor {
        let (annotations, other) = (Annotations::new(), Other::new());
        Descriptor { media_type: media_type.into(), digest, size, platform: None, annotations, other }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
pub struct Platform {
    pub architecture: String,
    pub os: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    #[serde(flatten)]
    pub other: Other,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    pub config: Descriptor,
    /// Lowest first.
    pub layers: Vec<Descriptor>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
    #[serde(flatten)]
    pub other: Other,
}

impl Manifest {
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Manifest {
        let media_type = Some(media_type::MANIFEST.to_owned());
        Manifest { schema_version: 2, media_type, config, layers, annotations: Annotations::new(), other: Other::new() }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    pub schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub manifests: Vec<Descriptor>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
    #[serde(flatten)]
    pub other: Other,
}

impl Default for Index {
    fn default() -> Index {
        Index {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            manifests: Vec::new(),
            annotations: Annotations::new(),
            other: Other::new(),
        }
    }
}

/// What a descriptor of an image can lead to.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there is one of them at a time")]
pub enum Document {
    Manifest(Manifest),
    Index(Index),
}

impl Document {
    /// Reads a manifest or an index whose descriptor (or Content-Type) said `declared`. A document that could be read
    /// as both, or says of itself that it is something else, is refused: two readers would see two images in it
    /// (CVE-2021-41190).
    pub fn parse(declared: &str, bytes: &[u8]) -> Result<Document> {
        let value: Value = serde_json::from_slice(bytes).context("parse manifest")?;
        let inside = value.get("mediaType").and_then(Value::as_str);
        if let Some(inside) = inside.filter(|inside| *inside != declared) {
            bail!("manifest says that it is {inside}, its descriptor says {declared}");
        }
        let has = |key: &str| value.get(key).is_some();
        if value.get("schemaVersion").and_then(Value::as_u64) != Some(2) {
            bail!("manifest schemaVersion is not 2; images of that age cannot be read");
        }
        if media_type::is_index(declared) && !has("layers") && !has("config") {
            return Ok(Document::Index(serde_json::from_value(value).context("parse image index")?));
        }
        if media_type::is_manifest(declared) && !has("manifests") {
            return Ok(Document::Manifest(serde_json::from_value(value).context("parse image manifest")?));
        }
        bail!("{declared}: neither an image manifest nor an image index, or both at once")
    }
}

/// The image configuration; its digest is the image's id.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
pub struct ImageConfig {
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(default)]
    pub architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    #[serde(default)]
    pub os: String,
    #[serde(default, deserialize_with = "or_default")]
    pub config: Config,
    pub rootfs: RootFs,
    #[serde(default, deserialize_with = "or_default")]
    pub history: Vec<History>,
    #[serde(flatten)]
    pub other: Other,
}

impl ImageConfig {
    /// An image without layers for this machine.
    pub fn new() -> ImageConfig {
        ImageConfig { architecture: host_architecture().to_owned(), os: "linux".to_owned(), ..ImageConfig::default() }
    }

    pub fn parse(bytes: &[u8]) -> Result<ImageConfig> {
        let config: ImageConfig = serde_json::from_slice(bytes).context("parse image configuration")?;
        if config.rootfs.kind != "layers" {
            bail!("image configuration: rootfs.type is {:?}, want \"layers\"", config.rootfs.kind);
        }
        Ok(config)
    }

    /// The chain id of each layer, lowest first.
    pub fn chain_ids(&self) -> Vec<Digest> {
        chain_ids(&self.rootfs.diff_ids)
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).context("write image configuration")
    }
}

/// What a container of the image runs with. `None` and an empty list differ for `entrypoint` and `cmd`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Config {
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `80/tcp` to an empty object, the way Go wrote a set.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Empty>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Empty>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    #[serde(flatten)]
    pub other: Other,
}

impl Config {
    /// The value of an environment variable.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
    }

    /// Sets an environment variable, in the place that it had.
    pub fn set_env(&mut self, name: &str, value: &str) {
        let is_it = |entry: &&mut String| entry.split('=').next() == Some(name);
        let entry = format!("{name}={value}");
        match self.env.iter_mut().find(is_it) {
            Some(old) => *old = entry,
            None => self.env.push(entry),
        }
    }
}

/// Go's `struct{}`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
pub struct Empty {}

/// docker's extension; the durations are nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `NONE`, or `CMD` and arguments, or `CMD-SHELL` and one string.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
    #[serde(flatten)]
    pub other: Other,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct RootFs {
    /// Always `layers`; anything else must fail (config.md).
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(deserialize_with = "or_default")]
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> RootFs {
        RootFs { kind: "layers".to_owned(), diff_ids: Vec::new() }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct History {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The step changed the configuration only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
    #[serde(flatten)]
    pub other: Other,
}

/// The name that images use for this machine's processor (Go's GOARCH).
pub fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

/// Go writes `null` for an empty list or map.
fn or_default<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests;
