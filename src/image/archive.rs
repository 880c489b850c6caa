//! Images and root file systems as files: what `save`, `load` and `export` read and write.

pub mod load;
pub mod lxd;
pub mod merged;
pub mod save;

/// The annotation by which docker and containerd name the images of a layout.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// What docker reads and writes at the top of its archives.
const DOCKER_MANIFEST: &str = "manifest.json";
