"""Podman as an ordinary user, who has no right that others have not, but ids of his own in /etc/subuid."""

import os
import stat

import podman
from kit import Operations, equal, has
from podman_pods import operations as pod_operations
from podman_run import operations as run_operations
from scene import mount

UID = podman.UID
own = operation = Operations()


class Engine(podman.Engine):
    uid = UID

    def __init__(self, scene):
        # What udev would open to everybody, where it runs.
        for name, minor in (("net/tun", 200), ("fuse", 229)):
            node = scene.path(name.replace("/", "-"))
            os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(10, minor))
            os.chmod(node, 0o666)
            mount("--bind", node, f"/dev/{name}")
        self.runtime_dir = f"/run/user/{UID}"
        os.makedirs(self.runtime_dir)
        for dir in (self.runtime_dir, scene.make("user"), scene.make("tmp")):
            os.chown(dir, UID, UID)
        self.home = scene.path("user")
        super().__init__(scene)
        self.env.update(HOME=self.home, XDG_RUNTIME_DIR=self.runtime_dir, USER="baker")

    @property
    def run_root(self):
        return f"{self.runtime_dir}/containers"

    @property
    def graph_root(self):
        return f"{self.home}/storage"

    def as_user(self):
        return ["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups"]

    def stop(self):
        super().stop()
        self("system", "migrate")


@own("run --userns keep-id: one's own id inside")
def _(podman):
    equal(podman.run("--userns", "keep-id", "--", "id", "-u"), str(UID))


@own("run: root inside is the user outside")
def _(podman):
    dir = podman.dir("mine")
    podman.run("-v", f"{dir}:/d", "--", "touch", "/d/x")
    equal(os.stat(f"{dir}/x").st_uid, UID)


@own("run --network slirp4netns")
def _(podman):
    has(podman.run("--network", "slirp4netns", "--", "ls", "/sys/class/net"), "tap0")


@own("unshare; run --userns host, nomap")
def _(podman):
    has(podman("unshare", "cat", "/proc/self/uid_map"), "300000")
    podman.run("--userns", "nomap", "--", "true")


operations = [*run_operations, *own, *pod_operations]
