"""buildah: bud and run, with the runtime under test."""

import image
from interrupt import interrupted, wrapper
from kit import Operations, call, equal, has
from terminal import Terminal

operation = operations = Operations()


class Engine:
    def __init__(self, scene):
        self.scene = scene
        self.program = scene.program
        self.interruptible = wrapper(scene)
        storage = '[storage]\ndriver = "overlay"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n'
        self.env = {"CONTAINERS_STORAGE_CONF": scene.write("storage.conf", storage), "BUILDAH_HISTORY": "true"}

    def start(self):
        self("pull", f"docker-archive:{self.scene.archive()}")
        self.before = self.scene.state()

    def stop(self):
        self.clean()

    def clean(self):
        self("rm", "-a")

    def __call__(self, *words, code=0, stdin=""):
        return call("buildah", *words, code=code, env=self.env, stdin=stdin)

    def working(self, *flags):
        return self("from", *flags, image.NAME)

    def run(self, container, *words, code=0, stdin=""):
        at = words.index("--") if "--" in words else 0
        command = words[at + ("--" in words):]
        return self("run", "--runtime", self.program, *words[:at], container, "--", *command, code=code, stdin=stdin)

    def bud(self, dockerfile, *flags, code=0):
        self.scene.write("context/Dockerfile", dockerfile)
        self.scene.write("context/note", "mind the crust\n")
        words = ["bud", "--runtime", self.program, "--no-cache", "-t", "cake", *flags, self.scene.path("context")]
        return self(*words, code=code)


@operation("run: output, exit code, standard input")
def _(buildah):
    name = buildah.working()
    equal(buildah.run(name, "echo", "crumb"), "crumb")
    buildah.run(name, "sh", "-c", "exit 42", code=42)
    equal(buildah.run(name, "cat", stdin="flour"), "flour")


@operation("run: what is not there, what is no program")
def _(buildah):
    name = buildah.working()
    has(buildah.run(name, "nowhere", code=1), "nowhere")
    has(buildah.run(name, "/etc/plain", code=1), "ermission denied")


@operation("run: what it wrote is in the next run and in the image")
def _(buildah):
    name = buildah.working()
    buildah.run(name, "sh", "-c", "echo flour >/flour")
    equal(buildah.run(name, "cat", "/flour"), "flour")
    buildah("commit", "-q", name, "cake")
    other = buildah("from", "localhost/cake")
    equal(buildah.run(other, "cat", "/flour"), "flour")
    buildah("rm", other)
    buildah("rmi", "localhost/cake")


@operation("run --tty at a terminal")
def _(buildah):
    name = buildah.working()
    shell = Terminal("buildah", "run", "--runtime", buildah.program, "--tty", name, "--", "sh", env=buildah.env)
    shell.shows("# ")
    shell.type("tty; exit 5\n")
    shell.shows("/dev/pts/0")
    shell.ends(5)


@operation("run --user, --workingdir, --env, --hostname")
def _(buildah):
    name = buildah.working()
    flags = ["--user", "baker", "--workingdir", "/www", "--env", "A=b", "--hostname", "oven"]
    equal(buildah.run(name, *flags, "--", "sh", "-c", "echo $(id -un) $PWD $A $(hostname)"), "baker /www b oven")


@operation("run -v: read-write, read-only")
def _(buildah):
    name, dir = buildah.working(), buildah.scene.make("bind")
    buildah.run(name, "-v", f"{dir}:/d", "--", "touch", "/d/x")
    has(buildah.run(name, "-v", f"{dir}:/d:ro", "--", "touch", "/d/y", code=1), "Read-only file system")


@operation("run --mount: tmpfs, bind")
def _(buildah):
    name, dir = buildah.working(), buildah.scene.make("bind")
    flags = ["--mount", "type=tmpfs,dst=/t", "--mount", f"type=bind,src={dir},dst=/d,ro"]
    equal(buildah.run(name, *flags, "--", "grep", "-cE", " /(t|d) ", "/proc/mounts"), "2")


@operation("run --cap-add, --cap-drop; default set; seccomp")
def _(buildah):
    name = buildah.working()
    show = ["grep", "-E", "CapEff|Seccomp:", "/proc/self/status"]
    has(buildah.run(name, *show), "Seccomp:\t2")
    everything = int(buildah.run(name, *show).split()[1], 16)
    less = int(buildah.run(name, "--cap-drop", "CAP_CHOWN", "--cap-add", "CAP_SYS_ADMIN", "--", *show).split()[1], 16)
    equal(less, everything & ~1 | 1 << 21)


@operation("run --network none, host; namespaces of the host")
def _(buildah):
    name = buildah.working()
    equal(buildah.run(name, "--network", "none", "--", "ls", "/sys/class/net"), "lo")
    has(buildah.run(name, "--network", "host", "--pid", "host", "--ipc", "host", "--", "ps"), "main.py")


@operation("run in a user namespace (from --userns-uid-map)")
def _(buildah):
    name = buildah.working("--userns-uid-map", "0:300000:3000", "--userns-gid-map", "0:300000:3000")
    equal(buildah.run(name, "sh", "-c", "id -u; cat /proc/self/uid_map").split(), ["0", "0", "300000", "3000"])


@operation("run with the limits of from --memory, --ulimit")
def _(buildah):
    name = buildah.working("--memory", "64m", "--ulimit", "nofile=100:200")
    equal(buildah.run(name, "sh", "-c", "ulimit -n"), "100")


DOCKERFILE = f"""FROM {image.NAME} AS dough
RUN echo flour >/flour && id -u >/uid
USER baker
RUN id -un >/tmp/user
FROM {image.NAME}
WORKDIR /oven
COPY --from=dough /flour /uid /tmp/user ./
COPY note .
RUN ["sh", "-c", "cat flour uid user note >all"]
"""


@operation("bud: stages, users, exec form")
def _(buildah):
    buildah.bud(DOCKERFILE)
    name = buildah("from", "localhost/cake")
    equal(buildah.run(name, "cat", "/oven/all").split("\n"), ["flour", "0", "baker", "mind the crust"])


@operation("bud --layers, and again from the cache")
def _(buildah):
    buildah.bud(DOCKERFILE, "--layers")
    buildah.scene.write("context/Dockerfile", DOCKERFILE)
    again = buildah("bud", "--runtime", buildah.program, "--layers", "-t", "cake", buildah.scene.path("context"))
    has(again, "Using cache")


@operation("bud: a step that fails, with its exit code")
def _(buildah):
    has(buildah.bud(f"FROM {image.NAME}\nRUN exit 9\n", code=9), "exit status 9")


@operation("bud: RUN --mount of bind, cache, tmpfs, secret")
def _(buildah):
    secret = buildah.scene.write("secret", "yeast\n")
    text = (f"FROM {image.NAME}\nRUN --mount=type=tmpfs,target=/t --mount=type=cache,target=/c "
            "--mount=type=bind,source=note,target=/n --mount=type=secret,id=s cat /n /run/secrets/s >/copy\n")
    buildah.bud(text, "--secret", f"id=s,src={secret}")
    name = buildah("from", "localhost/cake")
    equal(buildah.run(name, "cat", "/copy").split("\n"), ["mind the crust", "yeast"])


@operation("bud --network none, --cap-add, --ulimit, --memory")
def _(buildah):
    flags = ["--network", "none", "--cap-add", "SYS_ADMIN", "--ulimit", "nofile=100:200", "--memory", "64m"]
    buildah.bud(f"FROM {image.NAME}\nRUN ulimit -n >/n; ls /sys/class/net >>/n; mount -t tmpfs x /tmp\n", *flags)
    name = buildah("from", "localhost/cake")
    equal(buildah.run(name, "cat", "/n").split(), ["100", "lo"])


@operation("kill -9 of the runtime in create, start, delete: run again")
def _(buildah):
    for verb in ("create", "start", "delete"):
        name = buildah.working()
        words = ["buildah", "run", "--runtime", buildah.interruptible, name, "--", "true"]
        interrupted(buildah, verb, lambda: call(*words, env=buildah.env, code=None),
                    lambda: equal(buildah.run(name, "echo", "crumb"), "crumb"))


@operation("nothing is left: processes, mounts, cgroups, links, state")
def _(buildah):
    buildah.clean()
    # Of a run whose runtime was killed, buildah forgets the container: the runtime's own --force frees it.
    buildah.scene.left(buildah.before, r"cgroup .*/(buildah|buildah-buildah\d+)|state .*/buildah-buildah\d+|process \d+ catatonit")
