//! Black-box tests of the verbs that run containers: `forno` and the runtime beside it, on a tiny image of busybox, in a
//! store and in mount and network namespaces of their own. They need root and busybox-static. $FORNO names another
//! program to test.

mod containers {
    mod document;
    mod options;
    mod verbs;
}

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

fn forno() -> PathBuf {
    std::env::var_os("FORNO").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_forno")), PathBuf::from)
}

/// A root file system with busybox, as an archive that every test imports.
fn rootfs() -> &'static Path {
    static ROOTFS: OnceLock<PathBuf> = OnceLock::new();
    ROOTFS.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rootfs");
        let script = r#"set -e
            mkdir -p "$1/bin" "$1/etc" "$1/data" "$1/tmp"
            cp "$(command -v busybox)" "$1/bin/busybox"
            for applet in sh cat echo sleep id env pwd ls touch httpd wget hostname kill true stat nc; do
                ln -sf busybox "$1/bin/$applet"
            done
            printf 'root:x:0:0:root:/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\n' >"$1/etc/passwd"
            printf 'root:x:0:\nana:x:1000:\nwheel:x:10:ana\n' >"$1/etc/group"
            echo from the image >"$1/data/file"
            chown 1000:1000 "$1/data/file"; chmod 640 "$1/data/file""#;
        assert!(Command::new("sh").args(["-c", script, "sh"]).arg(&directory).status().unwrap().success());
        directory
    })
}

/// A store of its own; everything in it goes with it.
struct Oven {
    root: PathBuf,
}

struct Said {
    code: i32,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        Said { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Oven {
    fn new(name: &str) -> Oven {
        let root = std::env::temp_dir().join(format!("forno-{name}-{}", std::process::id()));
        let oven = Oven { root };
        oven.ok(&["import", &rootfs().display().to_string(), "box"]);
        oven
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(forno());
        command.arg("--root").arg(&self.root).args(args).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Said {
        self.command(args).output().unwrap().into()
    }

    /// Must succeed; what it printed.
    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!(said.code, 0, "{args:?}: {}", said.err);
        said.out
    }

    #[track_caller]
    fn fails(&self, code: i32, args: &[&str], message: &str) {
        let said = self.run(args);
        assert_eq!(said.code, code, "{args:?}: {} {}", said.out, said.err);
        assert!(said.err.contains(message), "{args:?}: {}", said.err);
    }

    /// A script in a new network namespace, `$F` being forno with this store.
    #[track_caller]
    fn in_namespace(&self, script: &str) -> String {
        let forno = format!("{} --root {}", forno().display(), self.root.display());
        let script = format!("mount --make-rprivate /\nip link set lo up\nF='{forno}'\n{script}");
        let said: Said = Command::new("unshare").args(["-nm", "sh", "-ec", &script]).output().unwrap().into();
        assert_eq!(said.code, 0, "{} {}", said.out, said.err);
        said.out
    }

    fn left(&self) -> Vec<String> {
        let names = |place: &str| {
            let entries = std::fs::read_dir(self.root.join(place)).unwrap().map(|entry| entry.unwrap().file_name());
            let names = entries.filter(|name| name != ".names").map(|name| format!("{place}/{}", name.display()));
            names.collect::<Vec<_>>()
        };
        [names("containers"), names("snapshots"), names("containers/.names")].concat()
    }
}

impl Drop for Oven {
    fn drop(&mut self) {
        let ids = self.run(&["ps", "-aq"]).out;
        let mut args = vec!["rm", "-f", "-v"];
        args.extend(ids.lines());
        if args.len() > 3 {
            self.run(&args);
        }
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// Says that a test cannot be run here, past the harness, which keeps what is printed.
fn skip(why: &str) {
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "skip {}: {why}", thread.name().unwrap_or_default());
}

const NONE: &str = "--network=none";

#[test]
fn run_passes_output_input_and_exit_codes() {
    let oven = Oven::new("run");
    let said = oven.run(&["run", "--rm", NONE, "box", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (7, "out", "err"));
    assert_eq!(oven.run(&["run", "--rm", NONE, "box", "sh", "-c", "kill -9 $$; sleep 1"]).code, 0);
    let mut cat = oven.command(&["run", "--rm", "-i", NONE, "box", "cat"]);
    let mut child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"typed").unwrap();
    assert_eq!(Said::from(child.wait_with_output().unwrap()).out, "typed");
    oven.fails(127, &["run", "--rm", NONE, "box", "nosuch"], "not found");
    oven.fails(126, &["run", "--rm", NONE, "box", "/etc/passwd"], "permission denied");
    oven.fails(125, &["run", "--rm", NONE, "nosuchimage"], "Unable to find image");
    oven.fails(125, &["run", "--no-such-option", "box"], "--no-such-option");
    assert_eq!(oven.left(), [""; 0]);
}

#[test]
fn run_sets_what_was_asked_for() {
    let oven = Oven::new("options");
    let args = ["run", "--rm", NONE, "-e", "A=1", "-w", "/new/dir", "-u", "ana", "-h", "tart", "box"];
    let script = "pwd; id; hostname; echo $A $HOME";
    let out = oven.ok(&[&args[..], &["sh", "-c", script]].concat());
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines, ["/new/dir", "uid=1000(ana) gid=1000(ana) groups=10(wheel),1000(ana)", "tart", "1 /home/ana"]);
    assert_eq!(oven.ok(&["run", "--rm", NONE, "--entrypoint", "echo", "box", "x", "-y"]), "x -y");
    oven.fails(1, &["run", "--rm", NONE, "--read-only", "box", "touch", "/x"], "Read-only");
    let caps = |extra: &[&str]| {
        let args = [&["run", "--rm", NONE][..], extra, &["box", "cat", "/proc/self/status"]].concat();
        let out = oven.ok(&args);
        out.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim().to_owned()
    };
    assert_eq!(caps(&[]), "00000000a80425fb");
    assert_eq!(caps(&["--cap-drop", "ALL", "--cap-add", "chown"]), "0000000000000001");
}

#[test]
fn a_life_from_create_to_rm() {
    let oven = Oven::new("life");
    let id = oven.ok(&[
        "create",
        "--name",
        "web",
        NONE,
        "box",
        "sh",
        "-c",
        "echo began; trap 'exit 3' TERM; while :; do sleep 0.1; done",
    ]);
    assert_eq!(id.len(), 64);
    assert_eq!(oven.ok(&["ps", "-q"]), "");
    assert_eq!(oven.ok(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]), "web created");
    oven.fails(125, &["create", "--name", "web", NONE, "box", "true"], "in use");
    oven.ok(&["start", "web"]);
    assert_eq!(oven.ok(&["ps", "-q"]), id[..12]);
    oven.fails(1, &["rm", "web"], "stop it first");
    assert_eq!(oven.ok(&["exec", "-e", "B=2", "-w", "/etc", "web", "sh", "-c", "pwd; echo $B"]), "/etc\n2");
    assert_eq!(oven.run(&["exec", "web", "sh", "-c", "exit 9"]).code, 9);
    oven.ok(&["rename", "web", "shop"]);
    oven.ok(&["stop", &id[..6]]);
    assert_eq!(oven.ok(&["ps", "-a", "--filter", "exited=3", "--format", "{{.Names}}"]), "shop");
    assert_eq!(oven.ok(&["wait", "shop"]), "3");
    assert_eq!(oven.ok(&["logs", "shop"]), "began");
    oven.ok(&["restart", "-t", "0", "shop"]);
    oven.ok(&["kill", "shop"]);
    assert_eq!(oven.ok(&["wait", "shop"]), "137");
    oven.ok(&["rm", "shop"]);
    oven.fails(1, &["start", "shop"], "No such container");
    assert_eq!(oven.left(), [""; 0]);
}

#[test]
fn volumes_outlive_containers_and_the_writable_layer_does_not() {
    let oven = Oven::new("volumes");
    let host = oven.root.join("host");
    let bind = format!("{}:/mnt", host.display());
    oven.ok(&[
        "run",
        "--rm",
        NONE,
        "-v",
        &bind,
        "-v",
        "data:/data",
        "box",
        "sh",
        "-c",
        "echo a >/mnt/a; echo b >/data/b; echo c >/c",
    ]);
    assert_eq!(std::fs::read_to_string(host.join("a")).unwrap(), "a\n");
    let out = oven.ok(&[
        "run",
        "--rm",
        NONE,
        "-v",
        "data:/d:ro",
        "box",
        "sh",
        "-c",
        "ls /d; ls /c; stat -c '%u %a' /d/file; touch /d/x || echo ro",
    ]);
    // The volume began with what the image has there, owner and mode too.
    assert_eq!(out, "b\nfile\n1000 640\nro");
    assert_eq!(oven.ok(&["volume", "ls", "-q"]), "data");
    oven.ok(&["create", "--name", "user", NONE, "-v", "data:/d", "-v", "/anonymous", "box", "true"]);
    oven.fails(1, &["volume", "rm", "data"], "in use");
    assert_eq!(oven.ok(&["volume", "ls", "-q"]).lines().count(), 2);
    oven.ok(&["rm", "-v", "user"]);
    assert_eq!(oven.ok(&["volume", "ls", "-q"]), "data");
    oven.ok(&["volume", "rm", "data"]);
}

#[test]
fn a_restart_policy_starts_it_again() {
    let oven = Oven::new("restart");
    oven.ok(&[
        "run",
        "-d",
        "--name",
        "again",
        "--restart",
        "on-failure:2",
        NONE,
        "box",
        "sh",
        "-c",
        "echo life; exit 1",
    ]);
    while oven.ok(&["ps", "-a", "--format", "{{.State}}"]) != "exited" {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(oven.ok(&["logs", "again"]), "life\nlife\nlife");
    oven.fails(125, &["run", "--rm", "--restart", "always", "box", "true"], "do not go together");
}

#[test]
fn logs_follow_until_the_end() {
    let oven = Oven::new("logs");
    oven.ok(&["run", "-d", "--name", "talk", NONE, "box", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"]);
    assert_eq!(oven.ok(&["logs", "-f", "talk"]), "1\n2\n3");
    assert_eq!(oven.ok(&["logs", "--tail", "1", "talk"]), "3");
}

#[test]
fn a_supervisor_that_was_killed_is_told_from_one_that_lives() {
    let oven = Oven::new("killed");
    let id = oven.ok(&["run", "-d", "--name", "orphan", NONE, "box", "sleep", "1000"]);
    let supervisor = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let entry = entry.unwrap();
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        (words.contains(&b"supervise".as_slice()) && words.contains(&id.as_bytes()))
            .then(|| entry.file_name().to_str().unwrap().to_owned())
    });
    for pid in supervisor {
        assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    }
    assert_eq!(oven.ok(&["ps", "--format", "{{.State}}"]), "running");
    oven.ok(&["stop", "-t", "0", "orphan"]);
    assert_eq!(oven.ok(&["ps", "-a", "--format", "{{.State}}"]), "exited");
    oven.ok(&["start", "orphan"]);
    oven.ok(&["rm", "-f", "orphan"]);
    assert_eq!(oven.left(), [""; 0]);
}

#[test]
fn a_published_port_is_reached_and_nothing_stays() {
    let oven = Oven::new("ports");
    let out = oven.in_namespace(
        r#"$F run -d --name web -p 8080:80 box httpd -f -p 80 -h /data >/dev/null
        $F run -d --name other box sleep 100 >/dev/null
        for host in 127.0.0.1 '[::1]'; do curl -sS --retry 3 --retry-connrefused --max-time 9 http://$host:8080/file; done
        $F exec other wget -qO- http://web/file
        $F port web 80
        $F run --rm -p 8080:80 box true 2>&1 || echo refused
        $F rm -f web other >/dev/null
        ip -o link | grep -v ' lo:' || echo no link"#,
    );
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..5], ["from the image", "from the image", "from the image", "0.0.0.0:8080", "[::]:8080"]);
    assert!(lines[5].contains("already allocated"), "{out}");
    assert_eq!(lines[6..], ["refused", "no link"]);
    assert_eq!(oven.left(), [""; 0]);
}

#[test]
fn networks_are_apart_and_names_are_per_network() {
    let oven = Oven::new("networks");
    let out = oven.in_namespace(
        r#"$F network create --subnet 10.200.1.0/24 one >/dev/null
        $F network create --ipv6 two >/dev/null
        $F run -d --name srv --network one --network-alias alpha box httpd -f -p 80 -h /data >/dev/null
        $F run --rm --network one box wget -qO- http://alpha/file
        $F run --rm --network two box wget -T 2 -qO- http://alpha/file 2>/dev/null || echo apart
        $F run --rm --network two box cat /proc/net/if_inet6 | grep -c '^fd'
        $F network rm one 2>&1 || true
        $F rm -f srv >/dev/null
        $F network prune -f
        ip -o link | grep -v ' lo:' || echo no link"#,
    );
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..3], ["from the image", "apart", "1"]);
    assert!(lines[3].contains("in use by srv"), "{out}");
    assert_eq!(lines[4..], ["one", "two", "no link"]);
}

#[test]
fn what_a_container_changed_is_shown_and_becomes_an_image() {
    let oven = Oven::new("commit");
    let script = "echo new >/new; echo more >>/data/file; busybox rm /etc/group";
    oven.ok(&["run", "--name", "work", NONE, "-e", "A=1", "box", "busybox", "sh", "-c", script]);
    let changes = oven.ok(&["diff", "work"]);
    for line in ["A /new", "C /data/file", "D /etc/group"] {
        assert!(changes.lines().any(|found| found == line), "{changes}");
    }
    oven.ok(&["commit", "work", "changed:1"]);
    let script = "cat /new /data/file; ls /etc; echo $A";
    let out = oven.ok(&["run", "--rm", NONE, "changed:1", "sh", "-c", script]);
    assert_eq!(out, "new\nfrom the image\nmore\nhostname\nhosts\npasswd\nresolv.conf\n1");
}
