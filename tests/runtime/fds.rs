//! What the container inherits of the caller's descriptors: 0, 1, 2, and what is asked for.

use crate::kit::*;

#[test]
fn nothing_but_stdio() {
    let bundle = Bundle::sh("ls /proc/$$/fd; true");
    bundle.call_run(&[]).prelude("exec 3</ 4</etc 7</proc 9</dev/null").run().stdout_is("0\n1\n2");
    let container = Bundle::sh("ls /proc/$$/fd; echo end").start();
    container.wait_stdout("end");
    assert_eq!(container.stdout(), "0\n1\n2\nend\n");
}

#[test]
fn preserved_ones() {
    let bundle = Bundle::sh("cat <&3; cat <&4; ls /proc/$$/fd; true");
    let (rye, wheat) = (bundle.host_file("rye", "rye\n"), bundle.host_file("wheat", "wheat\n"));
    let prelude = format!("exec 3<{} 4<{} 5</", rye.display(), wheat.display());
    bundle.call_run(&["--preserve-fds", "2"]).prelude(&prelude).run().stdout_is("rye\nwheat\n0\n1\n2\n3\n4");
}

#[test]
fn preserved_through_create_and_start() {
    let bundle = Bundle::sh("cat <&3; echo end");
    let rye = bundle.host_file("rye", "rye\n");
    let out = std::fs::File::create(bundle.path("out")).unwrap();
    let call = bundle.call_create(&["--preserve-fds=1"]).stdout(out);
    call.prelude(&format!("exec 3<{}", rye.display())).run().ok();
    bundle.verb("start").ok();
    let text = || std::fs::read_to_string(bundle.path("out")).unwrap();
    wait("output", || text().contains("end"));
    assert_eq!(text(), "rye\nend\n");
}

#[test]
fn preserving_what_is_not_open_is_refused() {
    not_on!("runc<1.2", "ignored");
    let bundle = Bundle::sh("true");
    bundle.call_run(&["--preserve-fds", "3"]).run().fails();
    bundle.leaves_nothing();
}

#[test]
fn of_socket_activation() {
    let bundle = Bundle::sh("echo $LISTEN_FDS $LISTEN_PID; cat <&3; ls /proc/$$/fd; true");
    let rye = bundle.host_file("rye", "rye\n");
    let prelude = format!("exec 3<{}; export LISTEN_PID=$$ LISTEN_FDS=1", rye.display());
    bundle.call_run(&[]).prelude(&prelude).run().stdout_is("1 1\nrye\n0\n1\n2\n3");
}

#[test]
fn of_socket_activation_and_preserved() {
    let bundle = Bundle::sh("cat <&3; cat <&4");
    let (rye, wheat) = (bundle.host_file("rye", "rye\n"), bundle.host_file("wheat", "wheat\n"));
    let prelude = format!("exec 3<{} 4<{}; export LISTEN_PID=$$ LISTEN_FDS=1", rye.display(), wheat.display());
    bundle.call_run(&["--preserve-fds", "1"]).prelude(&prelude).run().stdout_is("rye\nwheat");
}

#[test]
fn socket_activation_of_another_process() {
    not_on!("crun", "ignores LISTEN_PID");
    let bundle = Bundle::sh("echo \"<$LISTEN_FDS>\"; ls /proc/$$/fd; true");
    let call = bundle.call_run(&[]).prelude("exec 3</dev/null; export LISTEN_PID=1 LISTEN_FDS=1");
    call.run().stdout_is("<>\n0\n1\n2");
}

#[test]
fn the_working_directory_cannot_be_a_leaked_descriptor() {
    for number in [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] {
        let bundle = Bundle::sh("pwd; ls").set("/process/cwd", format!("/proc/self/fd/{number}"));
        let output = bundle.call_run(&[]).prelude("exec 3</ 4</ 5</ 6</ 7</ 8</ 9</").run();
        assert!(output.code != 0 || !output.stdout.contains("boot"), "{output}");
    }
    let container = Bundle::idle().start();
    for number in [3, 4, 5, 6, 7, 8, 9, 10, 11, 12] {
        let cwd = format!("/proc/self/fd/{number}");
        let call = container.call_exec(&["--cwd", &cwd], &["ls"]).prelude("exec 3</ 4</ 5</ 6</ 7</ 8</ 9</");
        let output = call.run();
        assert!(output.code != 0 || !output.stdout.contains("boot"), "{output}");
    }
}
