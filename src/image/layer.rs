//! Layers: a tar archive that changes a tree (image-spec layer.md). [`apply`] lays one out as a lower directory of an
//! overlay, [`diff`] makes one from an overlay's upper directory, [`pipe`] streams one through digest and
//! decompression on a second thread.

pub mod apply;
pub mod confined;
pub mod diff;
pub mod pipe;
mod places;
pub mod tar;
pub mod whiteout;
mod write;

/// What a layer from outside may cost. Every breach is an error that names the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the uncompressed archive, and of the files when they are laid out.
    pub bytes: u64,
    pub entries: u64,
    /// Bytes of one path, and of one link's target.
    pub path: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bytes: 1 << 40, entries: 10_000_000, path: 4095 }
    }
}

#[cfg(test)]
mod kit;
