//! `forno save`, `forno load` and `forno export`: images and containers as files.

use super::limits::LimitArgs;
use super::{Forno, Verb};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::archive::{load, lxd, merged::merged, save};
use crate::image::layer::diff;
use crate::image::reference::Reference;
use crate::image::store::Store;
use crate::image::time;
use clap::{Args, ValueEnum};
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// An archive that docker loads, which is an OCI layout as well
    #[value(alias = "docker")]
    DockerArchive,
    /// An OCI layout in an archive
    #[value(alias = "oci")]
    OciArchive,
    /// An OCI layout in a directory; images are added to what is in it
    OciDir,
    /// An archive that LXD and Incus import
    #[value(alias = "incus")]
    Lxd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Outer {
    Gzip,
    Zstd,
    None,
}

#[derive(Debug, Args)]
pub(super) struct Save {
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// The file, or the directory [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Format::DockerArchive)]
    format: Format,
    /// Compress the archive as a whole
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Outer::None)]
    compress: Outer,
}

impl Verb for Save {
    const NAME: &'static str = "save";
    const ABOUT: &'static str = "Write images to an archive or a directory";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let lease = store.lease()?;
        if self.format == Format::Lxd {
            return self.lxd(&store);
        }
        let mut images: Vec<save::Saved> = Vec::new();
        for text in &self.images {
            let image = store.find(text)?;
            // By its id, an image goes out without a name.
            let names = text.parse().ok().filter(|name: &Reference| image.names.contains(name) && name.tag().is_some());
            match images.iter_mut().find(|known| known.image.descriptor.digest == image.descriptor.digest) {
                Some(known) => known.names.extend(names),
                None => images.push(save::Saved { image, names: names.into_iter().collect() }),
            }
        }
        match (self.format, &self.output) {
            (Format::OciDir, None) => bail!("--format oci-dir: say which directory with --output"),
            (Format::OciDir, Some(directory)) => save::directory(&store, &lease, &images, directory)?,
            (format, output) => write(output.as_deref(), self.compress, |out| {
                save::archive(&store, &lease, &images, format == Format::DockerArchive, out)
            })?,
        }
        Ok(0)
    }
}

impl Save {
    fn lxd(&self, store: &Store) -> Result<u8> {
        let [text] = self.images.as_slice() else { bail!("--format lxd: one image at a time") };
        let lease = store.lease()?;
        let image = store.find(text)?;
        let chain = store.unpack(&lease, &image, crate::image::layer::Limits::default())?;
        let layers = chain.iter().rev().map(|chain_id| store.layer_root(chain_id)).collect();
        let options = diff::Options { marks: store.marks(), epoch: time::source_date_epoch()? };
        write(self.output.as_deref(), self.compress, |out| {
            merged(store, layers, store.marks(), |root| {
                lxd::archive(&image.shown(), &image.config, &root, options, out)
            })
        })?;
        Ok(0)
    }
}

/// Writes a file under a name that it has only when it is whole, or standard output.
fn write(path: Option<&Path>, compress: Outer, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let (mut file, new) = match path {
        None if std::io::stdout().is_terminal() => {
            bail!("no archive is written to a terminal; say where with --output")
        }
        None => (File::from(std::io::stdout().as_fd().try_clone_to_owned().context("open standard output")?), None),
        Some(path) => {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{}.new", std::process::id()));
            let new = PathBuf::from(name);
            (File::create(&new).with(|| format!("create {}", new.display()))?, Some((new, path)))
        }
    };
    let filled = filled(&mut file, compress, fill);
    match (filled, new) {
        (Ok(()), Some((new, path))) => std::fs::rename(&new, path).with(|| format!("name {}", path.display())),
        (Err(error), Some((new, _))) => {
            // The failure is what there is to tell.
            let _ = std::fs::remove_file(new);
            Err(error)
        }
        (filled, None) => filled,
    }
}

fn filled(file: &mut File, compress: Outer, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut out = std::io::BufWriter::with_capacity(1 << 18, file);
    match compress {
        Outer::None => fill(&mut out)?,
        Outer::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(&mut out, flate2::Compression::default());
            fill(&mut encoder)?;
            encoder.finish().context("compress archive")?;
        }
        Outer::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(&mut out, 0).context("compress archive")?;
            fill(&mut encoder)?;
            encoder.finish().context("compress archive")?;
        }
    }
    out.flush().context("write archive")
}

#[derive(Debug, Args)]
pub(super) struct Load {
    /// The archive, or a directory that is an OCI layout [default: standard input]
    #[arg(short, long, value_name = "FILE|DIR")]
    input: Option<PathBuf>,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    limits: LimitArgs,
}

impl Verb for Load {
    const NAME: &'static str = "load";
    const ABOUT: &'static str = "Read images from an archive or a directory";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let lease = store.lease()?;
        let images = match &self.input {
            None if std::io::stdin().is_terminal() => {
                bail!("no archive is read from a terminal; give one with --input")
            }
            None => load::archive(&store, &lease, std::io::stdin(), self.limits.into()).context("load"),
            Some(path) if path.is_dir() => load::directory(&store, &lease, path),
            Some(path) => File::open(path)
                .context("open")
                .and_then(|file| load::archive(&store, &lease, file, self.limits.into()))
                .with(|| format!("load {}", path.display())),
        };
        drop(lease);
        // What else was in the archive.
        store.sweep()?;
        let mut said = String::new();
        for image in images? {
            match image.names.as_slice() {
                [] => said.push_str(&format!("Loaded image ID: {}\n", image.id())),
                names => said.extend(names.iter().map(|name| format!("Loaded image: {}\n", name.familiar()))),
            }
        }
        if !self.quiet {
            forno.print(&said)?;
        }
        Ok(0)
    }
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// A name or an id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// The file [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Verb for Export {
    const NAME: &'static str = "export";
    const ABOUT: &'static str = "Write a container's file system to an archive";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let config = store.container(&self.container)?.config()?;
        let snapshot = store.snapshot(&config.snapshot)?;
        let mut layers = vec![snapshot.upper()];
        layers.extend(snapshot.layers().iter().rev().map(|chain_id| store.layer_root(chain_id)));
        let options = diff::Options { marks: store.marks(), epoch: time::source_date_epoch()? };
        write(self.output.as_deref(), Outer::None, |out| {
            merged(&store, layers, store.marks(), |root| diff::diff(root.as_fd(), out, options).map(drop))
        })?;
        Ok(0)
    }
}
