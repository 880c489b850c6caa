"""Docker: a dockerd of our own, whose default runtime is the one under test."""

import json
import os

import image
from interrupt import wrapper
from kit import Failure, call, until

from docker_build import operations as build_operations
from docker_crash import operations as crash_operations
from docker_run import operations as run_operations

operations = [*run_operations, *build_operations, *crash_operations]


class Engine:
    def __init__(self, scene):
        self.scene = scene
        self.socket = scene.path("docker.sock")
        self.env = {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": scene.path("home", ".docker")}
        # BuildKit, inside dockerd, calls a `runc` that it finds in the PATH.
        os.symlink(scene.program, scene.make("bin") + "/runc")
        self.path = f"{scene.path('bin')}:{os.environ.get('PATH', '')}"

    def start(self):
        self.start_daemon()
        self("load", "-i", self.scene.archive())
        self.before = self.scene.state()

    def start_daemon(self, *options):
        scene, name = self.scene, f"{self.scene.name}-under-test"
        config = {
            "runtimes": {name: {"path": scene.program}, "interruptible": {"path": wrapper(scene)}},
            "default-runtime": name, "features": {"buildkit": False},
            "data-root": scene.path("docker"), "exec-root": "/run/docker", "pidfile": "/run/docker.pid",
            "hosts": [f"unix://{self.socket}"], "exec-opts": ["native.cgroupdriver=cgroupfs"],
        }
        file = scene.write("daemon.json", json.dumps(config))
        self.daemon = scene.daemon("dockerd", "--config-file", file, *options, env={"PATH": self.path})
        until("dockerd answers", lambda: self.answers())

    def answers(self):
        if self.daemon.poll() is not None:
            raise Failure(f"dockerd ended: see {self.scene.path('dockerd.log')}")
        try:
            return call("docker", "version", env=self.env)
        except Failure:
            return None

    def stop(self):
        self.scene.stop(self.daemon)

    def __call__(self, *words, code=0, stdin=""):
        return call("docker", *words, code=code, env=self.env, stdin=stdin)

    def run(self, *words, code=0):
        """`docker run --rm OPTION... IMAGE COMMAND`: the image stands between the options and `--`."""
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

    def clean(self):
        ids = self("ps", "-aq").split()
        if ids:
            self("rm", "-f", "-v", *ids)
