//! Command lines, right and wrong.

use crate::kit::*;

#[test]
fn flags_may_have_go_s_booleans() {
    not_on!("crun", "another parser");
    let scene = Scene::new();
    scene.call(["list", "--quiet=true"]).global("--debug=false").global("--systemd-cgroup=0").run().ok();
    scene.call(["list", "--quiet=maybe"]).run().code_is(1);
}

#[test]
fn a_mistake_leaves_one_line_and_nothing_else() {
    bolo_only!("runc prints its help, too");
    let scene = Scene::new();
    for (args, word) in [
        (&["create"][..], "<ID>"),
        (&["create", "a", "b"], "'b'"),
        (&["run", "--no-pivots", "a"], "'--no-pivot'"),
        (&["list", "--format", "yaml"], "[possible values: table, json]"),
        (&["update", "--memory", "much", "a"], "--memory"),
    ] {
        let output = scene.call(args.to_vec()).run().code_is(1);
        let lines: Vec<_> = output.stderr.lines().collect();
        let [line] = lines[..] else { panic!("{output}") };
        assert!(line.starts_with("bolo: ") && line.contains(word), "{output}");
    }
    scene.call(["bake"]).run().code_is(3).stderr_has("unrecognized subcommand 'bake'");
    scene.call(["list", "-q"]).run().ok().stdout_is("");
}
