"""Podman: what root and an ordinary user both do."""

import concurrent.futures
import os
import re
import socket
import urllib.request

import image
from kit import Operations, equal, has, until
from terminal import Terminal

operation = operations = Operations()


@operation("info: the runtime is the default")
def _(podman):
    equal(podman("info", "--format", "{{.Host.OCIRuntime.Name}}"), podman.name)
    has(podman("info", "--format", "{{.Host.OCIRuntime.Version}}"), "version", "spec: 1.")


@operation("run --rm: output and exit code 0")
def _(podman):
    equal(podman.run("echo", "crumb"), "crumb")
    equal(podman("ps", "-aq"), "")


@operation("run -i: standard input; both outputs apart")
def _(podman):
    equal(podman("run", "--rm", "-i", image.NAME, "cat", stdin="flour\n"), "flour")
    equal(podman.run("sh", "-c", "echo in; echo out >&2"), "in")


@operation("run: the program's exit code, 128 + the signal")
def _(podman):
    podman.run("sh", "-c", "exit 42", code=42)
    podman.run("--init", "--", "sh", "-c", "kill -9 $$", code=137)


@operation("run: exit codes 125, 126, 127")
def _(podman):
    podman.run("--runtime", "/nowhere", "--", "true", code=125)
    has(podman.run("/etc/plain", code=126), "ermission denied")
    has(podman.run("nowhere", code=127), "executable file")
    has(podman.run("/nowhere", code=127), "no such file or directory")
    has(podman.run("-w", "/nowhere", "--", "true", code=126), "/nowhere")


@operation("run -d, logs, wait")
def _(podman):
    podman("run", "-d", "--name", "loaf", image.NAME, "sh", "-c", "echo crumb; echo crust >&2; exit 7")
    equal(podman("wait", "loaf"), "7")
    podman.logs("crumb")
    equal(podman("logs", "--tail", "1", "loaf"), "")
    has(podman("logs", "-t", "loaf"), "T", "crumb")


@operation("run -it: prompt, job control, window size")
def _(podman):
    shell = Terminal(*podman.words("run", "--rm", "-it", image.NAME), rows=33, columns=101, env=podman.env)
    shell.shows("# ")
    shell.shows_after("stty size\n", "33 101")
    shell.resize(20, 50)
    shell.shows_after("stty size\n", "20 50")
    shell.type("echo go; sleep 1000\n")
    shell.shows("\ngo")
    shell.shows_after("\x03", "# ")
    shell.shows_after("tty\n", "/dev/pts/0")
    shell.type("exit 5\n")
    shell.ends(5)


@operation("run -it: detach with its keys, attach again")
def _(podman):
    shell = Terminal(*podman.words("run", "--name", "loaf", "-it", image.NAME), env=podman.env)
    shell.shows("# ")
    shell.type("A=dough\n")
    shell.shows("# ")
    shell.detach()
    shell.ends(0)
    shell = Terminal(*podman.words("attach", "loaf"), env=podman.env)
    shell.type("echo $A-$A; exit 6\n")
    shell.shows("dough-dough")
    # podman's attach passes the exit code on only in later versions.
    shell.ends(None)
    equal(podman("wait", "loaf"), "6")


@operation("run --user: ids, names, further groups")
def _(podman):
    has(podman.run("--user", "1000:2000", "--", "id"), "uid=1000(baker) gid=2000(yeast)")
    has(podman.run("--user", "baker", "--group-add", "3000", "--", "id"), "uid=1000(baker)", "3000")


@operation("run -w, -e, --hostname, --entrypoint, --umask, --tz")
def _(podman):
    flags = ["-w", "/www", "-e", "A=b", "--hostname", "oven", "--umask", "0077", "--entrypoint", "sh"]
    equal(podman.run(*flags, "--", "-c", "echo $PWD $A $(hostname) $(umask)"), "/www b oven 0077")


@operation("run --read-only, --tmpfs")
def _(podman):
    has(podman.run("--read-only", "--", "touch", "/x", code=1), "Read-only file system")
    flags = ["--read-only", "--tmpfs", "/x:size=64k,mode=1770"]
    has(podman.run(*flags, "--", "sh", "-c", "touch /x/y; grep ' /x ' /proc/mounts"), "size=64k", "mode=1770")


@operation("run -v: a directory, a file, read-only, a volume")
def _(podman):
    dir = podman.dir("bind")
    podman.run("-v", f"{dir}:/d", "--", "sh", "-c", "echo crumb >/d/file")
    with open(f"{dir}/file") as file:
        equal(file.read(), "crumb\n")
    has(podman.run("-v", f"{dir}:/d:ro", "--", "touch", "/d/x", code=1), "Read-only file system")
    equal(podman.run("-v", f"{dir}/file:/note", "--", "cat", "/note"), "crumb")
    podman.run("-v", "jar:/d", "--", "touch", "/d/x")
    equal(podman.run("-v", "jar:/d", "--", "ls", "/d"), "x")
    podman("volume", "rm", "jar")


@operation("run -v: nosuid, noexec, an overlay (:O), another owner (:U)")
def _(podman):
    dir = podman.dir("owned")
    podman.run("-v", f"{dir}:/d", "--", "touch", "/d/old")
    has(podman.run("-v", f"{dir}:/d:nosuid,noexec", "--", "grep", " /d ", "/proc/mounts"), "nosuid", "noexec")
    equal(podman.run("-v", f"{dir}:/d:O", "--", "sh", "-c", "touch /d/new; ls /d").split(), ["new", "old"])
    equal(os.listdir(dir), ["old"])
    equal(podman.run("--user", "1000", "-v", f"{dir}:/d:U", "--", "stat", "-c", "%u", "/d/old"), "1000")


@operation("run --mount: tmpfs, image")
def _(podman):
    flags = ["--mount", "type=tmpfs,dst=/t,tmpfs-size=65536", "--mount", f"type=image,src={image.NAME},dst=/i"]
    equal(podman.run(*flags, "--", "sh", "-c", "cat /i/www/index.html; grep -c ' /t ' /proc/mounts"), "fresh bread\n1")


@operation("run -p: a published port answers")
def _(podman):
    podman.up("-p", "8080:80", "--", "httpd", "-f", "-h", "/www")

    def page():
        try:
            with urllib.request.urlopen("http://127.0.0.1:8080/") as answer:
                return answer.read().decode()
        except OSError:
            return None

    equal(until("the page comes", page), "fresh bread\n")


@operation("run --network none, container:, host")
def _(podman):
    equal(podman.run("--network", "none", "--", "ls", "/sys/class/net"), "lo")
    podman.up("--", "httpd", "-f", "-h", "/www")
    equal(podman.run("--network", "container:loaf", "--", "wget", "-qO-", "http://127.0.0.1"), "fresh bread")
    podman.run("--network", "host", "--", "true")


@operation("run --pid, --ipc, --uts: host, container:, private")
def _(podman):
    podman.up()
    has(podman.run("--pid", "container:loaf", "--", "ps"), "sleep 1000")
    # For a user podman binds the host's /dev/mqueue, which not every host has.
    ipc = ["--ipc", "host"] if podman.uid == 0 or os.path.exists("/dev/mqueue") else []
    podman.run("--uts", "host", *ipc, "--", "true")
    has(podman.run("--pid", "host", "--", "ps"), "main.py")


@operation("run --privileged")
def _(podman):
    found = podman.run("--privileged", "--", "sh", "-c", "mount -t tmpfs x /tmp && grep CapEff /proc/self/status && ls /dev")
    has(found, "CapEff:\t0000", "null")


@operation("run --cap-drop, --cap-add; no-new-privileges; masks")
def _(podman):
    flags = ["--cap-drop", "ALL", "--cap-add", "NET_RAW", "--security-opt", "no-new-privileges"]
    found = podman.run(*flags, "--", "grep", "-E", "CapEff|NoNewPrivs", "/proc/self/status")
    has(found, "0000000000002000", "NoNewPrivs:\t1")
    equal(podman.run("sh", "-c", "wc -c </proc/keys; ls -A /sys/firmware | wc -l").split(), ["0", "0"])
    podman.run("--security-opt", "unmask=ALL", "--", "cat", "/proc/keys")
    equal(podman.run("--security-opt", "mask=/www", "--", "ls", "/www"), "")


@operation("run: podman's seccomp profile, and without")
def _(podman):
    has(podman.run("grep", "Seccomp:", "/proc/self/status"), "2")
    has(podman.run("--security-opt", "seccomp=unconfined", "--", "grep", "Seccomp:", "/proc/self/status"), "0")


@operation("run --ulimit, --sysctl, --shm-size")
def _(podman):
    flags = ["--ulimit", "nofile=100:200", "--ulimit", "nproc=99", "--sysctl", "net.ipv4.ip_unprivileged_port_start=80", "--shm-size", "1m"]
    found = podman.run(*flags, "--", "sh", "-c", "ulimit -n; ulimit -Hn; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; "
                       "grep -c 'shm.*size=1024k' /proc/mounts")
    equal(found.split(), ["100", "200", "80", "1"])


@operation("run --init reaps orphans")
def _(podman):
    podman.up("--init", "--", "sh", "-c", "sleep 1000")
    has(podman("exec", "loaf", "cat", "/proc/1/cmdline"), "init")
    podman("exec", "loaf", "sh", "-c", "(sleep 0.1 &)")
    states = lambda: re.findall(r"[(].*[)] (.)", podman("exec", "loaf", "sh", "-c", "cat /proc/[0-9]*/stat"))
    until("no zombie is left", lambda: "Z" not in states())


@operation("run --preserve-fds, exec --preserve-fds")
def _(podman):
    name = podman.shell("cat /etc/hostname")
    command = f"{image.NAME} cat /proc/self/fd/3"
    equal(podman.shell(f"exec 3</etc/hostname; podman run --rm --preserve-fds 1 {command}"), name)
    podman.up()
    equal(podman.shell("exec 3</etc/hostname; podman exec --preserve-fds 1 loaf cat /proc/self/fd/3"), name)


@operation("run --secret, --env-file, --label, --annotation")
def _(podman):
    secret = podman.scene.write("secret", "yeast\n")
    podman("secret", "create", "recipe", secret)
    equal(podman.run("--secret", "recipe", "--annotation", "a=b", "--", "cat", "/run/secrets/recipe"), "yeast")
    podman("secret", "rm", "recipe")


@operation("health checks")
def _(podman):
    podman.up("--health-cmd", "test -e /tmp/ready", "--health-retries", "1", "--health-interval", "disable")
    podman("healthcheck", "run", "loaf", code=1)
    podman("exec", "loaf", "touch", "/tmp/ready")
    podman("healthcheck", "run", "loaf")
    equal(podman.show(".State.Health.Status"), "healthy")


@operation("exec: output, exit codes 126, 127 and its own")
def _(podman):
    podman.up()
    equal(podman("exec", "loaf", "echo", "crumb"), "crumb")
    podman("exec", "loaf", "sh", "-c", "exit 9", code=9)
    has(podman("exec", "loaf", "nowhere", code=127), "executable file")
    has(podman("exec", "loaf", "/etc/plain", code=126), "ermission denied")


@operation("exec -u, -w, -e, -d, -i, --privileged")
def _(podman):
    podman.up()
    found = podman("exec", "-u", "baker", "-w", "/www", "-e", "A=b", "loaf", "sh", "-c", "echo $(id -un) $PWD $A")
    equal(found, "baker /www b")
    podman("exec", "-d", "loaf", "touch", "/tmp/there")
    until("the detached program ran", lambda: podman("exec", "loaf", "ls", "/tmp") == "there")
    equal(podman("exec", "-i", "loaf", "cat", stdin="flour"), "flour")
    has(podman("exec", "--privileged", "loaf", "grep", "CapEff", "/proc/self/status"), "CapEff:\t0000")


@operation("exec -it at a terminal")
def _(podman):
    podman.up()
    shell = Terminal(*podman.words("exec", "-it", "loaf", "sh"), rows=31, columns=91, env=podman.env)
    shell.shows("# ")
    shell.shows_after("stty size\n", "31 91")
    shell.type("exit 4\n")
    shell.ends(4)


@operation("top, ps, inspect, port")
def _(podman):
    podman.up("-p", "8080:80")
    has(podman("top", "loaf"), "sleep 1000")
    has(podman("top", "loaf", "pid", "seccomp", "args"), "filter")
    has(podman("ps", "--format", "{{.Names}} {{.Status}}"), "loaf Up")
    equal(podman.show(".OCIRuntime"), podman.name)
    has(podman("port", "loaf"), "80/tcp -> 0.0.0.0:8080")


@operation("kill by name and number; stop, its grace and its signal")
def _(podman):
    podman.up("--", "sh", "-c", "trap 'echo hup' HUP; trap 'exit 8' TERM; echo ready; while :; do sleep 0.1; done")
    podman.logs("ready")
    podman("kill", "-s", "HUP", "loaf")
    podman.logs("hup")
    podman("stop", "loaf")
    equal(podman.show(".State.ExitCode"), "8")
    podman("start", "loaf")
    podman("kill", "loaf")
    equal(podman("wait", "loaf"), "137")


@operation("restart, start; restart policy")
def _(podman):
    podman.up("--", "sh", "-c", "date >>/tmp/starts; sleep 1000")
    podman("restart", "-t", "0", "loaf")
    until("it started twice", lambda: podman("exec", "loaf", "sh", "-c", "wc -l </tmp/starts") == "2")
    podman("run", "-d", "--name", "again", "--restart", "on-failure:2", image.NAME, "sh", "-c", "exit 1")
    until("it was restarted", lambda: podman.show(".RestartCount", "again") == "2")


@operation("create, init, start -a, cp, diff, commit, export, rename")
def _(podman):
    podman("create", "--name", "loaf", image.NAME, "sh", "-c", "cat /x; touch /y")
    podman("cp", podman.scene.write("x", "crumb\n"), "loaf:/x")
    podman("init", "loaf")
    equal(podman("start", "-a", "loaf"), "crumb")
    has(podman("diff", "loaf"), "A /y")
    podman("commit", "-q", "loaf", "crust")
    podman("rename", "loaf", "bread")
    equal(podman("run", "--rm", "crust", "ls", "/y"), "/y")
    podman("rm", "bread")
    podman("rmi", "crust")


def hears(listener, *parts):
    texts = ""
    while not all(part in texts for part in parts):
        texts += listener.recv(4096).decode() + "\n"


@operation("run --sdnotify=conmon, and =container")
def _(podman):
    dir = podman.dir("notify")
    path = f"{dir}/socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        os.chmod(path, 0o777)
        listener.settimeout(30)
        env = {"NOTIFY_SOCKET": path}
        podman("run", "-d", "--name", "loaf", "--sdnotify", "conmon", image.NAME, "sleep", "1000", env=env)
        hears(listener, "MAINPID=", "READY=1")
        podman.clean()
        script = 'socket(S,1,2,0); send(S,"READY=1",0,pack("Sa*",1,$ENV{NOTIFY_SOCKET})) or die $!; sleep 1000'
        mounts = [word for dir in ("/usr", "/usr/lib:/lib", "/usr/lib64:/lib64") for word in ("-v", f"{dir if ':' in dir else dir + ':' + dir}:ro")]
        podman("run", "-d", "--name", "loaf", "--sdnotify", "container", *mounts, image.NAME, "/usr/bin/perl", "-e", script, env=env)
        hears(listener, "MAINPID=", "READY=1")


@operation("run --systemd=always: what systemd wants")
def _(podman):
    found = podman.run("--systemd", "always", "--", "sh", "-c", "echo $container; grep -E ' /(run|tmp|var/log/journal) ' /proc/mounts")
    has(found, "podman", "/run tmpfs", "/tmp tmpfs")


@operation("checkpoint: refused in clear words")
def _(podman):
    podman.up()
    podman("container", "checkpoint", "loaf", code=125)
    equal(podman.show(".State.Status"), "running")


@operation("build with RUN")
def _(podman):
    podman.scene.write("context/Dockerfile", f"FROM {image.NAME}\nRUN echo flour >/flour\nUSER baker\nRUN id -un >/tmp/user\nCMD cat /flour /tmp/user\n")
    podman("build", "-q", "--no-cache", "-t", "cake", podman.scene.path("context"))
    equal(podman("run", "--rm", "cake").split(), ["flour", "baker"])
    podman("rmi", "cake")


@operation("events of a container's life; generate systemd")
def _(podman):
    podman.up()
    podman.clean()
    found = podman("events", "--stream=false", "--filter", "container=loaf", "--format", "{{.Status}}").split()
    for action in ("create", "start", "died", "remove"):
        has(found, action)


@operation("eight containers at once")
def _(podman):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        equal(list(pool.map(lambda n: podman.run("echo", str(n)), range(8))), [str(n) for n in range(8)])
