//! Two hundred containers at once.

use crate::kit::*;

const ABREAST: usize = 10;

#[test]
fn two_hundred_come_and_go_without_a_trace() {
    needs!(!host::systemd(), "an emulated CPU is too slow for so many");
    // One bundle for all; without cgroupsPath each has a cgroup named after itself.
    let bundle = Bundle::sh("exec sleep 100000").remove("/linux/cgroupsPath");
    bundle.write_config();
    let ids: Vec<String> = (0..200).map(|number| format!("{}-{number}", bundle.id())).collect();
    let each = |words: &[&str]| {
        for some in ids.chunks(ABREAST) {
            let call = |id: &String| bundle.call([words, &[id]].concat()).spawn();
            for running in some.iter().map(call).collect::<Vec<_>>() {
                running.wait().ok();
            }
        }
    };
    let are_all = |status: &str| {
        let listed = bundle.call(["list", "--format", "json"]).run().ok().json();
        let mut names = ids.clone();
        names.sort_unstable();
        let mut seen: Vec<_> = listed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
        seen.sort_unstable();
        assert_eq!(seen, names);
        let statuses = listed.as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap());
        assert_eq!(statuses.filter(|one| *one == status).count(), ids.len(), "{status}");
    };
    each(&["create", "--bundle", bundle.bundle_dir().to_str().unwrap()]);
    are_all("created");
    each(&["start"]);
    each(&["pause"]);
    are_all("paused");
    each(&["resume"]);
    are_all("running");
    assert!(ids.iter().all(|id| !cgroup::find(id).is_empty()));
    let (by_force, in_order) = ids.split_at(ids.len() / 2);
    for id in by_force {
        bundle.call(["delete", "--force", id]).run().ok();
    }
    for id in in_order {
        bundle.call(["kill", id, "KILL"]).run().ok();
    }
    for id in in_order {
        wait("its end", || bundle.call(["state", id]).run().json()["status"] == "stopped");
        bundle.call(["delete", id]).run().ok();
    }
    assert_eq!(bundle.call(["list", "--quiet"]).run().ok().stdout, "");
    let left: Vec<_> = ids.iter().flat_map(|id| cgroup::find(id)).collect();
    assert!(left.is_empty(), "{left:?}");
}
