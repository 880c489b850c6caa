//! Names and ids of containers. A name is a symbolic link in `containers/.names` to the id of who has it; it counts as
//! long as the container is there, and changes hands under one lock.

use super::Container;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::store::{Lock, Store};
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

const NAMES: &str = ".names";
const ID_LEN: usize = 64;

/// docker's words for what a container does not understand.
pub const LEFT: [&str; 64] = [
    "amber", "ample", "baked", "balmy", "bold", "brave", "breezy", "brisk", "buttery", "calm", "candid", "cheery",
    "chewy", "civil", "clever", "cosy", "creamy", "crisp", "crusty", "dapper", "deft", "eager", "earnest", "fair",
    "fluffy", "fond", "fresh", "frosted", "gentle", "glad", "glazed", "golden", "grand", "happy", "hearty", "honest",
    "humble", "jolly", "keen", "kind", "lively", "loyal", "lucid", "mellow", "merry", "mild", "minty", "neat",
    "nimble", "noble", "nutty", "patient", "plucky", "proud", "quiet", "ready", "serene", "smooth", "spry", "steady",
    "sunny", "tender", "toasty", "warm",
];
pub const RIGHT: [&str; 64] = [
    "almond",
    "apple",
    "bagel",
    "baguette",
    "banana",
    "biscuit",
    "brioche",
    "brownie",
    "bun",
    "butter",
    "caramel",
    "carrot",
    "cashew",
    "cherry",
    "cinnamon",
    "clove",
    "cocoa",
    "coconut",
    "cookie",
    "cracker",
    "crepe",
    "croissant",
    "crumble",
    "cupcake",
    "custard",
    "danish",
    "donut",
    "eclair",
    "fig",
    "flan",
    "focaccia",
    "ginger",
    "hazelnut",
    "honey",
    "lemon",
    "loaf",
    "macaron",
    "maple",
    "muffin",
    "nougat",
    "nutmeg",
    "oat",
    "orange",
    "pancake",
    "peach",
    "pecan",
    "pie",
    "plum",
    "praline",
    "pretzel",
    "pudding",
    "raisin",
    "rye",
    "scone",
    "sesame",
    "sorbet",
    "strudel",
    "tart",
    "toffee",
    "torte",
    "vanilla",
    "waffle",
    "walnut",
    "wheat",
];

/// 64 hexadecimal digits, at random.
pub fn new_id() -> Result<String> {
    let mut bytes = [0u8; ID_LEN / 2];
    random(&mut bytes)?;
    let id: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // Where an id is asked for by its beginning, one of digits alone would look like a number.
    if id.bytes().take(12).all(|byte| byte.is_ascii_digit()) { new_id() } else { Ok(id) }
}

pub fn random(bytes: &mut [u8]) -> Result<()> {
    std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(bytes)).context("read /dev/urandom")
}

pub fn is_id(text: &str) -> bool {
    text.len() == ID_LEN && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// docker's rule, which also makes every name a file name.
pub fn check(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let sound = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.len() > 1
        && name.len() <= 200
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if !sound {
        bail!(
            "Invalid name ({name}): want a letter or a digit, then letters, digits, or any of _ . - (2 to 200 characters)"
        );
    }
    Ok(())
}

/// While this is held, no other process gives or takes names.
pub struct Naming<'a> {
    store: &'a Store,
    directory: PathBuf,
    _lock: Lock,
}

impl Store {
    pub fn naming(&self) -> Result<Naming<'_>> {
        let directory = self.containers().join(NAMES);
        std::fs::create_dir_all(&directory).with(|| format!("create {}", directory.display()))?;
        Ok(Naming { store: self, directory, _lock: self.lock("container-names")? })
    }

    /// The container that has the name.
    fn named(&self, name: &str) -> Option<Container> {
        check(name).ok()?;
        let id = std::fs::read_link(self.containers().join(NAMES).join(name)).ok()?;
        let container = Container::by_id(self, id.to_str().filter(|id| is_id(id))?);
        // The link may be left of one that was renamed or removed, and whose process was killed then.
        let has_it = container.config().is_ok_and(|config| config.name == name);
        has_it.then_some(container)
    }

    /// The container that `text` names: an id, a name, or the beginning of an id; docker tries in this order.
    pub fn container(&self, text: &str) -> Result<Container> {
        let text = text.strip_prefix('/').unwrap_or(text);
        if is_id(text) && Container::by_id(self, text).exists() {
            return Ok(Container::by_id(self, text));
        }
        if let Some(container) = self.named(text) {
            return Ok(container);
        }
        let hexadecimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hexadecimal {
            let all = self.container_directories()?;
            let mut found = all.into_iter().filter(|container| container.id().starts_with(text) && container.exists());
            match (found.next(), found.next()) {
                (Some(container), None) => return Ok(container),
                (Some(_), Some(_)) => bail!("container id {text} is the beginning of several; give more of it"),
                (None, _) => {}
            }
        }
        Err(Error::new(format!("No such container: {text}")))
    }
}

impl Naming<'_> {
    /// The name, if nobody has it; without one, a free one.
    pub fn choose(&self, wanted: Option<&str>) -> Result<String> {
        let Some(name) = wanted else {
            return self.generate();
        };
        check(name)?;
        if let Some(holder) = self.store.named(name) {
            bail!(
                "the name {name:?} is in use by container {}; remove or rename that one to use the name again",
                holder.short_id()
            );
        }
        Ok(name.to_owned())
    }

    fn generate(&self) -> Result<String> {
        for attempt in 0u32.. {
            let mut bytes = [0u8; 3];
            random(&mut bytes)?;
            let word = |words: &[&'static str; 64], byte: u8| words[usize::from(byte) % words.len()];
            let mut name = format!("{}_{}", word(&LEFT, bytes[0]), word(&RIGHT, bytes[1]));
            if attempt > 2 {
                name += &bytes[2].to_string();
            }
            if self.store.named(&name).is_none() {
                return Ok(name);
            }
        }
        bail!("no free name")
    }

    /// Makes the name lead to the container. Its config.json must say so too for it to count.
    pub fn give(&self, name: &str, id: &str) -> Result<()> {
        let link = self.directory.join(name);
        self.take(name)?;
        std::os::unix::fs::symlink(id, &link).with(|| format!("create {}", link.display()))
    }

    pub fn take(&self, name: &str) -> Result<()> {
        match std::fs::remove_file(self.directory.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with(|| format!("remove name {name}")),
            _ => Ok(()),
        }
    }

    /// Removes a name that led to this container, unless another has got it since.
    pub fn take_from(&self, name: &str, id: &str) -> Result<()> {
        match std::fs::read_link(self.directory.join(name)) {
            Ok(target) if target.as_os_str() == id => self.take(name),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_and_names_are_file_names() {
        let id = new_id().unwrap();
        assert!(is_id(&id) && id != new_id().unwrap());
        for name in ["web", "a1", "A_b.c-9"] {
            check(name).unwrap();
        }
        for name in ["", "a", ".names", "-x", "a/b", "a b", "é1", &"x".repeat(201)] {
            assert!(check(name).is_err(), "{name}");
        }
    }

    #[test]
    fn every_word_makes_a_name() {
        for word in LEFT.iter().chain(&RIGHT) {
            check(word).unwrap();
        }
    }
}
