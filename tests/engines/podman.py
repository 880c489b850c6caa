"""Podman as root: no daemon, so the engine is a configuration and directories of its own."""

import os

import image
from interrupt import wrapper
from kit import call, until

from scene import mount

from podman_crash import operations as crash_operations
from podman_pods import operations as pod_operations
from podman_root import operations as root_operations
from podman_run import operations as run_operations

operations = [*run_operations, *root_operations, *pod_operations, *crash_operations]

CONFIGURATION = """[engine]
cgroup_manager = "{manager}"
events_logger = "file"
runtime = "{runtime}"
runtime_supports_json = ["{runtime}", "interruptible"]
hooks_dir = []
network_backend = "netavark"
[engine.runtimes]
{runtime} = ["{program}"]
interruptible = ["{interruptible}"]
[containers]
log_driver = "k8s-file"
# The default wants more than a machine without CAP_SYS_RESOURCE has.
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
"""


# An ordinary user, and whose ids --userns=auto takes; the scene's own /etc alone knows them.
UID = 4242
ETC = {
    "passwd": f"baker:x:{UID}:{UID}::/:/bin/sh\n",
    "group": f"baker:x:{UID}:\n",
    "subuid": "baker:300000:65536\ncontainers:400000:65536\n",
    "subgid": "baker:300000:65536\ncontainers:400000:65536\n",
}


def know_users(scene):
    for name, line in ETC.items():
        text = ""
        if not name.startswith("sub"):
            with open(f"/etc/{name}") as file:
                text = file.read()
        mount("--bind", scene.write(f"etc/{name}", text + line), f"/etc/{name}")


class Engine:
    manager = "cgroupfs"
    uid = 0

    def __init__(self, scene):
        self.scene = scene
        know_users(scene)
        self.name = f"{scene.name}-under-test"
        text = CONFIGURATION.format(
            manager=self.manager, runtime=self.name, program=scene.program, interruptible=wrapper(scene)
        )
        storage = f'[storage]\ndriver = "overlay"\nrunroot = "{self.run_root}"\ngraphroot = "{self.graph_root}"\n'
        self.env = {
            "CONTAINERS_CONF": scene.write("containers.conf", text),
            "CONTAINERS_STORAGE_CONF": scene.write("storage.conf", storage),
        }

    @property
    def run_root(self):
        return "/run/containers/storage"

    @property
    def graph_root(self):
        return "/var/lib/containers/storage"

    def start(self):
        self("load", "-i", self.scene.archive())
        self.run("true")
        self.before = self.scene.state()

    def stop(self):
        self("system", "prune", "-af", "--volumes")

    def as_user(self):
        return []

    def words(self, *words):
        return [*self.as_user(), "podman", *words]

    def __call__(self, *words, code=0, stdin="", env=None):
        return call(*self.words(*words), code=code, env={**self.env, **(env or {})}, stdin=stdin)

    def shell(self, script):
        return call(*self.as_user(), "sh", "-c", script, env=self.env)

    def run(self, *words, code=0):
        """`podman run --rm OPTION... IMAGE COMMAND`: the image stands between the options and `--`."""
        at = words.index("--") if "--" in words else 0
        return self("run", "--rm", *words[:at], image.NAME, *words[at + ("--" in words):], code=code)

    def up(self, *words):
        """A container that stays, by the name `loaf`."""
        at = words.index("--") if "--" in words else len(words)
        command = words[at + 1:] or ("sleep", "1000")
        return self("run", "-d", "--name", "loaf", *words[:at], image.NAME, *command)

    def show(self, format, name="loaf"):
        return self("inspect", "--format", "{{" + format + "}}", name)

    def pid(self, name="loaf"):
        return int(self.show(".State.Pid", name))

    def dir(self, name):
        """A directory that containers may write in."""
        path = self.scene.make(name)
        os.chown(path, self.uid, self.uid)
        return path

    def clean(self):
        self("pod", "rm", "-af", "-t", "0")
        self("rm", "-af", "-t", "0")

    def logs(self, part, name="loaf"):
        until(f"the log has {part!r}", lambda: part in self("logs", name))

    def nothing_left(self, before=None):
        # Podman keeps the parent's cgroup, its networks' links and, for a user, the process that holds the namespaces.
        known = r"cgroup .*/(libpod_parent|conmon)$|process \d+ (/usr/bin/podman|podman|catatonit -P)|link podman\d+$"
        self.scene.left(before or self.before, known + r"|mount /run/(netns|containers)|process \d+ /usr/lib/podman/aardvark-dns")
