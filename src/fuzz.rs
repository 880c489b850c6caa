//! What attackers write, parsed: the entry points of fuzz/. Each takes any bytes, and neither panics nor believes them.

use crate::runtime::plan::{self, Facts};
use crate::runtime::seccomp::{self, Arch};
use crate::runtime::{bundle, spec};

/// config.json: parsed, planned, and shown.
pub fn config(bytes: &[u8]) {
    let Ok(spec) = bundle::parse(bytes) else { return };
    let facts = Facts { bundle: "/bundle", id: "fuzz", ..Facts::default() };
    if let Ok(plan) = plan::container(&spec, &facts) {
        let shown = plan.to_string();
        assert!(shown.lines().count() >= plan.steps.len(), "a step that is not shown");
    }
}

/// linux.seccomp for every architecture: what is compiled is a program that the kernel would take for one.
pub fn seccomp(bytes: &[u8]) {
    let Ok(profile) = serde_json::from_slice::<spec::seccomp::Seccomp>(bytes) else { return };
    for arch in Arch::ALL {
        if let Ok(Some(filter)) = seccomp::compile(&profile, *arch) {
            // BPF_MAXINSNS
            assert!((1..=4096).contains(&filter.program.len()), "{} instructions", filter.program.len());
        }
    }
}

/// The name of an image: what is parsed is the same when it is written and parsed again.
#[cfg(feature = "image")]
pub fn reference(bytes: &[u8]) {
    use crate::image::reference::Reference;
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(reference) = text.parse::<Reference>() {
        let again = reference.to_string().parse::<Reference>();
        assert_eq!(again.ok().as_ref(), Some(&reference), "{text:?}");
    }
}

/// A layer's archive, entry by entry.
#[cfg(feature = "image")]
pub fn tar(bytes: &[u8]) {
    use crate::image::layer::{Limits, tar::Reader};
    let limits = Limits { bytes: 1 << 24, entries: 10_000, path: 4095 };
    let mut reader = Reader::new(bytes, limits);
    while let Ok(Some(entry)) = reader.next_entry() {
        assert!(entry.path.len() <= limits.path && entry.link.len() <= limits.path, "{}", entry.name());
        while let Ok(data) = reader.data() {
            let length = data.len();
            if length == 0 {
                break;
            }
            reader.consume(length);
        }
    }
}

/// A layer, laid out in a directory of its own: nothing beside that directory changes.
#[cfg(feature = "image")]
pub fn layer(bytes: &[u8]) {
    use crate::image::layer::{Limits, apply::apply, whiteout::Marks};
    let place = std::env::temp_dir().join(format!("fuzz-layer-{}", std::process::id()));
    let root = place.join("root");
    let ready = std::fs::create_dir_all(&root).and_then(|()| std::fs::write(place.join("canary"), "alive"));
    let opened = ready.and_then(|()| std::fs::File::open(&root));
    if let (Ok(directory), Ok(marks)) = (opened, Marks::of_this_process()) {
        let limits = Limits { bytes: 1 << 20, entries: 1000, path: 255 };
        let _ = apply(bytes, directory.into(), &[], marks, limits);
        let names = std::fs::read_dir(&place).map(|entries| entries.flatten().count());
        assert_eq!(names.ok(), Some(2), "something was made beside the layer");
        assert_eq!(std::fs::read_to_string(place.join("canary")).ok().as_deref(), Some("alive"));
    }
    let _ = std::fs::remove_dir_all(place);
}

/// A Dockerfile: parsed, planned without any image, and shown; as it is, and as what ONBUILD keeps.
#[cfg(feature = "image")]
pub fn dockerfile(bytes: &[u8]) {
    use crate::image::dockerfile::Dockerfile;
    use crate::image::plan::{self, Options, platform};
    let Ok(dockerfile) = Dockerfile::parse("Dockerfile", bytes) else { return };
    let mut options = Options::new(platform::host());
    options.all_stages = true;
    if let Ok(plan) = plan::plan(&dockerfile, &options, &mut |_, _| Ok(None)) {
        let steps: usize = plan.stages.iter().map(|stage| stage.steps.len()).sum();
        assert!(plan::print(&plan).lines().count() >= steps, "a step that is not shown");
        for step in plan.stages.iter().flat_map(|stage| &stage.steps) {
            assert!(step.span.first >= 1 && step.span.first <= step.span.last, "{:?}", step.span);
        }
    }
}

/// A word with variables: what comes out is bounded, and without any `$` nothing of a plain word changes.
#[cfg(feature = "image")]
pub fn expand(bytes: &[u8]) {
    use crate::image::dockerfile::expand::{Options, expand};
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let value = |name: &str| name.len().is_multiple_of(2).then_some("a*b/c d");
    for escape in ['\\', '`'] {
        if let Ok(expanded) = expand(text, Options::word(escape), &value) {
            assert!(
                expanded.text.len() <= (text.len() + 1) * 64 * 8,
                "{} bytes of {}",
                expanded.text.len(),
                text.len()
            );
            if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                assert_eq!(expanded.text, text);
            }
        }
    }
}

#[cfg(test)]
mod tests;
