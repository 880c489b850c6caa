//! `start`

use crate::kit::*;

#[test]
fn runs_the_program() {
    let container = Bundle::idle().create();
    container.start().ok().stdout_is("").stderr_is_empty();
    container.wait_stdout("ready");
    assert_eq!(container.status(), "running");
}

#[test]
fn keeps_the_process() {
    let container = Bundle::idle().create();
    let before = container.pid();
    container.start().ok();
    assert_eq!(container.pid(), before);
}

#[test]
fn works_once() {
    let container = Bundle::idle().start();
    container.start().fails();
    assert_eq!(container.status(), "running");
}

#[test]
fn a_stopped_container_does_not_start_again() {
    let container = Bundle::sh("true").start();
    container.wait_stopped();
    container.start().fails();
}

#[test]
fn an_unknown_container() {
    Scene::new().call(["start", "nobody"]).run().code_is(1).bolo_says("nobody");
}

#[test]
fn says_why_exec_failed() {
    bolo_only!("start reports a failed exec");
    let container = Bundle::program(["/bin/oven"]).script("/bin/oven", "#!/no/such/interpreter\n").create();
    container.start().fails().stderr_has("/bin/oven").stderr_has("no such file or directory");
    container.wait_stopped();
}

#[test]
fn says_why_the_kernel_cannot_run_a_file() {
    bolo_only!("start reports a failed exec");
    let container = Bundle::program(["/bin/oven"]).script("/bin/oven", "\u{1}\u{2}\u{3}").create();
    container.start().fails().stderr_has("/bin/oven").stderr_has("exec format error");
    container.wait_stopped();
}

#[test]
fn run_says_why_exec_failed() {
    not_on!("runc<1.2", "the message comes from inside the container, with another exit code");
    let bundle = Bundle::program(["/bin/oven"]).script("/bin/oven", "#!/no/such/interpreter\n");
    bundle.run().fails().stderr_has("/bin/oven");
    bundle.leaves_nothing();
}

#[test]
fn the_bundle_may_be_gone() {
    let container = Bundle::idle().create();
    std::fs::remove_file(container.bundle_dir().join("config.json")).unwrap();
    container.start().ok();
    container.wait_stdout("ready");
}
