//! The words of a mount's options: one table (runtime-spec, config.md, "Linux mount options"; mount(8)).

use crate::sys::mount as sys;
use crate::sys::mount::Attributes;

/// What a word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Attributes of the mount: set, clear.
    Mount(u64, u64),
    /// The same for the mount and all below it.
    Recursive(u64, u64),
    /// Propagation, and whether of all below too.
    Propagation(u64, bool),
    /// A flag of the superblock that every filesystem understands.
    Superblock(&'static str),
    Bind {
        recursive: bool,
    },
    CopyUp,
    Idmap {
        recursive: bool,
    },
    Remount,
    /// Means nothing here: the default, or of interest to mount(8) only.
    Nothing,
}

use Word::{Mount, Propagation, Recursive, Superblock};

const ATIME: u64 = sys::MOUNT_ATTR_ATIME_FIELD;

#[rustfmt::skip]
const WORDS: &[(&str, Word)] = &[
    ("ro", Mount(sys::MOUNT_ATTR_RDONLY, 0)),           ("rw", Mount(0, sys::MOUNT_ATTR_RDONLY)),
    ("nosuid", Mount(sys::MOUNT_ATTR_NOSUID, 0)),       ("suid", Mount(0, sys::MOUNT_ATTR_NOSUID)),
    ("nodev", Mount(sys::MOUNT_ATTR_NODEV, 0)),         ("dev", Mount(0, sys::MOUNT_ATTR_NODEV)),
    ("noexec", Mount(sys::MOUNT_ATTR_NOEXEC, 0)),       ("exec", Mount(0, sys::MOUNT_ATTR_NOEXEC)),
    ("nosymfollow", Mount(sys::MOUNT_ATTR_NOSYMFOLLOW, 0)), ("symfollow", Mount(0, sys::MOUNT_ATTR_NOSYMFOLLOW)),
    ("noatime", Mount(sys::MOUNT_ATTR_NOATIME, ATIME)), ("atime", Mount(sys::MOUNT_ATTR_RELATIME, ATIME)),
    ("relatime", Mount(sys::MOUNT_ATTR_RELATIME, ATIME)), ("norelatime", Mount(sys::MOUNT_ATTR_STRICTATIME, ATIME)),
    ("strictatime", Mount(sys::MOUNT_ATTR_STRICTATIME, ATIME)), ("nostrictatime", Mount(sys::MOUNT_ATTR_RELATIME, ATIME)),
    ("nodiratime", Mount(sys::MOUNT_ATTR_NODIRATIME, 0)), ("diratime", Mount(0, sys::MOUNT_ATTR_NODIRATIME)),

    ("rro", Recursive(sys::MOUNT_ATTR_RDONLY, 0)),      ("rrw", Recursive(0, sys::MOUNT_ATTR_RDONLY)),
    ("rnosuid", Recursive(sys::MOUNT_ATTR_NOSUID, 0)),  ("rsuid", Recursive(0, sys::MOUNT_ATTR_NOSUID)),
    ("rnodev", Recursive(sys::MOUNT_ATTR_NODEV, 0)),    ("rdev", Recursive(0, sys::MOUNT_ATTR_NODEV)),
    ("rnoexec", Recursive(sys::MOUNT_ATTR_NOEXEC, 0)),  ("rexec", Recursive(0, sys::MOUNT_ATTR_NOEXEC)),
    ("rnosymfollow", Recursive(sys::MOUNT_ATTR_NOSYMFOLLOW, 0)), ("rsymfollow", Recursive(0, sys::MOUNT_ATTR_NOSYMFOLLOW)),
    ("rnoatime", Recursive(sys::MOUNT_ATTR_NOATIME, ATIME)), ("ratime", Recursive(sys::MOUNT_ATTR_RELATIME, ATIME)),
    ("rrelatime", Recursive(sys::MOUNT_ATTR_RELATIME, ATIME)), ("rnorelatime", Recursive(sys::MOUNT_ATTR_STRICTATIME, ATIME)),
    ("rstrictatime", Recursive(sys::MOUNT_ATTR_STRICTATIME, ATIME)), ("rnostrictatime", Recursive(sys::MOUNT_ATTR_RELATIME, ATIME)),
    ("rnodiratime", Recursive(sys::MOUNT_ATTR_NODIRATIME, 0)), ("rdiratime", Recursive(0, sys::MOUNT_ATTR_NODIRATIME)),

    ("shared", Propagation(sys::SHARED, false)),        ("rshared", Propagation(sys::SHARED, true)),
    ("slave", Propagation(sys::SLAVE, false)),          ("rslave", Propagation(sys::SLAVE, true)),
    ("private", Propagation(sys::PRIVATE, false)),      ("rprivate", Propagation(sys::PRIVATE, true)),
    ("unbindable", Propagation(sys::UNBINDABLE, false)), ("runbindable", Propagation(sys::UNBINDABLE, true)),

    ("sync", Superblock("sync")),                       ("async", Superblock("async")),
    ("dirsync", Superblock("dirsync")),                 ("lazytime", Superblock("lazytime")),
    ("nolazytime", Superblock("nolazytime")),           ("mand", Superblock("mand")),
    ("nomand", Superblock("nomand")),                   ("iversion", Superblock("iversion")),

    ("bind", Word::Bind { recursive: false }),          ("rbind", Word::Bind { recursive: true }),
    ("idmap", Word::Idmap { recursive: false }),        ("ridmap", Word::Idmap { recursive: true }),
    ("tmpcopyup", Word::CopyUp),                        ("remount", Word::Remount),
    ("defaults", Word::Nothing), ("silent", Word::Nothing), ("loud", Word::Nothing), ("noiversion", Word::Nothing),
    ("auto", Word::Nothing), ("noauto", Word::Nothing), ("user", Word::Nothing), ("nouser", Word::Nothing),
    ("users", Word::Nothing), ("owner", Word::Nothing), ("group", Word::Nothing), ("_netdev", Word::Nothing),
    ("nofail", Word::Nothing),
];

/// A mount's options, sorted by what they mean.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Options {
    pub attributes: Attributes,
    /// Attributes for all mounts below, too.
    pub recursive: Attributes,
    /// In the order given: "rslave, shared" is a thing.
    pub propagation: Vec<(u64, bool)>,
    pub superblock: Vec<&'static str>,
    /// None: not a bind. Some(recursive).
    pub bind: Option<bool>,
    pub idmap: Option<bool>,
    pub copy_up: bool,
    pub remount: bool,
    /// Words of the filesystem itself.
    pub data: Vec<String>,
}

impl Options {
    pub(super) fn parse(words: &[String]) -> Options {
        let mut options = Options::default();
        for word in words.iter().filter(|word| !word.is_empty()) {
            match WORDS.iter().find(|known| known.0 == word) {
                Some((_, word)) => options.add(*word),
                None => options.data.push(word.clone()),
            }
        }
        options
    }

    fn add(&mut self, word: Word) {
        match word {
            Word::Mount(set, clear) => apply(&mut self.attributes, set, clear),
            Word::Recursive(set, clear) => apply(&mut self.recursive, set, clear),
            Word::Propagation(kind, recursive) => self.propagation.push((kind, recursive)),
            Word::Superblock(flag) => self.superblock.push(flag),
            Word::Bind { recursive } => self.bind = Some(recursive || self.bind == Some(true)),
            Word::Idmap { recursive } => self.idmap = Some(recursive),
            Word::CopyUp => self.copy_up = true,
            Word::Remount => self.remount = true,
            Word::Nothing => {}
        }
    }
}

/// The last word wins: "ro,rw" is rw.
fn apply(attributes: &mut Attributes, set: u64, clear: u64) {
    attributes.set = attributes.set & !clear & !(set & !ATIME) | set;
    attributes.clear = attributes.clear & !(set & !ATIME) | clear;
}

/// Every word that `features` tells about.
pub fn known_words() -> impl Iterator<Item = &'static str> {
    WORDS.iter().map(|word| word.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Options {
        Options::parse(&words.split(',').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_last_word_wins() {
        assert_eq!(parse("ro,rw").attributes, Attributes { set: 0, clear: sys::MOUNT_ATTR_RDONLY, propagation: 0 });
        assert_eq!(parse("rw,ro").attributes, Attributes { set: sys::MOUNT_ATTR_RDONLY, clear: 0, propagation: 0 });
        let strict = parse("noatime,strictatime").attributes;
        assert_eq!(strict, Attributes { set: sys::MOUNT_ATTR_STRICTATIME, clear: ATIME, propagation: 0 });
    }

    #[test]
    fn words_of_the_filesystem_are_kept_in_order() {
        let options = parse("nosuid,mode=755,size=64k,rslave,shared,tmpcopyup");
        assert_eq!(options.data, ["mode=755", "size=64k"]);
        assert_eq!(options.propagation, [(sys::SLAVE, true), (sys::SHARED, false)]);
        assert!(options.copy_up && options.bind.is_none());
    }

    #[test]
    fn no_word_is_listed_twice() {
        let mut words: Vec<_> = known_words().collect();
        words.sort_unstable();
        assert!(words.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
