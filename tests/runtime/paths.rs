//! `linux.maskedPaths` and `linux.readonlyPaths`.

use crate::kit::*;

#[test]
fn masked_files_are_empty() {
    let bundle = Bundle::sh("cat /secret | wc -c; stat -c %t:%T /secret").file("/secret", "recipe");
    bundle.set("/linux/maskedPaths", json!(["/secret"])).run().stdout_is("0\n1:3");
}

#[test]
fn masked_directories_are_empty_and_read_only() {
    let bundle = Bundle::sh("ls -A /secrets; touch /secrets/x").file("/secrets/recipe", "");
    let output = bundle.set("/linux/maskedPaths", json!(["/secrets"])).run();
    output.code_is(1).stdout_is("").stderr_has("Read-only file system");
}

#[test]
fn masked_paths_of_proc_and_sys() {
    Bundle::sh("ls /sys/firmware 2>/dev/null | wc -l").run().stdout_is("0");
    let paths = json!(["/proc/cmdline", "/proc/sys/kernel"]);
    Bundle::sh("cat /proc/cmdline; ls /proc/sys/kernel").set("/linux/maskedPaths", paths).run().stdout_is("");
}

#[test]
fn a_path_that_climbs_out_of_proc_is_masked_where_it_leads() {
    let bundle = Bundle::sh("cat /secret | wc -c; echo x > /box/x || echo no").file("/secret", "recipe").dir("/box");
    let bundle = bundle.set("/linux/maskedPaths", json!(["/proc/../secret"]));
    bundle.set("/linux/readonlyPaths", json!(["/sys/../box"])).run().stdout_is("0\nno");
}

#[test]
fn what_is_missing_is_ignored() {
    let bundle = Bundle::sh("echo fine").set("/linux/maskedPaths", json!(["/no/such/file", "/proc/no"]));
    bundle.set("/linux/readonlyPaths", json!(["/no/such/dir"])).run().stdout_is("fine");
}

#[test]
fn readonly_paths() {
    let bundle = Bundle::sh("touch /box/x; cat /box/loaf; touch /other && echo written").file("/box/loaf", "rye\n");
    let output = bundle.set("/linux/readonlyPaths", json!(["/box"])).run();
    output.stdout_is("rye\nwritten").stderr_has("Read-only file system");
    let bundle = Bundle::sh("echo x > /box/loaf").file("/box/loaf", "rye");
    bundle.set("/linux/readonlyPaths", json!(["/box/loaf"])).run().code_is(1).stderr_has("Read-only file system");
}

#[test]
fn readonly_paths_of_proc() {
    let script = "echo h > /proc/sysrq-trigger; echo 1 > /proc/sys/vm/swappiness";
    Bundle::sh(script).run().code_is(1).stderr_has("Read-only file system");
}

#[test]
fn readonly_keeps_the_flags_of_the_mount() {
    let bundle = Bundle::sh("").tmpfs("/box", &["nosuid", "nodev", "noexec"]);
    let bundle = bundle.set("/linux/readonlyPaths", json!(["/box"]));
    bundle.shows_mount("/box").has(&["ro", "nosuid", "nodev", "noexec"]);
}

#[test]
fn none_at_all() {
    let bundle = Bundle::sh("wc -c < /proc/timer_list || true").set("/linux/maskedPaths", json!([]));
    let bundle = bundle.set("/linux/readonlyPaths", json!([]));
    bundle.run().ok();
    bundle.shows_mount("/proc").has(&["rw"]);
}

#[test]
fn on_a_read_only_root() {
    let bundle = Bundle::sh("cat /secret; ls -A /secrets").file("/secret", "recipe").file("/secrets/x", "");
    let bundle = bundle.set("/root/readonly", true);
    bundle.set("/linux/maskedPaths", json!(["/secret", "/secrets"])).run().stdout_is("");
}

#[test]
fn in_a_user_namespace() {
    let bundle = Bundle::sh("wc -c < /proc/cmdline; ls /sys/firmware | wc -l").user_namespace(100_000);
    bundle.push("/linux/maskedPaths", "/proc/cmdline").run().stdout_is("0\n0");
}

#[test]
fn through_a_symlink_of_the_rootfs() {
    let bundle = Bundle::sh("cat /real; cat /link").file("/real", "recipe").symlink("/real", "/link");
    bundle.set("/linux/maskedPaths", json!(["/link"])).run().stdout_is("");
}
