use super::*;
use crate::image::config::{Descriptor, ImageConfig, media_type};
use crate::image::digest::Digest;
use crate::image::layer::Limits;
use crate::image::reference::Reference;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Scratch(std::env::temp_dir().join(format!("store-{}-{number}", std::process::id())))
    }

    fn store(&self) -> Store {
        Store::open(&self.0).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove_tree(&self.0).unwrap();
    }
}

fn layer(name: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, &b"data"[..]).unwrap();
    builder.into_inner().unwrap()
}

fn image(store: &Store, name: Option<&str>, content: &str) -> Image {
    let lease = store.lease().unwrap();
    let got = store.ingest(&lease, &layer(content)[..], &[], None, Limits::default()).unwrap();
    let mut config = ImageConfig::new();
    config.rootfs.diff_ids.push(got.diff_id);
    let name: Option<Reference> = name.map(|name| name.parse().unwrap());
    store.put_image(&lease, &config, vec![got.descriptor], name.as_ref()).unwrap()
}

fn files(path: &Path) -> usize {
    std::fs::read_dir(path).unwrap().count()
}

#[test]
fn an_image_is_found_by_name_digest_and_the_beginning_of_its_id() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let made = image(&store, Some("a:1"), "x");
    let by_digest = format!("a@{}", made.descriptor.digest);
    for text in ["a:1", "docker.io/library/a:1", &by_digest, made.id().as_str(), made.id().hex(), made.id().short()] {
        assert_eq!(store.find(text).unwrap().id(), made.id(), "{text}");
    }
    for text in ["a", "b:1", "sha256:", "", "..", &format!("b@{}", made.descriptor.digest)] {
        assert!(store.find(text).unwrap_err().to_string().starts_with("No such image"), "{text}");
    }
}

#[test]
fn a_name_moves_and_the_image_that_had_it_stays_without() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let first = image(&store, Some("a"), "x");
    let second = image(&store, Some("a"), "y");
    assert_eq!(store.find("a").unwrap().id(), second.id());
    assert!(store.find(first.id().short()).unwrap().names.is_empty());
    let lease = store.lease().unwrap();
    let name: Reference = "b".parse().unwrap();
    store.enter(&lease, &first.descriptor, Some(&name)).unwrap();
    assert_eq!(store.index().unwrap().manifests.len(), 2);
    assert!(!store.remove_name(&name).unwrap());
    assert!(store.remove_name(&name).is_err());
    assert_eq!(store.images().unwrap().0.len(), 1);
}

#[test]
fn a_sweep_removes_what_nothing_leads_to() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let kept = image(&store, Some("kept"), "x");
    let gone = image(&store, Some("gone"), "y");
    assert_eq!(store.sweep().unwrap(), Swept::default());
    store.remove_manifest(&gone.descriptor.digest).unwrap();
    let lease = store.lease().unwrap();
    store.hold_image(&lease, &gone).unwrap();
    assert_eq!(store.sweep().unwrap(), Swept::default(), "a lease holds it");
    drop(lease);
    let swept = store.sweep().unwrap();
    assert_eq!((swept.blobs.len(), swept.layers.len()), (3, 1));
    assert!(store.layer_root(&kept.config.chain_ids()[0]).join("x").exists());
    assert_eq!((files(&scratch.0.join("blobs/sha256")), files(&scratch.0.join("layers"))), (3, 1));
    assert_eq!(files(&scratch.0.join("tmp")), 0);
}

#[test]
fn pins_hold_and_miss_what_was_taken_from_them() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let lease = store.lease().unwrap();
    let got = store.ingest(&lease, &layer("x")[..], &[], None, Limits::default()).unwrap();
    let name = Digest::of(b"key");
    let pin = Pin { holds: vec![got.chain_id.clone(), got.descriptor.digest.clone()], value: json!({"a": 1}) };
    store.set_pin(&lease, &name, &pin).unwrap();
    drop(lease);
    assert_eq!(store.sweep().unwrap(), Swept::default());
    let lease = store.lease().unwrap();
    assert_eq!(store.pin(&lease, &name).unwrap(), Some(pin));
    std::fs::remove_file(store.blob_path(&got.descriptor.digest)).unwrap();
    remove_tree(&store.layer_path(&got.chain_id)).unwrap();
    assert_eq!(store.pin(&lease, &name).unwrap(), None);
    assert_eq!(store.pin(&lease, &Digest::of(b"other")).unwrap(), None);
}

#[test]
fn only_what_was_promised_becomes_visible() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let lease = store.lease().unwrap();
    let bytes = layer("x");
    let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
    let good = Descriptor::new(media_type::LAYER, digest.clone(), size);
    let other = Digest::of(b"other");
    for (descriptor, diff_id, want) in [
        (Descriptor { size: size + 1, ..good.clone() }, &digest, "bytes came"),
        (Descriptor { digest: other.clone(), ..good.clone() }, &digest, "the descriptor says"),
        (good.clone(), &other, "the configuration says"),
    ] {
        let result = store.ingest(&lease, &bytes[..], &[], Some((&descriptor, diff_id)), Limits::default());
        assert!(result.unwrap_err().to_string().contains(want));
        assert_eq!((files(&scratch.0.join("blobs/sha256")), files(&scratch.0.join("layers"))), (0, 0));
    }
    store.ingest(&lease, &bytes[..], &[], Some((&good, &digest)), Limits::default()).unwrap();
    // Again, and it is the same.
    store.ingest(&lease, &bytes[..], &[], Some((&good, &digest)), Limits::default()).unwrap();
    assert_eq!((files(&scratch.0.join("blobs/sha256")), files(&scratch.0.join("layers"))), (1, 1));
    assert_eq!(files(&scratch.0.join("tmp")), 0);
}

#[test]
fn a_blob_that_rotted_is_refused() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let made = image(&store, Some("a"), "x");
    let path = store.blob_path(&made.manifest.layers[0].digest);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[600] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    remove_tree(&store.layer_path(&made.config.chain_ids()[0])).unwrap();
    let lease = store.lease().unwrap();
    assert!(store.unpack(&lease, &made, Limits::default()).unwrap_err().to_string().contains("digest is"));
    let config = store.blob_path(made.id());
    std::fs::write(&config, std::fs::read_to_string(&config).unwrap().replace("linux", "plan9")).unwrap();
    assert!(store.find("a").unwrap_err().to_string().contains("what is stored is something else"));
}

#[test]
fn leftovers_of_the_dead_go_and_those_of_the_living_stay() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let living = store.scratch_dir().unwrap();
    std::fs::create_dir_all(scratch.0.join("tmp/dead/a/b")).unwrap();
    std::fs::write(scratch.0.join("tmp/dead-file"), "x").unwrap();
    std::fs::write(scratch.0.join("leases/dead"), format!("{}\n", Digest::of(b"x"))).unwrap();
    assert_eq!(store.remove_leftovers().unwrap(), 2);
    assert!(living.path().exists());
    assert!(store.leased().unwrap().is_empty());
    assert_eq!(files(&scratch.0.join("leases")), 0);
}

#[test]
fn a_layer_of_another_boot_is_laid_out_again() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let made = image(&store, Some("a"), "x");
    let path = store.layer_path(&made.config.chain_ids()[0]);
    std::fs::write(path.join("fs/x"), "").unwrap();
    let record = std::fs::read_to_string(path.join("layer.json")).unwrap();
    let lease = store.lease().unwrap();
    store.unpack(&lease, &made, Limits::default()).unwrap();
    assert_eq!(std::fs::read(path.join("fs/x")).unwrap(), b"", "this boot's is relied on");
    let boot = serde_json::from_str::<serde_json::Value>(&record).unwrap()["boot"].as_str().unwrap().to_owned();
    for broken in [record.replace(&boot, "another"), String::new()] {
        std::fs::write(path.join("fs/x"), "").unwrap();
        std::fs::write(path.join("layer.json"), broken).unwrap();
        store.unpack(&lease, &made, Limits::default()).unwrap();
        assert_eq!(std::fs::read(path.join("fs/x")).unwrap(), b"data");
    }
}

#[test]
fn packing_and_adopting_gives_what_laying_out_gives() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let lease = store.lease().unwrap();
    let tree = scratch.0.join("tmp/../tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("f"), "x").unwrap();
    let base = store.ingest(&lease, &layer("x")[..], &[], None, Limits::default()).unwrap();
    let below = [base.chain_id];
    let packed = store.pack(&lease, &tree, &below, None).unwrap().unwrap();
    let blob = store.open_blob(&packed.descriptor.digest).unwrap();
    let again = store.ingest(&lease, blob, &below, None, Limits::default()).unwrap();
    assert_eq!((&again.diff_id, &again.chain_id), (&packed.diff_id, &packed.chain_id));
    remove_tree(&store.layer_path(&packed.chain_id)).unwrap();
    store.adopt(&lease, &tree, &packed).unwrap();
    assert!(!tree.exists() && store.layer_root(&packed.chain_id).join("f").exists());
    std::fs::create_dir(&tree).unwrap();
    assert_eq!(store.pack(&lease, &tree, &below, None).unwrap(), None);
}

#[test]
fn many_at_once_lose_no_name() {
    let scratch = Scratch::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let scratch = &scratch;
            scope.spawn(move || {
                let store = scratch.store();
                for number in 0..5 {
                    image(&store, Some(&format!("i{thread}-{number}")), &format!("f{}", number % 2));
                    store.sweep().unwrap();
                }
            });
        }
    });
    let store = scratch.store();
    let (images, broken) = store.images().unwrap();
    assert!(broken.is_empty());
    assert_eq!(images.iter().map(|image| image.names.len()).sum::<usize>(), 20);
    let lease = store.lease().unwrap();
    for image in images {
        store.unpack(&lease, &image, Limits::default()).unwrap();
    }
}

#[test]
fn an_unknown_layout_is_refused() {
    let scratch = Scratch::new();
    drop(scratch.store());
    std::fs::File::create(scratch.0.join("oci-layout")).unwrap().write_all(br#"{"imageLayoutVersion":"9"}"#).unwrap();
    assert!(Store::open(&scratch.0).unwrap_err().to_string().contains("\"9\" is not known"));
}
