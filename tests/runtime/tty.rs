//! Terminals: the console socket with a real receiver, and a terminal in the foreground.

use crate::kit::pty::Terminal;
use crate::kit::socket::Receiver;
use crate::kit::*;

fn shell() -> Bundle {
    Bundle::sh("exec sh -i").set("/process/terminal", true).env("PS1=> ")
}

/// Created with a console socket; the master that came through it.
fn with_console(bundle: Bundle) -> (Container, Terminal) {
    let receiver = Receiver::listen(bundle.path("console.sock"));
    let created = bundle.call_create(&["--console-socket", receiver.path()]).run().ok();
    let (_, mut fds) = receiver.receive();
    assert_eq!(fds.len(), 1);
    (Container::new(bundle, created), fds.remove(0).into())
}

#[test]
fn a_console_socket() {
    let bundle = Bundle::sh("test -t 0 && test -t 1 && test -t 2 && echo three; read x; echo got $x");
    let (container, mut terminal) = with_console(bundle.set("/process/terminal", true));
    container.start().ok();
    terminal.wait_for("three").write("rye\n").wait_for("got rye");
    container.wait_stopped();
}

#[test]
fn the_console_is_a_controlling_terminal() {
    let bundle =
        Bundle::sh("echo hi > /dev/tty; stat -c %F /dev/console; ls /dev/pts; echo end").set("/process/terminal", true);
    let (container, mut terminal) = with_console(bundle);
    container.start().ok();
    terminal.wait_for("end");
    for text in ["hi", "character special file", "ptmx"] {
        assert!(terminal.seen().contains(text), "{text} in {:?}", terminal.seen());
    }
}

/// Asks the shell on the terminal until it says this size.
fn size_becomes(terminal: &mut Terminal, size: &str) {
    wait("the new size", || terminal.clear().write("stty size\n").wait_for("\n> ").seen().contains(size));
}

#[test]
fn console_size_and_resize() {
    let bundle = shell().set("/process/consoleSize", json!({"height": 31, "width": 97}));
    let (container, mut terminal) = with_console(bundle);
    container.start().ok();
    terminal.write("stty size\n").wait_for("31 97");
    terminal.wait_for("> ").resize(20, 60);
    size_becomes(&mut terminal, "20 60");
}

#[test]
fn job_control() {
    let (container, mut terminal) = with_console(shell());
    container.start().ok();
    terminal.write("sleep 1000\n").wait_for("sleep 1000");
    wait("sleep runs", || container.exec("pidof sleep").code == 0);
    terminal.write("\u{3}").write("echo inter''rupted\n").wait_for("interrupted");
    terminal.write("sleep 2000\n").wait_for("sleep 2000");
    wait("sleep runs", || container.exec("pidof sleep").code == 0);
    terminal.write("\u{1a}").wait_for("Stopped").write("kill %1; echo do''ne\n").wait_for("done");
}

#[test]
fn the_end_of_the_program_closes_the_terminal() {
    let (container, mut terminal) = with_console(Bundle::sh("echo last").set("/process/terminal", true));
    container.start().ok();
    assert!(terminal.wait_for_end().contains("last"));
}

#[test]
fn socket_and_terminal_belong_together() {
    let bundle = Bundle::sh("true").set("/process/terminal", true);
    bundle.try_create().fails();
    bundle.leaves_nothing();
    let bundle = Bundle::sh("true");
    not_on!("crun", "ignored");
    let receiver = Receiver::listen(bundle.path("console.sock"));
    bundle.call_create(&["--console-socket", receiver.path()]).run().fails();
    bundle.leaves_nothing();
}

#[test]
fn a_console_socket_that_nobody_listens_to() {
    let bundle = Bundle::sh("true").set("/process/terminal", true);
    bundle.call_create(&["--console-socket", "/no/such/socket"]).run().fails().stderr_has("/no/such/socket");
    bundle.leaves_nothing();
}

/// A call in the foreground of a terminal of its own.
fn on_a_terminal(call: Call, rows: u32, columns: u32) -> (Running, Terminal) {
    let (terminal, slave) = Terminal::open();
    terminal.resize(rows, columns);
    let copy = || slave.try_clone().unwrap();
    let running = call.stdin(copy()).stdout(copy()).stderr(copy()).under(["setsid", "--ctty", "--wait"]).spawn();
    (running, terminal)
}

#[test]
fn in_the_foreground() {
    let bundle = Bundle::sh("test -t 0 && stty size; read x; echo got $x; exit 7").set("/process/terminal", true);
    let (running, mut terminal) = on_a_terminal(bundle.call_run(&[]), 33, 88);
    terminal.wait_for("33 88").write("rye\n").wait_for("got rye");
    running.wait().code_is(7);
}

#[test]
fn a_resize_in_the_foreground() {
    let bundle = shell();
    let (running, mut terminal) = on_a_terminal(bundle.call_run(&[]), 33, 88);
    terminal.wait_for("> ").resize(21, 61);
    size_becomes(&mut terminal, "21 61");
    terminal.write("exit 3\n");
    running.wait().code_is(3);
}

#[test]
fn control_c_in_the_foreground_reaches_the_program() {
    let bundle = Bundle::sh("trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.1; done")
        .set("/process/terminal", true);
    let (running, mut terminal) = on_a_terminal(bundle.call_run(&[]), 24, 80);
    terminal.wait_for("ready").write("\u{3}").wait_for("caught");
    running.wait().code_is(5);
}

#[test]
fn exec_on_a_terminal() {
    let container = Bundle::idle().start();
    let call = container.call_exec(&["-t"], &["/bin/sh", "-c", "test -t 0 && stty size; exit 6"]);
    let (running, mut terminal) = on_a_terminal(call, 30, 90);
    terminal.wait_for("30 90");
    running.wait().code_is(6);
}

#[test]
fn exec_with_a_console_socket() {
    let container = Bundle::idle().start();
    let receiver = Receiver::listen(container.path("console.sock"));
    let flags = ["--tty", "--detach", "--console-socket", receiver.path()];
    container.call_exec(&flags, &["/bin/sh", "-c", "read x; test -t 1 && echo got $x"]).run().ok();
    let (_, mut fds) = receiver.receive();
    Terminal::from(fds.remove(0)).write("rye\n").wait_for("got rye");
}
