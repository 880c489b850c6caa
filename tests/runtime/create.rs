//! `create`: everything is made, and the program waits for `start`.

use crate::kit::*;

#[test]
fn makes_a_container_that_has_not_started() {
    let container = Bundle::sh("echo started > /started; sleep 1000").create();
    assert_eq!(container.status(), "created");
    assert!(host::alive(container.pid()));
    assert!(!container.in_rootfs("/started").exists(), "the program ran before start");
}

#[test]
fn says_nothing() {
    let bundle = Bundle::sh("sleep 1000");
    bundle.try_create().ok().stdout_is("").stderr_is_empty();
}

#[test]
fn refuses_an_id_that_is_taken() {
    let container = Bundle::idle().start();
    container.try_create().fails().stderr_has("exist");
    assert_eq!(container.status(), "running", "the first container was disturbed");
    let twin = container.scene().sh("true").with_id(container.id());
    twin.try_create().fails();
    assert_eq!(container.status(), "running");
    container.call(["delete", "--force", container.id()]).run().ok();
}

#[test]
fn writes_the_pid_file() {
    let bundle = Bundle::sh("sleep 1000");
    let file = bundle.host_file("pid", "an older and longer content");
    bundle.call_create(&["--pid-file", file.to_str().unwrap()]).run().ok();
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, bundle.verb("state").json()["pid"].to_string());
}

#[test]
fn a_relative_pid_file_is_relative_to_the_caller() {
    let bundle = Bundle::sh("sleep 1000");
    let dir = bundle.host_dir("elsewhere");
    bundle.call_create(&["--pid-file", "my.pid"]).cwd(&dir).run().ok();
    let text = std::fs::read_to_string(dir.join("my.pid")).unwrap();
    assert_eq!(text, bundle.verb("state").json()["pid"].to_string());
}

#[test]
fn a_pid_file_that_cannot_be_written_is_an_error() {
    let bundle = Bundle::sh("sleep 1000");
    bundle.call_create(&["--pid-file", "/proc/no/such/dir/pid"]).run().fails().stderr_has("/proc/no/such/dir");
    bundle.leaves_nothing();
}

#[test]
fn the_bundle_is_the_current_directory_by_default() {
    let bundle = Bundle::sh("sleep 1000");
    bundle.write_config();
    bundle.call(["create", bundle.id()]).cwd(bundle.bundle_dir()).run().ok();
    assert_eq!(bundle.verb("state").json()["bundle"], bundle.bundle_dir().to_str().unwrap());
}

#[test]
fn a_relative_bundle_is_recorded_absolutely() {
    let bundle = Bundle::sh("sleep 1000");
    bundle.write_config();
    let (parent, name) = (bundle.bundle_dir().parent().unwrap(), bundle.bundle_dir().file_name().unwrap());
    bundle.call(["create", "-b", name.to_str().unwrap(), bundle.id()]).cwd(parent).run().ok();
    assert_eq!(bundle.verb("state").json()["bundle"], bundle.bundle_dir().to_str().unwrap());
}

#[test]
fn later_changes_of_config_json_have_no_effect() {
    let container = Bundle::sh("echo before").create();
    std::fs::write(container.bundle_dir().join("config.json"), container.config_text().replace("before", "after"))
        .unwrap();
    container.start().ok();
    container.wait_stopped();
    assert_eq!(container.stdout(), "before\n");
}

#[test]
fn the_container_goes_on_with_the_callers_stdio() {
    let bundle = Bundle::sh("read line; echo out $line; echo err $line >&2");
    let input = bundle.host_file("input", "of bread\n");
    bundle
        .call_create(&[])
        .stdin(std::fs::File::open(input).unwrap())
        .stdout(file(&bundle, "out"))
        .stderr(file(&bundle, "err"))
        .run()
        .ok();
    bundle.verb("start").ok();
    wait("the container's output", || read(&bundle, "err") == "err of bread\n");
    assert_eq!(read(&bundle, "out"), "out of bread\n");
}

fn file(bundle: &Bundle, name: &str) -> std::fs::File {
    std::fs::File::create(bundle.path(name)).unwrap()
}

fn read(bundle: &Bundle, name: &str) -> String {
    std::fs::read_to_string(bundle.path(name)).unwrap()
}

#[test]
fn without_a_bundle() {
    let bundle = Bundle::sh("true");
    bundle.call(["create", "--bundle", "/no/such/bundle", bundle.id()]).run().fails().stderr_has("/no/such/bundle");
    bundle.leaves_nothing();
}

#[test]
fn without_config_json() {
    let bundle = Bundle::sh("true");
    let dir = bundle.host_dir("empty");
    bundle.call(["create", "--bundle", dir.to_str().unwrap(), bundle.id()]).run().fails().stderr_has("config.json");
    bundle.leaves_nothing();
}

#[test]
fn without_a_rootfs() {
    let bundle = Bundle::sh("true").set("/root/path", "nowhere");
    bundle.try_create().fails().stderr_has("nowhere");
    bundle.leaves_nothing();
}

#[test]
fn a_program_that_does_not_exist() {
    let bundle = Bundle::program(["/no/such/program"]);
    bundle.try_create().code_is(1).stderr_has("/no/such/program").stderr_has("no such file or directory");
    bundle.leaves_nothing();
}

#[test]
fn a_program_that_is_not_in_the_path() {
    let bundle = Bundle::program(["sourdough"]);
    bundle.try_create().code_is(1).stderr_has("sourdough");
    bundle.leaves_nothing();
}

#[test]
fn a_program_that_is_not_executable() {
    let bundle = Bundle::program(["/etc/passwd"]);
    bundle.try_create().code_is(1).stderr_has("/etc/passwd").stderr_has("permission denied");
    bundle.leaves_nothing();
}

#[test]
fn what_was_made_is_undone_when_a_mount_fails() {
    let bundle = Bundle::sh("true").mount("/mnt", "nosuchfs", "none", &[]);
    bundle.try_create().fails().stderr_has("/mnt");
    bundle.leaves_nothing();
    let bundle = bundle.remove("/mounts/6");
    bundle.run().ok();
}

#[test]
fn without_pivot_root() {
    Bundle::sh("cat /etc/passwd; ls /").call_run(&["--no-pivot"]).run().stdout_has("cook").stdout_lacks("boot");
}

#[test]
fn a_session_keyring_of_its_own() {
    let keys = "cat /proc/keys 2>/dev/null | wc -l; grep -c _ses /proc/keys";
    needs!(std::path::Path::new("/proc/keys").exists(), "no /proc/keys");
    let shown = |flags: &[&str]| {
        let bundle = Bundle::sh(keys).set("/linux/maskedPaths", json!([]));
        bundle.call_run(flags).run().text()
    };
    assert_ne!(shown(&[]), "0\n0", "no key is visible");
    Bundle::sh("true").call_run(&["--no-new-keyring"]).run().ok();
}

#[test]
fn a_pidfd_for_whom_it_concerns() {
    not_on!("runc<1.2 crun", "no --pidfd-socket");
    let bundle = Bundle::idle();
    let receiver = socket::Receiver::listen(bundle.path("pidfd.sock"));
    bundle.call_create(&["--pidfd-socket", receiver.path()]).run().ok();
    let (text, fds) = receiver.receive();
    assert_eq!(text, b"standard");
    assert_eq!(fds.len(), 1);
    let info =
        std::fs::read_to_string(format!("/proc/self/fdinfo/{}", std::os::fd::AsRawFd::as_raw_fd(&fds[0]))).unwrap();
    let pid = bundle.verb("state").json()["pid"].to_string();
    assert!(info.lines().any(|line| line.split_whitespace().eq(["Pid:", &pid])), "{info}");
}
