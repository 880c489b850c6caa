//! Golden plans: `tests/dockerfiles/NAME.Dockerfile` is planned without root and without any image, and the plan is
//! compared with `NAME.steps`. `UPDATE=1 cargo test --test dockerfile_plans` rewrites those; then read the difference.
//!
//! A line `# options: ...` gives the command line's part: `--build-arg A=b`, `--target x`, `--label a=b`,
//! `--platform linux/arm64`, `--all`. The base image `with-triggers` has ONBUILD triggers; of all others nothing is
//! known. A file that must not be planned has its error in NAME.steps.

use bolo::image::config::{ImageConfig, Platform};
use bolo::image::dockerfile::Dockerfile;
use bolo::image::plan::{self, Options, Plan, platform};
use bolo::image::reference::Reference;
use std::path::{Path, PathBuf};

fn options(text: &str) -> Options {
    let mut options = Options::new(platform::parse("linux/amd64").unwrap());
    for line in text.lines().filter_map(|line| line.strip_prefix("# options: ")) {
        let mut words = line.split(' ');
        while let Some(word) = words.next() {
            if word == "--all" {
                options.all_stages = true;
                continue;
            }
            let value = words.next().unwrap();
            let pair = || value.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
            match word {
                "--build-arg" => options.build_args.extend([pair()]),
                "--label" => options.labels.extend([pair()]),
                "--target" => options.target = Some(value.to_owned()),
                "--platform" => options.target_platform = Some(platform::parse(value).unwrap()),
                _ => panic!("unknown option {word}"),
            }
        }
    }
    options
}

fn base(name: &Reference, _: &Platform) -> bolo::error::Result<Option<ImageConfig>> {
    if name.path() != "library/with-triggers" {
        return Ok(None);
    }
    let mut image = ImageConfig::new();
    let triggers = ["ARG VERSION=1", "COPY --from=tools /bin/tool /bin/", "RUN echo $VERSION <<EOF\nbody\nEOF"];
    image.config.on_build = triggers.map(str::to_owned).to_vec();
    image.config.user = "app".to_owned();
    image.architecture = "amd64".to_owned();
    Ok(Some(image))
}

fn plan_of(path: &Path) -> bolo::error::Result<Plan> {
    let bytes = std::fs::read(path).unwrap();
    let dockerfile = Dockerfile::parse("Dockerfile", &bytes)?;
    plan::plan(&dockerfile, &options(&String::from_utf8_lossy(&bytes)), &mut base)
}

#[test]
fn dockerfiles_give_the_plans_beside_them() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/dockerfiles");
    let update = std::env::var_os("UPDATE").is_some();
    let (mut seen, mut wrong) = (0, Vec::new());
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "Dockerfile")) {
        let got = plan_of(path).map_or_else(|error| format!("error {error}\n"), |plan| plan::print(&plan));
        let golden = path.with_extension("steps");
        if update {
            std::fs::write(&golden, &got).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != got {
            wrong.push(format!("--- {}\n{got}", golden.display()));
        }
        seen += 1;
    }
    assert!(seen >= 10, "only {seen} Dockerfiles found in {}", directory.display());
    assert!(wrong.is_empty(), "these plans are not what their .steps say:\n{}", wrong.join("\n"));
}

/// The same file planned twice gives the same plan, and only what a target needs is in it.
#[test]
fn an_unneeded_stage_is_not_planned() {
    let text = b"FROM a AS one\nRUN broken\nFROM b AS two\nRUN x\nFROM c\nCOPY --from=two /x /y\n";
    let dockerfile = Dockerfile::parse("Dockerfile", text).unwrap();
    let names = |options: &Options| -> Vec<usize> {
        let plan = plan::plan(&dockerfile, options, &mut |_, _| Ok(None)).unwrap();
        plan.stages.iter().map(|stage| stage.index).collect()
    };
    let mut options = options("");
    assert_eq!(names(&options), [1, 2]);
    options.target = Some("ONE".to_owned());
    assert_eq!(names(&options), [0]);
    options.all_stages = true;
    assert_eq!(names(&options), [0, 1, 2]);
}
