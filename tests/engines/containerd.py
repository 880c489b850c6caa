"""containerd with its own client, ctr."""

import image
from containerd_crash import operations as crash_operations
from interrupt import wrapper
from kit import Failure, Operations, all_that_we_have, call, equal, has, until
from terminal import Terminal

own = operation = Operations()

CONFIGURATION = """version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
"""
RUNC_ROOT = "/run/runtime-under-test"


class Engine:
    def __init__(self, scene):
        self.scene = scene
        self.socket = "/run/containerd.sock"
        self.program, self.interruptible = scene.program, wrapper(scene)
        self.count = 0

    def start(self):
        self.start_daemon()
        self("images", "import", self.scene.archive())
        self.run("true")
        self.before = self.scene.state()

    def start_daemon(self):
        config = self.scene.write("containerd.toml", CONFIGURATION.format(socket=self.socket))
        self.daemon = self.scene.daemon("containerd", "--config", config)
        until("containerd answers", self.answers)

    def answers(self):
        if self.daemon.poll() is not None:
            raise Failure(f"containerd ended: see {self.scene.path('containerd.log')}")
        try:
            return call("ctr", "--address", self.socket, "version")
        except Failure:
            return None

    def stop(self):
        self.scene.stop(self.daemon)

    def words(self, *words):
        return ["ctr", "--address", self.socket, *words]

    def __call__(self, *words, code=0, stdin=""):
        return call(*self.words(*words), code=code, stdin=stdin)

    def run_words(self, *flags, id="loaf", program=None, command=("sleep", "1000")):
        which = ["--runc-binary", program or self.program, "--runc-root", RUNC_ROOT]
        return self.words("run", *which, *flags, image.NAME, id, *command)

    def run(self, *words, code=0):
        at = words.index("--") if "--" in words else 0
        self.count += 1
        command = words[at + ("--" in words):]
        return call(*self.run_words("--rm", *words[:at], id=f"crumb{self.count}", command=command), code=code)

    def up(self, *words, **options):
        at = words.index("--") if "--" in words else len(words)
        command = words[at + 1:] or ("sleep", "1000")
        return call(*self.run_words("-d", *words[:at], command=command, **options))

    def exec(self, *words, code=0):
        at = words.index("--") if "--" in words else 0
        command = words[at + ("--" in words):]
        self.count += 1
        return self("task", "exec", "--exec-id", f"e{self.count}", *words[:at], "loaf", *command, code=code)

    def status(self, id="loaf"):
        for line in self("task", "ls").splitlines():
            if line.split()[0] == id:
                return line.split()[2]
        return None

    def pid(self, id="loaf"):
        for line in self("task", "ls").splitlines():
            if line.split()[0] == id:
                return int(line.split()[1])
        raise Failure(f"no task {id}")

    def clean(self):
        for id in self("task", "ls", "-q").split():
            call(*self.words("task", "resume", id), code=None)
            self("task", "rm", "-f", id, code=None)
        for id in self("containers", "ls", "-q").split():
            self("containers", "rm", id)

    def nothing_left(self, before=None):
        self.scene.left(before or self.before, r"process \d+ containerd |cgroup .*/(default|k8s.io)$|state .*/(default|k8s.io)$")


@own("version and features of the runtime")
def _(ctr):
    lines = call(ctr.program, "--version").splitlines()
    has(lines[0], " version ")
    has(lines[-1] if len(lines) < 3 else "\n".join(lines), "spec: ")


@own("run --rm: output, exit code, 128 + the signal")
def _(ctr):
    equal(ctr.run("echo", "crumb"), "crumb")
    ctr.run("sh", "-c", "exit 42", code=42)
    equal(ctr("containers", "ls", "-q"), "")


@own("run: what is not there, what is no program")
def _(ctr):
    has(ctr.run("nowhere", code=1), "nowhere", "not found")
    has(ctr.run("/etc/plain", code=1), "permission denied")


@own("run --tty at a terminal")
def _(ctr):
    shell = Terminal(*ctr.run_words("--rm", "--tty", command=["sh"]), rows=33, columns=101)
    shell.shows("# ")
    shell.shows_after("stty size\n", "33 101")
    shell.resize(20, 50)
    shell.shows_after("stty size\n", "20 50")
    shell.shows_after("tty\n", "/dev/pts/0")
    shell.type("exit 5\n")
    shell.ends(5)


@own("run --env, --cwd, --read-only, --mount")
def _(ctr):
    dir = ctr.scene.make("bind")
    mount = ["--mount", f"type=bind,src={dir},dst=/mnt,options=rbind:ro"]
    flags = ["--env", "A=b", "--cwd", "/www", "--read-only"]
    equal(ctr.run(*flags, *mount, "--", "sh", "-c", "touch /x 2>/dev/null || echo $PWD $A"), "/www b")


@own("run --privileged: all that the host has")
def _(ctr):
    found = ctr.run("--privileged", "--", "sh", "-c", "mount -t tmpfs x /tmp && grep CapEff /proc/self/status")
    all_that_we_have(found)


@own("run --cap-add, --cap-drop; --allow-new-privs")
def _(ctr):
    show = ["grep", "-E", "CapEff|NoNewPrivs", "/proc/self/status"]
    base = ctr.run(*show).split()
    equal(base[3], "1")
    flags = ["--cap-add", "CAP_SYS_ADMIN", "--cap-drop", "CAP_CHOWN", "--allow-new-privs"]
    found = ctr.run(*flags, "--", *show).split()
    equal((int(found[1], 16), found[3]), (int(base[1], 16) & ~1 | 1 << 21, "0"))


@own("run --seccomp: containerd's profile")
def _(ctr):
    has(ctr.run("--seccomp", "--", "grep", "Seccomp:", "/proc/self/status"), "2")
    has(ctr.run("--seccomp", "--", "unshare", "-U", "true", code=1), "not permitted")


@own("run --memory-limit, --cpus")
def _(ctr):
    show = "cd /sys/fs/cgroup; cat memory.max cpu.max */memory.limit_in_bytes */cpu.cfs_quota_us 2>/dev/null; true"
    mount = ["--mount", "type=cgroup,src=cgroup,dst=/sys/fs/cgroup,options=ro"]
    has(ctr.run("--memory-limit", "33554432", "--cpus", "0.5", *mount, "--", "sh", "-c", show), "33554432", "50000")


@own("run: death of what exceeds its memory")
def _(ctr):
    ctr.run("--memory-limit", "16777216", "--", "sh", "-c", "tail /dev/zero", code=137)


@own("run --uidmap, --gidmap: a user namespace")
def _(ctr):
    flags = ["--uidmap", "0:300000:3000", "--gidmap", "0:300000:3000"]
    equal(ctr.run(*flags, "--", "cat", "/proc/self/uid_map").split(), ["0", "300000", "3000"])


@own("run --net-host, --with-ns, --cgroup, --no-pivot")
def _(ctr):
    equal(ctr.run("--net-host", "--", "ls", "/sys/class/net"), "lo")
    ctr.up()
    has(ctr.run("--with-ns", f"pid:/proc/{ctr.pid()}/ns/pid", "--", "ps"), "sleep 1000")
    has(ctr.run("--cgroup", "/default/oven", "--", "cat", "/proc/self/cgroup"), "/")
    ctr.run("--no-pivot", "--", "true")


@own("run --device, --rootfs-propagation")
def _(ctr):
    equal(ctr.run("--device", "/dev/full", "--", "stat", "-c", "%t:%T", "/dev/full"), "1:7")
    ctr.run("--rootfs-propagation", "shared", "--", "true")
    has(open("/proc/self/mountinfo").read(), " /proc ")


@own("task exec: output, exit code, user, cwd")
def _(ctr):
    ctr.up()
    equal(ctr.exec("echo", "crumb"), "crumb")
    ctr.exec("sh", "-c", "exit 9", code=9)
    equal(ctr.exec("--user", "1000", "--cwd", "/www", "--", "sh", "-c", "echo $(id -u) $PWD"), "1000 /www")
    has(ctr.exec("nowhere", code=1), "not found")


@own("task exec --tty at a terminal")
def _(ctr):
    ctr.up()
    shell = Terminal(*ctr.words("task", "exec", "--exec-id", "t", "--tty", "loaf", "sh"), rows=31, columns=91)
    shell.shows("# ")
    shell.shows_after("stty size\n", "31 91")
    shell.type("exit 4\n")
    shell.ends(4)


@own("task pause, resume; exec while paused")
def _(ctr):
    ctr.up()
    ctr("task", "pause", "loaf")
    equal(ctr.status(), "PAUSED")
    has(ctr.exec("true", code=1), "paused")
    ctr("task", "resume", "loaf")
    equal(ctr.status(), "RUNNING")
    equal(ctr.exec("echo", "crumb"), "crumb")


@own("task ps, metrics")
def _(ctr):
    ctr.up("--memory-limit", "33554432")
    has(ctr("task", "ps", "loaf"), str(ctr.pid()))
    has(ctr("task", "metrics", "loaf"), "memory", "pids")


@own("task kill by signal; kill --all")
def _(ctr):
    ctr.up("--", "sh", "-c", "trap 'exit 8' USR1; while :; do sleep 0.1; done")
    ctr.exec("true")
    ctr("task", "kill", "-s", "USR1", "loaf")
    until("it stops", lambda: ctr.status() == "STOPPED")
    has(ctr("task", "rm", "loaf", code=None), "exit code 8")
    ctr("containers", "rm", "loaf")
    ctr.up("--", "sh", "-c", "sleep 999 & sleep 1000")
    ctr("task", "kill", "--all", "-s", "KILL", "loaf")
    until("it stops", lambda: ctr.status() == "STOPPED")


@own("task rm -f of a running, a paused, a stopped one")
def _(ctr):
    ctr.up()
    has(ctr("task", "rm", "-f", "loaf", code=None), "exit code 137")
    ctr("containers", "rm", "loaf")
    ctr.up("--", "true")
    until("it stops", lambda: ctr.status() == "STOPPED")
    ctr("task", "rm", "-f", "loaf")


@own("task start again after its end; attach")
def _(ctr):
    ctr.up("--", "true")
    until("it stops", lambda: ctr.status() == "STOPPED")
    ctr("task", "rm", "loaf")
    ctr("task", "start", "-d", "loaf")
    until("it stops again", lambda: ctr.status() == "STOPPED")


@own("task checkpoint: refused in clear words")
def _(ctr):
    ctr.up()
    ctr("task", "checkpoint", "loaf", code=1)
    equal(ctr.status(), "RUNNING")


operations = [*own, *crash_operations]
