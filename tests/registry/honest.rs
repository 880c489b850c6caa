//! A registry in memory: images written by hand, and what a test wants to be different.

use super::kit::*;
use super::server::{Answer, Request, Server};
use std::collections::BTreeMap;
use std::sync::Arc;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// One image of repository `a/b`, with the tag `1`.
#[derive(Clone, Default)]
pub struct Content {
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// By tag and by digest: media type and bytes.
    pub manifests: BTreeMap<String, (String, Vec<u8>)>,
}

impl Content {
    pub fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = sha256(bytes);
        self.blobs.insert(digest.clone(), bytes.to_vec());
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    pub fn manifest(&mut self, tag: &str, media_type: &str, document: &Value) -> Value {
        let bytes = document.to_string().into_bytes();
        let digest = sha256(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        for name in [tag.to_owned(), digest] {
            self.manifests.insert(name, (media_type.to_owned(), bytes.clone()));
        }
        descriptor
    }

    /// An image of these archives, each as a layer.
    pub fn image(&mut self, tag: &str, architecture: &str, archives: &[Vec<u8>]) -> Value {
        let diff_ids: Vec<String> = archives.iter().map(|archive| sha256(archive)).collect();
        let config = json!({"architecture": architecture, "os": "linux", "config": {"Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = self.blob(CONFIG, config.to_string().as_bytes());
        let layers: Vec<Value> = archives.iter().map(|archive| self.blob(LAYER, &gzip(archive))).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        self.manifest(tag, MANIFEST, &manifest)
    }

    pub fn simple(files: &[(&str, &[u8])]) -> Content {
        let mut content = Content::default();
        content.image("1", architecture(), &[tar(files)]);
        content
    }

    /// The honest answer.
    pub fn answer(&self, request: &Request) -> Answer {
        let path = request.target.split('?').next().unwrap_or_default();
        if path == "/v2/" {
            return Answer::new(200);
        }
        if let Some((_, tag)) = path.split_once("/manifests/")
            && let Some((media_type, bytes)) = self.manifests.get(tag)
        {
            return Answer::new(200)
                .header("Content-Type", media_type)
                .header("Docker-Content-Digest", sha256(bytes))
                .bytes(bytes.clone());
        }
        if let Some((_, digest)) = path.split_once("/blobs/")
            && let Some(bytes) = self.blobs.get(digest)
        {
            return ranged(request, bytes);
        }
        Answer::new(404).bytes(r#"{"errors":[{"code":"NAME_UNKNOWN","message":"not known"}]}"#)
    }

    /// Serves it; where `differently` answers, that is the answer.
    pub fn serve(self, differently: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Server {
        let content = Arc::new(self);
        Server::start(move |request| differently(request).unwrap_or_else(|| content.answer(request)))
    }
}

/// The whole, or from where the request wants it.
pub fn ranged(request: &Request, bytes: &[u8]) -> Answer {
    let from = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match from {
        None => Answer::new(200).bytes(bytes),
        Some(from) if from < bytes.len() => Answer::new(206)
            .header("Content-Range", format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len()))
            .bytes(&bytes[from..]),
        Some(_) => Answer::new(416),
    }
}
