//! Black-box tests of `forno` without root: a script as an ordinary user, to whom /etc/subuid and /etc/subgid give ids in
//! a mount namespace of the test's. They need root, to become that user, newuidmap and busybox-static. $FORNO names
//! another program to test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// A file of this machine that a test may hide, its path.
type Hidden = &'static str;

fn forno() -> PathBuf {
    std::env::var_os("FORNO").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_forno")), PathBuf::from)
}

/// A root file system with busybox and files of several owners, as an archive that every test imports.
fn archive() -> &'static Path {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("forno-rootless-{}.tar", std::process::id()));
        let script = r#"set -e
            root=$(mktemp -d); trap 'rm -rf "$root"' EXIT
            mkdir -p "$root/bin" "$root/etc" "$root/data" "$root/tmp" "$root/srv"
            cp "$(command -v busybox)" "$root/bin/busybox"
            for applet in sh cat echo sleep id ls touch chown httpd wget hostname true stat mkdir adduser; do
                ln -sf busybox "$root/bin/$applet"
            done
            printf 'root:x:0:0:root:/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\n' >"$root/etc/passwd"
            printf 'root:x:0:\nana:x:1000:\nwheel:x:10:ana\n' >"$root/etc/group"
            echo from the image >"$root/data/file"
            chown 1000:1000 "$root/data/file"; chmod 640 "$root/data/file"
            echo web >"$root/srv/file"; chown 33:34 "$root/srv/file"; chmod 4755 "$root/srv/file"
            chmod 1777 "$root/tmp"; chmod 755 "$root"
            tar -C "$root" -cf "$1" ."#;
        assert!(Command::new("sh").args(["-c", script, "sh"]).arg(&path).status().unwrap().success());
        path
    })
}

/// Runs as root, in a mount namespace of its own; what is in capitals the user's script has too.
const AS_USER: &str = r#"
cd "$BASE"
mkdir -p etc bin home run tun
mount -t tmpfs etc etc
mkdir etc/up etc/work
mount -t overlay -o "lowerdir=/etc,upperdir=$BASE/etc/up,workdir=$BASE/etc/work" etc /etc
echo baker:x:4242:4242::/:/bin/sh >>/etc/passwd
echo baker:x:4242: >>/etc/group
: >/etc/subuid; : >/etc/subgid
if [ "$RANGE" ]; then
    echo baker:$RANGE >/etc/subuid
    echo baker:$RANGE >/etc/subgid
fi
mount -t tmpfs tun tun
mknod -m 666 tun/tun c 10 200
[ ! -e /dev/net/tun ] || mount --bind tun/tun /dev/net/tun
for hidden in $HIDDEN; do [ ! -e "$hidden" ] || mount --bind /dev/null "$hidden"; done
mount --bind "$PROGRAMS" bin
chown 4242:4242 home run
chmod 700 run
cd home
as_user() {
    exec setpriv --reuid 4242 --regid 4242 --clear-groups --inh-caps=-all \
        env -i PATH="$BASE/bin:$PATH" HOME="$BASE/home" XDG_RUNTIME_DIR="$BASE/run" BOX="$BOX" "$@"
}
as_user sh -euc "$FUNCTIONS $SCRIPT""#;

const FUNCTIONS: &str = r#"
holder() { cut -d' ' -f1 "$XDG_RUNTIME_DIR/forno/holder"; }
# A process that was killed is there for a while still.
murder() { kill -9 "$1"; until grep -qs '^State:.[ZX]' /proc/$1/status || [ ! -e /proc/$1 ]; do sleep 0.01; done; }
murder_members() { for member in "$XDG_RUNTIME_DIR"/forno/members/*; do pid=${member##*/}; murder "${pid%-*}"; done; }
"#;

/// A home of a user, and what forno keeps there.
struct Home {
    base: PathBuf,
    range: &'static str,
    hidden: Vec<Hidden>,
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

const RANGE: &str = "300000:65536";

impl Home {
    /// `None`, and a word about it, where the machine lacks something.
    fn new(name: &str) -> Option<Home> {
        let installed = |name: &str| Path::new("/usr/bin").join(name).exists() || Path::new("/bin").join(name).exists();
        for program in ["newuidmap", "busybox", "setpriv"] {
            if !installed(program) {
                return skip(&format!("{program} is not installed"));
            }
        }
        let users = std::fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
        if users.trim() == "0" || !nix::unistd::geteuid().is_root() {
            return skip("it takes root and user namespaces");
        }
        let base = std::env::temp_dir().join(format!("forno-rootless-{name}-{}", std::process::id()));
        std::fs::create_dir(&base).unwrap();
        Some(Home { base, range: RANGE, hidden: Vec::new() })
    }

    fn command(&self, namespaces: &str, script: &str, prelude: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args([namespaces, "--propagation", "private", "sh", "-euc", &format!("{prelude}\n{AS_USER}")]);
        command.env("BASE", &self.base).env("RANGE", self.range).env("HIDDEN", self.hidden.join(" "));
        command.env("PROGRAMS", forno().parent().unwrap()).env("BOX", archive()).env("SCRIPT", script);
        command.env("FUNCTIONS", FUNCTIONS);
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, script: &str) -> Said {
        self.command("-m", script, "").output().unwrap().into()
    }

    /// What a script that must succeed has said.
    #[track_caller]
    fn ok(&self, script: &str) -> String {
        let said = self.run(script);
        assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
        said.out
    }

    /// In a network namespace with an address of its own and a way out, which `prelude` (root's) adds to.
    #[track_caller]
    fn with_network(&self, prelude: &str, script: &str) -> String {
        let network = "ip link set lo up; ip link add up0 type veth peer name up1; ip link set up1 up
            ip addr add 10.9.9.1/24 dev up0; ip addr add 10.9.9.7/32 dev lo; ip link set up0 up
            ip route add default via 10.9.9.2";
        let said: Said = self.command("-mn", script, &format!("{network}\n{prelude}")).output().unwrap().into();
        assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
        said.out
    }

    fn holder(&self) -> Option<i32> {
        let text = std::fs::read_to_string(self.base.join("run/forno/holder")).ok()?;
        let pid = text.split(' ').next()?.parse().ok()?;
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        line.starts_with("forno\0hold").then_some(pid)
    }

    /// Processes of the user whose words have this place in them.
    fn processes(&self) -> Vec<String> {
        let base = self.base.display().to_string();
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        let line = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("cmdline")).ok();
        pids.filter_map(line).filter(|line| line.contains(&base)).collect()
    }

    fn left(&self) -> Vec<String> {
        let store = self.base.join("home/.local/share/forno");
        let names = |place: &str| {
            let entries =
                std::fs::read_dir(store.join(place)).into_iter().flatten().map(|entry| entry.unwrap().file_name());
            let names = entries.filter(|name| name != ".names").map(|name| format!("{place}/{}", name.display()));
            names.collect::<Vec<_>>()
        };
        // A supervisor that has said that all is over still has to end itself.
        while !self.processes().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        [names("containers"), names("snapshots"), names("containers/.names")].concat()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.run("for id in $(forno ps -aq); do forno rm -f $id; done");
        }
        if let Some(pid) = self.holder() {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        let _ = Command::new("rm").arg("-rf").arg(&self.base).status();
    }
}

/// Past the harness, which keeps what is printed.
fn skip<T>(why: &str) -> Option<T> {
    use std::io::Write;
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "skip {}: {why}", thread.name().unwrap_or("?"));
    None
}

#[test]
fn an_image_keeps_its_owners_and_its_containers_their_users() {
    let Some(home) = Home::new("owners") else { return };
    let out = home.ok(r#"forno import "$BOX" box >/dev/null
        forno images --format '{{.Repository}}:{{.Tag}}'
        forno run --rm --network none box sh -c 'id -u; stat -c "%u %g %a" /data/file /srv/file /tmp'
        forno run --rm --network none -u ana box sh -c 'id; cat /data/file; touch /x 2>/dev/null || echo refused'
        forno run --rm --network none -u 65536:65535 box id -u
        forno run --rm --network none --cap-add ALL box sh -c 'touch /n; chown 5:6 /n; stat -c "%u %g" /n'
        forno run --rm --network host box sh -c 'ls /sys/class/net | busybox grep -c lo'
        forno run --rm --network none --pid host --ipc host --uts host box sh -c 'ls /proc | busybox grep -c "^1$"'
        forno info --format '{{.Rootless}}'"#);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..5], ["box:latest", "0", "1000 1000 640", "33 34 4755", "0 0 1777"]);
    assert_eq!(lines[5..8], ["uid=1000(ana) gid=1000(ana) groups=10(wheel),1000(ana)", "from the image", "refused"]);
    assert_eq!(lines[8..], ["65536", "5 6", "1", "1", "true"]);
    assert_eq!(home.left(), [""; 0]);
    // On the disk the files are those of the user's ranges: the second id inside is the first of them.
    let store = home.base.join("home/.local/share/forno/layers");
    let find = Command::new("find").arg(store).args(["-name", "file", "-printf", "%U:%G %m\n"]).output().unwrap();
    let mut found: Vec<String> = String::from_utf8(find.stdout).unwrap().lines().map(str::to_owned).collect();
    found.sort();
    assert_eq!(found, ["300032:300033 4755", "300999:300999 640"]);
    let said = home.run("forno run --rm --network none -u 70000 box true");
    assert_eq!(said.code, 125);
    assert!(said.err.contains("user 70000:0 is none of the ids that /etc/subuid"), "{}", said.err);
    assert_eq!(home.left(), [""; 0]);
}

#[test]
fn a_container_lives_on_when_who_holds_the_namespaces_is_killed() {
    let Some(home) = Home::new("holder") else { return };
    let out = home.ok(r#"forno import "$BOX" box >/dev/null
        forno run -d --name web --network none box sh -c 'echo began; sleep 1000' >/dev/null
        inside() { forno exec -u ana web sh -c 'readlink /proc/self/ns/user; id -u'; }
        inside
        before=$(holder); murder "$before"
        inside
        [ "$(holder)" != "$before" ] && echo another one holds them
        murder "$(holder)"
        forno logs web
        forno cp web:/data/file copy && cat copy
        forno diff web | grep -c /nothing || true
        forno top web | grep -c 'sleep 1000'
        forno stats --no-stream --format '{{.PIDs}}' web
        forno stop -t 0 web
        forno ps -a --format '{{.State}}'
        forno start web >/dev/null; murder "$(holder)"; forno exec web id -u
        forno commit web changed >/dev/null
        forno rm -f web"#);
    let lines: Vec<&str> = out.lines().collect();
    // The one namespace, whoever holds it.
    assert!(lines[0].starts_with("user:[") && lines[0] == lines[2], "{out}");
    assert_eq!((lines[1], lines[3], lines[4]), ("1000", "1000", "another one holds them"));
    assert_eq!(lines[5..], ["began", "from the image", "0", "1", "1", "web", "exited", "0", "web"]);
    assert_eq!(home.left(), [""; 0]);
}

#[test]
fn a_supervisor_that_was_killed_leaves_nothing_behind() {
    let Some(home) = Home::new("killed") else { return };
    let out = home.ok(r#"forno import "$BOX" box >/dev/null
        forno run -d --name web --network none box sleep 1000 >/dev/null
        murder_members
        forno ps --format '{{.State}}'
        forno exec web id -u
        forno rm -f web
        forno ps -aq"#);
    assert_eq!(out, "running\n0\nweb");
    // Who looks for members finds that it is none.
    assert_eq!(home.ok("ls $XDG_RUNTIME_DIR/forno/members | wc -l; murder $(holder); forno images >/dev/null"), "1");
    assert_eq!(home.ok("ls $XDG_RUNTIME_DIR/forno/members"), "");
    assert_eq!(home.left(), [""; 0]);
}

#[test]
fn first_calls_at_once_share_one_namespace() {
    let Some(home) = Home::new("at-once") else { return };
    let out = home.ok(
        r#"for n in 1 2 3 4 5 6 7 8; do forno unshare readlink /proc/self/ns/user /proc/self/ns/mnt >out.$n & done; wait
        sort -u out.* | wc -l
        for n in 1 2 3; do forno import "$BOX" box$n >/dev/null & done; wait
        for n in 1 2 3; do forno run --rm --network none box$n cat /data/file & done; wait
        forno images -q | sort -u | wc -l"#,
    );
    let image = "from the image";
    let lines: Vec<&str> = out.lines().collect();
    // A user and a mount namespace, and three times the same layer under an image of its own time at most.
    assert_eq!(lines[..4], ["2", image, image, image]);
    assert!(matches!(lines[4], "1" | "2" | "3"));
    assert_eq!(home.left(), [""; 0]);
}

#[test]
fn without_ids_all_files_are_the_users_until_there_are_some() {
    let Some(mut home) = Home::new("no-ids") else { return };
    home.range = "";
    let said = home.run(r#"forno import "$BOX" box >/dev/null"#);
    assert_eq!(said.code, 0, "{}", said.err);
    for words in ["warning: /etc/subuid and /etc/subgid give you no ids", "files of other users become yours"] {
        assert_eq!(said.err.matches(words).count(), 1, "{}", said.err);
    }
    let out = home.ok(r#"forno run --rm --network none box sh -c 'stat -c "%u %g" /data/file /srv/file; id -u'
        printf 'FROM box\nRUN touch /made\nCOPY --chown=5:6 Dockerfile /copy\n' >Dockerfile
        forno build -q -t built . >/dev/null
        forno run --rm --network none built stat -c '%u %g' /made /copy
        forno run -d --name long --network none box sleep 1000 >/dev/null
        forno exec long id -u; forno rm -f long"#);
    assert_eq!(out, "0 0\n0 0\n0\n0 0\n0 0\n0\nlong");
    let said = home.run("forno run --rm --network none -u ana box id");
    assert_eq!(said.code, 125);
    assert!(
        said.err.contains("user 1000:1000 is none of the ids that /etc/subuid and /etc/subgid give"),
        "{}",
        said.err
    );
    home.range = RANGE;
    let out = home.ok("forno run --rm --network none -u ana box sh -c 'cat /data/file; stat -c \"%u %g\" /data/file'");
    assert_eq!(out, "from the image\n1000 1000");
    // What has files of the ranges is not for who has none of them.
    home.range = "400000:65536";
    let said = home.run("murder $(holder); forno images");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("its files have the ids of another user namespace"), "{}", said.err);
    let store = home.base.join("home/.local/share/forno");
    let root: Said = Command::new(forno()).arg("--root").arg(store).arg("images").output().unwrap().into();
    assert!(root.code == 1 && root.err.contains("work as the user who made it"), "{}", root.err);
    assert_eq!(home.left(), [""; 0]);
}

#[test]
fn a_build_gives_files_to_several_users() {
    let Some(home) = Home::new("build") else { return };
    let out = home.ok(r#"forno import "$BOX" box >/dev/null
        cat >Dockerfile <<'END'
        FROM box AS first
        RUN mkdir /var /var/lib && touch /var/lib/state && chown -h 7:8 /var/lib/state && chown 9 /var/lib
        USER ana
        WORKDIR /home/ana/work
        RUN id -un && touch mine && busybox rm -f /srv/file; ls /srv
        USER root
        RUN busybox rm /srv/file && busybox mknod /fifo p
        COPY --chown=33:34 --chmod=4711 Dockerfile /copied
        FROM box
        COPY --from=first / /tree/
        RUN --network=none ls /sys/class/net >/networks
        RUN --mount=type=cache,target=/cache,uid=3,gid=4 stat -c '%u %g' /cache >/cache-owner
        RUN --mount=type=secret,id=s,uid=5,required stat -c '%u %a' /run/secrets/s >/secret-owner
END
        echo hidden >s
        forno build --secret id=s,src=s -t built . >log 2>&1 || { cat log; exit 1; }
        forno run --rm --network none built sh -c 'cd /tree
            stat -c "%n %u %g %a" var/lib var/lib/state home/ana/work home/ana/work/mine copied data/file
            ls srv; cat /networks /cache-owner /secret-owner'
        forno build -t built . --secret id=s,src=s 2>&1 | grep -c CACHED
        forno prune -f >/dev/null
        forno save -o saved.tar built && forno rmi built >/dev/null && forno load -i saved.tar >/dev/null
        forno run --rm --network none built stat -c '%u %g %a' /tree/copied"#);
    let expected = [
        "var/lib 9 0 755",
        "var/lib/state 7 8 644",
        "home/ana/work 1000 1000 755",
        "home/ana/work/mine 1000 1000 644",
        "copied 33 34 4711",
        "data/file 1000 1000 640",
        "lo",
        "3 4",
        "5 400",
    ];
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..9], expected, "{out}");
    assert_ne!(lines[9], "0");
    assert_eq!(lines[10..], ["33 34 4711"]);
    assert_eq!(home.left(), [""; 0]);
}

#[test]
fn volumes_are_the_users_and_begin_with_the_images_files() {
    let Some(home) = Home::new("volumes") else { return };
    let out = home.ok(
        r#"forno import "$BOX" box >/dev/null
        forno run --rm --network none -v "$HOME/new:/mnt" -v data:/data box sh -c 'echo a >/mnt/a; touch /mnt/b; chown 33 /mnt/b'
        cat new/a; stat -c '%u' new/a new/b
        forno run --rm --network none -u ana -v data:/d box sh -c 'cat /d/file; stat -c "%u %g" /d/file; echo more >>/d/file'
        forno run --rm --network none -u ana -v data:/d:ro box sh -c 'cat /d/file; echo x 2>/dev/null >/d/file || echo ro'
        forno run --rm --network none --tmpfs /t --read-only box sh -c 'touch /t/x; touch /x 2>/dev/null || echo ro'
        forno volume rm data
        forno run --rm --network none -v /root:/r box ls /r 2>/dev/null || echo not yours"#,
    );
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..3], ["a", "4242", "300032"]);
    assert_eq!(lines[3..5], ["from the image", "1000 1000"]);
    assert_eq!(lines[5..], ["from the image", "more", "ro", "ro", "data", "not yours"]);
    assert_eq!(home.left(), [""; 0]);
}

#[test]
fn an_image_is_pushed_to_a_registry_and_pulled_again() {
    if !Path::new("/usr/bin/docker-registry").exists() {
        return skip("docker-registry is not installed").unwrap_or_default();
    }
    let Some(home) = Home::new("registry") else { return };
    let registry = r#"mkdir "$BASE/registry"
        printf '%s\n' 'version: 0.1' 'storage: {filesystem: {rootdirectory: '"$BASE/registry"'}}' 'http: {addr: 127.0.0.1:5000}' >"$BASE/registry.yml"
        chown -R 4242:4242 "$BASE/registry""#;
    let out = home.with_network(
        registry,
        r#"docker-registry serve "${HOME%/*}/registry.yml" >registry.log 2>&1 & registry=$!
        trap 'kill $registry' EXIT
        curl -sS --retry 30 --retry-connrefused --retry-delay 1 http://localhost:5000/v2/ >/dev/null
        forno import "$BOX" localhost:5000/box:1 >/dev/null
        forno push -q localhost:5000/box:1 >pushed
        forno run --rm --network none localhost:5000/box:1 stat -c '%u %g %a' /data/file /srv/file
        forno rmi localhost:5000/box:1 >/dev/null; forno prune -f >/dev/null; forno images -q
        forno run --pull always -q --rm --network none localhost:5000/box:1 stat -c '%u %g %a' /data/file /srv/file"#,
    );
    assert_eq!(out, "1000 1000 640\n33 34 4755\n1000 1000 640\n33 34 4755");
    assert_eq!(home.left(), [""; 0]);
}

#[test]
fn a_bundle_is_run_where_its_root_is_mounted() {
    let Some(home) = Home::new("bundle") else { return };
    let out = home.ok(r#"forno import "$BOX" box >/dev/null
        forno bundle box mounted sh -c 'id -u; stat -c "%u %g" /data/file; touch /new'
        forno unshare bolo run --bundle mounted mounted-one
        forno unshare ls mounted/rootfs/new; ls mounted/rootfs
        forno unbundle mounted
        forno bundle --copy box copied sh -c 'stat -c "%u %g" /data/file'
        stat -c %u copied/rootfs/data/file
        forno unshare bolo run --bundle copied copied-one
        forno unbundle copied; ls
        forno unshare sh -c 'id -u; exit 7' || echo $?
        forno unshare /nosuch 2>&1 || echo $?"#);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..5], ["0", "1000 1000", "mounted/rootfs/new", "300999", "1000 1000"]);
    assert_eq!(lines[5..], ["0", "7", "forno: run /nosuch: no such file or directory", "127"]);
    assert_eq!(home.left(), [""; 0]);
}

/// What a network without root does, by one of the two programs.
fn network(home: &Home, program: &str) -> String {
    let server = r#"mkdir "$BASE/www"; echo outside >"$BASE/www/file"
        setpriv --reuid 4242 --clear-groups busybox httpd -f -p 10.9.9.7:9000 -h "$BASE/www" >/dev/null 2>&1 &
        echo $! >"$BASE/server""#;
    let script = r#"trap 'kill $(cat "${HOME%/*}/server") 2>/dev/null || true' EXIT
        forno import "$BOX" box >/dev/null
        forno run -d --name web --network PROGRAM -p 8080:80 -p 127.0.0.1:8081:80 box httpd -f -p 80 -h /data >/dev/null
        forno exec web busybox chmod 644 /data/file
        for place in 127.0.0.1:8080 127.0.0.1:8081 10.9.9.1:8080; do curl -sS --max-time 20 http://$place/file; done
        curl -sS --max-time 20 http://10.9.9.1:8081/file 2>/dev/null || echo not reached
        forno port web 80
        forno exec web cat /etc/resolv.conf
        forno inspect -f '{{.NetworkSettings.IPAddress}}' web
        forno run --rm --network PROGRAM -p 8080:80 box true 2>&1 || echo $?
        forno run --rm --network PROGRAM -p 80:80 box true 2>&1 || echo $?
        forno run --rm --network container:web box wget -qO- http://127.0.0.1/file
        forno run --rm --network PROGRAM box wget -qO- http://10.9.9.7:9000/file
        forno restart -t 0 web >/dev/null
        curl -sS --max-time 20 --retry 30 --retry-connrefused --retry-delay 1 -o /dev/null -w '%{http_code}\n' http://127.0.0.1:8080/
        murder_members
        forno rm -f web"#;
    home.with_network(server, &script.replace("PROGRAM", program))
}

#[test]
fn a_network_without_root_is_pastas() {
    if !Path::new("/usr/bin/pasta").exists() || !Path::new("/dev/net/tun").exists() {
        return skip("pasta (package passt), or /dev/net/tun, is not there").unwrap_or_default();
    }
    let Some(home) = Home::new("pasta") else { return };
    check_network(&network(&home, "bridge"));
    assert_eq!(home.left(), [""; 0]);
}

#[test]
fn a_network_without_root_is_slirp4netns() {
    if !Path::new("/usr/bin/slirp4netns").exists() || !Path::new("/dev/net/tun").exists() {
        return skip("slirp4netns, or /dev/net/tun, is not there").unwrap_or_default();
    }
    let Some(home) = Home::new("slirp") else { return };
    check_network(&network(&home, "slirp4netns"));
    assert_eq!(home.left(), [""; 0]);
}

#[track_caller]
fn check_network(out: &str) {
    let lines: Vec<&str> = out.lines().collect();
    let image = "from the image";
    assert_eq!(lines[..4], [image, image, image, "not reached"], "{out}");
    assert_eq!(lines[4..8], ["0.0.0.0:8080", "127.0.0.1:8081", "nameserver 10.0.2.3", "10.0.2.100"], "{out}");
    assert!(lines[8].contains("already allocated") && lines[9] == "125", "{out}");
    assert!(lines[10].contains("low ones are root's") && lines[11] == "125", "{out}");
    assert_eq!(lines[12..], [image, "outside", "404", "web"], "{out}");
}

#[test]
fn a_network_that_cannot_be_says_what_can() {
    let Some(mut home) = Home::new("no-network") else { return };
    home.hidden = vec!["/usr/bin/pasta", "/usr/bin/slirp4netns"];
    let said = home.run(
        r#"forno import "$BOX" box >/dev/null
        forno run --rm box true || echo $?
        forno run --rm --network mine box true || echo $?
        forno network create mine || echo $?"#,
    );
    assert_eq!(said.out, "125\n125\n1", "{}", said.err);
    for words in [
        "it needs pasta (package passt) or slirp4netns (package slirp4netns), not installed here",
        "network mine: without root there are bridge (the default), host, none and container:NAME only",
        "network mine: only root makes networks",
    ] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    assert_eq!(home.left(), [""; 0]);
}
