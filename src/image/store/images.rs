//! Images as the verbs see them.

use super::index::name_of;
use super::{Lease, Store};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::config::{CONFIG_BYTES_MAX, Descriptor, Document, ImageConfig, MANIFEST_BYTES_MAX, Manifest};
use crate::image::config::{INDEX_DIGEST, host_architecture, media_type};
use crate::image::digest::Digest;
use crate::image::reference::Reference;

#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub names: Vec<Reference>,
    /// Of the manifest.
    pub descriptor: Descriptor,
    pub manifest: Manifest,
    pub config: ImageConfig,
}

impl Image {
    /// The digest of the configuration.
    pub fn id(&self) -> &Digest {
        &self.manifest.config.digest
    }

    /// What the registry has it under: the manifest, or the index that it was in.
    pub fn source(&self) -> Digest {
        let index = self.descriptor.annotations.get(INDEX_DIGEST).and_then(|digest| digest.parse().ok());
        index.unwrap_or_else(|| self.descriptor.digest.clone())
    }

    /// A name if it has one, else its short id.
    pub fn shown(&self) -> String {
        self.names.first().map_or_else(|| self.id().short().to_owned(), Reference::familiar)
    }
}

impl Store {
    /// The entries of the index with all their names, the newest first.
    fn entries(&self) -> Result<Vec<(Descriptor, Vec<Reference>)>> {
        let mut entries: Vec<(Descriptor, Vec<Reference>)> = Vec::new();
        for entry in self.index()?.manifests.into_iter().rev() {
            let name = name_of(&entry);
            match entries.iter_mut().find(|(known, _)| known.digest == entry.digest) {
                Some((_, names)) => names.extend(name),
                None => entries.push((entry, name.into_iter().collect())),
            }
        }
        Ok(entries)
    }

    /// All names of the image with this manifest.
    pub fn names_of(&self, manifest: &Digest) -> Result<Vec<Reference>> {
        let entry = self.entries()?.into_iter().find(|(entry, _)| entry.digest == *manifest);
        Ok(entry.map(|(_, names)| names).unwrap_or_default())
    }

    /// Every image, the newest entry first, and why others cannot be read.
    pub fn images(&self) -> Result<(Vec<Image>, Vec<Error>)> {
        let (mut images, mut broken) = (Vec::new(), Vec::new());
        for (descriptor, names) in self.entries()? {
            match self.image(&descriptor, names) {
                Ok(image) => images.push(image),
                // One that somebody removed meanwhile is not missing.
                Err(error) if self.entries()?.iter().any(|(entry, _)| entry.digest == descriptor.digest) => {
                    broken.push(error);
                }
                Err(_) => {}
            }
        }
        Ok((images, broken))
    }

    /// The image that `text` names: a name, a name with a digest, an id, or the beginning of one.
    pub fn find(&self, text: &str) -> Result<Image> {
        if let Ok(name) = text.parse::<Reference>()
            && let Some((descriptor, names)) = self.entry_named(&name)?
        {
            return self.image(&descriptor, names);
        }
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let mut found = self.images()?.0.into_iter().filter(|image| image.id().hex().starts_with(hex));
            match (found.next(), found.next()) {
                (Some(image), None) => return Ok(image),
                (Some(_), Some(_)) => bail!("image id {text} is the beginning of several; give more of it"),
                (None, _) => {}
            }
        }
        bail!("No such image: {text}")
    }

    /// The same where `name` is known to be a name.
    pub fn find_named(&self, name: &Reference) -> Result<Image> {
        match self.entry_named(name)? {
            Some((descriptor, names)) => self.image(&descriptor, names),
            None => bail!("No such image: {}", name.familiar()),
        }
    }

    fn entry_named(&self, name: &Reference) -> Result<Option<(Descriptor, Vec<Reference>)>> {
        let same_place = |other: &Reference| (other.domain(), other.path()) == (name.domain(), name.path());
        let has_digest = |descriptor: &Descriptor, digest: &Digest| {
            let index = descriptor.annotations.get(INDEX_DIGEST);
            descriptor.digest == *digest || index.is_some_and(|index| index == digest.as_str())
        };
        let has_name = |(descriptor, names): &(Descriptor, Vec<Reference>)| match name.digest() {
            None => names.contains(name),
            Some(digest) => has_digest(descriptor, digest) && names.iter().any(same_place),
        };
        Ok(self.entries()?.into_iter().find(has_name))
    }

    /// Reads the image that a descriptor leads to; of an index, the one for this machine.
    pub fn image(&self, descriptor: &Descriptor, names: Vec<Reference>) -> Result<Image> {
        let read = || -> Result<Image> {
            let (descriptor, manifest) = self.manifest(descriptor)?;
            let config = ImageConfig::parse(&self.read_blob(&manifest.config, CONFIG_BYTES_MAX)?)?;
            if config.rootfs.diff_ids.len() != manifest.layers.len() {
                bail!("configuration has {} layers, manifest {}", config.rootfs.diff_ids.len(), manifest.layers.len());
            }
            Ok(Image { names, descriptor, manifest, config })
        };
        read().with(|| format!("image {}", descriptor.digest))
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<(Descriptor, Manifest)> {
        let document = Document::parse(&descriptor.media_type, &self.read_blob(descriptor, MANIFEST_BYTES_MAX)?)?;
        let index = match document {
            Document::Manifest(manifest) => return Ok((descriptor.clone(), manifest)),
            Document::Index(index) => index,
        };
        let here = |entry: &&Descriptor| {
            media_type::is_manifest(&entry.media_type)
                && entry.platform.as_ref().is_none_or(|p| p.os == "linux" && p.architecture == host_architecture())
        };
        let Some(entry) = index.manifests.iter().find(here) else {
            bail!("no image for linux/{} in the index", host_architecture());
        };
        match Document::parse(&entry.media_type, &self.read_blob(entry, MANIFEST_BYTES_MAX)?)? {
            Document::Manifest(manifest) => Ok((entry.clone(), manifest)),
            Document::Index(_) => bail!("index in an index"),
        }
    }

    /// Keeps an image's configuration and manifest, and enters it under a name. Its layers' blobs are here, and held.
    pub fn put_image(
        &self,
        lease: &Lease,
        config: &ImageConfig,
        layers: Vec<Descriptor>,
        name: Option<&Reference>,
    ) -> Result<Image> {
        let config_blob = self.put_blob(lease, media_type::CONFIG, &config.to_bytes()?)?;
        let manifest = Manifest::new(config_blob, layers);
        let bytes = serde_json::to_vec(&manifest).context("write manifest")?;
        let descriptor = self.put_blob(lease, media_type::MANIFEST, &bytes)?;
        self.enter(lease, &descriptor, name)?;
        Ok(Image { names: name.cloned().into_iter().collect(), descriptor, manifest, config: config.clone() })
    }

    /// Holds all that an image consists of.
    pub fn hold_image(&self, lease: &Lease, image: &Image) -> Result<()> {
        let blobs = image.manifest.layers.iter().map(|layer| &layer.digest);
        for digest in blobs.chain([&image.descriptor.digest, image.id()]).chain(&image.config.chain_ids()) {
            lease.hold(digest)?;
        }
        Ok(())
    }
}
