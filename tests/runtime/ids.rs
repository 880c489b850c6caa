//! Container ids: a letter, digit, or one of `_+-.`, and never a path.

use crate::kit::*;

#[test]
fn good_ids() {
    let scene = Scene::new();
    for id in ["a", "0", "bread-and_butter.2+1", "UPPER", "-", ".hidden", "a..b"] {
        let bundle = scene.sh("true").with_id(id);
        bundle.write_config();
        scene.call(["run", "--bundle", bundle.bundle_dir().to_str().unwrap(), "--", id]).run().ok();
    }
}

#[test]
fn bad_ids_are_refused_by_every_verb() {
    not_on!("runc<1.2", "accepts '..' in places");
    not_on!("crun<1.28", "checks less");
    let scene = Scene::new();
    let victim = scene.host_dir("root-neighbour");
    std::fs::write(victim.join("state.json"), "{}").unwrap();
    let bundle = scene.sh("true");
    bundle.write_config();
    let dir = bundle.bundle_dir().to_str().unwrap();
    let long = "x".repeat(1100);
    for id in
        ["", ".", "..", "../root-neighbour", "a/b", "/bolo-no-such-place", "a b", "a\nb", "bröt", "a\\b", "*", &long]
    {
        for verb in ["create", "run"] {
            scene.call([verb, "--bundle", dir, "--", id]).run().fails();
        }
        let verbs: [&[&str]; 9] = [
            &["start"],
            &["state"],
            &["kill"],
            &["delete"],
            &["delete", "--force"],
            &["ps"],
            &["pause"],
            &["resume"],
            &["events", "--stats"],
        ];
        for verb in verbs {
            scene.call([verb, &["--", id]].concat()).run().fails();
        }
        scene.call(["exec", "--", id, "true"]).run().fails();
        scene.call(["update", "--pids-limit", "10", "--", id]).run().fails();
    }
    assert!(victim.join("state.json").exists());
    std::fs::remove_dir_all(victim).unwrap();
}

#[test]
fn bad_ids_are_refused_by_create() {
    let scene = Scene::new();
    let bundle = scene.sh("true");
    bundle.write_config();
    let dir = bundle.bundle_dir().to_str().unwrap();
    for id in ["", "..", "../x", "a/b", "/bolo-no-such-place"] {
        scene.call(["create", "--bundle", dir, "--", id]).run().fails();
    }
}

#[test]
fn the_message_names_the_id() {
    bolo_only!("its own words");
    let scene = Scene::new();
    scene.call(["state", "a/b"]).run().code_is(1).stderr_has("a/b");
}

#[test]
fn wrong_numbers_of_arguments() {
    let scene = Scene::new();
    for words in
        [&["create"][..], &["run"], &["start"], &["state"], &["kill"], &["delete"], &["start", "a", "b"], &["exec"]]
    {
        scene.call(words.iter().copied()).run().fails();
    }
}
