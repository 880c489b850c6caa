//! Where the result of a build goes (`--output`): into the store, or to files.

use super::cache::Layer;
use super::copy::Copier;
use super::trees::Trees;
use crate::bail;
use crate::error::{Context, Result};
use crate::image::config::{Annotations, Descriptor, Index, REF_NAME, media_type};
use crate::image::dockerignore::Ignore;
use crate::image::layer::diff;
use crate::image::reference::Reference;
use crate::image::registry::progress::Progress as Transfers;
use crate::image::registry::{self, Compressor, Options};
use crate::image::store::{Hashed, Image, Lease, Store};
use crate::sys::root::Root;
use serde_json::json;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// In the store.
    Image,
    /// In the registries that its names are of; and in the store, where `kept`.
    Registry { compressor: Compressor, kept: bool },
    /// The files, in a directory.
    Local(PathBuf),
    /// The files, in an archive.
    Tar(Target),
    /// An OCI layout, in an archive; with what `docker load` wants, where that is asked for.
    Archive { target: Target, docker: bool },
    /// An OCI layout, in a directory.
    Layout(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Stdout,
    File(PathBuf),
}

impl Target {
    fn of(text: &str) -> Target {
        if text == "-" { Target::Stdout } else { Target::File(PathBuf::from(text)) }
    }

    fn open(&self) -> Result<Box<dyn Write>> {
        Ok(match self {
            Target::Stdout => Box::new(BufWriter::with_capacity(256 << 10, io::stdout())),
            Target::File(path) => {
                let file = File::create(path).with(|| format!("create {}", path.display()))?;
                Box::new(BufWriter::with_capacity(256 << 10, file))
            }
        })
    }
}

impl Output {
    /// `type=TYPE[,dest=PATH][,name=NAME]`, or a path alone; with the names that it gives.
    pub fn parse(text: &str) -> Result<(Output, Vec<String>)> {
        if !text.contains('=') {
            let output = if text == "-" { Output::Tar(Target::Stdout) } else { Output::Local(PathBuf::from(text)) };
            return Ok((output, Vec::new()));
        }
        let (mut kind, mut dest, mut names, mut tar) = ("", None, Vec::new(), true);
        let (mut push, mut compressor) = (false, Compressor::Gzip);
        let mut name_goes_on = false;
        for field in text.split(',') {
            let (key, value) = match field.split_once('=') {
                Some(pair) => pair,
                // "name=a,b"
                None if name_goes_on => ("name", field),
                None => bail!("{field:?}: want KEY=VALUE"),
            };
            name_goes_on = key == "name";
            match key {
                "type" => kind = value,
                "dest" => dest = Some(value),
                "name" => names.push(value.trim_matches('"').to_owned()),
                "tar" => tar = !matches!(value, "false" | "0"),
                "push" => push = !matches!(value, "false" | "0"),
                // Layers are plain in the store, and compressed when they travel.
                "compression" => {
                    compressor = match value {
                        "gzip" => Compressor::Gzip,
                        "zstd" => Compressor::Zstd,
                        "uncompressed" => Compressor::None,
                        _ => bail!("compression {value:?}: want gzip, zstd or uncompressed"),
                    }
                }
                "oci-mediatypes" | "compression-level" | "force-compression" | "unpack" | "store" => {}
                _ => bail!("unknown key {key:?}; want type, dest, name, push, compression or tar"),
            }
        }
        let stdout_is_no_terminal = !io::IsTerminal::is_terminal(&io::stdout());
        let target = || match dest {
            Some(dest) => Ok(Target::of(dest)),
            None if stdout_is_no_terminal => Ok(Target::Stdout),
            None => bail!("dest is missing: an archive is nothing for a terminal"),
        };
        let directory = || match dest {
            Some(dest) if dest != "-" => Ok(PathBuf::from(dest)),
            _ => bail!("type={kind}: dest is missing, a directory"),
        };
        let output = match kind {
            "registry" => Output::Registry { compressor, kept: false },
            "image" if push => Output::Registry { compressor, kept: true },
            "image" => Output::Image,
            "local" => Output::Local(directory()?),
            "tar" => Output::Tar(target()?),
            "oci" if !tar => Output::Layout(directory()?),
            "docker" if dest.is_none() => Output::Image,
            "oci" => Output::Archive { target: target()?, docker: false },
            "docker" => Output::Archive { target: target()?, docker: true },
            "" => bail!("type is missing"),
            _ => bail!("type {kind:?}: want image, registry, local, tar, oci or docker"),
        };
        Ok((output, names))
    }

    /// Whether the store keeps the image.
    pub fn keeps(&self) -> bool {
        matches!(self, Output::Image | Output::Registry { kept: true, .. })
    }

    pub fn write(
        &self,
        (store, lease): (&Store, &Lease),
        trees: &Trees,
        image: &Image,
        names: &[Reference],
        epoch: Option<i64>,
    ) -> Result<()> {
        match self {
            Output::Image => Ok(()),
            Output::Registry { compressor, .. } => names.iter().try_for_each(|name| {
                registry::push(store, lease, image, name, *compressor, &Options::default(), &Transfers::Quiet).map(drop)
            }),
            Output::Local(path) => local(trees, image, path).with(|| format!("output {}", path.display())),
            Output::Tar(target) => {
                let mounted = trees.of_layers(&layers(image), "the result")?;
                let mut out = target.open()?;
                diff::diff(mounted.tree.root.fd(), &mut out, diff::Options { marks: store.marks(), epoch })?;
                out.flush().context("write archive")
            }
            Output::Archive { target, docker } => {
                let mut archive = Archive { out: tar::Builder::new(target.open()?) };
                layout(store, image, names, &mut archive)?;
                if *docker {
                    archive.file("manifest.json", &docker_manifest(image, names))?;
                }
                archive.out.into_inner().and_then(|mut out| out.flush()).context("write archive")
            }
            Output::Layout(path) => {
                let written = layout(store, image, names, &mut Directory { path });
                written.with(|| format!("output {}", path.display()))
            }
        }
    }
}

/// One layer of what all of them show together.
pub fn squash(store: &Store, lease: &Lease, trees: &Trees, layers: &[Layer], epoch: Option<i64>) -> Result<Layer> {
    let mounted = trees.of_layers(layers, "the result")?;
    let mut out = Hashed::new(BufWriter::with_capacity(256 << 10, store.new_blob(lease)?));
    diff::diff(mounted.tree.root.fd(), &mut out, diff::Options { marks: store.marks(), epoch }).context("squash")?;
    let (blob, digest, size) = out.finish();
    let blob = blob.into_inner().map_err(|error| error.into_error()).context("write layer")?;
    blob.commit(&digest, size)?;
    Ok(Layer { descriptor: Descriptor::new(media_type::LAYER, digest.clone(), size), diff_id: digest })
}

pub fn layers(image: &Image) -> Vec<Layer> {
    let pairs = image.manifest.layers.iter().zip(&image.config.rootfs.diff_ids);
    pairs.map(|(descriptor, diff_id)| Layer { descriptor: descriptor.clone(), diff_id: diff_id.clone() }).collect()
}

fn local(trees: &Trees, image: &Image, path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).context("create")?;
    let root = Root::open(path).context("open")?;
    let mounted = trees.of_layers(&layers(image), "the result")?;
    let mut copier = Copier::new(&root, None, None);
    copier.copy(&mounted.tree, Path::new(""), "/", &Ignore::default())?;
    copier.finish()
}

/// What an OCI layout is written to.
trait Files {
    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()>;
    fn blob(&mut self, name: &str, size: u64, source: File) -> Result<()>;
}

struct Archive<W: Write> {
    out: tar::Builder<W>,
}

impl<W: Write> Archive<W> {
    fn entry(&mut self, name: &str, size: u64, source: impl Read) -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_mode(0o644);
        self.out.append_data(&mut header, name, source).with(|| format!("write {name}"))
    }
}

impl<W: Write> Files for Archive<W> {
    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.entry(name, bytes.len() as u64, bytes)
    }

    fn blob(&mut self, name: &str, size: u64, source: File) -> Result<()> {
        self.entry(name, size, source)
    }
}

struct Directory<'a> {
    path: &'a Path,
}

impl Files for Directory<'_> {
    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(self.path)).with(|| format!("create {name}"))?;
        std::fs::write(&path, bytes).with(|| format!("write {name}"))
    }

    fn blob(&mut self, name: &str, _: u64, mut source: File) -> Result<()> {
        let path = self.path.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(self.path)).with(|| format!("create {name}"))?;
        let mut file = File::create(&path).with(|| format!("create {name}"))?;
        io::copy(&mut source, &mut file).with(|| format!("write {name}")).map(drop)
    }
}

/// image-spec image-layout.md.
fn layout(store: &Store, image: &Image, names: &[Reference], files: &mut dyn Files) -> Result<()> {
    files.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let mut index = Index::default();
    let entry = |name: Option<&Reference>| {
        let mut entry = image.descriptor.clone();
        // Others look for the tag here, and for the whole name where containerd has it.
        let annotations = name.map(|name| {
            let whole = ("io.containerd.image.name".to_owned(), name.to_string());
            Annotations::from([whole, (REF_NAME.to_owned(), name.tag().unwrap_or("latest").to_owned())])
        });
        entry.annotations = annotations.unwrap_or_default();
        entry
    };
    index.manifests.extend(names.iter().map(|name| entry(Some(name))));
    if names.is_empty() {
        index.manifests.push(entry(None));
    }
    files.file("index.json", &serde_json::to_vec(&index).context("write index")?)?;
    let mut done = std::collections::BTreeSet::new();
    for blob in image.manifest.layers.iter().chain([&image.manifest.config, &image.descriptor]) {
        if done.insert(&blob.digest) {
            files.blob(&blob_name(&blob.digest), blob.size, store.open_blob(&blob.digest)?)?;
        }
    }
    Ok(())
}

fn blob_name(digest: &crate::image::digest::Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn docker_manifest(image: &Image, names: &[Reference]) -> Vec<u8> {
    let layers: Vec<String> = image.manifest.layers.iter().map(|layer| blob_name(&layer.digest)).collect();
    let names: Vec<String> = names.iter().map(Reference::familiar).collect();
    json!([{"Config": blob_name(image.id()), "RepoTags": names, "Layers": layers}]).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs() {
        let parse = |text: &str| Output::parse(text).unwrap().0;
        assert_eq!(parse("out"), Output::Local("out".into()));
        assert_eq!(parse("-"), Output::Tar(Target::Stdout));
        assert_eq!(parse("type=local,dest=d"), Output::Local("d".into()));
        assert_eq!(parse("type=tar,dest=f"), Output::Tar(Target::File("f".into())));
        assert_eq!(parse("type=oci,dest=d,tar=false"), Output::Layout("d".into()));
        assert_eq!(parse("type=docker"), Output::Image);
        let archive = Output::Archive { target: Target::File("f".into()), docker: true };
        assert_eq!(parse("type=docker,dest=f"), archive);
        assert_eq!(Output::parse("type=image,name=a,b:c").unwrap().1, ["a", "b:c"]);
        let pushed = |compressor, kept| Output::Registry { compressor, kept };
        assert_eq!(parse("type=image,push=true"), pushed(Compressor::Gzip, true));
        assert_eq!(parse("type=registry,compression=zstd"), pushed(Compressor::Zstd, false));
        for text in ["type=local", "type=x,dest=y", "dest=y", "type=registry,compression=x", "type=tar,x=y"] {
            assert!(Output::parse(text).is_err(), "{text}");
        }
    }
}
